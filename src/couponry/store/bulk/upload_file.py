"""An uploaded file of coupons, a few rows at a time (upload 1): what each row says, or why it says nothing."""

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

from couponry.core.codes import is_well_formed
from couponry.core.identifiers import normal_identifier
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.core.upload_kinds import FileKind, UploadRequest, kind_of, row_problem
from couponry.store.bulk.files import without_apostrophe
from couponry.store.bulk.rows import FileUnusable, Row, RowReader, is_text

T = TypeVar("T")

_KINDS = {"MOBILE": "mobile", "EMAIL": "email", "EXTERNAL_ID": "externalId", "USER_ID": "id"}


class Entry(NamedTuple):
    """A row of the file: whom it names, in the normal form of the file's identifier, and the code that it brings."""

    cells: Sequence[str]
    name: str | int | None = None
    code: str | None = None
    problem: Problem | None = None


class Page(NamedTuple):
    """Some rows of the file one after the other, and the first byte of the next."""

    entries: list[Entry]
    after: int
    is_last: bool


class UploadFile:
    """One file. What is wrong with it as a whole is FileUnusable."""

    def __init__(self, path: Path, request: UploadRequest) -> None:
        self._path = path
        self._column = request.column
        header, self._start = self._reading(0, lambda reader: (next(iter(reader), Row([])), reader.offset))
        if header.problem or not any(header.cells):
            raise FileUnusable(f"the header cannot be read: {header.problem or 'it is empty'}")
        self.columns = tuple(name.strip() for name in header.cells)
        kind = kind_of(request.identifier, request.column, len(self.columns))
        if isinstance(kind, Problem):
            raise FileUnusable(kind.text)
        self.kind = kind
        self.name_kind = _KINDS.get(request.identifier, "")

    def count(self) -> int:
        """How many rows follow the header."""
        return self._reading(self._start, RowReader.count)

    def page(self, org: Org, start: int, rows_max: int, done: int) -> Page:
        """At most so many rows; `start` is 0 or where the last page ended, and `done` how many rows came before."""

        def read(reader: RowReader) -> Page:
            rows = list(islice(reader, rows_max))
            entries = [self._entry(row, number, org) for number, row in enumerate(rows, done + 1)]
            return Page(entries, reader.offset, len(rows) < rows_max)

        return self._reading(start or self._start, read)

    def _entry(self, row: Row, number: int, org: Org) -> Entry:
        if row.problem:
            return self._unreadable(row.cells, f"row {number}: {row.problem}")
        cells, width = row.cells, len(self.columns)
        if len(cells) != width:
            return self._unreadable(cells, f"row {number}: {len(cells)} cells where the header has {width}")
        if not is_text("".join(cells)):
            return self._unreadable(cells, f"row {number}: it holds a NUL or bytes that are not UTF-8")
        name = code = None
        if self.kind is not FileKind.CODES:
            text = without_apostrophe(cells[self._column])
            found = normal_identifier(self.name_kind, text, org.country_code, org.settings.mobile_digits)
            if found is None:
                return Entry(cells, problem=row_problem(Code.CUSTOMER_NOT_FOUND))
            name = int(found[1]) if self.name_kind == "id" else found[1]
        if self.kind is not FileKind.CUSTOMERS:
            code = without_apostrophe(cells[0 if name is None else 1 - self._column]).strip()
            if not is_well_formed(code):
                return Entry(cells, name, problem=row_problem(Code.INVALID_CODE))
        return Entry(cells, name, code)

    def _unreadable(self, cells: Sequence[str], detail: str) -> Entry:
        width = len(self.columns)
        repeated = (*cells[:width], *[""] * (width - len(cells)))
        invalid = Code.INVALID_INPUT
        return Entry(repeated, problem=Problem(invalid.number, invalid.message, detail))

    def _reading(self, start: int, work: Callable[[RowReader], T]) -> T:
        try:
            with self._path.open("rb") as file:
                return work(RowReader(file, start))
        except FileNotFoundError as error:
            raise FileUnusable("the uploaded file is not there any more") from error
