"""`POST /admin/v1/redemptions/{redemption_id}/reverse`: undo one redemption, and say why (rules 9)."""

from types import MappingProxyType
from typing import Final

import falcon.asgi
import msgspec
from msgspec import Struct

from couponry.api.call import Call
from couponry.api.envelopes import ProblemDetails, admin_failure, problem
from couponry.api.operation import GATE_HEADERS, Operation, Parameter
from couponry.api.parts import Parts
from couponry.api.seats import Seats
from couponry.api.v2 import claims
from couponry.api.v2.lifecycle_requests import reason_of
from couponry.api.v2.replies import answered
from couponry.api.v2.requests import coupon_id_of
from couponry.core.commands import Reverse
from couponry.core.model import REVERSAL_REASONS
from couponry.core.plan import ReverseAnswer
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.ledger import Ledger

PATH: Final = "/admin/v1/redemptions/{redemption_id}/reverse"
_HTTP_STATUS: Final = MappingProxyType({Code.INVALID_REDEMPTION_IDS: 404, Code.REVOKED: 409})


class ReverseBody(Struct):
    """Why: one of the reasons that the series may treat each in its own way."""

    reason: str | None = None


class Reversed(Struct, frozen=True, rename="camel"):
    """The redemption that is undone."""

    redemption_id: int
    reason: str


OPERATIONS: Final = (
    Operation(
        PATH,
        "post",
        f"Undo a redemption, and say why: {', '.join(REVERSAL_REASONS)}, or nothing",
        Reversed,
        ProblemDetails,
        ReverseBody,
        (Parameter("redemption_id", "path", "id of the redemption"), *GATE_HEADERS),
        codes=(Code.INVALID_INPUT,),
        refusal_status=400,
        refusals=tuple((status, f"{code.number} {code.message}") for code, status in _HTTP_STATUS.items()),
    ),
)
_DECODE: Final = msgspec.json.Decoder(ReverseBody).decode


def routes(parts: Parts) -> dict[str, object]:
    """The resource of this module."""
    return {PATH: Reversal(Seats(parts.attribution), parts.ledger)}


class Reversal:
    """Undo one redemption."""

    def __init__(self, seats: Seats, ledger: Ledger) -> None:
        self._seats = seats
        self._ledger = ledger

    async def on_post(self, req: Call, resp: falcon.asgi.Response, redemption_id: str) -> None:
        """Judge and reverse: 404 where there is nothing to undo, 409 for a revoked coupon."""
        command = await self._command(req, redemption_id)
        if isinstance(command, Code):
            admin_failure(command).write(resp)
            return
        answer = (await self._ledger.submit(command)).answer
        assert isinstance(answer, ReverseAnswer), "a reversal is answered by nothing else"
        code = answer.status
        if code is Code.PROCESSED:
            answered(Reversed(command.redemption_ids[0], command.reason)).write(resp)
        elif code in _HTTP_STATUS:
            problem(Problem(code.number, code.message), _HTTP_STATUS[code]).write(resp)
        else:
            admin_failure(code).write(resp)

    async def _command(self, call: Call, redemption_id: str) -> Reverse | Code:
        taken = await claims.take(call, self._seats, _DECODE, lambda _: None)
        if isinstance(taken, Code):
            return taken
        _, body, seat = taken
        found = coupon_id_of(redemption_id)
        if found is None or isinstance(found, Code):
            return Code.MALFORMED
        reason = reason_of(body.reason)
        return reason if isinstance(reason, Code) else Reverse(seat.org.id, seat.till.place, (found,), reason, call.request_id)
