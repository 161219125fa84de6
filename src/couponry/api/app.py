"""The HTTP application of one process: its routes, its beginning and end, and what happens to errors."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

import falcon
import falcon.asgi
import structlog

from couponry.api import docs, openapi
from couponry.api.areas import AREAS
from couponry.api.call import Call
from couponry.api.envelopes import V1, failure
from couponry.api.gate import TOKEN_PATH, Gate
from couponry.api.oauth import TokenGenerate
from couponry.api.operations import Healthz, MetricsPage, Page, Readyz
from couponry.api.parts import Parts
from couponry.api.rates import Rates
from couponry.api.server import DrainingLoop
from couponry.api.v1_1 import paths
from couponry.core.limits import REQUEST_READ_MS_MAX
from couponry.core.status import Code

_JSON: Final = "application/json; charset=utf-8"
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

log = structlog.get_logger()


class App(falcon.asgi.App[Call, falcon.asgi.Response]):
    """Falcon's application, which does not wait forever for a body. Looking once a second costs less than a timer per request."""

    def __init__(self, *, media_type: str, middleware: Gate) -> None:
        super().__init__(media_type=media_type, request_type=Call, middleware=middleware)
        self._seconds = 0
        self._reading: dict[asyncio.Task[object], int] = {}

    async def __call__(  # type: ignore[override] # as Falcon itself overrides its WSGI application
        self, scope: dict[str, Any], receive: Receive, send: Send
    ) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["method"] in _WITH_BODY:
            receive = partial(self._receive_in_time, receive)
        await super().__call__(scope, receive, send)

    async def _receive_in_time(self, receive: Receive) -> Mapping[str, Any]:
        task = asyncio.current_task()
        assert task, "a server runs requests in tasks"
        self._reading[task] = self._seconds
        try:
            return await receive()
        finally:
            del self._reading[task]

    async def give_up_slow_senders(self) -> None:
        """End requests whose body has been waited for too long, until cancelled."""
        while True:
            await asyncio.sleep(1)
            self._seconds += 1
            for task, since_s in tuple(self._reading.items()):
                if (self._seconds - since_s) * 1000 > REQUEST_READ_MS_MAX:
                    task.cancel()


class Lifespan:
    """Falcon calls this when the process starts and stops serving."""

    def __init__(self, app: App, parts: Parts) -> None:
        self._app = app
        self._parts = parts

    async def process_startup(self, scope: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        """Start the ledger; from now on a signal drains it first."""
        self._parts.ledger.start()
        loop = asyncio.get_running_loop()
        if isinstance(loop, DrainingLoop):
            loop.drain = self._drain
        self._tasks = [loop.create_task(self._app.give_up_slow_senders()), loop.create_task(self._parts.announce())]

    async def _drain(self, notice_ms: int) -> None:
        await asyncio.gather(self._parts.ledger.drain(), asyncio.sleep(notice_ms / 1000))

    async def process_shutdown(self, scope: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        """Let go of everything; after a drain the ledger has nothing left to do."""
        await self._parts.ledger.drain()
        for task in self._tasks:
            task.cancel()
        await self._parts.redeeming.close()
        self._parts.issuing.close()
        self._parts.authenticator.close()
        self._parts.back_office.close()
        self._parts.on_stop()


def application(parts: Parts) -> App:
    """Everything that is served, behind the gate."""
    admission = parts.ledger.admission
    gate = Gate(
        parts.authenticator,
        Rates(parts.rate_limits),
        admission,
        parts.metrics,
        parts.request_ids,
        parts.wires,
        parts.back_office,
        parts.clock,
    )
    app = App(media_type=_JSON, middleware=gate)
    app.add_middleware(Lifespan(app, parts))
    app.req_options.strip_url_path_trailing_slash = True
    routes: dict[str, object] = {
        TOKEN_PATH: TokenGenerate(parts.authenticator, parts.tokens),
        "/healthz": Healthz(),
        "/readyz": Readyz(parts.ledger),
        "/metrics": MetricsPage(parts.metrics),
        "/openapi.json": Page(openapi.rendered, _JSON),
        "/docs": Page(docs.rendered, "text/html; charset=utf-8"),
    }
    for area in AREAS:
        routes |= area.routes(parts)
    for path, resource in routes.items():
        app.add_route(path, resource)
    app.add_error_handler(falcon.HTTPError, _on_http_error)
    app.add_error_handler(Exception, _on_bug)
    return app


async def _on_http_error(req: Call, resp: falcon.asgi.Response, error: falcon.HTTPError, _params: dict[str, Any]) -> None:
    """What Falcon refuses itself: no such path, no such method, a header that cannot be read."""
    match error.status_code:
        case 404:
            code = paths.unknown(req.path) if req.path.startswith(V1) else Code.UNKNOWN_RESOURCE
        case 405:
            code = Code.WRONG_METHOD
        case 400 if req.method not in falcon.HTTP_METHODS:
            code = Code.WRONG_METHOD
        case _:
            code = Code.MALFORMED
    failure(req, code).write(resp)
    for name, value in dict(error.headers or {}).items():
        resp.set_header(name, value)


async def _on_bug(req: Call, resp: falcon.asgi.Response, error: Exception, _params: dict[str, Any]) -> None:
    """730, in v1.1 407, and everything about it in the log only."""
    log.error("request_broken", request_id=req.request_id, method=req.method, path=req.path, exc_info=error)
    code = Code.PROCESSING_ERROR if req.path.startswith(V1) else Code.UNKNOWN_ERROR
    failure(req, code).write(resp)
