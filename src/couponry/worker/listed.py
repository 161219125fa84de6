"""The customers that an uploaded file lists, from any row on."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from couponry.core.audience import Audience
from couponry.core.identifiers import normal_identifier
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.store.bulk.files import ERROR_COLUMNS, without_apostrophe
from couponry.store.bulk.rows import FileUnusable, Row, RowReader, is_text
from couponry.worker.work import JobImpossible

UNKNOWN: Final = Problem(Code.CUSTOMER_NOT_FOUND.number, Code.CUSTOMER_NOT_FOUND.message)


class Listed(NamedTuple):
    """A row: the byte where it begins, its cells, and the normal form of what it names a customer by, or why it names none."""

    offset: int
    cells: Sequence[str]
    named: str | Problem


class Page(NamedTuple):
    """Rows that follow each other, and the byte where the next one begins."""

    rows: list[Listed]
    after: int
    is_last: bool


class CustomerFile:
    """One file of customers. Raises JobImpossible for what is wrong with it as a whole."""

    def __init__(self, path: Path, audience: Audience) -> None:
        assert audience.identifier, "whoever asks for a file says by what it names customers"
        self.kind = audience.identifier
        self._path = path
        self._column = audience.column

    def error_columns(self) -> tuple[str, ...]:
        """The header of the error file."""
        with self._reading(0) as reader:
            return (*_header(reader), *ERROR_COLUMNS)

    def count(self) -> int:
        """How many rows there are."""
        with self._reading(0) as reader:
            _header(reader)
            return reader.count()

    def page(self, org: Org, start: int, rows_max: int) -> Page:
        """At most so many rows from `start` on, which is 0 or where a row begins."""
        with self._reading(start) as reader:
            if start == 0:
                _header(reader)
            found: list[Listed] = []
            offset = reader.offset
            for row in islice(reader, rows_max):
                found.append(Listed(offset, row.cells, self._named(row, org)))
                offset = reader.offset
            return Page(found, offset, is_last=len(found) < rows_max)

    def _named(self, row: Row, org: Org) -> str | Problem:
        if row.problem:
            return _unusable(row.problem)
        if len(row.cells) <= self._column:
            return _unusable(f"there is no column {self._column}")
        if not all(map(is_text, row.cells)):
            return _unusable("the row holds a NUL or bytes that are not UTF-8")
        text = without_apostrophe(row.cells[self._column])
        found = normal_identifier(self.kind, text, org.country_code, org.settings.mobile_digits)
        return found[1] if found else UNKNOWN

    @contextmanager
    def _reading(self, start: int) -> Iterator[RowReader]:
        try:
            with self._path.open("rb") as file:
                yield RowReader(file, start)
        except FileNotFoundError as error:
            raise JobImpossible("the file of customers is not there any more") from error
        except FileUnusable as error:
            raise JobImpossible(str(error)) from error


def failed_row(columns: Sequence[str], cells: Sequence[object], problem: Problem) -> tuple[object, ...]:
    """A row of the error file with these columns, however few cells it had."""
    missing = len(columns) - len(ERROR_COLUMNS) - len(cells)
    return (*cells, *[""] * missing, problem.code, problem.text)


def _header(reader: RowReader) -> list[str]:
    header = next(iter(reader), Row([]))
    if header.problem or not any(header.cells):
        raise JobImpossible(header.problem or "the file of customers is empty; its first line must name the columns")
    return header.cells


def _unusable(detail: str) -> Problem:
    return Problem(Code.INVALID_INPUT.number, Code.INVALID_INPUT.message, detail)
