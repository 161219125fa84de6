"""The console's application, beside the API's: its pages, its own files, and what happens to errors."""

from typing import Any, Final

import falcon
import falcon.asgi
import structlog

from couponry.console.areas import AREAS
from couponry.console.gate import ConsoleGate, Resource
from couponry.console.pages import FOLDER, HTML, ROOT, Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit
from couponry.core.roles import Permission

_TYPES: Final = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

log = structlog.get_logger()

ConsoleApp = falcon.asgi.App[Visit, falcon.asgi.Response]


def application(parts: ConsoleParts) -> ConsoleApp:
    """Every page behind the gate."""
    pages = Pages(parts.secret)
    app: ConsoleApp = falcon.asgi.App(media_type=HTML, request_type=Visit, middleware=ConsoleGate(parts, pages))
    app.req_options.strip_url_path_trailing_slash = True
    routes: dict[str, Resource] = {"/static/{name}": Static()}
    for area in AREAS:
        routes |= area.routes(parts, pages)
    for path, resource in routes.items():
        app.add_route((ROOT + path).removesuffix("/"), resource)
    app.add_error_handler(falcon.HTTPError, Refusing(pages).on_http_error)
    app.add_error_handler(Exception, Refusing(pages).on_bug)
    return app


class Refusing:
    """Errors as pages."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def on_http_error(
        self, visit: Visit, resp: falcon.asgi.Response, error: falcon.HTTPError, _params: dict[str, Any]
    ) -> None:
        """What Falcon refuses itself: no such page, no such method."""
        if isinstance(error, falcon.HTTPNotFound):
            self._pages.missing(visit, resp)
            return
        self._pages.problem(visit, resp, error.status_code, "That cannot be asked here", error.title or "")

    async def on_bug(self, visit: Visit, resp: falcon.asgi.Response, error: Exception, _params: dict[str, Any]) -> None:
        """Everything about it in the log only."""
        log.error("request_broken", request_id=visit.request_id, method=visit.method, path=visit.path, exc_info=error)
        why = f"We have noted it under {visit.request_id}."
        self._pages.problem(visit, resp, 500, "Something went wrong on our side", why)


class Static:
    """Our own style sheet, script and pictures; read once. Their address changes whenever they do."""

    NEEDS = NEEDS_TO_POST = Permission.BE_SIGNED_IN

    def __init__(self) -> None:
        self._files = {path.name: path.read_bytes() for path in (FOLDER / "static").iterdir() if path.suffix in _TYPES}

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, name: str) -> None:
        """A file."""
        if name not in self._files:
            raise falcon.HTTPNotFound
        resp.data = self._files[name]
        resp.content_type = _TYPES[f".{name.rpartition('.')[2]}"]
        resp.set_header("Cache-Control", "public, max-age=31536000, immutable")
