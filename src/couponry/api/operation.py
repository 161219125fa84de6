"""What an endpoint says of itself: each module of endpoints lists its operations, the OpenAPI document is made of them."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from couponry.api.envelopes import Errors
from couponry.core.status import Code


class Parameter(NamedTuple):
    """A query parameter, header, or part of the path. Parts of the path are ids, unless they are names."""

    name: str
    place: str
    meaning: str
    values: Sequence[str] = ()
    is_number: bool = False
    is_required: bool = False
    is_name: bool = False


class Operation(NamedTuple):
    """One method of one path. `on` is its letter in the table of codes, empty for operations that have none.

    `body_type` and `content_type` are the media types of what comes in and goes out. `refusal_status` is the HTTP status of what
    a rule refuses, `codes` are codes beyond those of the letter, `refusals` say what other HTTP statuses mean. Whatever is not
    open needs a credential; what lies below `/admin/` a client with the admin scope.
    """

    path: str
    method: str
    summary: str
    response: Any
    failure: Any = Errors
    body: Any = None
    parameters: Sequence[Parameter] = ()
    on: str = ""
    content_type: str = "application/json"
    success_status: int = 200
    refusal_status: int = 200
    codes: Sequence[Code] = ()
    refusals: Sequence[tuple[int, str]] = ()
    is_open: bool = False
    body_type: str = "application/json"


CASE: Final = Parameter("coupon_code_case", "query", "how codes are shown in the response", ("UPPER", "LOWER", "AS_IT_IS"))
GATE_HEADERS: Final = (
    Parameter("X-CAP-REQUEST-ID", "header", "1-64 of `[A-Za-z0-9._-]`; comes back as X-Cap-Requestid"),
    Parameter("X-CAP-API-ATTRIBUTION-ENTITY-TYPE", "header", "OAuth: what ENTITY-CODE names; TILL unless given"),
    Parameter(
        "X-CAP-API-ATTRIBUTION-ENTITY-CODE", "header", "OAuth: the till or store to act for; else the client's default till"
    ),
    Parameter("X-CAP-API-ATTRIBUTION-TILL-CODE", "header", "OAuth: the till to act for; the ENTITY pair wins"),
    Parameter("X-CAP-API-ATTRIBUTION-LOOKUP-TYPE", "header", "which map LOOKUP is looked up in", ("WECHAT", "MOBILE_TRIGGER")),
    Parameter("X-CAP-API-ATTRIBUTION-LOOKUP", "header", "a value that is mapped to the till to act for"),
    Parameter("X-CAP-CLIENT-COUNTRYCODE", "header", "dialling code of mobiles sent without one"),
)
KEY: Final = Parameter("Idempotency-Key", "header", "1-64 of `[A-Za-z0-9._:-]`: a repeat within 24 h gets the first answer")
