"""What the service cannot do gets its own code (status-codes 5), nothing is committed, and it recovers by itself."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from couponry.core.commands import Command
from couponry.core.status import Code
from couponry.store import migrate
from couponry.store import schema as t
from couponry.store.directory import Directory, DirectoryUnreadable
from couponry.store.engine import Database
from tests.core.world import check, coupon, redeem, series
from tests.databases import PostgresServer, fresh_postgresql
from tests.ledger.desk import Desk
from tests.ledger.rows import miscounts, open_shop, rows, run_sql
from tests.ledger.stranger import A_COUNTER, A_COUPON, A_STANDING, holding

REUSABLE = {"is_multiple_use_allowed": True, "same_user_multiple_redeem": True}
on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def shop(database: Database) -> Database:
    """Mira's coupons A, B and C, which can be used again."""
    open_shop(database, series(1, max_redeem=1000, **REUSABLE), *(coupon(number, code) for number, code in enumerate("ABC", 1)))
    return database


def bill(code: str, number: object) -> Command:
    return redeem(code, transaction_number=f"T{number}")


def told_nothing_done(desk: Desk, shop: Database, command: Command, code: Code) -> None:
    """The command fails with this code, and leaves nothing, not even a refusal."""
    before = {table.name: rows(shop, table) for table in (t.redemption, t.refusal, t.idempotency, t.coupon)}
    assert desk.statuses(command) == [code]
    assert {table.name: rows(shop, table) for table in (t.redemption, t.refusal, t.idempotency, t.coupon)} == before


@contextmanager
def renamed(database: Database, table: str) -> Iterator[None]:
    run_sql(database, f"ALTER TABLE {table} RENAME TO away")
    yield
    run_sql(database, f"ALTER TABLE away RENAME TO {table}")


@pytest.mark.parametrize(
    ("table", "redeemed", "checked"),
    [
        ("customer", Code.CUSTOMERS_UNAVAILABLE, Code.CUSTOMERS_UNAVAILABLE),
        ("outbox", Code.OUTBOX_UNAVAILABLE, Code.REDEEMABLE),
        ("coupon", Code.UNKNOWN_ERROR, Code.UNKNOWN_ERROR),
        ("customer_series", Code.UNKNOWN_ERROR, Code.UNKNOWN_ERROR),
    ],
)
def test_store_that_is_away(desk: Desk, shop: Database, table: str, redeemed: Code, checked: Code) -> None:
    """792, 793, 730; the refusal's trace and the answer's keeping go with the rest."""
    with renamed(shop, table):
        assert desk.statuses(redeem("A"), check("A")) == [redeemed, checked]
    for left in (t.redemption, t.refusal, t.idempotency, t.outbox, t.customer_series):
        assert rows(shop, left) == []
    assert desk.statuses(redeem("A"), check("B")) == [Code.PROCESSED, Code.REDEEMABLE]
    assert miscounts(shop) == []


def test_hierarchy_that_is_away(shop: Database) -> None:
    """797, from whoever asks for a till before there is a command."""
    directory = Directory(shop)
    for table in ("till", "store"):
        with renamed(shop, table), pytest.raises(DirectoryUnreadable) as refused:
            directory.till_of(1, "TILL", "t")
        assert refused.value.code is Code.ENTITIES_UNAVAILABLE
    assert directory.till_of(1, "TILL", "t") is None


def test_org_configuration_invalid(desk: Desk, shop: Database) -> None:
    """795 until it is repaired."""
    run_sql(shop, "UPDATE org SET time_zone = 'Mars/Olympus'")
    assert desk.statuses(redeem("A"), check("A"), redeem("NOSUCH")) == [Code.ORG_MISCONFIGURED] * 3
    for left in (t.redemption, t.refusal, t.idempotency):
        assert rows(shop, left) == []
    run_sql(shop, "UPDATE org SET time_zone = 'Asia/Kolkata', currency = 'XXX'")
    assert desk.statuses(redeem("A"), check("A")) == [Code.ORG_MISCONFIGURED] * 2
    run_sql(shop, "UPDATE org SET currency = 'INR'")
    assert desk.statuses(redeem("A"), check("A")) == [Code.PROCESSED, Code.REDEEMABLE]


@pytest.mark.parametrize(
    "terms",
    [
        "",
        "{",
        "[]",
        '{"description":"d"}',
        '{"description":"d","seriesCode":"s","zone":"Mars/Olympus"}',
        '{"description":"d","seriesCode":"s","zone":"UTC","redemptionRange":"{"}',
        '{"description":"d","seriesCode":"s","zone":"UTC","redemptionRange":"{\\"dom\\":[32]}"}',
        '{"description":"d","seriesCode":"s","zone":"UTC","clientHandlingType":"NOVEL"}',
    ],
)
@on_sqlite
def test_series_configuration_unusable(desk: Desk, shop: Database, terms: str) -> None:
    """788 for its coupons alone, until the terms are repaired."""
    open_shop(shop, org_id=2)
    (good,) = (row["terms"] for row in rows(shop, t.series_version))
    run_sql(shop, f"UPDATE series_version SET terms = '{terms}' WHERE org_id = 1")
    told_nothing_done(desk, shop, redeem("A"), Code.SERIES_UNREADABLE)
    assert desk.statuses(check("A", "B"), redeem(org_id=2)) == [Code.SERIES_UNREADABLE, Code.PROCESSED]
    run_sql(shop, f"UPDATE series_version SET terms = '{good}' WHERE org_id = 1")
    assert desk.statuses(redeem("A"), check("A")) == [Code.PROCESSED, Code.REDEEMABLE]


def test_capped_series_without_its_counter_is_unusable(desk: Desk, shop: Database) -> None:
    run_sql(shop, "DELETE FROM series_counter")
    told_nothing_done(desk, shop, redeem("A"), Code.SERIES_UNREADABLE)
    run_sql(shop, "INSERT INTO series_counter (org_id, series_id, stripe, redeemed_max) VALUES (1, 1, 0, 1000)")
    assert desk.statuses(redeem("A")) == [Code.PROCESSED]


def test_lock_that_stays(shop: Database) -> None:
    """787: a coupon's row on PostgreSQL, the file on SQLite. Checks take no lock, so none is in their way."""
    with Desk(shop.url, lock_wait_ms=300) as desk:
        with holding(shop.url):
            told_nothing_done(desk, shop, bill("A", 1), Code.TIMED_OUT)
            assert desk.statuses(check("A")) == [Code.REDEEMABLE]
        assert desk.statuses(bill("A", 1)) == [Code.PROCESSED]
    assert miscounts(shop) == []


def test_lock_that_goes_in_time(shop: Database) -> None:
    """Waiting is no failure: the row is let go before the wait is over."""
    with Desk(shop.url, lock_wait_ms=5000) as desk:
        with holding(shop.url):
            (waiting,) = desk.submit(bill("A", 1))
            time.sleep(0.5)
            assert not waiting.done()
        assert waiting.result(5).answer.status is Code.PROCESSED


@on_postgresql
@pytest.mark.parametrize(
    ("held", "code"), [(A_COUPON, Code.TIMED_OUT), (A_STANDING, Code.CUSTOMER_BUSY), (A_COUNTER, Code.TIMED_OUT)]
)
def test_which_lock_decides_the_code(shop: Database, held: str, code: Code) -> None:
    """521 for the customer's counters, 787 for any other lock (README 10)."""
    with Desk(shop.url, lock_wait_ms=300) as desk:
        assert desk.statuses(bill("A", 1)) == [Code.PROCESSED]
        with holding(shop.url, held):
            told_nothing_done(desk, shop, bill("A", 2), code)
        assert desk.statuses(bill("A", 2)) == [Code.PROCESSED]
    assert miscounts(shop) == []


@on_postgresql
def test_locked_row_delays_nobody_else(shop: Database) -> None:
    """The command that meets it waits where nobody waits behind it; the others wait one short time at most."""
    with Desk(shop.url) as desk:
        desk.statuses(bill("B", "warm"), bill("C", "warm"))
        with holding(shop.url):
            (stuck,) = desk.submit(bill("A", 1))
            delays_s = []
            for number in range(20):
                start_s = time.monotonic()
                assert desk.statuses(bill("B", number), bill("C", number)) == [Code.PROCESSED] * 2
                delays_s.append(time.monotonic() - start_s)
            assert not stuck.done()
            start_s = time.monotonic()
            crowd = desk.submit(*(bill("BC"[number % 2], f"crowd{number}") for number in range(40)), bill("A", 2))
            assert {future.result(5).answer.status for future in crowd[:-1]} == {Code.PROCESSED}
            delays_s.append(time.monotonic() - start_s)
        assert [future.result(10).answer.status for future in (stuck, crowd[-1])] == [Code.PROCESSED] * 2
    assert max(delays_s) < 2, delays_s  # about 0.4 on an idle machine; waiting for the row would take 5
    assert miscounts(shop) == []


@on_postgresql
def test_one_stuck_row_does_not_fail_others_that_wait(shop: Database) -> None:
    """Of two commands that wait for rows, the one whose row comes free is redeemed, whatever becomes of the other."""
    b_only = "SELECT id FROM coupon WHERE code = 'B' FOR UPDATE"
    with Desk(shop.url, lock_wait_ms=1000) as desk, holding(shop.url):
        with holding(shop.url, b_only):
            first, second = desk.submit(bill("A", 1), bill("B", 1))
            time.sleep(0.7)
        assert second.result(10).answer.status is Code.PROCESSED
        assert first.result(10).answer.status is Code.TIMED_OUT


@on_postgresql
def test_waits_for_several_rows_do_not_add_up(shop: Database) -> None:
    """Each command waits its own time and gets 787; in line behind the others it would run out of its budget (748)."""
    with Desk(shop.url, lock_wait_ms=1000, request_budget_ms=2600) as desk:
        with holding(shop.url, "SELECT id FROM coupon FOR UPDATE"):
            stuck = []
            for code in "ABC":
                stuck += desk.submit(bill(code, 1))
                time.sleep(0.3)
            assert [future.result(10).answer.status for future in stuck] == [Code.TIMED_OUT] * 3
        assert desk.statuses(*(bill(code, 1) for code in "ABC")) == [Code.PROCESSED] * 3


def test_budget_spent_means_never_redeemed(shop: Database) -> None:
    """748 while its lane waits for a lock: then the lock goes, and still nothing is redeemed."""
    with Desk(shop.url, request_budget_ms=300) as desk:
        with holding(shop.url):
            assert desk.statuses(bill("A", 1), bill("B", 2)).count(Code.DEADLINE_EXCEEDED) >= 1
        assert desk.statuses(bill("C", 3)) == [Code.PROCESSED]  # behind the others, so they have had their chance
        time.sleep(0.3)
        (a,) = [row for row in rows(shop, t.coupon) if row["code"] == "A"]
        assert a["uses"] == 0
        assert desk.statuses(bill("A", 1)) == [Code.PROCESSED]
    assert miscounts(shop) == []


def test_queue_full(shop: Database) -> None:
    """789 at once for what is over the bound, checks too; what was admitted is done."""
    with Desk(shop.url, queue_commands_max=2) as desk:
        with holding(shop.url):
            waiting = desk.submit(bill("A", 1), bill("A", 2))
            desk.wait_until(lambda: desk.ledger.in_flight == 2)
            assert desk.statuses(bill("A", 3), check("A")) == [Code.OVERLOADED] * 2
            assert desk.ledger.admission() is Code.OVERLOADED
        assert [future.result(10).answer.status for future in waiting] == [Code.PROCESSED] * 2
        assert desk.ledger.admission() is None
        assert desk.statuses(bill("A", 3), check("A")) == [Code.PROCESSED, Code.REDEEMABLE]


def test_drain_finishes_what_is_in_flight(shop: Database) -> None:
    """790 for new work, its answer for old work, and then the end."""
    with Desk(shop.url) as desk:
        with holding(shop.url):
            waiting = desk.submit(*(bill("ABC"[number % 3], number) for number in range(30)))
            desk.wait_until(lambda: desk.ledger.in_flight > 0)
            draining = desk.start_draining()
            desk.wait_until(lambda: desk.ledger.admission() is Code.DRAINING)
            assert desk.statuses(bill("A", "new"), check("A")) == [Code.DRAINING] * 2
            assert not draining.done()
        assert {future.result(10).answer.status for future in waiting} == {Code.PROCESSED}
        draining.result(10)
        assert desk.statuses(bill("A", "new")) == [Code.DRAINING]
    assert len(rows(shop, t.redemption)) == 30
    assert miscounts(shop) == []


POISON = {  # raised for the coupon whose code is B, at the insert of its redemption
    "sqlite": ["CREATE TRIGGER poison BEFORE INSERT ON redemption WHEN NEW.coupon_id = {id} BEGIN SELECT {what}; END"],
    "postgresql": [
        """CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN IF NEW.coupon_id = {id} THEN {what}; END IF; RETURN NEW; END $$""",
        "CREATE TRIGGER poison BEFORE INSERT ON redemption FOR EACH ROW EXECUTE FUNCTION poison()",
    ],
}
BROKEN = {"sqlite": "json('no json')", "postgresql": "RAISE EXCEPTION 'poison'"}
CONFLICT = {"sqlite": "RAISE(ABORT, 'conflict')", "postgresql": "RAISE serialization_failure"}


@pytest.mark.parametrize(("what", "code"), [(BROKEN, Code.UNKNOWN_ERROR), (CONFLICT, Code.CONFLICT)])
def test_poisonous_command_falls_alone(desk: Desk, shop: Database, database_kind: str, what: dict[str, str], code: Code) -> None:
    """730 for what nobody foresaw, 791 for a conflict at every try; the rest of the batch is redeemed, in order."""
    (b,) = (row["id"] for row in rows(shop, t.coupon) if row["code"] == "B")
    run_sql(shop, *(part.format(id=b, what=what[database_kind]) for part in POISON[database_kind]))
    asked = [bill("ABCACAC"[number % 7], number) for number in range(35)]
    expected = [code if number % 7 == 1 else Code.PROCESSED for number in range(35)]
    assert desk.statuses(*asked) == expected
    kept = sorted(rows(shop, t.redemption), key=lambda row: int(row["use_number"]))
    of_a = [row["transaction_number"] for row in kept if row["coupon_id"] < b]
    assert of_a == [f"T{number}" for number in range(35) if "ABCACAC"[number % 7] == "A"]
    assert rows(shop, t.refusal) == []
    run_sql(shop, "DROP TRIGGER poison" + (" ON redemption" if database_kind == "postgresql" else ""))
    assert desk.statuses(bill("B", 1)) == [Code.PROCESSED]
    assert miscounts(shop) == []


@on_postgresql
def test_statement_out_of_time_is_told_at_once(desk: Desk, shop: Database, database_kind: str) -> None:
    """787 without another try: a statement that took all its time would take it again, and the caller's with it."""
    (b,) = (row["id"] for row in rows(shop, t.coupon) if row["code"] == "B")
    run_sql(shop, *(part.format(id=b, what="RAISE query_canceled") for part in POISON[database_kind]))
    assert desk.statuses(bill("B", 1)) == [Code.TIMED_OUT]
    assert desk.statuses(bill("A", 1)) == [Code.PROCESSED]
    run_sql(shop, "DROP TRIGGER poison ON redemption")
    assert desk.statuses(bill("B", 1)) == [Code.PROCESSED]


def test_database_stopped_and_started_under_load(own_postgres_server: PostgresServer) -> None:
    """786 while it is away. Afterwards each bill can be repeated, and is redeemed once, whatever was told before."""
    url = fresh_postgresql(own_postgres_server)
    with closing(Database(url)) as shop:
        migrate.upgrade(shop)
        open_shop(shop, series(1, **REUSABLE), *(coupon(number, code) for number, code in enumerate("ABC", 1)))
    bills = [bill("ABC"[number % 3], number) for number in range(600)]
    with Desk(url) as desk:
        told = []
        for at in range(0, 600, 20):
            told += desk.submit(*bills[at : at + 20])
            if at == 100:
                assert told[0].result(10).answer.status is Code.PROCESSED
                own_postgres_server.stop()
                assert desk.statuses(check("A")) == [Code.DATABASE_UNREACHABLE]
            if at == 400:
                assert told[300].result(10).answer.status is Code.DATABASE_UNREACHABLE
                own_postgres_server.start()
            time.sleep(0.005)
        statuses = [future.result(10).answer.status for future in told]
        assert set(statuses) == {Code.PROCESSED, Code.DATABASE_UNREACHABLE}
        assert desk.statuses(bill("A", "after"), check("A")) == [Code.PROCESSED, Code.REDEEMABLE]
        assert set(desk.statuses(*bills)) == {Code.PROCESSED}
    with closing(Database(url)) as shop:
        kept = [row["transaction_number"] for row in rows(shop, t.redemption)]
        assert miscounts(shop) == []
    assert sorted(kept) == sorted([f"T{number}" for number in range(600)] + ["Tafter"])
