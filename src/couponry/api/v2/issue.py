"""`/v2/coupon/issue`, `/v2/coupon/bulk/issue` and `/v2/coupon/issue/multiple` (v2-coupon 1-3)."""

import falcon.asgi

from couponry.api.call import Call, Reply
from couponry.api.envelopes import error_of, v2_failure
from couponry.api.hooks import Issuing
from couponry.api.parts import Parts
from couponry.api.v2 import issue_render as render
from couponry.api.v2.issue_described import OPERATIONS
from couponry.api.v2.issue_requests import Orders
from couponry.api.v2.issue_responses import BareErrors
from couponry.api.v2.replies import GATE, again, answered, failed
from couponry.core.plan import IssueAnswer
from couponry.core.status import Code

__all__ = ["OPERATIONS", "routes"]


def routes(parts: Parts) -> dict[str, object]:
    """The resources of this module."""
    orders = Orders(parts.attribution)
    return {
        "/v2/coupon/issue": Issue(orders, parts.issuing),
        "/v2/coupon/bulk/issue": BulkIssue(orders, parts.issuing),
        "/v2/coupon/issue/multiple": IssueMultiple(orders, parts.issuing),
    }


class Issue:
    """Put a coupon of a series into a customer's hands."""

    def __init__(self, orders: Orders, issuing: Issuing) -> None:
        self._orders = orders
        self._issuing = issuing

    async def on_post(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Judge and issue."""
        asked = await self._orders.one(req)
        if isinstance(asked, Code):
            v2_failure(asked).write(resp)
            return
        outcome = await self._issuing.submit(asked.org, asked.command)
        answer = outcome.answer
        assert isinstance(answer, IssueAnswer), "an issue is answered by nothing else"
        code = render.refusal_of(answer)
        reply = v2_failure(code) if code else answered(render.issued(answer, asked.zone, asked.case))
        again(reply, outcome).write(resp)


class BulkIssue:
    """Put a coupon of each of several series into a customer's hands, independently of each other."""

    def __init__(self, orders: Orders, issuing: Issuing) -> None:
        self._orders = orders
        self._issuing = issuing

    async def on_post(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Judge and issue, series by series."""
        asked = await self._orders.each(req)
        if isinstance(asked, Code):
            v2_failure(asked).write(resp)
            return
        outcome = await self._issuing.submit(asked.org, asked.command)
        answer = outcome.answer
        assert isinstance(answer, IssueAnswer), "an issue is answered by nothing else"
        if not answer.items:
            again(v2_failure(answer.status), outcome).write(resp)
            return
        answered(render.bulk_issued(answer, asked.sent_ids, asked.zone, asked.case), outcome).write(resp)


class IssueMultiple:
    """Put several coupons of a series into a customer's hands, as many as may be."""

    def __init__(self, orders: Orders, issuing: Issuing) -> None:
        self._orders = orders
        self._issuing = issuing

    async def on_post(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Judge and issue, coupon by coupon."""
        asked = await self._orders.several(req)
        if isinstance(asked, Code):
            _refused(asked).write(resp)
            return
        outcome = await self._issuing.submit(asked.org, asked.command)
        answer = outcome.answer
        assert isinstance(answer, IssueAnswer), "an issue is answered by nothing else"
        code = render.refusal_of(answer)
        if code:
            again(_refused(code), outcome).write(resp)
            return
        answered(render.several_issued(answer, asked.command.count, asked.zone, asked.case), outcome).write(resp)


def _refused(code: Code) -> Reply:
    """None was issued: errors without warnings (v2-coupon 3), but for what the gate refuses."""
    return v2_failure(code) if code in GATE else failed(code, BareErrors([error_of(code)]))
