"""The coupons and redemptions of one series, newest first.

A filter looks through a bounded number of rows, and says from where to go on.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from msgspec import Struct
from sqlalchemy import Select, bindparam, or_, select

from couponry.core.limits import MONEY_SCALE, ROWS_WALKED_MAX
from couponry.store import schema as t
from couponry.store.engine import ReadTransaction
from couponry.store.statements import org_parameter

T = TypeVar("T")
_NEWEST: Final = 2**62


class CouponFilter(StrEnum):
    """Which coupons of a series."""

    ISSUED = "issued"
    POOL = "pool"
    REDEEMED = "redeemed"
    REVOKED = "revoked"


class CouponRow(Struct, frozen=True):
    """A coupon in a list. Times are None for what has not happened; `expires_local` is None where it follows its series."""

    id: int
    code: str
    customer_id: int | None
    issued_ms: int | None
    expires_local: str | None
    revoked_ms: int | None
    redeemed: int
    created_ms: int


class RedemptionRow(Struct, frozen=True):
    """A redemption in a list."""

    id: int
    coupon_id: int
    code: str
    store: str
    till: str
    customer_id: int
    redeemed_ms: int
    reversed_ms: int | None
    amount: Decimal | None
    transaction_number: str


class Span(Struct, frozen=True):
    """Redemptions before a place, `(redeemed_ms, id)`; from an instant on, up to another; at one store."""

    before: tuple[int, int] | None
    from_ms: int | None
    to_ms: int | None
    store_id: int | None


class Rows(Struct, Generic[T], frozen=True):
    """A page of rows, and the place to go on from; None at the end."""

    rows: list[T]
    next: T | None


_COUPON: Final = t.coupon.c
_COUPON_COLUMNS: Final = tuple(_COUPON[name] for name in CouponRow.__struct_fields__)


def coupons(
    tx: ReadTransaction, org_id: int, series_id: int, which: CouponFilter | None, before_id: int | None, limit: int
) -> Rows[CouponRow]:
    """By id. One statement."""
    found = (
        select(*_COUPON_COLUMNS)
        .where(_COUPON.org_id == org_parameter(), _COUPON.series_id == bindparam("series"), _COUPON.id < bindparam("before"))
        .order_by(_COUPON.id.desc())
    )
    is_indexed = which is CouponFilter.POOL
    if is_indexed:
        found = found.where(_COUPON.issued_ms.is_(None), _COUPON.revoked_ms.is_(None))
    most = ROWS_WALKED_MAX if which and not is_indexed else limit
    rows = tx.rows(found.limit(most + 1), {"org": org_id, "series": series_id, "before": before_id or _NEWEST})
    walked = [CouponRow(*row) for row in rows]
    return _page(walked, [row for row in walked[:most] if _is(row, which)], most, limit)


def redemptions(tx: ReadTransaction, org_id: int, series_id: int, span: Span, limit: int) -> Rows[RedemptionRow]:
    """By when they were made. One statement."""
    redemption = t.redemption.c
    found = select(redemption.id, redemption.store_id, redemption.redeemed_ms).where(
        redemption.org_id == org_parameter(), redemption.series_id == bindparam("series")
    )
    if span.before:
        at_ms, before_id = span.before
        is_older = or_(redemption.redeemed_ms < at_ms, redemption.id < before_id)
        found = found.where(redemption.redeemed_ms <= at_ms, is_older)
    if span.from_ms is not None:
        found = found.where(redemption.redeemed_ms >= span.from_ms)
    if span.to_ms is not None:
        found = found.where(redemption.redeemed_ms < span.to_ms)
    most = ROWS_WALKED_MAX if span.store_id is not None else limit
    newest = found.order_by(redemption.redeemed_ms.desc(), redemption.id.desc()).limit(most + 1).subquery()
    rows = tx.rows(_told(newest), {"org": org_id, "series": series_id})
    walked = [_redemption(row) for row in rows]
    at_store = {row.id for row in rows if span.store_id is None or row.store_id == span.store_id}
    return _page(walked, [row for row in walked[:most] if row.id in at_store], most, limit)


def _told(newest: Any) -> Select[Any]:  # noqa: ANN401 - a subquery over redemptions
    redemption, coupon, store, till = t.redemption.c, t.coupon.c, t.store.c, t.till.c
    org = org_parameter()
    source = (
        newest.join(t.redemption, (redemption.org_id == org) & (redemption.id == newest.c.id))
        .outerjoin(t.coupon, (coupon.org_id == org) & (coupon.id == redemption.coupon_id))
        .outerjoin(t.store, (store.org_id == org) & (store.id == redemption.store_id))
        .outerjoin(t.till, (till.org_id == org) & (till.id == redemption.till_id))
    )
    named = (coupon.code, store.name.label("store_name"), store.code.label("store_code"), till.code.label("till_code"))
    return select(t.redemption, *named).select_from(source).order_by(newest.c.redeemed_ms.desc(), newest.c.id.desc())


def _redemption(row: Any) -> RedemptionRow:  # noqa: ANN401 - a row of `_told`
    return RedemptionRow(
        row.id,
        row.coupon_id,
        row.code or "",
        row.store_name or row.store_code or "",
        row.till_code or "",
        row.customer_id,
        row.redeemed_ms,
        row.reversed_ms,
        None if row.amount is None else Decimal(row.amount) / MONEY_SCALE,
        row.transaction_number,
    )


def _is(row: CouponRow, which: CouponFilter | None) -> bool:
    match which:
        case CouponFilter.ISSUED:
            return row.issued_ms is not None and row.revoked_ms is None
        case CouponFilter.REDEEMED:
            return row.redeemed > 0
        case CouponFilter.REVOKED:
            return row.revoked_ms is not None
        case CouponFilter.POOL | None:
            return True


def _page(walked: list[T], matching: list[T], most: int, limit: int) -> Rows[T]:
    """The first of those that match; the next page goes on after the last shown, or after the last that was looked at."""
    if len(matching) > limit:
        return Rows(matching[:limit], matching[limit - 1])
    if len(matching) == limit and matching[-1] is not walked[-1]:
        return Rows(matching, matching[-1])
    return Rows(matching, walked[most - 1] if len(walked) > most else None)
