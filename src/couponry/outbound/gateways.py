"""Gateways for messages by their Apprise URLs: where one is, and whether somebody listens there."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import httpcore
import structlog

from couponry.core.deliveries import Channel
from couponry.core.limits import GATEWAY_KNOWN_MS, HOOK_CONNECT_MS_MAX, HOOK_TARGETS_MAX
from couponry.core.status import Code
from couponry.outbound.addresses import AddressRefused, GuardedNetwork, Network

log = structlog.get_logger()

TO: Final = "{to}"
ANYBODY: Final = {Channel.SMS: "919800000000", Channel.EMAIL: "anybody@example.com", Channel.CONTACTS: "anybody@example.com"}
_HTTP, _HTTPS, _PORT_MAX = 80, 443, 65_535


class Place(NamedTuple):
    """Where a gateway is reached."""

    host: str
    port: int


class Probed(NamedTuple):
    """A look at a gateway, and when it was begun."""

    look: asyncio.Task[Code | None]
    begun_ms: int


class Gateways:
    """Looks whether gateways are there, each at most once in a while. `clock` gives epoch milliseconds."""

    def __init__(self, allowed: Sequence[Network], clock: Callable[[], int]) -> None:
        self._network = GuardedNetwork(allowed)
        self._clock = clock
        self._probed: dict[tuple[Channel, str], Probed] = {}

    async def problem(self, channel: Channel, url: str) -> Code | None:
        """799 for a URL that cannot be used, 794 for a gateway that cannot be reached; None when it is there."""
        key, now_ms = (channel, url), self._clock()
        probed = self._probed.get(key)
        if probed is None or not 0 <= now_ms - probed.begun_ms < GATEWAY_KNOWN_MS or probed.look.cancelled():
            if len(self._probed) >= HOOK_TARGETS_MAX:
                self._probed.clear()
            probed = self._probed[key] = Probed(asyncio.create_task(self._looked(channel, url)), now_ms)
        return await asyncio.shield(probed.look)

    def close(self) -> None:
        """Let go of threads."""
        self._network.close()

    async def _looked(self, channel: Channel, url: str) -> Code | None:
        try:
            place = await asyncio.to_thread(place_of, channel, url)
        except Exception as error:  # noqa: BLE001 - whatever a plugin of Apprise makes of somebody's URL
            log.warning("gateway_unusable", reason=type(error).__name__)
            return Code.DELIVERY_MISCONFIGURED
        if place is None:
            return None
        try:
            stream = await self._network.connect_tcp(place.host, place.port, HOOK_CONNECT_MS_MAX / 1000)
        except AddressRefused:
            return Code.DELIVERY_MISCONFIGURED
        except (httpcore.NetworkError, httpcore.TimeoutException, OSError) as error:
            log.warning("gateway_unreached", channel=channel.name, reason=type(error).__name__)
            return Code.GATEWAY_UNREACHABLE
        await stream.aclose()
        return None


def place_of(channel: Channel, url: str) -> Place | None:
    """Where messages by this URL go; None where Apprise itself knows, which is a service that is always there.

    Raises ValueError for a URL that Apprise does not know. It may take a while: Apprise is loaded when it is first needed.
    """
    from apprise import Apprise  # noqa: PLC0415 - a quarter of a second, which most servers never need

    logging.getLogger("apprise").disabled = True  # it would tell our log the credentials that stand in a URL
    plugin: Any = Apprise.instantiate(addressed(url, ANYBODY[channel]))
    if plugin is None:
        raise ValueError("no such gateway")
    host = getattr(plugin, "smtp_host", None) or (plugin.host if "host" in plugin.template_tokens else None)
    port = plugin.port or (_HTTPS if plugin.secure else _HTTP)
    if port > _PORT_MAX:
        raise ValueError("no such port")
    return Place(host, port) if host else None


def addressed(url: str, address: str) -> str:
    """The URL with the address where it says `{to}`, else as the last part of its path."""
    quoted = quote(address, safe="")
    if TO in url:
        return url.replace(TO, quoted)
    path, mark, query = url.partition("?")
    return f"{path.rstrip('/')}/{quoted}{mark}{query}"
