"""The API's description, OpenAPI 3.1, made from the structs that decode and encode the wire and from the table of codes."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

import couponry
from couponry.api.areas import AREAS
from couponry.api.envelopes import ADMIN, PROBLEM_TYPE, Errors, V3Errors, http_status
from couponry.api.gate import TOKEN_PATH
from couponry.api.oauth import TokenBody, TokenResponse
from couponry.api.operation import Operation, Parameter
from couponry.core.status import Code

_OK: Final = 200
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
        Code.REDEMPTION_ID_MISSING,
        Code.REVOKE_TARGET_MISSING,
        Code.EXPIRY_SERIES_MISSING,
        Code.EXPIRY_MISSING,
        Code.BATCH_LIMIT_EXCEEDED,
    }
)
# HTTP statuses that the gate and the endpoint both answer, each in its own form.
_MIXED: Final = frozenset({400, 500})
_OWN: Final = (
    Operation(TOKEN_PATH, "post", "An access token for an OAuth client", TokenResponse, V3Errors, TokenBody, is_open=True),
    Operation("/healthz", "get", "Whether the process answers", dict[str, str], is_open=True),
    Operation("/readyz", "get", "Whether the database answers", dict[str, str | int], dict[str, str | int], is_open=True),
    Operation("/metrics", "get", "Numbers for Prometheus", str, content_type="text/plain", is_open=True),
    Operation("/openapi.json", "get", "This description", dict[str, Any], is_open=True),
    Operation("/docs", "get", "This description to read", str, content_type="text/html", is_open=True),
)


def _operations() -> tuple[Operation, ...]:
    return (*(one for area in AREAS for one in area.OPERATIONS), *_OWN)


def rendered() -> bytes:
    """The document as it is served and committed."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=2) + b"\n"


def document() -> dict[str, Any]:
    """The whole OpenAPI document."""
    structs = [kind for one in _operations() for kind in (one.body, one.response, one.failure) if kind is not None]
    schemas, components = msgspec.json.schema_components(structs, ref_template=_REF)
    schema_of = dict(zip(map(repr, structs), schemas, strict=True))
    paths: dict[str, Any] = {}
    for one in _operations():
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
    described["security"] = [] if one.is_open else [{"basic": []}, {"bearer": []}, {"token": []}]
    return described


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if parameter.values:
        schema["enum"] = list(parameter.values)
    described = {"name": parameter.name, "in": parameter.place, "description": parameter.meaning, "schema": schema}
    return {**described, "required": True} if parameter.place == "path" else described


def _responses(one: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    """By HTTP status: the codes that come with it, and the body's shape."""
    lettered = [code for code in Code if one.on and one.on in code.on.split() and code not in _GATE and not code.topic]
    judged = [*lettered, *one.codes]
    ok = {one.content_type: {"schema": schema_of[repr(one.response)]}}
    by_rules = [code for code in judged if code not in _WHOLE - {Code.INVALID_AMOUNT} and not code.is_service_failure]
    is_200 = one.refusal_status == _OK
    responses: dict[str, Any] = {"200": {"description": (is_200 and _meaning(by_rules)) or "Success", "content": ok}}
    whole = [code for code in (*judged, *_anywhere()) if code in _WHOLE or code.is_service_failure] if not one.is_open else []
    gate = list(_GATE) if not one.is_open else _token_gate() if one.path == TOKEN_PATH else []
    for code in (*gate, *(() if is_200 else by_rules), *whole):
        answer = responses.setdefault(
            str(http_status(code)),
            {"description": "", "content": {_failure_type(one): {"schema": _failure(one, code, schema_of)}}},
        )
        line = f"{code.number} {code.message}"
        if line not in answer["description"].split("; "):
            answer["description"] = "; ".join(filter(None, (answer["description"], line)))
    for status, meaning in one.refusals:
        content = {_failure_type(one): {"schema": schema_of[repr(one.failure)]}}
        responses[str(status)] = {"description": meaning, "content": content}
    if one.path == "/readyz":
        responses["503"] = {"description": "not ready", "content": ok}
    return dict(sorted(responses.items()))


def _failure_type(one: Operation) -> str:
    return PROBLEM_TYPE if one.path.startswith(ADMIN) else "application/json"


def _failure(one: Operation, code: Code, schema_of: dict[str, Any]) -> dict[str, Any]:
    by_gate, by_endpoint = schema_of[repr(Errors)], schema_of[repr(one.failure)]
    if one.path == TOKEN_PATH or one.path.startswith(ADMIN) or code in _WHOLE - {Code.INVALID_INPUT} or by_gate == by_endpoint:
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
