"""The audit log: who did what, when, from where, and what it was before and after."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import falcon.asgi
import msgspec
from msgspec import Struct

from couponry.console.gate import Resource
from couponry.console.pages import Local, Pages
from couponry.console.parts import ConsoleParts
from couponry.console.subjects import path_of
from couponry.console.visit import Visit
from couponry.core.limits import AUDIT_FILE_ROWS_MAX, CONSOLE_PAGE_ROWS
from couponry.core.roles import Permission
from couponry.core.status import Code
from couponry.store import audit, sessions
from couponry.store.audit import Entry, Filter, Found
from couponry.store.bulk.files import csv_lines
from couponry.store.engine import ReadTransaction

_HEAD: Final = ("when", "who", "from", "action", "subject", "subjectId", "before", "after", "requestId")
_NOBODY: Final = 0
_ROWS_AT_ONCE: Final = 500


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The log as a page and as a file."""
    return {"/audit": Log(parts, pages), "/audit.csv": LogFile(parts, pages)}


class Change(Struct, frozen=True):
    """One thing that was changed; a dotted name leads inside. None is what was not there."""

    name: str
    before: str | None
    after: str | None


class Log:
    """Entries, newest first."""

    NEEDS = NEEDS_TO_POST = Permission.SEE_AUDIT

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """A page of them."""
        before_id = visit.number("before")

        def read(tx: ReadTransaction) -> Found:
            return audit.found(tx, visit.org_id, _wanted(tx, visit), limit=CONSOLE_PAGE_ROWS, before_id=before_id)

        found = await self._parts.back_office.read(read)
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
            return
        asked = {name: visit.query(name) for name in ("person", "user", "action", "kind", "subject")}
        self._pages.show(
            visit,
            resp,
            "audit.html",
            rows=[(one, differences(one), path_of(visit, one.subject_kind, one.subject_id)) for one in found.entries],
            older=found.before_id,
            asked=asked,
            most=AUDIT_FILE_ROWS_MAX,
        )


class LogFile:
    """The same as a CSV."""

    NEEDS = NEEDS_TO_POST = Permission.SEE_AUDIT

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """The newest entries that are wanted."""
        local = Local(visit.session)

        def read(tx: ReadTransaction) -> bytes:
            return b"".join(csv_lines([_HEAD], (_row(local, entry) for entry in _entries(tx, visit))))

        written = await self._parts.back_office.read(read)
        if isinstance(written, Code):
            self._pages.failed(visit, resp, written)
            return
        resp.data, resp.content_type = written, "text/csv; charset=utf-8"
        resp.downloadable_as = "audit.csv"


def differences(entry: Entry) -> list[Change]:
    """What an action changed, name by name."""
    before, after = (dict(_flat(values or {})) for values in (entry.before, entry.after))
    names = [*before, *(name for name in after if name not in before)]
    changes = (Change(name, _words(before.get(name)), _words(after.get(name))) for name in names)
    return [change for change in changes if change.before != change.after]


def _wanted(tx: ReadTransaction, visit: Visit) -> Filter:
    """What the address asks for. An e-mail that is nobody's here finds nothing."""
    user_id = visit.number("user")
    if email := visit.query("person").lower():
        person = sessions.person_of(tx, email)
        user_id = person.id if person and person.org_id == visit.org_id else _NOBODY
    return Filter(user_id, *(visit.query(name) or None for name in ("action", "kind", "subject")))


def _entries(tx: ReadTransaction, visit: Visit) -> Iterator[Entry]:
    wanted, before_id, left = _wanted(tx, visit), None, AUDIT_FILE_ROWS_MAX
    while left > 0:
        found = audit.found(tx, visit.org_id, wanted, limit=min(left, _ROWS_AT_ONCE), before_id=before_id)
        yield from found.entries
        left, before_id = left - max(len(found.entries), _ROWS_AT_ONCE // 5), found.before_id
        if before_id is None:
            return


def _row(local: Local, entry: Entry) -> tuple[object, ...]:
    texts = (None if values is None else msgspec.json.encode(values).decode() for values in (entry.before, entry.after))
    who = (local.iso(entry.done_ms), entry.actor, entry.address, entry.action)
    return *who, entry.subject_kind, entry.subject_id, *texts, entry.request_id


def _flat(values: Mapping[str, Any], inside: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{inside}{name}.")
        else:
            yield f"{inside}{name}", value


def _words(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()
