"""Codes that somebody brings for a series: which of them are free, and how they come into its pool."""

from collections.abc import Sequence

from sqlalchemy import String, select

from couponry.core import ids
from couponry.core.codes import code_key
from couponry.core.model import Handling
from couponry.core.series import Series
from couponry.store import schema as t
from couponry.store import serials
from couponry.store.bulk.inserts import insert_alike
from couponry.store.engine import Database, ReadTransaction, Stage, WriteTransaction
from couponry.store.neighbours import commit_lazily
from couponry.store.statements import org_parameter


def keys_in_use(tx: ReadTransaction, org_id: int, series_id: int, keys: Sequence[str]) -> set[str]:
    """Those of these codes, in their normal form, that cannot come into the series.

    A code is there once in an org. One that was revoked may come again, into the series that it was revoked in (rules 3).
    """
    if not keys:
        return set()
    coupon, wanted = t.coupon.c, tx.dialect.keys("wanted", String())
    probed = wanted.probing(t.coupon, "code_key", index="uq_coupon_code")
    # Of a shared code, one row alone is nobody's.
    found = select(coupon.code_key, coupon.revision, coupon.series_id).select_from(probed).where(coupon.holder_id == 0)
    bound = {org_parameter().key: org_id, **wanted.bound([(key,) for key in sorted(keys)])}
    return {key for key, revision, owner_id in tx.rows(found, bound) if revision == 0 or owner_id != series_id}


def first_coupon_id(database: Database, org_id: int, count: int) -> int:
    """The first of so many ids, reserved at once: nobody is to wait for the row that hands them out while coupons are written."""
    with database.writing() as tx:
        commit_lazily(tx)  # whatever uses them is committed after it
        return ids.first_id(ids.COUPON, org_id, serials.reserve(tx, org_id, serials.COUPON, count))


def add_codes(tx: WriteTransaction, org_id: int, series: Series, codes: Sequence[str], first_id: int, now_ms: int) -> None:
    """Put free codes into the pool, in this order. A code that is taken meanwhile is a conflict."""
    if not codes:
        return
    tx.stage = Stage.COUPONS
    rows = sorted((code_key(code), code, coupon_id) for coupon_id, code in enumerate(codes, first_id))
    alike = {"org_id": org_id, "series_id": series.id, "created_ms": now_ms}
    insert_alike(tx, t.coupon, ("code_key", "code", "id"), rows, alike)
    if series.terms.client_handling_type is Handling.UPLOADED:
        tx.stage = Stage.COUNTERS
        count = tx.dialect.insert_or_add(t.series_counter, ("series_id", "stripe"), ("uploaded",), ())
        tx.write(count, org_id, [(series.id, t.CAPPED_STRIPE, len(codes))])
