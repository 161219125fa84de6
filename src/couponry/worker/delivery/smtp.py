"""E-mails over SMTP connections that are kept: text, HTML, and QR codes as images in it."""

import smtplib
import ssl
import time
from collections import deque
from contextlib import suppress
from email.header import Header
from email.mime.image import MIMEImage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from email.utils import formataddr, formatdate
from functools import cached_property
from typing import Any, Final

from couponry.core.emails import Email
from couponry.worker.delivery.attempts import DELIVERED, Attempt

_KEPT_S: Final = 20.0
_FORM: Final = compat32.clone(linesep="\r\n")
_REFUSED_FOR_GOOD: Final = 500


class Smtp:
    """One server, as Apprise reads it from a URL (`mailto://`, `mailtos://`). Threads may share it."""

    def __init__(self, plugin: Any, timeout_s: float) -> None:  # noqa: ANN401 - Apprise has no types
        self.host: str = plugin.smtp_host
        self._port: int = plugin.port or 0
        self._mode = str(plugin.secure_mode)
        self._user: str | None = plugin.user
        self._password: str | None = plugin.password
        self._is_verified: bool = plugin.verify_certificate
        self._sender: str = plugin.from_addr[1]
        self._from = formataddr((plugin.from_addr[0] or "", self._sender))
        self._reply_to = ", ".join(plugin.reply_to)
        self._timeout_s = timeout_s
        self._is_closed = False
        self._idle: deque[tuple[smtplib.SMTP, float]] = deque()

    def send(self, address: str, mail: Email, message_id: str) -> Attempt:
        """One e-mail to one address; a repeat has the same `Message-ID`."""
        try:
            message = self._composed(address, mail, message_id)
        except ValueError:
            return Attempt(is_delivered=False, problem="no e-mail can be made of it")
        try:
            connection = self._connection()
            try:
                connection.sendmail(self._sender, [address], message)
            except BaseException:
                connection.close()
                raise
        except smtplib.SMTPRecipientsRefused as refused:
            ((code, _),) = refused.recipients.values()
            return _refused(code)
        except smtplib.SMTPAuthenticationError as error:
            return Attempt(is_delivered=False, is_passing=True, problem=f"SMTP {error.smtp_code}: not logged in")
        except smtplib.SMTPResponseException as error:
            return _refused(error.smtp_code)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            return Attempt(is_delivered=False, is_passing=True, problem=f"no SMTP answer: {type(error).__name__}")
        self._idle.append((connection, time.monotonic()))
        if self._is_closed:
            self.close()
        return DELIVERED

    def close(self) -> None:
        """Hang up, also later on whoever is still busy."""
        self._is_closed = True
        with suppress(IndexError):
            while True:
                self._idle.pop()[0].close()

    def _connection(self) -> smtplib.SMTP:
        """The one used last, unless the server may have closed it meanwhile; else a new one."""
        while self._idle:
            try:
                connection, used_s = self._idle.pop()
            except IndexError:
                break
            if time.monotonic() - used_s < _KEPT_S:
                return connection
            connection.close()
        return self._connected()

    def _connected(self) -> smtplib.SMTP:
        if self._mode == "ssl":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self._port, timeout=self._timeout_s, context=self._tls)
        else:
            connection = smtplib.SMTP(self.host, self._port, timeout=self._timeout_s)
            if self._mode == "starttls":
                connection.starttls(context=self._tls)
        if self._user and self._password:
            connection.login(self._user, self._password)
        return connection

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Made once: reading all certificates takes longer than an e-mail."""
        context = ssl.create_default_context()
        if not self._is_verified:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def _composed(self, address: str, mail: Email, message_id: str) -> bytes:
        """By the parts of old: `EmailMessage` takes several times as long. Raises ValueError for what would be a header more."""
        if set(address + mail.subject) & {"\r", "\n", "\0"}:
            raise ValueError("a header of one line")
        message = MIMEMultipart("alternative")
        message["Subject"], message["From"], message["To"] = Header(mail.subject).encode(), self._from, address
        message["Date"], message["Message-ID"] = formatdate(), f"<{message_id}@couponry>"
        if self._reply_to:
            message["Reply-To"] = self._reply_to
        message.attach(MIMEText(mail.text, "plain", "utf-8"))
        if mail.html:
            html = MIMEText(mail.html, "html", "utf-8")
            message.attach(_with_images(html, mail) if mail.codes else html)
        return message.as_bytes(policy=_FORM)


def _with_images(html: MIMEText, mail: Email) -> MIMEMultipart:
    related = MIMEMultipart("related")
    related.attach(html)
    for cid, drawn in mail.images():
        image = MIMEImage(drawn, "png")
        image["Content-ID"], image["Content-Disposition"] = f"<{cid}>", "inline"
        related.attach(image)
    return related


def _refused(code: int) -> Attempt:
    return Attempt(is_delivered=False, is_passing=code < _REFUSED_FOR_GOOD, problem=f"SMTP {code}")
