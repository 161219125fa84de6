"""What comes of an event by what its receiver does, over real sockets; the clock stands still unless a test moves it."""

import hmac
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from hashlib import sha256

import pytest
from sqlalchemy import update

from couponry.core.event_ids import event_id
from couponry.core.limits import AGAIN_MS_MIN, FAILURES_BEFORE_PROBE, HOUR_MS, RETRY_AFTER_MS_MAX, WEBHOOK_KEPT_MS
from couponry.store import schema as t
from couponry.store.dialect import Trouble
from couponry.store.engine import Stage, StoreError
from couponry.worker.delivery import webhooks
from couponry.worker.delivery.org import LaneRows, OrgDelivery
from tests.api.shop import Shop
from tests.receiver import Behave, Exchange, Receiver, Sent, answering, babbling, flooding, hanging, hanging_up
from tests.worker.delivery.post import SIGNER, Post

FAILED = ("failed", 1)
AGAIN = ("waiting", 1)
DELIVERED = ("delivered", 1)


@pytest.fixture
def post(shop: Shop) -> Post:
    return Post(shop)


def verifies(sent: Sent, secret: str) -> bool:
    """As the specification of Standard Webhooks says, without our code."""
    content = f"{sent.headers['webhook-id']}.{sent.headers['webhook-timestamp']}.".encode() + sent.body
    signed = b64encode(hmac.digest(b64decode(secret.removeprefix("whsec_")), content, sha256)).decode()
    return f"v1,{signed}" in sent.headers["webhook-signature"].split(" ")


def test_an_event_is_posted_with_its_headers_and_signed(post: Post) -> None:
    with Receiver() as receiver:
        hook = post.webhook(receiver.url, headers={"X-Token": "s3", "Host": "elsewhere", "content-type": "application/x+json"})
        (delivery_id,) = post.put(hook.id, 7)
        post.round()
    (sent,) = receiver.sent
    org_id = post.shop.org_id
    assert sent.body == b'{"n":%d}' % delivery_id
    assert (sent.headers["x-token"], sent.headers["content-type"]) == ("s3", "application/x+json")
    assert sent.headers["host"].startswith("127.0.0.1")
    assert sent.headers["webhook-id"] == event_id(org_id, delivery_id)
    assert verifies(sent, SIGNER.secret_of_webhook(org_id, hook.id, 1))
    assert not verifies(sent, SIGNER.secret_of_webhook(org_id, hook.id, 2))
    assert post.rows("state", "attempts", "http_status", "problem", "done_ms") == [("delivered", 1, 204, "", post.shop.clock())]


def test_after_a_rotation_both_secrets_sign_for_a_day(post: Post) -> None:
    shop = post.shop
    with Receiver() as receiver:
        hook = post.webhook(receiver.url)
        with shop.database.writing() as tx:
            tx.connection.execute(update(t.webhook).values(secret_number=2, rotated_ms=shop.clock()))
        for _ in range(2):
            post.put(hook.id, 7)
            post.round()
            shop.clock.ms += 24 * HOUR_MS
    old, new = (SIGNER.secret_of_webhook(shop.org_id, hook.id, number) for number in (1, 2))
    assert [(verifies(sent, old), verifies(sent, new)) for sent in receiver.sent] == [(True, True), (False, True)]


def dripping(exchange: Exchange) -> None:
    """An answer of which only the beginning comes."""
    exchange.send_response(200)
    exchange.send_header("Content-Length", "10")
    exchange.end_headers()
    exchange.wfile.write(b"1")
    exchange.wfile.flush()
    exchange.server.released.wait(60)
    exchange.hang_up()


@pytest.mark.parametrize(
    ("behave", "came", "problem"),
    [
        (answering(200, b"thanks"), DELIVERED, ""),
        (flooding, DELIVERED, ""),
        (dripping, DELIVERED, ""),
        (answering(301, Location="http://127.0.0.1:1/"), FAILED, "HTTP 301"),
        (answering(400), FAILED, "HTTP 400"),
        (answering(410), FAILED, "HTTP 410"),
        (answering(408), AGAIN, "HTTP 408"),
        (answering(425), AGAIN, "HTTP 425"),
        (answering(429), AGAIN, "HTTP 429"),
        (answering(500), AGAIN, "HTTP 500"),
        (babbling, AGAIN, "no answer: ClientResponseError"),
        (hanging_up, AGAIN, "no answer: ServerDisconnectedError"),
        (hanging, AGAIN, "no answer within 0 s"),
    ],
)
def test_what_a_receiver_does_decides(
    post: Post, behave: Behave, came: tuple[str, int], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if behave in {hanging, dripping}:
        monkeypatch.setattr(webhooks, "WEBHOOK_MS_MAX", 300)
    with Receiver(behave) as receiver:
        post.put(post.webhook(receiver.url).id, 7)
        post.round()
        receiver.released.set()
    ((state, attempts, next_ms, said),) = post.rows("state", "attempts", "next_ms", "problem")
    assert ((state, attempts), said) == (came, problem)
    if came == AGAIN:
        assert next_ms == post.shop.clock() + AGAIN_MS_MIN


@pytest.mark.parametrize(
    ("url", "came", "problem"),
    [
        ("https://127.0.0.1:{port}/", AGAIN, "no answer: ClientConnectorSSLError"),
        ("http://127.0.0.1:1/", AGAIN, "no answer: ClientConnectorError"),
        ("http://no-such-host.invalid/", AGAIN, "no answer: ClientConnectorDNSError"),
        ("http://[::1]:{port}/", FAILED, "not an address that may be reached"),
        ("http://169.254.169.254/", FAILED, "not an address that may be reached"),
        ("http://10.0.0.1:{port}/", FAILED, "not an address that may be reached"),
        ("http://" + "a" * 300 + "/", AGAIN, "no answer: ClientConnectorDNSError"),
        ("nonsense", FAILED, "the URL cannot be used"),
    ],
)
def test_where_it_cannot_be_sent(post: Post, url: str, came: tuple[str, int], problem: str) -> None:
    with Receiver() as receiver:
        post.put(post.webhook(url.format(port=receiver.server_port)).id, 7)
        post.round()
    ((state, attempts, said),) = post.rows("state", "attempts", "problem")
    assert ((state, attempts), said) == (came, problem)
    assert receiver.sent == []


def test_names_of_private_addresses_are_refused(shop: Shop) -> None:
    post = Post(shop, allowed=())
    with Receiver() as receiver:
        post.put(post.webhook(receiver.url.replace("127.0.0.1", "localhost")).id, 7)
        post.put(post.webhook(receiver.url).id, 7)
        post.round()
    assert post.rows("state", "problem") == [("failed", "not an address that may be reached")] * 2
    assert receiver.sent == []


def test_a_receiver_may_say_when_to_come_again(post: Post) -> None:
    for retry_after, wished_ms in (
        ("120", 120_000),
        ("1", AGAIN_MS_MIN),
        ("99999999", RETRY_AFTER_MS_MAX),
        ("soon", AGAIN_MS_MIN),
    ):
        with Receiver(answering(429, b"", **{"Retry-After": retry_after})) as receiver:
            post.put(post.webhook(receiver.url).id, 7)
            post.round()
        ((next_ms,),) = post.rows("next_ms")[-1:]
        assert next_ms - post.shop.clock() == wished_ms, retry_after


def test_after_a_week_of_ever_longer_pauses_it_is_a_dead_letter(post: Post) -> None:
    shop = post.shop
    began_ms, pauses = shop.clock(), []
    with Receiver(answering(503)) as receiver:
        post.put(post.webhook(receiver.url).id, 7)
        while True:
            post.round()
            ((state, next_ms),) = post.rows("state", "next_ms")
            if state == "failed":
                break
            pauses.append(next_ms - shop.clock())
            shop.clock.ms = next_ms if len(pauses) < 12 else began_ms + WEBHOOK_KEPT_MS
    assert pauses[:4] == [5_000, 10_000, 20_000, 40_000]
    assert max(pauses) == HOUR_MS
    assert (state, shop.clock() - began_ms >= WEBHOOK_KEPT_MS) == ("failed", True)


def test_a_customer_keeps_the_order_and_holds_up_nobody_else(post: Post) -> None:
    refused = threading.Event()

    def behave(exchange: Exchange) -> None:
        is_refused = exchange.server.sent[-1].message["n"] == ids[1] and not refused.is_set()
        exchange.answer(503 if is_refused else 200)
        if is_refused:
            refused.set()

    with Receiver(behave) as receiver:
        hook = post.webhook(receiver.url, connections_max=1)
        ids = post.put(hook.id, *[7, 7, 7, 8, 7, 8, None])
        post.round()
        first = [sent.message["n"] for sent in receiver.sent]
        assert sorted(first) == [ids[0], ids[1], ids[3], ids[5], ids[6]]
        assert first.index(ids[0]) < first.index(ids[1])
        assert first.index(ids[3]) < first.index(ids[5])
        post.shop.clock.ms += AGAIN_MS_MIN
        post.round()
    assert [sent.message["n"] for sent in receiver.sent[len(first) :]] == [ids[1], ids[2], ids[4]]
    assert {state for (state,) in post.rows("state")} == {"delivered"}


def test_no_more_at_a_time_than_allowed_and_one_of_a_customer(post: Post) -> None:
    lock, now, most = threading.Lock(), list[str](), list[int]()

    def behave(exchange: Exchange) -> None:
        customer = exchange.headers["webhook-id"]
        with lock:
            now.append(customer)
            most.append(len(now))
        time.sleep(0.005)
        with lock:
            now.remove(customer)
        exchange.answer(200)

    with Receiver(behave) as receiver:
        hook = post.webhook(receiver.url, connections_max=3)
        post.put(hook.id, *[customer_id for customer_id in range(1, 11) for _ in range(3)])
        post.round()
        assert (len(receiver.sent), max(most)) == (30, 3)
        most.clear()
        post.put(hook.id, *[7] * 5)
        post.round()
        assert (len(receiver.sent), max(most)) == (35, 1)


def test_who_keeps_failing_is_probed_by_one_at_a_time(post: Post) -> None:
    with Receiver(answering(503)) as receiver:
        hook = post.webhook(receiver.url, connections_max=1)
        post.put(hook.id, *range(1, 41))

        async def look_twice(org: OrgDelivery) -> None:
            await org.turn()
            await org.ended()
            assert len(receiver.sent) == FAILURES_BEFORE_PROBE
            assert await org.turn()  # it is left alone for now
            await org.ended()
            assert len(receiver.sent) == FAILURES_BEFORE_PROBE
            post.shop.clock.ms += AGAIN_MS_MIN
            await org.turn()
            await org.ended()
            assert len(receiver.sent) == FAILURES_BEFORE_PROBE + 1
            receiver.behave = answering(200)
            post.shop.clock.ms += 2 * AGAIN_MS_MIN
            await org.turn()

        post.run(look_twice)
    assert {state for (state,) in post.rows("state")} == {"delivered"}


def test_a_hanging_receiver_costs_its_own_lane(post: Post) -> None:
    with Receiver(hanging) as hung, Receiver() as well:
        post.put(post.webhook(hung.url).id, 7)
        other = post.webhook(well.url)

        async def look(org: OrgDelivery) -> None:
            await org.turn()
            for _ in range(3):
                post.put(other.id, 7)
                await org.turn()
            while not all(state == "delivered" for (state,) in post.rows("state")[1:]):
                await org.turn()
            org.stop()
            hung.released.set()

        post.run(look)
    assert post.rows("state")[0] == ("waiting",)


def test_what_a_crash_left_unrecorded_is_sent_again_the_same(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    record: Callable[..., object] = LaneRows.record

    async def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with Receiver() as receiver:
        post.put(post.webhook(receiver.url).id, 7)
        monkeypatch.setattr(LaneRows, "record", crash)
        with pytest.raises(KeyboardInterrupt):
            post.round()
        assert post.rows("state", "attempts") == [("waiting", 0)]
        monkeypatch.setattr(LaneRows, "record", record)
        post.round()
    first, again = receiver.sent
    assert (first.body, first.headers["webhook-id"]) == (again.body, again.headers["webhook-id"])
    assert post.rows("state") == [("delivered",)]


def test_what_cannot_be_recorded_yet_is_not_sent_again(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    record, tries = LaneRows.record, [3]

    async def troubled(self: LaneRows, outcomes: object) -> None:
        tries[0] -= 1
        if tries[0]:
            raise StoreError(Trouble.LOCKED, Stage.BEGIN)
        await record(self, outcomes)  # type: ignore[arg-type] # handed on

    monkeypatch.setattr(LaneRows, "record", troubled)
    with Receiver() as receiver:
        post.put(post.webhook(receiver.url).id, 7)
        post.round()
    assert len(receiver.sent) == 1
    assert post.rows("state") == [("delivered",)]


def test_what_waits_for_a_webhook_that_is_gone_is_a_dead_letter(post: Post) -> None:
    with Receiver() as receiver:
        hook = post.webhook(receiver.url)
        post.put(hook.id, 7, None)
        post.put(hook.id + 5, 7)
        with post.shop.database.writing() as tx:
            tx.connection.execute(update(t.webhook).values(is_active=False))
        post.round()
    assert receiver.sent == []
    assert post.rows("state", "problem") == [("failed", "the webhook is switched off, or gone")] * 3
