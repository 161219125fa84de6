"""Who sent it: signatures as Standard Webhooks has them (`webhook-id`, `webhook-timestamp`, `webhook-signature`).

Each org has a secret of its own, and so has each webhook; they are made from the installation's, so nothing needs to be stored.
"""

import hmac
from base64 import b64encode
from collections.abc import Sequence
from hashlib import blake2b, sha256
from typing import Final

_SECRET_BYTES: Final = 32


class Signer:
    """Signs in the name of orgs: their hooks' messages with the org's secret, events with the webhook's own."""

    def __init__(self, secret: bytes) -> None:
        self._key = blake2b(secret, person=b"hook signature").digest()

    def secret_of(self, org_id: int) -> str:
        """What the receivers of an org verify with."""
        return f"whsec_{b64encode(self._org_key(org_id)).decode()}"

    def secret_of_webhook(self, org_id: int, webhook_id: int, number: int) -> str:
        """What the receiver behind a webhook verifies with; the number tells its secrets apart, of which two may count."""
        return f"whsec_{b64encode(self.webhook_key(org_id, webhook_id, number)).decode()}"

    def webhook_key(self, org_id: int, webhook_id: int, number: int) -> bytes:
        """The same as bytes, which are what signs."""
        return blake2b(b"%d %d %d" % (org_id, webhook_id, number), key=self._key, digest_size=_SECRET_BYTES).digest()

    def headers(self, org_id: int, message_id: str, now_ms: int, body: bytes) -> list[tuple[bytes, bytes]]:
        """The three headers of one attempt; a repeat has the same id, and a later time."""
        return _headers([self._org_key(org_id)], message_id, now_ms, body)

    def headers_of_webhook(
        self, org_id: int, webhook_id: int, numbers: Sequence[int], message_id: str, now_ms: int, body: bytes
    ) -> list[tuple[bytes, bytes]]:
        """The same by a webhook's secrets: a signature for each that counts, so that a rotation interrupts nothing."""
        return _headers([self.webhook_key(org_id, webhook_id, number) for number in numbers], message_id, now_ms, body)

    def _org_key(self, org_id: int) -> bytes:
        return blake2b(str(org_id).encode(), key=self._key, digest_size=_SECRET_BYTES).digest()


def _headers(keys: Sequence[bytes], message_id: str, now_ms: int, body: bytes) -> list[tuple[bytes, bytes]]:
    at = str(now_ms // 1000)
    content = f"{message_id}.{at}.".encode() + body
    return [
        (b"webhook-id", message_id.encode()),
        (b"webhook-timestamp", at.encode()),
        (b"webhook-signature", b" ".join(b"v1," + b64encode(hmac.digest(key, content, sha256)) for key in keys)),
    ]
