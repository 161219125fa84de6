"""What the steps of the guided way have in common: the draft in the database, and how one goes from step to step."""

from collections.abc import Callable
from typing import Any, ClassVar, Final, TypeVar

import falcon.asgi
from msgspec.structs import replace

from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit, number_of
from couponry.core.launching import STEPS, CampaignDraft, Step
from couponry.core.roles import Permission
from couponry.core.status import Code
from couponry.store import audit
from couponry.store.drafts import Draft, read_draft, save_draft
from couponry.store.engine import ReadTransaction, WriteTransaction

T = TypeVar("T")
TITLES: Final[dict[Step, str]] = {
    "campaign": "Campaign",
    "terms": "Terms",
    "audience": "Audience",
    "message": "Message",
    "check": "Check",
    "launch": "Launch",
}
_STALE: Final = "Somebody changed this draft meanwhile. This is how it is now; please look, and save again."


def path_of(draft_id: int, step: str = "") -> str:
    """Where a step is."""
    return f"/campaigns/drafts/{draft_id}{step and '/'}{step}"


class StepPage:
    """One step: shown with what was filled in, and saved."""

    NEEDS = NEEDS_TO_POST = Permission.MAKE_CAMPAIGNS
    STEP: ClassVar[Step]

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def opened(
        self, visit: Visit, resp: falcon.asgi.Response, draft: str, more: Callable[[ReadTransaction, Draft], T]
    ) -> tuple[Draft, T] | None:
        """The draft with what `more` reads in the same view; None when the answer is given: it is not there, or launched."""
        number = number_of(draft)

        def read(tx: ReadTransaction) -> tuple[Draft, T | None] | None:
            draft = read_draft(tx, visit.org_id, number) if number is not None else None
            return (draft, more(tx, draft) if draft.is_open else None) if draft else None

        found = await self._parts.back_office.read(read)
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
        elif found is None:
            self._pages.missing(visit, resp, "draft")
        elif not found[0].is_open:
            self._pages.go(visit, resp, path_of(found[0].id))
        else:
            return found[0], found[1]  # type: ignore[return-value] # it was read, since the draft is open
        return None

    def show(self, visit: Visit, resp: falcon.asgi.Response, draft: Draft, template: str, **context: Any) -> None:  # noqa: ANN401 - whatever the template names
        """A step's page."""
        step = self.STEP
        self._pages.show(visit, resp, template, draft=draft, content=draft.content, step=step, **_frame(draft), **context)

    async def save(
        self,
        visit: Visit,
        resp: falcon.asgi.Response,
        draft: Draft,
        content: CampaignDraft,
        notice: str = "",
        *,
        stay: bool = False,
    ) -> None:
        """Keep what was filled in, and go on to the next step."""
        done = replace(content, steps=content.steps | {self.STEP})
        is_stale = visit.form.text("version") not in {"", str(draft.version)}

        def write(tx: WriteTransaction) -> bool:
            if is_stale or save_draft(tx, visit.org_id, draft, done, visit.now_ms):
                return False
            told = {"step": self.STEP, "name": done.name}
            audit.record(tx, visit.actor(), "change draft", ("draft", draft.id), after=told)
            return True

        saved = await self._parts.back_office.write(write)
        if isinstance(saved, Code):
            self._pages.failed(visit, resp, saved)
        elif not saved:
            self._pages.go(visit, resp, path_of(draft.id, self.STEP), _STALE)
        else:
            to = self.STEP if stay else "check" if visit.form.text("then") == "check" else following(self.STEP)
            self._pages.go(visit, resp, path_of(draft.id, to), notice)


def nothing(_tx: ReadTransaction, _draft: Draft) -> None:
    """What a step reads that needs only the draft."""


def following(step: Step) -> Step:
    """The step after one."""
    return STEPS[min(STEPS.index(step) + 1, STEPS.index("check"))]


def _frame(draft: Draft) -> dict[str, Any]:
    """What the frame of every step shows."""
    shown = [step for step in STEPS if step != "launch"]
    links = [(step, TITLES[step], path_of(draft.id, step), step in draft.content.steps) for step in shown]
    return {"links_of_steps": links, "here": path_of(draft.id)}
