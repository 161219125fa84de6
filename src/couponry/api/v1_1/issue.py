"""`POST /v1.1/coupon/issue` (v1.1-coupon 1): each item is an issue of one coupon, whatever becomes of the others."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import falcon.asgi
from msgspec import Struct

from couponry.api.call import Call, Reply
from couponry.api.hooks import Issuing
from couponry.api.operation import Operation
from couponry.api.parts import Parts
from couponry.api.seats import Seat, Seats
from couponry.api.v1_1 import bodies, singly, statuses
from couponry.api.v1_1.bodies import CustomerBody, Nothing, Text
from couponry.api.v1_1.offers import offer_shown
from couponry.api.v1_1.tree import Entries, Node
from couponry.api.v2 import claims, requests
from couponry.core.codes import CodeCase, shown
from couponry.core.commands import Issue
from couponry.core.limits import ISSUE_SERIES_MAX
from couponry.core.model import Customer, Org
from couponry.core.plan import IssueAnswer, IssuedItem, Outcome
from couponry.core.status import Code

OPERATIONS: Final[tuple[Operation, ...]] = ()


class ItemBody(Struct):
    """One coupon of one series; `id` is another name of `series_id`."""

    series_id: Text = None
    id: Text = None
    customer: CustomerBody | Nothing = None

    @property
    def series(self) -> Text:
        """The series id under either name."""
        return self.id if self.series_id in (None, "") else self.series_id


class IssueBody(Struct):
    """What `root` holds."""

    coupon: ItemBody | list[ItemBody] | Nothing = None


class Asked(Struct, frozen=True):
    """An item as it was sent, and the command that it became, or why it became none."""

    item: ItemBody
    command: Issue | Code


def routes(parts: Parts) -> dict[str, object]:
    """The resources of this module."""
    return {"/v1.1/coupon/issue": IssueSingly(Seats(parts.attribution), parts.issuing)}


class IssueSingly:
    """Issue 1-100 coupons, each by itself."""

    def __init__(self, seats: Seats, issuing: Issuing) -> None:
        self._seats = seats
        self._issuing = issuing

    async def on_post(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Judge and issue, item by item."""
        (await self._reply(req)).write(resp)

    async def _reply(self, call: Call) -> Reply:
        taken = await self._asked(call)
        if isinstance(taken, Code):
            return call.wire.failure(taken)
        org, asked = taken
        results = await singly.submit([one.command for one in asked], partial(self._issuing.submit, org))
        return call.wire.failure(results) if isinstance(results, Code) else _answered(call, asked, results)

    async def _asked(self, call: Call) -> tuple[Org, list[Asked]] | Code:
        taken = await bodies.body_of(call, self._seats, IssueBody, _excess)
        if isinstance(taken, Code):
            return taken
        raw, body, seat = taken
        items = bodies.entries_of(body.coupon)
        key = claims.idempotency_key(call, raw)
        if not items or isinstance(key, Code):
            return key if isinstance(key, Code) else Code.MALFORMED
        commands = singly.keyed([_command(call, seat, item) for item in items], key)
        return seat.org, [Asked(item, command) for item, command in zip(items, commands, strict=True)]


def _excess(body: IssueBody) -> Code | None:
    return Code.BATCH_LIMIT_EXCEEDED if len(bodies.entries_of(body.coupon)) > ISSUE_SERIES_MAX else None


def _command(call: Call, seat: Seat, item: ItemBody) -> Issue | Code:
    series_id = requests.id_of(item.series)
    if series_id is None:
        return Code.SERIES_ID_MISSING
    customer = bodies.customer_of(call, seat.org, item.customer.sent() if item.customer else ())
    if not customer:
        return Code.INVALID_CUSTOMER
    return Issue(seat.org.id, seat.till.place, customer, (series_id,), request_id=call.request_id)


def _answered(call: Call, asked: Sequence[Asked], results: Sequence[Outcome | Code]) -> Reply:
    case = claims.code_case(call)
    has_user_id = (claims.one(call, "user_id") or "").lower() == "true"
    answers = [IssueAnswer(result) if isinstance(result, Code) else result.answer for result in results]
    codes, coupons = [], []
    for one, answer in zip(asked, answers, strict=True):
        assert isinstance(answer, IssueAnswer), "an issue is answered by an IssueAnswer"
        issued = answer.items[0] if answer.items else None
        if issued and issued.coupons:
            coupons.append(_issued(issued, answer.customer, case, has_user_id=has_user_id))
        else:
            coupons.append(_refused(one.item, answer.status))
        codes.append(answer.status)
    overall = statuses.overall([code in statuses.SUCCESSES for code in codes])
    return call.wire.reply({"coupon": Entries(coupons)}, overall, singly.headers_for(results, codes), is_boolean=True)


def _issued(item: IssuedItem, customer: Customer | None, case: CodeCase, *, has_user_id: bool) -> Node:
    offer, (coupon,) = item.offer, item.coupons
    assert offer, "what was issued is worth something"
    owner = bodies.customer_shown(customer, ())
    if has_user_id and customer:
        owner["user_id"] = str(customer.id)
    of_series = offer_shown(offer, offer.expires_local)
    del of_series["discount_upto"]
    # An existing coupon that was sent again says so in place of the usual text (rules 6).
    told = Code.RESENT if Code.RESENT in item.warnings else item.status
    warnings = [warning for warning in item.warnings if warning is not Code.RESENT]
    return {
        "id": str(coupon.coupon_id),
        "code": shown(coupon.code, case),
        "series_id": str(offer.series_id),
        **offer_shown(offer, coupon.expires_local),
        "series_info": {"id": str(offer.series_id), **of_series},
        "customer": owner,
        "item_status": statuses.item_status(told, warnings=warnings, is_boolean=True),
    }


def _refused(item: ItemBody, code: Code) -> Node:
    series_id = bodies.text_of(item.series)
    named = Code.UNKNOWN_SERIES_NAMED if code is Code.UNKNOWN_SERIES else code
    return {
        "series_id": series_id,
        "customer": bodies.customer_shown(None, item.customer.sent() if item.customer else ()),
        "item_status": statuses.item_status(named, names=series_id, is_boolean=True),
    }
