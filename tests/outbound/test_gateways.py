"""Whether a gateway is there, asked so that nobody waits for one that hangs; and which URLs are none."""

import asyncio
import io
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from ipaddress import ip_network

import pytest

from couponry.core.deliveries import Channel
from couponry.core.limits import GATEWAY_KNOWN_MS, GATEWAY_WAIT_MS_MAX
from couponry.core.status import Code
from couponry.outbound.gateways import Gateways, place_of
from tests.receiver import LOOPBACK


class Clock:
    ms = 0

    def __call__(self) -> int:
        return self.ms


@asynccontextmanager
async def hanging() -> AsyncIterator[int]:
    """A port whose queue is full, so that connections are neither made nor refused."""
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        port = server.getsockname()[1]
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        try:
            yield port
        finally:
            for each in waiting:
                each.close()


async def asked(gateways: Gateways, url: str) -> tuple[Code | None, float]:
    """What is known of a gateway, and how many ms it took to say."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    found = await gateways.problem(Channel.EMAIL, url)
    return found, (loop.time() - began_s) * 1000


def test_only_the_first_look_at_a_gateway_that_hangs_is_waited_for() -> None:
    async def main() -> None:
        clock = Clock()
        gateways = Gateways((ip_network(LOOPBACK),), clock)
        async with hanging() as port:
            url = f"mailto://127.0.0.1:{port}?from=shop@example.com"
            assert (await asked(gateways, url))[0] is Code.GATEWAY_UNREACHABLE
            for _ in range(3):
                clock.ms += GATEWAY_KNOWN_MS
                many = await asyncio.gather(*(asked(gateways, url) for _ in range(20)))
                assert {found for found, _ in many} == {Code.GATEWAY_UNREACHABLE}
                assert max(ms for _, ms in many) < 2 * GATEWAY_WAIT_MS_MAX
            found, ms = await asked(gateways, url)  # the look goes on
            assert (found, ms < GATEWAY_WAIT_MS_MAX / 2) == (Code.GATEWAY_UNREACHABLE, True)
        await asyncio.sleep(1)
        clock.ms += GATEWAY_KNOWN_MS
        with closing(socket.create_server(("127.0.0.1", port))):
            assert (await asked(gateways, url))[0] is None
        gateways.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    "url",
    [
        "form://gw.example.com/?redirect=yes",
        "json://gw.example.com/?REDIRECT=1",
        "mailto://u:p@example.com?redirect=on",
        "nonsense://",
        "json://gw.example.com:99999/",
    ],
)
def test_urls_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ValueError, match="no such"):
        place_of(Channel.SMS, url)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("json://gw.example.com/?redirect=no", ("gw.example.com", 80)),
        ("jsons://gw.example.com:8443/x", ("gw.example.com", 8443)),
        ("mailto://u:p@example.com?smtp=127.0.0.1", ("127.0.0.1", 25)),  # and not where its name leads
        ("twilio://AC" + "a" * 32 + ":" + "b" * 32 + "@15551230000/", None),
    ],
)
def test_where_a_gateway_is(url: str, place: tuple[str, int] | None) -> None:
    assert place_of(Channel.SMS, url) == place


def test_apprise_tells_no_log_what_stands_in_a_url() -> None:
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    try:
        with pytest.raises(ValueError, match="no such"):
            place_of(Channel.SMS, "twilio://AC-secret:token-secret@15551230000/")
    finally:
        logging.getLogger().removeHandler(handler)
    assert log.getvalue() == ""
