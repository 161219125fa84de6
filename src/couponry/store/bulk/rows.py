"""The rows of a CSV file from any row's first byte on, in constant memory: whoever stops goes on where he was.

UTF-8 with or without BOM, lines that end in LF, CRLF or CR, cells in quotes with commas and line ends inside.
"""

import codecs
import csv
from collections.abc import Iterator
from functools import partial
from io import TextIOWrapper
from typing import BinaryIO, Final, NamedTuple

# The most that a cell's text may have is 131,072 (`csv.field_size_limit`), so that a longer line holds nothing that can be used.
_LINE_CHARS_MAX: Final = 1024 * 1024


class FileUnusable(Exception):
    """The whole file cannot be read; the message says why."""


class Row(NamedTuple):
    """The cells of a row, or why it cannot be read; its whole text is the one cell then."""

    cells: list[str]
    problem: str = ""


class _Text(TextIOWrapper):
    """Leaves the file to who has opened it."""

    def __del__(self) -> None:
        """Not what a file does at its end: close."""
        if not self.closed:
            self.detach()


class RowReader:
    """The rows from `start` on, which is 0 or an `offset` of before. Lines without a letter between two rows are passed over."""

    def __init__(self, file: BinaryIO, start: int = 0) -> None:
        if start == 0:
            start = _first_byte(file)
        file.seek(start)
        self.offset = start
        """Where the row begins that comes next."""
        # A byte that is not UTF-8 becomes a lone surrogate, which costs its row and goes into the error file as it was.
        self._text = _Text(file, encoding="utf-8", errors="surrogateescape", newline="")
        self._rows = csv.reader(self._lines(), strict=True)
        self._text_of_row: list[str] = []

    def __iter__(self) -> Iterator[Row]:
        while True:
            try:
                for cells in self._rows:
                    self._text_of_row.clear()
                    if cells:
                        yield Row(cells)
            except csv.Error as error:
                text = "".join(self._text_of_row).rstrip("\r\n")
                self._text_of_row.clear()
                yield Row([text], str(error))
            else:
                return

    @property
    def line(self) -> int:
        """How many lines from `start` on have been read."""
        return self._rows.line_num

    def count(self) -> int:
        """How many rows there are from here on."""
        return sum(1 for _ in self)

    def _lines(self) -> Iterator[str]:
        """One line at a time, so that after a row `offset` is where it ended."""
        for line in iter(partial(self._text.readline, _LINE_CHARS_MAX), ""):
            self.offset += len(line) if line.isascii() else len(line.encode("utf-8", "surrogateescape"))
            self._text_of_row.append(line)
            yield line


def is_text(text: str) -> bool:
    """Whether it was UTF-8, without the NUL that PostgreSQL has no place for."""
    if text.isascii():
        return "\0" not in text
    return not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text)


def _first_byte(file: BinaryIO) -> int:
    """Behind the BOM, if there is one."""
    file.seek(0)
    start = file.read(4)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in start:
        raise FileUnusable("the file is not UTF-8 text; save it as CSV UTF-8")
    return len(codecs.BOM_UTF8) if start.startswith(codecs.BOM_UTF8) else 0
