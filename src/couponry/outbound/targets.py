"""Which URLs a webhook may have. Names are resolved and judged at each delivery; what plainly is no public host is refused."""

import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address, ip_address
from typing import Final
from urllib.parse import urlsplit

from couponry.core.limits import WEBHOOK_URL_CHARS_MAX
from couponry.outbound.addresses import Address, Network, may_reach

_HOST: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?")
_HOST_CHARS_MAX: Final = 253
_PRINTABLE: Final = re.compile("[!-~]+")
_LOOPBACK: Final = IPv4Address("127.0.0.1")


def url_problem(url: str, allowed: Sequence[Network]) -> str:
    """What is wrong with it; empty if events may be sent there."""
    if len(url) > WEBHOOK_URL_CHARS_MAX or not _PRINTABLE.fullmatch(url) or "\\" in url:
        return f"webHookUrl has 1 to {WEBHOOK_URL_CHARS_MAX} ASCII characters, others percent-encoded"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "webHookUrl is no URL"
    if parts.scheme not in {"http", "https"} or not host or port == 0:
        return "webHookUrl is http:// or https:// with a host"
    if "@" in parts.netloc or "#" in url:
        return "webHookUrl holds no user name and no fragment: credentials belong into webHookHeaders"
    literal = _literal(host)
    if literal is None and (not _HOST.fullmatch(host) or len(host) > _HOST_CHARS_MAX):
        return "webHookUrl is http:// or https:// with a host"
    return "webHookUrl names an address that is not public" if literal and not may_reach(literal, allowed) else ""


def _literal(host: str) -> Address | None:
    """The address that a host is, in any of the forms that resolvers take: `127.1` and `0x7f000001` too."""
    if host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost"):
        return _LOOPBACK
    with suppress(ValueError):
        return ip_address(host)
    with suppress(OSError):
        return IPv4Address(socket.inet_aton(host.rstrip(".")))
    return None
