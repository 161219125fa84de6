"""One campaign: its series, launches and jobs, and what can be done with it."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Final

import falcon.asgi
from msgspec import Struct
from msgspec.structs import asdict

from couponry.console.campaigns.drafts import begun
from couponry.console.campaigns.flow import path_of
from couponry.console.campaigns.listing import TONES
from couponry.console.campaigns.terms_fields import fields_of_terms
from couponry.console.gate import Resource
from couponry.console.pages import HTML, Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit, number_of
from couponry.core.expiry import local_time
from couponry.core.figures import Period
from couponry.core.jobs import ENDED, JobState
from couponry.core.launching import CampaignDraft, Launch, LaunchState, instant_ms
from couponry.core.limits import CAMPAIGN_JOBS_SHOWN, CAMPAIGN_SERIES_SHOWN
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.core.roles import Permission
from couponry.core.status import Code
from couponry.core.terms_words import in_labels, in_one_line
from couponry.store import audit, campaigns, launches
from couponry.store.campaign_reads import JobRow, jobs_of, shown_at
from couponry.store.campaigns import Campaign, State
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.figures import NOTHING, Figures, per_series
from couponry.store.launches import LaunchRefused
from couponry.store.offers import Offered, read_series

MOVES: Final[Mapping[str, tuple[State, str]]] = {
    "pause": ("PAUSED", "Paused: nothing of it is issued or redeemed until you resume it."),
    "resume": ("ACTIVE", "Resumed."),
    "end": ("ENDED", "Ended for good."),
}
JOB_TONES: Final[Mapping[JobState, str]] = {
    JobState.QUEUED: "calm",
    JobState.RUNNING: "calm",
    JobState.PAUSED: "warn",
    JobState.FINISHED: "good",
    JobState.FAILED: "bad",
    JobState.CANCELLED: "warn",
}
LAUNCH_TONES: Final[Mapping[LaunchState, str]] = {
    LaunchState.ASKED: "warn",
    LaunchState.SCHEDULED: "calm",
    LaunchState.LAUNCHED: "good",
    LaunchState.FAILED: "bad",
    LaunchState.CANCELLED: "warn",
}
_LATELY_DAYS: Final = 30
# What a copy does not take over: names that only one series can have, and dates.
_OWN: Final = frozenset(
    {
        *("seriesCode", "genericCode", "campaignId", "validTillDate", "validTillDateTime", "redemptionValidFrom"),
        *("zone", "hasAudience", "ownedBy", "ownerId", "ownerValidity", "sourceOrgId"),
    }
)


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The page, its live part, and what is done there."""
    at = "/campaigns/{number}"
    return {
        at: OneCampaign(parts, pages),
        f"{at}/progress": Progress(parts, pages),
        f"{at}/move/{{move}}": Move(parts, pages),
        f"{at}/copy": Copy(parts, pages),
        f"{at}/more": More(parts, pages),
        f"{at}/launches/{{launch}}/cancel": Cancel(parts, pages),
        f"{at}/launches/{{launch}}/again": Again(parts, pages),
    }


class Found(Struct, frozen=True):
    """A campaign with all that belongs to it, and what happened `lately`. Of many series, the first are shown."""

    campaign: Campaign
    offered: list[Offered]
    launches: list[Launch]
    jobs: list[JobRow]
    lately: Figures

    @property
    def issued(self) -> int:
        """Coupons of these series ever issued."""
        return sum(each.counts.issued for each in self.offered)

    @property
    def redeemed(self) -> int:
        """Redemptions of them that count now."""
        return sum(each.counts.redeemed for each in self.offered)

    @property
    def is_moving(self) -> bool:
        """Whether a job is still at work."""
        return any(job.state not in {*ENDED, JobState.PAUSED} for job in self.jobs)


class CampaignPage:
    """What all of them need."""

    NEEDS = NEEDS_TO_POST = Permission.MAKE_CAMPAIGNS

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    def answer(self, visit: Visit, resp: falcon.asgi.Response, number: str, done: Problem | Code | str) -> None:
        """Go back to the campaign, and say what was done, or why not."""
        if isinstance(done, Code):
            self._pages.failed(visit, resp, done)
        elif isinstance(done, Problem) and done.code == "unknown":
            self._pages.missing(visit, resp, "campaign")
        else:
            notice = f"That was not done: {in_labels(done.text)}." if isinstance(done, Problem) else done
            self._pages.go(visit, resp, f"/campaigns/{number_of(number) or 0}", notice)


class OneCampaign(CampaignPage):
    """The page."""

    NEEDS = NEEDS_TO_POST = Permission.SEE_CAMPAIGNS

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """Show it."""
        found = await self._parts.back_office.read(lambda tx: _found(tx, visit.session.org, number_of(number), visit.now_ms))
        if not isinstance(found, Found):
            self.answer(visit, resp, number, found)
            return
        one, org = found.campaign, visit.session.org
        shown = shown_at(one.state, one.starts_ms, one.ends_ms, visit.now_ms)
        words = {each.series.id: in_one_line(each.series.terms, org.currency) for each in found.offered}
        tones: dict[str, Any] = {"tones": TONES, "job_tones": JOB_TONES, "launch_tones": LAUNCH_TONES}
        self._pages.show(visit, resp, "campaigns/one.html", found=found, shown=shown, words=words, one=one, **tones)


class Progress(CampaignPage):
    """The jobs of a campaign, as far as they have come: a part of its page."""

    NEEDS = NEEDS_TO_POST = Permission.SEE_CAMPAIGNS

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """The part."""
        found = await self._parts.back_office.read(lambda tx: _found(tx, visit.session.org, number_of(number), visit.now_ms))
        if not isinstance(found, Found):
            self.answer(visit, resp, number, found)
            return
        resp.content_type = HTML
        resp.text = self._pages.filled(visit, "campaigns/progress.html", found=found, one=found.campaign, job_tones=JOB_TONES)


class Move(CampaignPage):
    """Pause, resume or end."""

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, number: str, move: str) -> None:
        """Do it."""
        if move not in MOVES:
            raise falcon.HTTPNotFound
        state, notice = MOVES[move]
        campaign_id = number_of(number) or 0

        def write(tx: WriteTransaction) -> Problem | str:
            before = campaigns.read_campaign(tx, visit.org_id, campaign_id)
            after = campaigns.move_campaign(tx, visit.org_id, campaign_id, state, visit.now_ms)
            if isinstance(before, Problem) or isinstance(after, Problem):
                return after if isinstance(after, Problem) else Problem("unknown", "there is no such campaign")
            states = ({"state": before.state}, {"state": after.state})
            audit.record(tx, visit.actor(), move, ("campaign", campaign_id), before=states[0], after=states[1])
            return notice

        self.answer(visit, resp, number, await self._parts.back_office.write(write))


class Copy(CampaignPage):
    """A draft with everything of a campaign but its dates."""

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """Begin it."""
        await self._begin(visit, resp, number, copied)

    async def _begin(self, visit: Visit, resp: falcon.asgi.Response, number: str, make: Any) -> None:  # noqa: ANN401 - makes a draft of what was found
        found = await self._parts.back_office.read(lambda tx: _found(tx, visit.session.org, number_of(number), visit.now_ms))
        if not isinstance(found, Found):
            self.answer(visit, resp, number, found)
            return
        made = await self._parts.back_office.write(partial(begun, visit, make(found)))
        if isinstance(made, Code):
            self._pages.failed(visit, resp, made)
            return
        self._pages.go(visit, resp, path_of(made), "Here is the draft. Nothing is launched until you say so.")


class More(Copy):
    """Another launch in a campaign that there is."""

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """Begin it."""
        await self._begin(visit, resp, number, _in_campaign)


class Cancel(CampaignPage):
    """A scheduled launch is not to be."""

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, number: str, launch: str) -> None:
        """Take it back."""

        def write(tx: WriteTransaction) -> Problem | str:
            found = launches.read_launch(tx, visit.org_id, number_of(launch) or 0)
            if found is None or found.campaign_id != number_of(number):
                return Problem("unknown", "there is no such launch")
            done = launches.cancel(tx, visit.actor(), found.id)
            return done if isinstance(done, Problem) else "The launch is cancelled. You can choose another time for it."

        self.answer(visit, resp, number, await self._parts.back_office.write(write))


class Again(CampaignPage):
    """Another time for a launch, or now."""

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, number: str, launch: str) -> None:
        """Schedule or start it."""
        try:
            due_ms = instant_ms(visit.form.text("due"), visit.session.org.zone)
        except (ValueError, OverflowError):
            self.answer(visit, resp, number, Problem("invalid", "that is no date and time"))
            return

        def write(tx: WriteTransaction) -> Problem | str:
            found = launches.read_launch(tx, visit.org_id, number_of(launch) or 0)
            if found is None or found.campaign_id != number_of(number):
                return Problem("unknown", "there is no such launch")
            done = launches.reschedule(tx, visit.session.org, visit.actor(), found.id, due_ms)
            if isinstance(done, Problem):
                return done
            return "Launched." if done.state is LaunchState.LAUNCHED else "Scheduled for another time."

        done: Problem | Code | str
        try:
            done = await self._parts.back_office.write(write, makes_job=True)
        except LaunchRefused as refused:
            done = refused.problem
        self.answer(visit, resp, number, done)


def copied(found: Found) -> CampaignDraft:
    """Everything but the dates, and the codes that only one series can have."""
    one, last = found.campaign, next(iter(found.launches), None)
    terms = found.offered[0].series.terms if found.offered else None
    fields = {name: value for name, value in fields_of_terms(terms).items() if name not in _OWN} if terms else {}
    request = last.request if last else CampaignDraft()
    kept = {name: value for name, value in asdict(request).items() if name in _KEPT}
    name = f"Copy of {one.name}"[: len("Copy of ") + 200]
    return CampaignDraft(name=name, description=one.description, fields=fields, copied_from=one.id, **kept)


_KEPT: Final = frozenset({"whom", "audience", "count", "send", "upload_name", "upload_rows", "upload_looked", "upload_known"})


def _in_campaign(found: Found) -> CampaignDraft:
    """One that adds to the campaign: its first series, for whomever is chosen."""
    one = found.campaign
    series_id = found.offered[0].series.id if found.offered else None
    steps = frozenset({"campaign", "terms"} if series_id is not None else {"campaign"})
    return CampaignDraft(name=one.name, description=one.description, campaign_id=one.id, series_id=series_id, steps=steps)  # type: ignore[arg-type] # the names are steps


def _found(tx: ReadTransaction, org: Org, campaign_id: int | None, now_ms: int) -> Found | Problem:
    """Seven statements."""
    one = campaigns.read_campaign(tx, org.id, campaign_id or 0)
    if isinstance(one, Problem):
        return one
    series_ids = list(one.series_ids[:CAMPAIGN_SERIES_SHOWN])
    offered = read_series(tx, org.id, series_ids, unreadable=[])
    today = local_time(now_ms // 1000, org.zone).date()
    figures = per_series(tx, org.id, Period(today - timedelta(days=_LATELY_DAYS - 1), today))
    lately = sum((figures.get(series_id, NOTHING) for series_id in one.series_ids), NOTHING)
    of_campaign = launches.of_campaign(tx, org.id, one.id, CAMPAIGN_JOBS_SHOWN)
    return Found(one, offered, of_campaign, jobs_of(tx, org.id, series_ids), lately)
