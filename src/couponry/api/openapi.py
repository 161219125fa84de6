"""The API's description, OpenAPI 3.1, made from the structs that decode and encode the wire and from the table of codes."""

from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

import couponry
from couponry.api.areas import AREAS
from couponry.api.envelopes import ADMIN, PROBLEM_TYPE, UPLOADS, Errors, ProblemDetails, UploadFailure, V3Errors, http_status
from couponry.api.gate import TOKEN_PATH
from couponry.api.oauth import TokenBody, TokenResponse
from couponry.api.operation import GATE_HEADERS, KEY, Operation, Parameter
from couponry.core.status import Code

_OK: Final = 200
_JSON: Final = "application/json"
_REF: Final = "#/components/schemas/{name}"
_ID: Final = MappingProxyType({"type": "integer", "minimum": 0})
# Found out before the endpoint has a say, so in the form of the path's family.
_GATE: Final = (
    Code.UNAUTHENTICATED,
    Code.ACCESS_DENIED,
    Code.AUTHORISATION_UNAVAILABLE,
    Code.RATE_LIMITED,
    Code.DRAINING,
    Code.OVERLOADED,
    Code.MALFORMED,
    Code.UNKNOWN_ERROR,
)
_TOKEN_GATE: Final = (Code.DRAINING, Code.OVERLOADED, Code.MALFORMED, Code.UNKNOWN_ERROR)
_ATTRIBUTION: Final = (Code.LOOKUP_TYPE_MISSING, Code.UNKNOWN_ATTRIBUTION)
# The gate's, too, but found out by endpoints: in the gate's form or in the endpoint's own.
_EITHER: Final = frozenset({Code.MALFORMED, Code.BODY_TOO_LARGE, *_ATTRIBUTION})
# Refused as a whole, unless a coupon's own rule has the same number (v2-coupon 4, 7-10).
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
_BY_COUPON: Final = frozenset({Code.INVALID_AMOUNT})
_SUCCESSES: Final = frozenset({Code.SERIES_FIELDS_SAVED})
# What v1.1 answers in place of what V2 does.
_ONLY_V11: Final = frozenset({Code.SOME_FAILED, Code.CODE_LIMIT_REACHED_V11, Code.USED_BY_ASKER})
_OWN: Final = (
    Operation(
        TOKEN_PATH,
        "post",
        "An access token for an OAuth client",
        TokenResponse,
        V3Errors,
        TokenBody,
        codes=(Code.UNAUTHENTICATED,),
        refusal_status=401,
        is_open=True,
    ),
    Operation("/healthz", "get", "Whether the process answers", dict[str, str], is_open=True),
    Operation("/readyz", "get", "Whether the database answers", dict[str, str | int], dict[str, str | int], is_open=True),
    Operation("/metrics", "get", "Numbers for Prometheus", str, content_type="text/plain", is_open=True),
    Operation("/openapi.json", "get", "This description", dict[str, Any], is_open=True),
    Operation("/docs", "get", "This description to read", str, content_type="text/html", is_open=True),
)


class _Refusal(NamedTuple):
    """An HTTP status that is not 200, one thing that it says, and the type of the body that comes with it."""

    status: int
    line: str
    body: Any


def _operations() -> tuple[Operation, ...]:
    return (*(one for area in AREAS for one in area.OPERATIONS), *_OWN)


def rendered() -> bytes:
    """The document as it is served and committed."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=2) + b"\n"


def document() -> dict[str, Any]:
    """The whole OpenAPI document."""
    kinds = [kind for one in _operations() for kind in (one.body, one.response, one.failure, _gate_form(one)) if kind is not None]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    schema_of = dict(zip(map(repr, kinds), schemas, strict=True))
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
            "headers": {
                "RequestId": _header("names this request; the X-CAP-REQUEST-ID that it came with", is_always=True),
                "Replayed": _header("`true` for the first answer to an Idempotency-Key, `derived` for that to the same bill"),
            },
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic", "description": "till code, and the MD5 hex of its password"},
                "bearer": {"type": "http", "scheme": "bearer", "description": "an access token"},
                "token": {"type": "apiKey", "in": "header", "name": "X-CAP-API-OAUTH-TOKEN", "description": "an access token"},
            },
        },
    }


def _header(meaning: str, *, is_always: bool = False) -> dict[str, Any]:
    return {"description": meaning, "required": is_always, "schema": {"type": "string"}}


def _operation(one: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": one.summary,
        "operationId": one.method + "".join(part.title() for part in one.path.translate(_TO_SLASHES).split("/")),
        "responses": _responses(one, schema_of),
    }
    if one.parameters:
        described["parameters"] = [_parameter(parameter) for parameter in one.parameters]
    if one.body:
        content = {one.body_type: {"schema": schema_of[repr(one.body)]}}
        described["requestBody"] = {"required": True, "content": content}
    schemes = () if one.is_open else ("bearer", "token") if _is_admin(one) else ("basic", "bearer", "token")
    described["security"] = [{scheme: []} for scheme in schemes]
    return described


_TO_SLASHES: Final = str.maketrans("_.-", "///", "{}")


def _parameter(parameter: Parameter) -> dict[str, Any]:
    is_in_path = parameter.place == "path"
    schema: dict[str, Any] = dict(_ID) if (is_in_path and not parameter.is_name) or parameter.is_number else {"type": "string"}
    if parameter.values:
        schema["enum"] = list(parameter.values)
    described = {"name": parameter.name, "in": parameter.place, "description": parameter.meaning, "schema": schema}
    return {**described, "required": True} if is_in_path or parameter.is_required else described


def _responses(one: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    """By HTTP status: the codes that come with it, and the forms that the body may have."""
    named = {"X-Cap-Requestid": {"$ref": "#/components/headers/RequestId"}}
    again = {"Idempotency-Replayed": {"$ref": "#/components/headers/Replayed"}} if KEY in one.parameters else {}
    told = _meaning(_by_rules(one)) if one.refusal_status == _OK else ""
    ok = {one.content_type: {"schema": schema_of[repr(one.response)]}}
    responses = {str(one.success_status): {"description": told or "Success", "headers": {**named, **again}, "content": ok}}
    refusals = list(_refusals(one))
    for status in sorted({refusal.status for refusal in refusals}):
        of_it = [refusal for refusal in refusals if refusal.status == status]
        lines = "; ".join(dict.fromkeys(refusal.line for refusal in of_it))
        forms = list({repr(refusal.body): schema_of[repr(refusal.body)] for refusal in of_it}.values())
        schema = forms[0] if len(forms) == 1 else {"anyOf": forms}
        media_type = PROBLEM_TYPE if _is_admin(one) else _JSON
        responses[str(status)] = {"description": lines, "headers": named, "content": {media_type: {"schema": schema}}}
    return responses


def _refusals(one: Operation) -> Iterator[_Refusal]:
    """All that a request may be refused with as a whole, the gate's first."""
    if one.path == "/readyz":
        yield _Refusal(503, "not ready", one.failure)
    if one.is_open and not one.body:
        return
    for code in _gate_of(one):
        yield _Refusal(http_status(code), _meaning([code]), _gate_form(one))
    by_rules = [] if one.refusal_status == _OK else [code for code in _by_rules(one) if code not in _SUCCESSES]
    by_shape = [code for code in _judged(one) if code in _WHOLE or code.is_service_failure]
    anywhere = () if one.is_open else _anywhere(one)
    for code in (*by_rules, *by_shape, *(code for code in _gate_of(one) if code in _EITHER), *anywhere):
        yield _Refusal(http_status(code), _meaning([code]), one.failure)
    yield from (_Refusal(status, meaning, one.failure) for status, meaning in one.refusals)


def _gate_of(one: Operation) -> list[Code]:
    with_body = [Code.UNSUPPORTED_MEDIA_TYPE, Code.BODY_TOO_LARGE] if one.method != "get" else []
    if one.path.startswith(UPLOADS):
        with_body = with_body[1:]  # what is no form is refused by the endpoint (400)
    if one.is_open:
        return [*_TOKEN_GATE, *with_body]
    is_attributed = all(header in one.parameters for header in GATE_HEADERS)
    by_path = (Code.UNKNOWN_RESOURCE,) if "{" in one.path else ()
    return [*_GATE, *with_body, *by_path, *(_ATTRIBUTION if is_attributed else ())]


def _gate_form(one: Operation) -> type[Errors | ProblemDetails | UploadFailure | V3Errors]:
    if one.path.startswith(UPLOADS):
        return UploadFailure
    return ProblemDetails if _is_admin(one) else V3Errors if one.path.startswith("/v3/") else Errors


def _is_admin(one: Operation) -> bool:
    return one.path.startswith(ADMIN)


def _judged(one: Operation) -> list[Code]:
    lettered = [code for code in Code if one.on and one.on in code.on.split() and not code.topic and code not in _ONLY_V11]
    return [*lettered, *one.codes]


def _by_rules(one: Operation) -> list[Code]:
    """What a rule says, for or against: in the codes' own HTTP status where that is not 200."""
    return [code for code in _judged(one) if code not in _WHOLE - _BY_COUPON and not code.is_service_failure]


def _anywhere(one: Operation) -> list[Code]:
    known = {*_GATE, *_judged(one)}
    return [code for code in Code if code.on == "*" and code.is_service_failure and not code.topic and code not in known]


def _meaning(codes: Sequence[Code]) -> str:
    return "; ".join(dict.fromkeys(f"{code.number} {code.message}" for code in codes))
