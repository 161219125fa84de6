"""Which addresses may be connected to. A name is resolved here and its address checked, then that very address is connected to:
a name that means something else a moment later (DNS rebinding) gains nothing (events 2).
"""

import asyncio
import socket
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

import httpcore

from couponry.core.limits import HOOK_ADDRESSES_TRIED_MAX, HOOK_RESOLVER_THREADS

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NAT64: Final = IPv6Network("64:ff9b::/96")
_FOUR_BYTES: Final = 0xFFFFFFFF


class AddressRefused(httpcore.ConnectError):
    """A name that only means addresses which are not for everybody."""


def may_reach(address: Address, allowed: Iterable[Network]) -> bool:
    """Public, or in a network that the operator allows. An IPv6 address that stands for an IPv4 one is judged as both."""
    embedded = _embedded(address)
    if isinstance(address, IPv6Address) and address.ipv4_mapped and embedded:
        return may_reach(embedded, allowed)
    if any(address in network for network in allowed):
        return True
    return _is_public(address) and (embedded is None or _is_public(embedded))


def _is_public(address: Address) -> bool:
    is_local = isinstance(address, IPv6Address) and (address.is_site_local or address.scope_id is not None)
    return address.is_global and not (address.is_multicast or (address.is_reserved and address not in _NAT64) or is_local)


def _embedded(address: Address) -> IPv4Address | None:
    """The IPv4 address that mapping, 6to4 or NAT64 would deliver to."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & _FOUR_BYTES)
    return address.ipv4_mapped or address.sixtofour


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to addresses that may be reached, and to no other."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        self._network = httpcore.AnyIOBackend()
        # Threads of its own: a name server that hangs must not hold up those of the rest of the program.
        self._threads = ThreadPoolExecutor(HOOK_RESOLVER_THREADS, "resolver")

    async def connect_tcp(  # the protocol's own signature
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the protocol's own
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, check, connect. TLS is later made for the host's name, not for the address."""
        failed: Exception = httpcore.ConnectError("no such host")
        try:
            async with asyncio.timeout(timeout):
                for address in (await self.permitted(host, port))[:HOOK_ADDRESSES_TRIED_MAX]:
                    try:
                        return await self._network.connect_tcp(str(address), port, timeout, local_address, socket_options)
                    except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                        failed = error
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("too slow") from error
        raise failed

    def close(self) -> None:
        """Forget the names still being looked up."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def permitted(self, host: str, port: int) -> list[Address]:
        """The addresses of a host that may be reached, AddressRefused when none may, ConnectError for a name without any."""
        look_up = asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host, port)
        try:
            found = await look_up
        except (OSError, ValueError) as error:
            raise httpcore.ConnectError("no such host") from error
        permitted = [address for address in found if may_reach(address, self._allowed)]
        if not permitted:
            raise AddressRefused("not an address that may be reached")
        return permitted


def _look_up(host: str, port: int) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ip_address(address[0]) for *_, address in found]
