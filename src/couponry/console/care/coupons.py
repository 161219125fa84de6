"""A coupon: every fact, and everything that ever happened to it on one line."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import falcon.asgi
import msgspec
from msgspec import Struct

from couponry.console.care.acting import ACTS, is_of_many, offered
from couponry.console.care.lookups import Lookups
from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit, number_of
from couponry.core import terms_words
from couponry.core.limits import CONSOLE_PAGE_ROWS
from couponry.core.roles import Permission
from couponry.core.status import Code
from couponry.core.timeline import Page, cursor_of, of_coupon, page_of
from couponry.store import care as store
from couponry.store import timeline
from couponry.store.care import CouponFile
from couponry.store.engine import ReadTransaction


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The page."""
    return {"/care/coupons/{coupon_id}": One(parts, pages)}


class View(Struct, frozen=True):
    """A coupon and a page of its life."""

    file: CouponFile
    page: Page


class One:
    """One coupon. Those of other orgs, and ids that are none, are not there."""

    NEEDS = NEEDS_TO_POST = Permission.SEE_CUSTOMERS

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages
        self._lookups = Lookups(parts, pages)

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, coupon_id: str) -> None:
        """Facts and timeline."""
        wanted = number_of(coupon_id)
        if wanted is None:
            self._pages.missing(visit, resp, "coupon")
            return
        if not await self._lookups.is_let(visit, resp, ("coupon", wanted)):
            return
        found = await self._parts.back_office.read(partial(_view, visit, wanted))
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
        elif found is None:
            self._pages.missing(visit, resp, "coupon")
        else:
            self._pages.show(visit, resp, "care/coupon.html", **_shown(visit, found))


def _view(visit: Visit, coupon_id: int, tx: ReadTransaction) -> View | None:
    file = store.coupon_file(tx, visit.org_id, coupon_id, visit.now_ms)
    if file is None:
        return None
    cursor = cursor_of(visit.query("before"))
    sources = timeline.units(tx, visit.org_id, coupon_id, cursor, visit.session.org.currency)
    own = of_coupon(file.coupon, file.created_ms, file.issued_at, file.revoked_ms)
    return View(file, page_of(sources, own, cursor, CONSOLE_PAGE_ROWS))


def _shown(visit: Visit, view: View) -> dict[str, Any]:
    file, series, currency = view.file, view.file.head.series, visit.session.org.currency
    return {
        "file": file,
        "it": file.coupon,
        "headline": terms_words.headline(series.terms, currency) if series else "",
        "sentences": terms_words.sentences(series.terms, currency, file.names) if series else [],
        "details": msgspec.json.decode(file.details, type=dict[str, Any]) if file.details else {},
        "is_of_many": is_of_many(file),
        "acts": {name: ACTS[name] for name in offered(file)},
        "page": view.page,
    }
