"""Sign in and out. A wrong password and an unknown e-mail take the same time and get the same answer; who fails waits longer.

Whoever has a second factor is asked for it in a second step. Between the two the browser holds a slip that we signed: it says
whose password was right, and is worth nothing without a code.
"""

import asyncio
import hmac
from collections.abc import Mapping
from typing import Final

import falcon.asgi
from msgspec.structs import replace

from couponry.console.gate import SESSION_COOKIE, Resource
from couponry.console.pages import Pages, cookie, forget, is_loopback
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit, number_of
from couponry.core.limits import (
    FAILED_SIGN_INS_NOTED_MAX,
    HOUR_MS,
    IDENTIFIER_CHARS_MAX,
    SECOND_FACTOR_SLIP_MS,
    SESSION_MS_MAX,
    SIGN_IN_NOTES_AT_ONCE_MAX,
)
from couponry.core.roles import Permission
from couponry.core.status import Code
from couponry.store import audit, people, sessions, tallies
from couponry.store.audit import Actor
from couponry.store.engine import WriteTransaction
from couponry.store.sessions import Person

_WRONG: Final = "That e-mail and password do not belong together."
_WRONG_CODE: Final = "That code is not right, or was used before. After many wrong ones, wait a quarter of an hour."
_BUSY: Final = "Too many people are signing in at the moment. Please try again in a minute."


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """Sign in, sign out."""
    door = Door(parts, pages)
    return {
        "/sign-in": SignIn(parts, pages, door),
        "/sign-in/code": SecondStep(parts, pages, door),
        "/sign-out": SignOut(parts, pages),
    }


class Door:
    """What both steps share: letting somebody in, and noting who could not get in."""

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages
        self._key = hmac.digest(parts.secret, b"console slip", "sha256")
        self._notes: set[asyncio.Task[object]] = set()

    async def let_in(self, visit: Visit, resp: falcon.asgi.Response, person: Person, notice: str = "") -> None:
        """Begin a session with a token of its own; one that the browser had before ends."""
        token, before = f"{person.org_id}.{self._parts.new_token()}", visit.maybe_session

        def write(tx: WriteTransaction) -> None:
            if before:
                sessions.end(tx, before.org.id, before.token)
            browser = visit.get_header("User-Agent", default="")
            sessions.begin(tx, person, token, visit.now_ms, address=visit.address, browser=browser)
            tallies.forget(tx, (person.org_id, person.id), visit.now_ms)
            audit.record(tx, actor_of(visit, person), "sign in", ("user", person.id))

        if isinstance(refused := await self._parts.back_office.write(write), Code):
            self._pages.failed(visit, resp, refused)
            return
        cookie(visit, resp, SESSION_COOKIE, token, max_age_s=SESSION_MS_MAX // 1000)
        self._pages.go(visit, resp, next_of(visit.form.text("next")), notice)

    def note_failure(self, visit: Visit, person: Person, why: str) -> None:
        """Write down that somebody could not get in, but not while they wait: how long it takes must not tell who exists.

        Only so many are written down of a person in an hour, and by a server at once.
        """
        actor, since_ms = replace(actor_of(visit, person), user_id=None), visit.now_ms - visit.now_ms % HOUR_MS
        if len(self._notes) >= SIGN_IN_NOTES_AT_ONCE_MAX:
            return

        def write(tx: WriteTransaction) -> None:
            if tallies.count(tx, (person.org_id, person.id), "sign-in failed", since_ms, FAILED_SIGN_INS_NOTED_MAX):
                audit.record(tx, actor, "sign-in failed", ("user", person.id), after={"why": why})

        task = asyncio.create_task(self._parts.back_office.write(write))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    def slip(self, person: Person, now_ms: int) -> str:
        """Says whose password was right; for some minutes, and until it is changed."""
        text = f"{person.org_id}.{person.id}.{now_ms + SECOND_FACTOR_SLIP_MS}"
        return f"{text}.{self._signature(text, person)}"

    async def person_of(self, slip: str, now_ms: int) -> Person | Code | None:
        """Whose slip this is, if it is one of ours and still counts."""
        text, _, signature = slip.rpartition(".")
        numbers = [number_of(part) for part in text.split(".")]
        match numbers:
            case [int(org_id), int(user_id), int(until_ms)] if now_ms < until_ms:
                found = await self._parts.back_office.read(lambda tx: sessions.read_person(tx, org_id, user_id))
            case _:
                return None
        if not isinstance(found, Person):
            return found
        is_ours = hmac.compare_digest(self._signature(text, found).encode(), signature.encode())
        return found if is_ours and found.is_active and found.has_second_factor else None

    def _signature(self, text: str, person: Person) -> str:
        return hmac.digest(self._key, f"{text}\0{person.password_hash}".encode(), "sha256").hex()


class SignIn:
    """Who is there."""

    NEEDS = NEEDS_TO_POST = Permission.BE_SIGNED_IN  # nobody asks: the gate leaves it open

    def __init__(self, parts: ConsoleParts, pages: Pages, door: Door) -> None:
        self._parts, self._pages, self._door = parts, pages, door

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """The form; whoever is signed in need not fill it in."""
        if visit.maybe_session:
            self._pages.go(visit, resp, next_of(visit.query("next")))
        else:
            self._show(visit, resp)

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """Look at what was filled in; go on to where one wanted to be, or to the second step."""
        email = visit.form.text("email").lower()[: IDENTIFIER_CHARS_MAX + 1]
        found = await self._parts.back_office.read(lambda tx: sessions.person_of(tx, email))
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
            return
        stored = found.password_hash if found and found.is_active else None
        refused = await self._parts.passwords.refusal(("user", email), visit.address, visit.form.secret("password"), stored)
        if refused or not found:
            if found and refused is Code.UNAUTHENTICATED:
                self._door.note_failure(visit, found, "wrong password" if found.is_active else "deactivated")
            self._show(visit, resp, problem=_BUSY if refused is Code.OVERLOADED else _WRONG)
        elif found.has_second_factor:
            show_step(self._pages, visit, resp, self._door.slip(found, visit.now_ms))
        else:
            await self._door.let_in(visit, resp, found)

    def _show(self, visit: Visit, resp: falcon.asgi.Response, problem: str = "") -> None:
        is_plain = visit.forwarded_scheme == "http" and not is_loopback(visit)
        self._pages.show(
            visit,
            resp,
            "sign_in.html",
            status=401 if problem else 200,
            problem=problem,
            is_plain=is_plain,
            email=visit.form.text("email")[:IDENTIFIER_CHARS_MAX],
            next=next_of(visit.form.text("next") or visit.query("next")),
        )


class SecondStep:
    """The code of an app, or one that was written down for a lost phone."""

    NEEDS = NEEDS_TO_POST = Permission.BE_SIGNED_IN  # nobody asks: the gate leaves it open

    def __init__(self, parts: ConsoleParts, pages: Pages, door: Door) -> None:
        self._parts, self._pages, self._door = parts, pages, door

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """Nothing is kept between two steps but the form itself."""
        self._pages.go(visit, resp, "/sign-in")

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """Look at the code."""
        slip, code = visit.form.text("slip"), visit.form.text("code")
        person = await self._door.person_of(slip, visit.now_ms)
        if not isinstance(person, Person):
            self._gone(visit, resp, person)
            return
        actor = actor_of(visit, person)
        is_right = await self._parts.back_office.write(
            lambda tx: people.accept_second_factor(tx, actor, person.id, self._parts.vault, code)
        )
        if isinstance(is_right, Code):
            self._pages.failed(visit, resp, is_right)
        elif is_right:
            await self._door.let_in(visit, resp, person)
        else:
            self._door.note_failure(visit, person, "wrong code")
            show_step(self._pages, visit, resp, slip, _WRONG_CODE)

    def _gone(self, visit: Visit, resp: falcon.asgi.Response, code: Code | None) -> None:
        if code:
            self._pages.failed(visit, resp, code)
        else:
            self._pages.go(visit, resp, "/sign-in", "That took too long. Please sign in again.")


class SignOut:
    """The session ends here and at the server."""

    NEEDS = NEEDS_TO_POST = Permission.BE_SIGNED_IN

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """End it."""
        session = visit.session

        def write(tx: WriteTransaction) -> None:
            sessions.end(tx, session.org.id, session.token)
            audit.record(tx, visit.actor(), "sign out", ("user", session.person.id))

        if isinstance(ended := await self._parts.back_office.write(write), Code):
            self._pages.failed(visit, resp, ended)
            return
        forget(visit, resp, SESSION_COOKIE)
        self._pages.go(visit, resp, "/sign-in", "You are signed out.")


def actor_of(visit: Visit, person: Person) -> Actor:
    """Who signs in, for the audit log."""
    return Actor(
        org_id=person.org_id,
        user_id=person.id,
        email=person.email,
        address=visit.address,
        request_id=visit.request_id,
        now_ms=visit.now_ms,
    )


def show_step(pages: Pages, visit: Visit, resp: falcon.asgi.Response, slip: str, problem: str = "") -> None:
    """The form of the second step."""
    onward = next_of(visit.form.text("next"))
    pages.show(visit, resp, "sign_in_code.html", status=401 if problem else 200, problem=problem, slip=slip, next=onward)


def next_of(wanted: str) -> str:
    """Where to go on to: a page of ours, whatever was asked for."""
    is_ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable() and wanted.isascii()
    return wanted if is_ours else "/"
