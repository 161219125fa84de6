"""What happens to a coupon after its issue beside redemption (v2-coupon 7-10).

`/v2/coupon/reactivate`, `/v2/coupon/revoke`, `/v2/coupon/bulk/expiry`, and `PUT /v2/coupon/redeem`, which shares its path with
the redeem itself and is therefore routed there.
"""

from typing import Final

import falcon.asgi

from couponry.api.attribution import Attribution
from couponry.api.call import Call, Reply
from couponry.api.envelopes import error_of
from couponry.api.parts import Parts
from couponry.api.v2 import lifecycle_render as render
from couponry.api.v2.claims import code_case
from couponry.api.v2.lifecycle_described import OPERATIONS
from couponry.api.v2.lifecycle_requests import Petitions
from couponry.api.v2.lifecycle_responses import Done
from couponry.api.v2.replies import answered, failed
from couponry.core.plan import AmendAnswer, RedateAnswer, ReverseAnswer, RevokeAnswer
from couponry.core.status import Code
from couponry.ledger import Ledger

__all__ = ["OPERATIONS", "Updates", "routes"]

# Refused for what they are, not by a rule: HTTP 400 (README 5). Everything else that refuses a request as a whole is HTTP 200.
_SHAPE: Final = frozenset(
    {
        *(Code.BODY_TOO_LARGE, Code.MALFORMED, Code.BATCH_LIMIT_EXCEEDED, Code.LOOKUP_TYPE_MISSING, Code.UNKNOWN_ATTRIBUTION),
        *(Code.INVALID_INPUT, Code.INVALID_AMOUNT, Code.INVALID_CUSTOMER, Code.CUSTOMER_NOT_FOUND),
        *(Code.REDEMPTION_ID_MISSING, Code.REVOKE_TARGET_MISSING, Code.EXPIRY_SERIES_MISSING, Code.EXPIRY_MISSING),
    }
)


def routes(parts: Parts) -> dict[str, object]:
    """The resources of this module."""
    petitions = Petitions(parts.attribution)
    return {
        "/v2/coupon/reactivate": Reactivate(petitions, parts.ledger),
        "/v2/coupon/revoke": Revoke(petitions, parts.ledger),
        "/v2/coupon/bulk/expiry": Expiry(petitions, parts.ledger),
    }


class Reactivate:
    """Undo redemptions, all or none."""

    def __init__(self, petitions: Petitions, ledger: Ledger) -> None:
        self._petitions = petitions
        self._ledger = ledger

    async def on_post(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Judge and reverse."""
        command = await self._petitions.reactivate(req)
        if isinstance(command, Code):
            _refused(command).write(resp)
            return
        answer = (await self._ledger.submit(command)).answer
        assert isinstance(answer, ReverseAnswer), "a reversal is answered by nothing else"
        reply = answered(Done(success=True)) if answer.status is Code.PROCESSED else _refused(answer.status)
        reply.write(resp)


class Revoke:
    """Take coupons out of circulation."""

    def __init__(self, petitions: Petitions, ledger: Ledger) -> None:
        self._petitions = petitions
        self._ledger = ledger

    async def on_post(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Judge and revoke, coupon by coupon."""
        command = await self._petitions.revoke(req)
        if isinstance(command, Code):
            _refused(command).write(resp)
            return
        answer = (await self._ledger.submit(command)).answer
        assert isinstance(answer, RevokeAnswer), "a revocation is answered by nothing else"
        if answer.status is not Code.PROCESSED:
            _refused(answer.status).write(resp)
            return
        answered(render.revoked(answer, code_case(req))).write(resp)


class Expiry:
    """Give coupons another expiry."""

    def __init__(self, petitions: Petitions, ledger: Ledger) -> None:
        self._petitions = petitions
        self._ledger = ledger

    async def on_put(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Judge and change, coupon by coupon."""
        asked = await self._petitions.expiry(req)
        if isinstance(asked, Code):
            _refused(asked).write(resp)
            return
        command, zone = asked
        answer = (await self._ledger.submit(command)).answer
        assert isinstance(answer, RedateAnswer), "a change of expiries is answered by nothing else"
        if answer.status is not Code.PROCESSED:
            _refused(answer.status).write(resp)
            return
        answered(render.redated(answer, command.expiries, zone, code_case(req))).write(resp)


class Updates:
    """Changes what is recorded about redemptions' bills: the PUT of the resource that redeems."""

    def __init__(self, attribution: Attribution, ledger: Ledger) -> None:
        self._petitions = Petitions(attribution)
        self._ledger = ledger

    async def on_put(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Judge and change, redemption by redemption."""
        asked = await self._petitions.update(req)
        if isinstance(asked, Code):
            _refused(asked).write(resp)
            return
        command, zone = asked
        answer = (await self._ledger.submit(command)).answer
        assert isinstance(answer, AmendAnswer), "an update is answered by nothing else"
        if not answer.items:
            _refused(answer.status).write(resp)
            return
        answered(render.amended(answer, zone)).write(resp)


def _refused(code: Code) -> Reply:
    """A request refused, or failed, as a whole, in the form that all of these endpoints share."""
    response = Done(success=False, errors=[error_of(code)])
    return failed(code, response) if code in _SHAPE or code.is_service_failure else answered(response)
