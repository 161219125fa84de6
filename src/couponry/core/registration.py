"""What a customer is registered with, one by one or in bulk: values, and the codes that refuse them (supporting APIs 1, 2)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct

from couponry.core.identifiers import is_email, normal_identifier, normal_mobile
from couponry.core.limits import IDENTIFIER_CHARS_MAX
from couponry.core.status import Code

ATTRIBUTES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "mobile": "mobile",
        "email": "email",
        "externalId": "external_id",
        "cardnumber": "card_number",
        "cardExternalId": "card_external_id",
    }
)
"""Where a customer keeps an identifier of each kind."""

_INVALID: Final = MappingProxyType({"mobile": Code.INVALID_MOBILE, "email": Code.INVALID_EMAIL})
_TAKEN: Final = MappingProxyType({"mobile": Code.MOBILE_TAKEN, "email": Code.EMAIL_TAKEN, "externalId": Code.EXTERNAL_ID_TAKEN})
_LOYALTY: Final = MappingProxyType({"": True, "loyalty": True, "non_loyalty": False, "non-loyalty": False})


class Registration(Struct, frozen=True, kw_only=True):
    """What to register somebody with, or to change. `identifiers` are normal values by kind; None leaves a value as it is.

    In `fields` and `extended_fields` a name with None takes the field away.
    """

    identifiers: Mapping[str, str]
    first_name: str | None = None
    last_name: str | None = None
    is_loyalty: bool | None = None
    registered_ms: int | None = None
    fields: Mapping[str, str | None] = {}
    extended_fields: Mapping[str, str | None] = {}

    def values(self) -> dict[str, Any]:
        """What is set, by the customer's attributes; fields apart."""
        named = {ATTRIBUTES[kind]: value for kind, value in self.identifiers.items()}
        single = {name: getattr(self, name) for name in ("first_name", "last_name", "is_loyalty", "registered_ms")}
        return named | {name: value for name, value in single.items() if value is not None}


def checked_identifier(kind: str, text: str, country_code: str, mobile_digits: int) -> str | Code:
    """The normal form of what somebody may be known by from now on; 1001, 1002 or 1003 for what cannot be one."""
    text = text.strip()
    if kind == "mobile":
        return normal_mobile(text, country_code, mobile_digits) or Code.INVALID_MOBILE
    found = normal_identifier(kind, text, country_code, mobile_digits)
    if len(text) > IDENTIFIER_CHARS_MAX or "\0" in text or not found or (kind == "email" and not is_email(text)):
        return invalid(kind)
    return found[1]


def invalid(kind: str) -> Code:
    """The refusal of a value that cannot be an identifier of this kind."""
    return _INVALID.get(kind, Code.INVALID_EXTERNAL_ID)


def taken(kind: str) -> Code:
    """The refusal of an identifier that somebody has already."""
    return _TAKEN.get(kind, Code.ALREADY_REGISTERED)


def is_loyalty(text: str) -> bool | None:
    """Whether a `loyaltyType` is that of the loyalty programme, the default; None for one that does not exist."""
    return _LOYALTY.get(text.strip().lower())
