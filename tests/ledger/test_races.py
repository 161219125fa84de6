"""Two ledgers over one PostgreSQL, as two server processes are: limits hold, losers get the limit's code, nobody deadlocks."""

import multiprocessing
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from couponry.core.commands import Redeem
from couponry.core.model import Handling
from couponry.core.plan import Outcome
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store.engine import Database
from tests.core.world import MIRA, NOOR, coupon, customer, key, pool_coupon, redeem, series
from tests.ledger.desk import Desk
from tests.ledger.rows import miscounts, open_shop, rows

pytestmark = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
REUSABLE: dict[str, Any] = {"is_multiple_use_allowed": True, "same_user_multiple_redeem": True}
ROUNDS = 12


@pytest.fixture
def desks(database: Database) -> Iterator[tuple[Desk, Desk]]:
    with Desk(database.url) as one, Desk(database.url) as other:
        yield one, other


def race(desks: tuple[Desk, Desk], commands: list[Redeem]) -> list[Outcome]:
    """Hand commands in at both desks by turns, and wait for all of them."""
    futures = [future for at, command in enumerate(commands) for future in desks[at % 2].submit(command)]
    return [future.result(30) for future in futures]


def tally(outcomes: list[Outcome]) -> Counter[Code]:
    return Counter(outcome.answer.status for outcome in outcomes)


def person(serial: int) -> tuple[tuple[str, str], ...]:
    return (("mobile", f"9198123{serial:05}"),)


def test_one_coupon(desks: tuple[Desk, Desk], database: Database) -> None:
    open_shop(database)
    told = race(desks, [redeem(transaction_number=f"T{number}") for number in range(64)])
    assert tally(told) == {Code.PROCESSED: 1, Code.ALREADY_USED: 63}
    assert len(rows(database, t.redemption)) == 1
    assert miscounts(database) == []


def test_series_cap(desks: tuple[Desk, Desk], database: Database) -> None:
    """Every customer has a coupon of their own, so that only the series' counter joins them."""
    people = range(3, 153)
    open_shop(
        database,
        series(1, max_redeem=100),
        *(customer(each) for each in people),
        *(coupon(each, f"C{each}", customer_id=each) for each in people),
    )
    told = race(desks, [redeem(f"C{each}", customer=person(each)) for each in people])
    assert tally(told) == {Code.PROCESSED: 100, Code.SERIES_LIMIT_REACHED: 50}
    assert miscounts(database) == []


def test_code_cap(desks: tuple[Desk, Desk], database: Database) -> None:
    open_shop(database, series(1, redemption_per_coupon_max_limit=25, **REUSABLE), coupon())
    told = race(desks, [redeem(transaction_number=f"T{number}") for number in range(60)])
    assert tally(told) == {Code.PROCESSED: 25, Code.CODE_LIMIT_REACHED: 35}
    assert miscounts(database) == []


def test_customer_limit_without_a_row_to_lock(desks: tuple[Desk, Desk], database: Database) -> None:
    """Four coupons of each customer, limit two: nobody has a counter yet, so that both ledgers make it at once."""
    people = range(3, 53)
    open_shop(
        database,
        series(1, max_redemptions_in_series_per_user=2),
        *(customer(each) for each in people),
        *(coupon(each * 10 + number, f"C{each}-{number}", customer_id=each) for each in people for number in range(4)),
    )
    asked = [redeem(f"C{each}-{number}", customer=person(each)) for each in people for number in range(4)]
    random.Random(1).shuffle(asked)
    assert tally(race(desks, asked)) == {Code.PROCESSED: 100, Code.CUSTOMER_LIMIT_REACHED: 100}
    counted = Counter(row["customer_id"] for row in rows(database, t.redemption))
    assert set(counted.values()) == {2}
    assert miscounts(database) == []


def test_shared_code_without_a_row_to_lock(desks: tuple[Desk, Desk], database: Database) -> None:
    """Both ledgers make the customer's own record of a shared code; one of them counts."""
    people = range(3, 43)
    shared = series(1, client_handling_type=Handling.SHARED, any_user=True)
    open_shop(database, shared, pool_coupon(1, "SHARED"), *(customer(each) for each in people))
    asked = [redeem("SHARED", customer=person(each), transaction_number=f"T{turn}") for turn in range(4) for each in people]
    random.Random(2).shuffle(asked)
    assert tally(race(desks, asked)) == {Code.PROCESSED: 40, Code.ALREADY_USED: 120}
    assert len(rows(database, t.coupon)) == 41
    assert miscounts(database) == []


@pytest.mark.parametrize("code", ["OWN", "SHARED"])
@pytest.mark.parametrize("keyed", [True, False])
def test_same_request_at_both(desks: tuple[Desk, Desk], database: Database, code: str, keyed: bool) -> None:
    """One redemption, and all who got an answer got the same one. A coupon row orders them, or (shared code) nothing does."""
    shared = series(2, client_handling_type=Handling.SHARED, any_user=True, **REUSABLE)
    open_shop(database, series(1, **REUSABLE), shared, coupon(1, "OWN"), pool_coupon(2, "SHARED", series_id=2))
    for turn in range(ROUNDS):
        same = redeem(code, key=key(f"k{turn}") if keyed else None, transaction_number=f"T{turn}")
        told = race(desks, [same] * 20)
        answered = [outcome for outcome in told if outcome.answer.status is not Code.KEY_IN_PROGRESS]
        assert {outcome.answer.status for outcome in answered} == {Code.PROCESSED}
        assert len({outcome.answer.items[0].redemption_id for outcome in answered}) == 1  # type: ignore[union-attr] # redeems
        assert Counter(outcome.replayed for outcome in answered)[""] == 1
        assert keyed or len(answered) == 20
        assert len(rows(database, t.redemption)) == turn + 1
    assert miscounts(database) == []


def test_same_refusal_at_both(desks: tuple[Desk, Desk], database: Database) -> None:
    """A refusal is kept under its key although no row orders the two."""
    open_shop(database)
    for turn in range(ROUNDS):
        told = race(desks, [redeem("NOSUCH", key=key(f"k{turn}"))] * 2)
        assert [outcome.answer.status for outcome in told] == [Code.UNKNOWN_COUPON] * 2
        assert len(rows(database, t.refusal)) == turn + 1


def test_hundred_coupons_in_opposite_order(desks: tuple[Desk, Desk], database: Database) -> None:
    """Locks are taken in key order, whatever the order of asking: no deadlock, no timeout, one winner per round."""
    shown = [
        coupon(turn * 100 + number + 1, f"C{turn}-{number}", series_id=1 + number % 5)
        for turn in range(ROUNDS)
        for number in range(100)
    ]
    open_shop(database, *(series(each, any_user=True, max_redeem=(10_000, -1)[each % 2]) for each in range(1, 6)), *shown)
    for turn in range(ROUNDS):
        codes = [f"C{turn}-{number}" for number in range(100)]
        told = race(desks, [redeem(*codes, customer=(MIRA,)), redeem(*reversed(codes), customer=(NOOR,))])
        assert tally(told) == {Code.PROCESSED: 1, Code.ALL_FAILED: 1}
    assert len(rows(database, t.redemption)) == ROUNDS * 100
    assert miscounts(database) == []


def test_overlaps_of_all_kinds(desks: tuple[Desk, Desk], database: Database) -> None:
    """Requests of several coupons by several customers, shared codes and new counters among them, crosswise and many at once."""
    chance = random.Random(3)
    caps: dict[str, Any] = {"any_user": True, "max_redeem": 300, "redemption_per_coupon_max_limit": 12, **REUSABLE}
    shared = {"client_handling_type": Handling.SHARED, "any_user": True, **REUSABLE}
    people = range(3, 23)
    open_shop(
        database,
        series(1, **caps),
        series(2, any_user=True, max_redemptions_in_series_per_user=6, **REUSABLE),
        series(3, **shared, max_redemptions_in_series_per_user=5),
        *(coupon(number, f"A{number}", series_id=1) for number in range(1, 21)),
        *(coupon(number, f"B{number}", series_id=2) for number in range(21, 41)),
        *(pool_coupon(number, f"S{number}", series_id=3) for number in range(41, 46)),
        *(customer(each) for each in people),
    )
    codes = [row["code"] for row in rows(database, t.coupon)]
    asked = []
    for number in range(600):
        some, who = chance.sample(codes, chance.randint(1, 6)), person(chance.choice(people))
        asked.append(redeem(*some, customer=who, transaction_number=f"T{number}"))
    told = tally(race(desks, asked))
    limits = {Code.CODE_LIMIT_REACHED, Code.CUSTOMER_LIMIT_REACHED, Code.SERIES_LIMIT_REACHED}
    assert set(told) <= {Code.PROCESSED, Code.BATCH_REFUSED, Code.ALL_FAILED, *limits}
    assert told[Code.PROCESSED] > 100
    kept = rows(database, t.redemption)
    series_of = {row["id"]: row["series_id"] for row in rows(database, t.coupon)}
    assert Counter(row["series_id"] for row in kept)[1] <= 300
    assert max(Counter(row["coupon_id"] for row in kept if series_of[row["coupon_id"]] == 1).values()) <= 12
    of_customers = Counter((row["customer_id"], row["series_id"]) for row in kept if row["series_id"] != 1)
    assert max(times for (_, series_id), times in of_customers.items() if series_id == 2) <= 6
    assert max(times for (_, series_id), times in of_customers.items() if series_id == 3) <= 5
    assert miscounts(database) == []


def one_process(url: str, first: int) -> list[str]:
    """What a server process of its own is told for its half of the requests."""
    with Desk(url) as desk:
        desk.statuses(redeem("NOSUCH", transaction_number=""))  # connected
        return [code.name for code in desk.statuses(*(redeem(transaction_number=f"T{first + n}") for n in range(40)))]


def test_two_processes(database: Database) -> None:
    open_shop(database, series(1, redemption_per_coupon_max_limit=30, **REUSABLE), coupon())
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        told = Counter(code for part in pool.map(one_process, [database.url] * 2, [0, 100]) for code in part)
    assert told == {"PROCESSED": 30, "CODE_LIMIT_REACHED": 50}
    assert miscounts(database) == []
