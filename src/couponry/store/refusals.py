"""Recorded refusals, newest first.

A coupon's have an index. Those of a customer or a till have none, as every refused redeem would pay for it: a page then looks
through a bounded number of refusals, and says from where to go on.
"""

from decimal import Decimal
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, bindparam, func, select

from couponry.core.codes import code_key
from couponry.core.ids import is_coupon_id
from couponry.core.limits import MONEY_SCALE, REFUSALS_WALKED_MAX
from couponry.core.model import Identifier
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store.engine import ReadTransaction
from couponry.store.history import coupons_coded, customer_meant
from couponry.store.statements import org_parameter

_NOBODY: Final = 0
_NEWEST: Final = 2**62
_ID_DIGITS_MAX: Final = 16
_COUPONS_MAX: Final = 10
"""Of the coupons that had one code, one after the other, as each was revoked and uploaded again."""


class Wanted(Struct, frozen=True):
    """Which refusals: of a coupon by code or id, of a customer, at a till; empty where all are meant. Older than `before_id`."""

    org_id: int
    name: str
    customer: tuple[Identifier, ...]
    till_code: str
    before_id: int | None
    limit: int


class Recorded(Struct, frozen=True):
    """One refusal."""

    id: int
    status: Code
    code_sent: str
    coupon_id: int | None
    series_id: int | None
    customer_id: int | None
    till_code: str
    transaction_number: str
    amount: Decimal | None
    at_ms: int | None
    refused_ms: int
    request_id: str


class Page(Struct, frozen=True):
    """Refusals, and the id before which to go on; None once there are no more."""

    refusals: list[Recorded]
    next_id: int | None


def page(tx: ReadTransaction, wanted: Wanted) -> Page:
    """In at most four statements, whatever was refused: whom and what it is about, the ids to look through, and their rows."""
    found = customer_meant(tx, wanted.org_id, wanted.customer)
    customer_id = found[1][0] if found else _NOBODY
    coupon_ids = _coupon_ids(tx, wanted, customer_id) if wanted.name else []
    refusal, till = t.refusal.c, t.till.c
    conditions: list[ColumnElement[bool]] = []
    if wanted.name and not coupon_ids:
        conditions.append(func.upper(refusal.code_sent) == code_key(wanted.name))
    if wanted.customer:
        conditions.append(refusal.customer_id == customer_id)
    if wanted.till_code:
        conditions.append(till.code == wanted.till_code)
    most = REFUSALS_WALKED_MAX if conditions else wanted.limit
    walked = _newest(tx, wanted, coupon_ids, most)
    keys = tx.dialect.keys("ids", BigInteger())
    in_till = (till.org_id == org_parameter()) & (till.id == refusal.till_id)
    source = keys.probing(t.refusal, "id").outerjoin(t.till, in_till)
    matching = select(t.refusal, till.code.label("till_code")).select_from(source).where(*conditions)
    rows = tx.rows(
        matching.order_by(refusal.id.desc()).limit(wanted.limit),
        {"org": wanted.org_id, **keys.bound([(refusal_id,) for refusal_id in walked])},
    )
    if len(rows) == wanted.limit:
        return Page([_recorded(row) for row in rows], rows[-1].id)
    return Page([_recorded(row) for row in rows], walked[-1] if len(walked) == most else None)


def _newest(tx: ReadTransaction, wanted: Wanted, coupon_ids: list[int], most: int) -> list[int]:
    """The ids of the newest refusals before the cursor, of these coupons if any are named."""
    refusal = t.refusal.c
    keys = tx.dialect.keys("ids", BigInteger())
    parameters: dict[str, object] = {"org": wanted.org_id, "before": wanted.before_id or _NEWEST}
    if coupon_ids:
        found = select(refusal.id).select_from(keys.probing(t.refusal, "coupon_id", index="ix_refusal_coupon"))
        parameters |= keys.bound([(coupon_id,) for coupon_id in coupon_ids])
    else:
        found = select(refusal.id).where(refusal.org_id == org_parameter())
    found = found.where(refusal.id < bindparam("before")).order_by(refusal.id.desc()).limit(most)
    return [row.id for row in tx.rows(found, parameters)]


def _coupon_ids(tx: ReadTransaction, wanted: Wanted, customer_id: int) -> list[int]:
    """The newest coupons that have, or had, this code: its own rows, and the customer's own records. Else what has this id."""
    coded = coupons_coded(tx, wanted.org_id, code_key(wanted.name), customer_id)
    if coded:
        return sorted((row.id for row in coded), reverse=True)[:_COUPONS_MAX]
    is_id = wanted.name.isascii() and wanted.name.isdigit() and len(wanted.name) <= _ID_DIGITS_MAX
    return [int(wanted.name)] if is_id and is_coupon_id(int(wanted.name)) else []


def _recorded(row: Any) -> Recorded:  # noqa: ANN401 - a row of the refusal table
    return Recorded(
        row.id,
        Code[row.status],
        row.code_sent,
        row.coupon_id,
        row.series_id,
        row.customer_id,
        row.till_code or "",
        row.transaction_number,
        None if row.amount is None else Decimal(row.amount) / MONEY_SCALE,
        row.evaluated_ms,
        row.refused_ms,
        row.request_id,
    )
