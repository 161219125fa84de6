"""A lane by what its target answers, which here is said at once."""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Sequence

import pytest

from couponry.core.deliveries import Channel, Due
from couponry.core.limits import FAILURES_BEFORE_PROBE, HOUR_MS
from couponry.core.telling import OTP_MESSAGE
from couponry.store import deliveries
from couponry.worker.delivery import lane
from couponry.worker.delivery.attempts import DELIVERED, Attempt
from couponry.worker.delivery.lane import Health, Lane
from couponry.worker.delivery.org import LaneRows, OrgDelivery, Store
from tests.api.shop import Shop
from tests.receiver import Exchange, Receiver, answering, hanging
from tests.worker.delivery.post import VAULT, Post

HOOK = 5


class Place:
    """A target of the test's own, and what it was sent."""

    connections = 4
    kept_ms = 1_000_000

    def __init__(self, answer: Callable[[Due], Attempt]) -> None:
        self.answer = answer
        self.sent: list[int] = []
        self.fetched: list[int] = []

    async def prepare(self, dues: Sequence[Due]) -> None:
        self.fetched.append(len(dues))

    async def send(self, due: Due) -> Attempt:
        self.sent.append(due.id)
        return self.answer(due)

    async def told(self, dues: Sequence[Due]) -> None: ...

    def close(self) -> None: ...


def run(post: Post, place: Place, health: Health, target_id: int = HOOK) -> None:
    shop = post.shop
    rows = LaneRows(Store(shop.database, asyncio.to_thread), shop.org_id, target_id)
    asyncio.run(Lane(rows, place, health, shop.clock, lambda: 0.5).run())


def test_what_is_put_off_is_no_failure_and_holds_back_its_customer_alone(shop: Shop) -> None:
    post, health = Post(shop), Health()
    opens_ms = shop.clock() + HOUR_MS
    first, behind, other, nobodys, *more = post.put(HOOK, 7, 7, 8, None, *[None] * FAILURES_BEFORE_PROBE)
    put_off = {first, nobodys, *more}
    place = Place(lambda due: Attempt(is_delivered=False, put_off_to_ms=opens_ms) if due.id in put_off else DELIVERED)
    run(post, place, health)
    assert sorted(place.sent) == sorted({*put_off, other})
    came = {row[0]: row[1:] for row in post.rows("id", "state", "attempts", "next_ms")}
    assert came.pop(other) == ("delivered", 1, shop.clock())
    assert set(came) == put_off | {behind}
    assert set(came.values()) == {("waiting", 0, opens_ms)}
    assert health == Health()
    shop.clock.ms = opens_ms
    place.answer = lambda _: DELIVERED
    run(post, place, health)
    assert place.sent.index(behind) > len(put_off)
    assert {state for (state,) in post.rows("state")} == {"delivered"}


def test_what_is_unwanted_is_skipped_and_says_nothing_of_the_target(shop: Shop) -> None:
    post, health = Post(shop), Health(failures=FAILURES_BEFORE_PROBE - 1)
    unwanted, behind = post.put(HOOK, 7, 7)
    place = Place(lambda due: Attempt(is_delivered=False, is_unwanted=due.id == unwanted, problem="gone"))
    run(post, place, health)
    assert post.rows("state", "attempts", "problem") == [("skipped", 0, "gone"), ("failed", 1, "gone")]
    place.answer = lambda _: Attempt(is_delivered=False, is_unwanted=True)
    post.put(HOOK, 7)
    health.failures = FAILURES_BEFORE_PROBE - 1
    run(post, place, health)
    assert health == Health(failures=FAILURES_BEFORE_PROBE - 1)
    assert behind in place.sent


FAILING = Attempt(is_delivered=False, is_passing=True, problem="HTTP 503")


def test_a_dead_target_drains(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents the queue from which one delivery a minute is given up, while more come in."""
    monkeypatch.setattr(deliveries, "DELIVERY_CHUNK_ROWS", 10)
    post, health, place = Post(shop), Health(failures=FAILURES_BEFORE_PROBE), Place(lambda _: FAILING)
    old_ms = shop.clock() - place.kept_ms - 1
    post.put(HOOK, *range(1, 36), since_ms=old_ms, next_ms=old_ms)
    young = post.put(HOOK, *range(1, 36))
    hidden = post.put(HOOK, 99, since_ms=old_ms, next_ms=shop.clock() + 1)
    run(post, place, health)
    assert place.sent == young[:1]
    states = dict(post.rows("id", "state"))
    assert [states[each] for each in young + hidden] == ["waiting"] * 36
    assert list(states.values()).count("failed") == 35
    for _ in range(3):  # ten further each time
        shop.clock.ms = health.until_ms
        run(post, place, health)
    assert dict(post.rows("id", "state"))[hidden[0]] == "failed"


def test_a_target_that_is_well_is_sent_what_is_old(shop: Shop) -> None:
    """As after an outage of our own."""
    post, place = Post(shop), Place(lambda _: DELIVERED)
    post.put(HOOK, 7, since_ms=shop.clock() - place.kept_ms - 1)
    run(post, place, Health())
    assert post.rows("state") == [("delivered",)]


def test_what_has_expired_is_not_sent_and_not_tried_again_later(shop: Shop) -> None:
    post, health, place = Post(shop), Health(), Place(lambda _: FAILING)
    soon_ms = shop.clock() + 1_000
    post.put(HOOK, None, None, expires_ms=shop.clock())
    (tried,) = post.put(HOOK, None, expires_ms=soon_ms)
    run(post, place, health)
    assert post.rows("state", "attempts", "problem") == [("skipped", 0, "it has expired")] * 2 + [("failed", 1, "HTTP 503")]
    assert (place.sent, health.failures) == ([tried], 1)


def test_a_lane_has_only_so_much_text_in_hand(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "LANE_CHARS_MAX", 1_000)
    post, place = Post(shop), Place(lambda _: DELIVERED)
    post.put(HOOK, *range(1, 21), body="x" * 300, body_chars=300)
    run(post, place, Health())
    assert (len(place.sent), max(place.fetched)) == (20, 3)


def test_a_code_does_not_wait_for_a_campaign(shop: Shop) -> None:
    """Whose gateway, which is that of codes too, takes its time, and whose messages were there before."""
    campaign = b"Buy now"

    def behave(exchange: Exchange) -> None:
        (hanging if campaign in exchange.server.sent[-1].body else answering(200))(exchange)

    post = Post(shop)
    with Receiver(behave) as gateway:
        shop.set(smsUrl=f"json://127.0.0.1:{gateway.server_port}/sms")
        post.put(Channel.SMS, *[None] * 20, address="919812300001", body=campaign.decode())
        sealed = b64encode(VAULT.seal(shop.org_id, 777, "123456")).decode()
        post.put(Channel.OTP_SMS, None, address="919812300001", body=sealed, event=OTP_MESSAGE, outbox_id=777)

        async def look(org: OrgDelivery) -> None:
            async with asyncio.timeout(20):
                while ("delivered",) not in post.rows("state"):
                    await org.turn()
            org.stop()
            gateway.released.set()

        post.run(look)
    assert [state for (state,) in post.rows("state")].count("delivered") == 1
    assert "123456" in [sent.message["message"] for sent in gateway.sent]
