"""`POST /v1.1/customer/add` and `/update`, `GET /v1.1/customer/get` (supporting APIs 1): each customer by itself."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import falcon.asgi
from msgspec import Struct

from couponry.api.call import Call, Reply
from couponry.api.operation import Operation
from couponry.api.parts import Parts
from couponry.api.seats import Seat, Seats, org_of
from couponry.api.v1_1 import bodies, customer_bodies, shown, statuses
from couponry.api.v1_1.customer_bodies import RegisteredBody, RegistrationBody
from couponry.api.v1_1.customer_coupons import missing_customer
from couponry.api.v1_1.tree import Entries, Node, truth
from couponry.api.v2 import claims, requests
from couponry.core import codes
from couponry.core.codes import CodeCase
from couponry.core.holdings import ORDERS
from couponry.core.limits import PAGE_ITEMS, PAGE_ITEMS_MAX, READ_KEYS_MAX, SERIES_OFFSET_MAX
from couponry.core.model import Identifier, Org
from couponry.core.registration import Registration
from couponry.core.status import Code
from couponry.store import customers
from couponry.store.coupon_reads import CouponReads, Listing, ReadCoupon
from couponry.store.customers import CustomerRecord
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.places import stores_of

OPERATIONS: Final[tuple[Operation, ...]] = ()
_STATUSES: Final = frozenset({"UNREDEEMED", "REDEEMED", "EXPIRED", "ACTIVE"})
_USUAL: Final = "created_date"

Write = Callable[[WriteTransaction, Seat, RegisteredBody, Registration, int], int | Code]


class Asked(Struct, frozen=True):
    """Which customers, and which of their coupons."""

    org: Org
    case: CodeCase
    wanted: list[tuple[str, str, Identifier | None]]
    listing: Listing
    with_user_id: bool


def routes(parts: Parts) -> dict[str, object]:
    """The resources of this module."""
    return {
        "/v1.1/customer/add": CustomerWrites(parts, _added, Code.CUSTOMER_REGISTERED),
        "/v1.1/customer/update": CustomerWrites(parts, _updated, Code.CUSTOMER_UPDATED),
        "/v1.1/customer/get": CustomerReads(parts),
    }


class CustomerWrites:
    """Register customers, or change them, each whatever becomes of the others."""

    def __init__(self, parts: Parts, write: Write, done: Code) -> None:
        self._seats, self._office, self._clock = Seats(parts.attribution), parts.back_office, parts.clock
        self._write, self._done = write, done

    async def on_post(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Write, customer by customer, in one transaction."""
        (await self._reply(req)).write(resp)

    async def _reply(self, call: Call) -> Reply:
        taken = await bodies.body_of(call, self._seats, RegistrationBody, _excess)
        if isinstance(taken, Code):
            return call.wire.failure(taken)
        _, body, seat = taken
        sent = bodies.entries_of(body.customer)
        if not sent:
            return call.wire.failure(Code.MALFORMED)
        asked = [(one, customer_bodies.registration_of(call, seat.org, one)) for one in sent]
        told = await self._office.write(partial(self._written, seat, asked))
        if isinstance(told, Code):
            return call.wire.failure(told)
        entries = [self._shown(seat.org, one, found) for one, found in zip(sent, told, strict=True)]
        succeeded = [not isinstance(found, Code) for found in told]
        return _replied(call, Entries(entries, is_always_list=True), succeeded)

    def _shown(self, org: Org, sent: RegisteredBody, found: CustomerRecord | Code) -> Node:
        if isinstance(found, Code):
            return customer_bodies.refused(sent, found)
        return customer_bodies.registered(found, org, self._done)

    def _written(
        self, seat: Seat, asked: Sequence[tuple[RegisteredBody, Registration | Code]], tx: WriteTransaction
    ) -> list[CustomerRecord | Code]:
        return [self._one(tx, seat, body, registration) for body, registration in asked]

    def _one(
        self, tx: WriteTransaction, seat: Seat, body: RegisteredBody, registration: Registration | Code
    ) -> CustomerRecord | Code:
        if isinstance(registration, Code):
            return registration
        done = self._write(tx, seat, body, registration, self._clock())
        return done if isinstance(done, Code) else customers.read_customer(tx, seat.org.id, "id", str(done))


def _excess(body: RegistrationBody) -> Code | None:
    return Code.BATCH_LIMIT_EXCEEDED if len(bodies.entries_of(body.customer)) > READ_KEYS_MAX else None


def _added(tx: WriteTransaction, seat: Seat, _: RegisteredBody, new: Registration, now_ms: int) -> int | Code:
    if not new.identifiers:
        return Code.NO_IDENTIFIER
    return customers.register(tx, seat.org.id, new, seat.till.place.till_id, now_ms)


def _updated(tx: WriteTransaction, seat: Seat, body: RegisteredBody, changes: Registration, now_ms: int) -> int | Code:
    """Whoever has the id, else the first identifier that somebody has; the other identifiers become theirs."""
    own_id = requests.id_of(bodies.text_of(dict(body.sent())["id"]))
    known = [("id", str(own_id))] if own_id is not None else list(changes.identifiers.items())
    if not known:
        return Code.NO_IDENTIFIER
    for kind, value in known:
        found = read_one(tx, seat.org.id, (kind, value))
        if not isinstance(found, Code):
            return customers.change(tx, seat.org.id, found.customer.id, changes, seat.till.place.till_id, now_ms)
        if found is not Code.NO_SUCH_CUSTOMER_V11:
            return found
    return Code.NO_SUCH_CUSTOMER_V11


def read_one(tx: ReadTransaction, org_id: int, identifier: Identifier | None) -> CustomerRecord | Code:
    """The record of whoever has the identifier: 1012, 8015 once deleted, 8069 once merged away."""
    if identifier is None:
        return Code.NO_SUCH_CUSTOMER_V11
    kind, value = identifier
    found = customers.read_customer(tx, org_id, kind, value)
    return Code.NO_SUCH_CUSTOMER_V11 if found is Code.NO_SUCH_CUSTOMER else found


class CustomerReads:
    """Customers, each with a page of coupons."""

    def __init__(self, parts: Parts) -> None:
        self._reads, self._office, self._clock = CouponReads(), parts.back_office, parts.clock

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Read."""
        (await self._reply(req)).write(resp)

    async def _reply(self, call: Call) -> Reply:
        asked = _asked(call)
        told = asked if isinstance(asked, Code) else await self._office.read(partial(self._found, asked))
        if isinstance(told, Code):
            return call.wire.failure(told)
        return _replied(call, Entries([node for node, _ in told]), [was_found for _, was_found in told])

    def _found(self, asked: Asked, tx: ReadTransaction) -> list[tuple[Node, bool]] | Code:
        org = asked.org
        records = [read_one(tx, org.id, identifier) for _, _, identifier in asked.wanted]
        tills = {one.registered_by.code for one in records if not isinstance(one, Code) and one.registered_by}
        stores = {till: shown.place(*store) for till, store in stores_of(tx, org.id, tills).items()} if tills else {}
        told: list[tuple[Node, bool]] = []
        for (name, sent, _), record in zip(asked.wanted, records, strict=True):
            if isinstance(record, Code):
                told.append((missing_customer(((name, sent),), record), False))
                continue
            page = self._reads.held(tx, org.id, record.customer.id, asked.listing, self._clock())
            if isinstance(page, Code):
                return page
            coupons = [_coupon(one, asked) for one in page.coupons]
            told.append((customer_bodies.read(record, org, stores, coupons, with_user_id=asked.with_user_id), True))
        return told


def _asked(call: Call) -> Asked | Code:
    """795, 1060, then 400 for nobody, and for what no filter can be."""
    org = org_of(call)
    if isinstance(org, Code):
        return org
    wanted = customer_bodies.wanted_of(call, org)
    if len(wanted) > READ_KEYS_MAX:
        return Code.BATCH_LIMIT_EXCEEDED
    status, order, direction = (shown.word(call, f"coupon_{name}") for name in ("status", "order_by", "sort_order"))
    limit = shown.number(call, "coupon_limit", PAGE_ITEMS, 0, PAGE_ITEMS_MAX)
    offset = shown.number(call, "coupon_offset", 0, 0, SERIES_OFFSET_MAX)
    wanted_statuses = frozenset(part.strip().upper() for part in status.split(",") if part.strip())
    is_sound = wanted_statuses <= _STATUSES and (order or _USUAL) in ORDERS and direction in {"", "asc", "desc"}
    if not wanted or not is_sound or limit is None or offset is None:
        return Code.MALFORMED
    listing = Listing(wanted_statuses, direction == "asc", limit, offset, order or _USUAL)
    return Asked(org, claims.code_case(call), wanted, listing, shown.flag(call, "user_id"))


def _replied(call: Call, entries: Node, succeeded: Sequence[bool]) -> Reply:
    code = statuses.overall(succeeded)
    counts = {"total": str(len(succeeded)), "success_count": str(sum(succeeded))}
    return call.wire.reply({"status": {**statuses.status(code), **counts}, "customers": {"customer": entries}}, code)


def _coupon(coupon: ReadCoupon, asked: Asked) -> Node:
    zone = asked.org.zone
    return {
        "id": str(coupon.id),
        "series_id": str(coupon.series.id),
        "code": codes.shown(coupon.code, asked.case),
        "description": coupon.series.terms.description,
        "created_date": shown.instant(coupon.issued_ms or 0, zone),
        "valid_till": shown.instant(coupon.last_ms, zone),
        "redeemed": truth(coupon.redeemed > 0),
    }
