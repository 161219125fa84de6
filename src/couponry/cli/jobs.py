"""Long work: issue, revoke and re-date coupons in bulk, export; and look after the jobs that do it.

A command waits for its job, with a worker beside it that helps until the end, and answers with the job as it ended.
"""

from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from couponry.cli.answers import Refused, answer, now_ms, opened, or_refuse
from couponry.cli.orders import CustomerList, decoded, orders, told, writable
from couponry.core.exporting import FileFormat, What
from couponry.core.jobs import JobKind, JobState
from couponry.core.problem import Problem
from couponry.store import queue, registry
from couponry.store.jobs import list_jobs, move_job, read_job

jobs: Final = typer.Typer(help="Look at jobs, pause, resume and cancel them.")

OrgId = Annotated[int, typer.Option("--org", help="Id of the org.")]
SeriesId = Annotated[int, typer.Option("--series", help="Id of the series.")]
JobId = Annotated[int, typer.Option("--job", help="Id of the job.")]
Customers = Annotated[Path | None, typer.Option(metavar="FILE.csv", help="CSV with a header that lists customers.")]
NamedBy = Annotated[str, typer.Option(help="What the file names them by: mobile, email, externalId, cardnumber, id.")]
Column = Annotated[int, typer.Option(help="The column where it stands, counted from 0.", min=0)]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Only put the job into the queue; a server or a worker does it.")]
Which = Annotated[str | None, typer.Option("--coupons", help="unredeemed or unissued; of listed customers: unredeemed.")]
_LISTED: Final = 20


def issue(
    org_id: OrgId,
    series_id: SeriesId,
    customers: Customers = None,
    identifier: NamedBy = "mobile",
    column: Column = 0,
    everybody: Annotated[bool, typer.Option("--all", help="To every customer of the org.")] = False,
    segment: Annotated[str | None, typer.Option(metavar="JSON", help='To a segment, such as {"loyaltyType": "loyalty"}.')] = None,
    count: Annotated[int | None, typer.Option(help="To nobody: make so many unissued codes.")] = None,
    per_customer: Annotated[int, typer.Option(help="Coupons for each customer.")] = 1,
    send: Annotated[bool, typer.Option("--send", help="Send each customer the series' message.")] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where the codes go, with --count.")] = None,
    no_wait: NoWait = False,
) -> None:
    """Issue coupons of a series to many customers, or make codes that nobody has yet."""
    from couponry.api.admin.jobs_wire import IssueBody, issue_of

    if sum((customers is not None, everybody, segment is not None, count is not None)) != 1:
        raise Refused(Problem("usage", "name one of --customers, --all, --segment and --count"))
    if count is not None and out is None and not no_wait:
        raise Refused(Problem("usage", "name the file for the codes with --out"))
    writable(out)
    audience = None if count is not None else {"all": True} if segment is None else {"segment": _json(segment)}
    wanted = {"seriesId": series_id, "audience": audience, "count": per_customer if count is None else count, "send": send}
    body = decoded(wanted, IssueBody)
    with orders(org_id, waits=not no_wait) as at:
        listing = CustomerList(customers, identifier, column) if customers else None
        job_id = at.place(or_refuse(issue_of(body, at.org)).order, listing, waits=not no_wait)
        at.finish(job_id, wait=not no_wait, result=out, customers=listing)


def export(
    what: Annotated[What, typer.Argument(help="What to export.")],
    org_id: OrgId,
    file_format: Annotated[FileFormat, typer.Option("--format", help="How the file is written.")] = FileFormat.CSV,
    series_id: Annotated[int | None, typer.Option("--series", help="Of this series alone.")] = None,
    campaign_id: Annotated[int | None, typer.Option("--campaign", help="Of the series of this campaign alone.")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="The first instant, in ISO-8601.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="The instant after the last, in ISO-8601.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where the export goes.")] = None,
    no_wait: NoWait = False,
) -> None:
    """Write coupons, redemptions, issues or refusals to a file."""
    from couponry.api.admin.jobs_wire import ExportBody, export_of

    if out is None and not no_wait:
        raise Refused(Problem("usage", "name the file with --out"))
    writable(out)
    where = {"seriesId": series_id, "campaignId": campaign_id}
    body = decoded({"what": what, "format": file_format, **where, "from": from_, "to": to}, ExportBody)
    with orders(org_id, waits=not no_wait) as at:
        at.finish(at.place_export(or_refuse(export_of(body, at.org))), wait=not no_wait, result=out)


def revoke(
    org_id: OrgId,
    series_id: SeriesId,
    coupons: Which = None,
    customers: Customers = None,
    identifier: NamedBy = "mobile",
    column: Column = 0,
    no_wait: NoWait = False,
) -> None:
    """Revoke coupons of a series: all that are unredeemed, those that are unissued, or those of listed customers."""
    from couponry.api.admin.jobs_wire import RevokeBody, revoke_of

    body = decoded({"seriesId": series_id, "coupons": _which(coupons, customers)}, RevokeBody)
    with orders(org_id, waits=not no_wait) as at:
        listing = CustomerList(customers, identifier, column) if customers else None
        job_id = at.place(or_refuse(revoke_of(body, at.org)).order, listing, waits=not no_wait)
        at.finish(job_id, wait=not no_wait, customers=listing)


def expire(
    org_id: OrgId,
    series_id: SeriesId,
    valid_till: Annotated[str, typer.Option(help="Their new expiry in ISO-8601; a date alone is its last second.")],
    coupons: Which = None,
    customers: Customers = None,
    identifier: NamedBy = "mobile",
    column: Column = 0,
    no_wait: NoWait = False,
) -> None:
    """Give coupons of a series another expiry, earlier or later; which ones is said as to revoke."""
    from couponry.api.admin.jobs_wire import ExpiryBody, expiry_of

    wanted = {"seriesId": series_id, "coupons": _which(coupons, customers), "validTillDateTime": valid_till}
    body = decoded(wanted, ExpiryBody)
    with orders(org_id, waits=not no_wait) as at:
        listing = CustomerList(customers, identifier, column) if customers else None
        job_id = at.place(or_refuse(expiry_of(body, at.org)).order, listing, waits=not no_wait)
        at.finish(job_id, wait=not no_wait, customers=listing)


@jobs.command("list")
def list_all(
    org_id: OrgId,
    kind: Annotated[JobKind | None, typer.Option(help="Those of this kind alone.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=500)] = _LISTED,
    before: Annotated[int | None, typer.Option(help="Those with an id below this one.", min=0)] = None,
) -> None:
    """List jobs, newest first."""
    with opened() as database, database.reading() as tx:
        org = or_refuse(registry.read_org(tx, org_id))
        found = list_jobs(tx, org_id, before_id=before, limit=limit, kind=kind)
    answer({"items": [told(job, org) for job in found]})


@jobs.command()
def show(org_id: OrgId, job_id: JobId) -> None:
    """Show how far a job has come."""
    with opened() as database, database.reading() as tx:
        org, job = or_refuse(registry.read_org(tx, org_id)), read_job(tx, org_id, job_id)
    answer(told(or_refuse(job or Problem("unknown", f"there is no job {job_id}")), org))


@jobs.command()
def pause(org_id: OrgId, job_id: JobId) -> None:
    """Let a job rest after the chunk that it is at."""
    _move(org_id, job_id, JobState.PAUSED)


@jobs.command()
def resume(org_id: OrgId, job_id: JobId) -> None:
    """Let a paused or failed job go on, as soon as a worker is free."""
    _move(org_id, job_id, JobState.QUEUED)


@jobs.command()
def cancel(org_id: OrgId, job_id: JobId) -> None:
    """End a job; what it has done stays."""
    _move(org_id, job_id, JobState.CANCELLED)


def _move(org_id: int, job_id: int, state: JobState) -> None:
    queue.warm()
    with opened() as database, database.writing() as tx:
        org = or_refuse(registry.read_org(tx, org_id))
        job = or_refuse(move_job(tx, org_id, job_id, state, now_ms()))
    answer(told(job, org))


def _which(coupons: str | None, customers: Path | None) -> str:
    if coupons is None and customers is None:
        raise Refused(Problem("usage", "say which with --coupons unredeemed or --coupons unissued, or list --customers"))
    return coupons or "unredeemed"


def _json(text: str) -> Any:  # noqa: ANN401 - whatever it holds
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Refused(Problem("invalid", f"--segment is not JSON: {error}")) from error
