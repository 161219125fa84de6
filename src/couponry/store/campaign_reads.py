"""Campaigns as people look at them: listed, in a calendar, and one with all that belongs to it."""

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, Select, String, func, or_, select

from couponry.core.codes import code_key
from couponry.core.jobs import JobKind, JobState
from couponry.core.limits import CALENDAR_CAMPAIGNS_MAX, CAMPAIGN_JOBS_SHOWN
from couponry.core.model import Terms
from couponry.store import schema as t
from couponry.store.engine import ReadTransaction
from couponry.store.statements import org_parameter

Shown = Literal["active", "scheduled", "paused", "ended"]
SHOWN: Final[tuple[Shown, ...]] = ("active", "scheduled", "paused", "ended")


class Listed(Struct, frozen=True):
    """A campaign in a list. `series` counts its series, `launches_ms` is when it is launched next, if it is scheduled to be."""

    id: int
    name: str
    description: str
    starts_ms: int | None
    ends_ms: int | None
    state: str
    created_ms: int
    series: int = 0
    launches_ms: int | None = None

    def shown_at(self, now_ms: int) -> Shown:
        """Where it stands, in a word."""
        return shown_at(self.state, self.starts_ms, self.ends_ms, now_ms)

    def begins_ms(self) -> int:
        """When it begins: when it says, else when it was made."""
        return self.created_ms if self.starts_ms is None else self.starts_ms


class JobRow(Struct, frozen=True):
    """A job of a campaign's series, as far as it is shown there."""

    id: int
    series_id: int
    kind: JobKind
    state: JobState
    total: int | None
    done: int
    ok: int
    failed: int
    problem: str
    created_ms: int


class Version(Struct, frozen=True):
    """One version of a series' terms; `terms` is None where they cannot be read. `till_id` is where it was made, if at a till."""

    version: int
    terms: Terms | None
    created_ms: int
    till_id: int | None


_ID_DIGITS_MAX: Final = 15
_COLUMNS: Final = tuple(t.campaign.c[name] for name in Listed.__struct_fields__[:7])


def shown_at(state: str, starts_ms: int | None, ends_ms: int | None, now_ms: int) -> Shown:
    """Ended once its end has passed, too; scheduled until it starts."""
    if state == "ENDED" or (ends_ms is not None and ends_ms < now_ms):
        return "ended"
    if state == "PAUSED":
        return "paused"
    return "scheduled" if starts_ms is not None and starts_ms > now_ms else "active"


def list_page(
    tx: ReadTransaction, org_id: int, *, now_ms: int, limit: int, shown: Shown | None, text: str, before_id: int | None
) -> list[Listed]:
    """Newest first, those whose name holds a text alone. One statement. People make campaigns, so an org has few."""
    campaign, series, launch = t.campaign.c, t.series.c, t.launch.c
    members = select(func.count()).where(series.org_id == org_id, series.campaign_id == campaign.id).scalar_subquery()
    of_campaign = (launch.org_id == org_id, launch.campaign_id == campaign.id, launch.state == "scheduled")
    next_ms = select(func.min(launch.due_ms)).where(*of_campaign).scalar_subquery()
    wanted = select(*_COLUMNS, members, next_ms).where(campaign.org_id == org_id)
    if shown:
        wanted = wanted.where(_is(shown, now_ms))
    if text:
        wanted = wanted.where(func.lower(campaign.name).contains(text.lower(), autoescape=True))
    if before_id is not None:
        wanted = wanted.where(campaign.id < before_id)
    return [Listed(*row) for row in tx.rows(wanted.order_by(campaign.id.desc()).limit(limit), {})]


def in_time(tx: ReadTransaction, org_id: int, from_ms: int, to_ms: int) -> list[Listed]:
    """Campaigns that run between two instants, the earliest first. One statement."""
    campaign = t.campaign.c
    begins = func.coalesce(campaign.starts_ms, campaign.created_ms)
    wanted = select(*_COLUMNS).where(campaign.org_id == org_id, begins < to_ms)
    wanted = wanted.where(or_(campaign.ends_ms.is_(None), campaign.ends_ms >= from_ms))
    wanted = wanted.where(or_(campaign.state != "ENDED", campaign.ends_ms.is_not(None)))
    return [Listed(*row) for row in tx.rows(wanted.order_by(begins, campaign.id).limit(CALENDAR_CAMPAIGNS_MAX), {})]


def jobs_of(tx: ReadTransaction, org_id: int, series_ids: Sequence[int]) -> list[JobRow]:
    """The last jobs that issue coupons of some series, newest first. One statement."""
    job = t.job.c
    columns = [job[name] for name in JobRow.__struct_fields__]
    wanted = select(*columns).where(job.org_id == org_id, job.series_id.in_(series_ids), job.kind == JobKind.ISSUE.value)
    rows = tx.rows(wanted.order_by(job.id.desc()).limit(CAMPAIGN_JOBS_SHOWN), {})
    return [_job(tuple(row)) for row in rows]


def free_series(tx: ReadTransaction, org_id: int, limit: int) -> list[tuple[int, str]]:
    """The newest series of no campaign: id and the code it is known by. One statement."""
    series = t.series.c
    wanted = select(series.id, series.code_key).where(series.org_id == org_id, series.campaign_id.is_(None))
    return [(row.id, row.code_key) for row in tx.rows(wanted.order_by(series.id.desc()).limit(limit), {})]


def series_by_code(tx: ReadTransaction, org_id: int, code: str) -> int | None:
    """The id of the series that has this code."""
    series = t.series.c
    rows = tx.rows(select(series.id).where(series.org_id == org_id, series.code_key == code_key(code)), {})
    return rows[0].id if rows else None


def series_named(tx: ReadTransaction, org_id: int, names: Sequence[str]) -> dict[str, int]:
    """The ids of series named by code, else by number. Two statements at most, none for no names."""
    if not names:
        return {}
    codes, ids = tx.dialect.keys("codes", String()), tx.dialect.keys("ids", BigInteger())
    numbers = [int(name) for name in names if name.isascii() and name.isdigit() and len(name) <= _ID_DIGITS_MAX]
    by_code = select(t.series.c.code_key, t.series.c.id).select_from(codes.probing(t.series, "code_key", index="uq_series_code"))
    by_id = select(t.series.c.id).select_from(ids.probing(t.series, "id"))
    org = {org_parameter().key: org_id}
    found = {row.code_key: row.id for row in tx.rows(by_code, org | codes.bound([(code_key(name),) for name in names]))}
    known = {str(row.id) for row in tx.rows(by_id, org | ids.bound([(number,) for number in numbers]))}
    named = {name: found[code_key(name)] for name in names if code_key(name) in found}
    return {name: int(name) for name in names if name in known} | named


def is_code_taken(tx: ReadTransaction, org_id: int, code: str) -> bool:
    """Whether a coupon has this code."""
    coupon = t.coupon.c
    mine = (coupon.org_id == org_id, coupon.code_key == code_key(code), coupon.revision == 0)
    return bool(tx.rows(select(coupon.id).where(*mine).limit(1), {}))


def codes_made(tx: ReadTransaction, org_id: int, series_id: int) -> int:
    """How many codes were made of a series."""
    rows = tx.rows(select(t.series.c.codes_made).where(t.series.c.org_id == org_id, t.series.c.id == series_id), {})
    return int(rows[0].codes_made) if rows else 0


def versions(tx: ReadTransaction, org_id: int, series_id: int, *, limit: int, below: int | None = None) -> list[Version]:
    """A series' terms, newest first. One statement."""
    version = t.series_version.c
    columns = (version.version, version.terms, version.created_ms, version.created_by)
    wanted: Select[Any] = select(*columns).where(version.org_id == org_id, version.series_id == series_id)
    if below is not None:
        wanted = wanted.where(version.version < below)
    rows = tx.rows(wanted.order_by(version.version.desc()).limit(limit), {})
    return [Version(number, _terms(text), created_ms, till_id) for number, text, created_ms, till_id in rows]


def _job(row: tuple[Any, ...]) -> JobRow:
    values = dict(zip(JobRow.__struct_fields__, row, strict=True))
    return JobRow(**values | {"kind": JobKind(values["kind"]), "state": JobState(values["state"])})


def _terms(text: str) -> Terms | None:
    try:
        return msgspec.json.decode(text, type=Terms)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _is(shown: Shown, now_ms: int) -> ColumnElement[bool]:
    campaign = t.campaign.c
    is_over = (campaign.state == "ENDED") | func.coalesce(campaign.ends_ms < now_ms, False)
    if shown == "ended":
        return is_over
    if shown == "paused":
        return (campaign.state == "PAUSED") & ~is_over
    is_later = func.coalesce(campaign.starts_ms > now_ms, False)
    return (campaign.state == "ACTIVE") & ~is_over & (is_later if shown == "scheduled" else ~is_later)
