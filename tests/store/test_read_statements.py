"""What reads of coupons cost in statements, and how SQLite looks rows up: a hundred times the coupons, the same count."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest
from sqlalchemy import Connection, event

from couponry.core.codes import code_key
from couponry.core.holdings import STATUSES
from couponry.core.limits import COUPONS_LISTED_MAX
from couponry.store.coupon_reads import CouponReads, Filters, Listing, Page
from couponry.store.engine import Database, ReadTransaction
from tests.core.world import NOW, ORG, coupon, coupon_id, customer, series
from tests.ledger.rows import open_shop, run_sql
from tests.store.test_statements import is_walk

FEW, MANY = 1, 100
HOLDERS: Final = {FEW: 3, MANY: 4}
"""Customers by how many coupons they hold; each coupon is of another series, and redeemed."""
ALL: Final = Listing(frozenset(STATUSES))
# Per read, once the terms have been met: begin and commit apart.
PINNED: Final = {"by id": 2, "by code": 2, "by customer": 3, "held": 6, "held, by status": 6, "one page": 6}

Ask = Callable[[CouponReads, ReadTransaction, int], object]


def ids_of(many: int) -> tuple[int, ...]:
    return tuple(coupon_id(HOLDERS[many] * 1000 + number) for number in range(many))


def codes_of(many: int) -> tuple[str, ...]:
    return tuple(code_key(f"C{HOLDERS[many]}-{number}") for number in range(many))


ASKED: Final[dict[str, Ask]] = {
    "by id": lambda reads, tx, many: reads.find(tx, ORG, Filters(ids=ids_of(many))),
    "by code": lambda reads, tx, many: reads.find(tx, ORG, Filters(codes=codes_of(many), customer_ids=(HOLDERS[many],))),
    "by customer": lambda reads, tx, many: reads.find(tx, ORG, Filters(customer_ids=(HOLDERS[many],))),
    "held": lambda reads, tx, many: reads.held(tx, ORG, HOLDERS[many], Listing(), NOW),
    "held, by status": lambda reads, tx, many: reads.held(tx, ORG, HOLDERS[many], ALL, NOW),
    "one page": lambda reads, tx, many: reads.held(tx, ORG, HOLDERS[many], Listing(limit=1), NOW),
}


class Counter:
    """Asks, and keeps the statements that it took."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.reads = CouponReads()
        self.statements: list[tuple[str, Any]] = []
        event.listen(database.engine, "before_cursor_execute", self._keep)
        self._execute = database.dialect.execute
        database.dialect.execute = self._keep_and_execute  # type: ignore[method-assign] # to see what runs straight on the driver

    def _keep(self, _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _is_many: bool) -> None:
        if not statement.startswith("BEGIN"):
            self.statements.append((statement, parameters))

    def _keep_and_execute(self, connection: Connection, sql: str, parameters: Any, *, is_many: bool = False) -> Any:
        self.statements.append((sql, parameters))
        return self._execute(connection, sql, parameters, is_many=is_many)

    def ask(self, how: Ask, many: int) -> Sequence[tuple[str, Any]]:
        self.statements.clear()
        with self.database.reading() as tx:
            page = how(self.reads, tx, many)
        assert isinstance(page, Page)
        assert page.total == many
        return tuple(self.statements)


@pytest.fixture
def counter(database: Database) -> Counter:
    holders = [customer(holder) for holder in HOLDERS.values()]
    held = [
        coupon(holder * 1000 + number, f"C{holder}-{number}", series_id=number + 1, customer_id=holder, redeemed=1, uses=1)
        for many, holder in HOLDERS.items()
        for number in range(many)
    ]
    open_shop(database, *(series(number + 1) for number in range(MANY)), *holders, *held)
    store = "INSERT INTO store (org_id, id, code, name, is_active) VALUES (1, 21, 'blr01', 'Bengaluru 1', {})"
    till = "INSERT INTO till (org_id, id, code, name, store_id, password_hash, is_active) VALUES (1, 11, 'till1', '', 21, '', {})"
    is_active = "1" if database.is_sqlite else "true"
    run_sql(
        database,
        store.format(is_active),
        till.format(is_active),
        "UPDATE coupon SET issued_till_id = 11",
        "INSERT INTO redemption (org_id, id, coupon_id, use_number, series_id, series_version, customer_id, customer_use_number, "
        "till_id, store_id, redeemed_ms, transaction_number, request_id) "
        f"SELECT org_id, id, id, 1, series_id, 1, customer_id, 1, 11, 21, {NOW}, '', '' FROM coupon WHERE uses = 1",
        "INSERT INTO customer_series (org_id, customer_id, series_id, issued, redeemed, uses) "
        "SELECT org_id, customer_id, series_id, 1, 1, 1 FROM coupon WHERE uses = 1",
    )
    return Counter(database)


def test_statements_of_a_read_do_not_depend_on_how_much_it_finds(counter: Counter) -> None:
    """Prevents the statement per coupon, which nobody notices until a customer has many."""
    counter.ask(ASKED["held"], MANY)
    costs = {name: {len(counter.ask(how, many)) for many in HOLDERS} for name, how in ASKED.items()}
    assert costs == {name: {count} for name, count in PINNED.items()}


def test_terms_are_read_once(counter: Counter) -> None:
    """A cold process takes one statement more, for all terms together."""
    assert len(counter.ask(ASKED["held"], MANY)) == PINNED["held"] + 1
    assert len(counter.ask(ASKED["held"], MANY)) == PINNED["held"]


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_sqlite_looks_every_row_up_by_its_key(counter: Counter, database: Database) -> None:
    """Prevents a plan that walks through an org's rows."""
    plans: dict[str, list[str]] = {}
    for how in ASKED.values():
        for statement, parameters in counter.ask(how, MANY):
            with database.reading() as tx:
                found = tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans[statement] = [row.detail for row in found]
    assert len(plans) == 8
    assert not {statement: steps for statement, steps in plans.items() if any(map(is_walk, steps))}


def test_everything_is_there(counter: Counter, database: Database) -> None:
    """A page is the coupons with their store and redemptions, newest first: of one time of issue, the highest id."""
    with database.reading() as tx:
        page = counter.reads.held(tx, ORG, HOLDERS[MANY], Listing(limit=3, offset=1), NOW)
    assert isinstance(page, Page)
    assert [one.id for one in page.coupons] == list(reversed(ids_of(MANY)))[1:4]
    assert {(one.till_id, one.shop.code if one.shop else "", len(one.redemptions)) for one in page.coupons} == {(11, "blr01", 1)}
    assert Listing().limit == COUPONS_LISTED_MAX
