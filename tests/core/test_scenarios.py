"""The public guide's fourteen scenarios (rules 5), from the issue of the codes to the last refusal, with exact counts."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, product, repeat
from typing import Any, Final, NamedTuple

import pytest

from couponry.core.codes import code_key
from couponry.core.commands import Command
from couponry.core.decide import decide
from couponry.core.limits import ISSUE_COUNT_MAX
from couponry.core.model import Handling
from couponry.core.plan import IssueAnswer
from couponry.core.state import State
from couponry.core.status import Code
from tests.core.world import customer, issue, pool_coupon, redeem, series, state, statuses, told

OK: Final = Code.PROCESSED
USED: Final = Code.ALREADY_USED_BY_CUSTOMER
CODE_OUT: Final = Code.CODE_LIMIT_REACHED
CUSTOMER_OUT: Final = Code.CUSTOMER_LIMIT_REACHED
SERIES_OUT: Final = Code.SERIES_LIMIT_REACHED
THEIRS: Final = Code.NOT_ISSUED_TO_CUSTOMER

Tries = Iterable[tuple[int, int]]
"""Which code, by its place among the issued ones, is shown by which customer."""


class Scenario(NamedTuple):
    """A row of the matrix: where codes come from, what limits them, who gets how many, who tries what, and the counts."""

    row: int
    source: str
    terms: dict[str, Any]
    issued: dict[int, int]
    tries: Tries
    counts: dict[Code, int]


def limits(code: int = -1, customer: int = -1, series: int = -1, **fields: Any) -> dict[str, Any]:
    """The three limits; anyone may redeem, again and again, unless the fields say otherwise."""
    fields = {"any_user": True, "same_user_multiple_redeem": True} | fields
    caps = {"redemption_per_coupon_max_limit": code, "max_redemptions_in_series_per_user": customer, "max_redeem": series}
    return {"is_multiple_use_allowed": True, **caps, **fields}


def each_times(codes: Iterable[int], customers: Iterable[int], times: int) -> Tries:
    """Every customer shows every code so many times in a row, code by code."""
    return chain.from_iterable(repeat(pair, times) for pair in product(codes, customers))


def own_then_anothers(times: int) -> Tries:
    """Three customers show their own code so many times, then each shows the next one's."""
    return [*chain.from_iterable(repeat((n, n + 1), times) for n in range(3)), (1, 1), (2, 2), (0, 3)]


THREE: Final = {1: 1, 2: 1, 3: 1}
ONCE_PER_CUSTOMER: Final = limits(code=10, same_user_multiple_redeem=False)
FIVE_A_CODE: Final = limits(code=5, series=10_000)
ALL_THREE: Final = limits(code=5, customer=4, series=12)
OWNERS_ONLY: Final = limits(customer=2, series=5, any_user=False)

# Twelve customers, twice each: ten get in, once each.
COUNTS_1: Final = {OK: 10, USED: 10, CODE_OUT: 4}
# 2001 codes, six times each: the last code finds the series at its end.
COUNTS_2: Final = {OK: 10_000, CODE_OUT: 2_000, SERIES_OUT: 6}
# Three codes, four customers, three times each. The first code goes 3 + 2, the second 1 + 2 + 2, the third 2.
COUNTS_3: Final = {OK: 12, CODE_OUT: 7 + 4, CUSTOMER_OUT: 3 + 7, SERIES_OUT: 3}
COUNTS_4: Final = {OK: 10, CODE_OUT: 4}
# Two customers get both of their uses, the third one, and then the series is at its end.
COUNTS_6: Final = {OK: 5, CUSTOMER_OUT: 2, SERIES_OUT: 2, THEIRS: 3}

SCENARIOS: Final = [
    Scenario(1, "generated", ONCE_PER_CUSTOMER, {1: 1}, each_times([0], range(1, 13), 2), COUNTS_1),
    Scenario(2, "generated", FIVE_A_CODE, {1: 2001}, each_times(range(2001), (1, 2, 3), 2), COUNTS_2),
    Scenario(3, "generated", ALL_THREE, THREE, each_times(range(3), range(1, 5), 3), COUNTS_3),
    Scenario(4, "generated", limits(code=5), {1: 1, 2: 1}, each_times(range(2), range(1, 8), 1), COUNTS_4),
    Scenario(
        5,
        "generated",
        limits(customer=1, series=10_000),
        {1: 1},
        each_times([0], range(1, 10_002), 2),
        {OK: 10_000, CUSTOMER_OUT: 10_000, SERIES_OUT: 2},
    ),
    Scenario(6, "generated", OWNERS_ONLY, THREE, own_then_anothers(3), COUNTS_6),
    Scenario(
        7,
        "common",
        limits(customer=2, series=1_000),
        dict.fromkeys(range(1, 251), 1),  # the others have the code from a poster
        each_times([0], range(1, 502), 3),
        {OK: 1_000, CUSTOMER_OUT: 500, SERIES_OUT: 3},
    ),
    Scenario(8, "uploaded", ALL_THREE, THREE, each_times(range(3), range(1, 5), 3), COUNTS_3),
    Scenario(9, "uploaded", ONCE_PER_CUSTOMER, {1: 1}, each_times([0], range(1, 13), 2), COUNTS_1),
    Scenario(10, "uploaded", FIVE_A_CODE, {1: 2001}, each_times(range(2001), (1, 2, 3), 2), COUNTS_2),
    Scenario(11, "uploaded", limits(code=5), {1: 1, 2: 1}, each_times(range(2), range(1, 8), 1), COUNTS_4),
    Scenario(
        12,
        "uploaded",
        limits(customer=5, series=5_000),
        {1: 1},
        each_times([0], range(1, 1_002), 6),
        {OK: 5_000, CUSTOMER_OUT: 1_000, SERIES_OUT: 6},
    ),
    Scenario(13, "uploaded", OWNERS_ONLY, THREE, own_then_anothers(3), COUNTS_6),
    Scenario(14, "third party", OWNERS_ONLY, THREE, own_then_anothers(3), COUNTS_6),
]
HANDLINGS: Final = {"generated": Handling.GENERATED, "common": Handling.SHARED, "uploaded": Handling.UPLOADED}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: f"row {scenario.row}, {scenario.source}")
def test_scenario(scenario: Scenario) -> None:
    tries = list(scenario.tries)
    world, codes = issued(scenario, max(person for _, person in tries))
    commands: list[Command] = [
        redeem(codes[place], customer=(("id", str(person)),), transaction_number="") for place, person in tries
    ]
    plan = decide(world, commands)
    assert dict(Counter(outcome.answer.status for outcome in plan.outcomes)) == scenario.counts
    assert len(plan.redemptions) == scenario.counts[OK]
    assert_within(scenario.terms, Counter((each.coupon_id, 0) for each in plan.redemptions), "redemption_per_coupon_max_limit")
    by_customer = Counter((each.customer_id, 0) for each in plan.redemptions)
    assert_within(scenario.terms, by_customer, "max_redemptions_in_series_per_user")
    if scenario.source == "common":
        assert len(plan.new_coupons) == 500 - 250  # a record for each who redeemed and had none
    if scenario.source == "third party":
        assert [each.coupon.customer_id for each in plan.given_coupons] == [1, 2, 3]


def assert_within(terms: dict[str, Any], counted: Counter[tuple[int, int]], name: str) -> None:
    assert terms[name] < 0 or max(counted.values()) <= terms[name]


def issued(scenario: Scenario, customers: int) -> tuple[State, Sequence[str]]:
    """A world in which the scenario's coupons were issued, as the next batch would load it; and their codes, in order."""
    many = sum(scenario.issued.values())
    is_external = scenario.source == "third party"
    fields = scenario.terms | {
        "client_handling_type": HANDLINGS.get(scenario.source, Handling.UPLOADED),
        "external_issual": is_external,
        "generic_code": "MONSOON",
        "is_multiple_vouchers_per_user_allowed": True,
    }
    uploads = {"uploaded": many, "third party": many, "common": 1}.get(scenario.source, 0)
    uploaded = [
        pool_coupon(number, "MONSOON" if scenario.source == "common" else f"U{number}") for number in range(1, uploads + 1)
    ]
    world = state(uploaded, [series(**fields)], map(customer, range(1, customers + 1)))
    world.pools = {1: [each.id for each in uploaded]}
    world.fresh_codes = {1: [f"F{number}" for number in range(many)]}
    asked = [
        issue(customer=(("id", str(person)),), form="several", count=min(ISSUE_COUNT_MAX, left))
        for person, count in scenario.issued.items()
        for left in range(count, 0, -ISSUE_COUNT_MAX)
    ]
    if is_external:
        assert set(statuses(world, asked)) == {Code.WRONG_SOURCE}
        return world, [each.code for each in uploaded]
    answers = [told(IssueAnswer, outcome) for outcome in decide(world, asked).outcomes]
    codes = [each.code for answer in answers for item in answer.items for each in item.coupons]
    assert len(codes) == many
    world.coupon_ids = {(code_key(each.code), each.holder_id): each.id for each in world.coupons.values()}
    return world, codes
