"""`/v2/coupon/redeem`, `/v2/coupon/bulk/redeem` and `/v2/coupon/is_redeemable` (v2-coupon 4-6)."""

from types import MappingProxyType
from typing import Final

import falcon.asgi
from msgspec import Struct

from couponry.api.call import Call, Reply
from couponry.api.envelopes import v2_failure
from couponry.api.hooks import Redeeming
from couponry.api.parts import Parts
from couponry.api.v2 import render
from couponry.api.v2.claims import Asked, Claims, flag
from couponry.api.v2.lifecycle import Updates
from couponry.api.v2.redeem_described import OPERATIONS
from couponry.api.v2.replies import GATE, again, answered, failed
from couponry.core import commands
from couponry.core.commands import Check
from couponry.core.plan import Answer, CheckAnswer, Outcome
from couponry.core.status import Code
from couponry.ledger import Ledger

__all__ = ["OPERATIONS", "routes"]

_DETAILS: Final[MappingProxyType[str, render.Details]] = MappingProxyType({"true": "true", "extended": "extended"})


def routes(parts: Parts) -> dict[str, object]:
    """The resources of this module."""
    claims = Claims(parts.attribution, parts.vault)
    return {
        "/v2/coupon/redeem": Redeem(claims, parts.redeeming, Updates(parts.attribution, parts.ledger)),
        "/v2/coupon/bulk/redeem": BulkRedeem(claims, parts.redeeming, parts.ledger),
        "/v2/coupon/is_redeemable": IsRedeemable(claims, parts.ledger),
    }


class Redeem:
    """Redeem 1-100 coupons, all or none; its PUT updates redemptions."""

    def __init__(self, claims: Claims, redeeming: Redeeming, updates: Updates) -> None:
        self._claims = claims
        self._redeeming = redeeming
        self.on_put = updates.on_put

    async def on_post(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Judge and redeem."""
        asked = await self._claims.from_body(req)
        if isinstance(asked, Code):
            _refused(asked).write(resp)
            return
        assert isinstance(asked.command, commands.Redeem), "not asked to check"
        outcome = await self._redeeming.submit_redeem(asked.org, asked.command)
        answer = outcome.answer
        assert isinstance(answer, Answer), "a redeem is answered by an Answer"
        if not answer.items:
            _refused(answer.status, outcome).write(resp)
            return
        answered(render.redeemed(answer, asked.command.items, asked.org.zone, asked.case), outcome).write(resp)


class BulkRedeem:
    """The same with a response per coupon; with `is_redeemable` it only checks."""

    def __init__(self, claims: Claims, redeeming: Redeeming, ledger: Ledger) -> None:
        self._claims = claims
        self._redeeming = redeeming
        self._ledger = ledger

    async def on_post(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Judge and redeem, or only judge."""
        is_check = flag(req, "is_redeemable", "isredeemable") if req.query_string else False
        asked = is_check if isinstance(is_check, Code) else await self._claims.from_body(req, is_check=is_check)
        if isinstance(asked, Code):
            v2_failure(asked).write(resp)
            return
        outcome = await self._submit(asked)
        answer = outcome.answer
        assert isinstance(answer, Answer | CheckAnswer), "a redeem and a check are answered by nothing else"
        if not answer.items:
            again(v2_failure(answer.status), outcome).write(resp)
            return
        outcomes = [found.outcome for found in answer.items] if isinstance(answer, CheckAnswer) else answer.items
        answered(render.bulk_redeemed(outcomes, asked.command.items, asked.case), outcome).write(resp)

    async def _submit(self, asked: Asked) -> Outcome:
        command = asked.command
        if isinstance(command, Check):
            return await self._ledger.submit(command)
        return await self._redeeming.submit_redeem(asked.org, command)


class IsRedeemable:
    """Whether coupons could be redeemed together; changes nothing."""

    def __init__(self, claims: Claims, ledger: Ledger) -> None:
        self._claims = claims
        self._ledger = ledger

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Judge."""
        asked = await self._claims.from_query(req)
        if isinstance(asked, Code):
            _refused(asked).write(resp)
            return
        assert isinstance(asked.command, Check), "a query asks for a check"
        outcome = await self._ledger.submit(asked.command)
        answer = outcome.answer
        assert isinstance(answer, CheckAnswer), "a check is answered by a CheckAnswer"
        if not answer.items:
            _refused(answer.status).write(resp)
            return
        answered(_checked(req, asked, answer), outcome).write(resp)


def _checked(req: Call, asked: Asked, answer: CheckAnswer) -> Struct:
    details = _DETAILS.get(str(req.params.get("details", "")).lower(), "")
    return render.checked(answer, asked.command.items, asked.org.zone, asked.case, details)


def _refused(code: Code, outcome: Outcome | None = None) -> Reply:
    """A request refused, or failed, as a whole; perhaps as it was before. But for the gate's it is a failed redemption."""
    return v2_failure(code) if code in GATE else again(failed(code, render.refused(code)), outcome)
