"""Drafts: begun, listed, gone on with, removed; and what waits for a second person."""

from collections.abc import Mapping
from functools import partial

import falcon.asgi
from msgspec import Struct

from couponry.console.campaigns.flow import path_of
from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit, number_of
from couponry.core.launching import CampaignDraft, Launch, LaunchState
from couponry.core.limits import CONSOLE_PAGE_ROWS
from couponry.core.problem import Problem
from couponry.core.roles import Permission
from couponry.core.status import Code
from couponry.store import approvals, audit, launches
from couponry.store.approvals import Approval
from couponry.store.drafts import Draft, close_draft, create_draft, hold_draft, open_drafts, read_draft
from couponry.store.engine import ReadTransaction, WriteTransaction


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """All drafts, one, and its end."""
    return {
        "/campaigns/drafts": Drafts(parts, pages),
        "/campaigns/drafts/{draft}": OneDraft(parts, pages),
        "/campaigns/drafts/{draft}/remove": Removal(parts, pages),
        "/campaigns/drafts/{draft}/cancel": Cancelling(parts, pages),
    }


class Drafts:
    """What was begun and not launched."""

    NEEDS, NEEDS_TO_POST = Permission.SEE_CAMPAIGNS, Permission.MAKE_CAMPAIGNS

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """The list."""
        limit, before_id = CONSOLE_PAGE_ROWS + 1, visit.number("before")
        found = await self._parts.back_office.read(partial(open_drafts, org_id=visit.org_id, limit=limit, before_id=before_id))
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
            return
        older = found[CONSOLE_PAGE_ROWS - 1].id if len(found) > CONSOLE_PAGE_ROWS else None
        self._pages.show(visit, resp, "campaigns/drafts.html", drafts=found[:CONSOLE_PAGE_ROWS], older=older)

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """Begin a campaign."""
        made = await self._parts.back_office.write(partial(begun, visit, CampaignDraft()))
        if isinstance(made, Code):
            self._pages.failed(visit, resp, made)
            return
        self._pages.go(visit, resp, path_of(made, "campaign"))


class Waiting(Struct, frozen=True):
    """A draft, what became of it, and what a second person said."""

    draft: Draft
    launch: Launch | None
    approval: Approval | None


class OneDraft:
    """Where a draft stands: at its next step, launched, or waiting for a second person."""

    NEEDS = NEEDS_TO_POST = Permission.SEE_CAMPAIGNS

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, draft: str) -> None:
        """Go on."""
        found = await self._parts.back_office.read(lambda tx: _waiting(tx, visit.org_id, number_of(draft)))
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
        elif found is None or (found.launch is None and not found.draft.is_open):
            self._pages.missing(visit, resp, "draft")
        elif found.draft.is_open:
            step = found.draft.content.next_step()
            self._pages.go(visit, resp, path_of(found.draft.id, "check" if step == "launch" else step))
        elif found.launch is not None and found.launch.campaign_id is not None:
            self._pages.go(visit, resp, f"/campaigns/{found.launch.campaign_id}")
        else:
            is_over = found.approval is not None and found.approval.state_at(visit.now_ms) != "pending"
            self._pages.show(visit, resp, "campaigns/waiting.html", found=found, is_over=is_over)


class Removal:
    """A draft that nobody wants any more."""

    NEEDS = NEEDS_TO_POST = Permission.MAKE_CAMPAIGNS

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, draft: str) -> None:
        """Take it from the list."""
        done = await self._parts.back_office.write(lambda tx: _removed(tx, visit, number_of(draft)))
        if isinstance(done, Code):
            self._pages.failed(visit, resp, done)
        elif not done:
            self._pages.missing(visit, resp, "draft")
        else:
            self._pages.go(visit, resp, "/campaigns/drafts", "The draft is removed.")


class Cancelling:
    """A launch that is not to be approved any more: the draft can be changed again."""

    NEEDS = NEEDS_TO_POST = Permission.MAKE_CAMPAIGNS

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, draft: str) -> None:
        """Take it back."""
        number = number_of(draft)

        def write(tx: WriteTransaction) -> Launch | Problem | None:
            launch = launches.of_draft(tx, visit.org_id, number) if number is not None else None
            if launch is None or launch.campaign_id is not None:
                return None
            return launches.cancel(tx, visit.actor(), launch.id)

        done = await self._parts.back_office.write(write)
        if isinstance(done, Code):
            self._pages.failed(visit, resp, done)
        elif done is None:
            self._pages.missing(visit, resp, "launch")
        else:
            notice = done.message if isinstance(done, Problem) else "It is not launched. You can change it, and ask again."
            self._pages.go(visit, resp, path_of(number or 0), notice)


def begun(visit: Visit, content: CampaignDraft, tx: WriteTransaction) -> int:
    """The id of a new draft."""
    person = visit.session.person
    draft_id = create_draft(tx, visit.org_id, person.id, content, visit.now_ms)
    after = {"name": content.name, "copiedFrom": content.copied_from}
    audit.record(tx, visit.actor(), "begin draft", ("draft", draft_id), after=after)
    return draft_id


def _waiting(tx: ReadTransaction, org_id: int, number: int | None) -> Waiting | None:
    draft = read_draft(tx, org_id, number) if number is not None else None
    if draft is None:
        return None
    launch = None if draft.is_open else launches.of_draft(tx, org_id, draft.id)
    is_asked = launch is not None and launch.state is LaunchState.ASKED
    asked = approvals.of_subject(tx, org_id, (launches.SUBJECT, launch.draft_id), limit=1) if launch and is_asked else []
    return Waiting(draft, launch, asked[0] if asked else None)


def _removed(tx: WriteTransaction, visit: Visit, number: int | None) -> bool:
    draft = hold_draft(tx, visit.org_id, number) if number is not None else None
    if draft is None or not draft.is_open:
        return False
    close_draft(tx, visit.org_id, draft.id, visit.now_ms)
    before = {"name": draft.content.name, "owner": draft.owner_email}
    audit.record(tx, visit.actor(), "remove draft", ("draft", draft.id), before=before)
    return True
