"""Whether a transaction whose commit was cut off has happened: wholly or not at all, so that one of its rows tells."""

from typing import Literal, NamedTuple

from sqlalchemy import select

from couponry.core.plan import Plan
from couponry.store import schema as t
from couponry.store.engine import ReadTransaction
from couponry.store.statements import org_parameter

_TABLES = {"redemption": t.redemption, "coupon": t.coupon, "outbox": t.outbox}


class Written(NamedTuple):
    """A row that a plan inserts, if it inserts any."""

    table: Literal["redemption", "coupon", "outbox"]
    row_id: int


def first_written(plan: Plan, first_event_id: int) -> Written | None:
    """A row to look for afterwards. Whatever changes an existing row only has an event, except an update of bills, which may as
    well be repeated.
    """
    if plan.redemptions:
        return Written("redemption", plan.redemptions[0].id)
    if plan.new_coupons:
        return Written("coupon", plan.new_coupons[0].coupon.id)
    return Written("outbox", first_event_id) if plan.events else None


def is_written(tx: ReadTransaction, org_id: int, row: Written) -> bool:
    """Whether the row exists."""
    table = _TABLES[row.table]
    found = select(table.c.id).where(table.c.org_id == org_parameter(), table.c.id == row.row_id)
    return bool(tx.rows(found, {"org": org_id}))
