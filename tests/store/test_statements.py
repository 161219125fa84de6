"""What a batch costs in statements, and how SQLite looks rows up for it.

A hundred times the commands, the same count. One thing is left out: a block of serials runs out every few thousand redemptions.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

import pytest
from sqlalchemy import Connection, event

from couponry.core.commands import Command, Redeem
from couponry.core.model import Handling
from couponry.core.status import Code
from couponry.ledger.batches import Checker, Writer
from couponry.ledger.entry import Entry
from couponry.store.apply import Applier
from couponry.store.engine import Database
from couponry.store.load import Loader
from tests.core.world import NOW, check, coupon, coupon_id, customer, items, key, pool_coupon, redeem, series
from tests.ledger.rows import open_shop, run_sql

SIZES: Final = ((1, 1), (10, 1), (100, 1), (1, 10), (10, 10), (100, 10))
"""Commands of a batch, coupons of a command."""
PEOPLE: Final = sum(commands for commands, _ in SIZES)
# Per batch, begin and commit apart. Change them knowingly: on PostgreSQL each one is a round trip.
PINNED: Final = {
    "sqlite": {"first": 13, "again": 14, "replayed": 9, "refused": 9, "check": 7},
    "postgresql": {"first": 14, "again": 15, "replayed": 10, "refused": 10, "check": 7},
}


class Counter:
    """Settles batches of exactly the commands given, and keeps the statements that each took."""

    def __init__(self, database: Database) -> None:
        loader = Loader(database.dialect)
        self.writer = Writer(database, loader, Applier(database.dialect, stripe=1), lambda: NOW, b"")
        self.checker = Checker(database, loader, lambda: NOW)
        self.loop = asyncio.new_event_loop()
        self.statements: list[tuple[str, Any]] = []
        event.listen(database.engine, "before_cursor_execute", self._keep)
        self._execute = database.dialect.execute
        database.dialect.execute = self._keep_and_execute  # type: ignore[method-assign] # to see what runs straight on the driver

    def _keep(self, _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _is_many: bool) -> None:
        if not statement.startswith("BEGIN"):
            self.statements.append((statement, parameters))

    def _keep_and_execute(self, connection: Connection, sql: str, parameters: Any, *, is_many: bool = False) -> Any:
        self.statements.append((sql, parameters[0] if is_many else parameters))
        return self._execute(connection, sql, parameters, is_many=is_many)

    def settle(self, commands: Sequence[Command]) -> list[Code]:
        """The answers of one batch; `statements` are then those that it took."""
        self.statements.clear()
        settler = self.writer if isinstance(commands[0], Redeem) else self.checker
        entries = [Entry(command, self.loop.create_future(), self.loop, 0.0) for command in commands]
        return [outcome.answer.status for outcome in settler.settle(commands[0].org_id, entries, is_hasty=False)]

    def cost(self, commands: Sequence[Command], expected: Code) -> int:
        assert set(self.settle(commands)) == {expected}
        return len(self.statements)


@pytest.fixture
def counter(database: Database) -> Iterator[Counter]:
    """Everybody's ten coupons of a series that asks for all that there is to load."""
    terms = {"max_redeem": 100_000, "has_audience": True, "is_multiple_use_allowed": True, "same_user_multiple_redeem": True}
    people = range(3, 3 + PEOPLE)
    shown = [coupon(person * 10 + number, f"C{person}-{number}", customer_id=person) for person in people for number in range(10)]
    open_shop(
        database,
        series(1, min_bill_amount=Decimal(1), **terms),
        series(2, client_handling_type=Handling.SHARED, any_user=True),
        pool_coupon(1, "SHARED", series_id=2),
        coupon(2),
        *(customer(person) for person in people),
        *shown,
    )
    run_sql(database, "INSERT INTO series_audience (org_id, series_id, customer_id) SELECT org_id, 1, id FROM customer")
    made = Counter(database)
    made.settle([redeem(transaction_number="warm")])
    made.settle([check()])
    yield made
    made.loop.close()


def asked(person: int, coupons: int, bill: str, amount: int = 1800) -> dict[str, Any]:
    return {
        "customer": (("mobile", f"9198123{person:05}"),),
        "items": items(*(f"C{person}-{number}" for number in range(coupons))),
        "transaction_number": bill,
        "amount": Decimal(amount),
    }


def test_statements_of_a_batch_do_not_depend_on_its_size(counter: Counter, database_kind: str) -> None:
    """Prevents the statement per row, which nobody notices until a batch is full."""
    costs: dict[str, set[int]] = {kind: set() for kind in PINNED[database_kind]}
    first_person = 3
    for commands, coupons in SIZES:
        people = range(first_person, first_person + commands)
        first_person += commands
        for kind, bill, expected in (
            ("first", "B1", Code.PROCESSED),
            ("again", "B2", Code.PROCESSED),
            ("replayed", "B2", Code.PROCESSED),
        ):
            costs[kind].add(counter.cost([redeem(**asked(person, coupons, bill)) for person in people], expected))
        refused = Code.INVALID_AMOUNT if coupons == 1 else Code.ALL_FAILED
        costs["refused"].add(counter.cost([redeem(**asked(person, coupons, "B3", amount=0)) for person in people], refused))
        costs["check"].add(counter.cost([check(**asked(person, coupons, "B4")) for person in people], Code.REDEEMABLE))
    assert costs == {kind: {count} for kind, count in PINNED[database_kind].items()}


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_sqlite_looks_every_row_up_by_its_key(counter: Counter, database: Database) -> None:
    """Prevents a plan that walks through an org's rows. It did once, and made redeems a hundred times slower."""
    by_all = (("id", "1"), ("mobile", "919812300001"), ("email", "mira@example.org"), ("externalId", "E1"), ("cardnumber", "1"))
    commands = [
        redeem("C3-0", customer=(("mobile", "919812300003"),)),
        redeem(coupon_id(41), customer=(("mobile", "919812300004"),), transaction_number=""),
        redeem("SHARED", transaction_number="shared"),
        redeem("UNKNOWN", "SHARED", key=key()),
        redeem("C5-0", customer=(*by_all, ("cardExternalId", "1"))),
    ]
    plans: dict[str, list[str]] = {}
    for batch in (
        commands,
        commands,
        [check("C3-0", customer=(("mobile", "919812300003"),)), check("SHARED"), check(coupon_id(41))],
    ):
        counter.settle(batch)
        seen = list(counter.statements)
        with database.reading() as tx:
            for statement, parameters in seen:
                found = tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans[statement] = [row.detail for row in found]
    assert len(plans) > 15
    assert sum("SEARCH" in step for steps in plans.values() for step in steps) > 15
    assert not {statement: steps for statement, steps in plans.items() if any(map(is_walk, steps))}


def is_walk(step: str) -> bool:
    """Whether a step of a query plan reads more rows than the keys asked for: those of a whole table, or of a whole org."""
    if step.startswith("SCAN"):
        return (
            "VIRTUAL TABLE" not in step and "CONSTANT ROW" not in step and not re.match(r"SCAN \(?subquery", step, re.IGNORECASE)
        )
    return step.startswith("SEARCH") and re.search(r"\((org_id=\?|org_id>\?)?\)$", step) is not None and " org " not in step


@pytest.mark.parametrize(
    ("step", "is_bad"),
    [
        ("SCAN coupon", True),
        ("SCAN coupon USING INDEX ix_coupon_customer", True),
        ("SEARCH coupon USING PRIMARY KEY (org_id=?)", True),
        ("SEARCH coupon USING INDEX ix_coupon_series (org_id=?)", True),
        ("SEARCH coupon USING INDEX uq_coupon_code (org_id=? AND code_key=? AND holder_id=?)", False),
        ("SEARCH coupon USING PRIMARY KEY (org_id=? AND id=?)", False),
        ("SCAN ids VIRTUAL TABLE INDEX 1:", False),
        ("USE TEMP B-TREE FOR ORDER BY", False),
    ],
)
def test_a_walk_is_known_when_seen(step: str, is_bad: bool) -> None:
    assert is_walk(step) is is_bad
