"""Gateways for messages by their Apprise URLs: what a URL means, where the gateway is, and whether somebody listens there."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import httpcore
import structlog

from couponry.core.deliveries import Channel
from couponry.core.limits import GATEWAY_KNOWN_MS, GATEWAY_WAIT_MS_MAX, HOOK_CONNECT_MS_MAX, HOOK_TARGETS_MAX
from couponry.core.status import Code
from couponry.outbound.addresses import AddressRefused, GuardedNetwork, Network

log = structlog.get_logger()

_TO: Final = "{to}"
_HTTP, _HTTPS, _PORT_MAX = 80, 443, 65_535


class Place(NamedTuple):
    """Where a gateway is reached."""

    host: str
    port: int


class Probed(NamedTuple):
    """A look at a gateway, when it was begun by the wall and by the loop, and what the one before it found."""

    look: asyncio.Task[Code | None]
    begun_ms: int
    begun_s: float
    before: Code | None
    is_first: bool

    @property
    def found(self) -> Code | None:
        """What is known."""
        return self.look.result() if self.look.done() and not self.look.cancelled() else self.before


class Gateways:
    """Looks whether gateways are there, each at most once in a while. `clock` gives epoch milliseconds."""

    def __init__(self, allowed: Sequence[Network], clock: Callable[[], int]) -> None:
        self._network = GuardedNetwork(allowed)
        self._clock = clock
        self._probed: dict[tuple[Channel, str], Probed] = {}

    async def problem(self, channel: Channel, url: str) -> Code | None:
        """799 for a URL that cannot be used, 794 for a gateway that cannot be reached; None when it is there.

        Only the first look at a gateway is waited for to its end. Others go on by themselves when they take long, and what the
        one before has found is the answer.
        """
        key, now_ms, now_s = (channel, url), self._clock(), asyncio.get_running_loop().time()
        probed = self._probed.get(key)
        if probed is None or (probed.look.done() and not 0 <= now_ms - probed.begun_ms < GATEWAY_KNOWN_MS):
            if len(self._probed) >= HOOK_TARGETS_MAX:
                self._probed.clear()
            look = asyncio.create_task(self._looked(channel, url))
            before = probed.found if probed else None
            probed = self._probed[key] = Probed(look, now_ms, now_s, before, is_first=probed is None)
        left_s = None if probed.is_first else probed.begun_s + GATEWAY_WAIT_MS_MAX / 1000 - now_s
        if left_s is None or left_s > 0:
            await asyncio.wait({probed.look}, timeout=left_s)
        return probed.found

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

    Raises ValueError for a URL that cannot be used. It may take a while: Apprise is loaded when it is first needed.
    """
    plugin = plugin_of(url, anybody(channel))
    if plugin is None:
        raise ValueError("no such gateway")
    return own_place(plugin)


def own_place(plugin: Any) -> Place | None:  # noqa: ANN401 - Apprise has no type for it
    """The host and port that a URL names, where they are not a service's that Apprise knows. Raises ValueError for no port."""
    host = getattr(plugin, "smtp_host", None) or (plugin.host if "host" in plugin.template_tokens else None)
    port = plugin.port or (_HTTPS if plugin.secure else _HTTP)
    if not isinstance(port, int) or port > _PORT_MAX:
        raise ValueError("no such port")
    return Place(host, port) if host else None


def plugin_of(url: str, address: str) -> Any:  # noqa: ANN401 - Apprise has no type for it
    """What Apprise makes of a gateway's URL and an address; None where it knows none, or would follow redirects.

    A gateway that redirects could have us ask any host for it, also one that only we can reach.
    """
    from apprise import Apprise, AppriseAsset  # noqa: PLC0415 - a quarter of a second, which most servers never need

    logger = logging.getLogger("apprise")  # it tells the credentials that stand in a URL, and people's addresses
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    asset = AppriseAsset(async_mode=False, http_redirects=False, app_id="Couponry", app_desc="Couponry")
    plugin = Apprise.instantiate(addressed(url, address), asset=asset)
    return None if getattr(plugin, "redirects", False) else plugin


def anybody(channel: Channel) -> str:
    """An address as good as any, to see what a URL means."""
    return "919800000000" if channel.is_sms else "anybody@example.com"


def addressed(url: str, address: str) -> str:
    """The URL with the address where it says `{to}`, else as the last part of its path."""
    quoted = quote(address, safe="")
    if _TO in url:
        return url.replace(_TO, quoted)
    path, mark, query = url.partition("?")
    return f"{path.rstrip('/')}/{quoted}{mark}{query}"
