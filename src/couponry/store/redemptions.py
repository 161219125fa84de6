"""Single look-ups of redemptions."""

from sqlalchemy import select

from couponry.store import schema as t
from couponry.store.dialect import org_parameter
from couponry.store.engine import ReadTransaction


def is_written(tx: ReadTransaction, org_id: int, redemption_id: int) -> bool:
    """Whether a redemption exists: a transaction whose commit was cut off has happened wholly or not at all."""
    found = select(t.redemption.c.id).where(t.redemption.c.org_id == org_parameter(), t.redemption.c.id == redemption_id)
    return bool(tx.rows(found, {"org": org_id}))
