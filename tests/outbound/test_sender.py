"""What comes of a message, by what the receiver does with it: over real sockets, and decided by no timing."""

import asyncio
import hmac
import ssl
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path
from socket import create_server
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from couponry.core.limits import (
    HOOK_ANSWER_BYTES_MAX,
    HOOK_CONNECTIONS_PER_TARGET_MAX,
    HOOK_FAILURES_MAX,
    HOOK_OPEN_MS,
    HOOK_TRIES_MAX,
)
from couponry.outbound import Received, Sender, Signer, Unreached
from couponry.outbound import sender as sender_module
from tests.receiver import LOOPBACK, Behave, Exchange, Receiver, Sent, answering, babbling, flooding, hanging, hanging_up

ORG = 1001
BODY = b'{"event":"PreRedeem"}'
SIGNER = Signer(b"only for this test")


class Clock:
    ms = 1_930_913_400_123

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


def run(clock: Clock, work: Any, *allowed: str) -> Any:
    """Run `work(sender)` on a loop of its own, and close the sender."""

    async def all_of_it() -> Any:
        sender = Sender(SIGNER, tuple(ip_network(network) for network in allowed), clock, lambda: 0.0)
        try:
            return await work(sender)
        finally:
            await sender.close()

    return asyncio.run(all_of_it())


def send_once(receiver: Receiver, clock: Clock) -> Received | Unreached:
    async def work(sender: Sender) -> Received | Unreached:
        return await sender.send(ORG, receiver.url, "msg_1", BODY)

    answer: Received | Unreached = run(clock, work, LOOPBACK)
    return answer


def verified(sent: Sent, secret: str) -> bool:
    """As the specification of Standard Webhooks says, without our code."""
    key = b64decode(secret.removeprefix("whsec_"))
    content = f"{sent.headers['webhook-id']}.{sent.headers['webhook-timestamp']}.".encode() + sent.body
    expected = b64encode(hmac.new(key, content, sha256).digest()).decode()
    return f"v1,{expected}" in sent.headers["webhook-signature"].split()


@pytest.mark.parametrize(
    ("behave", "expected", "times"),
    [
        (answering(200, b"yes"), Received(200, b"yes"), 1),
        (answering(204), Received(204, b""), 1),
        (answering(400, b"no"), Received(400, b"no"), 1),
        (answering(404), Received(404, b""), 1),
        (answering(302, Location="http://127.0.0.1/"), Received(302, b""), 1),
        (answering(307, Location="/elsewhere"), Received(307, b""), 1),
        (answering(429), Received(429, b""), HOOK_TRIES_MAX),
        (answering(503, b"later"), Received(503, b"later"), HOOK_TRIES_MAX),
        (answering(200, b"x" * HOOK_ANSWER_BYTES_MAX), Received(200, b"x" * HOOK_ANSWER_BYTES_MAX), 1),
        (answering(200, b"x" * (HOOK_ANSWER_BYTES_MAX + 1)), Received(200, None), 1),
        (flooding, Received(200, None), 1),
        (hanging_up, Unreached("RemoteProtocolError"), HOOK_TRIES_MAX),
        (babbling, Unreached("RemoteProtocolError"), HOOK_TRIES_MAX),
    ],
)
def test_what_comes_of_it(receiver: Receiver, clock: Clock, behave: Behave, expected: Any, times: int) -> None:
    receiver.behave = behave
    assert send_once(receiver, clock) == expected
    assert [sent.body for sent in receiver.sent] == [BODY] * times
    assert {sent.path for sent in receiver.sent} == {"/hook?of=us"}
    assert {sent.headers["webhook-id"] for sent in receiver.sent} == {"msg_1"}


def test_second_try_may_be_well(receiver: Receiver, clock: Clock) -> None:
    behaviours = iter([hanging_up, answering(200, b"{}")])

    def in_turn(exchange: Exchange) -> None:
        next(behaviours)(exchange)

    receiver.behave = in_turn
    assert send_once(receiver, clock) == Received(200, b"{}")


def test_signature(receiver: Receiver, clock: Clock) -> None:
    send_once(receiver, clock)
    (sent,) = receiver.sent
    assert sent.headers["webhook-timestamp"] == str(clock.ms // 1000)
    assert verified(sent, SIGNER.secret_of(ORG))
    assert not verified(sent, SIGNER.secret_of(ORG + 1))
    assert not verified(sent, Signer(b"another installation").secret_of(ORG))
    assert sent.headers["content-type"].startswith("application/json")


def test_hanging_is_given_up(receiver: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "HOOK_MS_MAX", 200)
    receiver.behave = hanging
    assert send_once(receiver, clock) == Unreached("too slow")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://2130706433:{port}/",
        "http://0x7f000001:{port}/",
        "http://127.1:{port}/",
        "http://0:{port}/",
        "http://[::1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
    ],
)
def test_private_addresses_are_never_connected_to(receiver: Receiver, clock: Clock, url: str) -> None:
    async def work(sender: Sender) -> Any:
        return await sender.send(ORG, url.format(port=receiver.server_port), "msg_1", BODY)

    answer = run(clock, work)
    assert isinstance(answer, Unreached)
    assert not receiver.sent


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "http://127.0.0.1:99999/", "http:///", "/", "http://a b/", f"http://{'a' * 300}/"]
)
def test_no_url(clock: Clock, url: str) -> None:
    async def work(sender: Sender) -> Any:
        return await sender.send(ORG, url, "msg_1", BODY)

    assert isinstance(run(clock, work, LOOPBACK), Unreached)


def test_nobody_there(clock: Clock) -> None:
    with closing(create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]

    async def work(sender: Sender) -> Any:
        return await sender.send(ORG, f"http://127.0.0.1:{port}/", "msg_1", BODY)

    assert run(clock, work, LOOPBACK) == Unreached("ConnectError")


def test_circuit_opens_and_is_tried_again(receiver: Receiver, clock: Clock) -> None:
    receiver.behave = hanging_up

    async def work(sender: Sender) -> None:
        async def send(org_id: int = ORG) -> Received | Unreached:
            return await sender.send(org_id, receiver.url, "msg_1", BODY)

        for _ in range(HOOK_FAILURES_MAX):
            assert isinstance(await send(), Unreached)
        receiver.behave = answering(204)
        arrived = len(receiver.sent)
        assert await send() == Unreached("left alone")
        assert len(receiver.sent) == arrived
        assert await send(ORG + 1) == Received(204, b"")
        clock.ms += HOOK_OPEN_MS
        assert await send() == Received(204, b"")
        assert await send() == Received(204, b"")

    run(clock, work, LOOPBACK)


def test_refusals_do_not_open_it(receiver: Receiver, clock: Clock) -> None:
    receiver.behave = answering(403)

    async def work(sender: Sender) -> None:
        for _ in range(HOOK_FAILURES_MAX + 1):
            assert await sender.send(ORG, receiver.url, "msg_1", BODY) == Received(403, b"")

    run(clock, work, LOOPBACK)


def test_hanging_target_takes_no_more_than_its_share(receiver: Receiver, clock: Clock) -> None:
    """While all of its connections hang, another org's hook is asked as ever."""
    receiver.behave = hanging
    with Receiver() as well:

        async def work(sender: Sender) -> None:
            stuck = [
                asyncio.create_task(sender.send(ORG, receiver.url, f"msg_{number}", BODY))
                for number in range(2 * HOOK_CONNECTIONS_PER_TARGET_MAX)
            ]
            await asyncio.to_thread(receiver.await_arrivals, HOOK_CONNECTIONS_PER_TARGET_MAX)
            assert await sender.send(ORG + 1, well.url, "msg", BODY) == Received(204, b"")
            assert len(receiver.sent) == HOOK_CONNECTIONS_PER_TARGET_MAX
            for task in stuck:
                task.cancel()
            await asyncio.gather(*stuck, return_exceptions=True)

        run(clock, work, LOOPBACK)


def test_who_goes_away_is_no_failure(receiver: Receiver, clock: Clock) -> None:
    receiver.behave = hanging

    async def work(sender: Sender) -> None:
        for number in range(HOOK_FAILURES_MAX + 1):
            task = asyncio.create_task(sender.send(ORG, receiver.url, "msg", BODY))
            await asyncio.to_thread(receiver.await_arrivals, number + 1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        receiver.behave = answering(204)
        assert await sender.send(ORG, receiver.url, "msg", BODY) == Received(204, b"")

    run(clock, work, LOOPBACK)


@pytest.mark.parametrize("is_trusted", [True, False])
def test_tls_is_for_the_name(
    receiver: Receiver, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_trusted: bool
) -> None:
    """The connection goes to an address, the certificate has to be the host's; and nothing is sent before it is."""
    certificate = self_signed("localhost", tmp_path)
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    receiver.socket = context.wrap_socket(receiver.socket, server_side=True)

    async def work(sender: Sender) -> list[Any]:
        urls = (f"https://{host}:{receiver.server_port}/" for host in ("localhost", "127.0.0.1"))
        return [await sender.send(ORG, url, "msg", BODY) for url in urls]

    by_name, by_address = run(clock, work, LOOPBACK)
    assert by_name == (Received(204, b"") if is_trusted else Unreached("ConnectError"))
    assert by_address == Unreached("ConnectError")
    assert len(receiver.sent) == is_trusted


def self_signed(name: str, folder: Path) -> Path:
    """A file with a key, and with a certificate of the name by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 1, today - timedelta(days=1), today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "certificate.pem"
    path.write_bytes(private + certificate.public_bytes(pem))
    return path


def test_connections_are_used_again(receiver: Receiver, clock: Clock) -> None:
    ports = []

    def noting(exchange: Any) -> None:
        ports.append(exchange.client_address)
        exchange.answer(204)

    receiver.behave = noting

    async def work(sender: Sender) -> None:
        for _ in range(3):
            await sender.send(ORG, receiver.url, "msg", BODY)

    run(clock, work, LOOPBACK)
    assert len(ports) == 3
    assert len(set(ports)) == 1
