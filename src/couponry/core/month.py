"""A month as a grid of weeks, and what runs through it as spans of days that do not overlap in a row."""

from calendar import Calendar
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final, Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")
_MONDAY_FIRST: Final = Calendar()
_YEARS: Final = (1970, 9998)
_DAYS: Final = 7


class Span(Struct, frozen=True):
    """What runs from one day of a week to another, or nothing; of so many days. It may have begun before and go on after."""

    what: object
    days: int
    begins: bool = True
    ends: bool = True


class Week(Struct, frozen=True):
    """Seven days, and rows of spans that cover them."""

    days: Sequence[date]
    rows: Sequence[Sequence[Span]]


class Run(Struct, Generic[T], frozen=True):
    """Something from a first day to a last one (None: without an end)."""

    what: T
    first: date
    last: date | None


def month_of(text: str, today: date) -> date:
    """The first day of the month that `YYYY-MM` names; of today's for anything else."""
    try:
        first = date.fromisoformat(f"{text}-01")
    except ValueError:
        return today.replace(day=1)
    return first if _YEARS[0] <= first.year <= _YEARS[1] else today.replace(day=1)


def shifted(month: date, months: int) -> date:
    """The first day of the month so many months later."""
    years, month0 = divmod(month.month - 1 + months, 12)
    return date(month.year + years, month0 + 1, 1)


def weeks_of(month: date, runs: Sequence[Run[T]]) -> list[Week]:
    """The weeks that the month's days lie in."""
    return [Week(days, _rows(days, runs)) for days in _MONDAY_FIRST.monthdatescalendar(month.year, month.month)]


def _rows(days: Sequence[date], runs: Sequence[Run[T]]) -> list[list[Span]]:
    """Each run into the first row that has room for it."""
    placed: list[list[tuple[int, int, Run[T]]]] = []
    for run in runs:
        first = max(0, (run.first - days[0]).days)
        last = _DAYS - 1 if run.last is None else min(_DAYS - 1, (run.last - days[0]).days)
        if first > _DAYS - 1 or last < first:
            continue
        row = next((row for row in placed if row[-1][1] < first), None)
        if row is None:
            row = []
            placed.append(row)
        row.append((first, last, run))
    return [_spans(days, row) for row in placed]


def _spans(days: Sequence[date], row: Sequence[tuple[int, int, Run[T]]]) -> list[Span]:
    spans, at = [], 0
    for first, last, run in row:
        if first > at:
            spans.append(Span(None, first - at))
        ends = run.last is not None and run.last <= days[-1]
        spans.append(Span(run.what, last - first + 1, run.first >= days[0], ends))
        at = last + 1
    return [*spans, Span(None, _DAYS - at)] if at < _DAYS else spans


def last_day(month: date) -> date:
    """The last day of a month."""
    return shifted(month, 1) - timedelta(days=1)
