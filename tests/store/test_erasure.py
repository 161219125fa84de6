"""Deliveries of customers who were deleted, merged away or do not want them any more."""

from typing import Any, Final

import msgspec
import pytest

from couponry.core.deliveries import Channel, NewDelivery
from couponry.core.telling import Facts
from couponry.store import schema as t
from couponry.store.customers import delete, set_subscriptions
from couponry.store.dialect import Trouble
from couponry.store.engine import Database, StoreError
from couponry.store.merge import merge
from couponry.store.sequencing import Sequencer
from tests.api.shop import NOW_MS, Shop
from tests.ledger.rows import rows

MIRA, ARUN = 90001, 90002
HOOK: Final = 7
_MOBILE, _OLD_MOBILE = "919812300001", "919800000000"
_EVENT: Final = '{"data":{"customerIdentifiers":{"customerId":90001,"instore":{"mobile":"919812300001"}}},"createdAt":1}'
_GONE: Final = "the customer was deleted"


@pytest.fixture
def shop(database: Database) -> Shop:
    return Shop(database).open()


def put(shop: Shop, serial: int, target_id: int = Channel.SMS, state: str = "waiting", **columns: Any) -> None:
    row = {"outbox_id": serial, "event": "IssueMessage", "target_id": target_id, "customer_id": MIRA, "body": "Hi Mira"}
    row |= {"address": _MOBILE, "state": state, "done_ms": None if state == "waiting" else 5, "attempts": 1, "problem": ""}
    row |= {"next_ms": 1, "since_ms": 1, "created_ms": 1, "request_id": "r", "ref_id": "f", **columns}
    shop.add(t.delivery, id=serial, **row)


def stored(shop: Shop, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows(shop.database, t.delivery, shop.org_id)]


def test_somebody_deleted_is_sent_nothing_and_was_sent_nothing(shop: Shop) -> None:
    """Of messages, what is known is that there were some; events keep their customer's number."""
    otp: dict[str, Any] = {"event": "OtpMessage", "customer_id": None, "body": "sealed"}
    event: dict[str, Any] = {"event": "CouponIssue", "address": None, "body": _EVENT}
    put(shop, 1)
    put(shop, 2, Channel.EMAIL, "failed", address="mira@example.com", problem="no mira@example.com here")
    put(shop, 3, Channel.SMS, "delivered", address="919899999999")
    put(shop, 4, Channel.SMS, **otp, address=_OLD_MOBILE)
    put(shop, 5, Channel.EMAIL, **otp, address="mira@example.com", state="delivered")
    put(shop, 6, HOOK, **event)
    put(shop, 7, HOOK, "delivered", **event)
    put(shop, 8, HOOK, "delivered", **{**event, "body": '{"customerId":90001}'})
    put(shop, 9, Channel.SMS, customer_id=ARUN)
    put(shop, 10, Channel.SMS, **otp, address="919812300002")
    put(shop, 11, Channel.CONTACTS, customer_id=None, address="mira@example.com")
    put(shop, 12, Channel.SIDE_EFFECTS, **{**event, "body": f'{{"customer":{{"id":90001,"mobile":"{_MOBILE}"}}}}'})
    message = msgspec.json.encode({"channels": [{"kind": "mobile", "value": _OLD_MOBILE}], "template": ""}).decode()
    code = {"scope": "C", "entity_type": "MOBILE", "entity_value": _OLD_MOBILE, "mac": "", "sealed": b"", "expires_ms": 1}
    shop.add(t.otp, id=1, customer_id=MIRA, message=message, created_ms=1, **code)
    with shop.database.writing() as tx:
        assert delete(tx, shop.org_id, MIRA, NOW_MS) == MIRA
    cut = '{"data":{"customerIdentifiers":{"customerId":90001}},"createdAt":1}'
    assert stored(shop, "id", "state", "address", "body", "problem", "done_ms") == [
        (1, "skipped", None, "", _GONE, NOW_MS),
        (2, "skipped", None, "", _GONE, 5),
        (3, "delivered", None, "", "", 5),
        (4, "skipped", None, "", _GONE, NOW_MS),
        (5, "delivered", None, "", "", 5),
        (6, "waiting", None, cut, "", None),
        (7, "delivered", None, cut, "", 5),
        (8, "delivered", None, '{"customerId":90001}', "", 5),
        (9, "waiting", _MOBILE, "Hi Mira", "", None),
        (10, "waiting", "919812300002", "sealed", "", None),
        (11, "waiting", "mira@example.com", "Hi Mira", "", None),
        (12, "waiting", None, '{"customer":{"id":90001,"mobile":null,"email":null,"externalId":null}}', "", None),
    ]


def test_somebody_deleted_while_messages_are_made(shop: Shop) -> None:
    """What was known of them before must not be written after."""
    shop.add(t.outbox, id=5, event="IssueMessage", subject_id=1, customer_id=MIRA, request_id="r", created_ms=NOW_MS)
    is_deleted = False

    def fan_out(_org: object, _causes: object, facts: Facts, _webhooks: object) -> list[NewDelivery]:
        nonlocal is_deleted
        if not is_deleted:
            with shop.database.writing() as tx:
                is_deleted = delete(tx, shop.org_id, MIRA, NOW_MS) == MIRA
        who = facts.customers[MIRA].customer
        told: dict[str, Any] = {"outbox_id": 5, "event": "IssueMessage", "target_id": Channel.SMS, "customer_id": MIRA}
        return [NewDelivery(**told, address=who.mobile, body=who.first_name, request_id="r", ref_id="f")]

    sequencer = Sequencer(shop.database, fan_out, shop.clock)
    with pytest.raises(StoreError) as raised:
        sequencer.step(shop.org_id)
    assert raised.value.trouble is Trouble.CONFLICT
    assert sequencer.step(shop.org_id).causes == 1
    assert stored(shop, "address", "body") == [(None, "")]


def test_unsubscribed_from_what_waits(shop: Shop) -> None:
    for serial, (target_id, state) in enumerate(
        ((Channel.SMS, "waiting"), (Channel.SMS, "delivered"), (Channel.EMAIL, "waiting"), (HOOK, "waiting")), 1
    ):
        put(shop, serial, target_id, state)
    put(shop, 5, customer_id=ARUN)
    with shop.database.writing() as tx:
        set_subscriptions(tx, shop.org_id, MIRA, NOW_MS, wanted={Channel.SMS: False, Channel.EMAIL: True})
    assert stored(shop, "state", "problem")[0] == ("skipped", "unsubscribed from SMS")
    assert [state for (state,) in stored(shop, "state")[1:]] == ["delivered", "waiting", "waiting", "waiting"]


def test_merged_away(shop: Shop) -> None:
    put(shop, 1)
    put(shop, 2, Channel.EMAIL)
    put(shop, 3, HOOK)
    put(shop, 4, customer_id=ARUN)
    with shop.database.writing() as tx:
        assert merge(tx, shop.org_id, MIRA, ARUN, NOW_MS) is None
    why = "the customer was merged into another"
    assert stored(shop, "state", "problem") == [("skipped", why), ("skipped", why), ("waiting", ""), ("waiting", "")]
