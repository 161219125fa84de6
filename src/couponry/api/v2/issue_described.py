"""The three issue operations as the OpenAPI document describes them."""

from typing import Final

from couponry.api.operation import CASE, GATE_HEADERS, KEY, Operation, Parameter
from couponry.api.v2.issue_requests import BulkIssueBody, IssueBody, IssueMultipleBody
from couponry.api.v2.issue_responses import BareErrors, BulkIssueResponse, IssueMultipleResponse, IssueResponse
from couponry.core.sources import SOURCES
from couponry.core.status import Code

# Told of coupons that are issued, so never a refusal.
_WITH_COUPONS: Final = frozenset(
    {
        *(Code.PROCESSED, Code.RESENT, Code.NOT_COMMUNICATED, Code.UNKNOWN_SERIES_NAMED),
        *(Code.ONE_PER_CUSTOMER, Code.ONE_SHARED_CODE, Code.CUT_BY_SERIES, Code.CUT_BY_POOL, Code.CUT),
    }
)


def _refusals(on: str) -> tuple[Code, ...]:
    return tuple(code for code in Code if on in code.on.split() and not code.topic and code not in _WITH_COUPONS)


OPERATIONS: Final = (
    Operation(
        path="/v2/coupon/issue",
        method="post",
        summary="Issue a coupon to a customer",
        response=IssueResponse,
        body=IssueBody,
        parameters=(CASE, *GATE_HEADERS, KEY),
        refusal_status=400,
        codes=(*_refusals("I"), Code.INVALID_INPUT),
    ),
    Operation(
        path="/v2/coupon/bulk/issue",
        method="post",
        summary="Issue a coupon of each of 1-100 series, independently",
        response=BulkIssueResponse,
        body=BulkIssueBody,
        parameters=(
            Parameter("source", "query", "where the issue comes from; INSTORE unless given", sorted(SOURCES)),
            Parameter("accountId", "query", "the source's account; kept with the coupon"),
            CASE,
            *GATE_HEADERS,
            KEY,
        ),
        on="I",
        codes=(Code.BATCH_LIMIT_EXCEEDED, Code.INVALID_INPUT),
        refusals=((400, f"{Code.SERIES_ID_MISSING.number} {Code.SERIES_ID_MISSING.message}"),),
    ),
    Operation(
        path="/v2/coupon/issue/multiple",
        method="post",
        summary="Issue 1-500 coupons of one series",
        response=IssueMultipleResponse,
        failure=BareErrors,
        body=IssueMultipleBody,
        parameters=(CASE, *GATE_HEADERS, KEY),
        refusal_status=400,
        codes=(*_refusals("M"), Code.INVALID_INPUT),
    ),
)
