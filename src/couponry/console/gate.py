"""Who gets in: sessions, permissions, and that a form comes from a page of ours.

Every resource says what it takes to see it (`NEEDS`) and to post to it (`NEEDS_TO_POST`); one that does not is not served.
"""

import asyncio
from time import perf_counter
from typing import Final, Protocol
from urllib.parse import quote

import falcon.asgi
import structlog

from couponry.console.pages import ROOT, SAFE_CONTENT, Pages, forget
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Form, Visit
from couponry.core.limits import FORM_BYTES_MAX, REQUEST_READ_MS_MAX
from couponry.core.proxies import client_address
from couponry.core.roles import Permission
from couponry.core.status import Code
from couponry.store import sessions

SESSION_COOKIE: Final = sessions.COOKIE
OPEN: Final = frozenset({f"{ROOT}/sign-in", f"{ROOT}/sign-in/code", f"{ROOT}/static/{{name}}"})
"""Routes for whoever is not signed in."""
ACCOUNT: Final = f"{ROOT}/account"
_FIRST: Final = frozenset({ACCOUNT, f"{ACCOUNT}/password", f"{ROOT}/sign-out"})
"""Routes for whoever has to change the password that they were given."""
_FORM: Final = "application/x-www-form-urlencoded"
_UPLOAD: Final = "multipart/form-data"
_FAILED: Final = 400
_BROKEN: Final = 500

log = structlog.get_logger()


class Resource(Protocol):
    """A page: what it takes to see it, and to post to it."""

    NEEDS: Permission
    NEEDS_TO_POST: Permission


class ConsoleGate:
    """Lets people in, and sees that answers are safe to show."""

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts = parts
        self._pages = pages

    async def process_request(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """Name the request, and find out who is signed in."""
        visit.started_s = perf_counter()
        visit.now_ms = self._parts.clock()
        visit.request_id = self._parts.request_ids.take(None)
        forwarded = visit.get_header("X-Forwarded-For", default="")
        visit.address = client_address(visit.remote_addr, forwarded, self._parts.trusted_proxies)
        visit.maybe_session = None
        visit.form = Form()
        token = visit.cookies.get(SESSION_COOKIE, "")
        if not token or visit.path.startswith(f"{ROOT}/static/"):
            return
        session = await self._parts.back_office.read(lambda tx: sessions.read(tx, token, visit.now_ms))
        if isinstance(session, Code):
            self._pages.failed(visit, resp, session)
            resp.complete = True
            return
        visit.maybe_session = session
        if session and session.is_stale:
            await self._parts.back_office.write(lambda tx: sessions.seen(tx, session, visit.now_ms))

    async def process_resource(
        self, visit: Visit, resp: falcon.asgi.Response, resource: Resource, _params: dict[str, object]
    ) -> None:
        """Once the page is known: sign in first, then what one may do, then where the form comes from."""
        is_post = visit.method not in {"GET", "HEAD"}
        if visit.uri_template not in OPEN:
            if visit.maybe_session is None:
                self._ask_who(visit, resp)
                return
            if visit.session.person.must_change and visit.uri_template not in _FIRST:
                self._pages.go(visit, resp, "/account", "Please choose a password of your own first.")
                resp.complete = True
                return
            if not visit.may(resource.NEEDS_TO_POST if is_post else resource.NEEDS):
                what = "You may not do that" if is_post else "You may not see this page"
                self._stop(visit, resp, 403, what, f"It takes more than the role {visit.session.person.role}.")
                return
        if is_post:
            await self._read_form(visit, resp)

    async def process_response(
        self,
        visit: Visit,
        resp: falcon.asgi.Response,
        _resource: object,
        _ok: bool,  # noqa: FBT001 - Falcon's own signature
    ) -> None:
        """Safe to show, kept by nobody, and counted."""
        resp.set_header("X-Cap-Requestid", visit.request_id)
        resp.set_header("X-Content-Type-Options", "nosniff")
        resp.set_header("Referrer-Policy", "same-origin")
        resp.set_header("Cross-Origin-Opener-Policy", "same-origin")
        if not resp.get_header("Content-Security-Policy"):
            resp.set_header("Content-Security-Policy", SAFE_CONTENT)
        if not resp.get_header("Cache-Control"):
            resp.set_header("Cache-Control", "no-store")
        status, route = resp.status_code, visit.uri_template or "-"
        self._parts.metrics.request(route, status, perf_counter() - visit.started_s)
        if status >= _FAILED:
            write = log.warning if status >= _BROKEN else log.info
            write("request_failed", request_id=visit.request_id, method=visit.method, route=route, status=status)

    def _ask_who(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """Sign in, and come back to where one was. What the browser still holds of a session that is over is taken back."""
        if SESSION_COOKIE in visit.cookies:
            forget(visit, resp, SESSION_COOKIE)
        here = f"/{visit.relative_uri.removeprefix(ROOT).lstrip('/')}" if visit.method == "GET" else "/"
        self._pages.go(visit, resp, f"/sign-in?next={quote(here, safe='')}")
        resp.complete = True

    async def _read_form(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """Read a form, and see that it is ours: by where it comes from, and by the session's own secret in it.

        A form with a file carries that in its address, so that it is known before the file is read.
        """
        media_type = (visit.content_type or "").partition(";")[0].strip().lower()
        sent = ""
        if media_type == _UPLOAD:
            sent = visit.query("csrf")
        else:
            body = await _body(visit)
            form = Form.read(body) if len(body) <= FORM_BYTES_MAX and media_type in {_FORM, ""} else None
            if form is None:
                self._stop(visit, resp, 400, "That form cannot be read", "Please go back, and send it again.")
                return
            visit.form, sent = form, form.text("csrf")
        is_known = visit.maybe_session is None or self._pages.is_csrf(visit.maybe_session, sent)
        if not _is_ours(visit) or not is_known:
            self._stop(visit, resp, 403, "That form is out of date", "Please go back, load the page again, and send it again.")

    def _stop(self, visit: Visit, resp: falcon.asgi.Response, status: int, what: str, why: str) -> None:
        self._pages.problem(visit, resp, status, what, why)
        resp.complete = True


async def _body(visit: Visit) -> bytes:
    """A form as it was sent, if it is sent in time; a byte too many for one that is too long."""
    try:
        async with asyncio.timeout(REQUEST_READ_MS_MAX / 1000):
            return await visit.stream.read(FORM_BYTES_MAX + 1)
    except TimeoutError:
        return b" " * (FORM_BYTES_MAX + 1)


def _is_ours(visit: Visit) -> bool:
    """Whether a browser sent this from a page of ours, as far as it says so: new ones by one header, older ones by another."""
    if site := visit.get_header("Sec-Fetch-Site"):
        return site in {"same-origin", "none"}
    origin = visit.get_header("Origin")
    return origin is None or origin.partition("://")[2] in {visit.netloc, visit.forwarded_host}
