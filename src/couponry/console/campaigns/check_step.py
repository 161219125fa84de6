"""Steps 5 and 6: the pre-flight check, and the launch, now or at a time."""

from collections.abc import Mapping
from functools import partial
from typing import Final

import falcon.asgi
from msgspec import Struct

from couponry.console.campaigns.audience_step import WHOM
from couponry.console.campaigns.flow import StepPage, path_of
from couponry.console.campaigns.look import Look, look
from couponry.console.campaigns.terms_step import Said, said
from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit
from couponry.core.launching import Launch, LaunchState, instant_ms
from couponry.core.liability import Liability
from couponry.core.preflight import Finding, Severity, findings, liability, needs_approval
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.core.terms_words import in_labels, in_one_line, money
from couponry.store import launches
from couponry.store.drafts import Draft
from couponry.store.engine import ReadTransaction
from couponry.store.launches import LaunchRefused, Wish

TONES: Final[Mapping[Severity, str]] = {Severity.STOPS: "bad", Severity.WARNS: "warn", Severity.TELLS: "calm"}


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The check and the launch."""
    at = "/campaigns/drafts/{draft}"
    return {f"{at}/check": CheckStep(parts, pages), f"{at}/launch": LaunchStep(parts, pages)}


class Checked(Struct, frozen=True):
    """What the check found."""

    findings: list[Finding]
    worst: Liability
    needs_approval: bool
    said: Said
    look: Look

    @property
    def may_launch(self) -> bool:
        """Whether nothing stops it."""
        return all(finding.severity is not Severity.STOPS for finding in self.findings)


class CheckStep(StepPage):
    """The check, with the form that launches."""

    STEP = "check"

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, draft: str) -> None:
        """Look at everything."""
        due = _due_ms(visit, visit.query("due"))
        due_ms = None if isinstance(due, Problem) else due
        if found := await self.opened(visit, resp, draft, lambda tx, one: _checked(tx, visit, one, due_ms)):
            self.show_check(visit, resp, *found)

    def show_check(
        self,
        visit: Visit,
        resp: falcon.asgi.Response,
        draft: Draft,
        checked: Checked | Problem,
        problem: str = "",
        status: int = 200,
    ) -> None:
        """The page."""
        if isinstance(checked, Problem):
            problem = f"{problem} The terms cannot be used as they are: {in_labels(checked.text)}.".strip()
        shown = None if isinstance(checked, Problem) else checked
        context = {"checked": shown, "problem": problem, "tones": TONES, "whom": WHOM, "status": status}
        self.show(visit, resp, draft, "campaigns/check.html", due=visit.form.text("due") or visit.query("due"), **context)


class LaunchStep(CheckStep):
    """The launch."""

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, draft: str) -> None:
        """Nothing to see here."""
        self._pages.go(visit, resp, f"/campaigns/drafts/{draft}/check")

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, draft: str) -> None:
        """Launch, or ask for approval; once, however often this is sent."""
        later = visit.form.text("when") == "later"
        due = _due_ms(visit, visit.form.text("due")) if later else None
        due_ms = None if isinstance(due, Problem) else due
        found = await self.opened(visit, resp, draft, lambda tx, one: _checked(tx, visit, one, due_ms))
        if not found:
            return
        one, checked = found
        wrong = _not_now(checked, due, visit, one, is_later=later)
        if wrong or isinstance(checked, Problem):
            self.show_check(visit, resp, one, checked, wrong, 422)
            return
        launched = await self._launched(visit, one, checked, due_ms)
        if isinstance(launched, Code):
            self._pages.failed(visit, resp, launched)
        elif isinstance(launched, Problem):
            self.show_check(visit, resp, one, checked, f"{in_labels(launched.text)} ({launched.code}).", 409)
        else:
            self._pages.go(visit, resp, *_where(launched))

    async def _launched(self, visit: Visit, draft: Draft, checked: Checked, due_ms: int | None) -> Launch | Problem | Code:
        facts, org = checked.look.facts, visit.session.org
        total = checked.worst.total
        cost = "without a bound" if total is None else f"at worst {money(total, org.currency)}"
        people = facts.people
        whom = "" if people is None else f" to {'' if people.is_exact else 'up to '}{people.high:,} customers"
        summary = f"Launch “{draft.content.name}”{whom}, {cost}: {in_one_line(facts.terms, org.currency)}"
        wish = Wish(due_ms, draft.version, checked.needs_approval, total, summary)
        begin = partial(launches.begin, org=org, actor=visit.actor(), draft_id=draft.id, wish=wish)
        try:
            return await self._parts.back_office.write(begin, makes_job=True)
        except LaunchRefused as refused:
            return refused.problem


def _not_now(checked: Checked | Problem, due: int | Problem | None, visit: Visit, draft: Draft, *, is_later: bool) -> str:
    """Why it cannot be launched like this; empty when it can."""
    if isinstance(due, Problem):
        return due.message
    if is_later and (due is None or due <= visit.now_ms):
        return "Say when: a time to come."
    if visit.form.text("version") != str(draft.version):
        return "This draft was changed meanwhile. This is the check of how it is now."
    if isinstance(checked, Checked) and not checked.may_launch:
        return "Something stops the launch; see below."
    return ""


def _checked(tx: ReadTransaction, visit: Visit, draft: Draft, due_ms: int | None) -> Checked | Problem:
    org = visit.session.org
    seen = look(tx, org, draft, visit.now_ms, due_ms)
    if isinstance(seen, Problem):
        return seen
    facts = seen.facts
    words = said(facts.terms, org, seen.names)
    return Checked(findings(facts), liability(facts), needs_approval(facts), words, seen)


def _due_ms(visit: Visit, text: str) -> int | Problem | None:
    try:
        return instant_ms(text, visit.session.org.zone)
    except (ValueError, OverflowError):
        return Problem("invalid", "That is no date and time.")


def _where(launch: Launch) -> tuple[str, str]:
    """Where to go on to, and what to say there."""
    if launch.state is LaunchState.ASKED:
        return path_of(launch.draft_id), "A second person has to approve this launch. It waits for them now."
    notice = (
        "Launched." if launch.state is LaunchState.LAUNCHED else "Scheduled. You can still choose another time, or cancel it."
    )
    return f"/campaigns/{launch.campaign_id}", notice
