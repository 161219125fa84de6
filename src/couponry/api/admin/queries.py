"""Query parameters of admin requests."""

from typing import Final

from couponry.api import times
from couponry.api.call import Call
from couponry.api.v2.claims import country_code
from couponry.core.identifiers import normal_identifier
from couponry.core.limits import IDENTIFIER_CHARS_MAX
from couponry.core.model import IDENTIFIER_KINDS, Identifier, Org
from couponry.core.problem import Problem
from couponry.core.status import Code

_KINDS: Final = {kind.lower(): kind for kind in (*IDENTIFIER_KINDS, "id")}
_DIGITS_MAX: Final = 18
_LATEST_MS: Final = 253_370_764_800_000  # the beginning of the year 9999, which every zone can show


def identifiers(call: Call, org: Org) -> tuple[Identifier, ...]:
    """Whom `customer` may mean, likeliest first: the kind that is named, or every kind that a bare value can be of."""
    sent = text(call, "customer").strip()
    kind, colon, value = sent.partition(":")
    if colon and kind.lower() in _KINDS:
        kinds = [_KINDS[kind.lower()]]
    else:
        value = sent
        is_mobile = not value.strip("+0123456789 -()")
        kinds = ["email"] if "@" in value else ["externalId", "cardnumber", "cardExternalId"]
        kinds = ["mobile", *kinds, "id"] if is_mobile else kinds
    made = (normal_identifier(kind, value, country_code(call, org), org.settings.mobile_digits) for kind in kinds)
    return tuple(identifier for identifier in made if identifier)


def instant(call: Call, name: str, org: Org, default_ms: int) -> int | Problem:
    """ISO-8601 or epoch milliseconds. A `+` that came unescaped has become a blank."""
    sent = text(call, name).strip()
    if not sent:
        return default_ms
    if is_number(sent):
        return int(sent) if int(sent) <= _LATEST_MS else bad(f"{name} is no instant")
    at_ms = times.instant_ms(sent, org.zone)
    if at_ms is None:
        at_ms = times.instant_ms("+".join(sent.rsplit(" ", 1)), org.zone)
    return bad(f"{name} is no instant") if at_ms is None else at_ms


def is_number(text: str) -> bool:
    """Whether it is a whole number that fits a database."""
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX


def text(call: Call, name: str) -> str:
    """A query parameter; of several with one name, the first."""
    value = call.params.get(name, "")
    return value[0] if isinstance(value, list) else value


def storable(text: str) -> str:
    """As it may be compared in a database: bounded, and without NUL. What is changed by that is nobody's."""
    return text[: IDENTIFIER_CHARS_MAX + 1].replace("\0", "\N{REPLACEMENT CHARACTER}")


def bad(detail: str) -> Problem:
    """629, and what exactly is wrong."""
    return Problem(Code.INVALID_INPUT.number, Code.INVALID_INPUT.message, detail)
