"""People: who works here, what each may do, and what an admin does for somebody who cannot sign in."""

from collections.abc import Callable, Mapping
from typing import Final

import falcon.asgi
from wtforms import EmailField, RadioField
from wtforms import Form as Fields
from wtforms.validators import InputRequired, Length

from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit, number_of
from couponry.core.limits import CONSOLE_PAGE_ROWS, IDENTIFIER_CHARS_MAX
from couponry.core.problem import Problem
from couponry.core.roles import ROLES, Permission, Role
from couponry.core.status import Code
from couponry.store import people, sessions
from couponry.store.audit import Actor
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.sessions import Person, Place

MEANINGS: Final[Mapping[Role, str]] = {
    "admin": "Everything, also people and credentials.",
    "marketer": "Makes campaigns and series, launches them, and approves what others ask for.",
    "support": "Finds customers and coupons, and helps them. Changes no campaign.",
    "auditor": "Sees everything, the audit log too. Changes nothing.",
}
_GIVEN_CHARS: Final = 20


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The list, one person, and what is done to them."""
    return {
        "/people": Listed(parts, pages),
        "/people/{number}": One(parts, pages),
        "/people/{number}/role": Act(parts, pages, _change_role, "The role is changed. They have to sign in again."),
        "/people/{number}/deactivate": Act(parts, pages, _deactivate, "They are signed out, and may not sign in."),
        "/people/{number}/activate": Act(parts, pages, _activate, "They may sign in again."),
        "/people/{number}/second-factor": Act(parts, pages, _reset_factor, "Their password alone signs them in now."),
        "/people/{number}/password": GivePassword(parts, pages),
    }


class PersonFields(Fields):
    """A new person."""

    email = EmailField(
        "E-mail",
        [InputRequired("Type an e-mail."), Length(max=IDENTIFIER_CHARS_MAX)],
        description="They sign in with it.",
        render_kw={"autocomplete": "off"},
    )
    role = RadioField(
        "Role",
        choices=list(ROLES),  # type: ignore[arg-type] # the stubs do not know plain choices, which are not deprecated
        default="support",
        description="What they may see and do. It can be changed later.",
    )


class Listed:
    """Everybody, newest first, and a form for one more."""

    NEEDS = NEEDS_TO_POST = Permission.MANAGE_PEOPLE

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """A page of people."""
        await self._show(visit, resp, PersonFields())

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """One more. The password that they are given is shown this once."""
        form = PersonFields(visit.form)
        if not form.validate():
            await self._show(visit, resp, form)
            return
        password, email = self._parts.new_token()[:_GIVEN_CHARS], (form.email.data or "").strip().lower()
        password_hash = await self._parts.passwords.hashed(password)
        made = await self._parts.back_office.write(
            lambda tx: people.create(tx, visit.actor(), email=email, role=form.role.data, password_hash=password_hash)
        )
        if isinstance(made, Code):
            self._pages.failed(visit, resp, made)
        elif isinstance(made, Problem):
            form.email.errors = [*form.email.errors, f"That cannot be: {made.detail or made.message}."]
            await self._show(visit, resp, form)
        else:
            self._pages.show(visit, resp, "people/password.html", email=email, password=password, number=made)

    async def _show(self, visit: Visit, resp: falcon.asgi.Response, form: PersonFields) -> None:
        before_id = visit.number("before")
        found = await self._parts.back_office.read(
            lambda tx: people.listed(tx, visit.org_id, limit=CONSOLE_PAGE_ROWS + 1, before_id=before_id)
        )
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
            return
        rows, is_more = found[:CONSOLE_PAGE_ROWS], len(found) > CONSOLE_PAGE_ROWS
        status = 422 if form.errors else 200
        self._pages.show(visit, resp, "people/list.html", status=status, rows=rows, is_more=is_more, form=form, meanings=MEANINGS)


class One:
    """One person."""

    NEEDS = NEEDS_TO_POST = Permission.MANAGE_PEOPLE

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """What they may do, where they are signed in, and what can be done."""
        user_id = number_of(number) or 0

        def read(tx: ReadTransaction) -> tuple[Person | None, list[Place]]:
            places = sessions.places(tx, visit.org_id, user_id, visit.now_ms)
            return sessions.read_person(tx, visit.org_id, user_id), places

        found = await self._parts.back_office.read(read)
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
        elif found[0] is None:
            self._pages.missing(visit, resp, "person")
        else:
            it, places = found
            self._pages.show(visit, resp, "people/one.html", it=it, places=places, roles=ROLES, meanings=MEANINGS)


class Act:
    """A change of one person; `act` is called in a write transaction with the form's role."""

    NEEDS = NEEDS_TO_POST = Permission.MANAGE_PEOPLE

    def __init__(
        self,
        parts: ConsoleParts,
        pages: Pages,
        act: Callable[[WriteTransaction, Actor, int, str], Person | Problem],
        notice: str,
    ) -> None:
        self._parts, self._pages, self._act, self._notice = parts, pages, act, notice

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """Do it, and go back to the person."""
        user_id, role = number_of(number) or 0, visit.form.text("role")
        done = await self._parts.back_office.write(lambda tx: self._act(tx, visit.actor(), user_id, role))
        _answer(self._pages, visit, resp, user_id, done, self._notice)


class GivePassword:
    """A new password for somebody who has forgotten theirs; they have to change it at once."""

    NEEDS = NEEDS_TO_POST = Permission.MANAGE_PEOPLE

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """Give it; it is shown this once."""
        user_id, password = number_of(number) or 0, self._parts.new_token()[:_GIVEN_CHARS]
        if user_id == visit.session.person.id:
            self._pages.go(visit, resp, "/account", "You change your own password here.")
            return
        password_hash = await self._parts.passwords.hashed(password)
        done = await self._parts.back_office.write(
            lambda tx: people.set_password(tx, visit.actor(), user_id, password_hash, must_change=True)
        )
        if isinstance(done, Code | Problem):
            _answer(self._pages, visit, resp, user_id, done, "")
        else:
            self._pages.show(visit, resp, "people/password.html", email=done.email, password=password, number=user_id)


def _answer(
    pages: Pages, visit: Visit, resp: falcon.asgi.Response, user_id: int, done: Person | Problem | Code, notice: str
) -> None:
    if isinstance(done, Code):
        pages.failed(visit, resp, done)
    elif isinstance(done, Problem) and done.code == "unknown":
        pages.missing(visit, resp, "person")
    elif isinstance(done, Problem):
        pages.go(visit, resp, f"/people/{user_id}", f"That could not be done: {done.detail or done.message}.")
    else:
        pages.go(visit, resp, f"/people/{user_id}", notice)


def _change_role(tx: WriteTransaction, actor: Actor, user_id: int, role: str) -> Person | Problem:
    return people.change_role(tx, actor, user_id, role)


def _deactivate(tx: WriteTransaction, actor: Actor, user_id: int, _role: str) -> Person | Problem:
    return people.change_active(tx, actor, user_id, is_active=False)


def _activate(tx: WriteTransaction, actor: Actor, user_id: int, _role: str) -> Person | Problem:
    return people.change_active(tx, actor, user_id, is_active=True)


def _reset_factor(tx: WriteTransaction, actor: Actor, user_id: int, _role: str) -> Person | Problem:
    return people.remove_second_factor(tx, actor, user_id)
