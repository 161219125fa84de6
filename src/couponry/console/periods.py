"""Which days a page is about, as its address says."""

import datetime as dt
from collections.abc import Mapping
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from couponry.console.pages import Local
from couponry.console.visit import Visit
from couponry.core.figures import Period
from couponry.core.limits import FIGURE_DAYS_MAX

PERIODS: Final[Mapping[str, str]] = {"7": "7 days", "30": "30 days", "90": "90 days", "month": "This month"}
_USUAL: Final = "30"
_YEAR_MIN: Final = 1990
_YEAR_MAX: Final = 9000


class Chosen(Struct, frozen=True):
    """A period, which of `PERIODS` it is, if any, and what was wrong with what was asked for."""

    period: Period
    name: str
    problem: str = ""

    @property
    def query(self) -> dict[str, str]:
        """The period as an address says it, to the day."""
        return {"from": self.period.first.isoformat(), "to": self.period.last.isoformat()}


def chosen(visit: Visit) -> Chosen:
    """The days from `from` to `to`, or the last ones; by the org's clock."""
    today = Local(visit.session).at(visit.now_ms).date()
    asked = visit.query("from"), visit.query("to")
    if not any(asked):
        name = visit.query("period")
        return _last(name if name in PERIODS else _USUAL, today)
    try:
        first, last = (dt.date.fromisoformat(text) if text else today for text in asked)
    except ValueError:
        return _last(_USUAL, today, "These are no days. Here are the last 30 instead.")
    if first > last or first.year < _YEAR_MIN or last.year > _YEAR_MAX:
        return _last(_USUAL, today, "The first day must not be after the last. Here are the last 30 days instead.")
    if (last - first).days >= FIGURE_DAYS_MAX:
        first = last - dt.timedelta(FIGURE_DAYS_MAX - 1)
        return Chosen(Period(first, last), "", f"These are too many days. Here are the last {FIGURE_DAYS_MAX} of them.")
    return Chosen(Period(first, last), "")


def _last(name: str, today: dt.date, problem: str = "") -> Chosen:
    first = today.replace(day=1) if name == "month" else today - dt.timedelta(int(name) - 1)
    return Chosen(Period(first, today), name, problem)


def instants(period: Period, zone: ZoneInfo) -> tuple[int, int]:
    """The first instant of the period, and the one after its last."""
    ends = (period.first, period.last + dt.timedelta(1))
    first_ms, after_ms = (int(dt.datetime.combine(day, dt.time(), zone).timestamp() * 1000) for day in ends)
    return first_ms, after_ms
