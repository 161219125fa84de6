"""The three redeem operations as the OpenAPI document describes them."""

from typing import Final

from couponry.api.envelopes import Errors
from couponry.api.operation import CASE, GATE_HEADERS, KEY, Operation, Parameter
from couponry.api.v2.requests import RedeemBody
from couponry.api.v2.responses import BulkRedeemResponse, CheckResponse, RedeemResponse
from couponry.core.status import Code

_CHECK_QUERY: Final = (
    Parameter("code", "query", "1-100 coupon codes, comma-separated"),
    Parameter("couponId", "query", "coupon ids, comma-separated, where no code is given"),
    Parameter("id", "query", "customer id"),
    Parameter("mobile", "query", "customer's mobile, with or without country code"),
    Parameter("email", "query", "customer's e-mail"),
    Parameter("externalId", "query", "customer's external id"),
    Parameter("cardnumber", "query", "customer's card number"),
    Parameter("details", "query", "what to tell about the series", ("true", "extended", "false")),
    Parameter("billAmount", "query", "checked against the series only when given"),
    Parameter("transactionNumber", "query", "checked only when given"),
    Parameter("redemptionTime", "query", "instant to judge by: ISO-8601, or the server zone's `YYYY-MM-DD HH:MM:SS`"),
    Parameter("validation_code", "query", "validation code; never consumed"),
)
OPERATIONS: Final = (
    Operation(
        "/v2/coupon/redeem",
        "post",
        "Redeem 1-100 coupons, all or none",
        RedeemResponse,
        RedeemResponse,
        RedeemBody,
        (CASE, *GATE_HEADERS, KEY),
        "R",
    ),
    Operation(
        "/v2/coupon/bulk/redeem",
        "post",
        "Redeem, or only check, with a response per coupon",
        BulkRedeemResponse,
        Errors,
        RedeemBody,
        (
            Parameter("is_redeemable", "query", "only check; also spelled isredeemable", ("true", "false")),
            Parameter("source", "query", "accepted and ignored"),
            Parameter("accountId", "query", "accepted and ignored"),
            CASE,
            *GATE_HEADERS,
            KEY,
        ),
        "R",
    ),
    Operation(
        "/v2/coupon/is_redeemable",
        "get",
        "Whether coupons could be redeemed together",
        CheckResponse,
        CheckResponse,
        parameters=(*_CHECK_QUERY, CASE, *GATE_HEADERS),
        on="Q",
        refusals=((400, f"{Code.IDENTIFIER_MISSING.number} {Code.IDENTIFIER_MISSING.message}"),),
    ),
)
