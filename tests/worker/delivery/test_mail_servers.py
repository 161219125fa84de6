"""What mail servers do to us: slow ones, silent ones, ones that refuse, forget or make things up."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from apprise import URLBase

from couponry.core import emails
from couponry.core.deliveries import Channel
from couponry.core.limits import FAILURES_BEFORE_PROBE, MESSAGE_THREADS_PER_LANE
from couponry.worker.delivery import messages, smtp, webhooks
from tests.api.shop import Shop
from tests.receiver import Exchange, Receiver
from tests.worker.delivery.mailserver import MailServer
from tests.worker.delivery.post import Post

MIRA = "mira@example.com"
MAIL = emails.plain("Your voucher", "H4TQ9ZKM").body()


@pytest.fixture
def post(shop: Shop) -> Post:
    return Post(shop)


class Slow(MailServer):
    """Takes its time with a recipient, and with a message that it has taken."""

    def __init__(self, rcpt_s: float = 0, word_s: float = 0) -> None:
        super().__init__()
        self.rcpt_s, self.word_s = rcpt_s, word_s

    async def handle_RCPT(  # noqa: N802 - as aiosmtpd calls it
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: Any
    ) -> str:
        await asyncio.sleep(self.rcpt_s)
        return await super().handle_RCPT(_server, _session, envelope, address, options)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        said = await super().handle_DATA(server, session, envelope)
        await asyncio.sleep(self.word_s)
        return said


def sent_by(post: Post, server: MailServer, *addresses: str) -> list[tuple[Any, ...]]:
    with server:
        post.shop.set(emailUrl=server.url)
        for customer_id, address in enumerate(addresses, 1):
            post.put(Channel.EMAIL, customer_id, address=address, body=MAIL)
        post.round()
    return post.rows("state", "attempts", "problem")


def test_a_late_word_on_a_message_counts(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or who has it would be sent it again, all day long."""
    monkeypatch.setattr(smtp, "MESSAGE_TAKEN_MS_MAX", 300)
    server = Slow(word_s=0.6)
    assert sent_by(post, server, MIRA) == [("delivered", 1, "")]
    assert len(server.accepted) == 1


def test_nothing_is_sent_after_the_deadline(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "MESSAGE_TAKEN_MS_MAX", 1_000)
    server = Slow(rcpt_s=1.5)
    assert sent_by(post, server, MIRA) == [("waiting", 1, "not taken within 1 s")]
    assert server.accepted == []


def test_no_word_at_all(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "MESSAGE_WORD_MS_MAX", 1_000)
    assert sent_by(post, Slow(word_s=1.5), MIRA) == [("waiting", 1, "no word on it within 1 s")]


def test_a_server_that_hangs_takes_no_thread(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a single thread for all gateways, an SMS that needs it is sent while e-mails hang."""
    monkeypatch.setattr(messages, "MESSAGE_THREADS_MAX", 1)
    monkeypatch.setattr(smtp, "MESSAGE_TAKEN_MS_MAX", 3_000)
    with Receiver() as gateway, Slow(rcpt_s=60) as server:
        post.shop.set(emailUrl=server.url, smsUrl=f"form://127.0.0.1:{gateway.server_port}/")
        post.put(Channel.EMAIL, *range(1, 9), address=MIRA, body=MAIL)
        post.put(Channel.SMS, 1, address="919812300001", body="Hello")
        running = threading.Thread(target=post.round)
        running.start()
        gateway.await_arrivals(1)
        assert running.is_alive()
        running.join()
        assert server.connections == MESSAGE_THREADS_PER_LANE
    assert {row[0] for row in post.rows("state")} == {"waiting", "delivered"}


@pytest.mark.parametrize("address", ["jörg@example.com", "a b@example.com", "<a@example.com", "a@exämple.com"])
def test_an_address_that_cannot_be_sent_to_is_no_fault_of_the_server(post: Post, address: str) -> None:
    server = MailServer()
    rows = sent_by(post, server, *[address] * FAILURES_BEFORE_PROBE, MIRA)
    assert rows == [("failed", 1, "no e-mail can be sent to this address")] * FAILURES_BEFORE_PROBE + [("delivered", 1, "")]


def test_refusals_of_us_may_pass_those_of_a_recipient_do_not(post: Post) -> None:
    class Strict(MailServer):
        async def handle_MAIL(  # noqa: N802 - as aiosmtpd calls it
            self, _server: SMTP, _session: Session, _envelope: Envelope, _address: str, _options: Any
        ) -> str:
            return "530 log in first"

    assert sent_by(post, Strict(), MIRA) == [("waiting", 1, "SMTP 530")]


def test_a_server_that_has_enough_after_each_message_gets_new_connections(post: Post) -> None:
    class Weary(MailServer):
        async def handle_MAIL(  # noqa: N802 - as aiosmtpd calls it
            self, _server: SMTP, session: Session, envelope: Envelope, address: str, options: Any
        ) -> str:
            used = getattr(session, "used", False)
            session.used = True  # type: ignore[attr-defined] # ours
            if used:
                return "452 too many messages on this connection"
            envelope.mail_from = address
            envelope.mail_options.extend(options)
            return "250 OK"

    server = Weary()
    rows = sent_by(post, server, *(f"c{number}@example.com" for number in range(20)))
    assert rows == [("delivered", 1, "")] * 20
    assert server.connections == 20


@pytest.mark.parametrize(
    "talk",
    [
        lambda: b"",
        lambda: b"what?\r\n",
        lambda: b"220 " + b"x" * 100_000 + b"\r\n",
        lambda: b"220-" + b"x" * 100 + b"\r\n" + b"220-more\r\n" * 20_000,
    ],
    ids=["hangs up", "no code", "long line", "many lines"],
)
def test_who_is_no_mail_server(post: Post, talk: Callable[[], bytes]) -> None:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(talk())
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            post.shop.set(emailUrl=f"mailto://127.0.0.1:{server.sockets[0].getsockname()[1]}?from=shop@example.com")
            post.put(Channel.EMAIL, 1, address=MIRA, body=MAIL)
            await asyncio.to_thread(post.round)

    asyncio.run(main())
    ((state, problem),) = post.rows("state", "problem")
    assert state == "waiting"
    assert "SMTP" in problem


@pytest.mark.parametrize("scheme", ["form", "xml"])
def test_a_gateway_that_redirects_is_not_followed(post: Post, scheme: str) -> None:
    with Receiver() as inner, Receiver(lambda exchange: exchange.answer(302, Location=inner.url)) as outer:
        post.shop.set(smsUrl=f"{scheme}://127.0.0.1:{outer.server_port}/")
        post.put(Channel.SMS, 1, address="919812300001", body="Hello")
        post.round()
        assert (len(outer.sent), inner.sent) == (1, [])
    assert post.rows("state", "http_status") == [("waiting", 302)]


def test_an_sms_by_mail_goes_to_the_address_that_the_url_makes(post: Post) -> None:
    with MailServer() as server:
        for more in ("&to={to}@sms.example.com", ""):
            post.shop.set(smsUrl=server.url + more)
            post.put(Channel.SMS, 1, address="919812300001", body="Hello é")
            post.round()
    ((to, message),) = server.accepted
    assert (to, message["To"], message.get_content()) == ("919812300001@sms.example.com",) * 2 + ("Hello é",)
    assert post.rows("state", "problem") == [("delivered", ""), ("waiting", "the gateway's URL cannot be used")]


def test_a_mail_server_named_apart_from_its_domain_is_judged(shop: Shop) -> None:
    post = Post(shop, allowed=())
    with MailServer() as server:
        url = f"mailto://u:p@example.com:{server.port}?smtp=127.0.0.1&from=shop@example.com"
        shop.set(smsUrl=url + "&to={to}@sms.example.com", emailUrl=url)
        post.put(Channel.SMS, 1, address="919812300001", body="Hello")
        post.put(Channel.EMAIL, 1, address=MIRA, body=MAIL)
        post.round()
        assert server.connections == 0
    assert post.rows("state", "problem") == [("waiting", "the gateway's address may not be reached")] * 2


@pytest.mark.parametrize("url", ["json://[::1", "nonsense", "mailto://127.0.0.1?from=no+address&to={to}@x.example.com"])
def test_urls_that_cannot_be_used(post: Post, url: str) -> None:
    post.shop.set(smsUrl=url)
    post.put(Channel.SMS, 1, address="919812300001", body="Hello")
    post.round()
    assert post.rows("state", "attempts") == [("waiting", 1)]


@pytest.mark.parametrize(
    "url", ["form://no.such.host.invalid/", "mailto://no.such.host.invalid?from=shop@example.com&to={to}@x.example.com"]
)
def test_a_host_that_is_none_is_not_reached(post: Post, url: str) -> None:
    post.shop.set(smsUrl=url)
    post.put(Channel.SMS, 1, address="919812300001", body="Hello")
    post.round()
    ((state, problem),) = post.rows("state", "problem")
    assert (state, problem in {"there is no such host", "no SMTP answer: ConnectError"}) == ("waiting", True)


def test_a_gateway_that_never_ends_its_answer_is_hung_up_on(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    def drip(exchange: Exchange) -> None:
        exchange.send_response(200)
        exchange.send_header("Content-Length", "1000000")
        exchange.end_headers()
        with suppress(OSError):
            while not exchange.server.released.wait(0.1):
                exchange.wfile.write(b"x")

    monkeypatch.setattr(messages, "MESSAGE_WORD_MS_MAX", 1_000)
    with Receiver(drip) as gateway:
        post.shop.set(smsUrl=f"xml://127.0.0.1:{gateway.server_port}/")
        post.put(Channel.SMS, 1, address="919812300001", body="Hello")
        began_s = time.monotonic()
        post.round()
        assert time.monotonic() - began_s < 10
        gateway.released.set()
    assert post.rows("state", "attempts") == [("waiting", 1)]


def test_a_name_that_means_another_address_a_moment_later_gains_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    post = Post(shop, allowed=())
    look_up, asked = socket.getaddrinfo, []

    def rebound(host: Any, *args: Any, **more: Any) -> Any:
        if host != "rebound.example.com":
            return look_up(host, *args, **more)
        asked.append(host)
        return look_up("93.184.216.34" if len(asked) == 1 else "127.0.0.1", *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    with Receiver() as gateway:
        shop.set(smsUrl=f"xml://rebound.example.com:{gateway.server_port}/")
        post.put(Channel.SMS, 1, address="919812300001", body="Hello")
        post.round()
        assert (len(asked), gateway.sent) == (2, [])
    assert post.rows("state") == [("waiting",)]


@pytest.mark.parametrize("scheme", ["json", "xml"])
def test_a_gateway_that_takes_long_has_its_word_heard(post: Post, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which Apprise by itself would not wait for, nor would we for a webhook."""
    monkeypatch.setattr(URLBase, "socket_read_timeout", 0.3)
    monkeypatch.setattr(webhooks, "WEBHOOK_MS_MAX", 300)

    def slowly(exchange: Exchange) -> None:
        time.sleep(0.8)
        exchange.answer(200)

    with Receiver(slowly) as gateway:
        post.shop.set(smsUrl=f"{scheme}://127.0.0.1:{gateway.server_port}/")
        post.put(Channel.SMS, 1, address="919812300001", body="Hello")
        post.round()
    assert post.rows("state", "attempts") == [("delivered", 1)]
