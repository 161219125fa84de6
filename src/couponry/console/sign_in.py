"""Sign in and out. A wrong password and an unknown e-mail take the same time and get the same answer; who fails waits longer."""

import asyncio
import secrets
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import falcon.asgi

from couponry.console.gate import SESSION_COOKIE, Resource
from couponry.console.pages import Pages, cookie, forget, is_loopback
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit
from couponry.core.limits import CREDENTIAL_CHARS_MAX, SESSION_MS_MAX
from couponry.core.proxies import site_of
from couponry.core.roles import Permission
from couponry.core.slowdown import Slowdown
from couponry.core.status import Code
from couponry.store import audit, passwords, sessions
from couponry.store.engine import WriteTransaction

_WRONG: Final = "That e-mail and password do not belong together."


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """Sign in, sign out."""
    return {"/sign-in": SignIn(parts, pages), "/sign-out": SignOut(parts, pages)}


class SignIn:
    """Who is there."""

    NEEDS = NEEDS_TO_POST = Permission.BE_SIGNED_IN  # nobody asks: the gate leaves it open

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages
        self._slowdown = Slowdown(parts.clock)

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """The form."""
        self._show(visit, resp)

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """Look at what was filled in; go on to where one wanted to be."""
        email, password = visit.form.text("email").lower(), visit.form.text("password")
        keys = (email, site_of(visit.address))
        await asyncio.sleep(self._slowdown.wait_ms(*keys) / 1000)
        person = await self._person(email, password)
        if isinstance(person, Code):
            self._pages.failed(visit, resp, person)
            return
        if person is None:
            self._slowdown.failed(*keys)
            self._show(visit, resp, problem=_WRONG)
            return
        self._slowdown.succeeded(*keys)
        await self._begin(visit, resp, person)

    async def _person(self, email: str, password: str) -> sessions.Person | Code | None:
        found = await self._parts.back_office.read(lambda tx: sessions.person_of(tx, email))
        if isinstance(found, Code) or len(password) > CREDENTIAL_CHARS_MAX:
            return found if isinstance(found, Code) else None
        stored = found.password_hash if found and found.is_active else _hash_of_nobody()
        is_right = await asyncio.to_thread(passwords.is_secret, password, stored)
        return found if is_right else None

    async def _begin(self, visit: Visit, resp: falcon.asgi.Response, person: sessions.Person) -> None:
        token = f"{person.org_id}.{self._parts.new_token()}"
        actor = audit.Actor(
            org_id=person.org_id,
            user_id=person.id,
            email=person.email,
            address=visit.address,
            request_id=visit.request_id,
            now_ms=visit.now_ms,
        )

        def write(tx: WriteTransaction) -> None:
            sessions.begin(tx, person, token, visit.now_ms)
            audit.record(tx, actor, "sign in", ("user", person.id))

        if isinstance(refused := await self._parts.back_office.write(write), Code):
            self._pages.failed(visit, resp, refused)
            return
        cookie(visit, resp, SESSION_COOKIE, token, max_age_s=SESSION_MS_MAX // 1000)
        self._pages.go(visit, resp, _next_of(visit.form.text("next")))

    def _show(self, visit: Visit, resp: falcon.asgi.Response, problem: str = "") -> None:
        is_plain = visit.forwarded_scheme == "http" and not is_loopback(visit)
        self._pages.show(
            visit,
            resp,
            "sign_in.html",
            status=401 if problem else 200,
            problem=problem,
            is_plain=is_plain,
            email=visit.form.text("email"),
            next=_next_of(visit.form.text("next") or visit.query("next")),
        )


class SignOut:
    """The session ends here and at the server."""

    NEEDS = NEEDS_TO_POST = Permission.BE_SIGNED_IN

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """End it."""
        session = visit.session
        ended = await self._parts.back_office.write(lambda tx: sessions.end(tx, session.org.id, session.token))
        if isinstance(ended, Code):
            self._pages.failed(visit, resp, ended)
            return
        forget(visit, resp, SESSION_COOKIE)
        self._pages.go(visit, resp, "/sign-in", "You are signed out.")


def _next_of(wanted: str) -> str:
    """Where to go on to: a page of ours, whatever was asked for."""
    is_ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable() and wanted.isascii()
    return wanted if is_ours else "/"


@lru_cache(maxsize=1)
def _hash_of_nobody() -> str:
    return passwords.hashed(secrets.token_hex(16))
