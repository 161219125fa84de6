"""An uploaded file of coupons: its three kinds, which series take which, and what its rows are refused with (upload 1 and 4)."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Literal, assert_never

from msgspec import Struct

from couponry.core.limits import UPLOAD_STEM_CHARS_MAX
from couponry.core.model import Handling, Terms
from couponry.core.problem import Problem
from couponry.core.status import Code

Identifier = Literal["MOBILE", "EMAIL", "EXTERNAL_ID", "USER_ID", "NOT_TAGGED"]
"""`customerIdentifier`: what a row names its customer by, if it names one."""


class UploadRequest(Struct, frozen=True, rename="camel"):
    """What a job for an uploaded file was asked for. `column` is where the identifier stands, counted from 0.

    `till_id` is the till that the coupons are recorded for, if any. The names are the file's: as it is answered, and as it was
    sent.
    """

    upload_id: int
    identifier: Identifier
    column: int
    till_id: int | None
    uploaded_name: str
    sent_name: str


class FileKind(StrEnum):
    """What each row is: a code for the pool, a customer who gets one, or a customer and the code that he gets."""

    CODES = "codes"
    CUSTOMERS = "customers"
    TAGGED = "tagged codes"


def kind_of(identifier: Identifier, column: int, columns: int) -> FileKind | Problem:
    """Told apart by the identifier and the number of columns."""
    if identifier == "NOT_TAGGED":
        return FileKind.CODES if columns == 1 else Problem(400, "a file of untagged codes has one column")
    if not 0 <= column < columns:
        return Problem(400, f"the file has no column {column} for the identifier")
    if columns > 2:  # noqa: PLR2004 - the identifier and the code
        return Problem(400, "a file has an identifier column and at most a code column")
    return FileKind.CUSTOMERS if columns == 1 else FileKind.TAGGED


def takes(terms: Terms, kind: FileKind) -> bool:
    """Whether a series takes files of this kind. Codes that others issue are never issued here (rules 3)."""
    is_external = terms.external_issual
    match kind:
        case FileKind.CODES:
            handling = terms.client_handling_type
            return handling is Handling.UPLOADED or (is_external and handling is not Handling.SHARED)
        case FileKind.CUSTOMERS:
            return not is_external
        case FileKind.TAGGED:
            return terms.client_handling_type is Handling.UPLOADED and not is_external
        case _:
            assert_never(kind)


_OF_AN_ISSUE: Final = "Coupon processing failed: "
_TEXTS: Final[Mapping[Code, str]] = {
    Code.CUSTOMER_NOT_FOUND: "unknown identifier",
    Code.INVALID_CODE: "bad code syntax",
    Code.ONE_SHARED_CODE: "more than one GENERIC coupon to a customer",
}
DUPLICATE: Final = Problem(633, "duplicate code in the org or file")


def row_problem(code: Code) -> Problem:
    """Why a row failed, in the words of upload 4 where it has some."""
    return Problem(code.number, _TEXTS.get(code) or code.message.removeprefix(_OF_AN_ISSUE))


_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.\-\u0080-\U0010ffff]+")
_NAMELESS: Final = "file"


def stored_name(sent_name: str, now_ms: int, series_id: int) -> str:
    """`<stem>_<millis>_<series>.csv`; of the sent name only what is safe in any file name and in any URL."""
    last = re.split(r"[/\\]", sent_name)[-1]
    stem = _UNSAFE.sub("_", last.rpartition(".")[0] or last)[:UPLOAD_STEM_CHARS_MAX].strip("._")
    return f"{stem or _NAMELESS}_{now_ms}_{series_id}.csv"
