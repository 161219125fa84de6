"""A commit whose connection breaks has happened or not: it is never done twice, and never called a refusal."""

import time
from collections.abc import Iterator

import psycopg
import pytest

from couponry.core.commands import Redeem
from couponry.core.model import Handling
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store.engine import Database
from tests.core.world import coupon, pool_coupon, redeem, series
from tests.ledger.desk import Desk
from tests.ledger.rows import miscounts, open_shop, rows
from tests.ledger.wire import Cut, Wire

pytestmark = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
REUSABLE = {"is_multiple_use_allowed": True, "same_user_multiple_redeem": True}


@pytest.fixture
def shop(database: Database) -> Database:
    """Coupons that only a double redemption would redeem twice (A, B), one for a single use (C), and a shared code."""
    all_series = [
        series(1, **REUSABLE),
        series(2),
        series(3, client_handling_type=Handling.SHARED, any_user=True, **REUSABLE),
    ]
    shown = [coupon(1, "A"), coupon(2, "B"), coupon(3, "C", series_id=2), pool_coupon(4, "SHARED", series_id=3)]
    open_shop(database, *all_series, *shown)
    return database


@pytest.fixture
def wire(shop: Database) -> Iterator[Wire]:
    with Wire(shop.url) as cuttable:
        yield cuttable


def bill(*codes: str, number: object = "") -> Redeem:
    """Without a number nothing but the ledger itself can know a repeat."""
    return redeem(*codes, transaction_number=str(number))


@pytest.mark.parametrize("codes", [("A",), ("C",), ("A", "B", "C"), ("SHARED",)])
@pytest.mark.parametrize("how", ["before", "after", "late"])
def test_commit_cut_off(shop: Database, wire: Wire, how: Cut, codes: tuple[str, ...]) -> None:
    """The caller gets the answer of what happened; each coupon is redeemed once."""
    with Desk(wire.url) as desk:
        warm = "B" if codes != ("A", "B", "C") else "SHARED"
        assert desk.statuses(bill(warm)) == [Code.PROCESSED]
        wire.cut.append(how)
        answer = desk.answer(bill(*codes))
        assert answer.status is Code.PROCESSED
        assert wire.cuts == 1
        redeemed = {row["id"] for row in rows(shop, t.redemption)}
        assert {item.redemption_id for item in answer.items} <= redeemed
        assert len(redeemed) == 1 + len(codes)
    assert miscounts(shop) == []


@pytest.mark.parametrize("how", ["before", "after", "late"])
def test_batch_cut_off_time_after_time(shop: Database, wire: Wire, how: Cut) -> None:
    """As often as it is tried: what is told is what is there."""
    with Desk(wire.url) as desk:
        assert desk.statuses(bill("B")) == [Code.PROCESSED]
        wire.cut.extend([how] * 6)
        told = desk.outcomes(*(bill("AB"[number % 2], number=number) for number in range(40)))
        processed = [outcome for outcome in told if outcome.answer.status is Code.PROCESSED]
        assert {outcome.answer.status for outcome in told} <= {Code.PROCESSED, Code.DATABASE_UNREACHABLE}
        kept = rows(shop, t.redemption)
        assert len(kept) == 1 + len(processed)
    assert miscounts(shop) == []


def test_commit_that_stays_under_way_for_long(shop: Database) -> None:
    """Its locks outlast the wait within a batch; the commands wait on, each with its memory of the lost commit."""
    with Wire(shop.url, late_s=0.8) as wire, Desk(wire.url) as desk:
        assert desk.statuses(bill("B")) == [Code.PROCESSED]
        wire.cut.append("late")
        assert desk.statuses(bill("A"), bill("A"), bill("C")) == [Code.PROCESSED] * 3
        assert [row["uses"] for row in rows(shop, t.coupon)] == [2, 1, 1, 0]
    assert miscounts(shop) == []


def test_backend_killed_at_its_commit(shop: Database) -> None:
    """The server ends the session in the midst of the commit: a deferred trigger runs there."""
    with psycopg.connect(shop.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE killed (pid int)")
        connection.execute(
            """CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$
               BEGIN IF (SELECT count(*) FROM killed) = 0 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
               RETURN NULL; END $$"""
        )
        connection.execute(
            "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON redemption DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION die()"
        )
        with Desk(shop.url, request_budget_ms=500) as desk:
            # Every attempt dies, so nothing is done and the code says so; then it recovers.
            assert desk.statuses(bill("A")) == [Code.DATABASE_UNREACHABLE]
            assert rows(shop, t.redemption) == []
            connection.execute("INSERT INTO killed VALUES (0)")
            assert desk.statuses(bill("A")) == [Code.PROCESSED]
    assert miscounts(shop) == []


def test_sessions_killed_under_load(shop: Database) -> None:
    """Whatever a session was doing when it was killed: told redeemed is redeemed, told otherwise is not."""
    bills = [bill("AB"[number % 2], number=number) for number in range(900)]
    with Desk(shop.url) as desk, psycopg.connect(shop.url, autocommit=True) as killer:
        told = []
        for at in range(0, 900, 15):
            told += desk.submit(*bills[at : at + 15])
            if at % 60 == 0:
                killer.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE pid <> pg_backend_pid() AND datname = current_database()"
                )
            time.sleep(0.003)
        statuses = [future.result(15).answer.status for future in told]
    assert set(statuses) <= {Code.PROCESSED, Code.DATABASE_UNREACHABLE}
    shop.close()  # its sessions were killed too
    kept = sorted(row["transaction_number"] for row in rows(shop, t.redemption))
    assert kept == sorted(str(number) for number, status in enumerate(statuses) if status is Code.PROCESSED)
    assert miscounts(shop) == []


@pytest.mark.parametrize("comes_back", [True, False])
def test_database_gone_with_the_commit(shop: Database, wire: Wire, comes_back: bool) -> None:
    """Who may have been redeemed for waits for the database, and gets 786 once the budget is spent; others get it at once."""
    with Desk(wire.url, request_budget_ms=1500) as desk:
        assert desk.statuses(bill("B")) == [Code.PROCESSED]
        wire.goes_down = True
        wire.cut.append("after")
        (asked,) = desk.submit(bill("A"))
        desk.wait_until(lambda: wire.is_down)
        assert desk.statuses(bill("C")) == [Code.DATABASE_UNREACHABLE]
        time.sleep(0.3)
        assert not asked.done()
        wire.is_down = not comes_back
        assert asked.result(15).answer.status is (Code.PROCESSED if comes_back else Code.DATABASE_UNREACHABLE)
        wire.is_down = False
        assert desk.statuses(bill("C")) == [Code.PROCESSED]
    assert [row["uses"] for row in rows(shop, t.coupon)] == [1, 1, 1, 0]
