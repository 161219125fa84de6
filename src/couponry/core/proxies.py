"""Who really connected, where proxies stand in between."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Network = IPv4Network | IPv6Network

_IPV6_SITE_BITS: Final = 64


def client_address(remote: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """Who connected; behind proxies that are trusted, the nearest address that they name and that is none of them."""
    hops = [hop.strip() for hop in forwarded_for.split(",") if hop.strip()]
    while hops and _is_within(remote, trusted):
        remote = hops.pop()
    return remote


def site_of(address: str) -> int | str:
    """What one guesser owns: an IPv4 address, or the /64 of an IPv6 address."""
    parsed = _parsed(address)
    if isinstance(parsed, IPv6Address):
        return int(parsed) >> _IPV6_SITE_BITS
    return address if parsed else ""


def _is_within(address: str, networks: Sequence[Network]) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in networks)


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(address)
    except ValueError:
        return None
