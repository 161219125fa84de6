"""The lifecycle operations as the OpenAPI document describes them."""

from typing import Final

from couponry.api.operation import CASE, GATE_HEADERS, Operation
from couponry.api.v2.lifecycle_requests import ExpiryBody, ReactivateBody, RevokeBody, UpdateBody
from couponry.api.v2.lifecycle_responses import Done, ExpiryResponse, RevokeResponse, UpdateResponse
from couponry.core.status import Code

_SHAPE: Final = (Code.BATCH_LIMIT_EXCEEDED, Code.INVALID_INPUT)
OPERATIONS: Final = (
    Operation(
        path="/v2/coupon/redeem",
        method="put",
        summary="Change what is recorded about 1-100 redemptions",
        response=UpdateResponse,
        failure=Done,
        body=UpdateBody,
        parameters=GATE_HEADERS,
        on="U",
        codes=(*_SHAPE, Code.INVALID_AMOUNT, Code.INVALID_CUSTOMER),
    ),
    Operation(
        path="/v2/coupon/reactivate",
        method="post",
        summary="Undo 1-100 redemptions, all or none",
        response=Done,
        failure=Done,
        body=ReactivateBody,
        parameters=GATE_HEADERS,
        on="A",
        codes=_SHAPE,
    ),
    Operation(
        path="/v2/coupon/revoke",
        method="post",
        summary="Revoke up to 50 codes, or what a customer holds unredeemed of a series",
        response=RevokeResponse,
        failure=Done,
        body=RevokeBody,
        parameters=(CASE, *GATE_HEADERS),
        on="K",
        codes=_SHAPE,
    ),
    Operation(
        path="/v2/coupon/bulk/expiry",
        method="put",
        summary="Give 1-100 coupons of a series another expiry",
        response=ExpiryResponse,
        failure=Done,
        body=ExpiryBody,
        parameters=(CASE, *GATE_HEADERS),
        on="X",
        codes=_SHAPE,
    ),
)
