"""Who is asking, and for which till: the reads behind authentication and attribution (contract README 2).

A login name leads to its org through the shared `login` table; every further statement names that org. Reading a login takes the
same statements whether the name exists or not, so that time tells nobody which names exist.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, Table, select

from couponry.core.model import Org, Place
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store import sessions
from couponry.store.dialect import Trouble
from couponry.store.engine import Database, ReadTransaction, StoreError
from couponry.store.rows import ORG_COLUMNS, org_from_rows
from couponry.store.sessions import Session

EntityType = Literal["TILL", "STORE_CODE", "STORE_NAME", "STORE_EXTERNAL_ID", "STORE_EXTERNAL_ID_1", "STORE_EXTERNAL_ID_2"]

_NO_ORG: Final = 0


class Grant(IntEnum):
    """What an access group allows on a resource; each includes those before it."""

    NONE = 0
    READ = 1
    WRITE = 2


class Login(Struct, frozen=True, gc=False):
    """A login name with the hash of its secret."""

    org_id: int
    id: int
    secret_hash: str


class Till(Struct, frozen=True, gc=False):
    """A till that requests can be made for: its code, its place, and its store's access group."""

    code: str
    place: Place
    is_active: bool
    access_group_id: int | None


class Identity(Struct, frozen=True):
    """A till, an OAuth client or a person with all that its requests are judged by. `org` is None when it is misconfigured (795).

    `till` is the till itself, or the client's default till if it has one.
    """

    kind: Literal["till", "client", "user"]
    login: Login
    name: str
    org: Org | None
    till: Till | None
    is_active: bool
    data_access: Grant
    config_access: Grant
    is_admin: bool = False
    falls_back_to_till: bool = False
    token_ttl_s: int = 0


class DirectoryUnreadable(Exception):
    """The directory cannot be read, which is the answer `code`, not a refusal of the credential."""

    def __init__(self, code: Code) -> None:
        super().__init__(code.when)
        self.code = code


_TILL_COLUMNS: Final = (
    t.till.c.id,
    t.till.c.code,
    (t.till.c.is_active & t.store.c.is_active).label("is_active"),
    t.store.c.id.label("store_id"),
    t.store.c.zone_id,
    t.store.c.concept_id,
    t.store.c.time_zone,
    t.store.c.access_group_id,
)
_STORE_COLUMNS: Final[dict[EntityType, ColumnElement[Any]]] = {
    "STORE_CODE": t.store.c.code,
    "STORE_NAME": t.store.c.name,
    "STORE_EXTERNAL_ID": t.store.c.external_id,
    "STORE_EXTERNAL_ID_1": t.store.c.external_id_1,
    "STORE_EXTERNAL_ID_2": t.store.c.external_id_2,
}


class Directory:
    """Reads of one database. Blocking: call it from a thread that may wait."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def login(self, kind: Literal["till", "client"], name: str) -> Login | None:
        """The credential of that name."""
        table, secret = (t.till, t.till.c.password_hash) if kind == "till" else (t.client, t.client.c.secret_hash)
        column = t.till.c.code if kind == "till" else t.client.c.key
        with self._reading(Code.ENTITIES_UNAVAILABLE) as tx:
            found = tx.rows(select(t.login.c.org_id).where(t.login.c.kind == kind, t.login.c.name == name), {})
            org_id = found[0].org_id if found else _NO_ORG
            rows = tx.rows(select(table.c.id, secret).where(table.c.org_id == org_id, column == name), {})
        return Login(org_id, *rows[0]) if rows else None

    def till_identity(self, login: Login) -> Identity | None:
        """The till behind a login; its store's access group counts."""
        with self._reading(Code.ENTITIES_UNAVAILABLE) as tx:
            org = _org(tx, login.org_id)
            till = _till(tx, login.org_id, org, t.till.c.id == login.id)
        if till is None:
            return None
        data, config = self._grants(login.org_id, till.access_group_id)
        return Identity("till", login, till.code, org, till, till.is_active, data, config)

    def client_identity(self, login: Login) -> Identity | None:
        """The OAuth client behind a login; its own access group counts."""
        with self._reading(Code.ENTITIES_UNAVAILABLE) as tx:
            rows = tx.rows(select(t.client).where(t.client.c.org_id == login.org_id, t.client.c.id == login.id), {})
            org = _org(tx, login.org_id)
            till_id = rows[0].till_id if rows else None
            till = _till(tx, login.org_id, org, t.till.c.id == till_id) if till_id is not None else None
        if not rows:
            return None
        row = rows[0]
        data, config = self._grants(login.org_id, row.access_group_id)
        return Identity(
            "client",
            login,
            row.key,
            org,
            till,
            row.is_active,
            data,
            config,
            row.is_admin,
            row.falls_back_to_till,
            row.token_ttl_s,
        )

    def session(self, token: str, now_ms: int) -> Session | None:
        """Who is signed in at the console."""
        with self._reading(Code.ENTITIES_UNAVAILABLE) as tx:
            return sessions.read(tx, token, now_ms)

    def till_of(self, org_id: int, kind: EntityType, code: str) -> Till | None:
        """The active till that an attribution entity means: itself, or a store's first active till."""
        matches = t.till.c.code == code if kind == "TILL" else _STORE_COLUMNS[kind] == code
        return self._active_till(org_id, matches)

    def till_behind(self, org_id: int, kind: str, value: str) -> Till | None:
        """The active till that a look-up value is mapped to; the value is case-sensitive."""
        listed = t.attribution_lookup.c
        mapped = select(listed.till_id).where(listed.org_id == org_id, listed.type == kind, listed.value == value)
        return self._active_till(org_id, t.till.c.id == mapped.scalar_subquery())

    def close(self) -> None:
        """Give the connections back."""
        self._database.close()

    def _active_till(self, org_id: int, matches: ColumnElement[bool]) -> Till | None:
        with self._reading(Code.ENTITIES_UNAVAILABLE) as tx:
            return _till(tx, org_id, _org(tx, org_id), matches & t.till.c.is_active & t.store.c.is_active)

    def _grants(self, org_id: int, group_id: int | None) -> tuple[Grant, Grant]:
        """What the group grants on coupon data and coupon configuration; no group grants all (README 2.4)."""
        if group_id is None:
            return Grant.WRITE, Grant.WRITE
        group = t.access_group.c
        wanted = select(group.data_access, group.config_access).where(group.org_id == org_id, group.id == group_id)
        with self._reading(Code.AUTHORISATION_UNAVAILABLE) as tx:
            rows = tx.rows(wanted, {})
        return (Grant[rows[0][0]], Grant[rows[0][1]]) if rows else (Grant.NONE, Grant.NONE)

    @contextmanager
    def _reading(self, unavailable: Code) -> Iterator[ReadTransaction]:
        """A read whose failure is `unavailable`, or 786 when there is no database at all."""
        try:
            with self._database.reading() as tx:
                yield tx
        except StoreError as error:
            is_gone = error.trouble is Trouble.UNREACHABLE
            raise DirectoryUnreadable(Code.DATABASE_UNREACHABLE if is_gone else unavailable) from error


def _org(tx: ReadTransaction, org_id: int) -> Org | None:
    rows = tx.rows(select(*ORG_COLUMNS).where(t.org.c.id == org_id), {})
    return org_from_rows(rows[0], []) if rows else None


def _till(tx: ReadTransaction, org_id: int, org: Org | None, matches: ColumnElement[bool]) -> Till | None:
    """The first till that matches, with everything above it."""
    in_store = (t.store.c.org_id == t.till.c.org_id) & (t.store.c.id == t.till.c.store_id)
    wanted = select(*_TILL_COLUMNS).join_from(t.till, t.store, in_store).where(t.till.c.org_id == org_id, matches)
    rows = tx.rows(wanted.order_by(t.till.c.id).limit(1), {})
    if not rows:
        return None
    row = rows[0]
    place = Place(
        till_id=row.id,
        store_id=row.store_id,
        zone_ids=_chain(tx, t.zone, org_id, row.zone_id),
        concept_ids=_chain(tx, t.concept, org_id, row.concept_id),
        time_zone=_zone(row.time_zone) or (org.zone if org else ZoneInfo("UTC")),
    )
    return Till(row.code, place, row.is_active, row.access_group_id)


def _chain(tx: ReadTransaction, table: Table, org_id: int, lowest_id: int | None) -> frozenset[int]:
    """A zone or concept with all that it lies in; UNION, not UNION ALL, so that a circle ends."""
    if lowest_id is None:
        return frozenset()
    lowest = select(table.c.id, table.c.parent_id).where(table.c.org_id == org_id, table.c.id == lowest_id)
    chain = lowest.cte("chain", recursive=True)
    above: Select[Any] = select(table.c.id, table.c.parent_id).join(chain, table.c.id == chain.c.parent_id)
    chain = chain.union(above.where(table.c.org_id == org_id))
    return frozenset(row.id for row in tx.rows(select(chain.c.id), {}))


def _zone(name: str | None) -> ZoneInfo | None:
    """A store's own time zone; one that is unknown counts as none, and the org's is used."""
    try:
        return ZoneInfo(name) if name else None
    except (ValueError, ZoneInfoNotFoundError, OSError):
        return None
