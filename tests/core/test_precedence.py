"""Of two rules that fail, the one that the contract names first is answered (status-codes 4).

`ORDER` is the contract's order, written down here once more: the code must agree with it, not it with the code.
"""

from datetime import date
from decimal import Decimal
from itertools import combinations, pairwise
from typing import Final, Literal

import pytest

from couponry.core.status import Code
from tests.core.scene import AS_CHECKED, Scene
from tests.core.world import CODE, MIRA, NOBODY, ORG, coupon_id, items, standing

ORDER: Final[list[tuple[str, Code, Scene]]] = [
    ("shape: nothing named", Code.IDENTIFIER_MISSING, Scene(item={"code": None})),
    ("shape: named twice", Code.REPEATED_IN_REQUEST, Scene(claim={"items": items(CODE, CODE.lower())})),
    ("B1", Code.INVALID_CUSTOMER, Scene(customer={"gone": True})),
    ("B2", Code.CUSTOMER_NOT_FOUND, Scene(claim={"customer": (MIRA, NOBODY)})),
    ("B3", Code.FRAUD_CUSTOMER, Scene(customer={"fraud_status": "CONFIRMED"})),
    ("B4", Code.CUSTOMER_BLOCKED, Scene(customer={"status_label": "SUSPENDED"})),
    ("C1", Code.INVALID_CODE, Scene(item={"code": "no code"})),
    ("C2", Code.UNKNOWN_COUPON, Scene(item={"code": "UNKNOWN"})),
    ("C3", Code.INVALID_ORGANIZATION, Scene(item={"code": None, "coupon_id": coupon_id(1, ORG + 1)})),
    ("C4", Code.SERIES_UNREADABLE, Scene(unreadable={"is": True})),
    ("C5", Code.TEST_COUPON, Scene(terms={"series_type": "TEST"})),
    ("C6", Code.REVOKED, Scene(coupon={"is_revoked": True})),
    ("C7", Code.SERIES_EXPIRED, Scene(terms={"valid_till_date": date(2031, 3, 9)})),
    ("C8", Code.COUPON_EXPIRED, Scene(coupon={"expires_local": "2031-03-09T23:59:59"})),
    ("C9 another's", Code.NOT_ISSUED_TO_CUSTOMER, Scene(coupon={"customer_id": 2})),
    ("C9 nobody's", Code.NOT_ISSUED, Scene(coupon={"customer_id": None})),
    ("C10", Code.NOT_MEANT_FOR_CUSTOMER, Scene(terms={"has_audience": True})),
    ("C11", Code.INVALID_STORE, Scene(terms={"store_ids_json": "[99]"})),
    ("C11a", Code.NOT_STARTED, Scene(terms={"redemption_valid_from": date(2031, 3, 11)})),
    ("C11b", Code.OUTSIDE_WINDOW, Scene(terms={"redemption_range": '{"hours":[3]}'})),
    (
        "C12",
        Code.TRANSACTION_NUMBER_NEEDED,
        Scene(settings={"transaction_number_required": True}, claim={"transaction_number": ""}),
    ),
    ("C13", Code.INVALID_AMOUNT, Scene(terms={"min_bill_amount": Decimal(5000)})),
    ("C14", Code.ALREADY_USED, Scene(terms={"is_multiple_use_allowed": False}, coupon={"redeemed": 1})),
    (
        "C15",
        Code.ALREADY_USED_BY_CUSTOMER,
        Scene(terms={"same_user_multiple_redeem": False}, coupon={"redeemed": 1}, state={"uses": {(coupon_id(1), 1): 1}}),
    ),
    ("C16", Code.CODE_LIMIT_REACHED, Scene(terms={"redemption_per_coupon_max_limit": 1}, coupon={"redeemed": 1})),
    (
        "C17",
        Code.CUSTOMER_LIMIT_REACHED,
        Scene(terms={"max_redemptions_in_series_per_user": 1}, state={"standings": standing()}),
    ),
    (
        "C18",
        Code.TOO_SOON,
        Scene(terms={"is_multiple_use_allowed": True, "min_days_between_redemption": 5}, state={"standings": standing()}),
    ),
    ("C19", Code.SERIES_LIMIT_REACHED, Scene(terms={"max_redeem": 1}, state={"series_redeemed": {1: 1}})),
    ("C20", Code.VALIDATION_REQUIRED, Scene(terms={"is_validation_required": True})),
    ("C21", Code.PRE_REDEEM_REFUSED, Scene(terms={"is_pre_redeem_event_required": True})),
]
# Two rules that cannot both fail, because they need opposite facts. C15 alone needs a series of many uses.
NEVER_BOTH: Final = {
    ("shape: nothing named", "shape: named twice"),
    ("C9 another's", "C9 nobody's"),  # a coupon has one holder
    ("C14", "C18"),  # the gap is not asked of single-use series
    # One item is one code or one id, and it is ill-formed, unknown, another org's, or found.
    *combinations(("shape: nothing named", "C1", "C2", "C3"), 2),
    *(("shape: named twice", rule) for rule in ("C1", "C2", "C3")),
}
MANY_USES: Final = Scene(terms={"is_multiple_use_allowed": True, "same_user_multiple_redeem": True})
PAIRS: Final = [pair for pair in combinations(ORDER, 2) if (pair[0][0], pair[1][0]) not in NEVER_BOTH]


@pytest.mark.parametrize("rule", ORDER, ids=lambda rule: rule[0])
def test_rule_fails_alone(rule: tuple[str, Code, Scene]) -> None:
    """Prevents a pair below that passes because one of its rules does not fail at all."""
    _, code, scene = rule
    assert (MANY_USES | scene).code("redeem") is code


@pytest.mark.parametrize("ask", ["redeem", "check"])
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0][0]} before {pair[1][0]}")
def test_first_of_two_wins(
    pair: tuple[tuple[str, Code, Scene], tuple[str, Code, Scene]], ask: Literal["redeem", "check"]
) -> None:
    (_, code, first), (_, _, second) = pair
    assert not first.contradicts(second), "name the pair in NEVER_BOTH, or make the scenes agree"
    scene = MANY_USES | first | second
    assert scene.code(ask) is (AS_CHECKED.get(code, code) if ask == "check" else code)


def test_neighbours_are_compared() -> None:
    """Prevents NEVER_BOTH from swallowing the order: whoever has no neighbour to compare with is known by name."""
    neighbours = {(first[0], second[0]) for first, second in pairwise(ORDER)}
    assert neighbours & NEVER_BOTH == {
        ("shape: nothing named", "shape: named twice"),
        ("C1", "C2"),
        ("C2", "C3"),
        ("C9 another's", "C9 nobody's"),
    }


def test_table_of_codes_has_this_order() -> None:
    """Prevents a published order that differs from the one that is tested."""
    members = list(Code)
    places = [members.index(code) for _, code, _ in ORDER]
    assert places == sorted(places)
    assert members.index(Code.UNKNOWN_COUPON_CHECKED) == members.index(Code.UNKNOWN_COUPON) + 1
    by_missed_call, by_code = members.index(Code.NO_MISSED_CALL), members.index(Code.INVALID_VALIDATION_CODE)
    assert members.index(Code.VALIDATION_REQUIRED) < by_missed_call < by_code < members.index(Code.PRE_REDEEM_REFUSED)
