"""`decide` end to end: what a batch answers and what it plans to write."""

from couponry.core.decide import decide
from couponry.core.plan import Answer
from couponry.core.status import Code
from tests.core.world import CODE, check, check_answer, coupon_id, redeem, state, statuses


def test_redeem_succeeds_once() -> None:
    world = state()
    plan = decide(world, [redeem(), redeem(transaction_number="INV-5511")])
    first, second = (outcome.answer for outcome in plan.outcomes)
    assert isinstance(first, Answer)
    assert first.status is Code.PROCESSED
    assert second.status is Code.ALREADY_USED
    (redemption,) = plan.redemptions
    assert redemption.coupon_id == coupon_id(1)
    assert redemption.id == first.items[0].redemption_id
    assert [refusal.status for refusal in plan.refusals] == [Code.ALREADY_USED]
    assert world.coupons[coupon_id(1)].redeemed == 1


def test_check_writes_nothing() -> None:
    """Prevents a check that redeems: its counting is undone, and so are the rows it would have planned."""
    world = state()
    plan = decide(world, [check(), check()])
    assert [outcome.answer.status for outcome in plan.outcomes] == [Code.REDEEMABLE, Code.REDEEMABLE]
    assert (plan.redemptions, plan.kept, plan.refusals) == ([], [], [])
    assert not plan.redemptions
    assert world == state(redemption_ids=world.redemption_ids, new_coupon_ids=world.new_coupon_ids)


def test_check_says_how_often_is_left() -> None:
    (item,) = check_answer(state(), check(CODE.lower())).items
    assert (item.outcome.code_shown, item.redemptions_left, item.redeemed_by_customer) == (CODE, 1, 0)


def test_check_after_redeem_in_one_batch_sees_it() -> None:
    assert statuses(state(), [check(), redeem(), check()]) == [Code.REDEEMABLE, Code.PROCESSED, Code.ALREADY_USED]
