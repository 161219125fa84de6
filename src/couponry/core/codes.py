"""Coupon codes: their one normal form, their syntax and how they are shown."""

import re
from typing import Final, Literal

from couponry.core.limits import CODE_CHARS_MAX

CodeCase = Literal["UPPER", "LOWER", "AS_IT_IS"]

_SYNTAX: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{CODE_CHARS_MAX}}}")


def code_key(code: str) -> str:
    """The normal form under which a code is stored, imported and looked up: no surrounding blanks, upper case (README 7)."""
    return code.strip().upper()


def is_well_formed(code: str) -> bool:
    """1-40 characters of `[A-Za-z0-9_-]` after trimming (README 7)."""
    return _SYNTAX.fullmatch(code.strip()) is not None


def shown(code: str, case: CodeCase) -> str:
    """The code as a response prints it: `coupon_code_case`, UPPER unless asked otherwise (README 7)."""
    match case:
        case "UPPER":
            return code.upper()
        case "LOWER":
            return code.lower()
        case "AS_IT_IS":
            return code
