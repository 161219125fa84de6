"""Resend: a line per case, ending in its code (v1.1-coupon 2)."""

from typing import Any, Final

import pytest

from couponry.core.commands import Resend
from couponry.core.decide import decide
from couponry.core.model import Handling
from couponry.core.plan import Event, ResendAnswer
from couponry.core.state import State
from couponry.core.status import Code
from tests.core.test_several_coupons import rows
from tests.core.world import MIRA, NOBODY, NOOR, ask, claim, coupon, coupon_id, customer, org, pool_coupon, series, state

MANY: Final[dict[str, Any]] = {"is_multiple_use_allowed": True, "same_user_multiple_redeem": True}

BY_EMAIL: Final = (("email", "mira@example.com"),)
NO_MOBILE: Final = {"mobile": None, "email": "mira@example.com"}


def resend(*shown: str | int, **fields: Any) -> Resend:
    return Resend(**claim(*shown, **fields))


def world(person: dict[str, Any] | None = None, of_org: dict[str, Any] | None = None, **terms: Any) -> State:
    """Mira holds MIRAS and USED, which she has redeemed, Noor NOORS, nobody POOL; GONE is revoked and OLD has expired."""
    coupons = [
        coupon(1, "MIRAS"),
        coupon(2, "USED", redeemed=1, uses=1),
        coupon(3, "NOORS", customer_id=2),
        pool_coupon(4, "POOL"),
        coupon(5, "GONE", is_revoked=True),
        coupon(6, "OLD", expires_local="2031-03-09T23:59:59"),
    ]
    people = [customer(1, **(person or {})), customer(2), customer(3, gone=True)]
    return state(coupons, [series(1, **terms)], people, org=org(**(of_org or {})))


CASES: Final = [
    ("sent", world(), resend("MIRAS"), Code.RESENT),
    ("sent by id", world(), resend(coupon_id(1)), Code.RESENT),
    ("whatever its case", world(), resend(" miras "), Code.RESENT),
    ("redeemable again", world(**MANY), resend("USED"), Code.RESENT),
    ("of anybody", world(any_user=True), resend("NOORS"), Code.RESENT),
    ("no customer", world(), resend("MIRAS", customer=()), Code.INVALID_CUSTOMER),
    ("two customers", world(), resend("MIRAS", customer=(MIRA, NOOR)), Code.INVALID_CUSTOMER),
    ("an unknown customer", world(), resend("MIRAS", customer=(NOBODY,)), Code.CUSTOMER_NOT_FOUND),
    ("a fraudulent customer", world({"fraud_status": "CONFIRMED"}), resend("MIRAS"), Code.FRAUD_CUSTOMER_AT_ISSUE),
    ("the customer before the coupon", world({"fraud_status": "CONFIRMED"}), resend("NOSUCH"), Code.FRAUD_CUSTOMER_AT_ISSUE),
    ("an empty code", world(), resend(""), Code.INVALID_CODE),
    ("no code", world(), resend("NO SUCH"), Code.INVALID_CODE),
    ("an unknown code", world(), resend("NOSUCH"), Code.UNKNOWN_COUPON),
    ("an unknown id", world(), resend(coupon_id(99)), Code.UNKNOWN_COUPON),
    ("another org's id", world(), resend(coupon_id(1, 2)), Code.UNKNOWN_COUPON),
    ("revoked", world(), resend("GONE"), Code.REVOKED),
    ("somebody else's", world(), resend("NOORS"), Code.NOT_ISSUED_TO_CUSTOMER),
    ("nobody's", world(), resend("POOL"), Code.NOT_ISSUED),
    ("nobody's, but anybody's to redeem", world(any_user=True), resend("POOL"), Code.NOT_RESENT),
    ("nobody's, external", world(external_issual=True), resend("POOL"), Code.NOT_RESENT),
    ("expired", world(), resend("OLD"), Code.COUPON_EXPIRED),
    ("nothing left", world(), resend("USED"), Code.NOT_RESENT),
    ("resend is off", world(resend_message_enabled=False), resend("MIRAS"), Code.NOT_RESENT),
    (
        "no mobile",
        world({"mobile": None, "email": "mira@example.com"}),
        resend("MIRAS", customer=(("email", "mira@example.com"),)),
        Code.SMS_FAILED,
    ),
    (
        "709 before 704",
        world({"mobile": None, "email": "m@example.com"}),
        resend("USED", customer=(("email", "m@example.com"),)),
        Code.NOT_RESENT,
    ),
]


@pytest.mark.parametrize(("before", "command", "code"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_case(before: State, command: Resend, code: Code) -> None:
    assert ask(ResendAnswer, before, command).status is code


def test_an_expired_series_is_named_before_its_coupons() -> None:
    before = world()
    before.halted.add(1)
    assert ask(ResendAnswer, before, resend("OLD")).status is Code.SERIES_EXPIRED


def test_terms_that_cannot_be_read() -> None:
    before = world()
    before.series[1] = None
    assert ask(ResendAnswer, before, resend("MIRAS")).status is Code.SERIES_UNREADABLE


def test_a_shared_code_means_the_own_record() -> None:
    of = {"client_handling_type": Handling.SHARED, "generic_code": "MONSOON"}
    shared = pool_coupon(1, "MONSOON")
    own = coupon(2, "MONSOON", holder_id=1)
    assert ask(ResendAnswer, state([shared, own], [series(1, **of)]), resend("MONSOON")).coupon_id == own.id
    assert ask(ResendAnswer, state([shared], [series(1, **of)]), resend("MONSOON")).status is Code.NOT_ISSUED


def test_only_a_message_is_left() -> None:
    before = world()
    rows_before = rows(before)
    plan = decide(before, [resend("MIRAS", request_id="r-1")])
    assert plan.events == [Event("ResendMessage", coupon_id(1), 1, "r-1")]
    assert not plan.refusals
    assert rows(before) == rows_before


def test_a_refusal_leaves_a_trace() -> None:
    plan = decide(world(), [resend("NOORS")])
    assert [(one.status, one.code_sent, one.coupon_id, one.customer_id) for one in plan.refusals] == [
        (Code.NOT_ISSUED_TO_CUSTOMER, "NOORS", coupon_id(3), 1)
    ]
    assert not plan.events
