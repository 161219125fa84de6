"""`POST /admin/v1/redemptions/{redemption_id}/reverse`: undo one redemption, and say why (rules 9)."""

from types import MappingProxyType
from typing import Final

import falcon.asgi
import msgspec
from msgspec import Struct

from couponry.api.call import Call, Reply
from couponry.api.envelopes import ProblemDetails, admin_failure, problem
from couponry.api.operation import Operation, Parameter
from couponry.api.parts import Parts
from couponry.api.seats import org_of
from couponry.api.v2.lifecycle_requests import reason_of
from couponry.api.v2.replies import answered
from couponry.api.v2.requests import coupon_id_of, decoded
from couponry.core.commands import Reverse
from couponry.core.model import REVERSAL_REASONS
from couponry.core.plan import ReverseAnswer
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.ledger import Ledger
from couponry.store.back_office import BackOffice
from couponry.store.places import place_of_redemption

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
        (Parameter("redemption_id", "path", "id of the redemption"),),
        codes=(Code.INVALID_INPUT,),
        refusal_status=400,
        refusals=tuple((status, f"{code.number} {code.message}") for code, status in _HTTP_STATUS.items()),
    ),
)
_DECODE: Final = msgspec.json.Decoder(ReverseBody).decode


def routes(parts: Parts) -> dict[str, object]:
    """The resource of this module."""
    return {PATH: Reversal(parts.back_office, parts.ledger)}


class Reversal:
    """Undo one redemption. It is recorded for the till that redeemed: an administrator stands at none."""

    def __init__(self, office: BackOffice, ledger: Ledger) -> None:
        self._office = office
        self._ledger = ledger

    async def on_post(self, req: Call, resp: falcon.asgi.Response, redemption_id: str) -> None:
        """Judge and reverse: 404 where there is nothing to undo, 409 for a revoked coupon."""
        command = await self._command(req, redemption_id)
        if isinstance(command, Code):
            _refused(command).write(resp)
            return
        answer = (await self._ledger.submit(command)).answer
        assert isinstance(answer, ReverseAnswer), "a reversal is answered by nothing else"
        if answer.status is Code.PROCESSED:
            answered(Reversed(command.redemption_ids[0], command.reason)).write(resp)
        else:
            _refused(answer.status).write(resp)

    async def _command(self, call: Call, redemption_id: str) -> Reverse | Code:
        raw = await call.body()
        body = raw if isinstance(raw, Code) else decoded(raw, _DECODE)
        if isinstance(body, Code):
            return body
        org, found, reason = org_of(call), coupon_id_of(redemption_id), reason_of(body.reason)
        if isinstance(org, Code):
            return org
        if not isinstance(found, int):
            return Code.MALFORMED
        if isinstance(reason, Code):
            return reason
        place = await self._office.read(lambda tx: place_of_redemption(tx, org, found) or Code.INVALID_REDEMPTION_IDS)
        return place if isinstance(place, Code) else Reverse(org.id, place, (found,), reason, call.request_id)


def _refused(code: Code) -> Reply:
    return problem(Problem(code.number, code.message), _HTTP_STATUS[code]) if code in _HTTP_STATUS else admin_failure(code)
