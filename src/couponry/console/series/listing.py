"""All series: searched by code or description, by state, by campaign."""

from collections.abc import Mapping
from functools import partial
from typing import Final

import falcon.asgi

from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit
from couponry.core.limits import CONSOLE_PAGE_ROWS, NAME_CHARS_MAX
from couponry.core.roles import Permission
from couponry.core.series_state import SeriesState
from couponry.core.status import Code
from couponry.store.series_pages import Search, search

TONES: Final = {
    SeriesState.OPEN: "good",
    SeriesState.NOT_YET: "calm",
    SeriesState.HALTED: "warn",
    SeriesState.EXPIRED: "calm",
    SeriesState.UNUSABLE: "bad",
}


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The list."""
    return {"/series": Listed(parts, pages)}


class Listed:
    """Series, newest first."""

    NEEDS = NEEDS_TO_POST = Permission.SEE_CAMPAIGNS

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """A page of them."""
        state = visit.query("state")
        wanted = Search(
            visit.query("q")[:NAME_CHARS_MAX],
            SeriesState(state) if state in [*SeriesState] else None,
            visit.number("campaign"),
            visit.number("before"),
            CONSOLE_PAGE_ROWS,
        )
        found = await self._parts.back_office.read(partial(search, org_id=visit.org_id, wanted=wanted, now_ms=visit.now_ms))
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
            return
        self._pages.show(visit, resp, "series/list.html", found=found, wanted=wanted, states=[*SeriesState], tones=TONES)
