"""Redemptions whose loyalty side effects the org's hook has still to be told of: rows of the outbox (v1.1-coupon 3, 687).

Each is written in the redemption's own transaction, and taken away once the hook has been told. What is left, because the hook or
this process failed, is delivered later under the same message id, by which a receiver knows what it has heard before.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, literal_column, select

from couponry.store import schema as t
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.statements import org_parameter

# Spelt out, or neither database would know that its index on these rows alone will do.
_IS_ONE = t.outbox.c.event == literal_column("'SideEffects'")


def message_id(org_id: int, redemption_id: int) -> str:
    """What the message is known by, however often it is sent."""
    return f"effects_{org_id}_{redemption_id}"


def forget(tx: WriteTransaction, *, org_id: int, redemption_ids: Collection[int]) -> None:
    """The hook has been told of these."""
    tx.connection.execute(delete(t.outbox).where(_about(redemption_ids)), {"org": org_id})


def is_waiting(tx: ReadTransaction, *, org_id: int, redemption_ids: Collection[int]) -> bool:
    """Whether the hook has still to be told of any of these."""
    return bool(tx.rows(select(t.outbox.c.id).where(_about(redemption_ids)).limit(1), {"org": org_id}))


def _about(redemption_ids: Collection[int]) -> ColumnElement[Any]:
    return and_(t.outbox.c.org_id == org_parameter(), _IS_ONE, t.outbox.c.subject_id.in_(redemption_ids))
