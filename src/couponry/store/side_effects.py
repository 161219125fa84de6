"""Redemptions whose loyalty side effects the org's hook has still to be told of: rows of the outbox (v1.1-coupon 3, 687).

Each is written in the redemption's own transaction, and taken away once the hook has been told. What is left, because the hook or
this process failed, is delivered later under the same message id, by which a receiver knows what it has heard before.
"""

from collections.abc import Collection

from sqlalchemy import BigInteger, delete, literal_column, select

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
    found = waiting(tx, org_id=org_id, redemption_ids=redemption_ids)
    if found:
        gone = delete(t.outbox).where(t.outbox.c.org_id == org_parameter(), t.outbox.c.id.in_(found))
        tx.connection.execute(gone, {"org": org_id})


def waiting(tx: ReadTransaction, *, org_id: int, redemption_ids: Collection[int]) -> list[int]:
    """The rows about those of these that the hook has still to be told of."""
    keys = tx.dialect.keys("redeemed", BigInteger())
    probed = keys.probing(t.outbox, "subject_id", index="ix_outbox_side_effects")
    parameters = {"org": org_id, **keys.bound([(redemption_id,) for redemption_id in redemption_ids])}
    return [row_id for (row_id,) in tx.rows(select(t.outbox.c.id).select_from(probed).where(_IS_ONE), parameters)]
