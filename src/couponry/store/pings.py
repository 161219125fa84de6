"""Tests of webhooks: an event that nothing caused, in the outbox like any other, told to one webhook alone."""

from sqlalchemy import insert

from couponry.core import ids
from couponry.core.events import PING
from couponry.core.problem import Problem
from couponry.store import schema as t
from couponry.store import serials
from couponry.store.engine import WriteTransaction
from couponry.store.webhooks import UNKNOWN, read_webhook

INACTIVE = "inactive"


def ping(tx: WriteTransaction, org_id: int, wire_id: str, *, request_id: str, now_ms: int) -> int | Problem:
    """The row of the outbox; UNKNOWN, INACTIVE."""
    webhook = read_webhook(tx, org_id, wire_id)
    if webhook is None:
        return Problem(UNKNOWN, f"there is no webhook {wire_id}")
    if not webhook.is_active:
        return Problem(INACTIVE, "a webhook that is not active is sent nothing")
    outbox_id = ids.first_id(ids.REDEMPTION, org_id, serials.reserve(tx, org_id, serials.OUTBOX))
    event = {"event": PING, "subject_id": webhook.id, "request_id": request_id, "created_ms": now_ms}
    tx.connection.execute(insert(t.outbox).values(org_id=org_id, id=outbox_id, **event))
    return outbox_id
