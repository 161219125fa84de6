"""Where tills are: their stores' zones and concepts with all that these lie in, for many stores at once."""

from collections.abc import Collection
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct
from sqlalchemy import BigInteger, Column, Select, String, Table, select

from couponry.core.model import Org, Place
from couponry.store import schema as t
from couponry.store.engine import ReadTransaction
from couponry.store.statements import org_parameter

_NO_TILL: Final = 0


class Site(Struct, frozen=True, gc=False):
    """A store with everything above it, as it is now."""

    store_id: int
    zone_ids: frozenset[int]
    concept_ids: frozenset[int]
    time_zone: ZoneInfo

    def place(self, till_id: int) -> Place:
        """One of its tills, as a series' redemption scope sees it (rules 8)."""
        return Place(till_id, self.store_id, self.zone_ids, self.concept_ids, self.time_zone)


def sites(tx: ReadTransaction, org: Org, store_ids: Collection[int]) -> dict[int, Site]:
    """The sites of these stores, in three statements."""
    keys = tx.dialect.keys("ids", BigInteger())
    parameters = {"org": org.id, **keys.bound([(store_id,) for store_id in sorted(store_ids)])}
    stores = select(t.store.c.id, t.store.c.time_zone).select_from(keys.probing(t.store, "id"))
    zones, concepts = (
        _above(tx.rows(_chains(tx, table, own), parameters))
        for table, own in ((t.zone, t.store.c.zone_id), (t.concept, t.store.c.concept_id))
    )
    return {
        row.id: Site(row.id, zones.get(row.id, frozenset()), concepts.get(row.id, frozenset()), _zone(row.time_zone, org))
        for row in tx.rows(stores, parameters)
    }


def tills_of(tx: ReadTransaction, org: Org, store_id: int) -> list[Place]:
    """The store itself, and each of its tills; nothing for a store that there is not. Four statements."""
    site = sites(tx, org, [store_id]).get(store_id)
    found = tx.rows(select(t.till.c.id).where(t.till.c.org_id == org.id, t.till.c.store_id == store_id), {})
    return [site.place(till_id) for till_id in (_NO_TILL, *(row.id for row in found))] if site else []


def place_of_redemption(tx: ReadTransaction, org: Org, redemption_id: int) -> Place | None:
    """Where a redemption was made, to record something else for its till: without what is above the store."""
    made = t.redemption.c
    found = tx.rows(select(made.till_id, made.store_id).where(made.org_id == org.id, made.id == redemption_id), {})
    return Place(found[0].till_id, found[0].store_id, frozenset(), frozenset(), org.zone) if found else None


def stores_of(tx: ReadTransaction, org_id: int, till_codes: Collection[str]) -> dict[str, tuple[str, str]]:
    """Code and name of each till's store, by the till's code. One statement."""
    keys = tx.dialect.keys("codes", String())
    in_store = (t.store.c.org_id == t.till.c.org_id) & (t.store.c.id == t.till.c.store_id)
    source = keys.probing(t.till, "code", index="uq_till_code").join(t.store, in_store)
    found = select(t.till.c.code, t.store.c.code, t.store.c.name).select_from(source)
    rows = tx.rows(found, {"org": org_id, **keys.bound([(code,) for code in sorted(till_codes)])})
    return {till_code: (code, name) for till_code, code, name in rows}


def _chains(tx: ReadTransaction, table: Table, own: Column[Any]) -> Select[Any]:
    """(store, zone) or (store, concept) for all that each store lies in; UNION, not UNION ALL, so that a circle ends."""
    keys = tx.dialect.keys("ids", BigInteger())
    lowest = (
        select(t.store.c.id.label("store_id"), own.label("id")).select_from(keys.probing(t.store, "id")).where(own.is_not(None))
    )
    chain = lowest.cte("chain", recursive=True)
    above = (
        select(chain.c.store_id, table.c.parent_id)
        .join_from(chain, table, (table.c.org_id == org_parameter()) & (table.c.id == chain.c.id))
        .where(table.c.parent_id.is_not(None))
    )
    chain = chain.union(above)
    return select(chain.c.store_id, chain.c.id)


def _above(rows: list[Any]) -> dict[int, frozenset[int]]:
    by_store: dict[int, set[int]] = {}
    for store_id, above_id in rows:
        by_store.setdefault(store_id, set()).add(above_id)
    return {store_id: frozenset(ids) for store_id, ids in by_store.items()}


def _zone(name: str | None, org: Org) -> ZoneInfo:
    """A store's own time zone; the org's if it has none or one that is unknown."""
    try:
        return ZoneInfo(name) if name else org.zone
    except (ValueError, ZoneInfoNotFoundError, OSError):
        return org.zone
