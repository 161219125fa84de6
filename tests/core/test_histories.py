"""Long histories in generous worlds, each from a seed: limits are met all the time, and the auditor recounts after each batch."""

from random import Random
from typing import Any, Final

import pytest

from couponry.core.commands import Amendment, Command
from couponry.core.model import AfterReversal, Coupon, ExpiryStrategy, Handling
from couponry.core.plan import AmendAnswer, Answer, AnyAnswer, CheckAnswer, IssueAnswer, RedateAnswer, RevokeAnswer
from couponry.core.status import Code
from tests.core.books import Books
from tests.core.lane_order import batches, resolved
from tests.core.test_several_coupons import codes
from tests.core.world import (
    DAY_MS,
    NOW,
    amend,
    check,
    coupon,
    coupon_id,
    customer,
    issue,
    key,
    pool_coupon,
    redate,
    redeem,
    reverse,
    revoke,
    series,
)

SEEDS: Final = range(60)
CUSTOMERS: Final = (1, 2, 3)
CODES: Final = "ABCDEFGH"
SHOWN: Final = [*CODES, "SHARED1", "SHARED2", "SHARED3", *(f"#{place}" for place in range(16))]
"""Codes that were there from the start, and those of the coupons in these places now."""
MET: Final = {
    Code.PROCESSED,
    Code.REDEEMABLE,
    Code.BATCH_REFUSED,
    Code.ALL_FAILED,
    Code.OTHER_COUPON_FAILED,
    Code.REPEATED_IN_REQUEST,
    Code.NOT_ISSUED_TO_CUSTOMER,
    Code.NOT_ISSUED,
    Code.ALREADY_USED,
    Code.ALREADY_USED_BY_CUSTOMER,
    Code.CODE_LIMIT_REACHED,
    Code.CUSTOMER_LIMIT_REACHED,
    Code.TOO_SOON,
    Code.SERIES_LIMIT_REACHED,
    # Issue.
    Code.UNKNOWN_SERIES,
    Code.UNKNOWN_SERIES_NAMED,
    Code.WRONG_SOURCE,
    Code.EXCLUDED,
    Code.HOLDS_A_COUPON,
    Code.CUSTOMER_HAS_ENOUGH,
    Code.ISSUED_TOO_SOON,
    Code.NO_CODE_LEFT,
    Code.RESENT,
    Code.ONE_PER_CUSTOMER,
    Code.ONE_SHARED_CODE,
    Code.CUT_BY_SERIES,
    Code.CUT_BY_CUSTOMER,
    Code.CUT_BY_POOL,
    Code.CUT,
    # Lifecycle.
    Code.REVOKED,
    Code.REDEEMED,
    Code.NOT_IN_SERIES,
    Code.SHARED_CODE_NEEDS_CUSTOMER,
    Code.INVALID_REDEMPTION_IDS,
    Code.COUPON_EXPIRED,
    Code.EXPIRY_CODE_UNKNOWN,
    Code.EXPIRY_IN_PAST,
    Code.EXPIRY_BEYOND_SERIES,
    Code.EXPIRY_NEEDS_CUSTOMER,
    Code.UPDATED,
    Code.PARTLY_UPDATED,
}


def world(dice: Random) -> Books:
    """Three series that differ in their limits alone, and codes that anyone may hold."""
    all_series = [series(serial, **terms(dice), generic_code=f"SHARED{serial}") for serial in (1, 2, 3)]
    shared = {each.id for each in all_series if each.terms.client_handling_type is Handling.SHARED}
    coupons: list[Coupon] = [pool_coupon(50 + serial, f"SHARED{serial}", series_id=serial) for serial in shared]
    for serial, code in enumerate(CODES, 1):
        series_id = dice.choice((1, 2, 3))
        holder = dice.choice((None, *CUSTOMERS))
        if holder is None or series_id in shared:
            coupons.append(pool_coupon(serial, code, series_id=series_id))
        if holder is not None and series_id in shared:
            coupons.append(coupon(serial + 100, code, series_id=series_id, customer_id=holder, holder_id=holder))
        elif holder is not None:
            coupons.append(coupon(serial, code, series_id=series_id, customer_id=holder))
    return Books(all_series, [customer(serial) for serial in CUSTOMERS], {each.id: each for each in coupons})


def terms(dice: Random) -> dict[str, Any]:
    external = dice.random() < 0.2
    return {
        "client_handling_type": dice.choice(list(Handling)),
        "external_issual": external,
        "any_user": not external and dice.random() < 0.8,
        "is_multiple_use_allowed": dice.random() < 0.8,
        "same_user_multiple_redeem": dice.random() < 0.7,
        "redemption_per_coupon_max_limit": dice.choice((-1, 2, 3)),
        "max_redemptions_in_series_per_user": dice.choice((-1, 2, 4)),
        "max_redeem": dice.choice((-1, 5, 9)),
        "min_days_between_redemption": dice.choice((-1, -1, 1, 2)),
        "expiry_strategy_type": dice.choice(list(ExpiryStrategy)),
        "reversal_policy": dice.choice(({}, {"RETURNED": AfterReversal("consumed"), "CANCELLED": AfterReversal("returns", 2)})),
        "max_create": dice.choice((-1, -1, 4, 8)),
        "max_vouchers_per_user": dice.choice((-1, -1, 2, 3)),
        "is_multiple_vouchers_per_user_allowed": dice.random() < 0.7,
        "do_not_resend_existing_voucher": dice.random() < 0.5,
        "min_days_between_vouchers": dice.choice((-1, -1, -1, 1)),
        "mutual_exclusive_series_ids": dice.choice(("[-1]", "[-1]", "[-1]", "[3]")),
    }


def commands(dice: Random) -> list[Command]:
    return [command(dice) for _ in range(dice.randint(1, 8))]


def command(dice: Random) -> Command:
    kind = dice.random()
    if kind < 0.55:
        return claim(dice)
    if kind < 0.75:
        return an_issue(dice)
    if kind < 0.85:
        return reverse(*dice.choices(range(40), k=dice.choice((1, 1, 2))), reason=dice.choice(("", "RETURNED", "CANCELLED")))
    if kind < 0.91:
        codes = dice.choices(SHOWN, k=dice.choice((0, 1, 1, 2)))
        return revoke(*codes, customer=whom(dice) if not codes else anybody(dice), series_id=dice.choice((1, 2, 3)))
    if kind < 0.97:
        at_ms = NOW + dice.choice((-1, 0, 1, 2, 5, 900)) * DAY_MS
        return redate((dice.choice(SHOWN), at_ms), customer=anybody(dice), series_id=dice.choice((1, 2, 3)))
    numbers = dice.choices(range(40), k=dice.choice((1, 2)))
    return amend(*(Amendment(each, transaction_number=f"INV-{each}") for each in numbers), customer=anybody(dice))


def claim(dice: Random) -> Command:
    shown: list[str | int] = dice.choices(SHOWN, k=dice.choice((1, 1, 1, 2, 3)))
    if dice.random() < 0.1:
        shown[0] = dice.choice((coupon_id(1), coupon_id(102), coupon_id(1_000_000), "UNKNOWN"))
    request: dict[str, Any] = {"customer": whom(dice), "transaction_number": dice.choice(("", "", "INV-1", "INV-2"))}
    if dice.random() < 0.2:
        return check(*shown, **request)
    return redeem(*shown, **request, key=key(str(dice.randint(1, 5))) if dice.random() < 0.1 else None)


def an_issue(dice: Random) -> Command:
    series_id = dice.choice((*(1, 2, 3) * 6, 9))
    shape: dict[str, Any] = dice.choice(({"form": "one"}, {"form": "several", "count": dice.choice((2, 5, 9))}, {"form": "each"}))
    more = (dice.choice((1, 2, 3)),) if shape["form"] == "each" else ()
    again = key(f"issue {dice.randint(1, 3)}") if dice.random() < 0.1 else None
    return issue(series_id, *more, **shape, customer=whom(dice), key=again)


def whom(dice: Random) -> tuple[tuple[str, str], ...]:
    return (("id", str(dice.choice(CUSTOMERS))),)


def anybody(dice: Random) -> tuple[tuple[str, str], ...] | None:
    return dice.choice((None, whom(dice)))


def said(answer: AnyAnswer) -> set[Code]:
    """Every code that an answer tells."""
    match answer:
        case Answer() | CheckAnswer():
            return {answer.status, *codes(answer)}
        case IssueAnswer():
            each = {code for item in answer.items for code in (item.status, item.cut, *item.warnings) if code}
            return {answer.status, *each}
        case RevokeAnswer():
            return {answer.status, *(code for code, _ in answer.failed)}
        case RedateAnswer():
            return {answer.status, *(code for code in answer.items if code)}
        case AmendAnswer():
            return {answer.status, *(item.status for item in answer.items)}
        case _:
            return {answer.status}


def history(seed: int) -> set[Code]:
    """Twelve batches, audited, and compared with the same commands one by one; the codes that were met."""
    dice = Random(seed)
    books = world(dice)
    met: set[Code] = set()
    for _ in range(12):
        for drawn in batches(commands(dice)):
            batch = resolved(books, drawn)
            apart = books.copy()
            outcomes = books.outcomes(batch)
            books.audit()
            assert outcomes == [outcome for each in batch for outcome in apart.outcomes([each])]
            assert books == apart
            met = met.union(*(said(outcome.answer) for outcome in outcomes))
        if dice.random() < 0.3:
            books.now_ms += dice.choice((1000, DAY_MS // 2, DAY_MS))
        if dice.random() < 0.3:
            books.reverse(dice.randint(0, 99))
    return met


@pytest.mark.parametrize("seed", SEEDS)
def test_history(seed: int) -> None:
    assert history(seed)


def test_histories_meet_every_limit() -> None:
    """Prevents histories in which nothing ever happens."""
    assert set().union(*map(history, SEEDS)) >= MET


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_many_histories() -> None:
    for seed in range(100_000, 150_000):
        history(seed)
