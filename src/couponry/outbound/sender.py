"""Sends a message to a target and says what came of it: within a deadline, in few tries, over few connections.

A hook may hang, lie, redirect or flood: none of it costs its org more than the deadline, and other orgs nothing.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final

import httpcore
import structlog
from msgspec import Struct

from couponry.core.limits import (
    HOOK_ANSWER_BYTES_MAX,
    HOOK_CONNECT_MS_MAX,
    HOOK_CONNECTIONS_MAX,
    HOOK_MS_MAX,
    HOOK_PAUSE_MS_MAX,
    HOOK_TRIES_MAX,
)
from couponry.outbound.addresses import AddressRefused, GuardedNetwork, Network
from couponry.outbound.circuits import Circuits
from couponry.outbound.signatures import Signer

log = structlog.get_logger()

_HEADERS: Final = (
    (b"Content-Type", b"application/json; charset=utf-8"),
    (b"Accept", b"application/json"),
    (b"Accept-Encoding", b"identity"),  # what is not unpacked cannot be a bomb
    (b"User-Agent", b"couponry"),
)
_TIMEOUTS: Final = {"connect": HOOK_CONNECT_MS_MAX / 1000}
_WORTH_ANOTHER_TRY: Final = frozenset({408, 425, 429})
_SERVER_ERROR: Final = 500


class Received(Struct, frozen=True, gc=False):
    """The target answered; `body` is None when it was longer than the bound, and not read to its end."""

    status: int
    body: bytes | None

    @property
    def is_accepted(self) -> bool:
        """2xx; a redirect is none, and is not followed."""
        return 200 <= self.status < 300  # noqa: PLR2004 - what every reader knows

    @property
    def is_passing(self) -> bool:
        """Whether another try may have another answer (events 2)."""
        return self.status >= _SERVER_ERROR or self.status in _WORTH_ANOTHER_TRY


class Unreached(Struct, frozen=True, gc=False):
    """No answer, or none in time."""

    reason: str
    is_passing: bool = True


class Sender:
    """One process's requests to hooks. `clock` gives epoch milliseconds, `chance` numbers from 0 to 1."""

    def __init__(self, signer: Signer, allowed: Sequence[Network], clock: Callable[[], int], chance: Callable[[], float]) -> None:
        self._signer = signer
        self._clock = clock
        self._chance = chance
        self._circuits = Circuits(clock)
        self._network = GuardedNetwork(allowed)

    @cached_property
    def _pool(self) -> httpcore.AsyncConnectionPool:
        """Made when the first hook is called: reading all certificates takes longer than everything else at the start."""
        return httpcore.AsyncConnectionPool(
            ssl_context=httpcore.default_ssl_context(),
            max_connections=HOOK_CONNECTIONS_MAX,
            max_keepalive_connections=HOOK_CONNECTIONS_MAX,
            keepalive_expiry=HOOK_MS_MAX / 1000,
            network_backend=self._network,
        )

    async def send(self, org_id: int, url: str, message_id: str, body: bytes) -> Received | Unreached:
        """POST the body; every try of the same message has the same id."""
        circuit = self._circuits.of(org_id, url)
        if not circuit.enter():
            return Unreached("left alone")
        is_begun = False
        answer: Received | Unreached = Unreached("too slow")
        try:
            async with asyncio.timeout(HOOK_MS_MAX / 1000), circuit.slots:
                is_begun = circuit.begin()
                answer = await self._tried(org_id, url, message_id, body) if is_begun else Unreached("left alone")
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            if is_begun:
                circuit.end(is_well=None)
            raise
        finally:
            circuit.leave()
        if is_begun:
            circuit.end(is_well=isinstance(answer, Received) and answer.status < _SERVER_ERROR)
        if isinstance(answer, Unreached):
            log.warning("hook_unreached", org_id=org_id, message_id=message_id, reason=answer.reason)
        return answer

    async def close(self) -> None:
        """Let go of all connections."""
        if "_pool" in vars(self):
            await self._pool.aclose()
        self._network.close()

    async def _tried(self, org_id: int, url: str, message_id: str, body: bytes) -> Received | Unreached:
        answer = await self._once(org_id, url, message_id, body)
        for _ in range(HOOK_TRIES_MAX - 1):
            if not answer.is_passing:
                break
            await asyncio.sleep(self._chance() * HOOK_PAUSE_MS_MAX / 1000)
            answer = await self._once(org_id, url, message_id, body)
        return answer

    async def _once(self, org_id: int, url: str, message_id: str, body: bytes) -> Received | Unreached:
        headers = [*_HEADERS, *self._signer.headers(org_id, message_id, self._clock(), body)]
        try:
            async with self._pool.stream(
                "POST", url, headers=headers, content=body, extensions={"timeout": _TIMEOUTS}
            ) as response:
                return Received(response.status, await _body_of(response))
        except AddressRefused as refused:
            return Unreached(str(refused), is_passing=False)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            return Unreached(type(error).__name__)
        except (httpcore.UnsupportedProtocol, ValueError) as error:
            return Unreached(type(error).__name__, is_passing=False)


async def _body_of(response: httpcore.Response) -> bytes | None:
    """The whole body; None as soon as it is over the limit."""
    read = bytearray()
    async for chunk in response.aiter_stream():
        read += chunk
        if len(read) > HOOK_ANSWER_BYTES_MAX:
            return None
    return bytes(read)
