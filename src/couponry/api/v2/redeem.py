"""`/v2/coupon/redeem`, `/v2/coupon/bulk/redeem` and `/v2/coupon/is_redeemable` (v2-coupon 4-6)."""

from types import MappingProxyType
from typing import Final

import falcon.asgi
import msgspec
from msgspec import Struct

from couponry.api.call import Call, Reply
from couponry.api.envelopes import headers_of, http_status, v2_failure
from couponry.api.parts import Parts
from couponry.api.v2 import render
from couponry.api.v2.claims import Asked, Claims, flag
from couponry.api.v2.redeem_described import OPERATIONS
from couponry.core.commands import Check
from couponry.core.plan import CheckAnswer, Outcome
from couponry.core.status import Code
from couponry.ledger import Ledger

__all__ = ["OPERATIONS", "routes"]

# Codes of the request gate keep the gate's form; everything else is a failed redemption (v2-coupon 4).
_GATE: Final = frozenset({Code.BODY_TOO_LARGE, Code.MALFORMED, Code.LOOKUP_TYPE_MISSING, Code.UNKNOWN_ATTRIBUTION})
_REPLAYED: Final = MappingProxyType(
    {replayed: MappingProxyType({"Idempotency-Replayed": replayed}) for replayed in ("true", "derived")}
)
_DETAILS: Final[MappingProxyType[str, render.Details]] = MappingProxyType({"true": "true", "extended": "extended"})
_ENCODE: Final = msgspec.json.Encoder().encode


def routes(parts: Parts) -> dict[str, object]:
    """The resources of this module."""
    claims = Claims(parts.attribution)
    return {
        "/v2/coupon/redeem": Redeem(claims, parts.ledger),
        "/v2/coupon/bulk/redeem": BulkRedeem(claims, parts.ledger),
        "/v2/coupon/is_redeemable": IsRedeemable(claims, parts.ledger),
    }


class Redeem:
    """Redeem 1-100 coupons, all or none."""

    def __init__(self, claims: Claims, ledger: Ledger) -> None:
        self._claims = claims
        self._ledger = ledger

    async def on_post(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Judge and redeem."""
        asked = await self._claims.from_body(req)
        if isinstance(asked, Code):
            _refused(asked).write(resp)
            return
        outcome = await self._ledger.submit(asked.command)
        answer = outcome.answer
        if not answer.items:
            _refused(answer.status, outcome).write(resp)
            return
        assert not isinstance(answer, CheckAnswer), "a redeem is answered by an Answer"
        _answered(render.redeemed(answer, asked.command.items, asked.zone, asked.case), outcome).write(resp)


class BulkRedeem:
    """The same with a response per coupon; with `is_redeemable` it only checks."""

    def __init__(self, claims: Claims, ledger: Ledger) -> None:
        self._claims = claims
        self._ledger = ledger

    async def on_post(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Judge and redeem, or only judge."""
        is_check = flag(req, "is_redeemable", "isredeemable") if req.query_string else False
        asked = is_check if isinstance(is_check, Code) else await self._claims.from_body(req, is_check=is_check)
        if isinstance(asked, Code):
            v2_failure(asked).write(resp)
            return
        outcome = await self._ledger.submit(asked.command)
        answer = outcome.answer
        if not answer.items:
            _again(v2_failure(answer.status), outcome).write(resp)
            return
        outcomes = [found.outcome for found in answer.items] if isinstance(answer, CheckAnswer) else answer.items
        _answered(render.bulk_redeemed(outcomes, asked.command.items, asked.case), outcome).write(resp)


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
        if not answer.items:
            _refused(answer.status).write(resp)
            return
        assert isinstance(answer, CheckAnswer), "a check is answered by a CheckAnswer"
        _answered(_checked(req, asked, answer), outcome).write(resp)


def _checked(req: Call, asked: Asked, answer: CheckAnswer) -> Struct:
    details = _DETAILS.get(str(req.params.get("details", "")).lower(), "")
    return render.checked(answer, asked.command.items, asked.zone, asked.case, details)


def _answered(response: Struct, outcome: Outcome) -> Reply:
    """An answer that rules decided, for or against: HTTP 200."""
    return _again(Reply(200, _ENCODE(response)), outcome)


def _refused(code: Code, outcome: Outcome | None = None) -> Reply:
    """A request refused, or failed, as a whole; perhaps as it was before."""
    if code in _GATE:
        return v2_failure(code)
    return _again(Reply(http_status(code), _ENCODE(render.refused(code)), headers_of(code)), outcome)


def _again(reply: Reply, outcome: Outcome | None) -> Reply:
    """Say so when the answer had been given before (README 10)."""
    if outcome is None or not outcome.replayed:
        return reply
    return Reply(reply.status, reply.body, {**(reply.headers or {}), **_REPLAYED[outcome.replayed]})
