"""One series: its terms in words, how far its coupons came, what was refused and what to do about it, and the limits in use."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import falcon.asgi
from msgspec import Struct

from couponry.console import charts
from couponry.console.charts import Chart, Mark
from couponry.console.gate import Resource
from couponry.console.pages import ROOT, Pages
from couponry.console.parts import ConsoleParts
from couponry.console.periods import PERIODS, chosen
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
from couponry.store.place_names import names_of, places_of
from couponry.store.series_pages import AtLimit, Line, Reach, at_limit, reach, stores_named

_JOBS: Final = 5
_STORES: Final = 20
_GONE: Final = "A store that is gone"


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

    over_time: Chart
    of_stores: Chart | None
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
        days = chosen(visit)

        def more(tx: ReadTransaction, line: Line) -> Read | None:
            return _read(tx, visit.org_id, line, line.series, days.period, visit.now_ms) if line.series else None

        found = await self._opened(visit, resp, number, more)
        if found is None:
            return
        line, read = found
        words = sentences(line.series.terms, visit.session.org.currency, read.places) if line.series and read else []
        context: dict[str, Any] = {"days": days, "periods": PERIODS, "tones": TONES, "what": what}
        self._pages.show(visit, resp, "series/one.html", line=line, read=read, words=words, **context)


def _read(tx: ReadTransaction, org_id: int, line: Line, series: Series, period: Period, now_ms: int) -> Read:
    """In a fixed number of statements, whatever was issued and redeemed."""
    stores = sorted(figures.by_store(tx, org_id, line.id).items(), key=lambda each: -each[1].kept)[:_STORES]
    names = stores_named(tx, org_id, [store_id for store_id, _ in stores])
    refusals = figures.refusals(tx, org_id, period, series_id=line.id)
    most = series.terms.max_redemptions_in_series_per_user
    return Read(
        _over_time(tx, org_id, line.id, period),
        _of_stores(line.id, stores, names) if len(stores) > 1 else None,
        figures.funnel(tx, org_id, series, now_ms),
        reach(tx, org_id, line.id, is_pool=series.terms.client_handling_type is Handling.UPLOADED),
        [(store_id, names.get(store_id, _GONE), sums) for store_id, sums in stores],
        [Refused(Code[name], times, advice(Code[name])) for name, times in refusals.items()],
        list_jobs(tx, org_id, before_id=None, limit=_JOBS, series_id=line.id),
        names_of(tx, org_id, places_of(series.terms)),
        _bars(line, series, at_limit(tx, org_id, line.id, most)),
    )


def _over_time(tx: ReadTransaction, org_id: int, series_id: int, period: Period) -> Chart:
    """Redemptions of each day, with those of as many days before."""
    found = figures.by_day(tx, org_id, Period(period.before.first, period.last), series_id=series_id)
    marks = []
    for day, earlier in zip(period.listed, period.before.listed, strict=True):
        now, before = found.get(day, figures.NOTHING).redeemed, found.get(earlier, figures.NOTHING).redeemed
        href = f"{ROOT}/series/{series_id}/redemptions?from={day}&to={day}"
        marks.append(Mark(f"{day:%-d %b %Y}", now, f"{now:,}", before, f"{before:,}", href if now else ""))
    return charts.bars("Redemptions a day", marks, compared_with=f"The {period.days} days before")


def _of_stores(series_id: int, stores: Sequence[tuple[int, figures.Figures]], names: Mapping[int, str]) -> Chart:
    """Redemptions at each store."""
    marks = []
    for store_id, sums in stores:
        href = f"{ROOT}/series/{series_id}/redemptions?store={store_id}"
        marks.append(Mark(names.get(store_id, _GONE), sums.redeemed, f"{sums.redeemed:,}", href=href))
    return charts.bars("Redemptions by store", marks, of="Store")


def _bars(line: Line, series: Series, people: AtLimit) -> list[Bar]:
    terms, counts = series.terms, line.counts
    bars = [Bar("Coupons issued", counts.issued, terms.max_create), Bar("Redemptions", counts.redeemed, terms.max_redeem)]
    found = [bar for bar in bars if bar.most >= 0]
    if terms.max_redemptions_in_series_per_user >= 0 and people.customers:
        note = f"of the customers in the newest redemptions; {terms.max_redemptions_in_series_per_user} for each"
        found.append(Bar("Customers at their limit", people.at_limit, people.customers, note))
    return found
