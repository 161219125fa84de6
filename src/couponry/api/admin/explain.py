"""`GET /admin/v1/explain`: why a coupon is, was or will be redeemable or not, guard by guard."""

from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

import falcon.asgi
import msgspec
from msgspec import Struct

from couponry.api import times
from couponry.api.admin.queries import bad, identifiers, instant, storable, text
from couponry.api.call import Call, Reply
from couponry.api.envelopes import ProblemDetails, admin_failure, problem
from couponry.api.operation import Operation, Parameter
from couponry.api.parts import Parts
from couponry.api.seats import org_of
from couponry.api.v2.requests import amount_from_text, is_transaction_number
from couponry.core.explain import Explanation, Step, explain
from couponry.core.model import Coupon, Org
from couponry.core.problem import Problem
from couponry.core.series import Series
from couponry.core.status import Code
from couponry.store import history
from couponry.store.engine import ReadTransaction

PATH: Final = "/admin/v1/explain"
_ENCODE: Final = msgspec.json.Encoder().encode


class ExplainedCoupon(Struct, frozen=True, rename="camel"):
    """The coupon as it was."""

    id: int
    code: str
    series_id: int
    series_version: int | None
    customer_id: int | None
    issued_at: str | None
    is_revoked: bool
    redeemed: int


class Explained(Struct, frozen=True, rename="camel"):
    """What a redeem answers at the instant, and every guard in order. `refusedBy` is the first that refuses."""

    code: int
    message: str
    is_redeemable: bool
    refused_by: str | None
    instant: str
    instant_ms: int
    coupon: ExplainedCoupon | None
    customer_id: int | None
    till_id: int | None
    guards: list[Step]
    notes: list[str]


OPERATIONS: Final = (
    Operation(
        PATH,
        "get",
        "Why a coupon is, was or will be redeemable or not, guard by guard",
        Explained,
        ProblemDetails,
        parameters=(
            Parameter("code", "query", "the coupon's code, or its id", is_required=True),
            Parameter(
                "customer", "query", "`mobile:`, `email:`, `externalId:`, `cardnumber:`, `id:` and a value, or the value alone"
            ),
            Parameter("till", "query", "code of the till that asks"),
            Parameter("amount", "query", "bill amount"),
            Parameter("transactionNumber", "query", "bill number"),
            Parameter("time", "query", "instant, past or future: ISO-8601 or epoch milliseconds; now unless given"),
            Parameter("redemptionTime", "query", "the redemption time that the till sent, if it sent one"),
        ),
        codes=(Code.INVALID_INPUT, Code.INVALID_AMOUNT),
        refusal_status=400,
    ),
)


def routes(parts: Parts) -> dict[str, object]:
    """The resources of this module."""
    return {PATH: Explain(parts)}


class Explain:
    """Asks every guard about the world as it was; changes nothing."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Read the world, and explain."""
        org = org_of(req)
        question = org if isinstance(org, Code) else _question(req, org, self._parts.clock())
        if isinstance(question, Problem):
            problem(question).write(resp)
            return
        found = question if isinstance(question, Code) else await self._parts.back_office.read(partial(_look, question))
        if isinstance(found, Code):
            admin_failure(found).write(resp)
            return
        assert isinstance(question, history.Question), "nothing is found without a question"
        Reply(200, _ENCODE(_explained(found, question))).write(resp)


def _look(question: history.Question, tx: ReadTransaction) -> history.Look | Code:
    return history.look(tx, question)


def _question(call: Call, org: Org, clock_ms: int) -> history.Question | Problem:
    """From the query; what cannot be read is a problem, what is unknown is for the explanation to say."""
    if not text(call, "code").strip():
        return bad("code is missing")
    now_ms = instant(call, "time", org, clock_ms)
    at_ms = now_ms if isinstance(now_ms, Problem) else instant(call, "redemptionTime", org, now_ms)
    if isinstance(now_ms, Problem) or isinstance(at_ms, Problem):
        return now_ms if isinstance(now_ms, Problem) else bad("redemptionTime is no instant")
    amount_text = text(call, "amount").strip()
    amount = amount_from_text(amount_text) if amount_text else None
    if isinstance(amount, Code):
        return Problem(amount.number, amount.message, "amount is no sum of money")
    number = text(call, "transactionNumber")
    if not is_transaction_number(number):
        return bad("transactionNumber cannot be kept")
    return history.Question(
        org=org,
        name=text(call, "code").strip(),
        customer=identifiers(call, org),
        till_code=storable(text(call, "till").strip()),
        asked_ms=clock_ms,
        now_ms=now_ms,
        at_ms=at_ms,
        amount=amount,
        transaction_number=number,
    )


def _explained(found: history.Look, question: history.Question) -> Explained:
    asked, world = found.asked, found.world
    explanation: Explanation = explain(asked, world)
    coupon, zone = world.coupon, asked.org.zone
    return Explained(
        code=explanation.code.number,
        message=explanation.code.message,
        is_redeemable=explanation.code is Code.PROCESSED,
        refused_by=explanation.refused_by,
        instant=times.shown(asked.now_ms, zone),
        instant_ms=asked.now_ms,
        coupon=_coupon(coupon, world.series, zone) if coupon else None,
        customer_id=world.customer.id if world.customer else None,
        till_id=world.place.till_id if world.place else None,
        guards=explanation.steps,
        notes=[history.AS_NOW] if question.now_ms < question.asked_ms else [],
    )


def _coupon(coupon: Coupon, series: Series | None, zone: ZoneInfo) -> ExplainedCoupon:
    return ExplainedCoupon(
        id=coupon.id,
        code=coupon.code,
        series_id=coupon.series_id,
        series_version=series.version if series else None,
        customer_id=coupon.customer_id,
        issued_at=None if coupon.issued_ms is None else times.shown(coupon.issued_ms, zone),
        is_revoked=coupon.is_revoked,
        redeemed=coupon.redeemed,
    )
