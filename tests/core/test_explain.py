"""Explanations: every guard has one, in the contract's order, and the first refusal is what a redeem answers."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import pytest
from msgspec.structs import replace

from couponry.core.codes import code_key
from couponry.core.commands import Redeem
from couponry.core.explain import Asked, Explanation, Found, Verdict, explain
from couponry.core.findings import CUSTOMER, FINDINGS, TILL
from couponry.core.model import Customer, OrgEntity, Place, Standing, TargetUser
from couponry.core.rules import redeem as rules
from couponry.core.status import Code
from tests.core import test_precedence, test_redeem_rules
from tests.core.scene import Scene
from tests.core.world import CODE, DAY_MS, MIRA, NOW, coupon, customer, items, ms, org, place, series


def asked(**fields: Any) -> Asked:
    usual = Asked(org(), items("H4TQ9ZKM")[0], (MIRA,), "till1", NOW, NOW, Decimal(1800), "INV-5510")
    return replace(usual, **fields)


def found(**fields: Any) -> Found:
    return replace(Found(customer(), place(), coupon=coupon(), series=series()), **fields)


def test_every_guard_has_a_finding() -> None:
    assert tuple(FINDINGS) == rules.COUPON_GUARDS
    assert len({told.rule for told in FINDINGS.values()}) == len(FINDINGS)


def test_all_rules_of_the_contract_in_order() -> None:
    told = [step.rule for step in explain(asked(), found()).steps]
    numbered = [f"C{number}" for number in range(1, 22)]
    numbered[11:11] = ["C11a", "C11b"]
    assert told == ["till", "B1", "B2", "B3", "B4", *numbered]


def explained(scene: Scene) -> Explanation | None:
    """What explain says of a scene; None where it cannot be asked the same: it takes one identifier, and one coupon by code."""
    world, request = scene.world(), scene.request()
    item, identifiers = request["items"][0], request.get("customer", (MIRA,))
    if len(identifiers) > 1 or len(request["items"]) > 1 or item.code is None or code_key(item.code) != CODE:
        return None
    person = world.customers.get(identifiers[0]) if identifiers else None
    (shown,) = world.coupons.values()
    assert world.org
    return explain(
        Asked(
            org=world.org,
            item=item,
            customer=identifiers,
            till_code="till1",
            now_ms=world.now_ms,
            at_ms=request.get("at_ms") or world.now_ms,
            amount=request.get("amount", Decimal(1800)),
            transaction_number=request.get("transaction_number", "INV-5510") or "",
        ),
        Found(
            person,
            request["place"],
            coupon=shown,
            series=world.series[1],
            is_halted=1 in world.halted,
            is_in_audience=(1, person.id if person else 0) in world.audience,
            standing=world.standings.get((1, 1)) or Standing(),
            uses_by_customer=world.uses.get((shown.id, 1), 0),
            series_redeemed=world.series_redeemed.get(1, 0),
        ),
    )


def test_explanations_say_what_redeems_say() -> None:
    """Every case of the rule tables, and every pair of two rules that fail."""
    cases = [(row[0], row[1], row[2]) for table in (test_redeem_rules.CUSTOMER, test_redeem_rules.COUPON) for row in table]
    pairs = [(f"{one[0]}, {two[0]}", test_precedence.MANY_USES | one[2] | two[2], one[1]) for one, two in test_precedence.PAIRS]
    told = 0
    for name, scene, expected in (*cases, *pairs):
        explanation = explained(scene)
        if explanation is None or expected is Code.PRE_REDEEM_REFUSED:  # asking the hook is an effect: taken to have accepted
            continue
        assert explanation.code is expected, name
        assert all(step.explanation for step in explanation.steps), name
        told += 1
    assert told > 300


Sentence = tuple[str, dict[str, Any], dict[str, Any], str, str]
AGAIN: Final = {"is_multiple_use_allowed": True, "same_user_multiple_redeem": True}
SENTENCES: Final[list[Sentence]] = [
    (
        "short",
        {"amount": Decimal(430)},
        {"series": series(min_bill_amount=Decimal(500))},
        "C13",
        "min bill 500; bill 430; short by 70: 733",
    ),
    (
        "over",
        {"amount": Decimal("900.50")},
        {"series": series(max_bill_amount=Decimal(500))},
        "C13",
        "max bill 500; bill 900.5; over by 400.5: 733",
    ),
    (
        "no bill",
        {"amount": None},
        {"series": series(min_bill_amount=Decimal(500))},
        "C13",
        "min bill 500; bill not given; a bill is needed: 733",
    ),
    ("enough", {}, {"series": series(min_bill_amount=Decimal(500))}, "C13", "min bill 500; bill 1800"),
    ("test", {}, {"series": series(series_type="TEST")}, "C5", "series type TEST; coupons of a test series never redeem: 720"),
    ("revoked", {}, {"coupon": coupon(is_revoked=True)}, "C6", "revoked yes; out of circulation for good: 660"),
    (
        "other's",
        {},
        {"coupon": coupon(customer_id=2)},
        "C9",
        "issued to customer 2; shown by customer 1; any user no; external no; somebody else's coupon: 703",
    ),
    (
        "nobody's",
        {},
        {"coupon": coupon(customer_id=None, issued_ms=None)},
        "C9",
        "issued to nobody; shown by customer 1; any user no; external no; never issued: 723",
    ),
    ("used", {}, {"coupon": coupon(redeemed=1)}, "C14", "multiple use no; redeemed 1; used already: 711"),
    (
        "used by her",
        {},
        {"uses_by_customer": 2},
        "C15",
        "same user again no; redeemed by customer 2; used by this customer already: 716",
    ),
    (
        "code limit",
        {},
        {"series": series(redemption_per_coupon_max_limit=2, any_user=True), "coupon": coupon(redeemed=2)},
        "C16",
        "limit per coupon 2; redeemed 2; none left: 736",
    ),
    (
        "her limit",
        {},
        {"series": series(max_redemptions_in_series_per_user=3), "standing": Standing(3, 3, NOW)},
        "C17",
        "limit per customer in series 3; redeemed by customer in series 3; none left: 728",
    ),
    (
        "gap",
        {},
        {"series": series(min_days_between_redemption=3, **AGAIN), "standing": Standing(1, 1, NOW - DAY_MS)},
        "C18",
        "days between redemptions 3; last redeemed on 2031-03-09; redeemed on 2031-03-10; 2 days too soon: 738",
    ),
    (
        "cap",
        {},
        {"series": series(max_redeem=5), "series_redeemed": 5},
        "C19",
        "series cap 5; redeemed in series 5; none left: 714",
    ),
    (
        "validation",
        {},
        {"series": series(is_validation_required=True)},
        "C20",
        "validation required yes; validation code not given; the customer has to be validated: 725",
    ),
    (
        "hook",
        {},
        {"series": series(is_pre_redeem_event_required=True)},
        "C21",
        "hook asked before yes; taken to have accepted: only a redemption asks it",
    ),
    (
        "days after",
        {},
        {"series": series(redemption_valid_after_days=12)},
        "C11a",
        "days after issue 12; issued on 2031-02-28; redeemed on 2031-03-10; 2 days too early: 729",
    ),
    (
        "halted",
        {},
        {"is_halted": True},
        "C7",
        (
            "series expires 2031-12-31 23:59:59+05:30; redeemed at 2031-03-10 12:00:00+05:30; campaign ended or "
            "paused; its campaign is not running: 712"
        ),
    ),
    (
        "expired",
        {},
        {"coupon": coupon(expires_local="2031-03-09T23:59:59")},
        "C8",
        "coupon expires 2031-03-09 23:59:59+05:30; redeemed at 2031-03-10 12:00:00+05:30; the coupon has expired: 713",
    ),
    (
        "ahead",
        {"at_ms": NOW + 2 * DAY_MS},
        {},
        "C11b",
        (
            'redemption range {"dom":[-1],"dow":[-1],"hours":[-1]}; '
            "store's clock 2031-03-12 12:00:00+05:30 (day of week 3); "
            "issued 2031-02-28 12:00:00+05:30; more than 24 hours ahead: 739"
        ),
    ),
    (
        "number",
        {"transaction_number": " ", "org": org(transaction_number_required=True)},
        {},
        "C12",
        "org demands a number yes; transaction number not given; a number is needed: 718",
    ),
    (
        "scope",
        {},
        {"series": series(redemption_org_entity_details=(OrgEntity("ZONE", 7),))},
        "C11",
        (
            "redeemable at tills none; stores none; zones 7; concepts none; "
            "asked at till 11; of store 21; in zones none; of concepts none; the till is in none of them: 735"
        ),
    ),
    (
        "target",
        {},
        {
            "series": series(target_user_details=TargetUser(valid_max_user_transaction_limit=0)),
            "customer": customer(transaction_count=4),
        },
        "C10",
        "audience everybody; most transactions 0; transactions 4; not whom the series is for: 710",
    ),
    (
        "later",
        {},
        {"coupon": None, "made_ms": ms("2031-03-11")},
        "C2",
        "code H4TQ9ZKM; made only at 2031-03-11 00:00:00+05:30: 719",
    ),
    (
        "fraud",
        {},
        {"customer": customer(fraud_status="CONFIRMED")},
        "B3",
        "fraud status CONFIRMED; blocking CONFIRMED, INTERNAL, RECONFIRMED: 740",
    ),
    ("unreadable", {}, {"series": None}, "C4", "series 1; its terms cannot be used: 788"),
    ("till away", {}, {"is_till_active": False}, "till", "till till1; the till, or its store, is not active: 91021"),
]


@pytest.mark.parametrize(("ask", "world", "rule", "sentence"), [row[1:] for row in SENTENCES], ids=[row[0] for row in SENTENCES])
def test_sentences(ask: dict[str, Any], world: dict[str, Any], rule: str, sentence: str) -> None:
    (step,) = [step for step in explain(asked(**ask), found(**world)).steps if step.rule == rule]
    assert step.explanation == sentence
    assert (step.verdict is Verdict.REFUSED) == (step.code is not None) == (step.message is not None)


class Untouchable:
    """Whoever looks at it is found out."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"{name} was read")


TERMS: Final = [
    series(),
    series(min_bill_amount=Decimal(5000), min_days_between_redemption=3, max_redemptions_in_series_per_user=1, **AGAIN),
    series(has_audience=True, redeem_at_store="[1]", redemption_range='{"hours":[3]}', target_user_details=TargetUser(0, 1, 1)),
]


@pytest.mark.parametrize("terms", TERMS, ids=range(len(TERMS)))
def test_guards_read_only_whom_they_need(terms: Any) -> None:
    """A guard that is told to need neither customer nor till is judged without them; then it may not look."""
    nobody: Any = Untouchable()
    attempt = rules.Attempt(
        claim=_claim(place()),
        item=items("A")[0],
        org=org(),
        customer=customer(),
        coupon=coupon(),
        series=terms,
        is_halted=False,
        is_in_audience=False,
        standing=Standing(1, 1, NOW),
        uses_by_customer=1,
        series_redeemed=1,
        now_ms=NOW,
        at_ms=NOW,
    )
    for guard, told in FINDINGS.items():
        without = attempt if CUSTOMER in told.needs else replace(attempt, customer=nobody, standing=nobody)
        if TILL not in told.needs:
            nowhere: Any = Place(nobody, nobody, nobody, nobody, attempt.org.zone)
            without = replace(without, claim=_claim(nowhere))
        refusal = guard(without)
        told.tell(without, refusal)


def _claim(at: Place) -> Any:
    return Redeem(1, at, (MIRA,), items("A"), Decimal(1800), "INV")


def test_after_the_first_refusal_the_rest_is_told_too() -> None:
    explanation = explain(
        asked(amount=Decimal(1)), found(series=series(series_type="TEST", min_bill_amount=Decimal(2)), customer=None)
    )
    assert (explanation.code, explanation.refused_by) == (Code.CUSTOMER_NOT_FOUND, "B2")
    by_rule = {step.rule: step for step in explanation.steps}
    assert [rule for rule, step in by_rule.items() if step.verdict is Verdict.REFUSED] == ["B2", "C5", "C13"]
    assert [step.is_after_refusal for step in explanation.steps] == [False] * 3 + [True] * (len(by_rule) - 3)
    assert by_rule["C9"].verdict is Verdict.NOT_REACHED


def test_nothing_is_explained_of_a_coupon_that_is_not_there() -> None:
    explanation = explain(asked(), found(coupon=None, series=None))
    assert explanation.code is Code.UNKNOWN_COUPON
    reached = [step.rule for step in explanation.steps if step.verdict is not Verdict.NOT_REACHED]
    assert reached == ["till", "B1", "B2", "B3", "B4", "C1", "C2"]


PAIRS: Final[list[tuple[str, Callable[[], Customer | None], Code]]] = [
    ("gone", lambda: customer(gone=True, fraud_status="CONFIRMED"), Code.INVALID_CUSTOMER),
    ("nobody", lambda: None, Code.CUSTOMER_NOT_FOUND),
    ("both", lambda: customer(fraud_status="CONFIRMED", status_label="SUSPENDED"), Code.FRAUD_CUSTOMER),
    ("label", lambda: customer(status_label="REDEMPTION_BLOCKED"), Code.CUSTOMER_BLOCKED),
]


@pytest.mark.parametrize(("name", "person", "code"), PAIRS, ids=[name for name, _, _ in PAIRS])
def test_customer_block_says_what_it_says_to_redeems(name: str, person: Callable[[], Customer | None], code: Code) -> None:
    assert explain(asked(), found(customer=person())).code is code
    assert rules.customer_refusal(org(), [person()]) is code, name
