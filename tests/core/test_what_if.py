"""What-if in the core: what counts when, and what cannot be judged again."""

from datetime import date
from decimal import Decimal
from typing import Any, Final

import pytest
from msgspec.structs import replace

from couponry.core.model import Coupon, Handling
from couponry.core.problem import Problem
from couponry.core.series import Series
from couponry.core.what_if import NOT_REPLAYED, REPLAYED, Before, Past, Replay, Tally, changed_series
from tests.core.world import DAY_MS, NOW, coupon, customer, org, place, series

AGAIN: Final = {"is_multiple_use_allowed": True, "same_user_multiple_redeem": True}


def past(number: int, at_ms: int = 0, **fields: Any) -> Past:
    """A redemption of Mira's coupon, by her, of the series as it was, so long after the window began."""
    made = Past(number, coupon(), customer(), place(), NOW + (at_ms or number), None, Decimal(1800), False, series(**AGAIN))
    return replace(made, **fields)


def replayed(
    *history: Past,
    changed: Series | None = None,
    redeemed_before: int = 0,
    before: tuple[Before, ...] = (),
    is_redated: bool = False,
) -> Replay:
    replay = Replay(org(), changed, NOW, redeemed_before, is_redated=is_redated)
    for one in history:
        for new in replay.unseen_coupons({one.coupon.id}):
            replay.coupon_before(new, *before)
        for new in replay.unseen_customers({one.customer.id}):
            replay.customer_before(new, {one.coupon.id: list(before)} if before else {})
        replay.judge(one)
    return replay


def told(replay: Replay) -> dict[int, int]:
    return {code.number: count for code, count in replay.refused.items()}


def test_what_is_replayed() -> None:
    assert {guard.__name__ for guard in NOT_REPLAYED} == {"transaction_number_given", "validated", "hook_accepted"}
    assert len(REPLAYED) == 16


class TestCounts:
    def test_only_what_passes_counts(self) -> None:
        changed = series(max_redemptions_in_series_per_user=2, **AGAIN)
        replay = replayed(*(past(number) for number in range(1, 6)), changed=changed)
        assert (replay.redemptions, told(replay)) == (5, {728: 3})
        assert list(replay.examples.values()) == [[3, 4, 5]]

    def test_first_five_are_examples(self) -> None:
        replay = replayed(*(past(number) for number in range(1, 10)), changed=series(max_redeem=0, **AGAIN))
        assert (told(replay), list(replay.examples.values())) == ({714: 9}, [[1, 2, 3, 4, 5]])

    def test_reversed_ones_count_until_then(self) -> None:
        changed = series(max_redeem=1, **AGAIN)
        history = (past(1, 10, reversed_ms=NOW + 30), past(2, 20), past(3, 30), past(4, 40))
        assert list(replayed(*history, changed=changed).examples.values()) == [[2, 4]]

    def test_reversed_at_once_never_counts(self) -> None:
        history = (past(1, 10, reversed_ms=NOW + 10), past(2, 10))
        assert told(replayed(*history, changed=series(max_redeem=1, **AGAIN))) == {}

    def test_what_came_before_the_window_counts(self) -> None:
        changed = series(max_redemptions_in_series_per_user=2, **AGAIN)
        lasting, reversed_later = Before(1, NOW - DAY_MS, None), Before(1, NOW - 5, NOW + 15)
        history = (past(1, 10), past(2, 20), past(3, 30))
        replay = replayed(*history, changed=changed, before=(lasting, reversed_later), redeemed_before=2)
        assert list(replay.examples.values()) == [[1, 3]]

    def test_series_counts_go_down_as_told(self) -> None:
        replay = Replay(org(), series(max_redeem=2, **AGAIN), NOW, 2, is_redated=False)
        replay.coupon_before(coupon().id)
        replay.customer_before(1, {})
        replay.judge(past(1))
        replay.series_reversed(1)
        replay.judge(past(2))
        replay.judge(past(3))
        assert list(replay.examples.values()) == [[1, 3]]

    def test_gap_goes_back_with_a_reversal(self) -> None:
        changed = series(min_days_between_redemption=2, **AGAIN)
        history = (past(1, 1, reversed_ms=NOW + 2 * DAY_MS), past(2, DAY_MS), past(3, 2 * DAY_MS), past(4, 3 * DAY_MS))
        assert list(replayed(*history, changed=changed).examples.values()) == [[2, 4]]

    def test_tally(self) -> None:
        tally = Tally()
        assert (tally.active(0), tally.last_ms()) == (0, None)
        tally.add(5, None)
        tally.add(9, 20, 2)
        assert (tally.active(19), tally.last_ms()) == (3, 9)
        assert (tally.active(20), tally.last_ms()) == (1, 5)


CHANGES: Final[list[tuple[str, dict[str, Any], dict[str, Any], int | None]]] = [
    ("bill", {"min_bill_amount": Decimal(2000)}, {}, 733),
    ("no bill", {"min_bill_amount": Decimal(2000)}, {"amount": None}, 733),
    ("place", {"redeem_at_store": "[99]"}, {}, 735),
    ("hours", {"redemption_range": '{"hours":[3]}'}, {}, 739),
    ("start", {"redemption_valid_from": date(2031, 3, 11)}, {}, 729),
    ("series expiry", {"valid_till_date": date(2031, 3, 9)}, {}, 712),
    ("owner", {"any_user": False}, {"coupon": coupon(customer_id=2), "series": series(any_user=True)}, 703),
    ("audience", {"has_audience": True}, {}, 710),
    ("in audience", {"has_audience": True}, {"is_in_audience": True}, None),
    ("validation", {"is_validation_required": True}, {}, None),
    ("hook", {"is_pre_redeem_event_required": True}, {}, None),
    ("nothing", {}, {}, None),
]


@pytest.mark.parametrize(("terms", "facts", "number"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_changed_terms(terms: dict[str, Any], facts: dict[str, Any], number: int | None) -> None:
    replay = replayed(past(1, **facts), changed=series(**terms, **AGAIN))
    assert (told(replay), replay.not_replayed) == ({number: 1} if number else {}, 0)


UNRECORDED: Final[list[tuple[str, dict[str, Any]]]] = [
    ("moved away", {"series": series(redeem_at_store="[99]", **AGAIN)}),
    ("sent with another time", {"series": series(redemption_range='{"hours":[3]}', **AGAIN)}),
    ("of other hands since", {"coupon": coupon(customer_id=2)}),
    ("no more in the audience", {"series": series(has_audience=True, **AGAIN)}),
    ("expiry moved since", {"coupon": coupon(expires_local="2031-03-01T00:00:00")}),
    ("amount amended", {"series": series(min_bill_amount=Decimal(5000), **AGAIN)}),
    ("terms unreadable", {"series": None}),
]


@pytest.mark.parametrize("facts", [row[1] for row in UNRECORDED], ids=[row[0] for row in UNRECORDED])
def test_what_its_own_terms_refuse_tells_nothing(facts: dict[str, Any]) -> None:
    replay = replayed(past(1, **facts))
    assert (told(replay), replay.not_replayed) == ({}, 1)
    own = past(1, **facts).series
    if own is not None:
        stricter = replace(own, terms=replace(own.terms, max_redeem=0))
        assert told(replayed(past(1, **facts), changed=stricter)) == {714: 1}


def test_revoked_and_issued_since() -> None:
    """A coupon is judged as it was: in the pool still, and not yet revoked."""
    shown = coupon(is_revoked=True, issued_ms=NOW + DAY_MS)
    replay = replayed(past(1, coupon=shown, series=series(any_user=True)))
    assert (told(replay), replay.not_replayed) == ({}, 0)
    assert told(replayed(past(1, coupon=shown, series=series(any_user=True)), changed=series())) == {723: 1}


class TestBorn:
    """A record that its first redemption made is not there before, nor when that one is refused."""

    RECORD: Final = coupon(
        customer_id=1, holder_id=1, issued_ms=NOW + 1, issued_by_redemption=True, expires_local="2031-03-10T23:59:59"
    )
    SHARED: Final = series(client_handling_type=Handling.SHARED, any_user=True, **AGAIN)

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"any_user": True}, {}),
            ({"any_user": False}, {723: 2}),
            ({"any_user": True, "redemption_valid_after_days": 1}, {729: 1}),
        ],
    )
    def test_replayed(self, fields: dict[str, Any], expected: dict[int, int]) -> None:
        history = [past(number, coupon=self.RECORD, series=self.SHARED) for number in (1, 2)]
        changed = series(client_handling_type=Handling.SHARED, **fields, **AGAIN)
        assert told(replayed(*history, changed=changed)) == expected

    def test_of_before_the_window(self) -> None:
        record = replace(self.RECORD, issued_ms=NOW - DAY_MS)
        changed = series(client_handling_type=Handling.SHARED, **AGAIN)
        assert told(replayed(past(1, coupon=record, series=self.SHARED), changed=changed)) == {}


def test_another_strategy_value_dates_coupons_again() -> None:
    terms: dict[str, Any] = {"expiry_strategy_type": "DAYS", "expiry_strategy_value": 60, **AGAIN}
    shown: Coupon = coupon(expires_local="2031-04-29T23:59:59")
    changed = series(**{**terms, "expiry_strategy_value": 5})
    one = past(1, coupon=shown, series=series(**terms))
    assert told(replayed(one, changed=changed)) == {}
    assert told(replayed(one, changed=changed, is_redated=True)) == {713: 1}


Fields = dict[str, Any]
BAD: Final[list[tuple[Fields, int]]] = [
    ({"minBillAmount": -1}, 744),
    ({"maxRedeem": "many"}, 744),
    ({"redemptionRange": '{"hours":[25]}'}, 744),
    ({"minBilAmount": 5}, 744),
    ({"id": 7}, 744),
    ({"numRedeemed": 7}, 744),
    ({"ownerValidity": 7}, 744),
    ({"zone": "UTC"}, 744),
    ({"clientHandlingType": "GENERIC", "genericCode": "X"}, 744),
    ({"seriesCode": " "}, 753),
    ({"mutualExclusiveSeriesIds": "[1]"}, 756),
    ({"minBillAmount": 10**400}, 744),
    ({"validTillDate": {"deep": []}}, 744),
]


@pytest.mark.parametrize(("fields", "number"), BAD, ids=str)
def test_bad_terms(fields: Fields, number: int) -> None:
    refused = changed_series(series(), fields, NOW)
    assert isinstance(refused, Problem)
    assert (refused.code, bool(refused.detail)) == (number, number == 744)


def test_only_what_is_sent_changes() -> None:
    before = series(min_bill_amount=Decimal(5), max_redeem=7, has_audience=True)
    after = changed_series(before, {"minBillAmount": "12.5"}, NOW)
    assert isinstance(after, Series)
    assert after.terms == replace(before.terms, min_bill_amount=Decimal("12.5"), info="Monsoon", tag="Monsoon")
    assert changed_series(before, {}, NOW) is None
