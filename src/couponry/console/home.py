"""Home: how things are going, in a period against the one before."""

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

import falcon.asgi
from msgspec import Struct

from couponry.console.charts import Chart, Mark, bars
from couponry.console.gate import Resource
from couponry.console.pages import ROOT, Local, Pages, number, percent, query
from couponry.console.parts import ConsoleParts
from couponry.console.periods import PERIODS, Chosen, chosen
from couponry.console.visit import Visit
from couponry.core.advice import Advice, advice
from couponry.core.figures import Period
from couponry.core.limits import FIGURE_LINES_MAX
from couponry.core.roles import Permission
from couponry.core.status import Code
from couponry.store import figure_rows, figures
from couponry.store.back_office import BackOffice
from couponry.store.engine import ReadTransaction
from couponry.store.figures import Figures
from couponry.store.series_pages import stores_named

SHOWN: Final[Mapping[str, str]] = {
    "redeemed": "Redeemed",
    "issued": "Issued",
    "discount": "Discount given",
    "refused": "Refused",
}
_ROWS: Final = {"redeemed": "redemptions", "issued": "issued", "discount": "redemptions", "refused": "refusals"}


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The front page."""
    return {"/": Home(parts.back_office, pages)}


class Line(NamedTuple):
    """A campaign, series or store with its figures."""

    id: int
    name: str
    sums: Figures


class Refused(Struct, frozen=True):
    """A code that coupons were refused with."""

    code: Code
    times: int
    advice: Advice


class Read(Struct, frozen=True):
    """What the page shows. Of series and stores the first ones, and how many there are."""

    days: Mapping[dt.date, Figures]
    campaigns: list[Line]
    series: list[Line]
    series_count: int
    stores: list[Line]
    stores_count: int
    refused: list[Refused]


class Home:
    """The front page."""

    NEEDS = NEEDS_TO_POST = Permission.SEE_FIGURES

    def __init__(self, back_office: BackOffice, pages: Pages) -> None:
        self._back_office, self._pages = back_office, pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """Show it."""
        days = chosen(visit)
        read = await self._back_office.read(lambda tx: _read(tx, visit.org_id, days.period))
        if isinstance(read, Code):
            self._pages.failed(visit, resp, read)
            return
        shown = visit.query("show")
        shown = shown if shown in SHOWN else "redeemed"
        local, period = Local(visit.session), days.period
        now, before = (figures.total(read.days, each) for each in (period, period.before))
        tiles = _tiles(now, before, days, local)
        chart = _chart(read.days, period, shown, local)
        context: dict[str, Any] = {"days": days, "read": read, "tiles": tiles, "chart": chart, "shown": shown, "measures": SHOWN}
        self._pages.show(visit, resp, "home.html", now=now, before=before, periods=PERIODS, rows=_ROWS, **context)


def _read(tx: ReadTransaction, org_id: int, period: Period) -> Read:
    """In six statements, whatever happened."""
    per_series, per_store = (each(tx, org_id, period) for each in (figures.per_series, figures.per_store))
    series, stores = _most(per_series), _most(per_store)
    named = figure_rows.series_named(tx, org_id, per_series)
    store_names = stores_named(tx, org_id, stores)
    refusals = figures.refusals(tx, org_id, period)
    campaigns: dict[int, Line] = {}
    for series_id, sums in per_series.items():
        of = named.get(series_id)
        if of and of.campaign_id is not None:
            known = campaigns.get(of.campaign_id, Line(of.campaign_id, of.campaign, figures.NOTHING))
            campaigns[of.campaign_id] = known._replace(sums=known.sums + sums)
    return Read(
        figures.by_day(tx, org_id, Period(period.before.first, period.last)),
        sorted(campaigns.values(), key=lambda line: (-line.sums.kept, line.id))[:FIGURE_LINES_MAX],
        [Line(each, named[each].code, per_series[each]) for each in series if each in named],
        len(per_series),
        [Line(each, store_names.get(each, "A store that is gone"), per_store[each]) for each in stores],
        len(per_store),
        [Refused(Code[name], times, advice(Code[name])) for name, times in refusals.items()],
    )


def _most(found: Mapping[int, Figures]) -> list[int]:
    """Those with the most redemptions."""
    return sorted(found, key=lambda each: (-found[each].kept, -found[each].issued, each))[:FIGURE_LINES_MAX]


class Tile(Struct, frozen=True):
    """A figure, how it was before, the rows behind it, and its file."""

    label: str
    value: str
    note: str
    rows: str
    file: str


def _tiles(now: Figures, before: Figures, days: Chosen, local: Local) -> list[Tile]:
    asked = query(days.query)
    ago = f"in the {days.period.days} days before"

    def tile(label: str, kind: str, value: str, was: str, change: str) -> Tile:
        note = f"{was} {ago}{f' ({change})' if change else ''}"
        return Tile(label, value, note, f"{ROOT}/{kind}{asked}", f"{ROOT}/csv/{kind}{asked}")

    rates = percent(now.kept, now.issued), percent(before.kept, before.issued)
    money = local.money(now.discount), local.money(before.discount)
    return [
        tile("Issued", "issued", number(now.issued), number(before.issued), _change(now.issued, before.issued)),
        tile("Redeemed", "redemptions", number(now.redeemed), number(before.redeemed), _change(now.redeemed, before.redeemed)),
        tile("Redemption rate", "redemptions", *rates, ""),
        tile("Discount given", "redemptions", *money, _change(now.discount, before.discount)),
        tile("Refused", "refusals", number(now.refused), number(before.refused), _change(now.refused, before.refused)),
    ]


def _change(now: Decimal | int, before: Decimal | int) -> str:
    return f"{100 * (now - before) / before:+.0f} %" if before > 0 else ""


def _chart(found: Mapping[dt.date, Figures], period: Period, shown: str, local: Local) -> Chart:
    """One figure over the days of a period, and over those before it."""

    def value(day: dt.date) -> Decimal | int:
        amount: Decimal | int = getattr(found.get(day, figures.NOTHING), shown)
        return amount

    def text(amount: Decimal | int) -> str:
        return local.money(amount) if isinstance(amount, Decimal) else number(amount)

    marks = []
    for day, past in zip(period.listed, period.before.listed, strict=True):
        amount, was = value(day), value(past)
        rows = f"{ROOT}/{_ROWS[shown]}{query({'from': day, 'to': day})}"
        marks.append(Mark(f"{day:%-d %b}", float(amount), text(amount), float(was), text(was), rows))
    return bars(SHOWN[shown], marks, compared_with=f"The {period.days} days before")
