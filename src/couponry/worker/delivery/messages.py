"""One attempt to send a message: by SMS or e-mail, through the gateway that an Apprise URL of the org names (events 5).

Apprise knows a hundred gateways, but makes everything anew for each message. For SMTP that costs 30 ms, most of it certificates;
so of an SMTP URL Apprise only reads what it means, and e-mails go out over connections that are kept.
"""

import asyncio
import logging
import re
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import quote

from apprise import Apprise, AppriseAsset, NotifyFormat
from apprise.plugins.email import NotifyEmail

from couponry.core.deliveries import Channel, Due
from couponry.core.emails import Email, email_from_body
from couponry.core.event_ids import event_id
from couponry.core.limits import MESSAGE_KEPT_MS, MESSAGE_MS_MAX, MESSAGE_THREADS_MAX, MESSAGE_THREADS_PER_LANE
from couponry.core.messages import opened
from couponry.core.validation import Vault
from couponry.outbound.addresses import Network, may_reach
from couponry.worker.delivery.attempts import DELIVERED, Attempt
from couponry.worker.delivery.json_gateway import ANYBODY, OF_THE_MESSAGE, json_gateway
from couponry.worker.delivery.smtp import Smtp
from couponry.worker.delivery.webhooks import Posts

_TO: Final = "{to}"
_ANYBODY: Final = {Channel.SMS: "919800000000", Channel.EMAIL: "anybody@example.com", Channel.CONTACTS: "anybody@example.com"}
_STATUS: Final = re.compile(r"\berror=([1-5]\d\d)\b")
_UNUSABLE: Final = Attempt(is_delivered=False, is_passing=True, problem="the gateway's URL cannot be used")
_REFUSED: Final = Attempt(is_delivered=False, is_passing=True, problem="the gateway's address may not be reached")
_SEALED: Final = Attempt(is_delivered=False, problem="it was sealed with another secret")


class Complaints(logging.Handler):
    """What Apprise complains about on a thread: it answers no more than yes or no. It names people, so our log has none of it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._of_thread = threading.local()
        logger = logging.getLogger("apprise")
        logger.addHandler(self)
        logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the last."""
        self._of_thread.last = record.getMessage()

    def taken(self) -> str:
        """The last of this thread since the last time."""
        last: str = getattr(self._of_thread, "last", "")
        self._of_thread.last = ""
        return last

    def close(self) -> None:
        """Listen no more."""
        logging.getLogger("apprise").removeHandler(self)
        super().close()


class Gateways:
    """What all gateways share: threads, since they wait, and what may be connected to."""

    def __init__(self, allowed: Sequence[Network], posts: Posts, clock: Callable[[], int]) -> None:
        self.allowed = allowed
        self.posts = posts
        self.clock = clock
        self.asset = AppriseAsset(async_mode=False, app_id="Couponry", app_desc="Couponry")
        self.complaints = Complaints()
        self._threads = ThreadPoolExecutor(MESSAGE_THREADS_MAX, "gateway")

    async def run(self, send: Callable[[], Attempt]) -> Attempt:
        """On a thread; who takes too long goes on alone, and unheard."""
        try:
            async with asyncio.timeout(MESSAGE_MS_MAX / 1000):
                return await asyncio.get_running_loop().run_in_executor(self._threads, send)
        except TimeoutError:
            return Attempt(is_delivered=False, is_passing=True, problem=f"not sent within {MESSAGE_MS_MAX // 1000} s")

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.complaints.close()


class MessageTarget:
    """A channel of an org as a lane sends to it. Without a URL, messages are delivered to the mailbox: their rows."""

    connections = MESSAGE_THREADS_PER_LANE
    kept_ms = MESSAGE_KEPT_MS

    def __init__(self, org_id: int, channel: Channel, url: str, vault: Vault, gateways: Gateways) -> None:
        self._org_id = org_id
        self._channel = channel
        self._url = url
        self._vault = vault
        self._gateways = gateways
        self._plugin: Any = Apprise.instantiate(addressed(url, _ANYBODY[channel]), asset=gateways.asset) if url else None
        is_smtp = isinstance(self._plugin, NotifyEmail) and channel is not Channel.SMS
        is_sms = channel is Channel.SMS and url.startswith(("json://", "jsons://"))
        named = Apprise.instantiate(addressed(url, ANYBODY), asset=gateways.asset) if is_sms else None
        self._json = json_gateway(named, gateways.posts)
        self._smtp = Smtp(self._plugin, MESSAGE_MS_MAX / 1000) if is_smtp else None

    async def prepare(self, dues: Sequence[Due]) -> None:
        """Nothing yet."""

    async def send(self, due: Due) -> Attempt:
        """One message to one address."""
        if not self._url:
            return DELIVERED
        if self._plugin is None or not due.address:
            return _UNUSABLE
        text = opened(self._vault, self._org_id, due.outbox_id, due.event, due.body)
        if text is None:
            return _SEALED
        if self._json:
            return await self._json.send(due.address, text, self._gateways.clock())
        return await self._gateways.run(lambda: self._sent(due, text))

    async def told(self, dues: Sequence[Due]) -> None:
        """Nothing more to do."""

    def close(self) -> None:
        """Hang up."""
        if self._smtp:
            self._smtp.close()

    def _sent(self, due: Due, text: str) -> Attempt:
        assert due.address, "send sees to it"
        host = self._smtp.host if self._smtp else _own_host(self._plugin)
        if host and not self._may_reach(host):
            return _REFUSED
        mail = None if self._channel is Channel.SMS else email_from_body(text)
        if self._smtp and mail:
            return self._smtp.send(due.address, mail, f"{due.id}.{event_id(self._org_id, due.outbox_id)}")
        return self._notified(due.address, mail or text)

    def _notified(self, address: str, what: Email | str) -> Attempt:
        """Through Apprise, with the address in the URL."""
        complaints = self._gateways.complaints
        complaints.taken()
        plugin: Any = Apprise.instantiate(addressed(self._url, address), asset=self._gateways.asset)
        if plugin is None:
            return Attempt(is_delivered=False, problem="the gateway knows no such address")
        if isinstance(what, str):
            is_sent = plugin.notify(body=what, body_format=NotifyFormat.TEXT)
        elif what.codes:  # its images are parts of an e-mail, which only SMTP lets us compose
            is_sent = plugin.notify(title=what.subject, body=what.text, body_format=NotifyFormat.TEXT)
        else:
            is_sent = plugin.notify(title=what.subject, body=what.html, body_format=NotifyFormat.HTML)
        if is_sent:
            return DELIVERED
        said = complaints.taken()
        found = _STATUS.search(said)
        status = int(found[1]) if found else None
        problem = said.replace(address, "…") or "the gateway refused it"
        return Attempt(is_delivered=False, is_passing=status not in OF_THE_MESSAGE, http_status=status, problem=problem)

    def _may_reach(self, host: str) -> bool:
        """Whether all that a host's name means may be connected to; a name that means nothing is for the gateway to say."""
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, ValueError):
            return True
        return all(may_reach(ip_address(str(address[0])), self._gateways.allowed) for *_, address in found)


def addressed(url: str, address: str) -> str:
    """The URL with the address where it says `{to}`, else as the last part of its path."""
    quoted = quote(address, safe="")
    if _TO in url:
        return url.replace(_TO, quoted)
    path, mark, query = url.partition("?")
    return f"{path.rstrip('/')}/{quoted}{mark}{query}"


def _own_host(plugin: Any) -> str | None:  # noqa: ANN401 - Apprise has no type for it
    """The host that a URL names, where it is not a gateway's that Apprise knows."""
    host = getattr(plugin, "host", None)
    return host if isinstance(host, str) and "host" in plugin.template_tokens else None
