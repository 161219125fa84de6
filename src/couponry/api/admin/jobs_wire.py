"""What is asked of jobs and what is told of them, as the admin API writes it."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct

from couponry.api import times
from couponry.api.admin.queries import bad
from couponry.api.v2.lifecycle_requests import expiry_ms
from couponry.core.audience import EVERYBODY, Audience, ListKind, SentSegment, segment_of
from couponry.core.exporting import ExportRequest, FileFormat, What
from couponry.core.job_requests import IssueRequest, RevokeRequest, Which
from couponry.core.jobs import FileRole, Job, JobKind, JobState
from couponry.core.limits import IDENTIFIER_CHARS_MAX
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.store.ordering import Order

PATH: Final = "/admin/v1/jobs"
Id = Annotated[int, Meta(ge=0, le=2**53 - 1)]
_ONE_OF: Final = 'audience is one of {"all": true}, {"segment": ...}, {"identifiers": ...}, {"uploadId": ...}, or null'


class SentIdentifiers(Struct, frozen=True, forbid_unknown_fields=True):
    """Customers one by one, each by the same kind of identifier."""

    type: ListKind
    values: list[str | int]


class SentAudience(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Exactly one of four: `all` customers of the org, those of a `segment`, those listed here, those that an upload lists."""

    all: bool | None = None
    segment: SentSegment | None = None
    identifiers: SentIdentifiers | None = None
    upload_id: Id | None = None


class IssueBody(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Without an audience, `count` unissued codes; else `count` coupons for each customer, 1 unless given.

    `send` also sends each customer the series' message.
    """

    series_id: Id
    audience: SentAudience | None = None
    count: int | None = None
    send: bool = False


class RevokeBody(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Which coupons of a series: `unredeemed` or `unissued` ones, and of listed customers alone if there is an audience."""

    series_id: Id
    coupons: Which
    audience: SentAudience | None = None


class ExpiryBody(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The same, and their new expiry: ISO-8601, a date alone being its last second, or epoch milliseconds."""

    series_id: Id
    coupons: Which
    valid_till_date_time: str | int
    audience: SentAudience | None = None


class ExportBody(
    Struct,
    frozen=True,
    forbid_unknown_fields=True,
    rename={"series_id": "seriesId", "campaign_id": "campaignId", "from_": "from"},
):
    """What to export. `from` is the first instant and `to` the one after the last, in ISO-8601 or epoch milliseconds."""

    what: What
    format: FileFormat = FileFormat.CSV
    series_id: int | None = None
    campaign_id: int | None = None
    from_: str | int | None = None
    to: str | int | None = None


class Made(Struct, frozen=True, rename="camel"):
    """A job that stands in the queue."""

    job_id: int


class FileShown(Struct, frozen=True):
    """A file that a job writes, as far as it is written."""

    role: Literal["errors", "done", "result"]
    name: str
    bytes: int
    href: str


class JobShown(Struct, frozen=True, rename="camel"):
    """A job. `total` is null until it is known; `byCode` counts the rows that failed, by code; `problem` says why it failed.

    `etaSeconds` is work still to come, null when nobody knows.
    """

    id: int
    kind: JobKind
    state: JobState
    series_id: int | None
    total: int | None
    done: int
    ok: int
    failed: int
    by_code: dict[str, int]
    rate_per_second: float
    eta_seconds: float | None
    problem: str
    created_at: str
    updated_at: str
    request: dict[str, Any]
    files: list[FileShown]


class Asked(Struct, frozen=True):
    """What somebody wants done, and the customers that came with it, if any did: each by its `identifier`."""

    order: Order
    values: Sequence[str] | None = None

    @property
    def identifier(self) -> str | None:
        """What the values are."""
        return self.order.request.audience.identifier if self.order.request.audience else None


def issue_of(body: IssueBody, org: Org) -> Asked | Problem:
    """An issue to an audience, or codes for nobody."""
    found = _audience(body.audience, org)
    if isinstance(found, Problem):
        return found
    audience, values = found
    if audience is None and body.count is None:
        return bad("name an audience, or the count of codes to make")
    count = 1 if body.count is None else body.count
    return Asked(Order(body.series_id, IssueRequest(audience, count, body.send)), values)


def revoke_of(body: RevokeBody, org: Org) -> Asked | Problem:
    """A revocation of many coupons."""
    found = _audience(body.audience, org)
    if isinstance(found, Problem):
        return found
    audience, values = found
    return Asked(Order(body.series_id, RevokeRequest(body.coupons, audience)), values)


def expiry_of(body: ExpiryBody, org: Org) -> Asked | Problem:
    """Another expiry for many coupons."""
    found, expires_ms = _audience(body.audience, org), expiry_ms(body.valid_till_date_time, org.zone)
    if isinstance(found, Problem):
        return found
    if expires_ms is None:
        return bad("validTillDateTime is no date")
    audience, values = found
    return Asked(Order(body.series_id, RevokeRequest(body.coupons, audience), expires_ms), values)


def export_of(body: ExportBody, org: Org) -> ExportRequest | Problem:
    """An export; what it names is looked up later."""
    from_ms, to_ms = _instant(body.from_, org.zone), _instant(body.to, org.zone)
    if isinstance(from_ms, Problem) or isinstance(to_ms, Problem):
        return bad("from and to are instants")
    wanted = {"what": body.what, "format": body.format, "seriesId": body.series_id, "campaignId": body.campaign_id}
    try:
        return msgspec.convert({**wanted, "from": from_ms, "to": to_ms}, ExportRequest)
    except msgspec.ValidationError as error:
        return bad(str(error))


def shown(job: Job, zone: ZoneInfo) -> JobShown:
    """A job as it is told of."""
    return JobShown(
        id=job.id,
        kind=job.kind,
        state=job.state,
        series_id=job.series_id,
        total=job.total,
        done=job.done,
        ok=job.ok,
        failed=job.failed,
        by_code=job.by_code,
        rate_per_second=round(job.rate_per_second, 1),
        eta_seconds=None if job.eta_s is None else round(job.eta_s, 1),
        problem=job.problem,
        created_at=times.shown(job.created_ms, zone),
        updated_at=times.shown(job.updated_ms, zone),
        request=job.request,
        files=[FileShown(file.role.value, file.name, file.size_bytes, href(job.id, file.role)) for file in job.files],
    )


def href(job_id: int, role: FileRole) -> str:
    """Where a file is fetched."""
    return f"{PATH}/{job_id}/files/{role}"


def _audience(sent: SentAudience | None, org: Org) -> tuple[Audience | None, Sequence[str] | None] | Problem:
    """The audience that is asked for, and the customers of a list that comes along."""
    if sent is None:
        return None, None
    given = [part for part in (sent.all, sent.segment, sent.identifiers, sent.upload_id) if part is not None]
    if len(given) != 1 or sent.all is False:
        return bad(_ONE_OF)
    if sent.identifiers:
        values = [str(value).strip() for value in sent.identifiers.values]
        if not values or not all(0 < len(value) <= IDENTIFIER_CHARS_MAX and value.isprintable() for value in values):
            return bad(f"values are one or more identifiers of 1 to {IDENTIFIER_CHARS_MAX} printable characters")
        return Audience(identifier=sent.identifiers.type), values
    if sent.segment:
        segment = segment_of(sent.segment, partial(times.instant_ms, zone=org.zone))
        return segment if isinstance(segment, Problem) else (Audience(segment=segment), None)
    return (EVERYBODY if sent.all else Audience(upload_id=sent.upload_id)), None


def _instant(sent: str | int | None, zone: ZoneInfo) -> int | Problem | None:
    if not isinstance(sent, str):
        return sent
    at_ms = times.instant_ms(sent, zone)
    return bad("no instant") if at_ms is None else at_ms
