"""Instants on the wire (README 6): the forms that requests may use, and the one that V2 responses use."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from couponry.core.expiry import local_time

_DATE_CHARS: Final = 10
_INSTANT_CHARS_MAX: Final = 40
_OFFSET: Final = re.compile(r"(?:Z|[+-]\d\d:?(?:\d\d)?)$", re.ASCII)
_DASHES: Final = (4, 7)
# Nothing that is bounded by these decides differently, and every zone can show them.
_EARLIEST_MS: Final = int(datetime(2, 1, 1, tzinfo=UTC).timestamp()) * 1000
_LATEST_MS: Final = int(datetime(9998, 1, 1, tzinfo=UTC).timestamp()) * 1000


def instant_ms(text: str, zone: ZoneInfo) -> int | None:
    """ISO-8601 with offset or `Z`, or `YYYY-MM-DD[ HH:MM:SS]` by the server zone's clock; None when it is neither."""
    text = text.strip()
    return _parsed(text, zone) if len(text) <= _INSTANT_CHARS_MAX else None


@lru_cache(maxsize=4096)
def _parsed(text: str, zone: ZoneInfo) -> int | None:
    is_dated = len(text) >= _DATE_CHARS and all(text[at] == "-" for at in _DASHES) and text[_DATE_CHARS : _DATE_CHARS + 1] in " T"
    if not is_dated:
        return None
    try:
        parsed = datetime.fromisoformat(text)
        aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)
        at_ms = int(aware.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
    return bounded(at_ms)


def local_ms(text: str, zone: ZoneInfo) -> int | None:
    """The same by the server zone's clock whatever the offset says, as v1.1 reads instants (README 6)."""
    dated = text.strip()
    return instant_ms(dated[:_DATE_CHARS] + _OFFSET.sub("", dated[_DATE_CHARS:]), zone)


def bounded(at_ms: int) -> int:
    """The instant, or the nearest one that every zone can show."""
    return max(_EARLIEST_MS, min(at_ms, _LATEST_MS))


def shown(at_ms: int, zone: ZoneInfo) -> str:
    """An instant with the server zone's offset, `Z` for UTC."""
    return with_offset(local_time(at_ms // 1000, zone))


def midnight(local: datetime, zone: ZoneInfo) -> str:
    """The start of a local day, as `validTill` shows an expiry."""
    return with_offset(local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=zone))


def with_offset(aware: datetime) -> str:
    """`2031-04-30T00:00:00+05:30`."""
    text = aware.isoformat(timespec="seconds")
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text
