"""CSV in and out, from people who mean well and from people who don't.

UTF-8 with or without BOM, any line end, quoted cells. What cannot be read costs its own row only. An error file repeats the rows
that failed; a cell that a spreadsheet would run as a formula is put behind an apostrophe, which reading takes away again. So are
numbers with a sign in the files of uploads (upload 4), and not in others.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from tempfile import mkstemp
from typing import Any, BinaryIO, Final, NamedTuple, Self, TextIO

from couponry.core.problem import Problem
from couponry.store.bulk.rows import FileUnusable, Row, RowReader, is_text

ERROR_COLUMNS: Final = ("errorCode", "errorMessage")
UNREADABLE: Final = 629

_FORMULA: Final = re.compile(r"[=+\-@\t\r]")
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


class Line(NamedTuple):
    """A row of the file: its cells by column, or why it cannot be read."""

    cells: Mapping[str, Any]
    problem: Problem | None = None


class CsvReader:
    """The rows of a file, one at a time, in constant memory."""

    def __init__(self, file: BinaryIO, *, is_by_name: bool = True) -> None:
        self._reader = RowReader(file)
        header = next(iter(self._reader), Row([]))
        if header.problem:
            raise FileUnusable(f"the header cannot be read: {header.problem}")
        self.columns = tuple(name.strip() for name in header.cells)
        if not any(self.columns):
            raise FileUnusable("the file is empty; its first line must name the columns")
        names = [name for name in self.columns if name]  # a spreadsheet leaves empty ones at the end
        if is_by_name and len(set(names)) != len(names):
            raise FileUnusable("the header names a column twice")

    def __iter__(self) -> Iterator[Line]:
        for cells, problem in self._reader:
            if problem:
                yield Line(
                    dict(zip(self.columns, cells, strict=False)),
                    Problem(UNREADABLE, "Invalid Input", f"line {self._reader.line}: {problem}"),
                )
            else:
                yield self._line(cells)

    def _line(self, row: list[str]) -> Line:
        whole = "".join(row)
        cells = dict(zip(self.columns, map(without_apostrophe, row) if "'" in whole else row, strict=False))
        if len(row) != len(self.columns):
            return Line(cells, Problem(UNREADABLE, "Invalid Input", f"{len(row)} cells where the header has {len(self.columns)}"))
        if not is_text(whole):
            return Line(cells, Problem(UNREADABLE, "Invalid Input", "the row holds a NUL or bytes that are not UTF-8"))
        return Line(cells)


@dataclass
class ErrorFile:
    """Where failed rows go with their reasons; made when the first comes, beside the input if that can be written to."""

    source: Path
    columns: Sequence[str]
    path: Path | None = None
    _file: TextIO | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def add(self, line: Line, problem: Problem) -> None:
        """Write one failed row."""
        names = [name for name in self.columns if name not in ERROR_COLUMNS]
        if self._file is None:
            self._file = self._opened()
            csv.writer(self._file).writerow([*names, *ERROR_COLUMNS])
        cells = [line.cells.get(name, "") for name in names]
        csv.writer(self._file).writerow([harmless(cell) for cell in (*cells, str(problem.code), problem.text)])

    def _opened(self) -> TextIO:
        beside = self.source.with_name(f"{self.source.stem}.errors.csv")
        try:
            self.path = beside
            return beside.open("w", encoding="utf-8", errors="surrogateescape", newline="")
        except OSError:
            handle, name = mkstemp(prefix=f"{self.source.stem}.errors.", suffix=".csv")
            self.path = Path(name)
            return open(handle, "w", encoding="utf-8", errors="surrogateescape", newline="")  # noqa: PTH123 - a file handle, no path


def harmless(cell: str) -> str:
    """The cell, behind an apostrophe if a spreadsheet would run it as a formula."""
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def harmless_to_the_letter(cell: str) -> str:
    """The same, and numbers with a sign too (upload 4)."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def csv_lines(*tables: Iterable[Sequence[object]], made: Callable[[str], str] = harmless) -> Iterator[bytes]:
    """Rows as CSV that a spreadsheet runs nothing of."""
    line = StringIO()
    writer = csv.writer(line)
    for rows in tables:
        for row in rows:
            writer.writerow(["" if cell is None else made(str(cell)) for cell in row])
            yield line.getvalue().encode("utf-8", "surrogateescape")
            line.seek(0)
            line.truncate()


def without_apostrophe(cell: str) -> str:
    """The cell as it was before it was made harmless."""
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell, 1) else cell
