"""What v1.1 requests hold: shapes and readers that their endpoints share.

Decoding is lenient where old clients differ: numbers may be texts and texts numbers, one entry may stand without its list, an
empty element or text is nothing at all. What no leniency makes the documented shape is a 400.
"""

from collections.abc import Callable
from decimal import Decimal
from types import MappingProxyType
from typing import Final, Literal, TypeVar

import msgspec
from msgspec import Struct

from couponry.api.call import Call
from couponry.api.seats import Seat, Seats
from couponry.api.v1_1 import formats
from couponry.api.v1_1.tree import Node
from couponry.api.v2 import claims, requests
from couponry.core.model import Customer, Identifier, Org
from couponry.core.status import Code

B = TypeVar("B")
Text = str | int | None
Sent = tuple[tuple[str, Text], ...]
"""Identifiers by their v1.1 names, as they were sent."""

Nothing = Literal[""] | None
"""An object that is not there: an empty element, or an empty text."""

# What identifiers are called here, and what kind each is.
IDENTIFIERS: Final = (
    ("mobile", "mobile"),
    ("email", "email"),
    ("external_id", "externalId"),
    ("id", "id"),
    ("card_number", "cardnumber"),
    ("card_external_id", "cardExternalId"),
)
_KINDS: Final = MappingProxyType(dict(IDENTIFIERS))
_ECHOED_ALWAYS: Final = 3


class CustomerBody(Struct):
    """Who the customer is: at least one identifier that is not empty."""

    mobile: Text = None
    email: Text = None
    external_id: Text = None
    id: Text = None
    user_id: Text = None
    card_number: Text = None
    card_external_id: Text = None

    def sent(self) -> Sent:
        """(name, value) as they were sent, in the order of `IDENTIFIERS`."""
        return (
            ("mobile", self.mobile),
            ("email", self.email),
            ("external_id", self.external_id),
            ("id", self.user_id if self.id in (None, "") else self.id),
            ("card_number", self.card_number),
            ("card_external_id", self.card_external_id),
        )


async def body_of(call: Call, seats: Seats, body: type[B], excess: Callable[[B], Code | None]) -> tuple[bytes, B, Seat] | Code:
    """The body as sent, what its `root` holds, and the seat. `excess` says what a batch limit is exceeded with."""
    raw = await call.body()
    if isinstance(raw, Code):
        return raw
    document = formats.decoded(call, raw)
    if isinstance(document, Code):
        return document
    try:
        decoded = msgspec.convert(document.get("root"), body)
    except (msgspec.ValidationError, RecursionError):
        return Code.MALFORMED
    over = excess(decoded)
    if over:
        return over
    seat = await seats.of(call)
    return seat if isinstance(seat, Code) else (raw, decoded, seat)


def entries_of(sent: B | list[B] | Nothing) -> list[B]:
    """One entry, or several; an empty element has none."""
    return sent if isinstance(sent, list) else [sent] if sent else []  # a struct is always true


def text_of(sent: object) -> str:
    """A scalar as it was written; empty for none."""
    return requests.text_of(sent) if isinstance(sent, str | int | float | Decimal) else ""


def query_identifiers(call: Call) -> Sent:
    """(name, value) of the query, in the order of `IDENTIFIERS`."""
    return tuple((name, claims.one(call, name)) for name, _ in IDENTIFIERS) if call.query_string else ()


def customer_of(call: Call, org: Org, sent: Sent) -> tuple[Identifier, ...]:
    """The identifiers that are not empty, each in its normal form."""
    named = tuple([(_KINDS[name], value) for name, value in sent if value is not None])
    return requests.normal_identifiers(named, claims.country_code(call, org), org.settings.mobile_digits)


def customer_shown(customer: Customer | None, sent: Sent) -> dict[str, Node]:
    """The customer of an item: as known, else as sent."""
    if customer:
        return {"mobile": customer.mobile or "", "email": customer.email or "", "external_id": customer.external_id or ""}
    values = dict(sent)
    always = [name for name, _ in IDENTIFIERS[:_ECHOED_ALWAYS]]
    return {name: text_of(values.get(name)) for name, _ in IDENTIFIERS if name in always or values.get(name)}


def amount_of(sent: object) -> Decimal | Code | None:
    """A bill amount, text or number; None where there is none, 733 for what is no amount."""
    if sent is None or sent == "":
        return None
    is_number = isinstance(sent, int | Decimal) and not isinstance(sent, bool)
    return requests.amount_from_text(str(sent).strip()) if is_number or isinstance(sent, str) else Code.INVALID_AMOUNT
