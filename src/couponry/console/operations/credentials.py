"""OAuth clients: what other systems sign in with."""

import secrets
from collections.abc import Mapping
from functools import partial

import falcon.asgi
from wtforms import BooleanField, Form, StringField
from wtforms.validators import InputRequired, Length, Optional

from couponry.console.gate import Resource
from couponry.console.operations.places import act_on
from couponry.console.operations.secret_once import shown_once
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit, number_of
from couponry.core.limits import CONSOLE_PAGE_ROWS, IDENTIFIER_CHARS_MAX
from couponry.core.problem import Problem
from couponry.core.roles import Permission
from couponry.core.status import Code
from couponry.store import audit, passwords, premises, registry
from couponry.store.engine import WriteTransaction


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The list, and what is done with one."""
    return {"/credentials": Clients(parts, pages), "/credentials/{client_id}/{act}": ClientActs(parts, pages)}


class NewClient(Form):
    """An OAuth client."""

    name = StringField("Name", [InputRequired(), Length(max=IDENTIFIER_CHARS_MAX)], description="Which system will use it.")
    till = StringField(
        "Till code",
        [Optional(), Length(max=IDENTIFIER_CHARS_MAX)],
        description="The till that its requests count for, unless a request names another. May be empty.",
    )
    is_admin = BooleanField("May use the admin API", description="Campaigns, jobs, explanations, exports: give it to few.")


class Clients:
    """All clients; a new one."""

    NEEDS, NEEDS_TO_POST = Permission.SEE_OPERATIONS, Permission.OPERATE

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """The newest."""
        await self._show(visit, resp, NewClient())

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """Make one; its secret is shown this once."""
        form, key, secret = NewClient(visit.form), secrets.token_urlsafe(12), secrets.token_urlsafe(32)
        if not form.validate():
            await self._show(visit, resp, form, 422)
            return
        made = await self._parts.back_office.write(partial(_make, visit, form, key, passwords.hashed(secret)))
        if isinstance(made, Problem):
            form.till.errors = [made.text]
            await self._show(visit, resp, form, 422)
        elif isinstance(made, Code):
            self._pages.failed(visit, resp, made)
        else:
            shown_once(self._pages, visit, resp, f"Client {form.name.data}", {"Key": key, "Secret": secret}, "/credentials")

    async def _show(self, visit: Visit, resp: falcon.asgi.Response, form: NewClient, status: int = 200) -> None:
        before_id = visit.number("before")
        found = await self._parts.back_office.read(
            lambda tx: premises.list_clients(tx, visit.org_id, limit=CONSOLE_PAGE_ROWS + 1, before_id=before_id)
        )
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
            return
        rows = found[:CONSOLE_PAGE_ROWS]
        older = rows[-1].id if len(found) > CONSOLE_PAGE_ROWS else None
        self._pages.show(visit, resp, "operations/credentials.html", status=status, clients=rows, older=older, form=form)


class ClientActs:
    """Let a client in, keep it out, give it another secret."""

    NEEDS, NEEDS_TO_POST = Permission.SEE_OPERATIONS, Permission.OPERATE

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, client_id: str, act: str) -> None:
        """Do it."""
        number, secret = number_of(client_id), secrets.token_urlsafe(32)
        if number is None or act not in {"open", "close", "secret"}:
            self._pages.missing(visit, resp, "client")
            return
        secret_hash = passwords.hashed(secret) if act == "secret" else ""
        done = await self._parts.back_office.write(partial(act_on, visit, "client", number, act, secret_hash))
        if isinstance(done, Code):
            self._pages.failed(visit, resp, done)
        elif isinstance(done, Problem):
            self._pages.missing(visit, resp, "client")
        elif act == "secret":
            shown_once(self._pages, visit, resp, "New secret", {"Secret": secret}, "/credentials")
        else:
            self._pages.go(visit, resp, "/credentials", f"The client is {'open' if act == 'open' else 'closed'}.")


def _make(visit: Visit, form: NewClient, key: str, secret_hash: str, tx: WriteTransaction) -> int | Problem:
    name, till = (form.name.data or "").strip(), (form.till.data or "").strip() or None
    is_admin = bool(form.is_admin.data)
    made = registry.create_client(tx, visit.org_id, name=name, key=key, secret_hash=secret_hash, till=till, is_admin=is_admin)
    if not isinstance(made, Problem):
        after = {"name": name, "key": key, "till": till, "admin": is_admin}
        audit.record(tx, visit.actor(), "create client", ("client", made), after=after)
    return made
