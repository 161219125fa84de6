"""Messages that somebody sends to themselves to see how they look: deliveries like any other, of no cause and to no customer."""

from sqlalchemy import insert

from couponry.core import ids
from couponry.core.deliveries import Channel, DeliveryState
from couponry.store import schema as t
from couponry.store import serials
from couponry.store.deliveries import hold_chains
from couponry.store.engine import WriteTransaction

EVENT = "TestMessage"


def send_test(
    tx: WriteTransaction, org_id: int, channel: Channel, address: str, body: str, *, request_id: str, now_ms: int
) -> int:
    """The delivery's id; it goes out as soon as a worker looks, whatever the hour."""
    outbox_id = ids.first_id(ids.REDEMPTION, org_id, serials.reserve(tx, org_id, serials.OUTBOX))
    hold_chains(tx, org_id)
    delivery_id = serials.reserve(tx, org_id, serials.DELIVERY)
    what = {"outbox_id": outbox_id, "event": EVENT, "target_id": channel.value, "address": address, "body": body}
    when = {"created_ms": now_ms, "since_ms": now_ms, "next_ms": now_ms}
    row = {"id": delivery_id, "state": DeliveryState.WAITING.value, "attempts": 0, "problem": "", "ref_id": ""}
    tx.connection.execute(insert(t.delivery).values(org_id=org_id, **row, **what, **when, request_id=request_id))
    return delivery_id
