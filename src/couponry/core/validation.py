"""Validation codes and missed calls: how a customer shows that a coupon is used with their consent (rules 10).

A code is never compared or kept as it is. What is compared is its MAC; what is kept, for `GET /v2/otp` and for the message, is
sealed. Both keys are made from the installation's secret, so that a copy of the database holds no code.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, time, timedelta
from hashlib import blake2b
from hmac import compare_digest
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from msgspec import Struct
from msgspec.structs import replace

from couponry.core.expiry import local_time
from couponry.core.limits import VALIDATION_TRIES_MAX
from couponry.core.model import Customer

COUPON: Final = "COUPON"
"""The scope of codes that a redeem may be validated with."""

DEFAULT_TEMPLATE: Final = "Your OTP for validation is {{ validation_code }}"
CHANNELS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"SMS": ("mobile",), "MOBILE": ("mobile",), "PHONE": ("mobile",), "EMAIL": ("email",), "BOTH": ("mobile", "email")}
)
"""The kinds of addresses that each channel sends to."""

_MAC_BYTES: Final = 16
_SEAL_KEY_BYTES: Final = 64


class ValidationCode(Struct, frozen=True, gc=False):
    """A code that was sent to a customer and not yet used, by its MAC."""

    id: int
    mac: str
    expires_ms: int
    wrong_tries: int = 0

    def is_usable(self, now_ms: int) -> bool:
        """Unexpired, and not burnt by wrong tries."""
        return now_ms < self.expires_ms and self.wrong_tries < VALIDATION_TRIES_MAX


class MissedCall(Struct, frozen=True, gc=False):
    """A call from the customer's mobile that nothing was validated with yet."""

    id: int
    called_ms: int


class Channel(Struct, frozen=True, gc=False):
    """Where a code is sent: a `mobile` or an `email`; an empty value stands for the customer's own."""

    kind: str
    value: str


class Message(Struct, frozen=True):
    """How a code is told, as `otp.message` holds it. Templates know the tag `validation_code`; without a subject or body of its
    own an e-mail has the template's words.
    """

    channels: tuple[Channel, ...]
    template: str = DEFAULT_TEMPLATE
    email_subject: str = ""
    email_body: str = ""


class Vault:
    """Makes MACs of codes, and seals them, with keys of its own from the installation's secret."""

    def __init__(self, secret: bytes) -> None:
        self._mac_key = blake2b(secret, person=b"validation mac").digest()
        self._sealer = AESSIV(blake2b(secret, person=b"validation seal", digest_size=_SEAL_KEY_BYTES).digest())

    def mac(self, org_id: int, code: str) -> str:
        """What a code is known by in an org; empty for a blank one. It is looked for among one customer's codes only."""
        text = code.strip()
        if not text:
            return ""
        hashed = blake2b(f"{org_id} {text}".encode(errors="surrogatepass"), key=self._mac_key, digest_size=_MAC_BYTES)
        return hashed.hexdigest()

    def seal(self, org_id: int, code_id: int, code: str) -> bytes:
        """A code as it is stored. Bound to its row, so that equal codes look different, and none opens as another's."""
        return self._sealer.encrypt(code.encode(), [_row(org_id, code_id)])

    def open(self, org_id: int, code_id: int, sealed: bytes) -> str | None:
        """The code again; None for one that was sealed with another secret."""
        try:
            return self._sealer.decrypt(sealed, [_row(org_id, code_id)]).decode()
        except InvalidTag:
            return None


def addressed(message: Message, customer: Customer) -> Message | None:
    """With the customer's own addresses where none is given; None when there is none at all."""
    own = {"mobile": customer.mobile, "email": customer.email}
    filled = [Channel(channel.kind, channel.value or own[channel.kind] or "") for channel in message.channels]
    channels = tuple(dict.fromkeys(channel for channel in filled if channel.value))
    return replace(message, channels=channels) if channels else None


def day_of(now_ms: int, zone: ZoneInfo) -> tuple[int, int]:
    """When an org's calendar day began, and when the next one does."""
    today = local_time(now_ms // 1000, zone).date()
    begins = (datetime.combine(day, time(), zone) for day in (today, today + timedelta(days=1)))
    first, after = (round(instant.timestamp() * 1000) for instant in begins)
    return first, after


def matching(codes: Iterable[ValidationCode], mac: str, now_ms: int) -> ValidationCode | None:
    """The usable code with this MAC. All are compared, each in constant time: how long it takes tells nothing."""
    hits = [code for code in codes if compare_digest(code.mac, mac) & code.is_usable(now_ms)]
    return hits[0] if hits else None


def oldest_call(calls: Iterable[MissedCall], now_ms: int, validity_ms: int) -> MissedCall | None:
    """A call that still counts: the oldest, since it is the next to be too old."""
    return min((call for call in calls if now_ms - call.called_ms < validity_ms), key=lambda call: call.called_ms, default=None)


def _row(org_id: int, code_id: int) -> bytes:
    return f"{org_id} {code_id}".encode()
