"""Clocks of several machines disagree, and a transaction that began first may commit last."""

from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store.engine import Database
from tests.core.world import NOW, coupon, redeem, series
from tests.ledger.desk import Clock, Desk
from tests.ledger.rows import open_shop, rows


def test_last_redemption_never_moves_back(database: Database) -> None:
    """Prevents a gap (738) that is measured from the earlier of two redemptions."""
    open_shop(database, series(1, is_multiple_use_allowed=True, same_user_multiple_redeem=True), coupon(1, "A"))
    clock = Clock(NOW)
    with Desk(database.url, clock) as desk:
        assert desk.statuses(redeem("A", transaction_number="1")) == [Code.PROCESSED]
        clock.now_ms -= 60_000
        assert desk.statuses(redeem("A", transaction_number="2")) == [Code.PROCESSED]
    (standing,) = rows(database, t.customer_series)
    assert standing["last_redeemed_ms"] == NOW
