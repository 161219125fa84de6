"""The rows behind the figures: redemptions, refusals and issued coupons; and all of it as CSV."""

import codecs
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import falcon.asgi
from msgspec import Struct

from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.periods import Chosen, chosen, instants
from couponry.console.visit import Visit, number_of
from couponry.core.advice import advice
from couponry.core.exporting import Calendar
from couponry.core.figures import FIGURES, Period
from couponry.core.limits import CONSOLE_PAGE_ROWS, FIGURE_FILE_CHUNK_ROWS, FIGURE_FILE_CHUNKS_MAX, FIGURE_FILE_ROWS_MAX
from couponry.core.roles import Permission
from couponry.core.status import Code
from couponry.store import figure_rows, figures
from couponry.store.back_office import BackOffice
from couponry.store.bulk.files import csv_lines
from couponry.store.engine import ReadTransaction
from couponry.store.figure_rows import Kind, Named, Place, Row, Wanted
from couponry.store.series_pages import stores_named

FILE_TYPE: Final = "text/csv; charset=utf-8"
_MORE: Final = "There may be more rows than a file like this holds. Choose fewer days, or export the series."
_TITLES: Final[Mapping[Kind, str]] = {
    Kind.REDEMPTIONS: "Redemptions",
    Kind.REFUSALS: "Refusals",
    Kind.ISSUED: "Issued coupons",
}
_COLUMNS: Final[Mapping[Kind, Sequence[str]]] = {
    Kind.REDEMPTIONS: (
        *("redemptionId", "redeemedOn", "code", "couponId", "seriesId", "seriesCode", "customerId", "storeName", "tillCode"),
        *("billNumber", "billAmount", "discount", "reversedOn"),
    ),
    Kind.REFUSALS: (
        *("refusalId", "refusedOn", "errorCode", "errorMessage", "code", "couponId", "seriesId", "seriesCode", "customerId"),
        *("storeName", "tillCode", "billNumber", "billAmount"),
    ),
    Kind.ISSUED: ("couponId", "issuedOn", "code", "seriesId", "seriesCode", "customerId", "tillCode"),
}


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """A list of each kind, and the files."""
    lists = {f"/{kind}": Rows(parts.back_office, pages, kind) for kind in Kind}
    return {**lists, "/csv/{what}": File(parts.back_office, pages)}


class Listed(Struct, frozen=True):
    """Rows, where the list goes on, and what series, stores and tills in it are called."""

    rows: list[Row]
    next: Place | None
    series: Mapping[int, Named]
    stores: Mapping[int, str]
    tills: Mapping[int, str]


class StreamBroken(Exception):
    """The database failed in the middle of a file: cut off, it is seen to be incomplete."""


class Rows:
    """A list of one kind."""

    NEEDS = NEEDS_TO_POST = Permission.SEE_FIGURES

    def __init__(self, back_office: BackOffice, pages: Pages, kind: Kind) -> None:
        self._back_office, self._pages, self._kind = back_office, pages, kind

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """A page of it."""
        days = chosen(visit)
        wanted = _wanted(visit, self._kind, days)
        before = _place(visit.query("before"))
        read = await self._back_office.read(lambda tx: _read(tx, visit.org_id, wanted, before, CONSOLE_PAGE_ROWS))
        if isinstance(read, Code):
            self._pages.failed(visit, resp, read)
        elif read is None:
            self._pages.missing(visit, resp, "series, store or campaign")
        else:
            older = f"{read.next[0]}-{read.next[1]}" if read.next else ""
            context: dict[str, Any] = {"kind": self._kind, "title": _TITLES[self._kind], "days": days, "wanted": wanted}
            self._pages.show(visit, resp, "figures/rows.html", page=read, older=older, meaning=_meaning, **context)


class File:
    """Rows, or the figures themselves, as CSV: read page by page while they are sent. Of too many, the last line says so."""

    NEEDS = NEEDS_TO_POST = Permission.SEE_FIGURES

    def __init__(self, back_office: BackOffice, pages: Pages) -> None:
        self._back_office, self._pages = back_office, pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, what: str) -> None:
        """The file. What is not there is known before it begins."""
        days = chosen(visit)
        resp.content_type = FILE_TYPE
        resp.downloadable_as = f"{what[:20]}-{days.period.first}-{days.period.last}.csv"
        if what in _SUMS_OF:
            await self._send_sums(visit, resp, what, days.period)
        elif what in [*Kind]:
            await self._send_rows(visit, resp, _wanted(visit, Kind(what), days))
        else:
            self._refuse(visit, resp, None)

    async def _send_sums(self, visit: Visit, resp: falcon.asgi.Response, what: str, period: Period) -> None:
        read = await self._back_office.read(lambda tx: b"".join(csv_lines(_SUMS_OF[what](tx, visit.org_id, period))))
        if isinstance(read, Code):
            self._refuse(visit, resp, read)
        else:
            resp.data = codecs.BOM_UTF8 + read

    async def _send_rows(self, visit: Visit, resp: falcon.asgi.Response, wanted: Wanted) -> None:
        read = await self._back_office.read(lambda tx: _read(tx, visit.org_id, wanted, None, 0))
        if read is None or isinstance(read, Code):
            self._refuse(visit, resp, read)
        else:
            resp.stream = self._lines(visit.org_id, wanted, visit.session.org.zone)

    def _refuse(self, visit: Visit, resp: falcon.asgi.Response, code: Code | None) -> None:
        resp.delete_header("Content-Disposition")
        if code is None:
            self._pages.missing(visit, resp, "series, store, campaign or file")
        else:
            self._pages.failed(visit, resp, code)

    async def _lines(self, org_id: int, wanted: Wanted, zone: ZoneInfo) -> AsyncIterator[bytes]:
        names, calendar, before, left = _COLUMNS[wanted.kind], Calendar(zone), None, FIGURE_FILE_ROWS_MAX
        yield codecs.BOM_UTF8 + b"".join(csv_lines([names]))
        for _ in range(FIGURE_FILE_CHUNKS_MAX):
            read = await self._back_office.read(_chunk(org_id, wanted, before, min(left, FIGURE_FILE_CHUNK_ROWS)))
            if read is None or isinstance(read, Code):
                raise StreamBroken
            yield b"".join(csv_lines(_cells(read, names, calendar)))
            left, before = left - len(read.rows), read.next
            if before is None:
                return
            if left <= 0:
                break
        yield b"".join(csv_lines([[_MORE]]))


def _chunk(org_id: int, wanted: Wanted, before: Place | None, limit: int) -> Callable[[ReadTransaction], Listed | None]:
    return lambda tx: _read(tx, org_id, wanted, before, limit)


def _wanted(visit: Visit, kind: Kind, days: Chosen) -> Wanted:
    first_ms, after_ms = instants(days.period, visit.session.org.zone)
    status = visit.query("status")
    return Wanted(
        kind=kind,
        from_ms=first_ms,
        to_ms=after_ms,
        series_id=visit.number("series"),
        campaign_id=visit.number("campaign"),
        store_id=visit.number("store") if kind is not Kind.ISSUED else None,
        status=status if kind is Kind.REFUSALS and status in Code.__members__ else "",
    )


def _place(text: str) -> Place | None:
    at_ms, _, row_id = text.partition("-")
    place = number_of(at_ms), number_of(row_id)
    return None if place[0] is None or place[1] is None else (place[0], place[1])


def _read(tx: ReadTransaction, org_id: int, wanted: Wanted, before: Place | None, limit: int) -> Listed | None:
    """A page, with names; None when the series, store or campaign asked for is none of the org's."""
    page = figure_rows.page(tx, org_id, wanted, before, limit) if limit else figure_rows.Page([], None)
    series = figure_rows.series_named(tx, org_id, _ids(wanted.series_id, *(row.series_id for row in page.rows)))
    stores = stores_named(tx, org_id, _ids(wanted.store_id, *(row.store_id for row in page.rows)))
    is_known = wanted.campaign_id is None or figure_rows.has_campaign(tx, org_id, wanted.campaign_id)
    if not is_known or not {wanted.series_id} <= {None, *series} or not {wanted.store_id} <= {None, *stores}:
        return None
    tills = figure_rows.tills_named(tx, org_id, {row.till_id for row in page.rows if row.till_id})
    return Listed(page.rows, page.next, series, stores, tills)


def _ids(*ids: int | None) -> set[int]:
    return {one for one in ids if one is not None}


def _meaning(status: str) -> str:
    return advice(Code[status]).meaning


def _cells(read: Listed, names: Sequence[str], calendar: Calendar) -> Iterator[list[object]]:
    """Rows in the columns of a file."""
    for row in read.rows:
        code = Code[row.status] if row.status else None
        at = calendar.text(row.at_ms)
        named = read.series.get(row.series_id or 0)
        cells: dict[str, object] = {
            **dict.fromkeys(("redemptionId", "refusalId"), row.id),
            **dict.fromkeys(("redeemedOn", "refusedOn", "issuedOn"), at),
            "code": row.code,
            "couponId": row.coupon_id,
            "seriesId": row.series_id,
            "seriesCode": named and named.code,
            "customerId": row.customer_id,
            "storeName": read.stores.get(row.store_id or 0),
            "tillCode": read.tills.get(row.till_id or 0),
            "billNumber": row.bill,
            "billAmount": _plain(row.amount),
            "discount": _plain(row.discount),
            "reversedOn": None if row.reversed_ms is None else calendar.text(row.reversed_ms),
            "errorCode": code and code.number,
            "errorMessage": code and _meaning(code.name),
        }
        yield [cells[name] for name in names]


def _plain(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount.normalize():f}"


def _per_day(tx: ReadTransaction, org_id: int, period: Period) -> Iterator[Sequence[object]]:
    yield ("day", *FIGURES)
    days = figures.by_day(tx, org_id, period)
    for day in period.listed:
        yield (day, *_sums(days.get(day, figures.NOTHING)))


def _per_series(tx: ReadTransaction, org_id: int, period: Period) -> Iterator[Sequence[object]]:
    yield ("seriesId", "seriesCode", "campaignId", "campaign", *FIGURES)
    found = figures.per_series(tx, org_id, period)
    for series_id, named in figure_rows.series_named(tx, org_id, found).items():
        yield (series_id, named.code, named.campaign_id, named.campaign, *_sums(found[series_id]))


def _per_store(tx: ReadTransaction, org_id: int, period: Period) -> Iterator[Sequence[object]]:
    yield ("storeId", "storeName", *FIGURES)
    found = figures.per_store(tx, org_id, period)
    for store_id, name in stores_named(tx, org_id, found).items():
        yield (store_id, name, *_sums(found[store_id]))


def _sums(sums: figures.Figures) -> list[object]:
    return [_plain(value) if isinstance(value := getattr(sums, name), Decimal) else value for name in FIGURES]


_SUMS_OF: Final[Mapping[str, Callable[[ReadTransaction, int, Period], Iterable[Sequence[object]]]]] = {
    "days": _per_day,
    "series": _per_series,
    "stores": _per_store,
}
