"""Launches: campaign, series and job made of a draft, all in one transaction and once; now, at a time, or once it is approved.

Whoever launches locks the draft first, and there is one launch for each draft: a double click, a retry and a second worker find
what the first has done. A refusal is raised, so that nothing of a launch is ever left half done.
"""

from decimal import Decimal
from typing import Any, Final, TypeVar

from msgspec import Struct
from msgspec.structs import asdict, replace
from sqlalchemy import Select, exists, insert, select, update

from couponry.core.job_requests import IssueRequest
from couponry.core.launching import AGAIN, CampaignDraft, Launch, LaunchState, instant_ms
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.store import approvals, audit, campaigns, serials
from couponry.store import schema as t
from couponry.store.audit import Actor
from couponry.store.drafts import STALE, Draft, close_draft, decoded, encoded, hold_draft
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.offering import Author, create_series, drafted, update_series
from couponry.store.ordering import Order, place

KIND: Final = "launch"
"""The kind of approval; its subject is the draft, which has a page."""
SUBJECT: Final = "draft"
T = TypeVar("T")
_COLUMNS: Final = tuple(t.launch.c[name] for name in Launch.__struct_fields__)


class LaunchRefused(Exception):
    """Nothing was written; why not."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


class Wish(Struct, frozen=True):
    """How a draft is to be launched, as it was in this `version`: at `due_ms`, or at once.

    `amount` and `summary` are for a second person, where one is needed.
    """

    due_ms: int | None
    version: int
    needs_approval: bool = False
    amount: Decimal | None = None
    summary: str = ""


def begin(tx: WriteTransaction, org: Org, actor: Actor, draft_id: int, wish: Wish) -> Launch:
    """Launch a draft, or ask for it; the launch that there is when it was launched before. Raises LaunchRefused."""
    draft = hold_draft(tx, org.id, draft_id)
    if draft is None:
        raise LaunchRefused(Problem("unknown", "there is no such draft"))
    before = _one(tx, _all(org.id).where(t.launch.c.draft_id == draft_id))
    if before is not None and not _is_given_up(tx, actor, before):
        return before
    if draft.version != wish.version:
        raise LaunchRefused(Problem(STALE, "somebody else has changed this draft meanwhile"))
    launch = _written(tx, actor, before, draft, wish.due_ms)
    close_draft(tx, org.id, draft_id, actor.now_ms)
    if not wish.needs_approval:
        return carry_out(tx, org, actor, launch)
    told = {"launchId": launch.id, "askedMs": launch.updated_ms}
    approvals.ask(tx, actor, kind=KIND, subject=(SUBJECT, draft.id), amount=wish.amount, summary=wish.summary, request=told)
    return launch


def carry_out(tx: WriteTransaction, org: Org, actor: Actor, launch: Launch) -> Launch:
    """Make what was asked for: campaign and series now, its job now or when it is due. Raises LaunchRefused."""
    made = _with_offer(tx, org, actor, launch)
    is_later = made.due_ms is not None and made.due_ms > actor.now_ms
    after = replace(made, state=LaunchState.SCHEDULED) if is_later else _started(tx, org, made, actor.now_ms)
    after = _changed(tx, org.id, after, actor.now_ms)
    shown = {"launch": after.id, "state": after.state, "series": after.series_id, "job": after.job_id, "due": after.due_ms}
    action = "schedule launch" if is_later else "launch"
    _record_job(tx, actor, after)
    audit.record(tx, actor, action, ("campaign", after.campaign_id), after={**shown, "draft": told(after.request)})
    return after


def start_due(tx: WriteTransaction, org: Org, launch_id: int, now_ms: int) -> Launch | None:
    """Start a scheduled launch whose time has come; None for one that somebody else has started, or whose campaign is paused.

    Raises LaunchRefused for what cannot be.
    """
    launch = hold_launch(tx, org.id, launch_id)
    if launch is None or launch.state is not LaunchState.SCHEDULED or (launch.due_ms or 0) > now_ms:
        return None
    campaign = campaigns.read_campaign(tx, org.id, launch.campaign_id or 0)
    state = "ENDED" if isinstance(campaign, Problem) else campaign.state_at(now_ms)
    if state == "PAUSED":
        return None
    if state == "ENDED":
        raise LaunchRefused(Problem("ended", "the campaign had ended by then"))
    after = _changed(tx, org.id, _started(tx, org, launch, now_ms), now_ms)
    shown = {"launch": after.id, "job": after.job_id, "due": after.due_ms, "lateMs": after.late_ms}
    _record_job(tx, _worker(org.id, after, now_ms), after)
    audit.record(tx, _worker(org.id, after, now_ms), "launch", ("campaign", after.campaign_id), after=shown)
    return after


def fail(tx: WriteTransaction, org_id: int, launch_id: int, problem: Problem, now_ms: int) -> None:
    """Note why a scheduled launch did not start."""
    launch = hold_launch(tx, org_id, launch_id)
    if launch is not None and launch.state is LaunchState.SCHEDULED:
        after = _changed(tx, org_id, replace(launch, state=LaunchState.FAILED, problem=problem.text), now_ms)
        subject = ("campaign", launch.campaign_id)
        audit.record(tx, _worker(org_id, after, now_ms), "launch failed", subject, after={"problem": problem.text})


def reschedule(tx: WriteTransaction, org: Org, actor: Actor, launch_id: int, due_ms: int | None) -> Launch | Problem:
    """Another time for one that is scheduled, was cancelled or failed; None for now. Raises LaunchRefused."""
    launch = hold_launch(tx, org.id, launch_id)
    if launch is None or launch.campaign_id is None:
        return Problem("unknown", "there is no such launch")
    if launch.state not in {LaunchState.SCHEDULED, *AGAIN}:
        return Problem("state", f"this is {launch.state} already")
    campaign = campaigns.read_campaign(tx, org.id, launch.campaign_id)
    if not isinstance(campaign, Problem) and launch.due_ms is not None and campaign.starts_ms == launch.due_ms:
        moved = campaigns.Draft(starts_ms=due_ms)  # it starts with its launch, since nobody said otherwise
        _sound(campaigns.change_campaign(tx, org.id, campaign.id, moved, actor.now_ms))
    return carry_out(tx, org, actor, replace(launch, due_ms=due_ms, problem=""))


def cancel(tx: WriteTransaction, actor: Actor, launch_id: int) -> Launch | Problem:
    """Take back what is scheduled or waits for approval; a draft of which nothing was made yet may be changed again."""
    launch = hold_launch(tx, actor.org_id, launch_id)
    if launch is None:
        return Problem("unknown", "there is no such launch")
    if launch.state not in {LaunchState.SCHEDULED, LaunchState.ASKED}:
        return Problem("state", f"this is {launch.state} already")
    after = _changed(tx, actor.org_id, replace(launch, state=LaunchState.CANCELLED), actor.now_ms)
    if launch.campaign_id is None:
        close_draft(tx, actor.org_id, launch.draft_id, actor.now_ms, is_open=True)
    subject = (SUBJECT, launch.draft_id) if launch.campaign_id is None else ("campaign", launch.campaign_id)
    audit.record(tx, actor, "cancel launch", subject, before={"state": launch.state}, after={"state": after.state})
    return after


def read_launch(tx: ReadTransaction, org_id: int, launch_id: int) -> Launch | None:
    """One launch."""
    return _one(tx, _all(org_id).where(t.launch.c.id == launch_id))


def hold_launch(tx: WriteTransaction, org_id: int, launch_id: int) -> Launch | None:
    """The same, while nobody else changes it."""
    own = select(t.launch.c.id).where(t.launch.c.org_id == org_id, t.launch.c.id == launch_id)
    tx.rows(tx.dialect.locked(own, t.launch), {})
    return read_launch(tx, org_id, launch_id)


def of_draft(tx: ReadTransaction, org_id: int, draft_id: int) -> Launch | None:
    """What became of a draft."""
    return _one(tx, _all(org_id).where(t.launch.c.draft_id == draft_id))


def of_campaign(tx: ReadTransaction, org_id: int, campaign_id: int, limit: int) -> list[Launch]:
    """The last launches of a campaign, newest first."""
    launch = t.launch.c
    return _read(tx, _all(org_id).where(launch.campaign_id == campaign_id).order_by(launch.id.desc()).limit(limit))


def scheduled(tx: ReadTransaction, org_id: int, limit: int, *, by_ms: int | None = None) -> list[Launch]:
    """What is to be launched, the next first: all, or what is due by then; of a paused campaign nothing is due."""
    launch, campaign = t.launch.c, t.campaign.c
    wanted = _all(org_id).where(launch.state == "scheduled")
    if by_ms is not None:
        paused = (campaign.org_id == org_id, campaign.id == launch.campaign_id, campaign.state == "PAUSED")
        wanted = wanted.where(launch.due_ms <= by_ms, ~exists().where(*paused))
    return _read(tx, wanted.order_by(launch.due_ms, launch.id).limit(limit))


def told(request: CampaignDraft) -> dict[str, Any]:
    """A draft as the audit log shows it."""
    return {"name": request.name, "whom": request.whom, "count": request.count, "send": request.send}


def _is_given_up(tx: ReadTransaction, actor: Actor, launch: Launch) -> bool:
    """Whether its draft may be launched anew: nothing was made of it, and nobody is to decide about it any more."""
    if launch.campaign_id is not None:
        return False
    if launch.state is not LaunchState.ASKED:
        return launch.state in AGAIN
    asked = approvals.of_subject(tx, actor.org_id, (SUBJECT, launch.draft_id), limit=1)
    return bool(asked) and asked[0].state_at(actor.now_ms) in {"refused", "withdrawn", "expired"}


def _with_offer(tx: WriteTransaction, org: Org, actor: Actor, launch: Launch) -> Launch:
    """The launch with its series and its campaign, which are made unless they are there."""
    if launch.campaign_id is not None:
        return launch
    request, author = launch.request, Author(actor.now_ms)
    series_id = request.series_id
    if series_id is None:
        draft = drafted(request.fields, org, actor.now_ms, request.fields.get("seriesCode", ""))
        (made,) = create_series(tx, org.id, [draft], author, set())
        series_id = _sound(made)
        audit.record(tx, actor, "create series", ("series", series_id), after={"version": 1, "terms": request.fields})
    elif request.fields:
        changed = _sound(update_series(tx, org, series_id, request.fields, author))
        after = {"version": changed.series.version, "terms": request.fields}
        audit.record(tx, actor, "change series", ("series", series_id), after=after)
    return replace(launch, series_id=series_id, campaign_id=_campaign(tx, org, actor, launch, series_id))


def _campaign(tx: WriteTransaction, org: Org, actor: Actor, launch: Launch, series_id: int) -> int:
    """The id of a new campaign, or of the one that the series is to be launched in again."""
    request = launch.request
    if request.campaign_id is not None:
        before = _sound(campaigns.read_campaign(tx, org.id, request.campaign_id))
        added = campaigns.Draft(series_ids=[*before.series_ids, series_id])
        _sound(campaigns.change_campaign(tx, org.id, request.campaign_id, added, actor.now_ms))
        return request.campaign_id
    starts_ms, ends_ms = (instant_ms(local, org.zone) for local in (request.starts_local, request.ends_local))
    starts_ms = launch.due_ms if starts_ms is None else starts_ms
    draft = campaigns.Draft(request.name, request.description, starts_ms, ends_ms, [series_id])
    made = _sound(campaigns.create_campaign(tx, org.id, draft, actor.now_ms))
    after = {"name": made.name, "starts": starts_ms, "ends": ends_ms, "series": [series_id]}
    audit.record(tx, actor, "create campaign", ("campaign", made.id), after=after)
    return made.id


def _started(tx: WriteTransaction, org: Org, launch: Launch, now_ms: int) -> Launch:
    """The launch with its job, where it has one."""
    request = launch.request
    job_id = None
    if request.makes_job:
        order = Order(launch.series_id or 0, IssueRequest(request.audience, request.count, request.send))
        job_id = _sound(place(tx, org, order, now_ms))
    return replace(launch, state=LaunchState.LAUNCHED, job_id=job_id, started_ms=now_ms)


def _record_job(tx: WriteTransaction, actor: Actor, launch: Launch) -> None:
    """Who asked for a job is the first who is recorded about it."""
    if launch.job_id is not None:
        audit.record(tx, actor, "make job", ("job", launch.job_id), after={"launch": launch.id})


def _sound(made: T | Problem) -> T:
    if isinstance(made, Problem):
        raise LaunchRefused(made)
    return made


def _worker(org_id: int, launch: Launch, now_ms: int) -> Actor:
    """Who starts what was scheduled: nobody who is signed in, in the name of who scheduled it."""
    email = f"worker, for {launch.created_by_email}"
    return Actor(org_id=org_id, user_id=None, email=email, address="", request_id=f"launch-{launch.id}", now_ms=now_ms)


def _written(tx: WriteTransaction, actor: Actor, before: Launch | None, draft: Draft, due_ms: int | None) -> Launch:
    """A new launch of a draft, in the row of the one before, if there was one."""
    launch_id = before.id if before else serials.reserve(tx, actor.org_id, serials.LAUNCH)
    assert actor.user_id is not None, "somebody signed in"
    launch = Launch(
        id=launch_id,
        draft_id=draft.id,
        campaign_id=None,
        series_id=None,
        due_ms=due_ms,
        state=LaunchState.ASKED,
        request=draft.content,
        job_id=None,
        created_by=actor.user_id,
        created_by_email=actor.email,
        created_ms=actor.now_ms,
        updated_ms=actor.now_ms,
        started_ms=None,
        problem="",
    )
    if before is None:
        tx.connection.execute(insert(t.launch).values(org_id=actor.org_id, **_row(launch)))
        return launch
    return _changed(tx, actor.org_id, launch, actor.now_ms)


def _changed(tx: WriteTransaction, org_id: int, launch: Launch, now_ms: int) -> Launch:
    after = replace(launch, updated_ms=now_ms)
    own = update(t.launch).where(t.launch.c.org_id == org_id, t.launch.c.id == launch.id)
    tx.connection.execute(own.values(_row(after)))
    return after


def _row(launch: Launch) -> dict[str, Any]:
    return {**asdict(launch), "state": launch.state.value, "request": encoded(launch.request)}


def _all(org_id: int) -> Select[Any]:
    return select(*_COLUMNS).where(t.launch.c.org_id == org_id)


def _one(tx: ReadTransaction, wanted: Select[Any]) -> Launch | None:
    return next(iter(_read(tx, wanted)), None)


def _read(tx: ReadTransaction, wanted: Select[Any]) -> list[Launch]:
    return [_launch(tuple(row)) for row in tx.rows(wanted, {})]


def _launch(row: tuple[Any, ...]) -> Launch:
    values = dict(zip(Launch.__struct_fields__, row, strict=True))
    return Launch(**values | {"state": LaunchState(values["state"]), "request": decoded(values["request"])})
