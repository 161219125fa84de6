"""One series: its terms in words, how far its coupons came, what was refused and what to do about it, and the limits in use."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import falcon.asgi
from msgspec import Struct

from couponry.console.gate import Resource
from couponry.console.pages import Local, Pages
from couponry.console.parts import ConsoleParts
from couponry.console.series.listing import TONES
from couponry.console.series.opened import SeriesPages
from couponry.console.visit import Visit
from couponry.core.advice import Advice, advice
from couponry.core.figures import Period
from couponry.core.job_words import what
from couponry.core.jobs import Job
from couponry.core.model import Handling
from couponry.core.roles import Permission
from couponry.core.series import Series
from couponry.core.status import Code
from couponry.core.terms_words import sentences
from couponry.store import figures
from couponry.store.engine import ReadTransaction
from couponry.store.jobs import list_jobs
from couponry.store.series_pages import AtLimit, Line, Reach, at_limit, places_named, reach, stores_named

DAYS_SHOWN: Final = (7, 30, 90, 365)
_DAYS: Final = 30
_JOBS: Final = 5
_STORES: Final = 20


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The page."""
    return {"/series/{number}": One(parts, pages)}


class Bar(Struct, frozen=True):
    """A limit and how much of it is used; `note` says of whom where it is not the series as a whole."""

    label: str
    used: int
    most: int
    note: str = ""


class Refused(Struct, frozen=True):
    """A code that redemptions were refused with."""

    code: Code
    times: int
    advice: Advice


class Read(Struct, frozen=True):
    """What the page shows of a series beside its terms."""

    days: Mapping[Any, figures.Figures]
    funnel: figures.Funnel
    reach: Reach
    by_store: list[tuple[int, str, figures.Figures]]
    refused: list[Refused]
    jobs: list[Job]
    places: Mapping[tuple[str, int], str]
    bars: list[Bar]


class One(SeriesPages):
    """One series."""

    NEEDS = NEEDS_TO_POST = Permission.SEE_CAMPAIGNS

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """Show it."""
        days = visit.number("days")
        days = days if days in DAYS_SHOWN else _DAYS
        today = Local(visit.session).at(visit.now_ms).date()
        period = Period(today - timedelta(days - 1), today)

        def more(tx: ReadTransaction, line: Line) -> Read | None:
            return _read(tx, visit.org_id, line, line.series, period, visit.now_ms) if line.series else None

        found = await self._opened(visit, resp, number, more)
        if found is None:
            return
        line, read = found
        words = sentences(line.series.terms, visit.session.org.currency, read.places) if line.series and read else []
        context: dict[str, Any] = {"period": period, "days_shown": DAYS_SHOWN, "tones": TONES, "what": what}
        self._pages.show(visit, resp, "series/one.html", line=line, read=read, words=words, **context)


def _read(tx: ReadTransaction, org_id: int, line: Line, series: Series, period: Period, now_ms: int) -> Read:
    """In a fixed number of statements, whatever was issued and redeemed."""
    stores = sorted(figures.by_store(tx, org_id, line.id).items(), key=lambda each: -each[1].kept)[:_STORES]
    names = stores_named(tx, org_id, [store_id for store_id, _ in stores])
    refusals = figures.refusals(tx, org_id, period, series_id=line.id)
    most = series.terms.max_redemptions_in_series_per_user
    return Read(
        figures.by_day(tx, org_id, period, series_id=line.id),
        figures.funnel(tx, org_id, series, now_ms),
        reach(tx, org_id, line.id, is_pool=series.terms.client_handling_type is Handling.UPLOADED),
        [(store_id, names.get(store_id, "A store that is gone"), sums) for store_id, sums in stores],
        [Refused(Code[name], times, advice(Code[name])) for name, times in refusals.items()],
        list_jobs(tx, org_id, before_id=None, limit=_JOBS, series_id=line.id),
        places_named(tx, org_id, series.scope),
        _bars(line, series, at_limit(tx, org_id, line.id, most)),
    )


def _bars(line: Line, series: Series, people: AtLimit) -> list[Bar]:
    terms, counts = series.terms, line.counts
    bars = [Bar("Coupons issued", counts.issued, terms.max_create), Bar("Redemptions", counts.redeemed, terms.max_redeem)]
    found = [bar for bar in bars if bar.most >= 0]
    if terms.max_redemptions_in_series_per_user >= 0 and people.customers:
        note = f"of the customers in the newest redemptions; {terms.max_redemptions_in_series_per_user} for each"
        found.append(Bar("Customers at their limit", people.at_limit, people.customers, note))
    return found
