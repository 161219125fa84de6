"""Deliveries of somebody who is to be told no more, or who is to be forgotten (rules 11).

Whoever is about to send a message looks at its customer once more (`core.messages.unwanted`); here, what waits for long is taken
away at once, and what was sent no longer says to whom.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, ColumnElement, String, or_, select

from couponry.core.anonymity import anonymous
from couponry.core.deliveries import Channel, DeliveryState
from couponry.core.telling import OTP_MESSAGE
from couponry.store import schema as t
from couponry.store import serials
from couponry.store.deliveries import IS_WAITING
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.statements import Keys, Row, org_parameter

_DELETED: Final = "the customer was deleted"
_MESSAGE: Final = (t.delivery.c.id, t.delivery.c.state, t.delivery.c.done_ms)


def withhold(tx: WriteTransaction, org_id: int, customer_id: int, channels: Collection[Channel], why: str, now_ms: int) -> None:
    """Send a customer nothing of what waits in these channels."""
    keys = tx.dialect.keys("chains", BigInteger(), BigInteger())
    asked = keys.bound([(int(channel), customer_id) for channel in sorted(channels)])
    found = _held(tx, org_id, keys, asked, ("target_id", "customer_id"), "ix_delivery_chain", (t.delivery.c.id,), IS_WAITING)
    skipped = tx.dialect.update(t.delivery, key=("id",), added=(), assigned=("state", "done_ms", "problem"))
    tx.write(skipped, org_id, [(DeliveryState.SKIPPED.value, now_ms, why, row.id) for row in found])


def erase(tx: WriteTransaction, org_id: int, customer_id: int, addresses: Collection[str], now_ms: int) -> None:
    """Blank messages to a customer, and cut out of all else what they are known by. What waits, or has failed, is not sent.

    Validation codes are under no customer, and are found by the addresses that such were sent to.
    """
    # A position is taken from whoever makes deliveries of them just now: that is begun anew, and finds nobody.
    serials.reserve(tx, org_id, serials.POSITION)
    row = t.delivery.c
    keys = tx.dialect.keys("whose", BigInteger())
    asked = keys.bound([(customer_id,)])
    theirs = (("customer_id",), "ix_delivery_customer")
    messages = _held(tx, org_id, keys, asked, *theirs, _MESSAGE, row.address.is_not(None))
    names_them = or_(row.target_id == Channel.SIDE_EFFECTS, row.body.like('%"instore":%'))
    events = _held(tx, org_id, keys, asked, *theirs, (row.id, row.body), row.address.is_(None), names_them)
    keys = tx.dialect.keys("addresses", String())
    nobodys = (row.customer_id.is_(None), row.event == OTP_MESSAGE)
    asked = keys.bound([(address,) for address in sorted(addresses)])
    codes = _held(tx, org_id, keys, asked, ("address",), "ix_delivery_customer", _MESSAGE, *nobodys)
    assigned = ("address", "body", "state", "problem", "done_ms")
    blank = tx.dialect.update(t.delivery, key=("id",), added=(), assigned=assigned)
    tx.write(blank, org_id, [_blanked(each, now_ms) for each in (*messages, *codes)])
    cut = tx.dialect.update(t.delivery, key=("id",), added=(), assigned=("body",))
    tx.write(cut, org_id, [(anonymous(each.body), each.id) for each in events])


def addresses_of_codes(tx: ReadTransaction, org_id: int, customer_id: int) -> set[str]:
    """Where validation codes of a customer were sent to; one statement."""
    keys = tx.dialect.keys("whose", BigInteger())
    source = keys.probing(t.otp, "customer_id", index="ix_otp_customer")
    rows = tx.rows(select(t.otp.c.message).select_from(source), {org_parameter().key: org_id, **keys.bound([(customer_id,)])})
    return {channel["value"] for row in rows for channel in msgspec.json.decode(row.message)["channels"]}


def _held(
    tx: WriteTransaction,
    org_id: int,
    keys: Keys,
    asked: dict[str, Any],
    names: Sequence[str],
    index: str,
    columns: Sequence[ColumnElement[Any]],
    *conditions: ColumnElement[bool],
) -> Sequence[Any]:
    """Deliveries by an index, locked against whoever records that one was sent."""
    wanted = select(*columns).select_from(keys.probing(t.delivery, *names, index=index)).where(*conditions)
    return tx.rows(tx.dialect.locked(wanted.order_by(t.delivery.c.id), t.delivery), {org_parameter().key: org_id, **asked})


def _blanked(message: Any, now_ms: int) -> Row:  # noqa: ANN401 - a row
    if message.state == DeliveryState.DELIVERED:
        return None, "", message.state, "", message.done_ms, message.id
    return None, "", DeliveryState.SKIPPED.value, _DELETED, message.done_ms or now_ms, message.id
