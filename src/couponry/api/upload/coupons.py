"""`/coupon/api/v1/upload/file/{couponSeriesId}`, and what became of such uploads (upload 1, 3)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import falcon.asgi

from couponry.api.call import Call
from couponry.api.envelopes import UPLOADS, upload_failure
from couponry.api.parts import Parts
from couponry.api.upload import described
from couponry.api.upload.intake import Filed, Intake
from couponry.api.upload.listing import listed
from couponry.api.upload.statuses import coupon_uploads
from couponry.core.jobs import JobKind
from couponry.core.model import Handling, Terms
from couponry.core.problem import Problem
from couponry.store.receiving import bad

OPERATIONS: Final = described.COUPONS
IDENTIFIERS: Final = ("MOBILE", "EMAIL", "EXTERNAL_ID", "USER_ID")
NOT_TAGGED: Final = "NOT_TAGGED"
_FIELDS: Final = ("customerIdentifier", "customerIdentifierColumn")
_TAGGED_COLUMNS: Final = 2
_INDEX_DIGITS_MAX: Final = 6


def routes(parts: Parts) -> dict[str, object]:
    """Where files of coupons come in, and where it is told what became of them."""
    return {
        f"{UPLOADS}file/{{series_id}}": CouponFiles(parts),
        f"{UPLOADS}getUploadStatus/{{series_id}}": CouponStatuses(parts),
    }


class CouponFiles:
    """Takes files of codes, of customers, or of both."""

    def __init__(self, parts: Parts) -> None:
        self._intake = Intake(parts, JobKind.UPLOAD, _FIELDS, planned)

    async def on_post(self, req: Call, resp: falcon.asgi.Response, series_id: str) -> None:
        """Take one; a job works on it."""
        filed = await self._intake.take(req, series_id)
        if not isinstance(filed, Filed):
            upload_failure(filed).write(resp)
            return
        coupon_uploads(filed.org, int(series_id), [filed.job], filed.job.request["uploadedName"]).write(resp)


class CouponStatuses:
    """Tells what became of them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def on_get(self, req: Call, resp: falcon.asgi.Response, series_id: str) -> None:
        """All of a series, oldest first."""
        found = await listed(self._parts, req, series_id, JobKind.UPLOAD)
        (coupon_uploads(*found) if isinstance(found, tuple) else upload_failure(found)).write(resp)


def planned(fields: Mapping[str, str], terms: Terms, columns: Sequence[str]) -> dict[str, Any] | Problem:
    """What an upload of coupons is to do: by what its rows name customers, if they do, and in which column."""
    identifier = fields.get("customerIdentifier", "").upper()
    if not identifier:
        return bad("the part customerIdentifier is missing")
    if identifier not in (*IDENTIFIERS, NOT_TAGGED):
        return bad(f"customerIdentifier is none of {', '.join(IDENTIFIERS)} and {NOT_TAGGED}")
    column = 0 if identifier == NOT_TAGGED else _column(fields.get("customerIdentifierColumn", ""), columns)
    if isinstance(column, Problem):
        return column
    return _refused(identifier, len(columns), terms) or {"identifier": identifier, "column": column}


def _column(sent: str, columns: Sequence[str]) -> int | Problem:
    if not sent:
        return 0
    if not (sent.isascii() and sent.isdigit() and len(sent) <= _INDEX_DIGITS_MAX):
        return bad("customerIdentifierColumn is no index of a column")
    return int(sent) if int(sent) < len(columns) else bad("customerIdentifierColumn is beyond the columns of the header")


def _refused(identifier: str, columns: int, terms: Terms) -> Problem | None:
    """The kinds of files, and the series that they are allowed for (upload 1). A third party's codes are never issued here."""
    takes_codes = terms.client_handling_type is Handling.UPLOADED
    if identifier == NOT_TAGGED:
        if columns != 1:
            return bad("a file of codes has one column")
        return None if takes_codes or terms.external_issual else bad("codes are not uploaded to this series")
    if columns > _TAGGED_COLUMNS:
        return bad("a file for customers has the column of the customers, and at most that of the codes beside it")
    if terms.external_issual:
        return bad("coupons of this series are issued elsewhere")
    return None if takes_codes or columns == 1 else bad("codes are not uploaded to this series")
