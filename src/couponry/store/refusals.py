"""Recorded refusals, newest first.

A coupon's have an index. Those of a customer or a till have none, as every refused redeem would pay for it: a page then looks
through a bounded number of refusals, and says from where to go on.
"""

from decimal import Decimal
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, bindparam, func, select

from couponry.core.codes import code_key
from couponry.core.ids import is_coupon_id
from couponry.core.limits import MONEY_SCALE, REFUSALS_WALKED_MAX
from couponry.core.model import Identifier
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store.dialect import org_parameter
from couponry.store.engine import ReadTransaction
from couponry.store.history import customer_meant

_NOBODY: Final = 0
_NEWEST: Final = 2**62
_ID_DIGITS_MAX: Final = 16


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
    """In at most five statements, whatever was refused."""
    refusal = t.refusal.c
    parameters: dict[str, object] = {"org": wanted.org_id, "before": wanted.before_id or _NEWEST}
    walked = select(t.refusal).where(refusal.org_id == org_parameter(), refusal.id < bindparam("before"))
    found = customer_meant(tx, wanted.org_id, wanted.customer)
    customer_id = found[1][0] if found else _NOBODY
    coupon_ids = _coupon_ids(tx, wanted, customer_id) if wanted.name else []
    if coupon_ids:
        walked = walked.where(refusal.coupon_id.in_(coupon_ids))
    seen = walked.order_by(refusal.id.desc()).limit(REFUSALS_WALKED_MAX).subquery("seen")
    conditions: list[ColumnElement[bool]] = []
    if wanted.name and not coupon_ids:
        conditions.append(func.upper(seen.c.code_sent) == code_key(wanted.name))
    if wanted.customer:
        conditions.append(seen.c.customer_id == customer_id)
    if wanted.till_code:
        conditions.append(seen.c.till_id == _till_id(wanted.till_code).scalar_subquery())
    in_till = (t.till.c.org_id == seen.c.org_id) & (t.till.c.id == seen.c.till_id)
    matching = select(seen, t.till.c.code.label("till_code")).join_from(seen, t.till, in_till, isouter=True).where(*conditions)
    rows = tx.rows(matching.order_by(seen.c.id.desc()).limit(wanted.limit), parameters)
    if len(rows) == wanted.limit:
        return Page([_recorded(row) for row in rows], rows[-1].id)
    ((count, oldest_id),) = tx.rows(select(func.count(), func.min(seen.c.id)).select_from(seen), parameters)
    return Page([_recorded(row) for row in rows], oldest_id if count == REFUSALS_WALKED_MAX else None)


def _coupon_ids(tx: ReadTransaction, wanted: Wanted, customer_id: int) -> list[int]:
    """The coupons that have, or had, this code: its own rows, and the customer's own records. Else what has this id."""
    coupon = t.coupon.c
    found = select(coupon.id).where(
        coupon.org_id == org_parameter(), coupon.code_key == bindparam("key"), coupon.holder_id.in_((_NOBODY, customer_id))
    )
    ids = [row.id for row in tx.rows(found, {"org": wanted.org_id, "key": code_key(wanted.name)})]
    if ids:
        return ids
    is_id = wanted.name.isascii() and wanted.name.isdigit() and len(wanted.name) <= _ID_DIGITS_MAX
    return [int(wanted.name)] if is_id and is_coupon_id(int(wanted.name)) else []


def _till_id(code: str) -> Select[Any]:
    return select(t.till.c.id).where(t.till.c.org_id == org_parameter(), t.till.c.code == code)


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
