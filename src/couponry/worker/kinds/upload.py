"""Uploaded coupons (upload 1): codes for a pool, customers who get a coupon each, or codes for customers."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from msgspec import Struct

from couponry.core.bulk_issue import row_code
from couponry.core.codes import code_key
from couponry.core.jobs import FileRole, Job, JobFile, Progress
from couponry.core.limits import CHUNK_ROWS_MIN
from couponry.core.model import Handling, Org
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.core.upload_kinds import DUPLICATE, FileKind, UploadRequest, row_problem, takes
from couponry.store import schema
from couponry.store.bulk.files import ERROR_COLUMNS
from couponry.store.bulk.issuing import Ids, Issuer, Offered, Order, Wanted
from couponry.store.bulk.pool import add_codes, first_coupon_id, keys_in_use
from couponry.store.bulk.rows import FileUnusable
from couponry.store.bulk.statistics import FEW_ROWS, count_rows
from couponry.store.bulk.upload_file import Page, UploadFile
from couponry.store.engine import ReadTransaction, StoreError, WriteTransaction
from couponry.store.folder import file_of
from couponry.store.neighbours import hold_customers
from couponry.store.offers import SeriesUnreadable, read_series
from couponry.store.registry import read_org
from couponry.worker.code_block import NO_CODES, Drawn, OpenSeries, Place
from couponry.worker.work import Chunk, Desk, JobImpossible


class Cursor(Struct, frozen=True, rename="camel"):
    """Where to go on: the first byte of a row (0: of the first), and where in the series' codes."""

    after: int = 0
    place: Place = Place()


class Part(NamedTuple):
    """A chunk as it was prepared: the rows with what is wrong with each so far, and what they may use."""

    job: Job
    request: UploadRequest
    offered: Offered
    file: UploadFile
    page: Page
    problems: list[Problem | None]
    place: Place
    drawn: Drawn
    first_id: int


class UploadWork:
    """A row that fails costs nothing but itself. Rules J5-J11 are an issue's own; no event and no message tells of it."""

    def __init__(self, desk: Desk, open_series: OpenSeries) -> None:
        self._desk = desk
        self._issuer = Issuer(desk.database.dialect)
        self._open_series = open_series

    def chunk(self, job: Job, rows_max: int) -> Chunk:
        """Read rows and look up codes before; customers are looked up when the chunk is written."""
        try:
            return self._chunk(job, rows_max)
        except FileUnusable as error:
            raise JobImpossible(str(error)) from error

    def _chunk(self, job: Job, rows_max: int) -> Chunk:
        request, cursor = msgspec.convert(job.request, UploadRequest), msgspec.convert(job.cursor, Cursor)
        with self._desk.database.reading() as tx:
            offered = _offered(tx, job)
        rows_max = min(rows_max, max(CHUNK_ROWS_MIN, job.done))  # while tables are small, large chunks are slow
        if job.done < FEW_ROWS:
            count_rows(self._desk.database, (schema.coupon, schema.customer_series), only_small=True)
        file = UploadFile(self._desk.folder.upload(job.org_id, request.upload_id), request)
        if not takes(offered.series.terms, file.kind):
            raise JobImpossible(f"the series takes no {file.kind}")
        total = file.count() if job.total is None else job.total
        blocks, drawn = None, NO_CODES
        if file.kind is FileKind.CUSTOMERS and offered.series.terms.client_handling_type is Handling.GENERATED:
            blocks = self._open_series.blocks_of(offered)
            still = max(1, total - job.done)
            drawn = blocks.draw(cursor.place, min(rows_max, still), still_wanted=still)
        page = file.page(offered.org, cursor.after, len(drawn.codes) or rows_max, job.done)
        problems = self._code_problems(job, file, page)
        first_id = first_coupon_id(self._desk.database, job.org_id, max(1, len(page.entries)))
        part = Part(job, request, offered, file, page, problems, cursor.place, drawn, first_id)

        def write(tx: WriteTransaction) -> Progress:
            try:
                refused = self._written(tx, part)
            except StoreError as error:
                if blocks:
                    blocks.are_doubtful |= error.is_code_taken
                raise
            return msgspec.structs.replace(self._progress(tx, part, refused), total=total)

        return write

    def _code_problems(self, job: Job, file: UploadFile, page: Page) -> list[Problem | None]:
        """What is wrong with each row as far as its cells and the codes in use tell."""
        problems = [entry.problem for entry in page.entries]
        if file.kind is FileKind.CUSTOMERS:
            return problems
        assert job.series_id is not None, "somebody brings codes for a series"
        keys = [code_key(entry.code) if entry.code else "" for entry in page.entries]
        with self._desk.database.reading() as tx:
            in_use = keys_in_use(tx, job.org_id, job.series_id, [key for key in keys if key])
        for at, key in enumerate(keys):
            if key and key in in_use:
                problems[at] = DUPLICATE
            elif key and file.kind is FileKind.CODES:  # of two customers, the first may be refused
                in_use.add(key)
        return problems

    def _written(self, tx: WriteTransaction, part: Part) -> list[Problem | None]:
        """What is wrong with each row after all; the others are written."""
        if part.file.kind is not FileKind.CODES:
            return self._issued(tx, part)
        codes = [
            entry.code for entry, problem in zip(part.page.entries, part.problems, strict=True) if entry.code and not problem
        ]
        add_codes(tx, part.job.org_id, part.offered.series, codes, part.first_id, self._desk.clock())
        return part.problems

    def _issued(self, tx: WriteTransaction, part: Part) -> list[Problem | None]:
        job, entries = part.job, part.page.entries
        hold_customers(tx, job.org_id)
        names = [entry.name for entry in entries if entry.name is not None]
        people = self._issuer.people(tx, job.org_id, part.file.name_kind, names)
        found = list(part.problems)
        rows: list[int] = []
        wanted: list[Wanted] = []
        for at, entry in enumerate(entries):
            person = people.get(entry.name)
            if person is None:
                found[at] = entry.problem or row_problem(Code.CUSTOMER_NOT_FOUND)
            elif found[at] is None:
                rows.append(at)
                wanted.append(Wanted(person, entry.code))
        order = Order(
            now_ms=self._desk.clock(),
            till_id=part.request.till_id,
            request_id=f"job-{job.id}",
            is_told=False,
            is_sent=False,
        )
        refusals = self._issuer.issue(tx, part.offered, wanted, part.drawn.codes, Ids(part.first_id, 0), order)
        for at, code in zip(rows, refusals, strict=True):
            if code:
                is_double = code is Code.REPEATED_IN_REQUEST
                found[at] = DUPLICATE if is_double else row_problem(row_code(code, part.offered.series))
        return found

    def _progress(self, tx: WriteTransaction, part: Part, refused: Sequence[Problem | None]) -> Progress:
        by_code = Counter(str(problem.code) for problem in refused if problem)
        failed = by_code.total()
        ok = len(refused) - failed
        return Progress(
            cursor=msgspec.to_builtins(Cursor(part.page.after, part.drawn.after(ok) if part.drawn.codes else part.place)),
            done=len(refused),
            ok=ok,
            failed=failed,
            by_code=dict(by_code),
            files=self._error_file(tx, part, refused) if failed else (),
            is_last=part.page.is_last,
        )

    def _error_file(self, tx: ReadTransaction, part: Part, refused: Sequence[Problem | None]) -> tuple[JobFile, ...]:
        """The rows that failed, each with its reason."""
        judged = zip(part.page.entries, refused, strict=True)
        rows = ((*entry.cells, problem.code, problem.text) for entry, problem in judged if problem)
        errors = file_of(tx, part.job, FileRole.ERRORS, "error")
        return (self._desk.folder.append_rows(part.job, errors, (*part.file.columns, *ERROR_COLUMNS), rows),)


def _offered(tx: ReadTransaction, job: Job) -> Offered:
    """The series by its current terms. Neither its expiry nor its campaign stops an upload (upload 1: J5-J11 alone)."""
    org = read_org(tx, job.org_id)
    try:
        series = read_series(tx, job.org_id, [job.series_id or 0])
    except SeriesUnreadable as error:
        raise JobImpossible(Code.SERIES_UNREADABLE.message) from error
    if not isinstance(org, Org) or not series:
        raise JobImpossible(Code.INVALID_SERIES_ID.message if isinstance(org, Org) else org.text)
    return Offered(org, series[0].series)
