"""`GET /v1.1/coupon/get` (v1.1-coupon 4, corrections 2): each coupon that was asked for, in that order."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import falcon.asgi
from msgspec import Struct

from couponry.api.call import Call, Reply
from couponry.api.operation import Operation
from couponry.api.parts import Parts
from couponry.api.seats import org_of
from couponry.api.v1_1 import shown, statuses
from couponry.api.v1_1.offers import amount_shown
from couponry.api.v1_1.tree import Entries, Node, Tree, truth
from couponry.api.v2 import claims, requests
from couponry.core import codes
from couponry.core.codes import CodeCase, code_key, is_well_formed
from couponry.core.expiry import local_time
from couponry.core.holdings import active_from_ms
from couponry.core.limits import READ_KEYS_MAX
from couponry.core.model import Customer, Org
from couponry.core.status import Code
from couponry.store.back_office import BackOffice
from couponry.store.coupon_reads import CouponReads, Filters, ReadCoupon
from couponry.store.engine import ReadTransaction
from couponry.store.redemption_reads import Use, customers_by_id, latest_uses

OPERATIONS: Final[tuple[Operation, ...]] = ()
_NO_PIN: Final = "NULL"


class Asked(Struct, frozen=True):
    """Coupons by code or id, or all of some customers'; those named must be one of the customers', if any are."""

    org: Org
    case: CodeCase
    codes: Sequence[str]
    ids: Sequence[int]
    customer_ids: tuple[int, ...] | None
    with_user_id: bool


class Found(Struct, frozen=True):
    """What coupons are told with: the people they and their redemptions belong to, and the redemptions."""

    people: Mapping[int, Customer]
    uses: Mapping[int, Use]


def routes(parts: Parts) -> dict[str, object]:
    """The resources of this module."""
    return {"/v1.1/coupon/get": GetCoupons(CouponReads(), parts.back_office)}


class GetCoupons:
    """Coupons by code, id or customer."""

    def __init__(self, reads: CouponReads, office: BackOffice) -> None:
        self._reads = reads
        self._office = office

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Read."""
        (await self._reply(req)).write(resp)

    async def _reply(self, call: Call) -> Reply:
        asked = _asked(call)
        if asked is Code.IDENTIFIER_MISSING:
            item: Tree = {"item_status": statuses.item_status(Code.IDENTIFIER_MISSING)}
            return _replied(call, [item], Code.MALFORMED)
        told = asked if isinstance(asked, Code) else await self._office.read(partial(self._found, asked))
        if isinstance(told, Code):
            return call.wire.failure(told)
        coupons, found_any = told
        return _replied(call, coupons, Code.SUCCESS if found_any else Code.ALL_FAILED)

    def _found(self, asked: Asked, tx: ReadTransaction) -> tuple[list[Node], bool] | Code:
        entries = self._entries(tx, asked)
        if isinstance(entries, Code):
            return entries
        coupons = [one for one in entries if isinstance(one, ReadCoupon)]
        uses = latest_uses(tx, asked.org.id, {(one.id, one.uses) for one in coupons})
        owners = {one.customer_id for one in coupons if one.customer_id} | {use.customer_id for use in uses.values()}
        found = Found(customers_by_id(tx, asked.org.id, owners), uses)
        told = [_missing(asked, one) if isinstance(one, str) else _shown(asked, one, found) for one in entries]
        return told, bool(coupons)

    def _entries(self, tx: ReadTransaction, asked: Asked) -> list[ReadCoupon | str] | Code:
        """What was found, and the code of what was not; each coupon once."""
        keys = {code: code_key(code) if is_well_formed(code) else "" for code in asked.codes}
        named = asked.customer_ids
        filters = [Filters(codes=tuple(sorted({*keys.values()} - {""})), customer_ids=named)] if keys else []
        filters += [Filters(ids=tuple(asked.ids), customer_ids=named)] if asked.ids else []
        pages = [self._reads.find(tx, asked.org.id, one) for one in filters or [Filters(customer_ids=named)]]
        read: list[ReadCoupon] = []
        for page in pages:
            if isinstance(page, Code):
                return page
            read += page.coupons
        if not filters:
            return [*read]
        with_id = {one.id: one for one in read}
        entries: list[ReadCoupon | str] = []
        for code, key in keys.items():
            entries += [one for one in with_id.values() if code_key(one.code) == key] or [code]
        entries += [with_id.get(one, "") for one in asked.ids]
        return list({one.id if isinstance(one, ReadCoupon) else -at: one for at, one in enumerate(entries, 1)}.values())


def _asked(call: Call) -> Asked | Code:
    """781 for no coupon and no customer, 1060 for too many, 795."""
    sent = {name: shown.words(call, name) for name in ("code", "id", "issuedToIds")}
    if max(map(len, sent.values())) > READ_KEYS_MAX:
        return Code.BATCH_LIMIT_EXCEEDED
    org = org_of(call)
    if isinstance(org, Code):
        return org
    if not any(sent.values()):
        return Code.IDENTIFIER_MISSING
    ids, customer_ids = ([requests.id_of(word) or 0 for word in sent[name]] for name in ("id", "issuedToIds"))
    customers = tuple(customer_ids) or None
    return Asked(org, claims.code_case(call), sent["code"], ids, customers, shown.flag(call, "user_id"))


def _replied(call: Call, coupons: Sequence[Node], code: Code) -> Reply:
    own = statuses.status(code)
    told: Tree = {"success": own.pop("success"), "status": truth(code is Code.SUCCESS), **own}
    return call.wire.reply({"status": told, "coupons": {"coupon": Entries(coupons)}}, code)


def _missing(asked: Asked, code: str) -> Node:
    return {
        "id": "-1",
        "code": codes.shown(code, asked.case),
        "is_absolute": "false",
        "value": None,
        "discount_upto": None,
        "pincode": _NO_PIN,
        "item_status": statuses.item_status(Code.NOT_FOUND_BY_GET),
    }


def _shown(asked: Asked, coupon: ReadCoupon, found: Found) -> Node:
    zone, terms, issued_ms = asked.org.zone, coupon.series.terms, coupon.issued_ms
    owner, use = found.people.get(coupon.customer_id or 0), found.uses.get(coupon.id)
    entry: dict[str, Node] = {
        "id": str(coupon.id),
        "code": codes.shown(coupon.code, asked.case),
        "valid_till": f"{local_time(coupon.last_ms // 1000, zone):%d-%m-%Y}",
        "issued_on": "" if issued_ms is None else shown.instant(issued_ms, zone),
        "valid_from": "" if issued_ms is None else shown.instant(active_from_ms(terms, issued_ms, zone), zone),
        "purpose": terms.purpose,
        "custom_properties": shown.properties(terms.custom_property_map),
        "series_id": str(coupon.series.id),
        "is_absolute": truth(terms.discount_type == "ABS"),
        "value": amount_shown(terms.discount_value),
        "discount_upto": amount_shown(terms.discount_upto),
    }
    if owner:
        entry["customer"] = _customer(owner, with_user_id=asked.with_user_id)
    if use:
        entry["redemption_info"] = _redemption(asked.org, use, found.people.get(use.customer_id))
    entry["pincode"] = _NO_PIN
    if coupon.shop:
        entry["issued_store"] = shown.place(coupon.shop.code, coupon.shop.name)
    entry["item_status"] = statuses.item_status(Code.PROCESSED)
    return entry


def _customer(customer: Customer, *, with_user_id: bool) -> Node:
    return {
        "id": str(customer.id),
        **({"user_id": str(customer.id)} if with_user_id else {}),
        "name": f"{customer.first_name} {customer.last_name}".strip(),
        "mobile": customer.mobile,
        "email": customer.email,
        "external_id": customer.external_id,
    }


def _redemption(org: Org, use: Use, by: Customer | None) -> Node:
    return {
        "redeemed": "true",
        "id": str(use.id),
        "redeemed_on": shown.instant(use.redeemed_ms, org.zone),
        "redeemed_at": use.till_code,
        "redeemed_by": {
            "firstname": by.first_name if by else "",
            "lastname": by.last_name if by else "",
            "email": by.email if by else None,
            "mobile": by.mobile if by else None,
        },
        "store": shown.place(use.store_code, use.store_name),
        "transaction": {"id": None if use.bill_id is None else str(use.bill_id), "bill_number": use.transaction_number},
    }
