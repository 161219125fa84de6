"""One attempt to tell a webhook: a signed POST over a kept connection, to an address that is for everybody (events 2).

By aiohttp: `httpcore`, which the hooks are asked through, is several times slower and stays so with many connections (ADR 26).
"""

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from couponry.core.deliveries import Due, Webhook
from couponry.core.event_ids import event_id
from couponry.core.limits import (
    DELIVERY_RESOLVER_THREADS,
    WEBHOOK_ANSWER_BYTES_MAX,
    WEBHOOK_CONNECTIONS_MAX,
    WEBHOOK_KEPT_MS,
    WEBHOOK_MS_MAX,
)
from couponry.outbound import Signer
from couponry.outbound.addresses import Network, may_reach
from couponry.worker.delivery.attempts import Attempt
from couponry.worker.delivery.backoff import wished_ms

_WORTH_ANOTHER_TRY: Final = frozenset({408, 425, 429})
_SERVER_ERROR: Final = 500
_USUAL: Final = {
    "Content-Type": "application/json; charset=utf-8",
    "Accept-Encoding": "identity",  # what is not unpacked cannot be a bomb
    "User-Agent": "couponry",
}
# What a webhook's own headers cannot change: how the message is framed, and who signed it.
_OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "expect", "te", "trailer"})
_REFUSED: Final = "not an address that may be reached"


class AddressRefused(OSError):
    """An address that is not for everybody."""


class Resolver(AbstractResolver):
    """Looks names up in threads of its own: a name server that hangs holds up nothing else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(DELIVERY_RESOLVER_THREADS, "delivery-resolver")

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        """As aiohttp asks it. A name that no host can have is none."""
        look_up = asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host, port, family)
        return [
            ResolveResult(hostname=host, host=str(address[0]), port=port, family=kind, proto=proto, flags=socket.AI_NUMERICHOST)
            for kind, _, proto, _, address in await look_up
        ]

    async def close(self) -> None:
        """Forget the names still being looked up."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int, family: int) -> list[Any]:
    try:
        return socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        raise OSError(None, "no such host") from error


class Posts:
    """POSTs of one process, over connections that are kept. Make it on the loop that uses it."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        connector = aiohttp.TCPConnector(limit=0, resolver=Resolver(), socket_factory=self._socket)
        self._session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, now_ms: int, ms_max: int = 0) -> Attempt:
        """One request and what it means. The status decides; a body after it may be as long or slow as it likes."""
        limit_s = (ms_max or WEBHOOK_MS_MAX) / 1000
        limits = aiohttp.ClientTimeout(total=limit_s, sock_connect=WEBHOOK_MS_MAX / 1000)
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False, timeout=limits) as response:
                await _drain(response)
                return _attempt(response, now_ms)
        except AddressRefused:
            return Attempt(is_delivered=False, problem=_REFUSED)
        except TimeoutError:
            return Attempt(is_delivered=False, is_passing=True, problem=f"no answer within {limit_s:.0f} s")
        except (aiohttp.InvalidURL, UnicodeError):
            return Attempt(is_delivered=False, problem="the URL cannot be used")
        except aiohttp.ClientConnectorError as error:
            is_refused = isinstance(error.os_error, AddressRefused)
            return Attempt(is_delivered=False, is_passing=not is_refused, problem=_REFUSED if is_refused else _named(error))
        except (aiohttp.ClientError, OSError) as error:
            return Attempt(is_delivered=False, is_passing=True, problem=_named(error))
        except ValueError:
            return Attempt(is_delivered=False, problem="a header cannot be sent")

    async def close(self) -> None:
        """Let go of all connections."""
        await self._session.close()

    def _socket(self, address: Any) -> socket.socket:  # noqa: ANN401 - as aiohttp declares it
        """For the very address that is connected to, so that a name which means another a moment later gains nothing."""
        family, kind, proto, _, where = address
        if not may_reach(ip_address(str(where[0])), self._allowed):
            raise AddressRefused(_REFUSED)
        return socket.socket(family, kind, proto)


class WebhookTarget:
    """A webhook as a lane sends to it. `clock` gives epoch milliseconds."""

    kept_ms = WEBHOOK_KEPT_MS

    def __init__(
        self, org_id: int, webhook: Webhook, headers: Mapping[str, str], signer: Signer, posts: Posts, clock: Callable[[], int]
    ) -> None:
        self.connections = max(1, min(webhook.connections_max, WEBHOOK_CONNECTIONS_MAX))
        self._org_id = org_id
        self._webhook = webhook
        own = {name: value for name, value in headers.items() if not _is_ours(name)}
        is_typed = any(name.lower() == "content-type" for name in own)
        self._headers = {name: value for name, value in _USUAL.items() if not (is_typed and name == "Content-Type")} | own
        self._signer = signer
        self._posts = posts
        self._clock = clock

    async def prepare(self, dues: Sequence[Due]) -> None:
        """Nothing."""

    async def send(self, due: Due) -> Attempt:
        """Tell it of an event; every attempt has the same id and body."""
        now_ms, body, webhook = self._clock(), due.body.encode(), self._webhook
        signed = self._signer.headers_of_webhook(
            self._org_id, webhook.id, webhook.secret_numbers(now_ms), event_id(self._org_id, due.outbox_id), now_ms, body
        )
        headers = self._headers | {name.decode(): value.decode() for name, value in signed}
        return await self._posts.post(webhook.url, headers, body, now_ms)

    async def told(self, dues: Sequence[Due]) -> None:
        """Nothing more to do."""

    def close(self) -> None:
        """Nothing: connections are shared."""


class SealedTarget:
    """A webhook whose headers another secret sealed: it is sent nothing without them."""

    connections = 1
    kept_ms = WEBHOOK_KEPT_MS

    async def prepare(self, dues: Sequence[Due]) -> None:
        """Nothing."""

    async def send(self, due: Due) -> Attempt:  # noqa: ARG002 - it is nobody's
        """It may be told once the secret is the right one."""
        return Attempt(is_delivered=False, is_passing=True, problem="its headers were sealed with another secret")

    async def told(self, dues: Sequence[Due]) -> None:
        """Nothing was."""

    def close(self) -> None:
        """Nothing to let go of."""


def _is_ours(name: str) -> bool:
    return name.lower() in _OURS or name.lower().startswith("webhook-")


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read what follows, so that the connection can be used again; one whose answer is too long or too slow is closed."""
    read = 0
    try:
        async for chunk in response.content.iter_any():
            read += len(chunk)
            if read > WEBHOOK_ANSWER_BYTES_MAX:
                response.close()
                return
    except (aiohttp.ClientError, TimeoutError):
        response.close()


def _attempt(response: aiohttp.ClientResponse, now_ms: int) -> Attempt:
    status = response.status
    is_passing = status >= _SERVER_ERROR or status in _WORTH_ANOTHER_TRY
    return Attempt(
        is_delivered=200 <= status < 300,  # noqa: PLR2004 - what every reader knows
        is_passing=is_passing,
        http_status=status,
        problem="" if 200 <= status < 300 else f"HTTP {status}",  # noqa: PLR2004 - as above
        wished_ms=wished_ms(response.headers.get("Retry-After"), now_ms) if is_passing else 0,
    )


def _named(error: Exception) -> str:
    """By its kind alone: a message may hold what a receiver made up."""
    return f"no answer: {type(error).__name__}"
