"""The operations on validation codes as the OpenAPI document describes them."""

from typing import Final

from couponry.api.operation import GATE_HEADERS, Operation, Parameter
from couponry.api.v2 import otp_wire as wire
from couponry.core.registration import ATTRIBUTES
from couponry.core.status import Code

_ENOUGH: Final = (429, "ten codes were made for this customer today; also the rate limit")
_NOBODY: Final = (Code.NO_SUCH_CUSTOMER, Code.CUSTOMER_DELETED, Code.CUSTOMER_MERGED)
_ASKED: Final = (Code.INVALID_ACTION, Code.INVALID_ENTITY_TYPE, Code.INVALID_ENTITY_VALUE)
_READ: Final = (
    Parameter("mobile", "query", "whose code; with or without country code"),
    Parameter("email", "query", "whose code"),
    Parameter("identifierName", "query", "the kind of another identifier", (*ATTRIBUTES, "id")),
    Parameter("identifierValue", "query", "its value"),
    Parameter("scope", "query", "the action that the code is for; COUPON unless given"),
    Parameter("threshold", "query", "only a code made within so many minutes", is_number=True),
)


def _operation(path: str, method: str, summary: str, response: object, codes: tuple[Code, ...], **more: object) -> Operation:
    return Operation(path, method, summary, response, codes=codes, refusal_status=400, **more)  # type: ignore[arg-type] # fields of an Operation


OPERATIONS: Final = (
    _operation(
        "/v2/otp/generate",
        "post",
        "Send a validation code to a customer",
        wire.Created,
        (*_ASKED, Code.INVALID_CHANNEL, Code.CODE_NOT_SENDABLE, Code.INVALID_INPUT),
        body=wire.GenerateBody,
        parameters=GATE_HEADERS,
        refusals=(_ENOUGH,),
    ),
    _operation(
        "/v2/otp/validate",
        "post",
        "Try a validation code; one for coupons is only used up by redeeming",
        wire.Validated,
        (*_ASKED, Code.CODE_MISSING, Code.CODE_NOT_VALID, Code.INVALID_INPUT),
        body=wire.ValidateBody,
        parameters=GATE_HEADERS,
    ),
    _operation(
        "/v2/otp",
        "get",
        "Read a customer's newest usable validation code; needs write access",
        wire.OtpShown,
        (Code.INVALID_ACTION, Code.INVALID_ENTITY_VALUE, Code.INVALID_INPUT, Code.NO_VALID_CODE),
        parameters=(*_READ, *GATE_HEADERS),
    ),
    _operation(
        "/v2/otp/missedCall",
        "post",
        "Report a missed call of a customer",
        wire.Created,
        (Code.INVALID_ENTITY_VALUE, Code.INVALID_INPUT, *_NOBODY),
        body=wire.MissedCallBody,
        parameters=GATE_HEADERS,
    ),
)
