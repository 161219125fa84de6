"""Caps of a series in its counter rows (`maxCreate` over `issued`, `maxRedeem` over `redeemed`), set while others count.

Writers of an uncapped series count in stripes 1..15 and lock nothing. So a cap moves all that they counted to stripe 0 and bars
the other stripes: a writer who still decided under the uncapped terms violates `ck_series_counter_*_barred` and decides again.
Stripe 0 keeps at most the cap, so that one who decided under a higher cap fails likewise.
"""

from typing import Final, Literal

from sqlalchemy import func, select, update

from couponry.store import schema as t
from couponry.store.engine import Stage, WriteTransaction

Counted = Literal["issued", "redeemed"]
KINDS: Final[tuple[Counted, ...]] = ("issued", "redeemed")
UNLIMITED: Final = -1


def lock_counts(tx: WriteTransaction, org_id: int, series_id: int) -> dict[Counted, int]:
    """Lock every stripe of a series in order, those too that nobody has written yet; what they hold together."""
    tx.stage = Stage.COUNTERS
    touch = tx.dialect.insert_or_add(t.series_counter, ("series_id", "stripe"), KINDS, ())
    tx.write(touch, org_id, [(series_id, stripe, 0, 0) for stripe in range(t.STRIPES)])
    counter = t.series_counter.c
    sums = select(*(func.sum(counter[kind]) for kind in KINDS)).where(counter.org_id == org_id, counter.series_id == series_id)
    (row,) = tx.rows(sums, {})
    tx.stage = Stage.COUPONS
    return {kind: int(count) for kind, count in zip(KINDS, row, strict=True)}


def set_cap(tx: WriteTransaction, org_id: int, series_id: int, kind: Counted, cap: int, count: int) -> None:
    """Set, change or lift (`UNLIMITED`) a cap on a series whose stripes are locked and hold `count` together."""
    counter = t.series_counter
    of_series = update(counter).where(counter.c.org_id == org_id, counter.c.series_id == series_id)
    if cap < 0:
        tx.connection.execute(of_series.values({f"{kind}_max": UNLIMITED}))
        return
    others = of_series.where(counter.c.stripe != t.CAPPED_STRIPE)
    tx.connection.execute(others.values({kind: 0, f"{kind}_max": 0}))
    capped = of_series.where(counter.c.stripe == t.CAPPED_STRIPE)
    tx.connection.execute(capped.values({kind: count, f"{kind}_elsewhere": 0, f"{kind}_max": max(cap, count)}))
