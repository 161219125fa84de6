"""Requests of several coupons: all or none, each with its own code, and no trace of what was tried (status-codes 4)."""

from copy import deepcopy
from dataclasses import fields
from typing import Any, Final

import pytest

from couponry.core.commands import Item
from couponry.core.decide import decide
from couponry.core.model import Handling
from couponry.core.plan import Answer, AnyAnswer, CheckAnswer
from couponry.core.state import State
from couponry.core.status import Code
from tests.core.world import (
    NOBODY,
    NOW,
    answer,
    check,
    check_answer,
    coupon,
    coupon_id,
    items,
    pool_coupon,
    redeem,
    series,
    standing,
    state,
)

OK: Final = Code.PROCESSED
SPARED: Final = Code.OTHER_COUPON_FAILED
TWICE: Final = Code.REPEATED_IN_REQUEST
UNKNOWN: Final = Code.UNKNOWN_COUPON
USED: Final = Code.ALREADY_USED
BOTH: Final = Code.ALL_FAILED
SOME: Final = Code.BATCH_REFUSED


def world(**fields: Any) -> State:
    """Mira holds A and B, has used USED, and of REVOKED's series there is nothing to say."""
    used = coupon(3, "USED", redeemed=1, uses=1)
    revoked = coupon(4, "REVOKED", is_revoked=True)
    return state([coupon(1, "A"), coupon(2, "B"), used, revoked], [series(**fields)])


def rows(of: State) -> dict[str, Any]:
    """All that a batch could change, but for the ids that it used up."""
    names = [each.name for each in fields(of) if each.name not in ("redemption_ids", "new_coupon_ids")]
    return deepcopy({name: getattr(of, name) for name in names})


def codes(of: AnyAnswer) -> list[Code]:
    assert isinstance(of, Answer | CheckAnswer)
    return [each.outcome.status for each in of.items] if isinstance(of, CheckAnswer) else [each.status for each in of.items]


ID_OF_A: Final = coupon_id(1)
ROWS: Final[list[tuple[tuple[str | int | None, ...], Code, list[Code]]]] = [
    (("A",), OK, [OK]),
    (("USED",), USED, [USED]),
    (("A", "B"), OK, [OK, OK]),
    (("A", "USED"), SOME, [SPARED, USED]),
    (("USED", "A"), SOME, [USED, SPARED]),
    (("A", "UNKNOWN", "B", "REVOKED"), SOME, [SPARED, UNKNOWN, SPARED, Code.REVOKED]),
    (("USED", "UNKNOWN"), BOTH, [USED, UNKNOWN]),
    # The same coupon twice, however it is named; all its occurrences fail.
    (("A", "A"), BOTH, [TWICE, TWICE]),
    (("A", " a"), BOTH, [TWICE, TWICE]),
    (("A", ID_OF_A), BOTH, [TWICE, TWICE]),
    ((ID_OF_A, ID_OF_A), BOTH, [TWICE, TWICE]),
    (("A", "B", "a"), SOME, [TWICE, SPARED, TWICE]),
    (("A", "USED", "a"), BOTH, [TWICE, USED, TWICE]),
    (("UNKNOWN", "unknown"), BOTH, [TWICE, TWICE]),
    ((coupon_id(77), coupon_id(77)), BOTH, [TWICE, TWICE]),
    ((coupon_id(77), coupon_id(78)), BOTH, [UNKNOWN, UNKNOWN]),
    # Nothing named at all.
    ((None,), Code.IDENTIFIER_MISSING, [Code.IDENTIFIER_MISSING]),
    ((None, None), BOTH, [Code.IDENTIFIER_MISSING, Code.IDENTIFIER_MISSING]),
    ((None, ""), BOTH, [Code.IDENTIFIER_MISSING, Code.INVALID_CODE]),
    ((None, coupon_id(77)), BOTH, [Code.IDENTIFIER_MISSING, UNKNOWN]),
    (("A", None), SOME, [SPARED, Code.IDENTIFIER_MISSING]),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(str(each) for each in row[0]))
def test_codes(row: tuple[tuple[str | int | None, ...], Code, list[Code]]) -> None:
    """A line per request: what is shown, what the request is answered, and what each coupon is."""
    shown, whole, each = row
    request = {"items": tuple(Item() if one is None else items(one)[0] for one in shown)}
    redeemed = answer(world(), redeem(**request))
    assert (redeemed.status, codes(redeemed)) == (whole, each)
    in_checks_words = {OK: Code.REDEEMABLE, UNKNOWN: Code.UNKNOWN_COUPON_CHECKED, SOME: SPARED}
    checked = check_answer(world(), check(**request))
    said = [in_checks_words.get(code, code) for code in (whole, *each)]
    if whole is UNKNOWN:
        said[0] = Code.UNKNOWN_COUPON_CHECKED
    assert [checked.status, *codes(checked)] == said


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"max_redemptions_in_series_per_user": 1}, Code.CUSTOMER_LIMIT_REACHED),
        ({"max_redeem": 1}, Code.SERIES_LIMIT_REACHED),
        ({"min_days_between_redemption": 1, "is_multiple_use_allowed": True}, Code.TOO_SOON),
    ],
)
def test_limit_counts_the_other_coupons_of_the_request(fields: dict[str, Any], code: Code) -> None:
    """Prevents two coupons of one series from sharing its last use; the later one fails, with the limit's code."""
    redeemed = answer(world(**fields), redeem("B", "A"))
    assert (redeemed.status, codes(redeemed)) == (SOME, [SPARED, code])
    assert codes(check_answer(world(**fields), check("B", "A"))) == [SPARED, code]


def test_refused_coupon_takes_nothing_from_the_next() -> None:
    """Prevents a coupon that fails from using up what a later one of the request needs."""
    redeemed = answer(world(max_redemptions_in_series_per_user=1), redeem("USED", "A"))
    assert codes(redeemed) == [USED, SPARED]


def test_refused_request_leaves_the_state_as_it_was() -> None:
    """Every kind of effect is tried and undone: counters, a record of one's own, a binding, the customer's first redemption."""
    shared = pool_coupon(5, "SHARED", series_id=2)
    external = pool_coupon(6, "EXTERNAL", series_id=3)
    all_series = [
        series(1, is_multiple_use_allowed=True),
        series(2, any_user=True, client_handling_type=Handling.SHARED),
        series(3, external_issual=True),
    ]
    before = state([coupon(1, "A"), shared, external], all_series, standings=standing(2), series_redeemed={1: 5}, uses={})
    kept = rows(before)
    plan = decide(before, [redeem("A", "SHARED", "EXTERNAL", "UNKNOWN")])
    (outcome,) = plan.outcomes
    assert codes(outcome.answer) == [SPARED, SPARED, SPARED, UNKNOWN]
    assert rows(before) == kept
    assert [*plan.redemptions, *plan.new_coupons, *plan.given_coupons, *plan.kept] == []
    assert [refusal.status for refusal in plan.refusals] == [UNKNOWN]
    decide(before, [check("A", "SHARED", "EXTERNAL")])
    assert rows(before) == kept


def test_unreadable_series_fails_the_whole_request() -> None:
    """788 is nobody's refusal: no coupon is answered, nothing is traced, and the same request may succeed once repaired."""
    torn = state([coupon(1, "A"), coupon(2, "B", series_id=2)], [series(1)])
    torn.series[2] = None
    kept = rows(torn)
    plan = decide(torn, [redeem("A", "UNKNOWN", "B"), check("A", "B")])
    assert [(outcome.answer.status, codes(outcome.answer)) for outcome in plan.outcomes] == [(Code.SERIES_UNREADABLE, [])] * 2
    assert (plan.redemptions, plan.kept, plan.refusals) == ([], [], [])
    assert rows(torn) == kept


def test_spared_coupons_leave_no_trace() -> None:
    plan = decide(world(), [redeem("A", "USED", "UNKNOWN", request_id="r-1")])
    assert [(each.status, each.code_sent, each.coupon_id, each.customer_id) for each in plan.refusals] == [
        (USED, "USED", coupon_id(3), 1),
        (UNKNOWN, "UNKNOWN", None, 1),
    ]
    assert {each.request_id for each in plan.refusals} == {"r-1"}


def test_shape_is_judged_before_the_customer() -> None:
    """What a request gets wrong by itself is said first; of the rest nothing is known."""
    plan = decide(world(), [redeem("A", "a", "B", customer=(NOBODY,)), redeem("A", "B", customer=(NOBODY,))])
    first, second = (outcome.answer for outcome in plan.outcomes)
    assert (first.status, codes(first)) == (SOME, [TWICE, TWICE, SPARED])
    assert (second.status, codes(second)) == (Code.CUSTOMER_NOT_FOUND, [])
    assert [refusal.status for refusal in plan.refusals] == [TWICE, TWICE, Code.CUSTOMER_NOT_FOUND]


def test_items_keep_their_order_and_name_their_coupons() -> None:
    redeemed = answer(world(), redeem("b", "USED", "nope"))
    assert [(each.code_shown, each.coupon_id, each.redemption_id) for each in redeemed.items] == [
        ("B", coupon_id(2), -1),
        ("USED", coupon_id(3), -1),
        ("nope", -1, -1),
    ]
    assert [each.offer.series_id if each.offer else None for each in redeemed.items] == [1, 1, None]


def test_redemptions_record_the_request() -> None:
    asked = redeem(items=(Item(code="A", custom_fields=(("colour", "red"),)),), transaction_number="INV-7", request_id="r-7")
    (redemption,) = decide(world(), [asked]).redemptions
    assert (redemption.series_id, redemption.series_version, redemption.customer_id) == (1, 1, 1)
    assert (redemption.till_id, redemption.store_id, redemption.redeemed_ms) == (11, 21, NOW)
    assert (redemption.amount, redemption.transaction_number) == (asked.amount, "INV-7")
    assert (redemption.custom_fields, redemption.request_id) == ((("colour", "red"),), "r-7")
    assert (redemption.use_number, redemption.customer_use_number) == (1, 1)


def test_org_without_usable_settings_answers_nothing() -> None:
    torn = world()
    torn.org = None
    plan = decide(torn, [redeem("A"), check("A")])
    assert [outcome.answer.status for outcome in plan.outcomes] == [Code.ORG_MISCONFIGURED] * 2
    assert (plan.redemptions, plan.kept, plan.refusals) == ([], [], [])
