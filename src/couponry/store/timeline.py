"""What several tables know of one coupon, newest first, from where a cursor says: so many statements, each by an index."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Select, Table, func, literal_column, select, true

from couponry.core import timeline
from couponry.core.deliveries import Delivery, DeliveryState
from couponry.core.limits import CONSOLE_PAGE_ROWS, MONEY_SCALE
from couponry.core.status import Code
from couponry.core.timeline import Done, Refused, Unit, Used
from couponry.store import schema as t
from couponry.store.delivery_log import of_coupon
from couponry.store.engine import ReadTransaction
from couponry.store.statements import Probe, Row

LOOKED_UP: Final = "look up"
"""The action of the audit log that says no more than that somebody looked."""
_NAMES: Final = Delivery.__struct_fields__
_MESSAGE_COLUMNS: Final = (
    *(t.delivery.c[name] for name in _NAMES if name != "happened_ms"),
    func.coalesce(t.outbox.c.created_ms, t.delivery.c.created_ms).label("happened_ms"),
)
_REDATES: Final = t.outbox.c.event == literal_column("'CouponExpiryChange'")  # spelt out, or the partial index is not used
_MOST: Final = CONSOLE_PAGE_ROWS + 1


def units(tx: ReadTransaction, org_id: int, coupon_id: int, cursor: Mapping[str, int], currency: str) -> list[list[Unit]]:
    """Each source from its place in the cursor on. Five statements."""
    return [
        [timeline.of_delivery(each) for each in of_coupon(tx, org_id, coupon_id, limit=_MOST, before_id=cursor.get("d"))],
        [timeline.of_refusal(each, coupon_id) for each in _refusals(tx, org_id, coupon_id, cursor.get("f"))],
        [timeline.of_use(each, currency) for each in uses(tx, org_id, coupon_id, cursor.get("u"))],
        [timeline.of_action(each) for each in _actions(tx, org_id, coupon_id, cursor.get("a"))],
        [timeline.of_change(*each) for each in _changes(tx, org_id, coupon_id, cursor.get("x"))],
    ]


def messages_about(
    tx: ReadTransaction, org_id: int, coupon_ids: Sequence[int], *, limit: int, before_id: int | None = None
) -> list[Delivery]:
    """What was sent about coupons, newest first."""
    row, cause, keys = t.delivery.c, t.outbox.c, tx.dialect.keys("coupons", BigInteger())
    of_cause = (cause.org_id == row.org_id) & (cause.id == row.outbox_id)
    source = keys.probing(t.delivery, "coupon_id", index="ix_delivery_coupon").outerjoin(t.outbox, of_cause)
    wanted = select(*_MESSAGE_COLUMNS).select_from(source).where(row.coupon_id.is_not(None))
    found = wanted if before_id is None else wanted.where(row.id < before_id)
    rows = tx.rows(found.order_by(row.id.desc()).limit(limit), {"org": org_id, **keys.bound([(one,) for one in coupon_ids])})
    return [Delivery(**{**dict(zip(_NAMES, row, strict=True)), "state": DeliveryState(row.state)}) for row in rows]


def _refusals(tx: ReadTransaction, org_id: int, coupon_id: int, before_id: int | None) -> list[Refused]:
    row = t.refusal.c
    at_till = (t.till.c.org_id == row.org_id) & (t.till.c.id == row.till_id)
    named = (row.id, row.status, row.customer_id, t.till.c.code, row.transaction_number, row.amount)
    source = _by("ix_refusal_coupon", t.refusal).outerjoin(t.till, at_till)
    wanted = select(*named, row.evaluated_ms, row.refused_ms).select_from(source).where(row.coupon_id == coupon_id)
    return [
        Refused(refusal_id, Code[status], customer_id, till or "", number, _money(amount), at_ms, refused_ms)
        for refusal_id, status, customer_id, till, number, amount, at_ms, refused_ms in _newest(
            tx, wanted.where(row.org_id == org_id), row.id, before_id
        )
    ]


def uses(tx: ReadTransaction, org_id: int, coupon_id: int, before: int | None = None) -> list[Used]:
    """A coupon's redemptions, newest first."""
    row, back = t.redemption.c, t.till.alias("back")
    at_till = (t.till.c.org_id == row.org_id) & (t.till.c.id == row.till_id)
    at_store = (t.store.c.org_id == row.org_id) & (t.store.c.id == row.store_id)
    is_back = (back.c.org_id == row.org_id) & (back.c.id == row.reversed_till_id)
    source = _by("uq_redemption_use", t.redemption).outerjoin(t.till, at_till)
    own = (row.id, row.use_number, row.customer_id, row.redeemed_ms, row.transaction_number, row.amount)
    shops = (t.till.c.code, t.store.c.name, row.reversed_ms, back.c.code, row.reversal_reason)
    found = select(*own, *shops).select_from(source.outerjoin(t.store, at_store).outerjoin(back, is_back))
    wanted = found.where(row.org_id == org_id, row.coupon_id == coupon_id)
    return [
        Used(*own_values, _money(amount), till or "", store or "", reversed_ms, reversed_till or "", reason or "")  # type: ignore[call-arg] # five values
        for *own_values, amount, till, store, reversed_ms, reversed_till, reason in _newest(tx, wanted, row.use_number, before)
    ]


def _actions(tx: ReadTransaction, org_id: int, coupon_id: int, before_id: int | None) -> list[Done]:
    row = t.audit.c
    about = (row.org_id == org_id, row.subject_kind == "coupon", row.subject_id == str(coupon_id), row.action != LOOKED_UP)
    wanted = select(row.id, row.done_ms, row.actor, row.action, row.before, row.after)
    return [
        Done(action_id, done_ms, actor, action, *(values and msgspec.json.decode(values) for values in told))
        for action_id, done_ms, actor, action, *told in _newest(
            tx, wanted.select_from(_by("ix_audit_subject", t.audit)).where(*about), row.id, before_id
        )
    ]


def _changes(tx: ReadTransaction, org_id: int, coupon_id: int, before_id: int | None) -> list[Row]:
    row = t.outbox.c
    wanted = select(row.id, row.created_ms).select_from(_by("ix_outbox_redated", t.outbox))
    return _newest(tx, wanted.where(row.org_id == org_id, row.subject_id == coupon_id, _REDATES), row.id, before_id)


def _by(index: str, table: Table) -> Probe:
    """Rows by an index: to have them in order, SQLite would rather walk through all of an org's."""
    probe = Probe(select(literal_column("1")).subquery("one"), table, true())
    probe.index, probe.is_alone = index, True
    return probe


def _newest(tx: ReadTransaction, wanted: Select[Any], column: ColumnElement[int], before: int | None) -> list[Row]:
    """Straight on the driver: SQLAlchemy would take a probe by an index alone for a cartesian product."""
    found = wanted if before is None else wanted.where(column < before)
    return tx.read(tx.dialect.read(found.order_by(column.desc()).limit(_MOST)), {})


def _money(amount: int | None) -> Decimal | None:
    return None if amount is None else Decimal(amount) / MONEY_SCALE
