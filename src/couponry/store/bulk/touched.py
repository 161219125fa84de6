"""What a bulk change of coupons would come to, before anybody asks for it."""

from typing import NamedTuple

from couponry.core.bulk_lifecycle import changes, is_meant
from couponry.store.bulk.lifecycle import BulkLifecycle, Lot
from couponry.store.engine import ReadTransaction


class Touched(NamedTuple):
    """How many coupons a job would change, of the first that it would look at; `is_all` when there are no others."""

    coupons: int
    is_all: bool


def touched(tx: ReadTransaction, lot: Lot, expires_local: str | None, now_ms: int, most: int) -> Touched:
    """What revoking a lot would change, or giving it another expiry: the job's own rules, asked of at most so many coupons."""
    coupons = BulkLifecycle(tx.dialect).walk(tx, lot, 0, most + 1)
    meant = [coupon for coupon in coupons[:most] if is_meant(coupon, lot.series, lot.which)]
    if expires_local is not None:
        meant = [coupon for coupon in meant if changes(coupon, lot.series, expires_local, now_ms)]
    return Touched(len(meant), len(coupons) <= most)
