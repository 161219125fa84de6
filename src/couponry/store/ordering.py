"""Jobs that people ask for: judged at once (`core.rules.jobs`), then queued. A Problem means that nothing was written."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

from msgspec import Struct, structs
from sqlalchemy import Column, select

from couponry.core.audience import Audience, listed
from couponry.core.exporting import ExportRequest
from couponry.core.job_requests import ExpiryRequest, IssueRequest, RevokeRequest
from couponry.core.jobs import JobKind
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.core.rules import jobs as rules
from couponry.core.series import Series
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.jobs import Draft, create_job
from couponry.store.rows import series_from_text
from couponry.store.statements import org_parameter
from couponry.store.uploads import read_upload

UNKNOWN: Final = "unknown"
"""What a Problem has for a code where something is named that the org does not have."""

Wanted = IssueRequest | RevokeRequest | ExpiryRequest


class Order(Struct, frozen=True):
    """What somebody wants done with a series. `expires_ms` is an expiry that the coupons meant by the request are to get."""

    series_id: int
    request: IssueRequest | RevokeRequest
    expires_ms: int | None = None

    def of(self, audience: Audience) -> Self:
        """The same for others."""
        return structs.replace(self, request=structs.replace(self.request, audience=audience))


_KINDS: Final[Mapping[type[Wanted], JobKind]] = {
    IssueRequest: JobKind.ISSUE,
    RevokeRequest: JobKind.REVOKE,
    ExpiryRequest: JobKind.EXPIRY,
}


def place(tx: WriteTransaction, org: Org, order: Order, now_ms: int) -> int | Problem:
    """The id of the job that does it. At most seven statements beside the job's own."""
    judged = judge(tx, org, order, now_ms)
    if isinstance(judged, Problem):
        return judged
    return create_job(tx, org.id, Draft(kind=_KINDS[type(judged)], series_id=order.series_id, request=judged), now_ms)


def place_export(tx: WriteTransaction, org: Org, request: ExportRequest, now_ms: int) -> int | Problem:
    """The id of the job that exports."""
    refused = export_problem(tx, org.id, request)
    return refused or create_job(tx, org.id, Draft(kind=JobKind.EXPORT, series_id=request.series_id, request=request), now_ms)


def judge(tx: ReadTransaction, org: Org, order: Order, now_ms: int) -> Wanted | Problem:
    """The request as the job keeps it, or why it cannot be met."""
    found = _series(tx, org.id, order.series_id)
    if isinstance(found, Problem):
        return found
    series, codes_made = found
    audience = _whole(tx, org.id, order.request.audience)
    if isinstance(audience, Problem):
        return audience
    asked: Wanted = structs.replace(order.request, audience=audience)
    if isinstance(asked, IssueRequest):
        return rules.issue_problem(org, series, codes_made, asked, now_ms) or asked
    if order.expires_ms is not None:
        asked = ExpiryRequest(asked.coupons, rules.expires_local(series, order.expires_ms), audience)
    return rules.change_problem(series, asked, now_ms) or asked


def _whole(tx: ReadTransaction, org_id: int, audience: Audience | None) -> Audience | Problem | None:
    """The audience with what an upload says of itself; a Problem if it names anything that is not the org's.

    One with `identifier` alone is a list that comes with the order.
    """
    if audience is None or audience.all or audience.identifier:
        return audience
    if audience.upload_id is not None:
        upload = read_upload(tx, org_id, audience.upload_id)
        if upload is None:
            return Problem(UNKNOWN, f"there is no upload {audience.upload_id}")
        return listed(upload.id, upload.identifier or "", upload.identifier_column or 0)
    segment = audience.segment
    assert segment is not None, "an audience is one of three"
    series_ids = {*segment.redeemed_series_ids, *segment.not_redeemed_series_ids}
    return (
        _unknown(tx, org_id, "store", t.store.c.id, segment.store_ids)
        or _unknown(tx, org_id, "series", t.series.c.id, series_ids)
        or _unknown(tx, org_id, "status label", t.status_label.c.label, segment.status_labels)
        or audience
    )


def export_problem(tx: ReadTransaction, org_id: int, request: ExportRequest) -> Problem | None:
    """Whether it means something, and names what the org has."""
    if request.shape_problem:
        return Problem(Code.INVALID_INPUT.number, Code.INVALID_INPUT.message, request.shape_problem)
    series_ids, campaign_ids = ([] if one is None else [one] for one in (request.series_id, request.campaign_id))
    return _unknown(tx, org_id, "series", t.series.c.id, series_ids) or _unknown(
        tx, org_id, "campaign", t.campaign.c.id, campaign_ids
    )


def _series(tx: ReadTransaction, org_id: int, series_id: int) -> tuple[Series, int] | Problem:
    """The series, and how many codes were made of it."""
    series, version = t.series.c, t.series_version.c
    is_current = (version.org_id == series.org_id) & (version.series_id == series.id) & (version.version == series.version)
    wanted = select(series.id, series.version, version.terms, series.codes_made).select_from(
        t.series.join(t.series_version, is_current)
    )
    for row in tx.rows(wanted.where(series.org_id == org_id, series.id == series_id), {}):
        found = series_from_text(row.id, row.version, row.terms)
        unreadable = Problem(Code.SERIES_UNREADABLE.number, Code.SERIES_UNREADABLE.message, "its terms cannot be used")
        return (found, row.codes_made) if found else unreadable
    return Problem(UNKNOWN, f"there is no series {series_id}")


def _unknown(tx: ReadTransaction, org_id: int, what: str, column: Column[Any], named: Iterable[int | str]) -> Problem | None:
    """Which of what is named the org does not have."""
    wanted = sorted(set(named), key=str)
    if not wanted:
        return None
    keys = tx.dialect.keys("wanted", column.type)
    found = select(column).select_from(keys.probing(column.table, column.name))
    known = {row[0] for row in tx.rows(found, {org_parameter().key: org_id, **keys.bound([(one,) for one in wanted])})}
    missing = next((one for one in wanted if one not in known), None)
    return None if missing is None else Problem(UNKNOWN, f"there is no {what} {missing}")
