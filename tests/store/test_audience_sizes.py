"""How many customers an audience has: counted where they are few, and where they are many a range that holds the truth."""

import random

import pytest
from sqlalchemy import text

from couponry.core.audience import Segment
from couponry.core.launch_facts import Count
from couponry.core.limits import AUDIENCE_COUNTED_MAX, AUDIENCE_WINDOW_IDS, AUDIENCE_WINDOWS
from couponry.store.audience_sizes import audience_count, estimated
from couponry.store.engine import Database

MANY = AUDIENCE_COUNTED_MAX + 10_000
NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :many)",
    "postgresql": "WITH n AS (SELECT generate_series(1, :many) AS i)",
}


def fill(database: Database, count: int) -> None:
    """Customers of whom every third is in the loyalty programme, and every tenth is gone."""
    columns = (
        "org_id, id, first_name, last_name, is_loyalty, fraud_status, status_label, transaction_count, registered_ms, updated_ms"
    )
    numbers = NUMBERS["sqlite" if database.is_sqlite else "postgresql"]
    made = "SELECT 1, 90000 + i, '', '', i % 3 = 0, 'NONE', 'ACTIVE', 0, i, 0, CASE WHEN i % 10 = 0 THEN 1 END FROM n"
    statement = f"INSERT INTO customer ({columns}, deleted_ms) {numbers} {made}"
    with database.writing() as tx:
        tx.connection.execute(text(statement), {"many": count})


def test_few_are_counted(database: Database) -> None:
    with database.reading() as tx:
        assert audience_count(tx, 1, None) == Count(0, 0)
    fill(database, 300)
    with database.reading() as tx:
        assert audience_count(tx, 1, None) == Count(270, 270)
        assert audience_count(tx, 1, Segment(loyalty_type="loyalty")) == Count(90, 90)
        assert audience_count(tx, 1, Segment(registered_from=291)) == Count(9, 9)
        assert audience_count(tx, 2, None) == Count(0, 0)


def test_many_are_estimated_honestly(database: Database) -> None:
    fill(database, MANY)
    with database.reading() as tx:
        for segment, truth in (
            (None, MANY * 9 // 10),
            (Segment(loyalty_type="loyalty"), MANY * 3 // 10),
            (Segment(registered_from=MANY), 0),
        ):
            found = audience_count(tx, 1, segment)
            assert not found.is_exact
            assert found.low <= truth <= found.high
            assert found.high - found.low < MANY / 20


@pytest.mark.parametrize("share", [0.001, 0.02, 0.3, 0.97])
def test_the_range_holds_the_truth_nearly_always(share: float) -> None:
    chance, span, held = random.Random(20_310_310), 1_000_000, 0
    for _ in range(40):
        hits = [sum(chance.random() < share for _ in range(AUDIENCE_WINDOW_IDS)) for _ in range(AUDIENCE_WINDOWS)]
        found = estimated(hits, span)
        held += found.low <= share * span <= found.high
    assert held >= 34
