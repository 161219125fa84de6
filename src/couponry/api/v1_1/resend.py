"""`GET /v1.1/coupon/resend` (v1.1-coupon 2): the message about one coupon again."""

from typing import Final

import falcon.asgi

from couponry.api.call import Call, Reply
from couponry.api.envelopes import headers_of
from couponry.api.hooks import Issuing
from couponry.api.operation import Operation
from couponry.api.parts import Parts
from couponry.api.seats import Seats
from couponry.api.v1_1 import bodies, statuses
from couponry.api.v1_1.tree import Entries, Node
from couponry.api.v2 import claims, requests
from couponry.core.codes import shown
from couponry.core.commands import Item, Resend
from couponry.core.model import Org
from couponry.core.plan import ResendAnswer
from couponry.core.status import Code

OPERATIONS: Final[tuple[Operation, ...]] = ()
_ID: Final = "id"


def routes(parts: Parts) -> dict[str, object]:
    """The resources of this module."""
    return {"/v1.1/coupon/resend": ResendCoupon(Seats(parts.attribution), parts.issuing)}


class ResendCoupon:
    """One coupon's message again."""

    def __init__(self, seats: Seats, issuing: Issuing) -> None:
        self._seats = seats
        self._issuing = issuing

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Judge, and put the message into the outbox."""
        (await self._reply(req)).write(resp)

    async def _reply(self, call: Call) -> Reply:
        asked = await self._asked(call)
        if asked is Code.IDENTIFIER_MISSING:
            return _replied(call, Code.MALFORMED, {"item_status": statuses.item_status(asked)})
        if isinstance(asked, Code):
            return call.wire.failure(asked)
        answer = (await self._issuing.submit(*asked)).answer
        assert isinstance(answer, ResendAnswer), "a resend is answered by a ResendAnswer"
        return _replied(call, statuses.overall([answer.status is Code.RESENT]), _shown(call, answer), answer.status)

    async def _asked(self, call: Call) -> tuple[Org, Resend] | Code:
        """`id` names the coupon where there is no code and another identifier, else the customer; no coupon is 781."""
        seat = await self._seats.of(call)
        if isinstance(seat, Code):
            return seat
        sent, code, coupon_id = bodies.query_identifiers(call), claims.one(call, "code"), claims.one(call, _ID)
        others = tuple((name, value) for name, value in sent if name != _ID)
        item = Item(code)
        if code is None:
            if not (coupon_id and any(value for _, value in others)):
                return Code.IDENTIFIER_MISSING
            sent, item = others, Item(None, requests.id_of(coupon_id) or 0)
        customer = bodies.customer_of(call, seat.org, sent)
        return seat.org, Resend(seat.org.id, seat.till.place, customer, (item,), request_id=call.request_id)


def _replied(call: Call, code: Code, coupon: Node, status: Code = Code.SUCCESS) -> Reply:
    return call.wire.reply({"coupons": {"coupon": Entries([coupon], is_always_list=True)}}, code, headers_of(status))


def _shown(call: Call, answer: ResendAnswer) -> Node:
    """A refused coupon by its code alone; by its id where that is all that is known of it."""
    code = shown(answer.code_shown, claims.code_case(call)) if answer.code_shown else ""
    status: dict[str, Node] = {"item_status": statuses.item_status(answer.status)}
    if answer.status is Code.RESENT:
        return {"id": str(answer.coupon_id), "code": code, **status}
    return {"code": code, **status} if code else {"id": (claims.one(call, _ID) or "").strip(), **status}
