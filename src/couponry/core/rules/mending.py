"""Stored terms that cannot be used (788), read for an update that sends anew what is unusable in them."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from couponry.core.model import Terms
from couponry.core.series import Series, ids_from_text, series_from_terms, window_from_text

_FIELDS: Final = {field.encode_name: field.type for field in msgspec.structs.fields(Terms)}
_TEXTS: Final[Mapping[str, Callable[[str], object]]] = {
    "redemptionRange": window_from_text,
    **dict.fromkeys(("mutualExclusiveSeriesIds", "redeemAtStore", "storeIdsJson"), ids_from_text),
}
# Rows beside the terms follow from what these were, and a series shows its zone in every date: nobody can send them anew.
_UNMENDABLE: Final = frozenset({"seriesCode", "zone", "genericCode", "maxCreate", "maxRedeem", "redemptionOrgEntityDetails"})
_UNCHANGEABLE: Final = ("clientHandlingType", "expiryStrategyType")


def mended(series_id: int, version: int, text: str, fields: Mapping[str, Any]) -> Series | None:
    """The series with defaults for what is unusable, all of which `fields` have to send; None when they do not."""
    try:
        stored = msgspec.json.decode(text, type=dict[str, Any])
        broken = {name for name, value in stored.items() if name in _FIELDS and not _is_usable(name, value)}
        broken |= {"description"} - stored.keys()
        if broken & _UNMENDABLE or not broken <= _sent(fields):
            return None
        kept = {"description": "-"} | {name: value for name, value in stored.items() if name not in broken}
        sent = {name: fields[name] for name in _UNCHANGEABLE if name in broken and _is_usable(name, fields[name])}
        terms = msgspec.convert(kept | sent, Terms, strict=False)
        return series_from_terms(series_id, version, terms)
    except (ValueError, KeyError, OverflowError, RecursionError, msgspec.MsgspecError):
        return None


def _sent(fields: Mapping[str, Any]) -> set[str]:
    return {name for name, value in fields.items() if value not in (None, "")}


def _is_usable(name: str, value: object) -> bool:
    try:
        usable = msgspec.convert(value, _FIELDS[name], strict=False)
        if name in _TEXTS:
            _TEXTS[name](usable)
    except (ValueError, OverflowError, msgspec.MsgspecError):
        return False
    return True
