"""PostgreSQL's arrays as we write them hold what was put into them."""

from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from couponry.store.dialect import _array
from couponry.store.engine import Database

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
NASTY = ["", "NULL", "null", '"', "\\", '\\"', "{}", "a,b", " ", "\n", "\t", "'", "{", "}", "é", None]


def echoed(database: Database, values: list[Any], kind: str) -> list[Any]:
    with database.reading() as tx:
        driver = tx.connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        row = driver.execute(f"SELECT %(values)s::{kind}[]", {"values": _array(values)}).fetchone()
    assert row
    return list(row[0])


@pytest.fixture
def postgresql(database: Database) -> Database:
    if database.is_sqlite:
        pytest.skip("SQLite has no arrays")
    return database


def test_nasty_texts(postgresql: Database) -> None:
    assert echoed(postgresql, NASTY, "text") == NASTY


def test_numbers(postgresql: Database) -> None:
    for values in ([], [0], [-(2**63), 2**63 - 1], [None, 5, None]):
        assert echoed(postgresql, values, "bigint") == values


def test_what_is_not_simple_is_the_drivers(postgresql: Database) -> None:
    assert echoed(postgresql, [b"\\x", b"", None], "bytea") == [b"\\x", b"", None]
    assert echoed(postgresql, [True, False, None], "boolean") == [True, False, None]


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(values=st.lists(st.none() | TEXTS, max_size=6))
def test_any_text(postgresql: Database, values: list[str | None]) -> None:
    assert echoed(postgresql, values, "text") == values
