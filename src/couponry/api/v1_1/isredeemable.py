"""`GET /v1.1/coupon/isredeemable` (v1.1-coupon 5): each code by itself; a no is an answer, not a failure."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import falcon.asgi
from msgspec import Struct

from couponry.api.call import Call, Reply
from couponry.api.operation import Operation
from couponry.api.parts import Parts
from couponry.api.seats import Seats
from couponry.api.v1_1 import bodies, singly, statuses
from couponry.api.v1_1.bodies import Sent
from couponry.api.v1_1.offers import amount_shown, offer_shown
from couponry.api.v1_1.series import series_shown
from couponry.api.v1_1.tree import Entries, Node, Tree, truth
from couponry.api.v2 import claims, requests
from couponry.core.codes import CodeCase, shown
from couponry.core.commands import Check, Item
from couponry.core.limits import REDEEM_ITEMS_MAX
from couponry.core.plan import CheckAnswer, CheckedItem, ItemOutcome, Outcome
from couponry.core.status import Code
from couponry.store.offers import list_series

OPERATIONS: Final[tuple[Operation, ...]] = ()
_USED: Final = frozenset({Code.ALREADY_USED, Code.ALREADY_USED_BY_CUSTOMER})


class Asked(Struct, frozen=True):
    """A coupon as it was named, and the question about it, or why there is none."""

    item: Item
    command: Check | Code


def routes(parts: Parts) -> dict[str, object]:
    """The resources of this module."""
    return {"/v1.1/coupon/isredeemable": IsRedeemable(parts)}


class IsRedeemable:
    """Whether coupons could be redeemed; changes nothing."""

    def __init__(self, parts: Parts) -> None:
        self._seats, self._vault = Seats(parts.attribution), parts.vault
        self._ledger, self._office = parts.ledger, parts.back_office

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Judge, code by code."""
        (await self._reply(req)).write(resp)

    async def _reply(self, call: Call) -> Reply:
        sent = bodies.query_identifiers(call)
        asked = await self._asked(call, sent)
        if asked is Code.IDENTIFIER_MISSING:
            status = {"item_status": _told(Code.IDENTIFIER_MISSING, is_judged=False)}
            return call.wire.reply({"coupons": {"redeemable": status}}, Code.MALFORMED)
        if isinstance(asked, Code):
            return call.wire.failure(asked)
        results = await singly.submit([one.command for one in asked], self._ledger.submit)
        assert not isinstance(results, Code), "a check has no key"
        answers = [_answer(one, result) for one, result in zip(asked, results, strict=True)]
        details = await self._details(call, [answer.items[0] for answer in answers if answer.items])
        if isinstance(details, Code):
            return call.wire.failure(details)
        headers = singly.headers_for(results, [answer.status for answer in answers])
        return _answered(call, sent, [one.item for one in asked], answers, details, headers)

    async def _details(self, call: Call, found: list[CheckedItem]) -> dict[int, Tree] | Code:
        """What is told of each series, by its id: nothing, what it is worth, or all that `coupon/series` tells."""
        wanted = (claims.one(call, "details") or "").lower()
        series = {item.series.id: item.series for item in found if item.series and wanted in ("true", "extended")}
        worth = {one.id: offer_shown(one.terms, one.expires_local.isoformat()) for one in series.values()}
        org = call.principal.org
        if wanted == "true" or not worth or org is None:
            return dict(worth)
        read = partial(list_series, org_id=org.id, ids=list(worth), place=None, limit=len(worth), offset=0)
        rows = await self._office.read(read)
        if isinstance(rows, Code):
            return rows
        return {row.series.id: {**worth[row.series.id], **_without_status(series_shown(row, org.zone))} for row in rows}

    async def _asked(self, call: Call, sent: Sent) -> list[Asked] | Code:
        if len(claims.listed(call, "code")) > REDEEM_ITEMS_MAX:
            return Code.INVALID_INPUT
        seat = await self._seats.of(call)
        if isinstance(seat, Code):
            return seat
        items = claims.query_items(call, partial(self._vault.mac, seat.org.id), "coupon_id")
        bill_number = claims.one(call, "transaction_number")
        if isinstance(items, Code) or not requests.is_transaction_number(bill_number):
            return items if isinstance(items, Code) else Code.INVALID_INPUT
        amount = bodies.amount_of(claims.one(call, "amount"))
        if isinstance(amount, Code):
            return [Asked(item, amount) for item in items]
        customer = bodies.customer_of(call, seat.org, sent)
        org_id, place = seat.org.id, seat.till.place
        return [Asked(one, Check(org_id, place, customer, (one,), amount, bill_number, None, call.request_id)) for one in items]


def _without_status(series: Tree) -> Tree:
    return {name: value for name, value in series.items() if name != "item_status"}


def _answered(
    call: Call,
    sent: Sent,
    items: list[Item],
    answers: list[CheckAnswer],
    details: Mapping[int, Tree],
    headers: Mapping[str, str],
) -> Reply:
    case = claims.code_case(call)
    redeemables = [_shown(item, answer, sent, case, details) for item, answer in zip(items, answers, strict=True)]
    is_judged = any(answer.items for answer in answers)
    payload: Tree = {"coupons": {"redeemable": Entries(redeemables)}}
    return call.wire.reply(payload, Code.SUCCESS if is_judged else Code.ALL_FAILED, headers)


def _answer(one: Asked, result: Outcome | Code) -> CheckAnswer:
    """What the ledger answered; a malformed amount is a no like any other (733)."""
    if isinstance(result, Code):
        return CheckAnswer(result, (CheckedItem(ItemOutcome(result, _name(one.item))),))
    assert isinstance(result.answer, CheckAnswer), "a check is answered by a CheckAnswer"
    return result.answer


def _name(item: Item) -> str:
    return item.code if item.code is not None else str(item.coupon_id)


def _shown(item: Item, answer: CheckAnswer, sent: Sent, case: CodeCase, details: Mapping[int, Tree]) -> Node:
    found = answer.items[0] if answer.items else CheckedItem(ItemOutcome(answer.status, (item.code or "").strip()))
    outcome = found.outcome
    code = Code.USED_BY_ASKER if outcome.status in _USED and found.redeemed_by_customer else outcome.status
    by = next(((name, value) for name, value in sent if value), None)
    redeemable: dict[str, Node] = {by[0]: str(by[1])} if by else {}
    redeemable |= {
        "code": shown(outcome.code_shown, case),
        "is_redeemable": truth(code is Code.REDEEMABLE),
        "redemptions_left": found.redemptions_left,
        "no_of_redemptions_by_user": found.redeemed_by_customer,
    }
    if outcome.offer:
        redeemable["coupon_value"] = amount_shown(outcome.offer.discount_value)
    redeemable["customer"] = bodies.customer_shown(answer.customer, sent)
    redeemable["item_status"] = _told(
        code, names=_name(item), days=outcome.days_left, warnings=outcome.warnings, is_judged=bool(answer.items)
    )
    if found.series and found.series.id in details:
        redeemable["series_info"] = details[found.series.id]
    return redeemable


def _told(code: Code, *, names: str = "", days: int = 0, warnings: Sequence[Code] = (), is_judged: bool) -> Node:
    """`success` says that the coupon passed, `status` that it was judged at all."""
    told = statuses.item_status(code, names=names, days=days, warnings=warnings)
    return {"success": told.pop("success"), "status": truth(is_judged), **told}
