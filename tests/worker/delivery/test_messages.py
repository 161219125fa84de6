"""What comes of a message, by its gateway: a mail server and an HTTP gateway on loopback."""

import asyncio
from base64 import b64encode
from ipaddress import ip_network
from typing import Any

import pytest
from apprise import Apprise, AppriseAsset
from sqlalchemy import func, select

from couponry.core import emails
from couponry.core.deliveries import Channel
from couponry.core.limits import AGAIN_MS_MIN, MESSAGE_KEPT_MS, SIDE_EFFECTS_LEFT_MS
from couponry.core.telling import OTP_MESSAGE
from couponry.outbound.gateways import addressed
from couponry.store import schema as t
from couponry.worker.delivery.attempts import Attempt
from couponry.worker.delivery.json_gateway import ANYBODY, json_gateway
from couponry.worker.delivery.webhooks import Posts
from tests.api.shop import Shop
from tests.receiver import LOOPBACK, Receiver, answering
from tests.worker.delivery.mailserver import MailServer
from tests.worker.delivery.post import VAULT, Post

MOBILE = "919812300001"
MIRA = "mira@example.com"
MAIL = emails.about_coupons("10 % für Ärzte", "Hello Mira,\nyour voucher is H4TQ9ZKM", ["H4TQ9ZKM"]).body()


@pytest.fixture
def post(shop: Shop) -> Post:
    return Post(shop)


@pytest.mark.parametrize(
    ("url", "is_sent_to"),
    [
        ("json://gw/sms", "json://gw/sms/%2B91"),
        ("json://gw/sms/?x=1", "json://gw/sms/%2B91?x=1"),
        ("json://gw/sms?:to={to}", "json://gw/sms?:to=%2B91"),
        ("twilio://sid:token@123/", "twilio://sid:token@123/%2B91"),
    ],
)
def test_where_the_address_stands_in_a_url(url: str, is_sent_to: str) -> None:
    assert addressed(url, "+91") == is_sent_to


def test_without_a_gateway_the_mailbox_has_it(post: Post) -> None:
    post.put(Channel.SMS, 7, address=MOBILE, body="Hello")
    post.put(Channel.EMAIL, 7, address=MIRA, body=MAIL)
    post.round()
    assert post.rows("state", "problem", "attempts") == [("delivered", "", 1)] * 2


def test_an_sms_goes_to_the_gateway(post: Post) -> None:
    with Receiver(answering(200)) as gateway:
        post.shop.set(smsUrl=f"json://127.0.0.1:{gateway.server_port}/sms?:to={{to}}")
        post.put(Channel.SMS, 7, address=MOBILE, body="Hello 50% <b>&amp; é 😀")
        post.round()
    (sent,) = gateway.sent
    assert (sent.message["to"], sent.message["message"]) == (MOBILE, "Hello 50% <b>&amp; é 😀")
    assert post.rows("state") == [("delivered",)]


@pytest.mark.parametrize(("status", "came"), [(500, "waiting"), (401, "waiting"), (429, "waiting"), (400, "failed")])
def test_what_a_gateway_says_decides(post: Post, status: int, came: str) -> None:
    with Receiver(answering(status)) as gateway:
        post.shop.set(smsUrl=f"json://127.0.0.1:{gateway.server_port}/sms")
        post.put(Channel.SMS, 7, address=MOBILE, body="Hello")
        post.round()
        assert post.rows("state", "http_status") == [(came, status)]
        ((problem,),) = post.rows("problem")
        assert str(status) in problem
        assert MOBILE not in problem
        post.shop.clock.ms += MESSAGE_KEPT_MS
        post.round()
    assert post.rows("state") == [("failed",)]


def test_gateways_at_private_addresses_are_refused(shop: Shop) -> None:
    post = Post(shop, allowed=())
    with Receiver(answering(200)) as gateway, MailServer() as server:
        shop.set(smsUrl=f"json://localhost:{gateway.server_port}/", emailUrl=server.url)
        post.put(Channel.SMS, 7, address=MOBILE, body="Hello")
        post.put(Channel.EMAIL, 7, address=MIRA, body=MAIL)
        post.round()
        assert (gateway.sent, server.accepted) == ([], [])
    assert post.rows("state", "problem") == [
        ("waiting", "not an address that may be reached"),
        ("waiting", "the gateway's address may not be reached"),
    ]


def test_an_email_has_text_html_and_the_codes_as_images(post: Post) -> None:
    with MailServer() as server:
        post.shop.set(emailUrl=server.url)
        ids = post.put(Channel.EMAIL, 7, 7, address=MIRA, body=MAIL)
        post.put(Channel.CONTACTS, None, address="owner@example.com", body=emails.plain("Soon over", "The offer ends").body())
        post.round()
    by_id = {message["Message-ID"]: (to, message) for to, message in server.accepted}
    assert len(by_id) == 3
    assert server.connections == 2  # one for each channel
    first = next(message for key, (_, message) in by_id.items() if key.startswith(f"<{ids[0]}."))
    assert (first["To"], first["Subject"], first["From"]) == (MIRA, "10 % für Ärzte", "Shop <shop@example.com>")
    assert [part.get_content_type() for part in first.walk()] == [
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
    ]
    image = list(first.walk())[-1]
    html: Any = first.get_body(("html",))
    text: Any = first.get_body(("plain",))
    assert f"cid:{image['Content-ID'].strip('<>')}" in html.get_content()
    assert text.get_content().splitlines() == ["Hello Mira,", "your voucher is H4TQ9ZKM"]
    assert {to for to, _ in server.accepted} == {MIRA, "owner@example.com"}


def test_whom_a_mail_server_refuses(post: Post) -> None:
    with MailServer() as server:
        server.refuses = {"nobody@example.com": "550 no such user", "full@example.com": "452 mailbox full"}
        post.shop.set(emailUrl=server.url)
        for customer_id, address in enumerate(("nobody@example.com", "full@example.com", "a\nb@example.com", MIRA), 1):
            post.put(Channel.EMAIL, customer_id, address=address, body=MAIL)
        post.round()
        assert post.rows("state", "problem") == [
            ("failed", "SMTP 550"),
            ("waiting", "SMTP 452"),
            ("failed", "no e-mail can be sent to this address"),
            ("delivered", ""),
        ]
    post.shop.clock.ms += AGAIN_MS_MIN
    post.round()  # the server is gone
    assert post.rows("state", "attempts")[1] == ("waiting", 2)


def test_a_validation_code_is_opened_on_its_way(post: Post) -> None:
    org_id = post.shop.org_id
    with Receiver(answering(200)) as gateway:
        post.shop.set(smsUrl=f"json://127.0.0.1:{gateway.server_port}/sms")
        for serial, sealed_for in ((901, 901), (902, 77)):
            body = b64encode(VAULT.seal(org_id, sealed_for, "Your OTP is 123456")).decode()
            post.put(Channel.SMS, None, address=MOBILE, body=body, event=OTP_MESSAGE, outbox_id=serial)
        post.round()
    assert [sent.message["message"] for sent in gateway.sent] == ["Your OTP is 123456"]
    assert post.rows("state", "problem") == [("delivered", ""), ("failed", "it was sealed with another secret")]


def test_a_hook_is_told_late_and_its_row_is_gone(post: Post) -> None:
    shop, redemption_id = post.shop, 4711
    long_ago_ms = shop.clock() - SIDE_EFFECTS_LEFT_MS - 1
    row = {"id": 5, "event": "SideEffects", "subject_id": redemption_id, "request_id": "r", "created_ms": long_ago_ms}
    shop.add(t.outbox, **row, position=1)
    body = '{"event":"SideEffects","redemptionId":4711}'
    with Receiver(answering(200, b"{}")) as hook:
        shop.set(sideEffectsHookUrl=hook.url)
        post.put(Channel.SIDE_EFFECTS, 7, event="SideEffects", outbox_id=5, body=body)
        post.round()
    (sent,) = hook.sent
    assert (sent.headers["webhook-id"], sent.body) == (f"effects_{shop.org_id}_4711", body.encode())
    assert post.rows("state") == [("delivered",)]
    with shop.database.reading() as tx:
        assert tx.rows(select(func.count()).select_from(t.outbox), {}) == [(0,)]


@pytest.mark.parametrize(
    "more",
    ["?:to={to}", "/a%20b?:message=text&:type=&:foo=bar", "?+X-Key=abc&-q=1%202&-to={to}", "?:version=v"],
)
def test_a_gateway_of_ones_own_is_asked_as_apprise_would(more: str) -> None:
    asset = AppriseAsset(async_mode=False)
    with Receiver(answering(200)) as gateway:
        url = f"json://me:s%20cret@127.0.0.1:{gateway.server_port}/sms{more}"
        Apprise.instantiate(addressed(url, MOBILE), asset=asset).notify(body="Hello é")  # type: ignore[union-attr] # it is one

        async def ours() -> Attempt:
            posts = Posts((ip_network(LOOPBACK),))
            try:
                found = json_gateway(Apprise.instantiate(addressed(url, ANYBODY), asset=asset), posts)
                assert found
                return await found.send(MOBILE, "Hello é", 0)
            finally:
                await posts.close()

        assert asyncio.run(ours()).is_delivered
    theirs, own = gateway.sent
    assert (own.path, own.message) == (theirs.path, theirs.message)
    for name in ("authorization", "x-key", "content-type"):
        assert own.headers.get(name) == theirs.headers.get(name)
