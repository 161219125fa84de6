"""What reads of coupons may be asked (v2-coupon 12-14): 1060, then 795, then 1000 and 781, then 629 for what means nothing."""

from typing import Final

from msgspec import Struct

from couponry.api.call import Call
from couponry.api.seats import org_of
from couponry.api.v2 import requests
from couponry.api.v2.claims import code_case, country_code, flag
from couponry.core.codes import CodeCase, code_key, is_well_formed
from couponry.core.holdings import STATUSES
from couponry.core.limits import PAGE_ITEMS, PAGE_ITEMS_MAX, READ_KEYS_MAX
from couponry.core.model import Identifier, Org
from couponry.core.status import Code
from couponry.store.coupon_reads import Filters, Listing

_KINDS: Final = ("issuedToIds", "couponIds", "couponCodes")
_IDENTIFIERS: Final = (
    ("id", "id"),
    ("mobile", "mobile"),
    ("email", "email"),
    ("externalId", "externalId"),
    ("externalId", "external_id"),
    ("cardnumber", "cardnumber"),
    ("cardExternalId", "cardExternalId"),
)
_IS_ASCENDING: Final = {"": False, "DESC": False, "ASC": True}
_OFFSET_DIGITS_MAX: Final = 9


class CouponsAsked(Struct, frozen=True):
    """Coupons by their own keys or their customers'."""

    org: Org
    case: CodeCase
    filters: Filters
    with_series: bool
    with_details: bool


class HeldAsked(Struct, frozen=True):
    """A page of one customer's coupons."""

    org: Org
    case: CodeCase
    customer: tuple[Identifier, ...]
    listing: Listing
    with_reversed: bool


def coupons_asked(call: Call) -> CouponsAsked | Code:
    """Of `GET /v2/coupon`. A filter without any value is no filter."""
    listed = {kind: _listed(call, kind) for kind in _KINDS}
    if any(values and len(values) > READ_KEYS_MAX for values in listed.values()):
        return Code.BATCH_LIMIT_EXCEEDED
    org = org_of(call)
    if isinstance(org, Code):
        return org
    filters = _filters(listed["issuedToIds"], listed["couponIds"], listed["couponCodes"])
    with_series, with_details = flag(call, "showCouponSeries"), flag(call, "includeIssualDetails")
    if isinstance(filters, Code):
        return filters
    if isinstance(with_series, Code) or isinstance(with_details, Code):
        return Code.INVALID_INPUT
    return CouponsAsked(org, code_case(call), filters, with_series, with_details)


def held_asked(call: Call) -> HeldAsked | Code:
    """Of `GET /v2/customers/coupons`."""
    org = org_of(call)
    if isinstance(org, Code):
        return org
    statuses = frozenset(name.strip().upper() for name in _listed(call, "status") or ())
    is_ascending = _IS_ASCENDING.get(_one(call, "sort_order").upper())
    limit = _number(_one(call, "limit"), PAGE_ITEMS, 1, PAGE_ITEMS_MAX)
    offset = _number(_one(call, "offset"), 0, 0, 10**_OFFSET_DIGITS_MAX)
    with_reversed = flag(call, "includeReversedRedemptions") if _one(call, "includeReversedRedemptions") else True
    if not statuses <= STATUSES.keys() or is_ascending is None or limit is None or offset is None:
        return Code.INVALID_INPUT
    if isinstance(with_reversed, Code):
        return with_reversed
    sent = tuple((kind, _one(call, name)) for kind, name in _IDENTIFIERS)
    customer = requests.normal_identifiers(sent, country_code(call, org), org.settings.mobile_digits)
    return HeldAsked(org, code_case(call), customer, Listing(statuses, is_ascending, limit, offset), with_reversed)


def all_asked(call: Call, customer_id: str) -> HeldAsked | Code:
    """Of `GET /v2/customers/{customerId}/coupons`; an id that is no number is 400."""
    org = org_of(call)
    if isinstance(org, Code):
        return org
    if not (customer_id.isascii() and customer_id.isdigit()):
        return Code.MALFORMED
    customer = requests.normal_identifiers((("id", customer_id),), org.country_code, org.settings.mobile_digits)
    return HeldAsked(org, code_case(call), customer, Listing(), with_reversed=True)


def _filters(customers: list[str] | None, ids: list[str] | None, codes: list[str] | None) -> Filters | Code:
    """1000 without any filter, 781 for a coupon of which nothing is said, 629 for an id that is no number."""
    if customers is None and ids is None and codes is None:
        return Code.FILTERS_MISSING
    if not all(text.strip() for text in (*(ids or ()), *(codes or ()))):
        return Code.IDENTIFIER_MISSING
    coupon_ids, customer_ids = _ids(ids), _ids(customers)
    if isinstance(coupon_ids, Code) or isinstance(customer_ids, Code):
        return Code.INVALID_INPUT
    keys = None if codes is None else tuple(code_key(code) for code in codes if is_well_formed(code))
    return Filters(coupon_ids, keys, customer_ids)


def _ids(listed: list[str] | None) -> tuple[int, ...] | Code | None:
    if listed is None:
        return None
    ids = [requests.coupon_id_of(text.strip()) for text in listed]
    whole = tuple(one for one in ids if isinstance(one, int))
    return whole if len(whole) == len(ids) else Code.INVALID_INPUT


def _listed(call: Call, name: str) -> list[str] | None:
    """The values of a parameter that may be repeated, or hold several with commas; None when there is nothing in any."""
    sent = call.params.get(name) or ""
    values = (sent if isinstance(sent, str) else ",".join(sent)).split(",")
    return values if any(value.strip() for value in values) else None


def _one(call: Call, name: str) -> str:
    """A parameter without surrounding blanks; of several with one name, the first; empty when absent."""
    sent = call.params.get(name) or ""
    return (sent if isinstance(sent, str) else sent[0]).strip()


def _number(text: str, default: int, least: int, most: int) -> int | None:
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= _OFFSET_DIGITS_MAX):
        return None
    return number if least <= (number := int(text)) <= most else None
