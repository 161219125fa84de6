"""Dates as clients write them (contract README 6), read into the wall clock of a zone."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_MS: Final = re.compile(r"-?[0-9]{1,15}")
_ISO: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?", re.ASCII)


def local_from_wire(value: object, zone: ZoneInfo) -> datetime:
    """The wall clock in `zone`, to the second: from ISO 8601 with or without offset, `YYYY-MM-DD [HH:MM:SS]`, or epoch ms.

    Raises ValueError for anything else, and for instants that no calendar holds.
    """
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            moment = _EPOCH + timedelta(milliseconds=value)
        elif isinstance(value, str) and _EPOCH_MS.fullmatch(value.strip()):
            moment = _EPOCH + timedelta(milliseconds=int(value))
        elif isinstance(value, str) and _ISO.fullmatch(value.strip()):
            moment = datetime.fromisoformat(value.strip())
        else:
            raise ValueError("not a date")
        local = moment if moment.tzinfo is None else moment.astimezone(zone)
    except OverflowError as error:
        raise ValueError("a date out of range") from error
    return local.replace(microsecond=0, tzinfo=None)


def ms_from_local(local: datetime, zone: ZoneInfo) -> int:
    """The instant of a wall clock in `zone`; the first of two where the clock is set back."""
    return int((local.replace(tzinfo=zone) - _EPOCH) / timedelta(milliseconds=1))
