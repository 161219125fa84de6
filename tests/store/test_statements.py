"""What a batch costs in statements, and how SQLite looks rows up for it.

A hundred times the commands, the same count. Left out is what happens every few thousand rows or few seconds: blocks of serials
and of codes are reserved, plans are made anew.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

import pytest
from sqlalchemy import Connection, event

from couponry.core.commands import Check, Command
from couponry.core.model import Handling
from couponry.core.plan import Answer
from couponry.core.status import Code
from couponry.ledger.batches import Checker, Writer
from couponry.ledger.entry import Entry
from couponry.store.apply import Applier
from couponry.store.engine import Database
from couponry.store.load import Loader
from tests.core.world import DAY_MS, NOW, check, coupon, coupon_id, customer, items, key, pool_coupon, redeem, series
from tests.ledger.orders import amend, issue, redate, reverse, revoke, several
from tests.ledger.rows import count_issued, open_shop, run_sql

SIZES: Final = ((1, 1), (10, 1), (100, 1), (1, 10), (10, 10), (100, 10))
"""Commands of a batch, coupons of a command."""
PEOPLE: Final = sum(commands for commands, _ in SIZES)
NOW_AND_THEN: Final = ("BEGIN", "INSERT INTO serial ", "UPDATE series SET codes_made", "DISCARD PLANS")
# Per batch, begin and commit apart. Change them knowingly: on PostgreSQL each one is a round trip.
PINNED: Final = {
    "sqlite": {"first": 14, "again": 15, "replayed": 9, "refused": 11, "check": 7},
    "postgresql": {"first": 15, "again": 16, "replayed": 10, "refused": 12, "check": 7},
}
PINNED_OF_VERBS: Final = {  # on SQLite, on PostgreSQL
    "issue generated": (12, 13),
    "issue generated again": (12, 13),
    "issue pooled": (13, 14),
    "issue shared": (12, 12),
    "issue each": (16, 17),
    "issue with key": (14, 15),
    "sent again": (8, 8),
    "issue refused": (10, 10),
    "amend": (3, 3),
    "reverse": (14, 15),
    "reverse refused": (2, 2),
    "redate": (5, 6),
    "revoke codes": (10, 11),
    "revoke customer's codes": (11, 12),
    "revoke all": (12, 13),
    "mixed": (26, 28),
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
        if not statement.startswith(NOW_AND_THEN):
            self.statements.append((statement, parameters))

    def _keep_and_execute(self, connection: Connection, sql: str, parameters: Any, *, is_many: bool = False) -> Any:
        if not sql.startswith(NOW_AND_THEN):
            self.statements.append((sql, parameters[0] if is_many else parameters))
        return self._execute(connection, sql, parameters, is_many=is_many)

    def settle(self, commands: Sequence[Command]) -> list[Code]:
        """The answers of one batch; `statements` are then those that it took."""
        self.statements.clear()
        settler = self.checker if isinstance(commands[0], Check) else self.writer
        entries = [Entry(command, self.loop.create_future(), self.loop, 0.0) for command in commands]
        return [outcome.answer.status for outcome in settler.settle(commands[0].org_id, entries, is_hasty=False)]

    def cost(self, commands: Sequence[Command], expected: Code) -> int:
        assert set(self.settle(commands)) == {expected}
        return len(self.statements)

    def taken_by(self, commands: Sequence[Command]) -> list[tuple[str, Any]]:
        """The statements of one batch that all goes well."""
        assert set(self.settle(commands)) <= {Code.PROCESSED, Code.UPDATED}
        return self.statements

    def redemptions(self, commands: Sequence[Command]) -> list[list[int]]:
        """The ids that each redeem made."""
        entries = [Entry(command, self.loop.create_future(), self.loop, 0.0) for command in commands]
        answers = [outcome.answer for outcome in self.writer.settle(commands[0].org_id, entries, is_hasty=False)]
        return [[item.redemption_id for item in answer.items] for answer in answers if isinstance(answer, Answer)]


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


COUPONS: Final = ((1, 1), (18, 1), (1, 30), (18, 30))
"""Commands of a batch, coupons of a command."""


@pytest.fixture
def bazaar(database: Database) -> Iterator[Counter]:
    """Series of each source, with all that an issue may have to load; people with many coupons, some redeemed."""
    every = {"max_create": 90_000, "max_redeem": 90_000, "has_audience": True, "max_vouchers_per_user": 1000}
    many = {"is_multiple_vouchers_per_user_allowed": True, "mutual_exclusive_series_ids": "[9]", **every}
    people = [customer(serial) for serial in range(3, 3 + sum(commands for commands, _ in COUPONS))]
    held = [
        coupon(person.id * 100 + number, f"H{person.id}-{number}", series_id=4, customer_id=person.id)
        for person in people
        for number in range(60)
    ]
    open_shop(
        database,
        series(1, **many),
        series(2, client_handling_type=Handling.UPLOADED, **many),
        series(3, client_handling_type=Handling.SHARED, generic_code="SHARED", **every),
        series(4, is_multiple_use_allowed=True, do_not_resend_existing_voucher=False, **every),
        series(5, **every),
        series(9),
        *people,
        *held,
        *(pool_coupon(100_000 + number, f"P{number}", series_id=2) for number in range(3000)),
        pool_coupon(99_999, "SHARED", series_id=3),
    )
    audience = (
        "INSERT INTO series_audience (org_id, series_id, customer_id) SELECT c.org_id, s.id, c.id FROM customer c, series s"
    )
    run_sql(database, audience)
    count_issued(database)
    made = Counter(database)
    made.settle(
        [*(issue(number, customer=(("id", "1"),)) for number in (1, 2, 3, 4, 5, 9)), redeem("SHARED", customer=(("id", "1"),))]
    )
    yield made
    made.loop.close()


def costs_of_verbs(counter: Counter, database: Database, serials: range, coupons: int) -> dict[str, int]:
    """What a batch of each verb costs, a command for each of these people."""
    who = {serial: (("id", str(serial)),) for serial in serials}
    held = {serial: [f"H{serial}-{number}" for number in range(coupons)] for serial in serials}
    others = {serial: [f"H{serial}-{number}" for number in range(30, 30 + coupons)] for serial in serials}
    done = Code.PROCESSED
    cost = {
        "issue generated": counter.cost([several(coupons, 1, customer=one) for one in who.values()], done),
        "issue generated again": counter.cost([several(coupons, 1, customer=one) for one in who.values()], done),
        "issue pooled": counter.cost([several(coupons, 2, customer=one) for one in who.values()], done),
        "issue shared": counter.cost([issue(3, customer=one) for one in who.values()], done),
        "issue each": counter.cost([issue(*[1, 2] * (1 + coupons // 6), 5, customer=one) for one in who.values()], done),
        "issue with key": counter.cost(
            [issue(1, customer=one, key=key(f"k{at}-{coupons}-{len(who)}")) for at, one in who.items()], done
        ),
        "sent again": counter.cost([issue(4, customer=one) for one in who.values()], done),
        "issue refused": counter.cost([issue(5, customer=one) for one in who.values()], Code.HOLDS_A_COUPON),
    }
    redeemed = counter.redemptions([redeem(*held[at], customer=one, transaction_number="") for at, one in who.items()])
    cost |= {
        "amend": counter.cost([amend(*each, bill_id=1) for each in redeemed], Code.UPDATED),
        "reverse": counter.cost([reverse(*each) for each in redeemed], done),
        "reverse refused": counter.cost([reverse(*each) for each in redeemed], Code.INVALID_REDEMPTION_IDS),
        "redate": counter.cost([redate(NOW + DAY_MS, *held[at], series_id=4) for at in who], done),
        "revoke codes": counter.cost([revoke(*held[at], series_id=4) for at in who], done),
        "revoke customer's codes": counter.cost(
            [revoke(*others[at], series_id=4, customer=one) for at, one in who.items()], done
        ),
        "revoke all": counter.cost([revoke(series_id=1, customer=one) for one in who.values()], done),
    }
    mixed: list[Command] = []
    for at, one in who.items():
        mixed += [issue(1, 2, customer=one), redeem("SHARED", customer=one, transaction_number=f"M{at}")]
        mixed += [
            amend(*redeemed[0], bill_id=2),
            revoke(series_id=5, customer=one),
            redate(NOW + DAY_MS, "SHARED", series_id=3, customer=one),
        ]
    cost["mixed"] = len(counter.taken_by(mixed))
    return cost


def test_statements_of_each_verb(bazaar: Counter, database: Database, database_kind: str) -> None:
    """One command or many, one coupon or many: the same number of statements."""
    found: list[dict[str, int]] = []
    first = 3
    for commands, coupons in COUPONS:
        found.append(costs_of_verbs(bazaar, database, range(first, first + commands), coupons))
        first += commands
    pinned = {
        verb: on_postgresql if database_kind == "postgresql" else on_sqlite
        for verb, (on_sqlite, on_postgresql) in PINNED_OF_VERBS.items()
    }
    assert found == [pinned] * len(COUPONS)


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
    assert_no_walk(plans)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_sqlite_looks_every_row_of_each_verb_up_by_its_key(bazaar: Counter, database: Database) -> None:
    who = (("id", "3"),)
    ((made,),) = bazaar.redemptions([redeem("H3-0", customer=who)])
    plans: dict[str, list[str]] = {}
    for command in (
        *(issue(1, 2, 3, 4, 5, customer=who, key=key()), several(3, 2, customer=who), amend(made, bill_id=1), reverse(made)),
        *(redate(NOW + DAY_MS, "H3-1", series_id=4), revoke("H3-2", series_id=4), revoke(series_id=4, customer=who)),
    ):
        bazaar.settle([command])
        seen = list(bazaar.statements)
        with database.reading() as tx:
            for statement, parameters in seen:
                found = tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans[statement] = [row.detail for row in found]
    assert len(plans) > 20
    assert_no_walk(plans)


def assert_no_walk(plans: dict[str, list[str]]) -> None:
    assert sum("SEARCH" in step for steps in plans.values() for step in steps) > 15
    assert not {statement: steps for statement, steps in plans.items() if any(map(is_walk, steps))}


def is_walk(step: str) -> bool:
    """Whether a step of a query plan reads more rows than the keys asked for: those of a whole table, or of a whole org."""
    if step.startswith("SCAN"):
        return (
            "VIRTUAL TABLE" not in step
            and "CONSTANT ROW" not in step
            and not re.match(r"SCAN (\(?subquery|one$)", step, re.IGNORECASE)
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
