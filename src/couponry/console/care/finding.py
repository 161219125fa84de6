"""The one search box: whatever a caller reads out."""

from collections.abc import Mapping
from functools import partial

import falcon.asgi

from couponry.console.care.lookups import Lookups
from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit
from couponry.core.limits import HITS_MAX
from couponry.core.roles import Permission
from couponry.core.searching import Sought, masked, sought
from couponry.core.status import Code
from couponry.store import searching
from couponry.store.engine import ReadTransaction
from couponry.store.searching import Hits


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The search."""
    return {"/care": Find(parts, pages)}


class Find:
    """One hit is shown at once, several are listed by kind; none says what was looked for."""

    NEEDS = NEEDS_TO_POST = Permission.SEE_CUSTOMERS

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages
        self._lookups = Lookups(parts, pages)

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """Look."""
        text = visit.query("q")
        if not text:
            self._show(visit, resp, Sought(), None)
            return
        what = sought(text, visit.session.org)
        subject = ("search", masked("email" if "@" in text else "", text))
        if not await self._lookups.is_let(visit, resp, subject, action="search", after={"for": what.kinds}):
            return
        found = await self._parts.back_office.read(partial(_found, visit, what))
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
        elif len(found.paths) == 1:
            self._pages.go(visit, resp, found.paths[0])
        else:
            self._show(visit, resp, what, found)

    def _show(self, visit: Visit, resp: falcon.asgi.Response, what: Sought, hits: Hits | None) -> None:
        q = visit.query("q")
        self._pages.show(visit, resp, "care/find.html", q=q, what=what, hits=hits, masked=masked, hits_max=HITS_MAX)


def _found(visit: Visit, what: Sought, tx: ReadTransaction) -> Hits:
    return searching.find(tx, visit.org_id, what)
