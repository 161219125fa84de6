"""Stores and the tills in them."""

import secrets
from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from zoneinfo import available_timezones

import falcon.asgi
from wtforms import BooleanField, Form, StringField
from wtforms.validators import AnyOf, InputRequired, Length, Optional

from couponry.console.gate import Resource
from couponry.console.operations.secret_once import shown_once
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit, number_of
from couponry.core.limits import CONSOLE_PAGE_ROWS, IDENTIFIER_CHARS_MAX, STORE_TILLS_LISTED_MAX
from couponry.core.problem import Problem
from couponry.core.roles import Permission
from couponry.core.status import Code
from couponry.store import audit, passwords, premises, registry
from couponry.store.engine import ReadTransaction, WriteTransaction

_CODE: Final = Length(max=IDENTIFIER_CHARS_MAX)


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The list, a store, and what is done with its tills."""
    return {
        "/stores": Stores(parts, pages),
        "/stores/{store_id}": OneStore(parts, pages),
        "/stores/{store_id}/tills/{till_id}/{act}": TillActs(parts, pages),
    }


class NewTill(Form):
    """A till, with the store it stands in."""

    code = StringField("Till code", [InputRequired(), _CODE], description="Its user name: unique, without a colon.")
    store = StringField(
        "Store code", [Optional(), _CODE], description="Made if there is no such store. Empty: named after the till."
    )
    zone = StringField("Zone code", [Optional(), _CODE], description="Where the store lies, for offers of a zone. May be empty.")
    concept = StringField(
        "Concept code", [Optional(), _CODE], description="What the store sells as, for offers of a concept. May be empty."
    )


class StoreTerms(Form):
    """What may be changed of a store."""

    name = StringField("Name", [InputRequired(), _CODE])
    external_id = StringField(
        "External id", [Optional(), _CODE], description="What other systems call it. Requests may name it so."
    )
    time_zone = StringField(
        "Time zone",
        [Optional(), AnyOf(sorted(available_timezones()), message="Name one such as Asia/Kolkata.")],
        description="For windows of hours and days, where it is another than the organisation's. May be empty.",
    )
    is_active = BooleanField("Open", description="Tills of a store that is not open may not ask.")


class Stores:
    """All stores; a new till."""

    NEEDS, NEEDS_TO_POST = Permission.SEE_OPERATIONS, Permission.OPERATE

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """The newest, or the one whose code is asked for."""
        await self._show(visit, resp, NewTill())

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """Make a till; its password is shown this once."""
        form = NewTill(visit.form)
        if not form.validate():
            await self._show(visit, resp, form, 422)
            return
        password = secrets.token_urlsafe(12)
        made = await self._parts.back_office.write(
            partial(_make, visit, form.data, passwords.hashed(passwords.till_secret(password)))
        )
        if isinstance(made, Code):
            self._pages.failed(visit, resp, made)
        elif isinstance(made, Problem):
            form.code.errors = [made.text]
            await self._show(visit, resp, form, 422)
        else:
            shown_once(
                self._pages,
                visit,
                resp,
                f"Till {form.code.data}",
                {"Till code": form.code.data or "", "Password": password},
                f"/stores/{made.store_id}",
            )

    async def _show(self, visit: Visit, resp: falcon.asgi.Response, form: NewTill, status: int = 200) -> None:
        wanted: dict[str, Any] = {
            "limit": CONSOLE_PAGE_ROWS + 1,
            "before_id": visit.number("before"),
            "code": visit.query("code"),
        }
        found = await self._parts.back_office.read(lambda tx: premises.list_stores(tx, visit.org_id, **wanted))
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
            return
        rows = found[:CONSOLE_PAGE_ROWS]
        older = rows[-1].id if len(found) > CONSOLE_PAGE_ROWS else None
        self._pages.show(visit, resp, "operations/stores.html", status=status, stores=rows, older=older, form=form)


class OneStore:
    """A store and its tills."""

    NEEDS, NEEDS_TO_POST = Permission.SEE_OPERATIONS, Permission.OPERATE

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, store_id: str) -> None:
        """Show it."""
        await self._show(visit, resp, number_of(store_id), None)

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, store_id: str) -> None:
        """Change it."""
        form, number = StoreTerms(visit.form), number_of(store_id)
        if not form.validate() or number is None:
            await self._show(visit, resp, number, form, 422)
            return
        done = await self._parts.back_office.write(partial(_change_store, visit, number, form.data))
        if isinstance(done, Code):
            self._pages.failed(visit, resp, done)
        elif isinstance(done, Problem):
            self._pages.missing(visit, resp, "store")
        else:
            self._pages.go(visit, resp, f"/stores/{number}", "The store is changed.")

    async def _show(
        self, visit: Visit, resp: falcon.asgi.Response, store_id: int | None, form: StoreTerms | None, status: int = 200
    ) -> None:
        found = await self._parts.back_office.read(lambda tx: _store(tx, visit.org_id, store_id))
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
        elif found is None:
            self._pages.missing(visit, resp, "store")
        else:
            store, tills = found
            self._pages.show(
                visit, resp, "operations/store.html", status=status, store=store, tills=tills, form=form or StoreTerms(obj=store)
            )


class TillActs:
    """Let a till in, keep it out, give it another password."""

    NEEDS, NEEDS_TO_POST = Permission.SEE_OPERATIONS, Permission.OPERATE

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, store_id: str, till_id: str, act: str) -> None:
        """Do it."""
        number, password = number_of(till_id), secrets.token_urlsafe(12)
        if number is None or act not in {"open", "close", "password"} or number_of(store_id) is None:
            self._pages.missing(visit, resp, "till")
            return
        secret_hash = passwords.hashed(passwords.till_secret(password)) if act == "password" else ""
        done = await self._parts.back_office.write(partial(act_on, visit, "till", number, act, secret_hash))
        if isinstance(done, Code):
            self._pages.failed(visit, resp, done)
        elif isinstance(done, Problem):
            self._pages.missing(visit, resp, "till")
        elif act == "password":
            shown_once(self._pages, visit, resp, "New password", {"Password": password}, f"/stores/{store_id}")
        else:
            self._pages.go(visit, resp, f"/stores/{store_id}", f"The till is {'open' if act == 'open' else 'closed'}.")


def act_on(
    visit: Visit, kind: premises.Credential, number: int, act: str, secret_hash: str, tx: WriteTransaction
) -> Problem | None:
    """Open or close a credential, or give it the secret of that hash; written down."""
    if act in {"open", "close"}:
        problem = premises.set_active(tx, kind, visit.org_id, number, is_active=act == "open")
    else:
        problem = premises.set_secret(tx, kind, visit.org_id, number, secret_hash)
    if problem is None:
        audit.record(tx, visit.actor(), f"{act} {kind}", (kind, number))
    return problem


def _make(
    visit: Visit, wanted: Mapping[str, str | None], password_hash: str, tx: WriteTransaction
) -> registry.TillPlace | Problem:
    code = (wanted["code"] or "").strip()
    places = {name: (wanted[name] or "").strip() or None for name in ("store", "zone", "concept")}
    made = registry.create_till(tx, visit.org_id, code=code, password_hash=password_hash, **places)
    if not isinstance(made, Problem):
        audit.record(tx, visit.actor(), "create till", ("till", made.till_id), after={"code": code, **places})
    return made


def _change_store(visit: Visit, store_id: int, wanted: Mapping[str, Any], tx: WriteTransaction) -> Problem | None:
    before = premises.read_store(tx, visit.org_id, store_id)
    if before is None:
        return Problem(premises.UNKNOWN, "there is no such store")
    values = {name: value.strip() or None if isinstance(value, str) else value for name, value in wanted.items()}
    problem = premises.change_store(tx, visit.org_id, store_id, **values)
    if problem is None:
        was = {name: getattr(before, name) for name in values}
        audit.record(tx, visit.actor(), "change store", ("store", store_id), before=was, after=values)
    return problem


def _store(tx: ReadTransaction, org_id: int, store_id: int | None) -> tuple[premises.StoreShown, list[premises.TillShown]] | None:
    store = None if store_id is None else premises.read_store(tx, org_id, store_id)
    return None if store is None else (store, premises.tills_of(tx, org_id, store.id, STORE_TILLS_LISTED_MAX))
