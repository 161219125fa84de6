"""Which requests are the same request: the digests that answers are kept under (README 10)."""

from base64 import urlsafe_b64encode
from hashlib import blake2b
from typing import Final

from msgspec.structs import replace

from couponry.core.codes import code_key
from couponry.core.commands import Issue, Redeem
from couponry.core.limits import ANSWER_KEPT_MS_MAX, HOUR_MS
from couponry.core.model import Customer, Org
from couponry.core.plan import Answer, IssueAnswer
from couponry.core.state import StoredAnswer

_DIGEST_BYTES: Final = 15
_NUMBER_CHARS_SHOWN: Final = 20


def explicit_digest(credential: str, key: str) -> str:
    """The digest of an `Idempotency-Key` within its credential's scope."""
    return _digest("key", credential, key)


def fingerprint_of(*parts: bytes) -> bytes:
    """What tells one body from another under the same explicit key."""
    return blake2b(b"\0".join(parts), digest_size=_DIGEST_BYTES).digest()


def request_digest(command: Redeem | Issue, customer_id: int | None, org: Org) -> str | None:
    """The explicit key's digest; else, for a redeem, the one derived from till, bill number, customer and sorted coupons."""
    if command.key is not None:
        return command.key.digest
    number = (command.transaction_number or "").strip() if isinstance(command, Redeem) else ""
    if not number or customer_id is None or org.settings.derived_idempotency_hours == 0:
        return None
    assert isinstance(command, Redeem), "only a redeem has a transaction number"
    # The number comes first: a till's bills follow each other, so their keys lie together in the index.
    coupons = sorted(code_key(item.code) if item.code is not None else f"#{item.coupon_id}" for item in command.items)
    hashed = _digest("bill", str(command.place.till_id), number, str(customer_id), *coupons)
    return f"{number[:_NUMBER_CHARS_SHOWN]} {hashed}"


def request_fingerprint(command: Redeem | Issue) -> bytes:
    """The body under an explicit key; under a derived one the amount, because another amount is another request."""
    if command.key is not None:
        return command.key.fingerprint
    assert isinstance(command, Redeem), "only a redeem has a derived key"
    return b"" if command.amount is None else format(command.amount.normalize(), "f").encode()


def still_counts(stored: StoredAnswer, command: Redeem | Issue, org: Org, now_ms: int, reversed_ids: set[int]) -> bool:
    """Whether a repeat gets the stored answer: always within a day under an explicit key; under a derived one only while the
    amount is the same and none of its redemptions has been reversed.
    """
    if command.key is not None:
        return now_ms - stored.created_ms <= ANSWER_KEPT_MS_MAX
    return (
        now_ms - stored.created_ms <= org.settings.derived_idempotency_hours * HOUR_MS
        and stored.fingerprint == request_fingerprint(command)
        and reversed_ids.isdisjoint(redemption_ids(stored.answer))
    )


def impersonal(answer: Answer | IssueAnswer) -> Answer | IssueAnswer:
    """An answer as it is kept: of its customer the id alone, so that whoever is forgotten is forgotten here as well."""
    return replace(answer, customer=Customer(answer.customer.id)) if answer.customer else answer


def redemption_ids(answer: Answer | IssueAnswer) -> set[int]:
    """The redemptions that an answer told of."""
    return {item.redemption_id for item in answer.items} if isinstance(answer, Answer) else set()


def _digest(*parts: str) -> str:
    digest = blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=_DIGEST_BYTES).digest()
    return urlsafe_b64encode(digest).decode()
