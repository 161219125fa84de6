"""One attempt to send a message: by SMS or e-mail, through the gateway that an Apprise URL of the org names (events 5).

Apprise knows a hundred gateways, but makes everything anew for each message. For SMTP that costs 30 ms, most of it certificates;
so of an SMTP URL Apprise only reads what it means, and e-mails go out over connections that are kept.

What a message says was decided when its cause was sequenced. Whether it is still to be said, and whether at this hour, is decided
again just before it is sent.
"""

import asyncio
import logging
import re
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, Final, Protocol, TypeVar

import httpcore
import structlog
from apprise import NotifyFormat
from apprise.plugins.email import NotifyEmail
from msgspec import Struct

from couponry.core.deliveries import Channel, Due
from couponry.core.emails import Email, email_from_body
from couponry.core.event_ids import event_id
from couponry.core.limits import (
    MESSAGE_HTTP_MS_MAX,
    MESSAGE_KEPT_MS,
    MESSAGE_THREADS_MAX,
    MESSAGE_THREADS_PER_LANE,
    MESSAGE_WORD_MS_MAX,
    QR_CACHE_MAX,
)
from couponry.core.messages import opened, opening_ms
from couponry.core.model import Org
from couponry.core.qr import png
from couponry.core.telling import OTP_MESSAGE
from couponry.core.validation import Vault
from couponry.outbound.addresses import AddressRefused, GuardedNetwork, Network
from couponry.outbound.gateways import anybody, own_place, plugin_of
from couponry.worker.delivery.attempts import DELIVERED, Attempt
from couponry.worker.delivery.json_gateway import ANYBODY, OF_THE_MESSAGE, JsonGateway, json_gateway
from couponry.worker.delivery.smtp import REFUSED, Smtp
from couponry.worker.delivery.tethers import Tether, Tethers
from couponry.worker.delivery.webhooks import Posts

T = TypeVar("T")

log = structlog.get_logger()

_AT_ITS_HOURS: Final = frozenset({Channel.SMS, Channel.EMAIL})
"""What customers are sent unasked for: not at night."""
_STATUS: Final = re.compile(r"\berror=([1-5]\d\d)\b")
_UNUSABLE: Final = Attempt(is_delivered=False, is_passing=True, problem="the gateway's URL cannot be used")
_NOT_THERE: Final = Attempt(is_delivered=False, is_passing=True, problem="there is no such host")
_UNKNOWN: Final = Attempt(is_delivered=False, is_passing=True, problem="the hours of the org cannot be read")
_SEALED: Final = Attempt(is_delivered=False, problem="it was sealed with another secret")


class Judged(Struct, frozen=True):
    """What is known of some messages just before they are sent. `unwanted` are those not to be sent any more, with the reason."""

    org: Org | None
    unwanted: Mapping[int, str]


class Judge(Protocol):
    """Reads what is known of an org's messages now. Raises StoreError."""

    async def __call__(self, org_id: int, dues: Sequence[Due]) -> Judged: ...


class Complaints(logging.Handler):
    """What Apprise complains about on a thread: it answers no more than yes or no. Kept of it is the HTTP status alone, since
    the words name people and credentials.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._of_thread = threading.local()
        logging.getLogger("apprise").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the last status."""
        if found := _STATUS.search(record.getMessage()):
            self._of_thread.status = int(found[1])

    def taken(self) -> int | None:
        """The last status of this thread since the last time."""
        status: int | None = getattr(self._of_thread, "status", None)
        self._of_thread.status = None
        return status

    def close(self) -> None:
        """Listen no more."""
        logging.getLogger("apprise").removeHandler(self)
        super().close()


class Gateways:
    """What all gateways share: threads for what cannot wait on the loop, and what may be connected to."""

    def __init__(self, allowed: Sequence[Network], posts: Posts, clock: Callable[[], int]) -> None:
        self.network = GuardedNetwork(allowed)
        self.posts = posts
        self.clock = clock
        self.complaints = Complaints()
        self._threads = ThreadPoolExecutor(MESSAGE_THREADS_MAX, "gateway")
        self._tethers = Tethers(allowed)
        self._tethered: set[Tether] = set()
        self._drawing = ThreadPoolExecutor(1, "qr")
        self._png = lru_cache(QR_CACHE_MAX)(png)
        self._tls: dict[bool, ssl.SSLContext] = {}

    async def run(self, work: Callable[[], T]) -> T:
        """On a thread, until that ends: who gave up on one that goes on would send its message a second time.

        Its connections are cut when it lasts too long.
        """
        tether = self._tethers.tether()
        self._tethered.add(tether)
        try:
            ended = asyncio.get_running_loop().run_in_executor(self._threads, self._tethers.run, tether, work)
            done, _ = await asyncio.wait({ended}, timeout=MESSAGE_WORD_MS_MAX / 1000)
            if not done:
                tether.cut()
            return await ended
        finally:
            self._tethered.discard(tether)

    async def drawn(self, mail: Email) -> Sequence[tuple[str, bytes]]:
        """The images of an e-mail."""
        return await asyncio.get_running_loop().run_in_executor(self._drawing, mail.images, self._png)

    async def tls(self, is_verified: bool) -> ssl.SSLContext:  # noqa: FBT001 - as Apprise knows it
        """Made once: reading all certificates takes longer than an e-mail."""
        if is_verified not in self._tls:
            self._tls[is_verified] = await self.run(lambda: _tls(is_verified=is_verified))
        return self._tls[is_verified]

    def close(self) -> None:
        """Begin nothing more, and cut what is under way."""
        for tether in self._tethered:
            tether.cut()
        self._tethers.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._drawing.shutdown(wait=False, cancel_futures=True)
        self.network.close()
        self.complaints.close()


class MessageTarget:
    """A channel of an org as a lane sends to it. Without a URL, messages are delivered to the mailbox: their rows."""

    connections = MESSAGE_THREADS_PER_LANE
    kept_ms = MESSAGE_KEPT_MS

    def __init__(self, org_id: int, channel: Channel, url: str, vault: Vault, gateways: Gateways, judge: Judge) -> None:
        self._org_id = org_id
        self._channel = channel
        self._url = url
        self._vault = vault
        self._gateways = gateways
        self._judge = judge
        self._org: Org | None = None
        self._unwanted: dict[int, str] = {}
        self._is_read = not url
        self._plugin: Any = None
        self._json: JsonGateway | None = None
        self._smtp: Smtp | None = None
        self._mail_to = ANYBODY

    async def prepare(self, dues: Sequence[Due]) -> None:
        """Learn what the URL means, and which of these are still to be sent, at which hours."""
        if not self._is_read:
            try:
                self._plugin, named = await self._gateways.run(self._read)
            except Exception as error:  # noqa: BLE001 - whatever a plugin of Apprise makes of somebody's URL, which it may name
                log.warning("gateway_unusable", org_id=self._org_id, reason=type(error).__name__)
                self._plugin = named = None
            self._json = json_gateway(named, self._gateways.posts)
            self._smtp = self._mail_server()
            if self._smtp and self._channel.is_sms:
                self._mail_to = next((to for _, to in named.targets if ANYBODY in to), "")
            self._is_read = True
        if self._channel is not Channel.CONTACTS:
            judged = await self._judge(self._org_id, dues)
            self._org = judged.org
            for due in dues:  # one that was fetched before, and not taken, may be wanted again
                self._unwanted.pop(due.id, None)
            self._unwanted |= judged.unwanted

    async def send(self, due: Due) -> Attempt:
        """One message to one address."""
        if why := self._unwanted.pop(due.id, ""):
            return Attempt(is_delivered=False, is_unwanted=True, problem=why)
        now_ms = self._gateways.clock()
        if self._channel in _AT_ITS_HOURS and due.event != OTP_MESSAGE:
            if self._org is None:
                return _UNKNOWN
            if (opens_ms := opening_ms(now_ms, self._org.settings, self._org.zone)) > now_ms:
                return Attempt(is_delivered=False, put_off_to_ms=opens_ms)
        if not self._url:
            return DELIVERED
        if self._plugin is None or not due.address:
            return _UNUSABLE
        text = opened(self._vault, self._org_id, due.outbox_id, due.event, due.body)
        if text is None:
            return _SEALED
        if self._json:
            return await self._json.send(due.address, text, now_ms)
        mail = None if self._channel.is_sms else email_from_body(text)
        if self._smtp:
            message_id = f"{due.id}.{event_id(self._org_id, due.outbox_id)}"
            to = self._mail_to.replace(ANYBODY, due.address)
            return await self._smtp.send(to, mail or Email("", text, ""), message_id) if to else _UNUSABLE
        return await self._by_apprise(due.address, mail or text)

    async def told(self, dues: Sequence[Due]) -> None:
        """Nothing more to do."""

    def close(self) -> None:
        """Hang up."""
        if self._smtp:
            self._smtp.close()

    def _read(self) -> tuple[Any, Any]:
        """What the URL means, and what with a word in place of the address; reading the plugins takes a while."""
        return plugin_of(self._url, anybody(self._channel)), plugin_of(self._url, ANYBODY) if self._channel.is_sms else None

    def _mail_server(self) -> Smtp | None:
        if not isinstance(self._plugin, NotifyEmail):
            return None
        try:
            return Smtp(self._plugin, self._gateways.network, self._gateways.tls, self._gateways.drawn)
        except ValueError:  # its sender cannot stand in an e-mail, or its port is none
            self._plugin = None
            return None

    async def _by_apprise(self, address: str, what: Email | str) -> Attempt:
        """On a thread, once the gateway's host was judged, if it is the org's own."""
        try:
            if place := own_place(self._plugin):
                await self._gateways.network.permitted(*place)
        except AddressRefused:
            return REFUSED
        except httpcore.ConnectError:
            return _NOT_THERE
        except ValueError:
            return _UNUSABLE
        try:
            return await self._gateways.run(lambda: self._notified(address, what))
        except Exception as error:  # noqa: BLE001 - as above
            log.warning("gateway_broken", org_id=self._org_id, reason=type(error).__name__)
            return Attempt(is_delivered=False, is_passing=True, problem=f"the gateway's plugin failed: {type(error).__name__}")

    def _notified(self, address: str, what: Email | str) -> Attempt:
        """Through Apprise, with the address in the URL."""
        self._gateways.complaints.taken()
        plugin = plugin_of(self._url, address)
        if plugin is None:
            return Attempt(is_delivered=False, problem="the gateway knows no such address")
        plugin.socket_read_timeout = max(plugin.socket_read_timeout, MESSAGE_HTTP_MS_MAX / 1000)
        if isinstance(what, str):
            is_sent = plugin.notify(body=what, body_format=NotifyFormat.TEXT)
        elif what.codes:  # its images are parts of an e-mail, which only SMTP lets us compose
            is_sent = plugin.notify(title=what.subject, body=what.text, body_format=NotifyFormat.TEXT)
        else:
            is_sent = plugin.notify(title=what.subject, body=what.html, body_format=NotifyFormat.HTML)
        if is_sent:
            return DELIVERED
        status = self._gateways.complaints.taken()
        problem = f"HTTP {status}" if status else "the gateway refused it, or was not reached"
        return Attempt(is_delivered=False, is_passing=status not in OF_THE_MESSAGE, http_status=status, problem=problem)


def _tls(*, is_verified: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not is_verified:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
