"""What reads of redemptions cost in statements: one each, whatever they find."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from couponry.store.engine import Database, ReadTransaction
from couponry.store.redemption_reads import UseListing, customers_by_id, latest_uses, list_uses, redeemed_between
from tests.core.world import NOW, ORG
from tests.store.test_read_statements import FEW, HOLDERS, MANY, Counter, counter, ids_of
from tests.store.test_statements import is_walk

__all__ = ["counter"]

READS: Final[dict[str, Callable[[ReadTransaction, int], Any]]] = {
    "a customer's": lambda tx, many: list_uses(tx, ORG, HOLDERS[many], UseListing(limit=MANY)),
    "between times": lambda tx, many: redeemed_between(tx, ORG, HOLDERS[many], NOW, NOW + 1),
    "of coupons": lambda tx, many: latest_uses(tx, ORG, {(one, 1) for one in ids_of(many)}),
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("many", [FEW, MANY])
def test_one_statement_finds_all(counter: Counter, database: Database, read: str, many: int) -> None:
    counter.statements.clear()
    with database.reading() as tx:
        assert len(READS[read](tx, many)) == many
    assert len(counter.statements) == 1


def test_customers_by_id(database: Database, counter: Counter) -> None:
    with database.reading() as tx:
        assert customers_by_id(tx, ORG, HOLDERS.values()).keys() == set(HOLDERS.values())


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_sqlite_finds_them_by_key(counter: Counter, database: Database) -> None:
    for read in READS.values():
        counter.statements.clear()
        with database.reading() as tx:
            read(tx, MANY)
            ((statement, parameters),) = counter.statements
            plan = tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            assert not [row for row in plan if is_walk(row[-1])], statement
