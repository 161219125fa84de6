"""Stores, tills, zones and concepts as clients list them (supporting APIs 3): by id ascending, page by page."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import BigInteger, Column, ColumnElement, Select, String, Table, cast, literal, null, or_, select, true

from couponry.store import schema as t
from couponry.store.engine import ReadTransaction

TABLES: Final[Mapping[str, Table]] = MappingProxyType({"STORE": t.store, "TILL": t.till, "ZONE": t.zone, "CONCEPT": t.concept})
_PARENTS: Final[Mapping[str, tuple[tuple[Column[Any], str], ...]]] = MappingProxyType(
    {
        "STORE": ((t.store.c.zone_id, "ZONE"), (t.store.c.concept_id, "CONCEPT")),
        "TILL": ((t.till.c.store_id, "STORE"),),
        "ZONE": ((t.zone.c.parent_id, "ZONE"),),
        "CONCEPT": ((t.concept.c.parent_id, "CONCEPT"),),
    }
)
_OF_STORES: Final = ("external_id", "external_id_1", "external_id_2", "time_zone")


class Entity(Struct, frozen=True, gc=False):
    """One of them; only stores have external ids and a time zone, and only stores and tills can be inactive."""

    id: int
    code: str
    name: str
    is_active: bool
    external_ids: tuple[str, str, str]
    time_zone: str | None
    parent: tuple[str, int] | None


class EntityListing(Struct, frozen=True):
    """Which entities of a kind: one by id, those below a parent (by id or code), and of them those from an id on."""

    kind: str
    limit: int
    first_id: int = 0
    id: int | None = None
    code: str | None = None
    parent_id: int | None = None
    parent_code: str | None = None
    is_active_only: bool = False


def list_entities(tx: ReadTransaction, org_id: int, asked: EntityListing) -> list[Entity]:
    """One statement."""
    table = TABLES[asked.kind]
    found = _columns(asked.kind).where(table.c.org_id == org_id, table.c.id >= asked.first_id)
    if asked.id is not None:
        found = found.where(table.c.id == asked.id)
    if asked.code is not None:
        found = found.where(table.c.code == asked.code)
    if asked.parent_id is not None:
        found = found.where(or_(*(column == asked.parent_id for column, _ in _PARENTS[asked.kind])))
    if asked.parent_code is not None:
        found = found.where(or_(*(_is_below(org_id, column, kind, asked.parent_code) for column, kind in _PARENTS[asked.kind])))
    if asked.is_active_only and "is_active" in table.c:
        found = found.where(table.c.is_active)
    return [_entity(asked.kind, row) for row in tx.rows(found.order_by(table.c.id).limit(asked.limit), {})]


def org_name(tx: ReadTransaction, org_id: int) -> str:
    """What an org is called."""
    (row,) = tx.rows(select(t.org.c.name).where(t.org.c.id == org_id), {})
    name: str = row.name
    return name


def _columns(kind: str) -> Select[Any]:
    table = TABLES[kind]
    own = (table.c.id, table.c.code, table.c.name, table.c.is_active if "is_active" in table.c else true())
    more = [table.c[name] if name in table.c else cast(null(), String) for name in _OF_STORES]
    parents = [column for column, _ in _PARENTS[kind]]
    return select(*own, *more, *parents, *([cast(null(), BigInteger)] * (2 - len(parents))))


def _is_below(org_id: int, column: Column[Any], kind: str, code: str) -> ColumnElement[bool]:
    above = TABLES[kind].alias()
    return column == select(above.c.id).where(above.c.org_id == literal(org_id), above.c.code == code).scalar_subquery()


def _entity(kind: str, row: Any) -> Entity:  # noqa: ANN401 - a row of `_columns`
    entity_id, code, name, is_active, *external_ids, time_zone, first, second = row
    above = zip((first, second), (each for _, each in _PARENTS[kind]), strict=False)
    parent = next(((each, parent_id) for parent_id, each in above if parent_id is not None), None)
    one, two, three = (each or "" for each in external_ids)
    return Entity(entity_id, code, name, bool(is_active), (one, two, three), time_zone, parent)
