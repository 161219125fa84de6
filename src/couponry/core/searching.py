"""What the text in Member Care's search box could be: every kind at once, each in its normal form.

An agent types what a caller reads out. Nothing is guessed away here: a number may be a mobile, an id and a bill, and all are
looked for.
"""

import re
import unicodedata
from typing import Final

from msgspec import Struct

from couponry.core import ids
from couponry.core.codes import code_key, is_well_formed
from couponry.core.identifiers import is_email, normal_identifier, normal_mobile
from couponry.core.limits import IDENTIFIER_CHARS_MAX, TRANSACTION_NUMBER_CHARS_MAX
from couponry.core.model import Identifier, Org

_EMAIL: Final = re.compile(r"[^\s<>@,;]+@[^\s<>@,;]+")
_KINDS: Final = {
    "email": "e-mail",
    "id": "customer id",
    "externalId": "external id",
    "cardnumber": "card",
    "cardExternalId": "external card id",
}
_INT64_MAX: Final = 2**63 - 1
_MOBILE_DIGITS_MIN: Final = 6
_SHOWN: Final = 4
_HIDDEN: Final = "••••"


class Sought(Struct, frozen=True):
    """What a text may mean. `identifiers` are a customer's, likeliest first; ids are None where the number is of another kind."""

    identifiers: tuple[Identifier, ...] = ()
    code_key: str | None = None
    coupon_id: int | None = None
    redemption_id: int | None = None
    transaction_number: str | None = None

    @property
    def kinds(self) -> str:
        """What was looked for, in words."""
        named = {
            "code": self.code_key,
            "coupon id": self.coupon_id,
            "redemption id": self.redemption_id,
            "bill": self.transaction_number,
        }
        return ", ".join(
            [
                *(_KINDS.get(kind, kind) for kind, _ in self.identifiers),
                *(name for name, value in named.items() if value is not None),
            ]
        )


def sought(text: str, org: Org) -> Sought:
    """What `text` may mean in this org."""
    text = " ".join(text.replace("\0", "").split())[: IDENTIFIER_CHARS_MAX + 1]
    if not text or len(text) > IDENTIFIER_CHARS_MAX:
        return Sought()
    code = "".join(text.split())
    number = _number(text)
    return Sought(
        identifiers=customers(text, org),
        code_key=code_key(code) if is_well_formed(code) else None,
        coupon_id=number if number and ids.is_coupon_id(number) else None,
        redemption_id=number if number and not ids.is_coupon_id(number) and ids.org_of(number) else None,
        transaction_number=text if len(text) <= TRANSACTION_NUMBER_CHARS_MAX else None,
    )


def customers(text: str, org: Org) -> tuple[Identifier, ...]:
    """Whom a text may name: an e-mail within it, else a mobile in any spelling, a customer's id, and what is exact."""
    text = text.strip()[:IDENTIFIER_CHARS_MAX]
    if not text:
        return ()
    found = _EMAIL.search(text)
    if found and is_email(found[0]):
        email = found[0].removeprefix("mailto:")
        return tuple(filter(None, (normal_identifier("email", email, "", 0), ("externalId", text))))
    mobile = normal_mobile(text, org.country_code, org.settings.mobile_digits) if _is_mobile(text) else None
    number = _number(text)
    is_id = number is not None and not ids.org_of(number)
    return (
        *([("mobile", mobile)] if mobile else []),
        *([("id", str(number))] if is_id else []),
        *((kind, text) for kind in ("externalId", "cardnumber", "cardExternalId")),
    )


def masked(kind: str, value: str | None) -> str:
    """An identifier as it is shown before anybody asked to see it: enough for a caller to confirm, too little to take along."""
    if not value:
        return ""
    if kind == "email" and "@" in value:
        name, _, domain = value.rpartition("@")
        return f"{name[:1]}{_HIDDEN}@{domain}"
    return f"{_HIDDEN}{value[-_SHOWN:]}" if len(value) > _SHOWN else _HIDDEN


def _is_mobile(text: str) -> bool:
    """Digits of any script, between signs that people put there; no letters."""
    digits = sum(unicodedata.decimal(letter, None) is not None for letter in text)
    return digits >= _MOBILE_DIGITS_MIN and not any(letter.isalpha() or letter in "_@#" for letter in text)


def _number(text: str) -> int | None:
    digits = text.removeprefix("#")
    is_one = digits.isascii() and digits.isdigit() and len(digits) <= len(str(_INT64_MAX)) and int(digits) <= _INT64_MAX
    return int(digits) if is_one else None
