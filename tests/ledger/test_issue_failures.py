"""Issue, reversal and revocation when the database will not have them, or its answer to the commit is lost."""

import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from couponry.core.commands import Command
from couponry.core.model import Handling
from couponry.core.plan import IssueAnswer
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store.engine import Database
from tests.core.world import DAY_MS, MIRA, NOOR, NOW, coupon, pool_coupon, redeem, series
from tests.ledger.desk import Desk
from tests.ledger.orders import amend, issue, redate, reverse, revoke, several
from tests.ledger.rows import count_issued, open_shop, rows, run_sql, wrongs
from tests.ledger.stranger import A_COUNTER, A_COUPON, A_STANDING, holding
from tests.ledger.wire import Cut, Wire

MANY = {"is_multiple_vouchers_per_user_allowed": True}
WATCHED = (t.coupon, t.redemption, t.customer_series, t.outbox, t.refusal, t.idempotency)
A_REDEMPTION = "SELECT id FROM redemption FOR UPDATE"
A_POOL = "SELECT id FROM coupon WHERE issued_ms IS NULL FOR UPDATE"
A_CUSTOMER = "SELECT id FROM customer WHERE id = 1 FOR UPDATE"
on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)


@pytest.fixture
def shop(database: Database) -> Database:
    """A capped series of generated codes, a pool, a shared code; and Mira's coupons, A of which is redeemed."""
    open_shop(
        database,
        series(1, **MANY, max_create=1000, max_redeem=1000),
        series(2, client_handling_type=Handling.UPLOADED, **MANY),
        series(3, client_handling_type=Handling.SHARED, generic_code="SHARED"),
        series(4, mutual_exclusive_series_ids="[3]", **MANY),
        *(coupon(number, code) for number, code in enumerate("ABCDE", 1)),
        *(pool_coupon(number, f"P{number}", series_id=2) for number in range(10, 16)),
        pool_coupon(20, "SHARED", series_id=3),
    )
    count_issued(database)
    with Desk(database.url) as desk:
        assert desk.statuses(redeem("A", transaction_number=""), issue(4)) == [Code.PROCESSED] * 2
    return database


def the_redemption(shop: Database) -> int:
    (row,) = rows(shop, t.redemption)
    return int(row["id"])


@on_postgresql
@pytest.mark.parametrize(
    ("held", "command", "code"),
    [
        (A_STANDING, issue(), Code.CUSTOMER_BUSY),
        (A_COUNTER, issue(), Code.TIMED_OUT),
        (A_POOL, issue(2), Code.TIMED_OUT),
        (A_CUSTOMER, issue(4), Code.CUSTOMER_BUSY),
        (A_COUPON, revoke("A", "B"), Code.TIMED_OUT),
        (A_STANDING, revoke(), Code.CUSTOMER_BUSY),
        (A_COUPON, redate(NOW + DAY_MS, "A"), Code.TIMED_OUT),
        (A_REDEMPTION, "reverse", Code.TIMED_OUT),
        (A_COUPON, "reverse", Code.TIMED_OUT),
        (A_STANDING, "reverse", Code.CUSTOMER_BUSY),
        (A_COUNTER, "reverse", Code.TIMED_OUT),
        (A_REDEMPTION, "amend", Code.TIMED_OUT),
    ],
)
def test_lock_that_stays(shop: Database, held: str, command: Command | str, code: Code) -> None:
    """521 for the customer's counters, 787 for any other lock; nothing is left of it, and afterwards it goes."""
    made = the_redemption(shop)
    by_name: dict[object, Command] = {"reverse": reverse(made), "amend": amend(made)}
    asked = by_name[command] if isinstance(command, str) else command
    with Desk(shop.url, lock_wait_ms=300) as desk:
        with holding(shop.url, held):
            before = [rows(shop, table) for table in WATCHED]
            assert desk.statuses(asked) == [code]
            assert [rows(shop, table) for table in WATCHED] == before
        assert desk.statuses(asked) == [Code.UPDATED if command == "amend" else Code.PROCESSED]


@on_postgresql
@pytest.mark.parametrize("held", [A_COUPON, A_STANDING, A_COUNTER, A_REDEMPTION])
def test_amend_waits_for_the_redemption_alone(shop: Database, held: str) -> None:
    with Desk(shop.url, lock_wait_ms=300) as desk, holding(shop.url, held):
        assert desk.statuses(amend(the_redemption(shop))) == [Code.TIMED_OUT if held == A_REDEMPTION else Code.UPDATED]


COMMANDS: dict[str, Callable[[int], Command]] = {
    "generated": lambda _: issue(),
    "several": lambda _: several(3),
    "pooled": lambda _: several(2, 2),
    "shared": lambda _: issue(3, customer=(NOOR,)),
    "each": lambda _: issue(1, 2, 3, customer=(NOOR,)),
    "revoke": lambda _: revoke("B", "C"),
    "revoke all": lambda _: revoke(),
    "reverse": reverse,
    "redate": lambda _: redate(NOW + DAY_MS, "B", "C"),
    "amend": lambda redemption: amend(redemption, bill_id=7),
}


@pytest.mark.parametrize("table", ["outbox", "customer_series", "coupon"])
def test_store_that_is_away(shop: Database, table: str) -> None:
    """793 or 730, and nothing is left: no code given out, no limit freed."""
    commands = [make(the_redemption(shop)) for name, make in COMMANDS.items() if name not in ("amend", "redate")]
    before = [rows(shop, each) for each in WATCHED]
    expected = Code.OUTBOX_UNAVAILABLE if table == "outbox" else Code.UNKNOWN_ERROR
    with Desk(shop.url) as desk:
        run_sql(shop, f"ALTER TABLE {table} RENAME TO away")
        assert set(desk.statuses(*commands)) == {expected}
        run_sql(shop, f"ALTER TABLE away RENAME TO {table}")
        assert [rows(shop, each) for each in WATCHED] == before
        assert desk.statuses(issue(2)) == [Code.PROCESSED]
    assert [row["code"] for row in rows(shop, t.coupon) if row["series_id"] == 2 and row["issued_ms"]] == ["P10"]
    assert wrongs(shop) == []


@pytest.fixture
def wire(shop: Database) -> Iterator[Wire]:
    with Wire(shop.url) as cuttable:
        yield cuttable


@on_postgresql
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("how", ["before", "after", "late"])
def test_commit_cut_off(shop: Database, wire: Wire, how: Cut, name: str) -> None:
    """The caller gets the answer of what happened, and it happened once."""
    command = COMMANDS[name](the_redemption(shop))
    events = len(rows(shop, t.outbox))
    with Desk(wire.url) as desk:
        assert desk.statuses(redeem("D", transaction_number="")) == [Code.PROCESSED]  # connected
        wire.cut.append(how)
        (outcome,) = desk.outcomes(command)
    assert outcome.answer.status is (Code.UPDATED if name == "amend" else Code.PROCESSED)
    assert wire.cuts == 1
    told = Counter((row["event"], row["subject_id"]) for row in rows(shop, t.outbox)[events:])
    assert set(told.values()) == {1}
    coupons = {"generated": 1, "several": 3, "pooled": 2, "shared": 1, "each": 3}.get(name, 0)
    made = [row for row in rows(shop, t.coupon) if row["issued_till_id"]]
    assert len(made) == 1 + coupons
    assert wrongs(shop) == []


@on_postgresql
@pytest.mark.parametrize("how", ["before", "after", "late"])
def test_batch_cut_off_time_after_time(shop: Database, wire: Wire, how: Cut) -> None:
    """A batch of all verbs: what is told is what is there."""
    with Desk(wire.url) as desk:
        assert desk.statuses(redeem("D", transaction_number="")) == [Code.PROCESSED]
        wire.cut.extend([how] * 6)
        asked = [
            command for _ in range(6) for command in (issue(), issue(2, customer=(NOOR,)), issue(3), redate(NOW + DAY_MS, "B"))
        ]
        told = desk.outcomes(*asked, revoke("C"), reverse(the_first(shop)), revoke(customer=(MIRA,)))
    statuses = Counter(outcome.answer.status for outcome in told)
    assert set(statuses) <= {Code.PROCESSED, Code.HOLDS_A_COUPON, Code.DATABASE_UNREACHABLE, Code.NO_CODE_LEFT}
    issued = [outcome.answer for outcome in told if isinstance(outcome.answer, IssueAnswer)]
    given = sum(len(item.coupons) for answer in issued for item in answer.items)
    assert given == sum(row["issued_till_id"] is not None for row in rows(shop, t.coupon)) - 1
    assert wrongs(shop) == []


def the_first(shop: Database) -> int:
    return int(rows(shop, t.redemption)[0]["id"])


@on_postgresql
def test_budget_spent_means_never_issued(shop: Database) -> None:
    """748 while its lane waits for a lock: then the lock goes, and still nobody has got a coupon."""
    with Desk(shop.url, request_budget_ms=300) as desk:
        with holding(shop.url, A_COUNTER):
            assert set(desk.statuses(several(3), revoke("B"), redeem("C"))) == {Code.DEADLINE_EXCEEDED}
        time.sleep(0.5)
        assert desk.statuses(issue(2)) == [Code.PROCESSED]
    assert sum(bool(row["issued_till_id"]) for row in rows(shop, t.coupon)) == 2
    assert not any(row["revoked_ms"] for row in rows(shop, t.coupon))
    assert wrongs(shop) == []
