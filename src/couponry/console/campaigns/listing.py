"""All campaigns, by state and name, with what is launched next."""

from collections.abc import Mapping
from typing import Any, Final

import falcon.asgi
from msgspec import Struct

from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit
from couponry.core.launching import Launch
from couponry.core.limits import CONSOLE_PAGE_ROWS, NAME_CHARS_MAX
from couponry.core.roles import Permission
from couponry.core.status import Code
from couponry.store import launches
from couponry.store.campaign_reads import SHOWN, Listed, Shown, list_page
from couponry.store.drafts import Draft, open_drafts
from couponry.store.engine import ReadTransaction

TONES: Final[Mapping[Shown, str]] = {"active": "good", "scheduled": "calm", "paused": "warn", "ended": "calm"}
_ASIDE: Final = 5
"""How many drafts and scheduled launches stand beside the list."""


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The list."""
    return {"/campaigns": Campaigns(parts, pages)}


class Found(Struct, frozen=True):
    """What the page shows."""

    campaigns: list[Listed]
    drafts: list[Draft]
    coming: list[Launch]


class Campaigns:
    """The list."""

    NEEDS = NEEDS_TO_POST = Permission.SEE_CAMPAIGNS

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """Those that match, newest first."""
        shown = next((each for each in SHOWN if each == visit.query("state")), None)
        text = visit.query("q")[:NAME_CHARS_MAX]
        found = await self._parts.back_office.read(lambda tx: _found(tx, visit, shown, text))
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
            return
        listed = found.campaigns[:CONSOLE_PAGE_ROWS]
        older = listed[-1].id if len(found.campaigns) > CONSOLE_PAGE_ROWS else None
        context: dict[str, Any] = {"found": found, "listed": listed, "older": older, "text": text, "shown": shown}
        self._pages.show(visit, resp, "campaigns/list.html", states=SHOWN, tones=TONES, **context)


def _found(tx: ReadTransaction, visit: Visit, shown: Shown | None, text: str) -> Found:
    limit, before_id = CONSOLE_PAGE_ROWS + 1, visit.number("before")
    return Found(
        list_page(tx, visit.org_id, now_ms=visit.now_ms, limit=limit, shown=shown, text=text, before_id=before_id),
        open_drafts(tx, visit.org_id, limit=_ASIDE),
        launches.scheduled(tx, visit.org_id, _ASIDE),
    )
