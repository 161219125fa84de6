"""Two ledgers over one database, as two server processes are: what issue, reversal, revocation and redemption do to each other.

After each race the doctor finds nothing, and what was told is what the rows say.
"""

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from couponry.core.commands import Command, Issue
from couponry.core.model import Handling
from couponry.core.plan import Answer, IssueAnswer, Outcome, RevokeAnswer
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store.engine import Database
from tests.core.world import MIRA, NOOR, NOW, coupon, customer, key, pool_coupon, redeem, series
from tests.ledger.desk import Desk
from tests.ledger.orders import issue, redate, reverse, revoke, several
from tests.ledger.rows import count_issued, open_shop, rows, wrongs
from tests.ledger.stranger import holding

MANY: dict[str, Any] = {"is_multiple_vouchers_per_user_allowed": True}
POOL: dict[str, Any] = {"client_handling_type": Handling.UPLOADED, **MANY}
SHARED: dict[str, Any] = {"client_handling_type": Handling.SHARED, "any_user": True, "generic_code": "SHARED"}
REUSABLE: dict[str, Any] = {"is_multiple_use_allowed": True, "same_user_multiple_redeem": True}
ROUNDS = 10


@pytest.fixture
def desks(database: Database) -> Iterator[tuple[Desk, Desk]]:
    with Desk(database.url) as one, Desk(database.url) as other:
        yield one, other


def race(desks: tuple[Desk, Desk], commands: Sequence[Command]) -> list[Outcome]:
    """Hand commands in at both desks by turns, and wait for all of them."""
    futures = [future for at, command in enumerate(commands) for future in desks[at % 2].submit(command)]
    return [future.result(30) for future in futures]


def tally(outcomes: Sequence[Outcome]) -> Counter[Code]:
    return Counter(outcome.answer.status for outcome in outcomes)


def person(serial: int) -> tuple[tuple[str, str], ...]:
    return (("mobile", f"9198123{serial:05}"),)


def issued(outcomes: Sequence[Outcome]) -> list[int]:
    """The coupons that were told to be issued anew."""
    answers = [outcome.answer for outcome in outcomes if isinstance(outcome.answer, IssueAnswer) and not outcome.replayed]
    return sorted(one.coupon_id for answer in answers for item in answer.items for one in item.coupons)


def books_hold(database: Database, outcomes: Sequence[Outcome]) -> None:
    """Told is done: each coupon issued once, each redemption told once."""
    by_ledger = (row for row in rows(database, t.coupon) if row["issued_till_id"] and not row["issued_by_redemption"])
    assert issued(outcomes) == sorted(row["id"] for row in by_ledger)
    answers = [outcome.answer for outcome in outcomes if isinstance(outcome.answer, Answer) and not outcome.replayed]
    redeemed = sorted(item.redemption_id for answer in answers for item in answer.items if item.redemption_id > 0)
    assert redeemed == [row["id"] for row in rows(database, t.redemption)]
    assert wrongs(database) == []


@pytest.mark.parametrize("source", [Handling.GENERATED, Handling.UPLOADED, Handling.SHARED])
def test_series_cap(desks: tuple[Desk, Desk], database: Database, source: Handling) -> None:
    """Never more than the cap, whoever they are for and however many are asked for at once."""
    people = range(3, 63)
    fields = {Handling.GENERATED: MANY, Handling.UPLOADED: POOL, Handling.SHARED: SHARED}[source]
    open_shop(
        database,
        series(1, **fields, max_create=50),
        *(pool_coupon(number, "SHARED" if number == 1 else f"P{number}") for number in range(1, 101)),
        *(customer(each) for each in people),
    )
    asked = [issue(customer=person(each)) if each % 3 else several(3, customer=person(each)) for each in people]
    told = race(desks, asked)
    assert set(tally(told)) == {Code.PROCESSED, Code.SERIES_LIMIT_REACHED}
    assert len(issued(told)) == 50
    books_hold(database, told)


def test_customer_limit(desks: tuple[Desk, Desk], database: Database) -> None:
    """`maxVouchersPerUser`, for customers who have never had any: nobody has a counter yet."""
    people = range(3, 33)
    open_shop(database, series(1, **MANY, max_vouchers_per_user=2), series(2), coupon(series_id=2), *map(customer, people))
    count_issued(database)
    asked = [issue(customer=person(each)) for each in people for _ in range(4)]
    random.Random(1).shuffle(asked)
    told = race(desks, asked)
    assert tally(told) == {Code.PROCESSED: 60, Code.CUSTOMER_HAS_ENOUGH: 60}
    assert set(Counter(row["customer_id"] for row in rows(database, t.coupon) if row["series_id"] == 1).values()) == {2}
    assert wrongs(database) == []


@pytest.mark.parametrize("is_sent_again", [True, False])
def test_one_live_coupon(desks: tuple[Desk, Desk], database: Database, is_sent_again: bool) -> None:
    """Of a customer never seen before, who asks at both; the others get the same again, or are refused."""
    people = range(3, 33)
    terms = series(1, do_not_resend_existing_voucher=not is_sent_again)
    open_shop(database, terms, series(2), coupon(series_id=2), *map(customer, people))
    count_issued(database)
    asked = [issue(customer=person(each)) for each in people for _ in range(4)]
    told = race(desks, asked)
    refused = Code.PROCESSED if is_sent_again else Code.HOLDS_A_COUPON
    assert tally(told) == Counter({Code.PROCESSED: 30}) + Counter({refused: 90})
    made = [row for row in rows(database, t.coupon) if row["series_id"] == 1]
    assert Counter(row["customer_id"] for row in made) == dict.fromkeys(people, 1)
    assert set(issued(told)) == {row["id"] for row in made}
    assert wrongs(database) == []


def test_pool(desks: tuple[Desk, Desk], database: Database) -> None:
    """No code twice, none left over: also while many are refused for whom codes had been set aside."""
    people = range(3, 43)
    once = {"client_handling_type": Handling.UPLOADED}
    codes = [pool_coupon(number, f"P{number}") for number in range(1, 41)]
    open_shop(database, series(1, **once), *codes, *(customer(each) for each in people))
    asked = [issue(customer=person(each)) for each in people for _ in range(5)]
    random.Random(2).shuffle(asked)
    told = race(desks, asked)
    assert tally(told) == {Code.PROCESSED: 40, Code.HOLDS_A_COUPON: 160}
    assert {row["customer_id"] for row in rows(database, t.coupon)} == {*people}
    books_hold(database, told)


def test_pool_that_is_too_small(desks: tuple[Desk, Desk], database: Database) -> None:
    people = range(3, 83)
    open_shop(
        database, series(1, **POOL), *(pool_coupon(number, f"P{number}") for number in range(1, 61)), *map(customer, people)
    )
    told = race(desks, [issue(customer=person(each)) for each in people])
    assert tally(told) == {Code.PROCESSED: 60, Code.NO_CODE_LEFT: 20}
    books_hold(database, told)


def test_locked_pool_is_not_an_empty_one(database: Database) -> None:
    """Prevents 722 while others have the codes locked and may well let them go: it takes some time, or 787."""
    open_shop(database, series(1, **POOL), *(pool_coupon(number, f"P{number}") for number in range(1, 4)))
    with Desk(database.url, lock_wait_ms=300) as desk:
        with holding(database.url, "SELECT id FROM coupon FOR UPDATE"):
            assert desk.statuses(issue(), several(3)) == [Code.TIMED_OUT] * 2
        with holding(database.url, "SELECT id FROM coupon FOR UPDATE"):
            (waiting,) = desk.submit(several(3))
            time.sleep(0.1)
        assert waiting.result(10).answer.status is Code.PROCESSED
    books_hold(database, [waiting.result()])


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_locked_code_is_passed_over(desks: tuple[Desk, Desk], database: Database) -> None:
    """As long as there are others, nobody waits for the oldest."""
    open_shop(database, series(1, **POOL), *(pool_coupon(number, f"P{number}") for number in range(1, 4)))
    with holding(database.url):
        told = race(desks, [issue(), issue(customer=(NOOR,))])
    assert tally(told) == {Code.PROCESSED: 2}
    assert [row["issued_ms"] is None for row in rows(database, t.coupon)] == [True, False, False]
    books_hold(database, told)


def test_exclusive_of_each_other(desks: tuple[Desk, Desk], database: Database) -> None:
    """Two series that exclude each other, asked for at once: one, whichever. Their counters have nothing in common."""
    people = range(3, 63)
    pair = series(1, mutual_exclusive_series_ids="[2]"), series(2, mutual_exclusive_series_ids="[1]")
    open_shop(database, *pair, series(3), coupon(series_id=3), *map(customer, people))
    count_issued(database)
    told = race(desks, [issue(which, customer=person(each)) for each in people for which in (1, 2)])
    assert tally(told) == {Code.PROCESSED: 60, Code.EXCLUDED: 60}
    assert set(Counter(row["customer_id"] for row in rows(database, t.coupon) if row["series_id"] != 3).values()) == {1}
    assert wrongs(database) == []


def test_shared_code_from_two_sides(desks: tuple[Desk, Desk], database: Database) -> None:
    """One own record, whether an issue or a redemption makes it."""
    people = range(3, 43)
    open_shop(database, series(1, **SHARED, **REUSABLE), pool_coupon(1, "SHARED"), *(customer(each) for each in people))
    asked: list[Command] = []
    for each in people:
        asked += [redeem("SHARED", customer=person(each), transaction_number=""), issue(customer=person(each))]
        asked += [issue(customer=person(each)), redeem("SHARED", customer=person(each), transaction_number="")]
    told = race(desks, asked)
    assert set(tally(told)) == {Code.PROCESSED, Code.HOLDS_A_COUPON}
    own = [row for row in rows(database, t.coupon) if row["holder_id"]]
    assert Counter(row["holder_id"] for row in own) == dict.fromkeys(people, 1)
    assert len(rows(database, t.redemption)) == 80
    assert len(issued(told)) == sum(not row["issued_by_redemption"] for row in own)
    books_hold(database, told)


@pytest.mark.parametrize("command", [issue(key=key()), several(3, key=key()), issue(1, 1, 9, key=key()), issue(9, key=key())])
def test_same_issue_at_both(desks: tuple[Desk, Desk], database: Database, command: Issue) -> None:
    """One answer under one key."""
    open_shop(database, series(1, **MANY), series(2), coupon(series_id=2))
    count_issued(database)
    told = race(desks, [command] * 20)
    answered = [outcome for outcome in told if outcome.answer.status is not Code.KEY_IN_PROGRESS]
    assert all(outcome.answer == answered[0].answer for outcome in answered)
    assert Counter(outcome.replayed for outcome in answered)[""] == 1
    assert len(rows(database, t.coupon)) == 1 + len(issued(told))
    assert wrongs(database) == []


def used(desks: tuple[Desk, Desk], database: Database, **terms: Any) -> list[int]:
    """Coupons of Mira's that were redeemed once each: the redemptions."""
    codes = [f"C{turn}" for turn in range(ROUNDS)]
    open_shop(database, series(1, **terms), *(coupon(turn + 1, code) for turn, code in enumerate(codes)))
    count_issued(database)
    answer = desks[0].answer(redeem(*codes, transaction_number=""))
    return [item.redemption_id for item in answer.items]


def test_reversal_against_redeem(desks: tuple[Desk, Desk], database: Database) -> None:
    """The use that comes back is there once more, not twice; the cap of the series is one that every redemption meets."""
    made = used(desks, database, max_redeem=ROUNDS)
    won = 0
    for turn, redemption in enumerate(made):
        again = [redeem(f"C{turn}", transaction_number=f"T{turn}-{number}") for number in range(6)]
        told = race(desks, [*again[:3], reverse(redemption), *again[3:]])
        counted = tally([outcome for outcome in told if isinstance(outcome.answer, Answer)])
        assert set(counted) <= {Code.PROCESSED, Code.ALREADY_USED}
        assert counted[Code.PROCESSED] <= 1
        won += counted[Code.PROCESSED]
    assert won
    active = [row for row in rows(database, t.redemption) if row["reversed_ms"] is None]
    assert len(active) == won
    assert max(Counter(row["coupon_id"] for row in active).values()) == 1
    assert wrongs(database) == []


def test_two_reversals(desks: tuple[Desk, Desk], database: Database) -> None:
    """Of one redemption, alone and among others: one frees the limits, the other gets 510."""
    made = used(desks, database, **REUSABLE, max_redeem=100)
    for at in range(0, ROUNDS, 2):
        pair = made[at : at + 2]
        told = race(desks, [reverse(pair[0]), reverse(*reversed(pair)), reverse(*pair), reverse(pair[1])])
        done = [outcome.answer.status is Code.PROCESSED for outcome in told]
        assert sorted((done[1] + done[2], done[0] + done[3])) in ([0, 1], [0, 2]), done
        assert set(tally(told)) == {Code.PROCESSED, Code.INVALID_REDEMPTION_IDS}
    assert wrongs(database) == []


@pytest.mark.parametrize("form", ["codes", "all"])
def test_revoke_against_redeem(desks: tuple[Desk, Desk], database: Database, form: str) -> None:
    """Never both: whoever comes second is told so."""
    codes = [f"C{turn}" for turn in range(ROUNDS * 4)]
    open_shop(database, series(1, **MANY), *(coupon(turn + 1, code) for turn, code in enumerate(codes)))
    count_issued(database)
    outcomes: list[Outcome] = []
    for at in range(0, len(codes), 4):
        now = codes[at : at + 4]
        revokes: list[Command] = [revoke(*now)] if form == "codes" else [revoke(*now, customer=(MIRA,))]
        if form == "all" and at == len(codes) - 4:
            revokes = [revoke()]
        outcomes += race(desks, [*(redeem(code, transaction_number="") for code in now), *revokes])
    gone = {one.code for outcome in outcomes if isinstance(outcome.answer, RevokeAnswer) for one in outcome.answer.revoked}
    kept = {row["code"] for row in rows(database, t.coupon) if row["redeemed"]}
    assert gone.isdisjoint(kept)
    assert gone | kept == {*codes}
    assert tally(outcomes)[Code.PROCESSED] == len(kept) + ROUNDS
    assert set(tally(outcomes)) <= {Code.PROCESSED, Code.REVOKED}
    assert wrongs(database) == []


def test_revoke_against_issue_of_a_pooled_code(desks: tuple[Desk, Desk], database: Database) -> None:
    """A code that is revoked while it is given out is the customer's, revoked, or nobody's ever."""
    codes = [f"P{number}" for number in range(1, 41)]
    open_shop(database, series(1, **POOL), *(pool_coupon(number, code) for number, code in enumerate(codes, 1)))
    asked: list[Command] = []
    for code in codes:
        asked += [issue(), revoke(code)]
    random.Random(5).shuffle(asked)
    told = race(desks, asked)
    assert set(tally(told)) <= {Code.PROCESSED, Code.NO_CODE_LEFT}
    revoked = [outcome.answer.revoked for outcome in told if isinstance(outcome.answer, RevokeAnswer)]
    owners = {one.coupon_id: one.customer_id for part in revoked for one in part}
    assert owners == {row["id"]: row["customer_id"] for row in rows(database, t.coupon)}
    books_hold(database, told)


def test_redate_against_redeem(desks: tuple[Desk, Desk], database: Database) -> None:
    """Whether it has expired is told by the expiry that is there."""
    codes = [f"C{turn}" for turn in range(ROUNDS)]
    gone = "2031-03-10T11:00:00"
    open_shop(database, series(1), *(coupon(turn + 1, code, expires_local=gone) for turn, code in enumerate(codes)))
    count_issued(database)
    told: list[Outcome] = []
    for code in codes:
        told += race(desks, [redeem(code, transaction_number=""), redate(NOW + 60_000, code), redate(NOW + 120_000, code)])
    assert set(tally(told)) <= {Code.PROCESSED, Code.COUPON_EXPIRED}
    assert {row["expires_local"] for row in rows(database, t.coupon)} <= {"2031-03-10T12:01:00", "2031-03-10T12:02:00"}
    assert len(rows(database, t.redemption)) == tally(told)[Code.PROCESSED] - 2 * ROUNDS
    assert wrongs(database) == []


def test_everything_at_once(desks: tuple[Desk, Desk], database: Database) -> None:
    """All verbs over all sources, crosswise: no deadlock that anybody is told of, and the books hold."""
    chance = random.Random(7)
    people = range(3, 11)
    capped: dict[str, Any] = {"max_create": 120, "max_redeem": 90, "max_vouchers_per_user": 25}
    open_shop(
        database,
        series(1, **MANY, **REUSABLE, **capped, any_user=True),
        series(2, **POOL, any_user=True),
        series(3, **SHARED, max_redemptions_in_series_per_user=3, **REUSABLE),
        series(4, mutual_exclusive_series_ids="[5]"),
        series(5, mutual_exclusive_series_ids="[4]"),
        *(pool_coupon(number, f"P{number}", series_id=2) for number in range(1, 61)),
        pool_coupon(99, "SHARED", series_id=3),
        *(customer(each) for each in people),
    )
    outcomes: list[Outcome] = []
    for _ in range(8):
        known = [row["code"] for row in rows(database, t.coupon)]
        made = [row["id"] for row in rows(database, t.redemption)]
        asked: list[Command] = []
        for _ in range(60):
            who = person(chance.choice(people))
            some = chance.sample(known, min(len(known), chance.randint(1, 4)))
            options: list[Command] = [
                issue(*(chance.choices(range(1, 6), k=chance.randint(1, 3))), customer=who),
                several(chance.randint(1, 4), chance.choice((1, 2)), customer=who),
                redeem(*some, customer=who, transaction_number=""),
                redeem(*some[:1], customer=who, transaction_number=""),
                revoke(*some[:1], customer=None, series_id=chance.choice((1, 2))),
                redate(NOW + 86_400_000, *some, series_id=chance.choice((1, 2))),
                revoke(series_id=chance.choice((1, 3)), customer=who) if not chance.randrange(4) else issue(3, customer=who),
                *([reverse(*chance.sample(made, min(len(made), 2)))] if made else []),
            ]
            asked.append(chance.choice(options))
        outcomes += race(desks, asked)
    told = tally(outcomes)
    assert not [code for code in told if code.is_service_failure], told
    assert told[Code.PROCESSED] > 150
    books_hold(database, outcomes)
