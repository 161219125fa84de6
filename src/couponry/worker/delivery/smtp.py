"""E-mails over SMTP connections that are kept, on the loop: no thread waits for a server.

What a server has taken must not be sent again. So there are two deadlines: one until the server asks for the message, by which
nothing of it was sent, and a long one for its word on it, which counts however late it comes.
"""

import asyncio
import re
import socket
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from email.utils import formataddr
from ipaddress import IPv6Address
from typing import Any, Final

import httpcore
from aiosmtplib import SMTP, SMTPAuthenticationError, SMTPException, SMTPHeloError, SMTPResponseException
from aiosmtplib.protocol import SMTPProtocol

from couponry.core.emails import Email
from couponry.core.limits import HOOK_ADDRESSES_TRIED_MAX, MESSAGE_TAKEN_MS_MAX, MESSAGE_WORD_MS_MAX
from couponry.core.templates import one_line
from couponry.outbound.addresses import AddressRefused, GuardedNetwork
from couponry.outbound.gateways import own_place
from couponry.worker.delivery.attempts import DELIVERED, Attempt
from couponry.worker.delivery.mime import END, composed

REFUSED: Final = Attempt(is_delivered=False, is_passing=True, problem="the gateway's address may not be reached")
_KEPT_S: Final = 20.0
_GO_AHEAD: Final = 354
_REFUSED_FOR_GOOD: Final = 500
# Printable ASCII without what would end the address: a server that knows more (SMTPUTF8) is rare, and what is behind it rarer.
_ADDRESS: Final = re.compile(r"[!-~]+@[!-~]+")
_NOT_IN_ADDRESS: Final = re.compile(r"[<>,;:\\()\[\]\"]")
_UNSENDABLE: Final = Attempt(is_delivered=False, problem="no e-mail can be sent to this address")


class Smtp:
    """One server, as Apprise reads it from a URL (`mailto://`, `mailtos://`).

    `tls` makes the context of a connection, verified or not; `drawn` the images of an e-mail: both take a while.
    """

    def __init__(
        self,
        plugin: Any,  # noqa: ANN401 - Apprise has no types
        network: GuardedNetwork,
        tls: Callable[[bool], Awaitable[ssl.SSLContext]],
        drawn: Callable[[Email], Awaitable[Sequence[tuple[str, bytes]]]],
    ) -> None:
        self._place = own_place(plugin)
        self._mode = str(plugin.secure_mode)
        self._user: str | None = plugin.user
        self._password: str | None = plugin.password
        self._is_verified: bool = plugin.verify_certificate
        self._sender: str = plugin.from_addr[1]
        reply_to = ", ".join(plugin.reply_to)
        self._headers = [("From", formataddr((one_line(plugin.from_addr[0] or ""), self._sender)))]
        self._headers += [("Reply-To", reply_to)] if reply_to.isascii() and reply_to else []
        self._network = network
        self._tls = tls
        self._drawn = drawn
        self._is_closed = False
        self._idle: deque[tuple[SMTP, float]] = deque()

    async def send(self, address: str, mail: Email, message_id: str) -> Attempt:
        """One e-mail to one address; a repeat has the same `Message-ID`."""
        if not _ADDRESS.fullmatch(address) or _NOT_IN_ADDRESS.search(address):
            return _UNSENDABLE
        images = await self._drawn(mail) if mail.codes else ()
        headers = [*self._headers, ("To", address), ("Message-ID", f"<{message_id}@couponry>")]
        message = composed(mail, images, headers) + END
        try:
            return await self._handed_over(address, message)
        except AddressRefused:
            return REFUSED
        except SMTPAuthenticationError as error:
            return Attempt(is_delivered=False, is_passing=True, problem=f"SMTP {error.code}: not logged in")
        except SMTPResponseException as error:
            return Attempt(is_delivered=False, is_passing=True, problem=f"SMTP {error.code}")
        except (httpcore.ConnectError, OSError, SMTPException, ValueError) as error:
            return Attempt(is_delivered=False, is_passing=True, problem=f"no SMTP answer: {type(error).__name__}")

    def close(self) -> None:
        """Hang up, also later on whoever is still busy."""
        self._is_closed = True
        while self._idle:
            self._idle.pop()[0].close()

    async def _handed_over(self, address: str, message: bytes) -> Attempt:
        try:
            async with asyncio.timeout(MESSAGE_TAKEN_MS_MAX / 1000):
                smtp = await self._ready(address)
        except TimeoutError:
            return _late("not taken", MESSAGE_TAKEN_MS_MAX)
        if isinstance(smtp, Attempt):
            return smtp
        try:
            async with asyncio.timeout(MESSAGE_WORD_MS_MAX / 1000):
                line = _line(smtp)
                line.write(message)
                code = (await line.read_response()).code
        except TimeoutError:
            smtp.close()
            return _late("no word on it", MESSAGE_WORD_MS_MAX)
        except BaseException:
            smtp.close()
            raise
        self._keep(smtp)
        return DELIVERED if 200 <= code < 300 else _refused(code)  # noqa: PLR2004 - what every reader knows

    async def _ready(self, address: str) -> SMTP | Attempt:
        """A connection that waits for a message to the address, or why there is none."""
        smtp = await self._begun()
        try:
            line = _line(smtp)
            code = (await line.execute_command(b"RCPT", b"TO:<" + address.encode() + b">")).code
            if code >= 300:  # noqa: PLR2004 - as above
                await line.execute_command(b"RSET")
                self._keep(smtp)
                return _refused(code)
            answer = await line.execute_command(b"DATA")
            if answer.code != _GO_AHEAD:
                raise SMTPResponseException(answer.code, "")
        except BaseException:
            smtp.close()
            raise
        return smtp

    async def _begun(self) -> SMTP:
        """A connection that a message was begun on: the one used last, unless the server has had enough of it; else a new one."""
        while self._idle:
            smtp, used_s = self._idle.pop()
            if smtp.is_connected and time.monotonic() - used_s < _KEPT_S:
                with suppress(SMTPException):
                    return await self._begin(smtp)
            smtp.close()
        return await self._begin(await self._connected())

    async def _begin(self, smtp: SMTP) -> SMTP:
        try:
            answer = await _line(smtp).execute_command(b"MAIL", b"FROM:<" + self._sender.encode("ascii") + b">")
            if answer.code >= 300:  # noqa: PLR2004 - as above
                raise SMTPResponseException(answer.code, "")
        except BaseException:
            smtp.close()
            raise
        return smtp

    async def _connected(self) -> SMTP:
        assert self._place, "a mail server has a host"
        tls = None if self._mode == "insecure" else await self._tls(self._is_verified)
        dialled = await self._dialled(*self._place)
        smtp = SMTP(
            hostname=self._place.host,
            sock=dialled,
            local_hostname=_literal(dialled),
            timeout=None,
            use_tls=self._mode == "ssl",
            start_tls=self._mode == "starttls",
            tls_context=tls,
            username=self._user if self._password else None,
            password=self._password if self._user else None,
        )
        try:
            await smtp.connect()
            if smtp.is_ehlo_or_helo_needed:
                await _greet(smtp)
        except BaseException:
            smtp.close()
            raise
        return smtp

    async def _dialled(self, host: str, port: int) -> socket.socket:
        """A connection to an address that was judged; names mean nothing from here on, but for certificates."""
        failed: Exception = OSError("no address")
        for address in (await self._network.permitted(host, port))[:HOOK_ADDRESSES_TRIED_MAX]:
            dialled = socket.socket(socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET)
            dialled.setblocking(False)
            try:
                async with asyncio.timeout(MESSAGE_TAKEN_MS_MAX / (HOOK_ADDRESSES_TRIED_MAX + 1) / 1000):
                    await asyncio.get_running_loop().sock_connect(dialled, (str(address), port))
            except OSError as error:
                dialled.close()
                failed = error
            except BaseException:
                dialled.close()
                raise
            else:
                return dialled
        raise failed

    def _keep(self, smtp: SMTP) -> None:
        self._idle.append((smtp, time.monotonic()))
        if self._is_closed:
            self.close()


def _line(smtp: SMTP) -> SMTPProtocol:
    """The connection below: only there can the message be sent apart from asking whether to."""
    if smtp.protocol is None:
        raise SMTPException("not connected")
    return smtp.protocol


async def _greet(smtp: SMTP) -> None:
    try:
        await smtp.ehlo()
    except SMTPHeloError:  # a server of old
        await smtp.helo()


def _literal(dialled: socket.socket) -> str:
    """Who we are, in words that need no name server."""
    address = dialled.getsockname()[0].partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _refused(code: int) -> Attempt:
    return Attempt(is_delivered=False, is_passing=code < _REFUSED_FOR_GOOD, problem=f"SMTP {code}")


def _late(what: str, ms: int) -> Attempt:
    return Attempt(is_delivered=False, is_passing=True, problem=f"{what} within {ms // 1000} s")
