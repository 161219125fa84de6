"""The reads of coupons as the OpenAPI document describes them."""

from typing import Final

from couponry.api.operation import CASE, Operation, Parameter
from couponry.api.v2.coupon_reads_responses import CouponsResponse, DetailedResponse, HeldFailure, HeldResponse
from couponry.core.holdings import STATUSES
from couponry.core.status import Code

_FLAG: Final = ("true", "false")
_COUPONS_QUERY: Final = (
    Parameter("issuedToIds", "query", "customers whose coupons are meant, 1-100 ids, repeated or comma-separated"),
    Parameter("couponIds", "query", "1-100 coupon ids, repeated or comma-separated"),
    Parameter("couponCodes", "query", "1-100 coupon codes, repeated or comma-separated; several kinds of filters intersect"),
    Parameter("showCouponSeries", "query", "add the series to each coupon", _FLAG),
    Parameter("includeIssualDetails", "query", "add what was said at the issue", _FLAG),
)
_HELD_QUERY: Final = (
    Parameter("mobile", "query", "customer's mobile, with or without country code"),
    Parameter("email", "query", "customer's e-mail"),
    Parameter("externalId", "query", "customer's external id; also spelled external_id"),
    Parameter("id", "query", "customer id"),
    Parameter("status", "query", f"which coupons, comma-separated, any case: {', '.join(STATUSES)}"),
    Parameter("sort_order", "query", "by time of issue", ("DESC", "ASC")),
    Parameter("limit", "query", "coupons of a page, 1-500; 100 unless given", is_number=True),
    Parameter("offset", "query", "coupons before the page", is_number=True),
    Parameter("includeReversedRedemptions", "query", "tell reversed redemptions; true unless given", _FLAG),
)
_CUSTOMER: Final = (Code.INVALID_CUSTOMER, Code.CUSTOMER_NOT_FOUND)
OPERATIONS: Final = (
    Operation(
        "/v2/coupon",
        "get",
        "Coupons by id, code or customer",
        CouponsResponse,
        CouponsResponse,
        parameters=(*_COUPONS_QUERY, CASE),
        refusal_status=400,
        codes=(Code.BATCH_LIMIT_EXCEEDED, Code.FILTERS_MISSING, Code.IDENTIFIER_MISSING, Code.INVALID_INPUT),
    ),
    Operation(
        "/v2/customers/coupons",
        "get",
        "A customer's coupons, page by page",
        HeldResponse,
        HeldFailure,
        parameters=(*_HELD_QUERY, CASE),
        codes=(Code.INVALID_INPUT, *_CUSTOMER),
    ),
    Operation(
        "/v2/customers/{customer_id}/coupons",
        "get",
        "All coupons of a customer, in detail",
        DetailedResponse,
        HeldFailure,
        parameters=(Parameter("customer_id", "path", "customer id"), CASE),
        codes=(*_CUSTOMER, Code.SUCCESS),
    ),
)
