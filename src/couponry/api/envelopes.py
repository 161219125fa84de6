"""How a failure looks on the wire: the HTTP status of each code, and one body shape per family of endpoints (README 4, 5)."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Final, Literal

import msgspec
from msgspec import Struct

from couponry.api.call import Call, Reply
from couponry.core.problem import Problem
from couponry.core.status import Code

ADMIN: Final = "/admin/"
UPLOADS: Final = "/coupon/api/v1/upload/"
ADMIN_UPLOADS: Final = "/admin/v1/uploads"
V1: Final = ("/v1.1/", "/v1/")
"""v1.1, and what is left of v1."""

PROBLEM_TYPE: Final = "application/problem+json"
_NO_HEADERS: Final = MappingProxyType[str, str]({})
_HTTP_STATUS: Final = MappingProxyType(
    {
        Code.UNAUTHENTICATED: 401,
        Code.ACCESS_DENIED: 403,
        Code.AUTHORISATION_UNAVAILABLE: 503,
        Code.RATE_LIMITED: 429,
        Code.UNKNOWN_RESOURCE: 404,
        Code.WRONG_METHOD: 405,
        Code.UNSUPPORTED_MEDIA_TYPE: 415,
        Code.BODY_TOO_LARGE: 413,
        Code.CUSTOMER_BUSY: 521,
        Code.PROCESSING_ERROR: 500,
    }
)


class E(Struct, frozen=True, gc=False):
    """An error or a warning (README 4.1)."""

    status: bool
    code: int
    message: str


class Errors(Struct, frozen=True):
    """The failure of a V2 request as a whole."""

    errors: list[E]
    warnings: list[E] = []


class UploadFailure(Struct, frozen=True, kw_only=True):
    """The failure of a request about uploads (README 4.3); `status` is the HTTP status."""

    success: Literal[False] = False
    status: int
    message: str


class ProblemDetails(Struct, frozen=True, rename="lower"):
    """The failure of an admin request (RFC 9457). `code` is the contract's number, or a word of ours."""

    title: str
    status: int
    code: int | str
    detail: str = ""
    type: str = "about:blank"


class V3Error(Struct, frozen=True, gc=False):
    """An error of a v3 endpoint."""

    code: int
    message: str


class V3Errors(Struct, frozen=True):
    """The failure of a v3 request."""

    errors: list[V3Error]
    data: None = None


def http_status(code: Code) -> int:
    """The HTTP status of a request refused as a whole (README 5)."""
    return _HTTP_STATUS.get(code) or (500 if code.is_service_failure else 400)


def headers_of(code: Code) -> MappingProxyType[str, str]:
    """`Retry-After` for what may succeed a moment later, `Connection: close` from an instance that is going away."""
    headers = {}
    if code.is_retryable:
        headers["Retry-After"] = "1"
    if code is Code.DRAINING:
        headers["Connection"] = "close"
    if code is Code.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = 'Basic realm="couponry"'
    return MappingProxyType(headers) if headers else _NO_HEADERS


@cache
def error_of(code: Code) -> E:
    """The error object of a code."""
    return E(status=False, code=code.number, message=code.message)


@cache
def v2_failure(code: Code) -> Reply:
    """A V2 request refused as a whole."""
    return Reply(http_status(code), msgspec.json.encode(Errors([error_of(code)])), headers_of(code))


@cache
def v3_failure(code: Code, message: str | None = None) -> Reply:
    """A v3 request refused."""
    body = msgspec.json.encode(V3Errors([V3Error(code.number, message or code.message)]))
    return Reply(http_status(code), body, headers_of(code))


def upload_failure(refused: Code | Problem) -> Reply:
    """A request about uploads refused, with a code of the contract, or for what it says (400)."""
    if isinstance(refused, Problem):
        return Reply(400, msgspec.json.encode(UploadFailure(status=400, message=refused.text)))
    status = http_status(refused)
    return Reply(status, msgspec.json.encode(UploadFailure(status=status, message=refused.message)), headers_of(refused))


def admin_failure(code: Code) -> Reply:
    """An admin request refused, or failed, with a code of the contract."""
    return problem(Problem(code.number, code.message), http_status(code), headers_of(code))


def problem(refused: Problem, status: int = 400, headers: Mapping[str, str] = _NO_HEADERS) -> Reply:
    """An admin request refused for what it says."""
    body = msgspec.json.encode(ProblemDetails(refused.message, status, refused.code, refused.detail))
    return Reply(status, body, {**headers, "Content-Type": PROBLEM_TYPE})


def failure(call: Call, code: Code) -> Reply:
    """A request refused before its endpoint had a say, in the form of the path's family."""
    path = call.path
    if path.startswith(V1):
        return call.wire.failure(code)
    if path.startswith(ADMIN):
        return admin_failure(code)
    if path.startswith(UPLOADS):
        return upload_failure(code)
    return v3_failure(code) if path.startswith("/v3/") else v2_failure(code)
