"""Explanations as an agent reads them: no bare numbers, the bill in money, places by their names."""

from decimal import Decimal

from couponry.core.advice import ADVICE
from couponry.core.explain import Found, explain
from couponry.core.explain_words import Answer, in_words
from couponry.core.model import OrgEntity
from couponry.core.terms_words import Names
from tests.core.test_explain import asked, found
from tests.core.world import NOW, coupon, customer, series


def answered(world: Found, names: Names | None = None, **more: object) -> Answer:
    question = asked(**more)
    return in_words(explain(question, world), question, world, names or {})


def test_nothing_in_the_way() -> None:
    answer = answered(found())
    assert (answer.is_redeemable, answer.headline) == (True, "Nothing stands in the way: it can be redeemed.")
    assert {line.verdict for line in answer.lines} == {"Passed"}


def test_a_bill_too_small() -> None:
    answer = answered(found(series=series(min_bill_amount=Decimal(500))), amount=Decimal(430))
    assert answer.headline == "The bill is below or above what the series allows, or the till sent none."
    assert (answer.why, answer.looked_at) == ("Short by INR 70.", "Smallest bill: INR 500; bill: INR 430")
    assert answer.next_step == "Tell the customer which bill the coupon needs."
    assert [line.name for line in answer.lines if line.is_first] == ["Bill amount"]


def test_of_several_refusals_the_first_is_the_answer() -> None:
    world = found(coupon=coupon(is_revoked=True), series=series(min_bill_amount=Decimal(5000)))
    answer = answered(world)
    assert answer.headline == "The coupon was revoked."
    assert [line.verdict for line in answer.lines].count("Failed") == 2
    assert sum(line.is_first for line in answer.lines) == 1


def test_places_have_names() -> None:
    places = (OrgEntity("STORE", 71), OrgEntity("ZONE", 72), OrgEntity("STORE", 79))
    world = found(series=series(redemption_org_entity_details=places))
    assert world.place
    names = {("STORE", 71): "Delhi", ("ZONE", 72): "North"}
    names |= {("TILL", world.place.till_id): "Front till", ("STORE", world.place.store_id): "Indiranagar"}
    answer = answered(world, names)
    assert answer.looked_at == "Redeemable at stores Delhi or zones North; asked at Front till of Indiranagar"
    assert answer.why == "The till is in none of them."


def test_what_cannot_be_asked_says_why() -> None:
    answer = answered(found(coupon=None, series=None))
    assert answer.headline == "No coupon has this code."
    assert {line.why for line in answer.lines if line.verdict == "Could not be asked"} == {"No coupon to judge."}
    assert answered(found(customer=None), customer=()).headline.startswith("The customer was not named")


def test_no_answer_tells_a_bare_code() -> None:
    for world in (
        found(coupon=coupon(is_revoked=True)),
        found(coupon=coupon(redeemed=1, uses=1)),
        found(series=series(max_redeem=1), series_redeemed=1),
        found(customer=customer(fraud_status="CONFIRMED")),
        found(is_till_active=False),
        found(place=None),
    ):
        answer = answered(world, now_ms=NOW)
        numbers = {str(code.number) for code in ADVICE}
        said = {word.strip(".,;:") for line in answer.lines for word in line.why.split()}
        assert not answer.is_redeemable
        assert not said & numbers
