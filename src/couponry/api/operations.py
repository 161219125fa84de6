"""Endpoints for whoever operates the server, not for tills: health, readiness, metrics and the API's description."""

import asyncio
from collections.abc import Callable

import falcon.asgi
import msgspec

from couponry.api.call import Call, Reply
from couponry.ledger import Ledger
from couponry.telemetry import METRICS_TYPE, Metrics


class Healthz:
    """Whether this process answers at all."""

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """200 as long as there is anybody to say it."""
        Reply(200, b'{"status":"ok"}').write(resp)


class Readyz:
    """Whether requests should be sent here: the database answers, and the process is not going away."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """200, or 503 with what is missing."""
        refused = self._ledger.admission()
        if refused:
            Reply(503, msgspec.json.encode({"status": "refusing", "code": refused.number})).write(resp)
        elif await asyncio.to_thread(self._ledger.is_reachable):
            Reply(200, b'{"status":"ok"}').write(resp)
        else:
            Reply(503, b'{"status":"database unreachable"}').write(resp)


class MetricsPage:
    """The numbers of this process for Prometheus."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """All of them, as text."""
        Reply(200, self._metrics.text(), {"Content-Type": METRICS_TYPE}).write(resp)


class Page:
    """A page that is made once, when somebody first asks for it."""

    def __init__(self, make: Callable[[], bytes], content_type: str) -> None:
        self._make = make
        self._content_type = content_type
        self._body: bytes | None = None

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """The page; it loads nothing from anywhere."""
        self._body = self._body or self._make()
        headers = {"Content-Type": self._content_type, "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        Reply(200, self._body, headers).write(resp)
