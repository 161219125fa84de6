"""A repeat never redeems twice: explicit keys, and bills that tills send again (README 10)."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import pytest
from msgspec.structs import replace

from couponry.core.commands import Command, Redeem
from couponry.core.decide import decide
from couponry.core.idempotency import request_digest
from couponry.core.plan import Answer, Plan
from couponry.core.state import State
from couponry.core.status import Code
from tests.core.world import CODE, NOW, coupon, key, org, redeem, series, state

HOUR_MS: Final = 3_600_000
MANY: Final[dict[str, Any]] = {"is_multiple_use_allowed": True, "same_user_multiple_redeem": True}


def many(**fields: Any) -> State:
    return state(all_series=[series(**MANY)], **fields)


def said(plan: Plan) -> list[tuple[Code, str]]:
    return [(outcome.answer.status, outcome.replayed) for outcome in plan.outcomes]


def ask(world: State, *commands: Command, now_ms: int = NOW, customer_id: int = 1) -> Plan:
    """One batch, with the keys that it would have been looked up under; what earlier ones kept is stored by now."""
    world.now_ms = now_ms
    world.answers = {digest: replace(stored, is_stored=True) for digest, stored in world.answers.items()}
    assert world.org is not None
    digests = [request_digest(each, customer_id, world.org) if isinstance(each, Redeem) else None for each in commands]
    world.digests = {place: digest for place, digest in enumerate(digests) if digest}
    return decide(world, commands)


def first_answers(plans: Sequence[Plan]) -> list[Answer]:
    return [outcome.answer for plan in plans for outcome in plan.outcomes if isinstance(outcome.answer, Answer)]


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "in two"])
@pytest.mark.parametrize(("fields", "how"), [({"key": key()}, "true"), ({}, "derived")], ids=["key", "bill"])
def test_repeat_gets_the_first_answer(fields: dict[str, Any], how: str, *, together: bool) -> None:
    world = many()
    plans = [ask(world, redeem(**fields), redeem(**fields))] if together else [ask(world, redeem(**fields)) for _ in range(2)]
    first, second = first_answers(plans)
    assert first == second
    assert [each for plan in plans for each in said(plan)] == [(Code.PROCESSED, ""), (Code.PROCESSED, how)]
    assert sum(len(plan.redemptions) for plan in plans) == 1
    assert sum(len(plan.kept) for plan in plans) == 1


def test_key_repeats_refusals_and_a_bill_does_not() -> None:
    """A till that asks again after the coupon was issued must not be told the old refusal."""
    unknown = "UNKNOWN"
    world = state()
    assert said(ask(world, redeem(unknown, key=key()))) == [(Code.UNKNOWN_COUPON, "")]
    assert said(ask(world, redeem(unknown, key=key()))) == [(Code.UNKNOWN_COUPON, "true")]
    assert said(ask(world, redeem(unknown))) == [(Code.UNKNOWN_COUPON, "")]
    assert said(ask(world, redeem(unknown))) == [(Code.UNKNOWN_COUPON, "")]
    assert not ask(world, redeem(unknown)).kept


def test_service_failure_is_not_kept() -> None:
    """Prevents a retry that can never succeed."""
    world = many()
    world.series[1], usable = None, world.series[1]
    assert said(ask(world, redeem(key=key()))) == [(Code.SERIES_UNREADABLE, "")]
    world.series[1] = usable
    assert said(ask(world, redeem(key=key()))) == [(Code.PROCESSED, "")]


def test_key_with_another_body_is_refused() -> None:
    world = many()
    assert said(ask(world, redeem(key=key()), redeem(key=key(body="other")))) == [(Code.PROCESSED, ""), (Code.INVALID_INPUT, "")]
    assert len(world.answers) == 1
    assert said(ask(world, redeem(key=key()))) == [(Code.PROCESSED, "true")]


@pytest.mark.parametrize(("hours", "replayed"), [(24, "true"), (25, "")])
@pytest.mark.parametrize("body", ["body", "other"])
def test_key_counts_for_a_day(hours: int, replayed: str, body: str) -> None:
    """After a day the key is free, for the same body and for another."""
    world = many()
    ask(world, redeem(key=key()))
    later = ask(world, redeem(key=key(body=body)), now_ms=NOW + hours * HOUR_MS)
    if replayed and body == "other":
        assert said(later) == [(Code.INVALID_INPUT, "")]
    else:
        assert said(later) == [(Code.PROCESSED, replayed)]
        assert [kept.replaces for kept in later.kept] == [True] * (not replayed)


@pytest.mark.parametrize(("after_ms", "replayed"), [(2 * HOUR_MS, "derived"), (2 * HOUR_MS + 1, "")])
def test_bill_counts_for_the_hours_that_the_org_sets(after_ms: int, replayed: str) -> None:
    world = many(org=org(derived_idempotency_hours=2))
    ask(world, redeem())
    assert said(ask(world, redeem(), now_ms=NOW + after_ms)) == [(Code.PROCESSED, replayed)]


def test_org_can_switch_bills_off() -> None:
    world = many(org=org(derived_idempotency_hours=0))
    assert said(ask(world, redeem(), redeem())) == [(Code.PROCESSED, ""), (Code.PROCESSED, "")]


def test_bill_of_another_amount_is_judged_anew() -> None:
    world = many()
    plan = ask(world, redeem(), redeem(amount=Decimal("1800.00")), redeem(amount=Decimal(1900)), redeem(amount=Decimal(1900)))
    assert [replayed for _, replayed in said(plan)] == ["", "derived", "", "derived"]
    assert [kept.replaces for kept in plan.kept] == [False, False]  # the last of one digest is written, and it is new
    assert [kept.replaces for kept in ask(world, redeem(amount=Decimal(2000))).kept] == [True]


def test_bill_whose_redemption_was_reversed_is_judged_anew() -> None:
    world = many()
    plan = ask(world, redeem())
    world.reversed_ids = {plan.redemptions[0].id}
    assert said(ask(world, redeem())) == [(Code.PROCESSED, "")]


def test_key_whose_redemption_was_reversed_still_gets_the_first_answer() -> None:
    world = many()
    plan = ask(world, redeem(key=key()))
    world.reversed_ids = {plan.redemptions[0].id}
    assert said(ask(world, redeem(key=key()))) == [(Code.PROCESSED, "true")]


def test_bill_does_not_repeat_for_another_customer() -> None:
    """The customer is in the digest: another one is judged, and finds the coupon held by the first."""
    world = state([coupon()])
    ask(world, redeem())
    noor = redeem(customer=(("id", "2"),))
    assert said(ask(world, noor, customer_id=2)) == [(Code.NOT_ISSUED_TO_CUSTOMER, "")]


def test_repeat_is_answered_even_when_the_rules_would_refuse_by_now() -> None:
    """Prevents a till that lost an answer from being told 'used' about its own redemption."""
    world = state()
    assert said(ask(world, redeem(CODE), redeem(CODE))) == [(Code.PROCESSED, ""), (Code.PROCESSED, "derived")]
    assert said(ask(world, redeem(transaction_number="another bill"))) == [(Code.ALREADY_USED, "")]
