"""The coupons and the redemptions of a series."""

import datetime as dt
from collections.abc import Mapping
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import falcon.asgi

from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.series.opened import SeriesPages
from couponry.console.visit import Visit, number_of
from couponry.core.limits import CONSOLE_PAGE_ROWS
from couponry.core.roles import Permission
from couponry.store.engine import ReadTransaction
from couponry.store.series_pages import Line, stores_named
from couponry.store.series_rows import CouponFilter, RedemptionRow, Rows, Span, coupons, redemptions


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """Both lists."""
    return {
        "/series/{number}/coupons": Coupons(parts, pages),
        "/series/{number}/redemptions": Redemptions(parts, pages),
    }


class Coupons(SeriesPages):
    """Coupons, newest first."""

    NEEDS = NEEDS_TO_POST = Permission.SEE_CAMPAIGNS

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """A page of them."""
        show = visit.query("show")
        which = CouponFilter(show) if show in [*CouponFilter] else None
        before_id = visit.number("before")
        found = await self._opened(
            visit, resp, number, lambda tx, line: coupons(tx, visit.org_id, line.id, which, before_id, CONSOLE_PAGE_ROWS)
        )
        if found:
            line, page = found
            older = {"before": page.next.id} if page.next else None
            context: dict[str, Any] = {"line": line, "page": page, "which": which, "filters": [*CouponFilter], "older": older}
            self._pages.show(visit, resp, "series/coupons.html", **context)


class Redemptions(SeriesPages):
    """Redemptions, newest first."""

    NEEDS = NEEDS_TO_POST = Permission.SEE_CAMPAIGNS

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """A page of them."""
        span = span_of(visit)
        found = await self._opened(visit, resp, number, partial(_read, visit.org_id, span))
        if found:
            line, (page, store) = found
            older = {"before": f"{page.next.redeemed_ms}-{page.next.id}"} if page.next else None
            context: dict[str, Any] = {"line": line, "page": page, "store": store, "older": older, "span": span}
            self._pages.show(visit, resp, "series/redemptions.html", **context)


def span_of(visit: Visit) -> Span:
    """Which redemptions the address asks for: `from` and `to` are days, both included."""
    at_ms, _, before_id = visit.query("before").partition("-")
    place = (number_of(at_ms), number_of(before_id))
    zone = visit.session.org.zone
    return Span(
        None if place[0] is None or place[1] is None else (place[0], place[1]),
        day_ms(visit.query("from"), zone),
        day_ms(visit.query("to"), zone, days=1),
        visit.number("store"),
    )


def day_ms(text: str, zone: ZoneInfo, days: int = 0) -> int | None:
    """The first instant of a day, `YYYY-MM-DD`, or of one so many days later; None for what is no day."""
    try:
        day = dt.date.fromisoformat(text) + dt.timedelta(days)
        return int(dt.datetime.combine(day, dt.time(), zone).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def _read(org_id: int, span: Span, tx: ReadTransaction, line: Line) -> tuple[Rows[RedemptionRow], str]:
    store_ids = [] if span.store_id is None else [span.store_id]
    named = stores_named(tx, org_id, store_ids)
    page = redemptions(tx, org_id, line.id, span, CONSOLE_PAGE_ROWS)
    return page, named.get(span.store_id, "a store that is gone") if span.store_id is not None else ""
