"""The request gate in the contract's order (status-codes 4): 401, 403/4000 or 503/4001, 429, 404/405/415, 790, 789.

A Falcon middleware. What comes before routing needs no endpoint; media type and admission are asked once the endpoint is known.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

import falcon.asgi
import structlog

from couponry.api.authentication import Authenticator
from couponry.api.call import Call
from couponry.api.envelopes import ADMIN_UPLOADS, UPLOADS, V1, failure
from couponry.api.rates import Rates
from couponry.api.v1_1 import formats, paths
from couponry.api.v1_1.wire import Wires
from couponry.core.limits import IDENTIFIER_CHARS_MAX
from couponry.core.status import Code
from couponry.store import audit
from couponry.store.audit import Actor
from couponry.store.back_office import BackOffice
from couponry.telemetry import Metrics, RequestIds

TOKEN_PATH: Final = "/v3/oauth/token/generate"  # noqa: S105 - a path
DEMO_MAILBOX: Final = "/demo/mailbox"
"""There in a demo only."""
_API: Final = ("/v2/", *V1, "/v3/", UPLOADS, "/admin/v1/")
# All that may be asked for without a credential. Whatever is neither here nor below an API prefix is not even routed, so that no
# other spelling of a path (`//v2/...`) can lead around the gate.
_OPEN: Final = frozenset({TOKEN_PATH, "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", DEMO_MAILBOX})
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_FAILED: Final = 400
_BROKEN: Final = 500

log = structlog.get_logger()


class Gate:
    """Lets requests in, and counts what leaves."""

    def __init__(
        self,
        authenticator: Authenticator,
        rates: Rates,
        admission: Callable[[], Code | None],
        metrics: Metrics,
        request_ids: RequestIds,
        wires: Wires,
        back_office: BackOffice,
        clock: Callable[[], int],
    ) -> None:
        self._authenticator = authenticator
        self._rates = rates
        self._admission = admission
        self._metrics = metrics
        self._request_ids = request_ids
        self._wires = wires
        self._back_office = back_office
        self._clock = clock

    async def process_request(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Before routing: name the request, then 401, 403, 503 and 429 for everything below an API prefix."""
        req.started_s = perf_counter()
        req.is_turned_away = False
        req.request_id = self._request_ids.take(req.raw_header(b"x-cap-request-id"))
        path = req.path
        if path in _OPEN:
            return
        if not path.startswith(_API):
            _refuse(req, resp, Code.UNKNOWN_RESOURCE)
            return
        if path.startswith(V1):
            req.path, suffix = paths.canonical(path)
            req.wire = self._wires.of(req, suffix)
            path = req.path
        principal = await self._authenticator.principal_of(req)
        if isinstance(principal, Code):
            _refuse(req, resp, principal)
            return
        req.principal = principal
        refused = principal.access_refusal(path, is_write=req.method not in _READS)
        if refused:
            _refuse(req, resp, refused)
            return
        if principal.role and req.method not in _READS and isinstance(noted := await self._note(req), Code):
            _refuse(req, resp, noted)
            return
        wait_s = self._rates.wait_s(req.method, path, principal.scope)
        if wait_s:
            _refuse(req, resp, Code.RATE_LIMITED)
            resp.set_header("Retry-After", str(wait_s))

    async def _note(self, req: Call) -> Code | None:
        """What people ask for stands in the audit log before it is done, as in the console."""
        identity = req.principal.identity
        actor = Actor(
            org_id=identity.login.org_id,
            user_id=identity.login.id,
            email=identity.name,
            address=self._authenticator.address_of(req),
            request_id=req.request_id,
            now_ms=self._clock(),
        )
        subject = ("api", f"{req.method} {req.path}"[:IDENTIFIER_CHARS_MAX])
        return await self._back_office.write(lambda tx: audit.record(tx, actor, "asked: admin API", subject))

    async def process_resource(self, req: Call, resp: falcon.asgi.Response, resource: object, _params: dict[str, Any]) -> None:
        """Once the endpoint is known: 405 is Falcon's, except for OPTIONS, which it would answer; then 415, 790 and 789."""
        if not req.path.startswith(_API):
            return
        if req.method == "OPTIONS":
            _refuse(req, resp, Code.WRONG_METHOD)
        if not hasattr(resource, f"on_{req.method.lower()}"):
            return
        if req.method not in _READS and not _is_readable(req):
            _refuse(req, resp, Code.UNSUPPORTED_MEDIA_TYPE)
            return
        refused = self._admission()
        if refused:
            req.is_turned_away = True
            _refuse(req, resp, refused)

    async def process_response(self, req: Call, resp: falcon.asgi.Response, _resource: object, _ok: bool) -> None:  # noqa: FBT001 - Falcon's own signature
        """Name the request to its sender, and count it.

        Only what failed leaves a line in the log; what was turned away at the door may come by the thousands, and leaves none.
        """
        resp.set_header("X-Cap-Requestid", req.request_id)
        status = resp.status_code
        seconds = perf_counter() - req.started_s
        route = req.uri_template or "-"
        self._metrics.request(route, status, seconds)
        if status >= _FAILED and not req.is_turned_away:
            write = log.warning if status >= _BROKEN else log.info
            write("request_failed", request_id=req.request_id, method=req.method, route=route, status=status)


def _is_readable(req: Call) -> bool:
    """Whether the body claims to be what its path takes; below the prefix of uploads the endpoint says what is wrong (400)."""
    if req.path.startswith(UPLOADS):
        return True
    if req.path == ADMIN_UPLOADS:
        return req.has_multipart_body()
    return req.has_json_body() or (req.path.startswith(V1) and formats.is_read(req))


def _refuse(req: Call, resp: falcon.asgi.Response, code: Code) -> None:
    failure(req, code).write(resp)
    resp.complete = True
