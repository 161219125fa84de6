"""C14-C19: what a coupon, a customer and a series have left (rules 5), and what a check says is left."""

from itertools import count
from typing import Any, Final

import pytest

from couponry.core.decide import decide
from couponry.core.model import Handling
from couponry.core.plan import Answer
from couponry.core.state import State
from couponry.core.status import Code
from tests.core.scene import AS_CHECKED, Scene
from tests.core.world import (
    CODE,
    DAY_MS,
    NOW,
    ZONE,
    check,
    check_answer,
    coupon,
    coupon_id,
    customer,
    ms,
    pool_coupon,
    redeem,
    series,
    standing,
    state,
    statuses,
    told,
)

OK: Final = Code.PROCESSED
MANY: Final = Scene(terms={"is_multiple_use_allowed": True, "same_user_multiple_redeem": True})
MIRAS_USES: Final = {"uses": {(coupon_id(1), 1): 1}}
NOORS_USES: Final = {"uses": {(coupon_id(1), 2): 1}}

Row = tuple[str, Scene, Code]


def used(times: int) -> Scene:
    return Scene(coupon={"redeemed": times})


def gap(days: int, last: str) -> Scene:
    return MANY | Scene(terms={"min_days_between_redemption": days}, state={"standings": standing(1, last)})


RULES: Final[list[Row]] = [
    ("C14 unused", used(0), OK),
    ("C14 used", used(1), Code.ALREADY_USED),
    ("C14 used, one user may use it again", used(1) | Scene(terms={"same_user_multiple_redeem": True}), Code.ALREADY_USED),
    ("C14 used by another, any user", used(1) | Scene(terms={"any_user": True}, state=NOORS_USES), Code.ALREADY_USED),
    ("C14 used, but for many uses", used(1) | MANY, OK),
    (
        "C15 the same user again",
        used(1) | Scene(terms={"is_multiple_use_allowed": True}, state=MIRAS_USES),
        Code.ALREADY_USED_BY_CUSTOMER,
    ),
    ("C15 another user before", used(1) | Scene(terms={"is_multiple_use_allowed": True}, state=NOORS_USES), OK),
    ("C15 the same user may", used(1) | MANY | Scene(state=MIRAS_USES), OK),
    ("C16 one left", used(2) | MANY | Scene(terms={"redemption_per_coupon_max_limit": 3}), OK),
    ("C16 none left", used(3) | MANY | Scene(terms={"redemption_per_coupon_max_limit": 3}), Code.CODE_LIMIT_REACHED),
    (
        "C16 lowered below what is used",
        used(9) | MANY | Scene(terms={"redemption_per_coupon_max_limit": 3}),
        Code.CODE_LIMIT_REACHED,
    ),
    ("C16 unlimited", used(9) | MANY | Scene(terms={"redemption_per_coupon_max_limit": -1}), OK),
    ("C17 one left", Scene(terms={"max_redemptions_in_series_per_user": 2}, state={"standings": standing(1)}), OK),
    (
        "C17 none left",
        Scene(terms={"max_redemptions_in_series_per_user": 2}, state={"standings": standing(2)}),
        Code.CUSTOMER_LIMIT_REACHED,
    ),
    ("C17 none at all", Scene(terms={"max_redemptions_in_series_per_user": 0}), Code.CUSTOMER_LIMIT_REACHED),
    ("C17 unlimited", Scene(state={"standings": standing(9)}), OK),
    ("C18 five days, four since", gap(5, "2031-03-06 00:00"), Code.TOO_SOON),
    ("C18 five days, five since", gap(5, "2031-03-05 23:59:59"), OK),
    ("C18 one day, since midnight", gap(1, "2031-03-10 00:00"), Code.TOO_SOON),
    ("C18 one day, a second before midnight", gap(1, "2031-03-09 23:59:59"), OK),
    ("C18 zero days", gap(0, "2031-03-10 11:59:59"), OK),
    ("C18 never redeemed", MANY | Scene(terms={"min_days_between_redemption": 5}), OK),
    (
        "C18 single use is not asked",
        Scene(terms={"min_days_between_redemption": 5}, state={"standings": standing(1, "2031-03-10 11:00")}),
        OK,
    ),
    ("C18 at the time of the redemption", gap(5, "2031-03-06 00:00") | Scene(claim={"at_ms": NOW + DAY_MS}), OK),
    ("C19 one left", Scene(terms={"max_redeem": 100}, state={"series_redeemed": {1: 99}}), OK),
    ("C19 none left", Scene(terms={"max_redeem": 100}, state={"series_redeemed": {1: 100}}), Code.SERIES_LIMIT_REACHED),
    ("C19 none at all", Scene(terms={"max_redeem": 0}), Code.SERIES_LIMIT_REACHED),
    ("C19 unlimited", Scene(state={"series_redeemed": {1: 10**9}}), OK),
]


@pytest.mark.parametrize("row", RULES, ids=lambda row: row[0])
def test_rule(row: Row) -> None:
    _, scene, code = row
    assert scene.code("redeem") is code
    assert scene.code("check") is AS_CHECKED.get(code, code)


# The public guide's matrix (rules 5), a line for each combination of limits: (code, customer) in turn, and the answers.
MATRIX: Final[list[tuple[str, dict[str, Any], list[tuple[str, int]], list[Code]]]] = [
    (
        "a code per customer and in all",
        {"redemption_per_coupon_max_limit": 2},
        [("A", 1), ("A", 1), ("A", 2), ("A", 3)],
        [OK, Code.ALREADY_USED_BY_CUSTOMER, OK, Code.CODE_LIMIT_REACHED],
    ),
    (
        "a code in all, whoever redeems, and the series",
        {"redemption_per_coupon_max_limit": 2, "max_redeem": 3, "same_user_multiple_redeem": True},
        [("A", 1), ("A", 1), ("A", 1), ("B", 1), ("B", 1)],
        [OK, OK, Code.CODE_LIMIT_REACHED, OK, Code.SERIES_LIMIT_REACHED],
    ),
    (
        "all three",
        {
            "redemption_per_coupon_max_limit": 2,
            "max_redeem": 3,
            "max_redemptions_in_series_per_user": 2,
            "same_user_multiple_redeem": True,
        },
        [("A", 1), ("A", 1), ("A", 2), ("B", 1), ("B", 2), ("B", 3)],
        [OK, OK, Code.CODE_LIMIT_REACHED, Code.CUSTOMER_LIMIT_REACHED, OK, Code.SERIES_LIMIT_REACHED],
    ),
    (
        "a customer once, and the series",
        {"max_redemptions_in_series_per_user": 1, "max_redeem": 2},
        [("A", 1), ("B", 1), ("A", 2), ("A", 3)],
        [OK, Code.CUSTOMER_LIMIT_REACHED, OK, Code.SERIES_LIMIT_REACHED],
    ),
    (
        "the holder alone, by customer and series",
        {"any_user": False, "max_redemptions_in_series_per_user": 2, "max_redeem": 9, "same_user_multiple_redeem": True},
        [("A", 1), ("A", 1), ("A", 1), ("A", 2)],
        [OK, OK, Code.CUSTOMER_LIMIT_REACHED, Code.NOT_ISSUED_TO_CUSTOMER],
    ),
]


@pytest.mark.parametrize("uploaded", [False, True])
@pytest.mark.parametrize("row", MATRIX, ids=lambda row: row[0])
def test_scenarios(row: tuple[str, dict[str, Any], list[tuple[str, int]], list[Code]], *, uploaded: bool) -> None:
    _, fields, shown, codes = row
    handling = Handling.UPLOADED if uploaded else Handling.GENERATED
    terms: dict[str, Any] = {"any_user": True, "is_multiple_use_allowed": True, "client_handling_type": handling} | fields
    is_pool = uploaded and terms["any_user"]
    world = state(
        [(pool_coupon if is_pool else coupon)(serial, code) for serial, code in enumerate("AB", 1)],
        [series(**terms)],
        [customer(serial) for serial in (1, 2, 3)],
    )
    assert said(world, shown) == codes


def said(world: State, shown: list[tuple[str, int]]) -> list[Code]:
    bills = count()
    return statuses(
        world, [redeem(code, customer=(("id", str(person)),), transaction_number=f"{next(bills)}") for code, person in shown]
    )


def test_shared_code_twice_per_customer_and_three_in_all() -> None:
    """Row 7 of the matrix: each customer's record has its own counter, the series has the sum."""
    fields: dict[str, Any] = {"any_user": True, "is_multiple_use_allowed": True, "same_user_multiple_redeem": True}
    limits: dict[str, Any] = {"max_redemptions_in_series_per_user": 2, "max_redeem": 3}
    world = state([pool_coupon()], [series(client_handling_type=Handling.SHARED, **fields, **limits)])
    shown = [(CODE, 1), (CODE, 1), (CODE, 1), (CODE, 2), (CODE, 2)]
    assert said(world, shown) == [OK, OK, Code.CUSTOMER_LIMIT_REACHED, OK, Code.SERIES_LIMIT_REACHED]
    assert world.coupons[coupon_id(1)].redeemed == 0
    assert sorted((each.holder_id, each.redeemed) for each in world.coupons.values()) == [(0, 0), (1, 2), (2, 1)]


# What is left: L1 single use, L2 once per customer, L3 per code, L4 per customer in the series; never L5.
LEFT: Final[list[tuple[str, Scene, int]]] = [
    ("single use, unused", Scene(), 1),
    ("single use, used", used(1), 0),
    ("many uses, once each", Scene(terms={"is_multiple_use_allowed": True}), 1),
    ("many uses, once each, used by another", used(3) | Scene(terms={"is_multiple_use_allowed": True}, state=NOORS_USES), 1),
    ("many uses, once each, used", used(1) | Scene(terms={"is_multiple_use_allowed": True}, state=MIRAS_USES), 0),
    ("unlimited", MANY, -1),
    ("unlimited, used", used(5) | MANY | Scene(state=MIRAS_USES), -1),
    ("per code", used(2) | MANY | Scene(terms={"redemption_per_coupon_max_limit": 5}), 3),
    ("per code, overdrawn by a lower limit", used(7) | MANY | Scene(terms={"redemption_per_coupon_max_limit": 5}), 0),
    ("per customer", MANY | Scene(terms={"max_redemptions_in_series_per_user": 4}, state={"standings": standing(1)}), 3),
    (
        "the least of both",
        used(3) | MANY | Scene(terms={"redemption_per_coupon_max_limit": 5, "max_redemptions_in_series_per_user": 4}),
        2,
    ),
    ("the series does not count", MANY | Scene(terms={"max_redeem": 1}), -1),
    ("the series does not count, even when it refuses", MANY | Scene(terms={"max_redeem": 0}), -1),
    ("single use binds more than the customer's limit", Scene(terms={"max_redemptions_in_series_per_user": 4}), 1),
]


@pytest.mark.parametrize("row", LEFT, ids=lambda row: row[0])
def test_redemptions_left(row: tuple[str, Scene, int]) -> None:
    _, scene, left = row
    (item,) = scene.checked().items
    assert item.redemptions_left == left
    assert item.redeemed_by_customer == scene.state.get("uses", {}).get((coupon_id(1), 1), 0)


def test_unknown_coupon_has_nothing_left() -> None:
    (item,) = check_answer(state(), check("UNKNOWN")).items
    assert (item.redemptions_left, item.redeemed_by_customer, item.series) == (0, 0, None)


# Holding and binding (rules 3).


def test_shared_code_becomes_the_redeemers_own_record() -> None:
    """Prevents per-customer limits that a shared code slips through, and a record without expiry or issue."""
    fields: dict[str, Any] = {"any_user": True, "client_handling_type": Handling.SHARED}
    world = state([pool_coupon(code="Monsoon")], [series(**fields, expiry_strategy_type="DAYS", expiry_strategy_value=2)])
    plan = decide(world, [redeem("MONSOON"), redeem("monsoon", transaction_number="2")])
    own = plan.new_coupons[0].coupon
    assert (own.code, own.holder_id, own.customer_id, own.issued_ms, own.redeemed) == ("Monsoon", 1, 1, NOW, 0)
    assert own.expires_local == "2031-03-12T23:59:59"
    assert [redemption.coupon_id for redemption in plan.redemptions] == [own.id]
    first, second = (told(Answer, outcome) for outcome in plan.outcomes)
    assert first.items[0].coupon_id == own.id
    assert second.status is Code.ALREADY_USED


def test_shared_code_that_was_issued_is_the_customers_record() -> None:
    own = coupon(2, holder_id=1, expires_local="2031-03-09T23:59:59")
    world = state([pool_coupon(), own], [series(client_handling_type=Handling.SHARED)])
    assert statuses(world, [redeem()]) == [Code.COUPON_EXPIRED]
    assert statuses(world, [redeem(coupon_id(1), transaction_number="by the id of the code itself")]) == [Code.COUPON_EXPIRED]
    assert statuses(world, [redeem(customer=(("id", "2"),))]) == [Code.NOT_ISSUED]
    world.coupons[own.id] = coupon(2, holder_id=1)
    assert statuses(world, [redeem(own.id, customer=(("id", "2"),))]) == [Code.NOT_ISSUED_TO_CUSTOMER]


def test_another_customers_record_of_an_open_shared_code_stands_for_the_code() -> None:
    """Prevents a second use through the id of somebody else's record, which would escape the asker's own limits."""
    theirs = coupon(2, customer_id=2, holder_id=2)
    world = state([pool_coupon(), theirs], [series(any_user=True, client_handling_type=Handling.SHARED)])
    plan = decide(world, [redeem(theirs.id), redeem(theirs.id, transaction_number="2")])
    assert [outcome.answer.status for outcome in plan.outcomes] == [OK, Code.ALREADY_USED]
    assert [own.coupon.holder_id for own in plan.new_coupons] == [1]
    assert world.coupons[theirs.id].redeemed == 0


def test_check_and_refusal_of_a_shared_code_make_no_record() -> None:
    """Prevents an answer that names a coupon which was never made."""
    world = state([pool_coupon()], [series(any_user=True, client_handling_type=Handling.SHARED)])
    plan = decide(world, [redeem(CODE, "UNKNOWN")])
    assert not plan.new_coupons
    (outcome,) = plan.outcomes
    spared = told(Answer, outcome).items[0]
    assert spared.status is Code.OTHER_COUPON_FAILED
    assert spared.coupon_id == coupon_id(1)
    assert check_answer(world, check()).items[0].outcome.coupon_id == coupon_id(1)
    assert len(world.coupons) == len(world.coupon_ids) == 1


def test_external_code_is_bound_to_its_first_redeemer() -> None:
    fields = {"external_issual": True, "is_multiple_use_allowed": True, "same_user_multiple_redeem": True}
    world = state([pool_coupon()], [series(**fields)])
    shown = [(CODE, 2), (CODE, 1), (CODE, 2)]
    assert said(world, shown) == [OK, Code.NOT_ISSUED_TO_CUSTOMER, OK]
    bound = world.coupons[coupon_id(1)]
    assert (bound.customer_id, bound.issued_ms, bound.redeemed) == (2, NOW, 2)


def test_external_code_counts_its_days_from_the_binding() -> None:
    world = state([pool_coupon()], [series(external_issual=True, expiry_strategy_type="DAYS", expiry_strategy_value=2)])
    bound = decide(world, [redeem()]).given_coupons[0].coupon
    assert bound.expires_local == "2031-03-12T23:59:59"


def test_external_code_is_bound_once() -> None:
    fields = {"external_issual": True, "is_multiple_use_allowed": True, "same_user_multiple_redeem": True}
    plan = decide(state([pool_coupon()], [series(**fields)]), [redeem(), redeem(transaction_number="2")])
    assert [each.coupon.id for each in plan.given_coupons] == [coupon_id(1)]
    assert len(plan.redemptions) == 2


def test_refused_redemption_binds_nobody() -> None:
    world = state([pool_coupon()], [series(external_issual=True)])
    plan = decide(world, [redeem(CODE, "UNKNOWN"), redeem(customer=(("id", "2"),))])
    assert [outcome.answer.status for outcome in plan.outcomes] == [Code.BATCH_REFUSED, OK]
    assert [each.coupon.customer_id for each in plan.given_coupons] == [2]


def test_pool_code_of_any_user_stays_a_bearer_code() -> None:
    fields: dict[str, Any] = {"any_user": True, "is_multiple_use_allowed": True, "client_handling_type": Handling.UPLOADED}
    world = state([pool_coupon()], [series(**fields)])
    plan = decide(world, [redeem(), redeem(customer=(("id", "2"),))])
    assert [outcome.answer.status for outcome in plan.outcomes] == [OK, OK]
    assert not plan.given_coupons
    assert not plan.new_coupons
    assert world.coupons[coupon_id(1)].customer_id is None


def test_recorded_time_is_the_servers() -> None:
    """`redemptionTime` is for windows alone; what is recorded, and what the next gap counts from, is now (v2-coupon 4)."""
    world = state([coupon(issued_ms=ms("2031-01-01"))])
    plan = decide(world, [redeem(at_ms=ms("2031-03-01", ZONE))])
    assert plan.redemptions[0].redeemed_ms == NOW
    assert world.standings[1, 1].last_redeemed_ms == NOW
