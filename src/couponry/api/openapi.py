"""The API's description, OpenAPI 3.1, made from the structs that decode and encode the wire and from the table of codes."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

import couponry
from couponry.api.envelopes import Errors, V3Errors, http_status
from couponry.api.gate import TOKEN_PATH
from couponry.api.oauth import TokenBody, TokenResponse
from couponry.api.v2.requests import RedeemBody
from couponry.api.v2.responses import BulkRedeemResponse, CheckResponse, RedeemResponse
from couponry.core.status import Code

_REF: Final = "#/components/schemas/{name}"
_GATE: Final = (
    Code.UNAUTHENTICATED,
    Code.ACCESS_DENIED,
    Code.AUTHORISATION_UNAVAILABLE,
    Code.RATE_LIMITED,
    Code.UNSUPPORTED_MEDIA_TYPE,
    Code.BODY_TOO_LARGE,
    Code.DRAINING,
    Code.OVERLOADED,
    Code.MALFORMED,
    Code.LOOKUP_TYPE_MISSING,
    Code.UNKNOWN_ATTRIBUTION,
    Code.ORG_MISCONFIGURED,
)
# Refused as a whole, unless a coupon's own rule has the same number (v2-coupon 4).
_WHOLE: Final = frozenset(
    {
        Code.INVALID_INPUT,
        Code.INVALID_AMOUNT,
        Code.INVALID_CUSTOMER,
        Code.CUSTOMER_NOT_FOUND,
        Code.FRAUD_CUSTOMER,
        Code.CUSTOMER_BLOCKED,
    }
)
# HTTP statuses that the gate and the endpoint both answer, each in its own form.
_MIXED: Final = frozenset({400, 500})


class Parameter(NamedTuple):
    """A query parameter or header."""

    name: str
    place: str
    meaning: str
    values: Sequence[str] = ()


class Operation(NamedTuple):
    """One method of one path. `on` is its letter in the table of codes, empty for operations that have none."""

    path: str
    method: str
    summary: str
    response: Any
    failure: Any = Errors
    body: Any = None
    parameters: Sequence[Parameter] = ()
    on: str = ""
    content_type: str = "application/json"


_CASE: Final = Parameter("coupon_code_case", "query", "how codes are shown in the response", ("UPPER", "LOWER", "AS_IT_IS"))
_GATE_HEADERS: Final = (
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
_KEY: Final = Parameter("Idempotency-Key", "header", "1-64 of `[A-Za-z0-9._:-]`: a repeat within 24 h gets the first answer")
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
        (_CASE, *_GATE_HEADERS, _KEY),
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
            _CASE,
            *_GATE_HEADERS,
            _KEY,
        ),
        "R",
    ),
    Operation(
        "/v2/coupon/is_redeemable",
        "get",
        "Whether coupons could be redeemed together",
        CheckResponse,
        CheckResponse,
        parameters=(*_CHECK_QUERY, _CASE, *_GATE_HEADERS),
        on="Q",
    ),
    Operation(TOKEN_PATH, "post", "An access token for an OAuth client", TokenResponse, V3Errors, TokenBody),
    Operation("/healthz", "get", "Whether the process answers", dict[str, str]),
    Operation("/readyz", "get", "Whether the database answers", dict[str, str | int], dict[str, str | int]),
    Operation("/metrics", "get", "Numbers for Prometheus", str, content_type="text/plain"),
    Operation("/openapi.json", "get", "This description", dict[str, Any]),
    Operation("/docs", "get", "This description to read", str, content_type="text/html"),
)


def rendered() -> bytes:
    """The document as it is served and committed."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=2) + b"\n"


def document() -> dict[str, Any]:
    """The whole OpenAPI document."""
    structs = [kind for one in OPERATIONS for kind in (one.body, one.response, one.failure) if kind is not None]
    schemas, components = msgspec.json.schema_components(structs, ref_template=_REF)
    schema_of = dict(zip(map(repr, structs), schemas, strict=True))
    paths: dict[str, Any] = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method] = _operation(one, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Couponry",
            "version": couponry.__version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic", "description": "till code, and the MD5 hex of its password"},
                "bearer": {"type": "http", "scheme": "bearer"},
                "token": {"type": "apiKey", "in": "header", "name": "X-CAP-API-OAUTH-TOKEN"},
            },
        },
    }


def _operation(one: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": one.summary,
        "operationId": one.method + "".join(part.title() for part in one.path.replace("_", "/").replace(".", "/").split("/")),
        "responses": _responses(one, schema_of),
    }
    if one.parameters:
        described["parameters"] = [_parameter(parameter) for parameter in one.parameters]
    if one.body:
        content = {"application/json": {"schema": schema_of[repr(one.body)]}}
        described["requestBody"] = {"required": True, "content": content}
    described["security"] = [{"basic": []}, {"bearer": []}, {"token": []}] if one.on else []
    return described


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if parameter.values:
        schema["enum"] = list(parameter.values)
    return {"name": parameter.name, "in": parameter.place, "description": parameter.meaning, "schema": schema}


def _responses(one: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    """By HTTP status: the codes that come with it, and the body's shape."""
    judged = [code for code in Code if one.on and one.on in code.on.split() and code not in _GATE and not code.topic]
    ok = {one.content_type: {"schema": schema_of[repr(one.response)]}}
    by_rules = [code for code in judged if code not in _WHOLE - {Code.INVALID_AMOUNT} and not code.is_service_failure]
    responses: dict[str, Any] = {"200": {"description": _meaning(by_rules) or "Success", "content": ok}}
    whole = [code for code in (*judged, *_anywhere()) if code in _WHOLE or code.is_service_failure] if one.on else []
    gate = list(_GATE) if one.on else _token_gate() if one.path == TOKEN_PATH else []
    for code in (*gate, *whole):
        answer = responses.setdefault(
            str(http_status(code)),
            {"description": "", "content": {"application/json": {"schema": _failure(one, code, schema_of)}}},
        )
        line = f"{code.number} {code.message}"
        if line not in answer["description"].split("; "):
            answer["description"] = "; ".join(filter(None, (answer["description"], line)))
    if one.path == "/readyz":
        responses["503"] = {"description": "not ready", "content": ok}
    return dict(sorted(responses.items()))


def _failure(one: Operation, code: Code, schema_of: dict[str, Any]) -> dict[str, Any]:
    by_gate, by_endpoint = schema_of[repr(Errors)], schema_of[repr(one.failure)]
    if one.path == TOKEN_PATH or code in _WHOLE - {Code.INVALID_INPUT} or by_gate == by_endpoint:
        return dict(by_endpoint)
    if http_status(code) not in _MIXED:
        return dict(by_gate)
    return {"anyOf": [by_gate, by_endpoint]}


def _anywhere() -> list[Code]:
    return [code for code in Code if code.on == "*" and code not in _GATE and not code.topic and code.is_service_failure]


def _token_gate() -> list[Code]:
    return [
        Code.UNAUTHENTICATED,
        Code.UNSUPPORTED_MEDIA_TYPE,
        Code.BODY_TOO_LARGE,
        Code.DRAINING,
        Code.OVERLOADED,
        Code.MALFORMED,
    ]


def _meaning(codes: Sequence[Code]) -> str:
    return "; ".join(dict.fromkeys(f"{code.number} {code.message}" for code in codes))
