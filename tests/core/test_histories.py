"""Long histories in generous worlds, each from a seed: limits are met all the time, and the auditor recounts after each batch."""

from random import Random
from typing import Any, Final

import pytest

from couponry.core.commands import Command
from couponry.core.model import Coupon, ExpiryStrategy, Handling
from couponry.core.status import Code
from tests.core.books import Books
from tests.core.test_several_coupons import codes
from tests.core.world import DAY_MS, check, coupon, coupon_id, customer, key, pool_coupon, redeem, series

SEEDS: Final = range(60)
CUSTOMERS: Final = (1, 2, 3)
CODES: Final = "ABCDEFGH"
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
}


def world(dice: Random) -> Books:
    """Three series that differ in their limits alone, and codes that anyone may hold."""
    all_series = [series(serial, **terms(dice)) for serial in (1, 2, 3)]
    shared = {each.id for each in all_series if each.terms.client_handling_type is Handling.SHARED}
    coupons: list[Coupon] = []
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
    }


def commands(dice: Random) -> list[Command]:
    return [command(dice) for _ in range(dice.randint(1, 8))]


def command(dice: Random) -> Command:
    shown: list[str | int] = dice.choices(CODES, k=dice.choice((1, 1, 1, 2, 3)))
    if dice.random() < 0.1:
        shown[0] = dice.choice((coupon_id(1), coupon_id(102), coupon_id(1_000_000), "UNKNOWN"))
    request: dict[str, Any] = {
        "customer": (("id", str(dice.choice(CUSTOMERS))),),
        "transaction_number": dice.choice(("", "", "INV-1", "INV-2")),
    }
    if dice.random() < 0.2:
        return check(*shown, **request)
    return redeem(*shown, **request, key=key(str(dice.randint(1, 5))) if dice.random() < 0.1 else None)


def history(seed: int) -> set[Code]:
    """Twelve batches, audited, and compared with the same commands one by one; the codes that were met."""
    dice = Random(seed)
    books = world(dice)
    met: set[Code] = set()
    for _ in range(12):
        batch = commands(dice)
        apart = books.copy()
        outcomes = books.outcomes(batch)
        books.audit()
        assert outcomes == [outcome for each in batch for outcome in apart.outcomes([each])]
        assert books == apart
        for outcome in outcomes:
            met |= {outcome.answer.status, *codes(outcome.answer)}
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
