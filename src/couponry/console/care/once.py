"""Forms that act once: each carries a token, made with it, that counts one time. A double click meets the same token twice."""

from hashlib import sha256
from typing import Final

from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit
from couponry.core.limits import DAY_MS
from couponry.store import tallies
from couponry.store.engine import WriteTransaction

_CHARS_MAX: Final = 128
ALREADY: Final = "That form was sent before, and counted once. Below is what came of it."


def new_token(parts: ConsoleParts, visit: Visit) -> str:
    """`MS.RANDOM`: when the form was made, and what tells it from all others."""
    return f"{visit.now_ms}.{parts.new_token()}"


def take(tx: WriteTransaction, visit: Visit) -> bool:
    """Whether the form of this request may act: it is a day old at most, and the first with its token."""
    token = visit.form.text("token")
    made, dot, random = token.partition(".")
    if not (dot and random and made.isascii() and made.isdigit() and len(token) <= _CHARS_MAX):
        return False
    made_ms = int(made) if len(made) <= len(str(2**53)) else 0
    if not 0 <= visit.now_ms - made_ms < DAY_MS:
        return False
    return tallies.count(tx, (visit.org_id, visit.session.person.id), f"form {digest(token)}", made_ms, 1)


def digest(token: str) -> str:
    """A token's short name, for whatever it is an idempotency key of."""
    return sha256(token.encode()).hexdigest()[:40]
