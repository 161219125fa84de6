"""Codes of an authenticator app (RFC 6238) as a second factor, and the codes that replace a lost phone."""

from base64 import b32encode
from hashlib import blake2b, sha256
from hmac import compare_digest
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from couponry.core.limits import RECOVERY_CODES

ISSUER: Final = "Couponry"
_DIGITS: Final = 6
_STEP_S: Final = 30
_SECRET_BYTES: Final = 20
_RECOVERY_BYTES: Final = 10
_EARLIER_AND_LATER: Final = (0, -1, 1)


def new_secret(chance: str) -> bytes:
    """A secret to share with an app, from text that nobody can guess."""
    return blake2b(chance.encode(), digest_size=_SECRET_BYTES, person=b"totp").digest()


def address(secret: bytes, email: str) -> str:
    """What an app reads from a QR code."""
    return _codes(secret).get_provisioning_uri(email, ISSUER)


def spelled(secret: bytes) -> str:
    """The secret for whoever types it in."""
    text = b32encode(secret).decode()
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def step_of(secret: bytes, code: str, now_ms: int, last_step: int) -> int | None:
    """The time step whose code this is, one before and one after now too; None for a wrong code, and for one that was used.

    `last_step` is the last one that counted. All are compared, in constant time.
    """
    sent = "".join(code.split())
    if len(sent) != _DIGITS or not (sent.isascii() and sent.isdigit()):
        return None
    codes, now_step = _codes(secret), now_ms // (1000 * _STEP_S)
    steps = [step for step in (now_step + by for by in _EARLIER_AND_LATER) if step >= 0]
    hits = [step for step in steps if compare_digest(codes.generate(step * _STEP_S), sent.encode()) and step > last_step]
    return hits[0] if hits else None


def recovery_codes(chance: str) -> tuple[str, ...]:
    """Codes to write down, each for one sign-in without the app."""
    return tuple(_recovery_code(f"{chance} {number}") for number in range(RECOVERY_CODES))


def recovery_hash(user_id: int, code: str) -> str:
    """What a recovery code is kept as. It has 80 random bits, so that nobody finds it by trying."""
    spelled_alike = "".join(code.upper().replace("-", "").split())
    return sha256(f"recovery {user_id} {spelled_alike}".encode(errors="replace")).hexdigest()


def _recovery_code(chance: str) -> str:
    text = b32encode(blake2b(chance.encode(), digest_size=_RECOVERY_BYTES, person=b"recovery").digest()).decode()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def _codes(secret: bytes) -> TOTP:
    return TOTP(secret, _DIGITS, SHA1(), _STEP_S)  # noqa: S303 - what authenticator apps understand
