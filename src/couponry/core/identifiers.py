"""The one normal form of what a customer is known by, made at the edge: in requests, imports and searches alike.

Supporting APIs, section 2: a mobile is digits with the dialling code, an e-mail ignores case, an external id is exact.
"""

import re
import unicodedata
from typing import Final

from couponry.core.limits import IDENTIFIER_CHARS_MAX
from couponry.core.model import Identifier

_NOT_DIGITS: Final = re.compile(r"[^0-9]+")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_MOBILE_DIGITS_MIN: Final = 4
_MOBILE_DIGITS_MAX: Final = 15
_INT64_MAX: Final = 2**63 - 1


def normal_identifier(kind: str, value: str, country_code: str, mobile_digits: int) -> Identifier | None:
    """(kind, normal value), or None for an empty value. A value that cannot be anybody's stays as it is and matches nobody."""
    text = value.strip()[: IDENTIFIER_CHARS_MAX + 1].replace("\0", "")
    if not text:
        return None
    match kind:
        case "mobile":
            return kind, normal_mobile(text, country_code, mobile_digits) or text
        case "email":
            return kind, text.lower()
        case "id":
            return kind, str(int(text)) if text.isascii() and text.isdigit() and int(text) <= _INT64_MAX else "0"
        case _:
            return kind, text


def normal_mobile(text: str, country_code: str, mobile_digits: int) -> str | None:
    """Digits only, without leading zeros, the dialling code put before a national number; None when it cannot be a mobile.

    Digits of any script are the ones that we write, so that one number is one customer.
    """
    digits = _NOT_DIGITS.sub("", text if text.isascii() else _ascii_digits(text)).lstrip("0")
    if len(digits) < len(country_code) + mobile_digits:
        digits = country_code + digits
    return digits if _MOBILE_DIGITS_MIN <= len(digits) <= _MOBILE_DIGITS_MAX else None


def _ascii_digits(text: str) -> str:
    return "".join(str(unicodedata.decimal(letter, letter)) for letter in text)


def is_email(text: str) -> bool:
    """Whether it looks like an address at all; only delivery can tell whether it is one."""
    return _EMAIL.fullmatch(text) is not None and len(text) <= IDENTIFIER_CHARS_MAX
