"""What validation costs in statements, and how SQLite looks its rows up: a hundred times the redeems, the same count."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event, insert

from couponry.core.commands import Command, Item
from couponry.core.status import Code
from couponry.core.validation import COUPON, Channel, Message, Vault
from couponry.store import schema as t
from couponry.store import validation
from couponry.store.engine import Database, WriteTransaction
from couponry.store.validation import Wanted
from tests.core.world import MIRA, NOW, ORG, check, coupon, customer, redeem, series
from tests.ledger.rows import open_shop
from tests.store.test_statements import Counter, is_walk

PEOPLE: Final = 110
KINDS: Final = ("plain", "by code", "by call", "wrong", "checked")
# Beyond what the same redeem of a series without validation takes: the codes, or the calls, and their use.
EXTRA: Final = {"plain": 0, "by code": 2, "by call": 2, "wrong": 2, "checked": 1}
VAULT: Final = Vault(b"only for this test")
RIGHT: Final = VAULT.mac(ORG, "123456")


@pytest.fixture
def counter(database: Database) -> Iterator[Counter]:
    """Everybody has a code, a missed call, and a coupon for each kind of request, of a series with validation and one without."""
    people = range(3, 3 + PEOPLE)
    strict = [coupon(person * 20 + at, f"V{person}-{at}", customer_id=person) for person in people for at in range(len(KINDS))]
    lax = [
        coupon(person * 20 + 10 + at, f"L{person}-{at}", series_id=2, customer_id=person)
        for person in people
        for at in range(len(KINDS))
    ]
    open_shop(database, series(is_validation_required=True), series(2), *map(customer, people), *strict, *lax)
    code = {"scope": COUPON, "entity_type": "mobile", "entity_value": "x", "mac": RIGHT, "sealed": b"", "message": "{}"}
    with database.writing() as tx:
        for person in people:
            own = {"org_id": ORG, "id": 10_000 + person, "customer_id": person}
            tx.connection.execute(insert(t.otp).values(**own, **code, created_ms=NOW, expires_ms=NOW + 1))
            tx.connection.execute(insert(t.missed_call).values(**own, mobile="x", called_ms=NOW))
    made = Counter(database)
    made.settle([redeem("V3-0", "L3-0", transaction_number="warm")])
    made.settle([check("V3-0", "L3-0")])
    yield made
    made.loop.close()


def asked(kind: str, letter: str, people: range) -> list[Command]:
    """A request of each of these people for the coupon that is there for this kind."""
    mac = {"plain": "", "by call": "", "wrong": "wrong"}.get(kind, RIGHT)
    commands: list[Command] = []
    for person in people:
        item = Item(code=f"{letter}{person}-{KINDS.index(kind)}", validation_mac=mac, by_missed_call=kind == "by call")
        fields: dict[str, Any] = {"items": (item,), "customer": (("id", str(person)),), "transaction_number": f"B{kind}"}
        commands.append(check(**fields) if kind == "checked" else redeem(**fields))
    return commands


EXPECTED: Final = {
    "plain": Code.VALIDATION_REQUIRED,
    "by code": Code.PROCESSED,
    "by call": Code.PROCESSED,
    "wrong": Code.INVALID_VALIDATION_CODE,
    "checked": Code.REDEEMABLE,
}


def test_statements_do_not_depend_on_the_number_of_codes(counter: Counter) -> None:
    """And a redeem that shows no code, or of a series that asks for none, sends not one more."""
    first = 4
    costs: dict[str, set[int]] = {kind: set() for kind in KINDS}
    usual: dict[str, set[int]] = {kind: set() for kind in KINDS}
    for many in (1, 100):
        people = range(first, first + many)
        first += many
        for kind in ("plain", "wrong", "checked", "by code", "by call"):
            costs[kind].add(counter.cost(asked(kind, "V", people), EXPECTED[kind]))
            lax = Code.REDEEMABLE if kind == "checked" else Code.PROCESSED
            usual[kind].add(counter.cost(asked(kind, "L", people), lax))
    (redeeming,), (checking,) = usual["plain"], usual["checked"]
    assert usual == {kind: {checking if kind == "checked" else redeeming} for kind in KINDS}
    assert costs["by code"] == costs["by call"] == {redeeming + EXTRA["by code"]}
    assert costs["checked"] == {checking + EXTRA["checked"]}
    (plain,) = costs["plain"]
    assert costs["wrong"] == {plain + EXTRA["wrong"]}


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_sqlite_looks_codes_and_calls_up_by_their_keys(counter: Counter, database: Database) -> None:
    plans: dict[str, list[str]] = {}
    for kind in KINDS:
        counter.settle(asked(kind, "V", range(4, 6)))
        plans |= explained(database, counter.statements)
    assert any("otp" in statement for statement in plans)
    assert any("missed_call" in statement for statement in plans)
    assert walks(plans) == {}


def explained(database: Database, statements: Sequence[tuple[str, Any]]) -> dict[str, list[str]]:
    with database.reading() as tx:
        found = {}
        for statement, parameters in list(statements):
            rows = tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            found[statement] = [row.detail for row in rows]
    return found


def walks(plans: dict[str, list[str]]) -> dict[str, list[str]]:
    return {statement: steps for statement, steps in plans.items() if any(map(is_walk, steps))}


WANTED: Final = Wanted(MIRA, COUPON, 60_000, Message((Channel("mobile", ""),)), "r-1")
Work = Callable[[WriteTransaction], object]
ACTS: Final[dict[str, Work]] = {
    "generate": lambda tx: validation.generate(tx, ORG, ZoneInfo("Asia/Kolkata"), WANTED, "123456", VAULT, NOW),
    "validate": lambda tx: validation.validate(tx, ORG, MIRA, COUPON, RIGHT, NOW),
    "validate wrongly": lambda tx: validation.validate(tx, ORG, MIRA, COUPON, "wrong", NOW),
    "read": lambda tx: validation.latest(tx, ORG, MIRA, COUPON, 0, NOW),
    "called": lambda tx: validation.called(tx, ORG, MIRA[1], NOW),
}
COSTS: Final = {"generate": 7, "validate": 2, "validate wrongly": 3, "read": 2, "called": 3}


@pytest.mark.parametrize("act", ACTS)
def test_statements_of_the_endpoints(counter: Counter, database: Database, act: str) -> None:
    """However many codes the customer was sent before, and no walk through those of others."""
    seen: list[tuple[str, Any]] = []
    event.listen(
        database.engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, parameters, _context, _many: seen.append((statement, parameters)),
    )
    costs = []
    for codes in (1, 7):
        for _ in range(codes):
            with database.writing() as tx:
                ACTS["generate"](tx)
        seen.clear()
        with database.writing() as tx:
            ACTS[act](tx)
        statements = [each for each in seen if not each[0].startswith("BEGIN")]
        costs.append(len(statements))
        if database.is_sqlite:
            assert walks(explained(database, [each for each in statements if not each[0].startswith("INSERT")])) == {}
    assert costs == [COSTS[act]] * 2
