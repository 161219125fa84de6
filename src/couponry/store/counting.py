"""What a transaction did, added to the figures of its days (`core.figures`), in the same transaction.

By whoever writes the rows that are counted, last of all: days are counted by everybody, so their rows are to be held for as short
as can be. In the order of their keys, the figures before the refusals, so that no two who count wait for each other.
"""

from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Table, select

from couponry.core.figures import FIGURES, Tally
from couponry.core.lifecycle import counts_as_issued
from couponry.core.plan import Plan
from couponry.store import schema as t
from couponry.store.dialect import Dialect
from couponry.store.engine import ReadTransaction, Stage, WriteTransaction
from couponry.store.rows import scaled

TABLES: Final[tuple[Table, ...]] = (t.daily_figure, t.daily_refusal)
BULK_STRIPE: Final = t.STRIPES - 1
"""Where bulk work counts."""


class Counting:
    """The statements of one dialect; `stripe` is where this process counts."""

    def __init__(self, dialect: Dialect, stripe: int = BULK_STRIPE) -> None:
        self._stripe = stripe
        key = ("day", "series_id", "store_id", "stripe")
        self._figures = dialect.insert_or_add(t.daily_figure, key, FIGURES, ())
        self._refusals = dialect.insert_or_add(t.daily_refusal, ("day", "series_id", "status", "stripe"), ("refused",), ())

    def add(self, tx: WriteTransaction, org_id: int, tally: Tally) -> None:
        """Add it to what is stored; nothing is sent for nothing."""
        tx.stage = Stage.COUPONS
        stripe = self._stripe
        tx.write(self._figures, org_id, [(*grain, stripe, *counts) for grain, counts in tally.figures().items()])
        tx.write(self._refusals, org_id, [(*key, stripe, times) for key, times in tally.refusals().items()])


def tallied(plan: Plan, zone: ZoneInfo) -> Tally:
    """What a plan does.

    What a redemption itself gave or bound is not issued, a use that stays consumed is not reversed, and what nobody had is not
    revoked.
    """
    tally, now_ms = Tally(zone), plan.now_ms
    for made in plan.redemptions:
        tally.count("redeemed", made.redeemed_ms, made.series_id, made.store_id)
        tally.count("discount", made.redeemed_ms, made.series_id, made.store_id, scaled(made.discount) or 0)
    for undone in plan.reversals:
        if not undone.is_consumed:
            tally.count("reversed", now_ms, undone.series_id, undone.store_id)
            tally.count("discount", now_ms, undone.series_id, undone.store_id, -(scaled(undone.discount) or 0))
    for given in (*plan.new_coupons, *plan.given_coupons):
        if counts_as_issued(given.coupon):
            tally.count("issued", now_ms, given.coupon.series_id, given.store_id)
    for coupon in plan.revoked:
        if coupon.issued_ms is not None:
            tally.count("revoked", now_ms, coupon.series_id)
    for refusal in plan.refusals:
        tally.refuse(now_ms, refusal.series_id, refusal.store_id, refusal.status.name)
    return tally


def zone_of(tx: ReadTransaction, org_id: int) -> ZoneInfo:
    """By which clock an org counts its days."""
    (row,) = tx.rows(select(t.org.c.time_zone).where(t.org.c.id == org_id), {})
    return ZoneInfo(row.time_zone)
