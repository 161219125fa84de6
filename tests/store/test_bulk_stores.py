"""Stores in bulk: what is made, what is refused, and that a look tells the same over its chunks."""

from typing import Any, Final

import pytest
from sqlalchemy import select

from couponry.core.limits import IMPORT_CHUNK_ROWS
from couponry.core.model import Org
from couponry.store import registry
from couponry.store import schema as t
from couponry.store.bulk import import_file, import_rows
from couponry.store.bulk.stores import Stores, hashed_passwords
from couponry.store.engine import Database
from tests.api.shop import NOW_MS

HEADER: Final = "storeCode,storeName,storeExternalId,zoneCode,conceptCode,tillCode,tillPassword,timezone,active"


@pytest.fixture
def org(database: Database) -> Org:
    with database.writing() as tx:
        made = registry.create_org(tx, name="Shop", time_zone="Asia/Kolkata", currency="INR", country_code="91", now_ms=NOW_MS)
        assert isinstance(made, int)
        other = registry.create_org(tx, name="Other", time_zone="UTC", currency="EUR", country_code="49", now_ms=NOW_MS)
        assert isinstance(other, int)
        registry.create_till(tx, other, code="theirs", password_hash="")
        found = registry.read_org(tx, made)
    assert isinstance(found, Org)
    return found


def codes(database: Database, org: Org, *rows: dict[str, str]) -> list[int | str]:
    return [problem.code for problem in import_rows(database, Stores(org, {"T1": "hash"}, "nobody's"), rows)]


def test_what_is_made(database: Database, org: Org) -> None:
    with database.writing() as tx:
        zone_id = registry.create_zone(tx, org.id, "south")
    full = {"storeName": "One", "storeExternalId": "x1", "zoneCode": "south", "conceptCode": "food", "timezone": "Asia/Dubai"}
    first = {"storeCode": "S1", **full, "tillCode": "T1", "active": "TRUE"}
    assert (
        codes(database, org, first, {"storeCode": "S1", "tillCode": "T2", "active": "no"}, {"storeCode": "S2", "active": "0"})
        == []
    )
    assert codes(database, org, {"storeCode": "S1", "tillCode": "T3"}) == []
    with database.reading() as tx:
        of_org = select(t.store).where(t.store.c.org_id == org.id).order_by(t.store.c.code)
        one, two = tx.rows(of_org, {})
        tills = tx.rows(select(t.till).where(t.till.c.org_id == org.id).order_by(t.till.c.code), {})
        concept = tx.rows(select(t.concept.c.id).where(t.concept.c.code == "food"), {})
    assert (one.name, one.external_id, one.zone_id, one.time_zone, one.is_active) == ("One", "x1", zone_id, "Asia/Dubai", True)
    assert [(one.concept_id,)] == [tuple(row) for row in concept]
    assert (two.name, two.zone_id, two.concept_id, two.external_id, two.is_active) == ("S2", None, None, None, False)
    assert [(till.code, till.store_id, till.password_hash, till.is_active) for till in tills] == [
        ("T1", one.id, "hash", True),
        ("T2", one.id, "nobody's", False),
        ("T3", one.id, "nobody's", True),
    ]


def test_what_is_refused(database: Database, org: Org) -> None:
    assert codes(database, org, {"storeCode": "S1", "zoneCode": "south", "tillCode": "T1"}) == []
    refused: list[tuple[dict[str, str], str]] = [
        ({"storeCode": " "}, "invalid"),
        ({"storeCode": "x" * 256}, "invalid"),
        ({"storeCode": "S9", "storeName": "x" * 256}, "invalid"),
        ({"storeCode": "S9", "timezone": "Moon/Base"}, "invalid"),
        ({"storeCode": "S9", "active": "perhaps"}, "invalid"),
        ({"storeCode": "S9", "tillCode": "a:b"}, "invalid"),
        ({"storeCode": "S9", "tillCode": " T9"}, "invalid"),
        ({"storeCode": "S9", "tillCode": "T1"}, "taken"),
        ({"storeCode": "S9", "tillCode": "theirs"}, "taken"),
        ({"storeCode": "S1"}, "taken"),
        ({"storeCode": "S1", "zoneCode": "north", "tillCode": "T9"}, "conflict"),
        ({"storeCode": "S1", "storeName": "Other", "tillCode": "T9"}, "conflict"),
    ]
    for row, code in refused:
        assert codes(database, org, row) == [code], row


def test_a_look_counts_on_over_its_chunks(database: Database, org: Org, tmp_path: Any) -> None:
    """And passwords are hashed before, the first of two."""
    path = tmp_path / "stores.csv"
    rows = [f"S{number},,,Z{number % 7},,,,," for number in range(IMPORT_CHUNK_ROWS)]
    more = ["S0,,,,,T0,one,,", "S0,,,,,T0,two,,", "S1,,,,,,,,", "S2,,,Z9,,T2,,,"]
    path.write_text("\n".join([HEADER, *rows, *more]) + "\n")
    assert list(hashed_passwords(path)) == ["T0"]
    looked = import_file(database, Stores(org, {}, ""), path, dry_run=True)
    errors = (tmp_path / "stores.errors.csv").read_text()
    assert (looked.imported, looked.failed) == (IMPORT_CHUNK_ROWS + 1, 3)
    assert import_file(database, Stores(org, {}, ""), path) == looked
    assert (tmp_path / "stores.errors.csv").read_text() == errors
