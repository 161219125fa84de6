"""Bulk work on the coupons of a series: revoke, give another expiry, export.

A job does it; before, a page says how many coupons it means.
"""

import datetime as dt
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, Literal, get_args
from zoneinfo import ZoneInfo

import falcon.asgi
import msgspec
from msgspec import Struct
from wtforms import DateField, Form
from wtforms.validators import Optional

from couponry.console.fields import Choice
from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.series.opened import SeriesPages, in_words
from couponry.console.series.rows import day_ms
from couponry.console.visit import Form as Sent
from couponry.console.visit import Visit
from couponry.core.exporting import ExportRequest, FileFormat, What
from couponry.core.job_requests import ExpiryRequest, RevokeRequest, Which
from couponry.core.limits import TOUCHED_COUPONS_MAX
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.core.roles import Permission
from couponry.core.series import Series
from couponry.core.status import Code
from couponry.store import audit
from couponry.store.audit import Actor
from couponry.store.bulk.lifecycle import Lot
from couponry.store.bulk.touched import Touched, touched
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.job_pages import SUBJECT
from couponry.store.ordering import Order, judge, place, place_export
from couponry.store.series_pages import Line

Act = Literal["revoke", "re-date"]
COUPONS: Final[Mapping[Which, str]] = {
    "unredeemed": "All that are not redeemed, in customers' hands too",
    "unissued": "Only those that nobody has yet",
}
_WHAT: Final = {
    What.COUPONS: "Coupons",
    What.ISSUES: "Issues: coupons when they were given to customers",
    What.REDEMPTIONS: "Redemptions",
    What.REFUSALS: "Refusals",
}
_WORDS: Final[Mapping[int | str, str]] = {
    Code.SERIES_EXPIRED.number: "The series has expired, or its campaign has ended or is paused; its coupons stay as they are.",
    Code.EXPIRY_IN_PAST.number: "That day is over. To end coupons at once, revoke them.",
    Code.EXPIRY_BEYOND_SERIES.number: "That day is after the series' own last day. Extend the series first.",
}


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """What to change, whether to, and what to export."""
    return {
        "/series/{number}/bulk": Bulk(parts, pages),
        "/series/{number}/bulk/confirm": Confirm(parts, pages),
        "/series/{number}/export": Export(parts, pages),
    }


class Wanted(Struct, frozen=True):
    """What somebody wants done with which coupons; `day` is the new last day."""

    act: Act
    coupons: Which
    day: dt.date | None

    def order(self, series: Series) -> Order:
        """The same as jobs are ordered."""
        expires_ms = None if self.day is None else last_second_ms(self.day, series.zone)
        return Order(series.id, RevokeRequest(self.coupons), expires_ms)


class ExportFields(Form):
    """What to export."""

    what = Choice(
        "What",
        {name.value: text for name, text in _WHAT.items()},
        description="Each is one row. Coupons and redemptions come with the customer's id, mobile and e-mail.",
    )
    file_format = Choice(
        "Format",
        {FileFormat.CSV.value: "CSV, for spreadsheets", FileFormat.PARQUET.value: "Parquet, for analysis"},
        description="Text that a spreadsheet would run as a formula is made harmless in CSV.",
    )
    from_day = DateField(
        "First day", [Optional()], description="Of what was made, issued, redeemed or refused. Empty: from the start."
    )
    to_day = DateField("Last day", [Optional()], description="With this day. Empty: up to now.")


class Bulk(SeriesPages):
    """What to change."""

    NEEDS = NEEDS_TO_POST = Permission.MAKE_CAMPAIGNS

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """Both forms."""
        found = await self._usable(visit, resp, number)
        if found:
            self._pages.show(visit, resp, "series/bulk.html", line=found[0], coupons=COUPONS)


class Confirm(SeriesPages):
    """How many coupons it means, and the button."""

    NEEDS = NEEDS_TO_POST = Permission.MAKE_CAMPAIGNS

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """Judge and count; nothing is changed."""
        found = await self._wanted(visit, resp, number, Sent({name: [visit.query(name)] for name in ("act", "coupons", "day")}))
        if found is None:
            return
        line, series, wanted = found
        seen = await self._parts.back_office.read(
            partial(_seen, org=visit.session.org, series=series, wanted=wanted, now_ms=visit.now_ms)
        )
        if isinstance(seen, Code):
            self._pages.failed(visit, resp, seen)
        elif isinstance(seen, Problem):
            self._pages.problem(visit, resp, 409, "That cannot be done", _in_words(seen))
        else:
            context: dict[str, Any] = {"line": line, "wanted": wanted, "seen": seen, "words": COUPONS[wanted.coupons]}
            self._pages.show(visit, resp, "series/confirm.html", **context)

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """Have a job do it."""
        found = await self._wanted(visit, resp, number, visit.form)
        if found is None:
            return
        line, series, wanted = found
        done = await self._parts.back_office.write(
            partial(_placed, visit.actor(), visit.session.org, wanted, wanted.order(series)), makes_job=True
        )
        _queued(self._pages, visit, resp, f"/series/{line.id}/bulk", done)

    async def _wanted(
        self, visit: Visit, resp: falcon.asgi.Response, number: str, sent: Sent
    ) -> tuple[Line, Series, Wanted] | None:
        found = await self._usable(visit, resp, number)
        if found is None:
            return None
        wanted = _wanted_of(sent)
        if wanted is None:
            self._pages.problem(
                visit, resp, 400, "Say what to do with which coupons", "Go back, and choose; name a day to re-date."
            )
            return None
        return *found, wanted


class Export(SeriesPages):
    """What to export."""

    NEEDS = NEEDS_TO_POST = Permission.MAKE_CAMPAIGNS

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """The form."""
        found = await self._opened(visit, resp, number, lambda _, line: line)
        if found:
            self._pages.show(visit, resp, "series/export.html", line=found[0], form=ExportFields())

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """Have a job export it."""
        found = await self._opened(visit, resp, number, lambda _, line: line)
        if found is None:
            return
        line, form = found[0], ExportFields(visit.form)
        if not form.validate():
            self._pages.show(visit, resp, "series/export.html", status=400, line=line, form=form)
            return
        zone = visit.session.org.zone
        request = ExportRequest(
            what=What(form.what.data),
            file_format=FileFormat(form.file_format.data),
            series_id=line.id,
            from_ms=day_ms(form.from_day.data.isoformat(), zone) if form.from_day.data else None,
            to_ms=day_ms(form.to_day.data.isoformat(), zone, days=1) if form.to_day.data else None,
        )
        done = await self._parts.back_office.write(partial(_exported, visit.actor(), visit.session.org, request), makes_job=True)
        _queued(self._pages, visit, resp, f"/series/{line.id}/export", done)


def last_second_ms(day: dt.date, zone: ZoneInfo) -> int:
    """The last second of a day by the clock of a zone."""
    return int(dt.datetime.combine(day, dt.time(23, 59, 59), zone).timestamp() * 1000)


def _wanted_of(sent: Sent) -> Wanted | None:
    act = next((each for each in get_args(Act) if each == sent.text("act")), None)
    coupons = next((each for each in COUPONS if each == sent.text("coupons")), None)
    if act is None or coupons is None:
        return None
    if act == "revoke":
        return Wanted(act, coupons, None)
    try:
        day = dt.date.fromisoformat(sent.text("day"))
    except ValueError:
        return None
    return Wanted(act, coupons, day) if dt.date(1970, 1, 2) < day < dt.date(9999, 12, 30) else None


def _seen(tx: ReadTransaction, org: Org, series: Series, wanted: Wanted, now_ms: int) -> Touched | Problem:
    judged = judge(tx, org, wanted.order(series), now_ms)
    if isinstance(judged, Problem):
        return judged
    expires_local = judged.expires_local if isinstance(judged, ExpiryRequest) else None
    return touched(tx, Lot(org.id, series, wanted.coupons), expires_local, now_ms, TOUCHED_COUPONS_MAX)


def _placed(actor: Actor, org: Org, wanted: Wanted, order: Order, tx: WriteTransaction) -> int | Problem:
    job_id = place(tx, org, order, actor.now_ms)
    if isinstance(job_id, int):
        after = {"series": order.series_id, "coupons": wanted.coupons, "day": wanted.day}
        audit.record(tx, actor, f"ask to {wanted.act} coupons", (SUBJECT, job_id), after=after)
    return job_id


def _exported(actor: Actor, org: Org, request: ExportRequest, tx: WriteTransaction) -> int | Problem:
    job_id = place_export(tx, org, request, actor.now_ms)
    if isinstance(job_id, int):
        audit.record(tx, actor, "ask for an export", (SUBJECT, job_id), after=msgspec.to_builtins(request))
    return job_id


def _queued(pages: Pages, visit: Visit, resp: falcon.asgi.Response, back: str, done: int | Problem | Code) -> None:
    if isinstance(done, Code):
        pages.failed(visit, resp, done)
    elif isinstance(done, Problem):
        pages.go(visit, resp, back, _in_words(done))
    else:
        pages.go(visit, resp, f"/jobs/{done}", "The job is on its way. You may leave this page.")


def _in_words(why: Problem) -> str:
    return _WORDS.get(why.code) or in_words(why)
