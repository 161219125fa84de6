"""Exports: what can be taken out, with which columns, and how a spreadsheet is told of instants and money.

Columns have the contract's own names; what `couponry import` reads is called as there. An instant is milliseconds until it is
written, money thousandths.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct

from couponry.core.expiry import local_time
from couponry.core.jobs import FileRole, Job, JobKind
from couponry.core.limits import MONEY_SCALE

_Id = Annotated[int, Meta(ge=1, le=2**53 - 1)]
_Ms = Annotated[int, Meta(ge=0, le=2**53 - 1)]
_MINUTES_KEPT_MAX: Final = 4096
_SECONDS_AT: Final = len("2031-03-10T12:50:")
_OFFSET_AT: Final = len("2031-03-10T12:50:00")
_UTC: Final = "+00:00"


class What(StrEnum):
    """What is exported. `ISSUES` are the coupons that were issued, revoked since or not, but for what a redemption gave."""

    COUPONS = "coupons"
    REDEMPTIONS = "redemptions"
    ISSUES = "issues"
    REFUSALS = "refusals"


class FileFormat(StrEnum):
    """What the file is; also how its name ends."""

    CSV = "csv"
    PARQUET = "parquet"


_WIRE: Final = {"file_format": "format", "series_id": "seriesId", "campaign_id": "campaignId", "from_ms": "from", "to_ms": "to"}


class ExportRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=_WIRE):
    """Which rows, in which form. `from_ms` is the first instant, `to_ms` the one after the last: two exports in a row have no row
    twice and miss none. The instant is when a coupon was made, issued, redeemed or refused.
    """

    what: What
    file_format: FileFormat = FileFormat.CSV
    series_id: _Id | None = None
    campaign_id: _Id | None = None
    from_ms: _Ms | None = None
    to_ms: _Ms | None = None

    @property
    def shape_problem(self) -> str:
        """Why nothing could be meant by it; empty if something can."""
        if self.series_id is not None and self.campaign_id is not None:
            return "name seriesId or campaignId, not both"
        if self.from_ms is not None and self.to_ms is not None and self.from_ms >= self.to_ms:
            return "from must be before to"
        return ""


def format_of(job: Job, role: FileRole) -> FileFormat:
    """How a file is written: as an export asks for it, everything else as CSV."""
    is_export = job.kind is JobKind.EXPORT and role is FileRole.RESULT
    return msgspec.convert(job.request, ExportRequest).file_format if is_export else FileFormat.CSV


class Kind(StrEnum):
    """What a column holds. Of `WORD`s, which are ours, and of numbers a spreadsheet cannot make a formula; of `TEXT` it can."""

    NUMBER = "number"
    WORD = "word"
    TEXT = "text"
    INSTANT = "instant"
    MONEY = "money"


_SERIES: Final = {"seriesId": Kind.NUMBER, "seriesCode": Kind.TEXT}
_CUSTOMER: Final = {
    "customerId": Kind.NUMBER,
    "customerExternalId": Kind.TEXT,
    "customerMobile": Kind.TEXT,
    "customerEmail": Kind.TEXT,
}
_SITE: Final = {"storeCode": Kind.TEXT, "storeName": Kind.TEXT, "tillCode": Kind.TEXT}
_BILL: Final = {"billNumber": Kind.TEXT, "billAmount": Kind.MONEY}
_COUPON: Final = {
    "couponId": Kind.NUMBER,
    "code": Kind.TEXT,
    **_SERIES,
    "state": Kind.WORD,
    **_CUSTOMER,
    "createdOn": Kind.INSTANT,
    "issuedOn": Kind.INSTANT,
    "validTillDateTime": Kind.INSTANT,
    "revokedOn": Kind.INSTANT,
    "redemptionCount": Kind.NUMBER,
    **_SITE,
    "couponIssualDetails": Kind.TEXT,
}
COLUMNS: Final[Mapping[What, Mapping[str, Kind]]] = MappingProxyType(
    {
        What.COUPONS: _COUPON,
        What.ISSUES: _COUPON,
        What.REDEMPTIONS: {
            "redemptionId": Kind.NUMBER,
            "couponId": Kind.NUMBER,
            "code": Kind.TEXT,
            **_SERIES,
            **_CUSTOMER,
            "redeemedOn": Kind.INSTANT,
            **_BILL,
            "billId": Kind.NUMBER,
            **_SITE,
            "customFields": Kind.TEXT,
            "reversedOn": Kind.INSTANT,
            "reversalReason": Kind.TEXT,
        },
        What.REFUSALS: {
            "refusalId": Kind.NUMBER,
            "refusedOn": Kind.INSTANT,
            "errorCode": Kind.NUMBER,
            "errorMessage": Kind.WORD,
            "code": Kind.TEXT,
            "couponId": Kind.NUMBER,
            **_SERIES,
            **_CUSTOMER,
            **_BILL,
            **_SITE,
            "evaluatedOn": Kind.INSTANT,
            "requestId": Kind.TEXT,
        },
    }
)
"""The columns of each export in the order of the file. `state` is ISSUED, UNISSUED or REVOKED, as imports have it; the site of a
coupon is where it was issued. `code` of a refusal is what was typed, `evaluatedOn` the instant that it was judged at.
"""


class Calendar:
    """Instants in a zone as the contract writes them (README 6): ISO 8601 to the second with the zone's offset, `Z` for UTC.

    Asking the zone is what costs, so the last minutes asked for are kept: rows come roughly in the order of time.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._minutes: dict[int, tuple[str, str]] = {}

    def text(self, at_ms: int) -> str:
        """One instant."""
        minute, second = divmod(at_ms // 1000, 60)
        known = self._minutes.get(minute) or self._looked_up(minute)
        return f"{known[0]}{second:02d}{known[1]}"

    def _looked_up(self, minute: int) -> tuple[str, str]:
        """What stands before and after the seconds. Offsets of today are whole minutes; older ones are shown as if they were."""
        if len(self._minutes) >= _MINUTES_KEPT_MAX:
            self._minutes.clear()
        text = local_time(minute * 60, self._zone).isoformat()
        known = (text[:_SECONDS_AT], "Z" if text[_OFFSET_AT:] == _UTC else text[_OFFSET_AT:][: len(_UTC)])
        self._minutes[minute] = known
        return known


def money_text(thousandths: int) -> str:
    """A plain decimal without needless zeros: 1800, 99.5."""
    whole, part = divmod(thousandths, MONEY_SCALE)
    return f"{whole}.{part:03d}".rstrip("0") if part else str(whole)
