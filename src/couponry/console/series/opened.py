"""The series that a page is about."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import falcon.asgi

from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit, number_of
from couponry.core.problem import Problem
from couponry.core.series import Series
from couponry.core.status import Code
from couponry.store.engine import ReadTransaction
from couponry.store.series_pages import Line, read_line

T = TypeVar("T")


class SeriesPages:
    """What pages about one series have in common: they find it, or say that there is none."""

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def _opened(
        self, visit: Visit, resp: falcon.asgi.Response, number: str, more: Callable[[ReadTransaction, Line], T]
    ) -> tuple[Line, T] | None:
        """The series of the address with what `more` reads of it, in one view; None once the answer says why not."""
        series_id = number_of(number)
        found = None
        if series_id is not None:
            found = await self._parts.back_office.read(partial(_read, visit.org_id, series_id, visit.now_ms, more))
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
            return None
        if found is None:
            self._pages.missing(visit, resp, "series")
        return found

    async def _usable(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> tuple[Line, Series] | None:
        """The same for what needs its terms."""
        found = await self._opened(visit, resp, number, lambda _, line: line)
        if found is None:
            return None
        line, series = found[0], found[0].series
        if series is None:
            why = "Correct the terms and save them again; then this can be done."
            self._pages.problem(visit, resp, 409, "The stored terms of this series cannot be used", why)
            return None
        return line, series


def in_words(why: Problem) -> str:
    """A refusal for people: what exactly is wrong, or the message."""
    text = (why.detail or why.message).strip()
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."


def _read(
    org_id: int, series_id: int, now_ms: int, more: Callable[[ReadTransaction, Line], T], tx: ReadTransaction
) -> tuple[Line, T] | None:
    line = read_line(tx, org_id, series_id, now_ms)
    return (line, more(tx, line)) if line else None
