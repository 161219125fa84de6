"""What requests about series hold: bodies, ids, and the filters of a read (v2-coupon 11)."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from couponry.api.call import Call
from couponry.core.limits import PAGE_ITEMS, PAGE_ITEMS_MAX, SERIES_OFFSET_MAX
from couponry.core.status import Code
from couponry.store.offers import Place

_WRAPPER: Final = "CouponSeriesV2"
_KINDS: Final = frozenset({"TILL", "STORE", "ZONE", "CONCEPT"})
_ID_MAX: Final = 2**63 - 1
_DIGITS_MAX: Final = 19


class SeriesAsked(Struct, frozen=True):
    """Filters of a read. Where ids are asked for, one of them has to be there (755)."""

    ids: Sequence[int] | None
    place: Place | None
    limit: int
    offset: int

    @property
    def must_find(self) -> bool:
        """Whether an empty answer is an error."""
        return self.ids is not None

    @property
    def filters(self) -> dict[str, Any]:
        """As the store takes them."""
        return {"ids": self.ids, "place": self.place, "limit": self.limit, "offset": self.offset}


def body_of(raw: bytes) -> dict[str, Any] | Code:
    """The fields, bare or inside `CouponSeriesV2`; 400 for what is no JSON object, 744 for a number beyond any range."""
    try:
        body = msgspec.json.decode(raw)
    except msgspec.ValidationError:
        return Code.INVALID_SERIES_FIELD
    except (ValueError, RecursionError):
        return Code.MALFORMED
    fields = body.get(_WRAPPER, body) if isinstance(body, dict) else None
    return fields if isinstance(fields, dict) else Code.MALFORMED


def id_of(sent: object) -> int | None:
    """An id from a number or its digits; None for what is no number, 0 for a number that nothing has."""
    if isinstance(sent, str):
        digits = sent.strip()
        if not (digits.isascii() and digits.isdigit()):
            return None
        sent = int(digits) if len(digits) <= _DIGITS_MAX else 0
    if not isinstance(sent, int) or isinstance(sent, bool):
        return None
    return sent if 0 < sent <= _ID_MAX else 0


def asked_of(call: Call) -> SeriesAsked | Code:
    """746 for `ids` without any, 1060 for too many, 744 for a place of no kind."""
    sent = _listed(call, "ids")
    if sent is not None and not any(sent):
        return Code.SERIES_ID_MISSING
    ids = None if sent is None else _ids(sent)
    place = _place(call)
    if isinstance(place, Code):
        return place
    if len(ids or ()) > PAGE_ITEMS_MAX or (place and len(place.ids) > PAGE_ITEMS_MAX):
        return Code.BATCH_LIMIT_EXCEEDED
    is_filtered = ids is not None or place is not None
    limit = _number(call, "limit", PAGE_ITEMS_MAX if is_filtered else PAGE_ITEMS)
    offset = _number(call, "offset", 0)
    if not limit or offset is None or offset > SERIES_OFFSET_MAX:
        return Code.MALFORMED
    return SeriesAsked(ids, place, min(limit, PAGE_ITEMS_MAX), offset)


def _place(call: Call) -> Place | Code | None:
    kinds, ids = _listed(call, "orgEntityType"), _listed(call, "orgEntityIds")
    if kinds is None and ids is None:
        return None
    named = {kind.upper().removesuffix("S") for kind in kinds or ()}
    if len(named) != 1 or not named <= _KINDS:
        return Code.INVALID_SERIES_FIELD
    return Place(named.pop(), _ids(ids or ()))


def _ids(sent: Sequence[str]) -> list[int]:
    """What is no id is nothing's, and finds nothing."""
    return list({found for text in sent if (found := id_of(text))})


def _listed(call: Call, name: str) -> list[str] | None:
    """All values of a parameter, repeated or comma-separated; None when it was not sent."""
    value = call.params.get(name)
    if value is None:
        return None
    return [part.strip() for part in (value if isinstance(value, str) else ",".join(value)).split(",")]


def _number(call: Call, name: str, default: int) -> int | None:
    sent = (_listed(call, name) or [""])[0]
    if not sent:
        return default
    return int(sent) if sent.isascii() and sent.isdigit() and len(sent) <= _DIGITS_MAX else None
