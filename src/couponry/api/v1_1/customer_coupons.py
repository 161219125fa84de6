"""`GET /v1.1/customer/coupons` (v1.1-coupon 7, corrections 2): a page of what a customer holds."""

from collections.abc import Callable
from functools import partial
from typing import Final

import falcon.asgi
from msgspec import Struct
from msgspec.structs import replace

from couponry.api.call import Call, Reply
from couponry.api.operation import Operation
from couponry.api.parts import Parts
from couponry.api.seats import org_of
from couponry.api.v1_1 import bodies, shown, statuses
from couponry.api.v1_1.bodies import Sent
from couponry.api.v1_1.tree import Entries, Node, Tree
from couponry.api.v2 import claims, requests
from couponry.core import codes
from couponry.core.codes import CodeCase
from couponry.core.holdings import ORDERS
from couponry.core.limits import PAGE_ITEMS, PAGE_ITEMS_MAX, READ_KEYS_MAX, SERIES_OFFSET_MAX
from couponry.core.model import Customer, Identifier, Org
from couponry.core.status import Code
from couponry.store.back_office import BackOffice
from couponry.store.coupon_reads import CouponReads, Listing, Page, ReadCoupon, ReadRedemption
from couponry.store.customers import find_customer
from couponry.store.engine import ReadTransaction
from couponry.store.places import tills_of

OPERATIONS: Final[tuple[Operation, ...]] = ()
_STATUSES: Final = frozenset({"UNREDEEMED", "REDEEMED", "EXPIRED", "ACTIVE"})
_USUAL: Final = "created_date"


class Asked(Struct, frozen=True):
    """Whose coupons, which of them, and how they are to be shown."""

    org: Org
    case: CodeCase
    sent: Sent
    customer: tuple[Identifier, ...]
    listing: Listing
    store_id: int | None
    with_reversed: bool


def routes(parts: Parts) -> dict[str, object]:
    """The resources of this module."""
    return {"/v1.1/customer/coupons": CustomerCoupons(CouponReads(), parts.back_office, parts.clock)}


class CustomerCoupons:
    """A customer's coupons, page by page."""

    def __init__(self, reads: CouponReads, office: BackOffice, clock: Callable[[], int]) -> None:
        self._reads = reads
        self._office = office
        self._clock = clock

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Read."""
        (await self._reply(req)).write(resp)

    async def _reply(self, call: Call) -> Reply:
        asked = _asked(call)
        if isinstance(asked, Code):
            return call.wire.failure(asked)
        told = await self._office.read(partial(self._found, asked))
        if told in (Code.CUSTOMER_NOT_FOUND, Code.INVALID_CUSTOMER):
            missing = _customers(missing_customer(asked.sent, told))
            return call.wire.reply({"pagination": _pagination(asked.listing, 0), **missing}, Code.ALL_FAILED)
        return call.wire.failure(told) if isinstance(told, Code) else call.wire.reply(told, Code.SUCCESS)

    def _found(self, asked: Asked, tx: ReadTransaction) -> Tree | Code:
        org, listing = asked.org, asked.listing
        customer = find_customer(tx, org.id, asked.customer)
        if isinstance(customer, Code):
            return customer
        if asked.store_id is not None:
            listing = replace(listing, places=tills_of(tx, org, asked.store_id))
        page = self._reads.held(tx, org.id, customer.id, listing, self._clock())
        if isinstance(page, Code):
            return page
        return {"pagination": _pagination(listing, page.total), **_customers(_shown(asked, customer, page))}


def _asked(call: Call) -> Asked | Code:
    """795, then 400 for what no filter can be."""
    org = org_of(call)
    if isinstance(org, Code):
        return org
    times, series_ids = shown.between(call, org.zone), shown.words(call, "series_id")
    status, order, direction = (shown.word(call, name) for name in ("status", "order_by", "sort_order"))
    limit = shown.number(call, "limit", PAGE_ITEMS, 1, PAGE_ITEMS_MAX)
    offset = shown.number(call, "offset", 0, 0, SERIES_OFFSET_MAX)
    statuses_asked = frozenset(part.strip().upper() for part in status.split(",") if part.strip())
    is_sound = statuses_asked <= _STATUSES and (order or _USUAL) in ORDERS and direction in {"", "asc", "desc"}
    if not is_sound or isinstance(times, Code) or limit is None or offset is None or len(series_ids) > READ_KEYS_MAX:
        return Code.MALFORMED
    listing = Listing(
        statuses=statuses_asked,
        is_ascending=direction == "asc",
        limit=limit,
        offset=offset,
        order=order or _USUAL,
        times=times,
        series_ids=frozenset(requests.id_of(one) or 0 for one in series_ids) if series_ids else None,
    )
    sent = bodies.query_identifiers(call)
    customer, store_id = bodies.customer_of(call, org, sent), requests.id_of(claims.one(call, "store_id"))
    return Asked(org, claims.code_case(call), sent, customer, listing, store_id, shown.flag(call, "includeReversedRedemptions"))


def missing_customer(sent: Sent, code: Code) -> Node:
    """Whoever was asked for, and that nobody is known by that (1012), or that it cannot be anybody (721)."""
    told = Code.NO_SUCH_CUSTOMER_V11 if code is Code.CUSTOMER_NOT_FOUND else code
    return {**bodies.customer_shown(None, sent), "item_status": statuses.item_status(told)}


def _customers(customer: Node) -> Tree:
    return {"customers": {"customer": Entries([customer], is_always_list=True)}}


def _pagination(listing: Listing, total: int) -> Node:
    return {"limit": str(listing.limit), "offset": str(listing.offset), "total": str(total)}


def _shown(asked: Asked, customer: Customer, page: Page) -> Node:
    return {
        "firstname": customer.first_name,
        "lastname": customer.last_name,
        "email": customer.email,
        "external_id": customer.external_id,
        "mobile": customer.mobile,
        "id": str(customer.id),
        "coupons": {"coupon": Entries([_coupon(asked, one) for one in page.coupons])},
        "item_status": statuses.item_status(Code.COUPONS_RETRIEVED),
    }


def _coupon(asked: Asked, coupon: ReadCoupon) -> Node:
    zone, terms = asked.org.zone, coupon.series.terms
    entry: dict[str, Node] = {
        "id": str(coupon.id),
        "series_id": str(coupon.series.id),
        "series_name": terms.description,
        "redemption_count": str(coupon.redeemed),
        "created_date": shown.zulu(coupon.issued_ms or 0, zone),
        "valid_till": shown.instant(coupon.last_ms, zone),
        "code": codes.shown(coupon.code, asked.case),
        "transaction_number": None,
    }
    if coupon.shop:
        entry["issued_at"] = shown.place(coupon.shop.code, coupon.shop.name)
    entry["purpose"] = terms.purpose
    entry["custom_properties"] = shown.properties(terms.custom_property_map)
    entry["redemptions"] = _redemptions(asked.org, [one for one in coupon.redemptions if one.reversed_ms is None])
    if asked.with_reversed:
        entry["reversed_redemptions"] = _redemptions(
            asked.org, [one for one in coupon.redemptions if one.reversed_ms is not None]
        )
    return entry


def _redemptions(org: Org, redemptions: list[ReadRedemption]) -> Node:
    """An empty object where there is none (v1.1-coupon 7)."""
    entries = [_redemption(org, one) for one in redemptions]
    return {"redemption": Entries(entries, is_always_list=True)} if entries else {}


def _redemption(org: Org, redemption: ReadRedemption) -> Node:
    shop, reversed_ms = redemption.shop, redemption.reversed_ms
    return {
        "id": str(redemption.id),
        "date": shown.zulu(redemption.redeemed_ms, org.zone),
        "transaction_number": redemption.transaction_number,
        "redeemed_at": shown.place(shop.code, shop.name),
        **({} if reversed_ms is None else {"reversed_on": shown.instant(reversed_ms, org.zone)}),
    }
