"""Many rows at once: imports of customers, stores, series, coupons and redemptions from CSV files or from hand, in chunks of one
transaction each. What jobs write by the thousand has its modules here too.

A row that cannot be taken costs nothing but itself: it goes to the error file with its code. Counters move with the rows that
they count, in the same transaction, so an import that is killed leaves whole chunks and can be run again.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct
from sqlalchemy import Table

from couponry.core.limits import IMPORT_CHUNK_ROWS, WRITE_TRIES_MAX
from couponry.core.problem import Problem
from couponry.store.bulk.files import ERROR_COLUMNS, CsvReader, ErrorFile, Line
from couponry.store.bulk.rows import FileUnusable
from couponry.store.bulk.statistics import count_rows
from couponry.store.dialect import Trouble
from couponry.store.engine import Database, StoreError, WriteTransaction

Cells = Mapping[str, Any]
"""One row by the contract's V2 field names: text from a CSV cell, or a typed value."""


class Kind(Protocol):
    """One kind of row: the columns it reads, and how a chunk of rows is written."""

    @property
    def columns(self) -> frozenset[str]:
        """The columns that mean something; others are ignored."""

    @property
    def required(self) -> frozenset[str]:
        """The columns without which no row could be taken."""

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables that grow."""

    def write(self, tx: WriteTransaction, rows: list[Cells], seen: set[Hashable]) -> list[Problem | None]:
        """Write what can be written, and say for each row why not. `seen` holds keys of earlier rows, and takes new ones."""


class Result(Struct, frozen=True, rename="camel"):
    """What became of a file."""

    rows: int
    imported: int
    failed: int
    error_file: str | None


class _OnlyLooked(Exception):
    """Undoes the chunk of a dry run."""


def import_file(
    database: Database,
    kind: Kind,
    path: Path,
    *,
    dry_run: bool = False,
    advance: Callable[[int], object] = lambda _: None,
    ignored: Callable[[list[str]], object] = lambda _: None,
) -> Result:
    """Import a CSV file, or only look what would happen. `advance` hears how many bytes are read, `ignored` of unknown columns.

    Raises FileUnusable when there is nothing to begin with.
    """
    with path.open("rb") as file:
        reader = CsvReader(file)
        if missing := kind.required - set(reader.columns):
            raise FileUnusable(f"the header lacks {', '.join(sorted(missing))}")
        if unknown := [name for name in reader.columns if name and name not in kind.columns and name not in ERROR_COLUMNS]:
            ignored(unknown)
        rows = failed = 0
        with ErrorFile(path, reader.columns) as errors:
            for line, problem in _written(database, kind, reader, dry_run=dry_run):
                rows += 1
                if problem:
                    failed += 1
                    errors.add(line, problem)
                if rows % IMPORT_CHUNK_ROWS == 0:
                    advance(file.tell())
        return Result(rows, rows - failed, failed, str(errors.path) if errors.path else None)


def import_rows(database: Database, kind: Kind, rows: Iterable[Cells]) -> list[Problem]:
    """Import rows that are at hand in the same way; the problems of those that failed."""
    lines = (Line(row) for row in rows)
    return [problem for _, problem in _written(database, kind, lines, dry_run=False) if problem]


def _written(database: Database, kind: Kind, lines: Iterable[Line], *, dry_run: bool) -> Iterator[tuple[Line, Problem | None]]:
    remaining, seen, chunks = iter(lines), set[Hashable](), 0
    while chunk := list(islice(remaining, IMPORT_CHUNK_ROWS)):
        if chunks.bit_count() == 1:  # each time that it has doubled
            count_rows(database, kind.tables)
        chunks += 1
        rows = [line.cells for line in chunk if line.problem is None]
        problems, keys = _chunk_written(database, kind, rows, seen, dry_run=dry_run) if rows else ([], seen)
        seen = keys if dry_run else seen  # what is committed is found in the database
        of_row = iter(problems)
        for line in chunk:
            yield line, line.problem or next(of_row)
    count_rows(database, kind.tables)


def _chunk_written(
    database: Database, kind: Kind, rows: list[Cells], seen: set[Hashable], *, dry_run: bool
) -> tuple[list[Problem | None], set[Hashable]]:
    """Write a chunk, again if a server's writer came between; how the rows fared, and the keys seen by then."""
    for tries_left in reversed(range(WRITE_TRIES_MAX)):
        keys = set(seen)
        problems: list[Problem | None] = []
        try:
            with database.writing() as tx:
                problems = kind.write(tx, rows, keys)
                assert len(problems) == len(rows)
                if dry_run:
                    raise _OnlyLooked
        except _OnlyLooked:
            return problems, keys
        except StoreError as error:
            if error.trouble not in {Trouble.CONFLICT, Trouble.LOCKED} or not tries_left:
                raise
        else:
            return problems, keys
    raise AssertionError("the last try returns or raises")
