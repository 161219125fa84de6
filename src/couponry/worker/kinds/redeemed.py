"""Redemptions made elsewhere, from an uploaded file into the ledger (upload 2): each row is recorded, or stays with its reason.

Rows that were recorded are repeated in the file of what is done, with status 731; the others in the error file.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from couponry.core.jobs import FileRole, Job, JobFile, Progress
from couponry.core.limits import CHUNK_ROWS_MIN
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.core.redeemed_rows import Told, UploadedRows
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store.bulk.files import ERROR_COLUMNS, without_apostrophe
from couponry.store.bulk.redemptions import Recorder
from couponry.store.bulk.rows import FileUnusable, Row, RowReader, is_text
from couponry.store.bulk.statistics import FEW_ROWS, count_rows
from couponry.store.engine import WriteTransaction
from couponry.store.folder import file_of
from couponry.store.registry import read_org
from couponry.worker.work import Chunk, Desk, JobImpossible

DONE_COLUMNS: Final = ("status", "message")
_DONE: Final = (Code.REDEMPTION_IMPORTED.number, Code.REDEMPTION_IMPORTED.message)
_PREFIXES: Final = {FileRole.ERRORS: "error_redemption_upload", FileRole.DONE: "success_redemption_upload"}

T = TypeVar("T")


class RedeemedUpload(Struct, frozen=True, rename="camel"):
    """What such a job was asked for: a file, and the index of each column that means something."""

    upload_id: int
    columns: dict[str, int]


class Cursor(Struct, frozen=True, omit_defaults=True):
    """At which byte of the file to go on; 0 before the first row."""

    at: int = 0


class Entry(NamedTuple):
    """A row of the file: its cells, and what it tells of, or why nothing."""

    cells: Sequence[str]
    told: Told | Problem


class Page(NamedTuple):
    """Some rows of the file one after the other, and the first byte of the next."""

    entries: list[Entry]
    after: int
    is_last: bool


class RedeemedWork:
    """Jobs that record redemptions."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._recorder = Recorder(desk.database.dialect)

    def chunk(self, job: Job, rows_max: int) -> Chunk:
        """Read the next rows. What they name is looked up, locked and judged when they are written."""
        assert job.series_id is not None, "whoever makes such a job names a series"
        request = msgspec.convert(job.request, RedeemedUpload)
        file = RedeemedFile(self._desk.folder.upload(job.org_id, request.upload_id), request.columns)
        total = file.count() if job.total is None else job.total
        if job.done < FEW_ROWS:
            count_rows(self._desk.database, (t.redemption, t.coupon, t.customer_series), only_small=True)
        rows_max = min(rows_max, max(CHUNK_ROWS_MIN, job.done))  # while tables are small, large chunks are slow
        now_ms = self._desk.clock()
        with self._desk.database.reading() as tx:
            org = read_org(tx, job.org_id)
        if isinstance(org, Problem):
            raise JobImpossible(org.text)
        page = file.page(org, msgspec.convert(job.cursor, Cursor).at, rows_max, now_ms)
        told = [entry.told for entry in page.entries if isinstance(entry.told, Told)]

        def write(tx: WriteTransaction) -> Progress:
            recorded = iter(self._recorder.record(tx, org.id, told, now_ms, request_id=f"job-{job.id}", series_id=job.series_id))
            problems = [entry.told if isinstance(entry.told, Problem) else next(recorded) for entry in page.entries]
            failed = [problem for problem in problems if problem]
            done = job.done + len(problems)
            return Progress(
                cursor=msgspec.to_builtins(Cursor(page.after)),
                done=len(problems),
                ok=len(problems) - len(failed),
                failed=len(failed),
                by_code=dict(Counter(str(problem.code) for problem in failed)),
                total=done if page.is_last else max(total, done),
                files=self._written(tx, job, file.columns, list(zip(page.entries, problems, strict=True))),
                is_last=page.is_last,
            )

        return write

    def _written(
        self, tx: WriteTransaction, job: Job, columns: Sequence[str], rows: list[tuple[Entry, Problem | None]]
    ) -> tuple[JobFile, ...]:
        """Each row with what became of it, in the one file or the other."""
        files: list[JobFile] = []
        for role, more, told in (
            (FileRole.ERRORS, ERROR_COLUMNS, [(*entry.cells, each.code, each.text) for entry, each in rows if each]),
            (FileRole.DONE, DONE_COLUMNS, [(*entry.cells, *_DONE) for entry, each in rows if each is None]),
        ):
            if told:
                file = file_of(tx, job, role, _PREFIXES[role])
                files.append(self._desk.folder.append_rows(job, file, (*columns, *more), told))
        return tuple(files)


class RedeemedFile:
    """One file. What is wrong with it as a whole is JobImpossible."""

    def __init__(self, path: Path, columns: Mapping[str, int]) -> None:
        self._path = path
        self._named = columns
        header, self._start = self._reading(0, lambda reader: (next(iter(reader), Row([])), reader.offset))
        if header.problem or not any(header.cells):
            raise JobImpossible(f"the header cannot be read: {header.problem or 'it is empty'}")
        self._width = len(header.cells)
        names = tuple(name.strip() for name in header.cells)
        # What comes back mended from an error file of ours still has its columns.
        self.columns = names[:-2] if names[-2:] == ERROR_COLUMNS else names
        self._missing = next((name for name, at in columns.items() if at >= len(self.columns)), None)

    def count(self) -> int:
        """How many rows follow the header."""
        return self._reading(self._start, RowReader.count)

    def page(self, org: Org, start: int, rows_max: int, now_ms: int) -> Page:
        """At most so many rows; `start` is 0 or where the last page ended."""

        def read(reader: RowReader) -> Page:
            rows = list(islice(reader, rows_max))
            meant = UploadedRows(self._named, org, now_ms)
            return Page([self._entry(row, meant) for row in rows], reader.offset, len(rows) < rows_max)

        return self._reading(start or self._start, read)

    def _entry(self, row: Row, meant: UploadedRows) -> Entry:
        width = len(self.columns)
        cells = row.cells[:width]
        if row.problem or len(row.cells) != self._width:
            detail = row.problem or f"{len(row.cells)} cells where the header has {self._width}"
            return Entry((*cells, *[""] * (width - len(cells))), _invalid(detail))
        whole = "".join(cells)
        if not is_text(whole):
            return Entry(cells, _invalid("the row holds a NUL or bytes that are not UTF-8"))
        if self._missing:
            return Entry(cells, _invalid(f"there is no column for {self._missing}"))
        texts = [without_apostrophe(cell) for cell in cells] if "'" in whole else cells
        return Entry(cells, meant.told({name: texts[at] for name, at in self._named.items()}))

    def _reading(self, start: int, work: Callable[[RowReader], T]) -> T:
        try:
            with self._path.open("rb") as file:
                reader = RowReader(file, start)  # kept by name: its text layer is not to go before the file is closed
                return work(reader)
        except FileNotFoundError as error:
            raise JobImpossible("the uploaded file is not there any more") from error
        except FileUnusable as error:
            raise JobImpossible(str(error)) from error


def _invalid(detail: str) -> Problem:
    return Problem(Code.INVALID_INPUT.number, Code.INVALID_INPUT.message, detail)
