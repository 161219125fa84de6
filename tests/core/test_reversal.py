"""Reversal: all or none, each redemption once, every limit freed exactly once; and what a reason makes of it (rules 9)."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import pytest

from couponry.core.decide import decide
from couponry.core.idempotency import request_digest
from couponry.core.model import AfterReversal, Coupon, StoredRedemption
from couponry.core.plan import Event, Plan, Reversal
from couponry.core.state import State
from couponry.core.status import Code
from tests.core.test_several_coupons import rows
from tests.core.world import (
    CODE,
    DAY_MS,
    NOW,
    coupon,
    coupon_id,
    ms,
    org,
    redeem,
    redemption_id,
    reverse,
    revoke,
    series,
    standing,
    state,
    statuses,
    stored,
)

OK: Final = Code.PROCESSED
GONE: Final = Code.INVALID_REDEMPTION_IDS
MANY: Final[dict[str, Any]] = {"is_multiple_use_allowed": True, "same_user_multiple_redeem": True}
ONE: Final = redemption_id(1)


def load(world: State, made: Plan, now_ms: int = NOW) -> None:
    """What the next batch would have loaded about the redemptions that were made."""
    world.now_ms = now_ms
    for each in made.redemptions:
        whose = (each.id, each.coupon_id, each.series_id, each.customer_id, each.redeemed_ms)
        world.redemptions[each.id] = StoredRedemption(*whose, False, each.amount, each.transaction_number, None, {})
        active = world.active.setdefault((each.customer_id, each.series_id), {})
        active[each.id] = each.redeemed_ms


def redeemed(times: int = 1, coupons: Sequence[Coupon] = (coupon(),), now_ms: int = NOW, **terms: Any) -> State:
    """Mira has redeemed her coupon so often, each time for another bill."""
    world = state(coupons, [series(**terms)])
    made = decide(world, [redeem(transaction_number=f"INV-{number}") for number in range(times)])
    assert len(made.redemptions) == times
    load(world, made, now_ms)
    return world


# Which redemptions can be reversed.

ROWS: Final[list[tuple[str, tuple[int, ...], Code]]] = [
    ("the first", (ONE,), OK),
    ("all three", (ONE, redemption_id(2), redemption_id(3)), OK),
    ("one twice is once", (ONE, ONE), OK),
    ("unknown", (redemption_id(9),), GONE),
    ("one unknown", (ONE, redemption_id(9)), GONE),
    ("a coupon's id is no redemption's", (coupon_id(1),), GONE),
    ("zero", (0,), GONE),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_reverse(row: tuple[str, tuple[int, ...], Code]) -> None:
    """A line per request: which redemptions of three, and the answer; refused, nothing changes."""
    _, ids, code = row
    world = redeemed(3, **MANY)
    before = rows(world)
    plan = decide(world, [reverse(*ids, reason="RETURNED", request_id="r-1")])
    assert plan.outcomes[0].answer.status is code
    if code is not OK:
        assert rows(world) == before
        assert [*plan.reversals, *plan.events] == []
        return
    once = list(dict.fromkeys(ids))
    assert plan.reversals == [Reversal(each, coupon_id(1), 1, 1, 11, "RETURNED", is_consumed=False) for each in once]
    assert plan.events == [Event("CouponReactivate", each, 1, "r-1") for each in once]
    left = 3 - len(once)
    assert (world.coupons[coupon_id(1)].redeemed, world.coupons[coupon_id(1)].uses) == (left, 3)
    assert (world.standings[1, 1].redeemed, world.standings[1, 1].uses) == (left, 3)
    assert (world.uses, world.series_redeemed) == ({(coupon_id(1), 1): left}, {1: left})
    assert world.standings[1, 1].last_redeemed_ms == (NOW if left else None)


def test_reversed_once() -> None:
    """In one batch, and in two."""
    world = redeemed(2, **MANY)
    assert statuses(world, [reverse(ONE), reverse(ONE), reverse(redemption_id(2), ONE)]) == [OK, GONE, GONE]
    assert statuses(world, [reverse(ONE)]) == [GONE]
    assert world.coupons[coupon_id(1)].redeemed == 1


def test_revoked_coupon_is_not_reversed() -> None:
    world = redeemed(2, **MANY)
    assert statuses(world, [reverse(ONE), revoke(CODE), reverse(redemption_id(2))]) == [OK, OK, Code.REVOKED]
    assert statuses(world, [reverse(redemption_id(9), redemption_id(2))]) == [GONE]  # 510 before 660


def test_revoked_coupon_spares_the_others() -> None:
    """All or none: one revoked coupon keeps a redemption of another from being reversed."""
    world = state([coupon(1, "A"), coupon(2, "B")], [series(**MANY)])
    load(world, decide(world, [redeem("A"), redeem("B")]))
    assert statuses(world, [revoke("B"), reverse(ONE, redemption_id(2))]) == [OK, Code.REVOKED]
    assert world.coupons[coupon_id(1)].redeemed == 1


def test_expired_coupon_is_reversed_and_stays_expired() -> None:
    world = redeemed(valid_till_date=date(2031, 3, 10), now_ms=NOW + DAY_MS)
    assert statuses(world, [reverse(ONE), redeem()]) == [OK, Code.SERIES_EXPIRED]
    own = redeemed(coupons=[coupon(expires_local="2031-03-10T23:59:59")], now_ms=NOW + DAY_MS)
    assert statuses(own, [reverse(ONE), redeem()]) == [OK, Code.COUPON_EXPIRED]


def test_paused_campaign_does_not_keep_a_redemption() -> None:
    world = redeemed()
    world.halted = {1}
    assert statuses(world, [reverse(ONE), redeem()]) == [OK, Code.SERIES_EXPIRED]


def test_unreadable_series_reverses_nothing() -> None:
    """788 in the middle of a request takes back what was done of it."""
    world = state([coupon(1, "A"), coupon(2, "B", series_id=2)], [series(1), series(2)])
    load(world, decide(world, [redeem("A"), redeem("B")]))
    world.series[2] = None
    before = rows(world)
    plan = decide(world, [reverse(ONE, redemption_id(2))])
    assert plan.outcomes[0].answer.status is Code.SERIES_UNREADABLE
    assert [*plan.reversals, *plan.events, *plan.redated] == []
    assert rows(world) == before


# What is freed: a limit is reached, a reversal frees one use of it, and only one.

FREED: Final[list[tuple[str, dict[str, Any], Code]]] = [
    ("L1 single use", {}, Code.ALREADY_USED),
    ("L2 once per customer", {"is_multiple_use_allowed": True}, Code.ALREADY_USED_BY_CUSTOMER),
    ("L3 per code", MANY | {"redemption_per_coupon_max_limit": 1}, Code.CODE_LIMIT_REACHED),
    ("L4 per customer", MANY | {"max_redemptions_in_series_per_user": 1}, Code.CUSTOMER_LIMIT_REACHED),
    ("L5 per series", MANY | {"max_redeem": 1}, Code.SERIES_LIMIT_REACHED),
    ("the gap", MANY | {"min_days_between_redemption": 1}, Code.TOO_SOON),
]


@pytest.mark.parametrize("row", FREED, ids=lambda row: row[0])
def test_limit_is_freed_once(row: tuple[str, dict[str, Any], Code]) -> None:
    """A reversal asked for three times gives one use back, not three; in one batch."""
    _, terms, code = row
    world = redeemed(**terms)
    before, first, second = (redeem(transaction_number=bill) for bill in "abc")
    assert statuses(world, [before, reverse(ONE, ONE), reverse(ONE), first, second]) == [code, OK, GONE, OK, code]


@pytest.mark.parametrize("row", FREED, ids=lambda row: row[0])
def test_limit_is_freed_in_the_next_batch(row: tuple[str, dict[str, Any], Code]) -> None:
    _, terms, code = row
    world = redeemed(**terms)
    assert statuses(world, [reverse(ONE)]) == [OK]
    assert statuses(world, [redeem(transaction_number="a"), redeem(transaction_number="b")]) == [OK, code]


GAPS: Final[list[tuple[tuple[int, ...], str | None, Code]]] = [
    ((1,), "2031-03-08 18:00", Code.TOO_SOON),
    ((2,), "2031-03-07 12:00", Code.TOO_SOON),
    ((3,), "2031-03-08 18:00", Code.TOO_SOON),
    ((2, 3), "2031-03-04 09:00", OK),
    ((1, 2, 3), None, OK),
]


@pytest.mark.parametrize(("serials", "last", "code"), GAPS)
@pytest.mark.parametrize("together", [True, False], ids=["in one request", "one by one"])
def test_gap_counts_from_the_last_active_redemption(
    serials: tuple[int, ...], last: str | None, code: Code, *, together: bool
) -> None:
    """Redeemed on the 4th, the 8th and the 7th, in this order of ids; five days must pass, and it is the 10th."""
    world = state([coupon(redeemed=3, uses=3)], [series(**MANY, min_days_between_redemption=5)])
    times = [ms("2031-03-04 09:00"), ms("2031-03-08 18:00"), ms("2031-03-07 12:00")]
    world.redemptions = {redemption_id(n): stored(n, redeemed_ms=at) for n, at in enumerate(times, 1)}
    world.active = {(1, 1): {redemption_id(n): at for n, at in enumerate(times, 1)}}
    world.standings = standing(3, "2031-03-08 18:00")
    ids = [redemption_id(n) for n in serials]
    assert set(statuses(world, [reverse(*ids)] if together else [reverse(each) for each in ids])) == {OK}
    assert world.standings[1, 1].last_redeemed_ms == (ms(last) if last else None)
    assert statuses(world, [redeem()]) == [code]


def test_another_customers_counts_stay() -> None:
    world = state([coupon()], [series(**MANY, any_user=True)])
    load(world, decide(world, [redeem(), redeem(customer=(("id", "2"),))]))
    assert statuses(world, [reverse(ONE)]) == [OK]
    assert (world.standings[1, 1].redeemed, world.standings[2, 1].redeemed) == (0, 1)
    assert world.uses == {(coupon_id(1), 1): 0, (coupon_id(1), 2): 1}
    assert world.coupons[coupon_id(1)].redeemed == 1


def test_bill_sent_again_behind_its_reversal_is_judged_anew() -> None:
    """README 10: a repeat whose redemption was reversed is a new request, also when both wait in one batch."""
    world = redeemed(0, **MANY)
    bill = redeem(transaction_number="INV-1")
    digest = request_digest(bill, 1, org())
    assert digest
    world.digests = {0: digest}
    load(world, decide(world, [bill]))
    world.digests = {0: digest, 2: digest}
    plan = decide(world, [bill, reverse(ONE), bill])
    assert [(outcome.answer.status, outcome.replayed) for outcome in plan.outcomes] == [(OK, "derived"), (OK, ""), (OK, "")]
    assert len(plan.redemptions) == 1


# Reasons, and what the series says of them.


def policy(reason: str = "RETURNED", **fields: Any) -> dict[str, Any]:
    return {"reversal_policy": {reason: AfterReversal(**fields)}}


@pytest.mark.parametrize(
    ("terms", "reason", "is_consumed"),
    [
        ({}, "", False),
        ({}, "RETURNED", False),
        (policy(use="returns"), "RETURNED", False),
        (policy(use="consumed"), "RETURNED", True),
        (policy(use="consumed"), "CANCELLED", False),
        (policy(use="consumed"), "", False),
        (policy(use="consumed", fresh_days=5), "RETURNED", True),
    ],
)
def test_policy(terms: dict[str, Any], reason: str, *, is_consumed: bool) -> None:
    world = redeemed(**terms)
    plan = decide(world, [reverse(ONE, reason=reason), redeem(), reverse(ONE, reason=reason)])
    assert [outcome.answer.status for outcome in plan.outcomes] == [OK, Code.ALREADY_USED if is_consumed else OK, GONE]
    assert [(each.reason, each.is_consumed) for each in plan.reversals] == [(reason, is_consumed)]
    assert plan.redated == []
    assert world.coupons[coupon_id(1)].redeemed == 1


def test_consumed_use_keeps_counting() -> None:
    """The redemption is undone, but every limit stays as it was."""
    world = redeemed(2, **MANY, **policy(use="consumed"))
    before = rows(world)
    assert statuses(world, [reverse(ONE, reason="RETURNED")]) == [OK]
    assert world.redemptions[ONE].is_undone
    after = rows(world)
    for name in ("coupons", "standings", "uses", "series_redeemed", "active"):
        assert after[name] == before[name]


@pytest.mark.parametrize(
    ("own", "days", "until", "expires"),
    [
        ("2031-03-12T23:59:59", 5, date(2031, 12, 31), "2031-03-15T23:59:59"),
        ("2031-03-12T23:59:59", 1, date(2031, 12, 31), "2031-03-12T23:59:59"),  # never earlier
        ("2031-03-10T23:59:59", 0, date(2031, 12, 31), "2031-03-10T23:59:59"),
        ("2031-03-12T10:00:00", 2, date(2031, 12, 31), "2031-03-12T23:59:59"),
        ("2031-03-12T23:59:59", 30, date(2031, 3, 20), "2031-03-20T23:59:59"),  # never beyond the series
        ("2031-03-25T23:59:59", 30, date(2031, 3, 20), "2031-03-25T23:59:59"),  # whose end was moved behind the coupon's
        ("2031-03-12T23:59:59", 10**9, date(9999, 12, 31), "9999-12-31T23:59:59"),
        ("2031-03-12T23:59:59", 21, date(2031, 12, 31), "2031-03-31T23:59:59"),
        (None, 5, date(2031, 12, 31), None),  # follows its series as before
    ],
)
def test_fresh_days(own: str | None, days: int, until: date, expires: str | None) -> None:
    fields = {"valid_till_date": until, **policy(fresh_days=days)}
    world = redeemed(coupons=[coupon(expires_local=own)], **fields)
    plan = decide(world, [reverse(ONE, reason="RETURNED"), reverse(ONE, reason="RETURNED")])
    assert world.coupons[coupon_id(1)].expires_local == expires
    assert plan.redated == ([(coupon_id(1), expires)] if own else [])


def test_fresh_days_bring_an_expired_coupon_back() -> None:
    dated = [coupon(expires_local="2031-03-10T23:59:59")]
    world = redeemed(coupons=dated, now_ms=ms("2031-03-12 09:00"), **policy(fresh_days=1))
    assert statuses(world, [reverse(ONE, reason="CANCELLED"), redeem()]) == [OK, Code.COUPON_EXPIRED]
    again = redeemed(coupons=dated, now_ms=ms("2031-03-12 09:00"), **policy(fresh_days=1))
    plan = decide(again, [reverse(ONE, reason="RETURNED"), redeem()])
    assert [outcome.answer.status for outcome in plan.outcomes] == [OK, OK]
    assert plan.redated == [(coupon_id(1), "2031-03-13T23:59:59")]


@pytest.mark.parametrize(
    ("zone", "now", "expires"),
    [
        ("Pacific/Apia", "2031-03-10T10:59:59Z", "2031-03-12T23:59:59"),
        ("Pacific/Apia", "2031-03-10T11:00Z", "2031-03-13T23:59:59"),
        ("Pacific/Pago_Pago", "2031-03-10T10:59:59Z", "2031-03-11T23:59:59"),
        ("Pacific/Pago_Pago", "2031-03-10T11:00Z", "2031-03-12T23:59:59"),
        ("Africa/Cairo", "2031-10-30T21:30Z", "2031-11-01T23:59:59"),  # the hour before midnight, once more
        ("Europe/Berlin", "2032-02-28T22:59:59Z", "2032-03-01T23:59:59"),
        ("America/Sao_Paulo", "2018-11-03T12:00Z", "2018-11-05T23:59:59"),  # over a day that begins at one o'clock
    ],
)
def test_fresh_days_count_from_the_local_date(zone: str, now: str, expires: str) -> None:
    fields = {"zone": zone, "valid_till_date": date(2040, 1, 1), **policy(fresh_days=2)}
    world = state([coupon(expires_local="2018-01-01T23:59:59", redeemed=1, uses=1)], [series(**fields)], now_ms=ms(now))
    world.redemptions, world.active = {ONE: stored()}, {(1, 1): {ONE: NOW}}
    world.standings = standing(1)
    assert decide(world, [reverse(ONE, reason="RETURNED")]).redated == [(coupon_id(1), expires)]


def test_two_redemptions_of_one_coupon_give_it_fresh_days_once() -> None:
    world = redeemed(2, coupons=[coupon(expires_local="2031-03-12T23:59:59")], **MANY, **policy(fresh_days=5))
    plan = decide(world, [reverse(ONE, redemption_id(2), reason="RETURNED")])
    assert set(plan.redated) == {(coupon_id(1), "2031-03-15T23:59:59")}
    assert world.coupons[coupon_id(1)].redeemed == 0
