"""What was to be sent, looked at again when it can be: at which hour it is, and whether anybody still wants it."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from couponry.core.deliveries import Channel
from couponry.core.fan_out import FanOut
from couponry.core.limits import HOUR_MS
from couponry.core.telling import OTP_MESSAGE
from couponry.core.validation import Vault
from couponry.store import schema as t
from couponry.store.deliveries import Deliveries
from couponry.store.delivery_log import replay
from couponry.store.message_facts import MessageFacts
from tests.api.holdings import coupon_id, customer_id, series_id
from tests.api.shop import MIRA, Front, Shop
from tests.receiver import Receiver, answering
from tests.store.outboxes import statements
from tests.worker.delivery.post import Post

MOBILE = MIRA["mobile"]
KOLKATA = ZoneInfo("Asia/Kolkata")
SOON_MS = 60_000


@pytest.fixture
def front(shop: Shop) -> Iterator[Front]:
    with shop.front() as running:
        yield running


def at(shop: Shop, hour: int, minute: int, second: int = 0) -> int:
    """The next time that the org's clock shows this."""
    now = datetime.fromtimestamp(shop.clock.ms / 1000, KOLKATA)
    then = now.replace(hour=hour, minute=minute, second=second, microsecond=0)
    return round((then if then > now else then + timedelta(days=1)).timestamp()) * 1000


@pytest.mark.parametrize("channel", [Channel.SMS, Channel.EMAIL])
def test_retries_and_replays_wait_for_the_morning(shop: Shop, channel: Channel) -> None:
    post = Post(shop)
    shop.set(minSmsHour="9", maxSmsHour="21")
    with Receiver(answering(500)) as gateway:
        shop.set(smsUrl=f"json://127.0.0.1:{gateway.server_port}/", emailUrl=f"json://127.0.0.1:{gateway.server_port}/")
        shop.clock.ms = at(shop, 20, 59, 58)
        (delivery,) = post.put(channel, 7, address=MOBILE, body='{"subject":"s","text":"t","html":"<p>t"}')
        post.round()
        assert post.rows("state", "attempts") == [("waiting", 1)]
        shop.clock.ms += 30_000
        opens_ms = at(shop, 9, 0)
        post.round()
        assert post.rows("state", "attempts", "next_ms") == [("waiting", 1, opens_ms)]
        assert len(gateway.sent) == 1
        shop.change(t.delivery, delivery, state="failed", done_ms=shop.clock.ms)
        with shop.database.writing() as tx:
            assert replay(tx, shop.org_id, delivery, shop.clock.ms) is None
        post.round()
        assert post.rows("state", "next_ms") == [("waiting", opens_ms)]
        gateway.behave = answering(200)
        shop.clock.ms = opens_ms
        post.round()
    assert post.rows("state", "attempts") == [("delivered", 1)]
    assert len(gateway.sent) == 2


def test_codes_and_mails_to_contacts_go_out_at_night(shop: Shop) -> None:
    post = Post(shop)
    shop.set(minSmsHour="9", maxSmsHour="21")
    shop.clock.ms = at(shop, 3, 0)
    post.put(Channel.SMS, None, address=MOBILE, body="", event=OTP_MESSAGE)
    post.put(Channel.CONTACTS, None, address="owner@example.com", event="OfferExpiry")
    post.round()
    assert post.rows("state") == [("delivered",)] * 2


Change = Callable[[Shop, Front, str], object]
GONE_MS = 1
CHANGES: dict[str, Change] = {
    "": lambda shop, _front, _code: shop.change(t.customer, customer_id(shop, MOBILE), unsubscribed="EMAIL"),
    "unsubscribed from SMS": lambda shop, _front, _code: shop.change(t.customer, customer_id(shop, MOBILE), unsubscribed="SMS"),
    "the customer is gone": lambda shop, _front, _code: shop.change(t.customer, customer_id(shop, MOBILE), deleted_ms=GONE_MS),
    "the coupon is revoked": lambda shop, _front, code: shop.change(
        t.coupon, coupon_id(shop, code), revoked_ms=GONE_MS, revision=coupon_id(shop, code)
    ),
    "the coupon is redeemed": lambda _shop, front, code: front.redeem(code).raise_for_status(),
    "the coupon has expired by then": lambda shop, _front, code: shop.change(
        t.coupon, coupon_id(shop, code), expires_local="2031-03-10T23:59:59"
    ),
}


@pytest.mark.parametrize("why", CHANGES)
def test_who_does_not_want_it_in_the_morning_is_not_sent_it(shop: Shop, front: Front, why: str) -> None:
    post = Post(shop, fan_out=FanOut(Vault(b"only for this test"), single_coupon_only=False))
    shop.set(minSmsHour="9", maxSmsHour="10")
    shop.clock.ms = at(shop, 11, 0)
    code = front.ask("POST", "/v2/coupon/issue", json={"seriesId": 5001, "customer": MIRA}).json()["code"]
    post.round()
    ((state, opens_ms),) = post.rows("state", "next_ms")
    assert state == "waiting"
    CHANGES[why](shop, front, code)
    shop.clock.ms = opens_ms
    post.round()
    assert post.rows("state", "problem", "attempts") == [("skipped", why, 0) if why else ("delivered", "", 1)]


def test_a_code_that_has_expired_is_not_sent(shop: Shop, front: Front) -> None:
    post = Post(shop, fan_out=FanOut(Vault(b"only for this test"), single_coupon_only=False))
    with Receiver(answering(500)) as gateway:
        shop.set(smsUrl=f"json://127.0.0.1:{gateway.server_port}/")
        asked = {"entityType": "MOBILE", "entityValue": MOBILE, "action": "COUPON", "channels": [{"type": "SMS"}]}
        assert front.ask("POST", "/v2/otp/generate", json=asked).status_code == 200
        post.round()
        before = len(gateway.sent)
        shop.clock.ms += HOUR_MS
        post.round()
        assert len(gateway.sent) == before
    assert post.rows("state") != [("waiting",)]


def test_what_is_known_is_read_in_as_many_statements_for_many_as_for_one(shop: Shop, front: Front) -> None:
    post = Post(shop, fan_out=FanOut(Vault(b"only for this test"), single_coupon_only=False))
    shop.set(minSmsHour="9", maxSmsHour="10")
    shop.series(seriesCode="MANY", isMultipleVouchersPerUserAllowed="true")
    issue = {"seriesId": series_id(shop, "MANY"), "customer": MIRA}
    asked: list[int] = []
    for count in (1, 20):
        for _ in range(count):
            assert front.ask("POST", "/v2/coupon/issue", json=issue).status_code == 200
        post.round()
        with shop.database.reading() as tx:
            dues = Deliveries(shop.database.dialect).due(tx, shop.org_id, Channel.SMS, shop.clock.ms + 48 * HOUR_MS, 1000)
            facts = MessageFacts(shop.database.dialect)
            with statements(shop.database) as seen:
                org, causes, _ = facts.read(tx, shop.org_id, dues, shop.clock.ms)
        assert org
        assert len(causes) == len(dues) >= count
        asked.append(len(seen))
    assert asked[0] == asked[1] <= 10
