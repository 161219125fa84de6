"""Stores, tills and OAuth clients as an operator looks after them. A Problem means that nothing was written.

Secrets come in hashed. A running server notices a change of a credential within `PRINCIPAL_FRESH_MS`.
"""

from typing import Any, Final, Literal

from msgspec import Struct
from sqlalchemy import Table, func, select, update

from couponry.core.problem import Problem
from couponry.store import schema as t
from couponry.store.engine import ReadTransaction, WriteTransaction

UNKNOWN: Final = "unknown"
Credential = Literal["till", "client"]
_TABLES: Final[dict[Credential, tuple[Table, str]]] = {"till": (t.till, "password_hash"), "client": (t.client, "secret_hash")}


class StoreShown(Struct, frozen=True):
    """A store with where it lies and how many tills stand in it."""

    id: int
    code: str
    name: str
    external_id: str | None
    time_zone: str | None
    is_active: bool
    zone: str | None
    concept: str | None
    tills: int


class TillShown(Struct, frozen=True):
    """A till of a store."""

    id: int
    code: str
    name: str
    is_active: bool


class ClientShown(Struct, frozen=True):
    """An OAuth client. `till` is the code of the one that it acts for."""

    id: int
    key: str
    name: str
    is_admin: bool
    is_active: bool
    till: str | None


def list_stores(
    tx: ReadTransaction, org_id: int, *, limit: int, before_id: int | None = None, code: str = ""
) -> list[StoreShown]:
    """Newest first, or the one of that code. One statement."""
    store = t.store.c
    wanted = _stores(org_id)
    if before_id is not None:
        wanted = wanted.where(store.id < before_id)
    if code:
        wanted = wanted.where(store.code == code)
    return [StoreShown(*row) for row in tx.rows(wanted.order_by(store.id.desc()).limit(limit), {})]


def read_store(tx: ReadTransaction, org_id: int, store_id: int) -> StoreShown | None:
    """One store. One statement."""
    found = [StoreShown(*row) for row in tx.rows(_stores(org_id).where(t.store.c.id == store_id), {})]
    return found[0] if found else None


def tills_of(tx: ReadTransaction, org_id: int, store_id: int, limit: int) -> list[TillShown]:
    """The tills of a store, oldest first. One statement."""
    till = t.till.c
    wanted = select(till.id, till.code, till.name, till.is_active).where(till.org_id == org_id, till.store_id == store_id)
    return [TillShown(*row) for row in tx.rows(wanted.order_by(till.id).limit(limit), {})]


def list_clients(tx: ReadTransaction, org_id: int, *, limit: int, before_id: int | None = None) -> list[ClientShown]:
    """OAuth clients, newest first. One statement."""
    client = t.client.c
    wanted = (
        select(client.id, client.key, client.name, client.is_admin, client.is_active, t.till.c.code)
        .outerjoin_from(t.client, t.till, (t.till.c.org_id == client.org_id) & (t.till.c.id == client.till_id))
        .where(client.org_id == org_id)
    )
    if before_id is not None:
        wanted = wanted.where(client.id < before_id)
    return [ClientShown(*row) for row in tx.rows(wanted.order_by(client.id.desc()).limit(limit), {})]


def change_store(tx: WriteTransaction, org_id: int, store_id: int, **values: Any) -> Problem | None:  # noqa: ANN401 - columns of a store
    """Set columns of a store."""
    return _set(tx, t.store, org_id, store_id, values)


def set_active(tx: WriteTransaction, kind: Credential, org_id: int, credential_id: int, *, is_active: bool) -> Problem | None:
    """Let a till or a client in, or keep it out."""
    return _set(tx, _TABLES[kind][0], org_id, credential_id, {"is_active": is_active})


def set_secret(tx: WriteTransaction, kind: Credential, org_id: int, credential_id: int, secret_hash: str) -> Problem | None:
    """Another secret; the one before lets nobody in any more."""
    table, column = _TABLES[kind]
    return _set(tx, table, org_id, credential_id, {column: secret_hash})


def _set(tx: WriteTransaction, table: Table, org_id: int, row_id: int, values: dict[str, Any]) -> Problem | None:
    changed = update(table).where(table.c.org_id == org_id, table.c.id == row_id).values(values)
    return None if tx.connection.execute(changed).rowcount else Problem(UNKNOWN, f"there is no {table.name} {row_id}")


def _stores(org_id: int) -> Any:  # noqa: ANN401 - a select of StoreShown's fields
    store, zone, concept = t.store.c, t.zone.c, t.concept.c
    tills = select(func.count()).where(t.till.c.org_id == org_id, t.till.c.store_id == store.id).scalar_subquery()
    names = (store.id, store.code, store.name, store.external_id, store.time_zone, store.is_active)
    return (
        select(*names, zone.code.label("zone"), concept.code.label("concept"), tills.label("tills"))
        .outerjoin_from(t.store, t.zone, (zone.org_id == store.org_id) & (zone.id == store.zone_id))
        .outerjoin(t.concept, (concept.org_id == store.org_id) & (concept.id == store.concept_id))
        .where(store.org_id == org_id)
    )
