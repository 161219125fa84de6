"""`GET /v1.1/customer/redemptions` (v1.1-coupon 8, corrections 2). There is no points ledger here: `points` is always empty."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import falcon.asgi
from msgspec import Struct

from couponry.api.call import Call, Reply
from couponry.api.operation import Operation
from couponry.api.parts import Parts
from couponry.api.seats import org_of
from couponry.api.v1_1 import bodies, shown
from couponry.api.v1_1.bodies import Sent
from couponry.api.v1_1.customer_coupons import missing_customer
from couponry.api.v1_1.tree import Entries, Node, Tree
from couponry.api.v2 import claims, requests
from couponry.core import codes
from couponry.core.codes import CodeCase
from couponry.core.limits import PAGE_ITEMS_MAX, REDEMPTIONS_SHOWN
from couponry.core.model import Customer, Identifier, Org
from couponry.core.status import Code
from couponry.store.back_office import BackOffice
from couponry.store.customers import find_customer
from couponry.store.engine import ReadTransaction
from couponry.store.offers import Offered, read_series
from couponry.store.redemption_reads import Use, UseListing, list_uses

OPERATIONS: Final[tuple[Operation, ...]] = ()
_TYPES: Final = frozenset({"", "both", "coupons", "points"})
_ORDERS: Final = frozenset({"", "redeemed_time", "redemption_id"})


class Asked(Struct, frozen=True):
    """Whose redemptions, which of them, and how they are to be shown; no listing where only points were asked for."""

    org: Org
    case: CodeCase
    sent: Sent
    customer: tuple[Identifier, ...]
    listing: UseListing | None
    with_user_id: bool


def routes(parts: Parts) -> dict[str, object]:
    """The resources of this module."""
    return {"/v1.1/customer/redemptions": CustomerRedemptions(parts.back_office)}


class CustomerRedemptions:
    """What a customer redeemed."""

    def __init__(self, office: BackOffice) -> None:
        self._office = office

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Read."""
        (await self._reply(req)).write(resp)

    async def _reply(self, call: Call) -> Reply:
        asked = _asked(call)
        if isinstance(asked, Code):
            return call.wire.failure(asked)
        told = await self._office.read(partial(_found, asked))
        if told in (Code.CUSTOMER_NOT_FOUND, Code.INVALID_CUSTOMER):
            return call.wire.reply({"customer": missing_customer(asked.sent, told)}, Code.ALL_FAILED)
        return call.wire.failure(told) if isinstance(told, Code) else call.wire.reply({"customer": told}, Code.SUCCESS)


def _asked(call: Call) -> Asked | Code:
    """795, then 400 for what no filter can be."""
    org = org_of(call)
    if isinstance(org, Code):
        return org
    times = shown.between(call, org.zone)
    kind, order, direction = (shown.word(call, name) for name in ("type", "sort", "order"))
    limit = shown.number(call, "limit", REDEMPTIONS_SHOWN, 1, PAGE_ITEMS_MAX)
    most = shown.number(call, "coupons_limit", limit or 1, 1, PAGE_ITEMS_MAX)
    is_sound = kind in _TYPES and order in _ORDERS and direction in {"", "asc", "desc"}
    if not is_sound or isinstance(times, Code) or limit is None or most is None:
        return Code.MALFORMED
    first_id, last_id, store_id = (
        requests.id_of(claims.one(call, name)) for name in ("coupons_start_id", "coupons_end_id", "merchant_store_id")
    )
    listing = UseListing(
        limit=most,
        times=times,
        first_id=first_id,
        last_id=last_id,
        store_id=store_id,
        is_by_id=order == "redemption_id",
        is_ascending=direction == "asc",
    )
    sent = bodies.query_identifiers(call)
    wanted = None if kind == "points" else listing
    customer = bodies.customer_of(call, org, sent)
    return Asked(org, claims.code_case(call), sent, customer, wanted, shown.flag(call, "user_id"))


def _found(asked: Asked, tx: ReadTransaction) -> Tree | Code:
    customer = find_customer(tx, asked.org.id, asked.customer)
    if isinstance(customer, Code):
        return customer
    uses = list_uses(tx, asked.org.id, customer.id, asked.listing) if asked.listing else []
    series = {row.series.id: row for row in read_series(tx, asked.org.id, sorted({use.series_id for use in uses}))}
    return _shown(asked, customer, uses, series)


def _shown(asked: Asked, customer: Customer, uses: Sequence[Use], series: Mapping[int, Offered]) -> Tree:
    return {
        "mobile": customer.mobile,
        "email": customer.email,
        "external_id": customer.external_id,
        **({"user_id": str(customer.id)} if asked.with_user_id else {}),
        "firstname": customer.first_name,
        "lastname": customer.last_name,
        "rows": str(len(uses)),
        "coupons_count": str(len(uses)),
        "points_count": "0",
        "coupons_start_id": str(uses[0].id) if uses else "",
        "points_start_id": "",
        "redemptions": {
            "coupons": {"coupon": Entries([_use(asked, use, series[use.series_id]) for use in uses])},
            "points": {"point": Entries([], is_always_list=True)},
        },
    }


def _use(asked: Asked, use: Use, row: Offered) -> Node:
    terms = row.series.terms
    return {
        "id": str(use.id),
        "code": codes.shown(use.code, asked.case),
        "series_id": str(use.series_id),
        "description": terms.description,
        "discount_code": terms.discount_code,
        "discount_type": "FLAT" if terms.discount_type == "ABS" else "PERC",
        "transaction_number": use.transaction_number,
        "bill_id": "" if use.bill_id is None else str(use.bill_id),
        "redeemed_time": shown.instant(use.redeemed_ms, asked.org.zone),
        "redeemed_at": use.till_code,
    }
