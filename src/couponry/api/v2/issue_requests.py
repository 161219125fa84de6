"""From an issue request to a command: what its body may hold, and what its first fault is (v2-coupon 1-3; status-codes 4, J0)."""

from collections.abc import Sequence
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from couponry.api.attribution import Attribution
from couponry.api.call import Call
from couponry.api.seats import Seat, Seats
from couponry.api.v2 import claims, requests
from couponry.api.v2.requests import CustomerBody, Id, Scalar
from couponry.core.codes import CodeCase
from couponry.core.commands import Issue
from couponry.core.limits import ISSUE_COUNT_MAX, ISSUE_DETAIL_CHARS_MAX, ISSUE_NOTE_CHARS_MAX, ISSUE_SERIES_MAX
from couponry.core.model import Org
from couponry.core.sources import is_source
from couponry.core.status import Code


class MetadataBody(Struct, rename="camel"):
    """What is kept with the issued coupon."""

    source_type: Scalar = None
    source_id: Scalar = None
    source_activity: Scalar = None
    notes: Scalar = None
    reason: Scalar = None


class IssueBody(Struct, rename="camel"):
    """One coupon of one series."""

    series_id: Id = None
    customer: CustomerBody | None = None
    metadata: MetadataBody | None = None


class BulkIssueBody(Struct, rename="camel"):
    """One coupon of each series; a series twice, two coupons."""

    series_ids: list[Id] | None = None
    customer: CustomerBody | None = None
    metadata: MetadataBody | None = None


class IssueMultipleBody(Struct, rename="camel"):
    """Several coupons of one series. A list of series is refused by its own code (756)."""

    series_id: int | str | list[Any] | None = None
    count: int | None = None
    customer: CustomerBody | None = None
    metadata: MetadataBody | None = None


_DECODE_ONE: Final = msgspec.json.Decoder(IssueBody).decode
_DECODE_EACH: Final = msgspec.json.Decoder(BulkIssueBody).decode
_DECODE_SEVERAL: Final = msgspec.json.Decoder(IssueMultipleBody).decode


class AskedIssue(Struct, frozen=True):
    """A command that may go to the ledger, and how its answer is to be shown. `sent_ids` are its series as they were written."""

    org: Org
    command: Issue
    sent_ids: Sequence[Id]
    zone: ZoneInfo
    case: CodeCase


class Orders:
    """Makes commands of the three kinds of issue requests."""

    def __init__(self, attribution: Attribution) -> None:
        self._seats = Seats(attribution)

    async def one(self, call: Call) -> AskedIssue | Code:
        """One coupon of one series."""
        taken = await claims.take(call, self._seats, _DECODE_ONE, lambda _: None)
        if isinstance(taken, Code):
            return taken
        raw, body, seat = taken
        if requests.id_of(body.series_id) is None:
            return Code.SERIES_ID_MISSING
        return _asked(call, seat, raw, body, [body.series_id])

    async def each(self, call: Call) -> AskedIssue | Code:
        """One coupon of each series."""
        taken = await claims.take(call, self._seats, _DECODE_EACH, _excess)
        if isinstance(taken, Code):
            return taken
        raw, body, seat = taken
        sent_ids = body.series_ids or []
        if not sent_ids or any(requests.id_of(sent) is None for sent in sent_ids):
            return Code.SERIES_ID_MISSING
        return _asked(call, seat, raw, body, sent_ids, "each")

    async def several(self, call: Call) -> AskedIssue | Code:
        """Several coupons of one series."""
        taken = await claims.take(call, self._seats, _DECODE_SEVERAL, lambda _: None)
        if isinstance(taken, Code):
            return taken
        raw, body, seat = taken
        sent_id, count = body.series_id, 1 if body.count is None else body.count
        if isinstance(sent_id, list) or requests.id_of(sent_id) is None:
            return Code.SERIES_ID_MISSING_FOR_SEVERAL
        if count < 1:
            return Code.COUNT_TOO_SMALL
        if count > ISSUE_COUNT_MAX:
            return Code.COUNT_TOO_LARGE
        return _asked(call, seat, raw, body, [sent_id], "several", count)


def _excess(body: BulkIssueBody) -> Code | None:
    return Code.BATCH_LIMIT_EXCEEDED if len(body.series_ids or ()) > ISSUE_SERIES_MAX else None


def _asked(
    call: Call,
    seat: Seat,
    raw: bytes,
    body: IssueBody | BulkIssueBody | IssueMultipleBody,
    sent_ids: Sequence[Id],
    form: Literal["one", "each", "several"] = "one",
    count: int = 1,
) -> AskedIssue | Code:
    source, account = (claims.one(call, name) or "" for name in ("source", "accountId")) if form == "each" else ("", "")
    details = details_of(body.metadata, source, account)
    key = claims.idempotency_key(call, raw)
    if isinstance(details, Code) or isinstance(key, Code):
        return Code.INVALID_INPUT
    customer = claims.customer_of(call, seat.org, body.customer)
    if not customer:
        return Code.INVALID_CUSTOMER
    command = Issue(
        org_id=seat.org.id,
        place=seat.till.place,
        customer=customer,
        series_ids=tuple(requests.id_of(sent) or 0 for sent in sent_ids),
        form=form,
        count=count,
        details=details,
        source_is_known=is_source(source),
        request_id=call.request_id,
        key=key,
    )
    return AskedIssue(seat.org, command, sent_ids, seat.zone, claims.code_case(call))


def details_of(metadata: MetadataBody | None, source: str = "", account: str = "") -> str | Code | None:
    """What is kept with the coupon, as JSON text under the wire's names; None for nothing, 629 for more than is kept."""
    sent = metadata or MetadataBody()
    named = {
        "sourceType": (sent.source_type, ISSUE_DETAIL_CHARS_MAX),
        "sourceId": (sent.source_id, ISSUE_DETAIL_CHARS_MAX),
        "sourceActivity": (sent.source_activity, ISSUE_DETAIL_CHARS_MAX),
        "notes": (sent.notes, ISSUE_NOTE_CHARS_MAX),
        "reason": (sent.reason, ISSUE_NOTE_CHARS_MAX),
        "source": (source.strip().upper(), ISSUE_DETAIL_CHARS_MAX),
        "accountId": (account, ISSUE_DETAIL_CHARS_MAX),
    }
    kept = {}
    for name, (value, chars_max) in named.items():
        text = "" if value is None else requests.text_of(value)
        if len(text) > chars_max or "\0" in text:
            return Code.INVALID_INPUT
        if text:
            kept[name] = text
    return msgspec.json.encode(kept).decode() if kept else None
