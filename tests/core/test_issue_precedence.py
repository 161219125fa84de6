"""Of two rules that refuse an issue, the one that the contract names first is answered (status-codes 4, J1-J11).

`ORDER` is the contract's order, written down here once more: the code must agree with it, not it with the code.
"""

from datetime import date
from itertools import combinations, pairwise
from typing import Final

import pytest

from couponry.core.model import Standing
from couponry.core.status import Code
from tests.core.scene import AS_ISSUED, Form, Scene
from tests.core.world import DAY_MS, MIRA, NOBODY, NOW, coupon_id

Rule = tuple[str, Code, Scene]
FORMS: Final[tuple[Form, ...]] = ("one", "each", "several")
ONCE: Final = {"standings": {(1, 1): Standing(issued=1, last_issued_ms=NOW - DAY_MS)}}

ORDER: Final[list[Rule]] = [
    ("J1", Code.UNKNOWN_SERIES, Scene(claim={"series_ids": (9,)})),
    ("J2 external", Code.WRONG_SOURCE, Scene(terms={"external_issual": True})),
    ("J2 source", Code.WRONG_SOURCE, Scene(claim={"source_is_known": False})),
    ("J3 unreadable", Code.SERIES_UNREADABLE, Scene(unreadable={"is": True})),
    ("J3 expired", Code.SERIES_EXPIRED, Scene(terms={"valid_till_date": date(2031, 3, 9)})),
    ("J4 invalid", Code.INVALID_CUSTOMER, Scene(customer={"gone": True})),
    ("J4 unknown", Code.CUSTOMER_NOT_FOUND, Scene(claim={"customer": (MIRA, NOBODY)})),
    ("J4 fraud", Code.FRAUD_CUSTOMER_AT_ISSUE, Scene(customer={"fraud_status": "CONFIRMED"})),
    ("J4 label", Code.CUSTOMER_BLOCKED, Scene(customer={"status_label": "SUSPENDED"})),
    ("J5", Code.NOT_MEANT_FOR_CUSTOMER, Scene(terms={"has_audience": True})),
    ("J6", Code.EXCLUDED, Scene(terms={"mutual_exclusive_series_ids": "[2]"}, state={"received": {(1, 2): NOW - DAY_MS}})),
    ("J7", Code.HOLDS_A_COUPON, Scene(state={"live": {(1, 1): (coupon_id(1),)}})),
    ("J8", Code.CUSTOMER_HAS_ENOUGH, Scene(terms={"max_vouchers_per_user": 1}, state=ONCE)),
    ("J9", Code.ISSUED_TOO_SOON, Scene(terms={"min_days_between_vouchers": 5}, state=ONCE)),
    ("J10", Code.SERIES_LIMIT_REACHED, Scene(terms={"max_create": 1}, state={"series_issued": {1: 1}})),
    ("J11", Code.NO_CODE_LEFT, Scene(state={"fresh_codes": {1: []}})),
]
# Terms that cannot be read do not say whether the series is external.
NEVER_BOTH: Final = {("J2 external", "J3 unreadable")}
PAIRS: Final = [pair for pair in combinations(ORDER, 2) if (pair[0][0], pair[1][0]) not in NEVER_BOTH]
# An issue from each of several series answers the first two before it looks at any series (v2-coupon 2).
OF_THE_REQUEST: Final = {"J4 invalid", "J4 unknown"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", ORDER, ids=lambda rule: rule[0])
def test_rule_fails_alone(rule: Rule, form: Form) -> None:
    """Prevents a pair below that passes because one of its rules does not fail at all."""
    _, code, scene = rule
    assert scene.issue_code(form) is AS_ISSUED[form].get(code, code)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0][0]} before {pair[1][0]}")
def test_first_of_two_wins(pair: tuple[Rule, Rule], form: Form) -> None:
    (name, first_code, first), (other, second_code, second) = pair
    assert not first.contradicts(second), "name the pair in NEVER_BOTH, or make the scenes agree"
    is_of_the_request = form == "each" and other in OF_THE_REQUEST and name not in OF_THE_REQUEST
    code = second_code if is_of_the_request else first_code
    assert (first | second).issue_code(form) is AS_ISSUED[form].get(code, code)


def test_neighbours_are_compared() -> None:
    """Prevents NEVER_BOTH from swallowing the order."""
    assert not {(first[0], second[0]) for first, second in pairwise(ORDER)} & NEVER_BOTH


def test_table_of_codes_has_this_order() -> None:
    """What only an issue answers stands in its own order; what a redeem answers as well stands in that one's."""
    members = list(Code)
    shared = {Code.INVALID_CUSTOMER, Code.CUSTOMER_NOT_FOUND, Code.CUSTOMER_BLOCKED, Code.SERIES_UNREADABLE}
    shared |= {Code.SERIES_EXPIRED, Code.NOT_MEANT_FOR_CUSTOMER, Code.SERIES_LIMIT_REACHED}
    own = [members.index(code) for _, code, _ in ORDER if code not in shared]
    assert own == sorted(own)
