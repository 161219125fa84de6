"""Tills, stores, zones and concepts by their codes, as people name them, and by their ids, as terms do."""

from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import BigInteger, String, Table, select

from couponry.core.model import Terms
from couponry.core.series import ids_from_text
from couponry.store import schema as t
from couponry.store.engine import ReadTransaction
from couponry.store.statements import org_parameter

Place = tuple[str, int]
"""Kind and id."""

TABLES: Final[Mapping[str, Table]] = {"STORE": t.store, "TILL": t.till, "ZONE": t.zone, "CONCEPT": t.concept}


def places_of(terms: Terms) -> set[Place]:
    """The places that terms name. A number that may be a store's or a till's counts as either (rules 8)."""
    named = {(one.redemption_org_entity_type, one.org_entity_id) for one in terms.redemption_org_entity_details}
    either = ids_from_text(terms.redeem_at_store) | ids_from_text(terms.store_ids_json)
    return {*named, *(("STORE", number) for number in either)}


def by_codes(tx: ReadTransaction, org_id: int, kind: str, codes: Collection[str]) -> dict[str, int]:
    """The ids of places by their codes. One statement."""
    if not codes:
        return {}
    table, keys = TABLES[kind], tx.dialect.keys("codes", String())
    found = select(table.c.code, table.c.id).select_from(keys.probing(table, "code", index=f"uq_{table.name}_code"))
    bound = {org_parameter().key: org_id, **keys.bound([(code,) for code in sorted(codes)])}
    return {row.code: row.id for row in tx.rows(found, bound)}


def names_of(tx: ReadTransaction, org_id: int, places: Collection[Place]) -> dict[Place, str]:
    """What places are called; those that there are. Four statements, none for nowhere."""
    return codes_and_names(tx, org_id, places)[1]


def codes_and_names(tx: ReadTransaction, org_id: int, places: Collection[Place]) -> tuple[dict[Place, str], dict[Place, str]]:
    """The codes of places, and what they are called; those that there are. Four statements, none for nowhere."""
    found = _found(tx, org_id, places)
    return {place: code for place, (code, _) in found.items()}, {place: name or code for place, (code, name) in found.items()}


def _found(tx: ReadTransaction, org_id: int, places: Collection[Place]) -> dict[Place, tuple[str, str]]:
    found: dict[Place, tuple[str, str]] = {}
    for kind, table in TABLES.items() if places else ():
        wanted = sorted({number for each, number in places if each == kind or {each, kind} == {"STORE", "TILL"}})
        keys = tx.dialect.keys("ids", BigInteger())
        rows = select(table.c.id, table.c.code, table.c.name).select_from(keys.probing(table, "id"))
        for row in tx.rows(rows, {org_parameter().key: org_id, **keys.bound([(number,) for number in wanted])}):
            found[kind, row.id] = (row.code, row.name)
    return found
