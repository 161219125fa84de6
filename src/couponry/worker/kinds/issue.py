"""Bulk issue: coupons of a series for an audience, or codes that nobody has, for a file."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import msgspec
from msgspec import Struct

from couponry.core.audience import Audience, Segment
from couponry.core.bulk_issue import Person, row_code
from couponry.core.job_requests import IssueRequest
from couponry.core.jobs import FileRole, Job, JobFile, Progress
from couponry.core.model import Handling, Org
from couponry.core.problem import Problem
from couponry.core.series import Series
from couponry.core.status import Code
from couponry.store.bulk.audience import audience_size, people_after
from couponry.store.bulk.files import ERROR_COLUMNS
from couponry.store.bulk.issuing import Ids, Issuer, Offered, Order, Wanted, ids_ahead
from couponry.store.bulk.pool import add_codes
from couponry.store.engine import ReadTransaction, StoreError, WriteTransaction
from couponry.store.folder import file_of
from couponry.store.neighbours import hold_customers
from couponry.worker.code_block import NO_CODES, Drawn, OpenSeries, Place
from couponry.worker.listed import UNKNOWN, CustomerFile, failed_row
from couponry.worker.work import Chunk, Desk, JobImpossible, impossible


class Cursor(Struct, frozen=True, rename="camel"):
    """Where to go on: after which customer, or from which byte of the file, and where in the series' codes."""

    after: int = 0
    place: Place = Place()


class Recipients(NamedTuple):
    """Whom a chunk is for, or why a row is for nobody. `cells` are what the error file repeats of each.

    `after` is where the next chunk begins, None when there is none. `looked` is how many rows or customers were looked at.
    """

    people: Sequence[Person | Problem]
    cells: Callable[[int], Sequence[object]]
    after: int | None
    looked: int


Read = Callable[[ReadTransaction], Recipients]


class IssueWork:
    """Each chunk is decided like an issue over the API, a customer at a time (`store.bulk.issuing`)."""

    def __init__(self, desk: Desk, open_series: OpenSeries) -> None:
        self._desk = desk
        self._issuer = Issuer(desk.database.dialect)
        self._open_series = open_series

    def chunk(self, job: Job, rows_max: int) -> Chunk:
        """Draw the codes before; whom they are for is looked up when they are written."""
        request = msgspec.convert(job.request, IssueRequest)
        cursor = msgspec.convert(job.cursor, Cursor)
        with self._desk.database.reading() as tx:
            offered = self._offered(tx, job)
        if request.audience is None:
            return self._codes_chunk(job, request, offered, cursor, rows_max)
        file = self._file(job, request.audience)
        total = job.total
        if total is None:
            people = file.count() if file else audience_size(self._desk.database, job.org_id, request.audience.segment)
            total = people * request.count
        people_max = max(1, rows_max // request.count)
        most = people_max * request.count
        if file:
            read = self._listed(file, offered.org, cursor.after, people_max)
        else:
            read = partial(_window, job.org_id, cursor.after, people_max, request.audience.segment)
        drawn, blocks = NO_CODES, None
        if offered.series.terms.client_handling_type is Handling.GENERATED:
            blocks = self._open_series.blocks_of(offered)
            if blocks.are_scarce:
                most = request.count * self._count(read)
            drawn = blocks.draw(cursor.place, most, still_wanted=total - job.done)
        ids = ids_ahead(self._desk.database, job.org_id, people_max * request.count)

        def write(tx: WriteTransaction) -> Progress:
            hold_customers(tx, job.org_id)  # before anybody is looked at, who might be merged away then
            try:
                progress = self._issued(tx, job, request, read(tx), drawn, ids(tx))
            except StoreError as error:
                if blocks and error.is_code_taken:
                    blocks.are_doubtful = True
                raise
            return msgspec.structs.replace(progress, total=total)

        return write

    def _count(self, read: Read) -> int:
        """How many people a chunk will hold, unless somebody joins them."""
        with self._desk.database.reading() as tx:
            return sum(isinstance(person, Person) for person in read(tx).people)

    def _issued(
        self, tx: WriteTransaction, job: Job, request: IssueRequest, recipients: Recipients, drawn: Drawn, ids: Ids
    ) -> Progress:
        """Issue, and write the rows that failed to the error file."""
        offered = self._offered(tx, job)
        people, per_person = recipients.people, request.count
        wanted = [Wanted(person) for person in people if isinstance(person, Person) for _ in range(per_person)]
        order = Order(
            now_ms=self._desk.clock(),
            till_id=request.till_id,
            request_id=f"job-{job.id}",
            is_told=True,
            is_sent=request.send,
        )
        refusals = self._issuer.issue(tx, offered, wanted, drawn.codes, ids, order)
        ok, done = refusals.count(None), len(people) * per_person
        failed = list(_failures(people, refusals, per_person, offered.series)) if ok < done else []
        by_code: Counter[str] = Counter()
        for _, problem, times in failed:
            by_code[str(problem.code)] += times
        return Progress(
            cursor=msgspec.to_builtins(Cursor(recipients.after or 0, drawn.after(ok))),
            done=done,
            looked=recipients.looked * per_person,
            ok=ok,
            failed=done - ok,
            by_code=dict(by_code),
            files=self._told(tx, job, request, recipients, failed),
            is_last=recipients.after is None,
        )

    def _told(
        self,
        tx: WriteTransaction,
        job: Job,
        request: IssueRequest,
        recipients: Recipients,
        failed: Sequence[tuple[int, Problem, int]],
    ) -> tuple[JobFile, ...]:
        """The error file with the rows that failed, if there are any."""
        if not failed:
            return ()
        assert request.audience, "codes for nobody do not fail"
        file = self._file(job, request.audience)
        columns = file.error_columns() if file else ("customerId", *ERROR_COLUMNS)
        rows = (failed_row(columns, recipients.cells(row), problem) for row, problem, _ in failed)
        return (self._desk.folder.append_rows(job, file_of(tx, job, FileRole.ERRORS, "error"), columns, rows),)

    def _file(self, job: Job, audience: Audience) -> CustomerFile | None:
        if audience.upload_id is None:
            return None
        return CustomerFile(self._desk.folder.upload(job.org_id, audience.upload_id), audience)

    def _listed(self, file: CustomerFile, org: Org, start: int, rows_max: int) -> Read:
        """The next rows of a file; who they name is looked up when the coupons are written."""
        page = file.page(org, start, rows_max)
        names = [row.named for row in page.rows if isinstance(row.named, str)]
        values = [int(name) for name in names] if file.kind == "id" else names

        def read(tx: ReadTransaction) -> Recipients:
            found = self._issuer.people(tx, org.id, file.kind, values) if values else {}
            by_name = {str(value): person for value, person in found.items()}
            people = [row.named if isinstance(row.named, Problem) else by_name.get(row.named, UNKNOWN) for row in page.rows]
            return Recipients(people, lambda row: page.rows[row].cells, None if page.is_last else page.after, len(people))

        return read

    def _codes_chunk(self, job: Job, request: IssueRequest, offered: Offered, cursor: Cursor, rows_max: int) -> Chunk:
        """Codes that nobody has, into the series and into the file."""
        if offered.series.terms.client_handling_type is Handling.SHARED:
            raise JobImpossible("a series with one shared code has no others")
        still = request.count - job.done
        blocks = self._open_series.blocks_of(offered)
        drawn = blocks.draw(cursor.place, min(rows_max, still), still_wanted=still)
        if not drawn.codes:
            raise JobImpossible(f"the series has no more codes after {job.done:,}")
        ids = ids_ahead(self._desk.database, job.org_id, len(drawn.codes))

        def write(tx: WriteTransaction) -> Progress:
            try:
                series = self._offered(tx, job).series
                add_codes(tx, job.org_id, series, drawn.codes, ids(tx).coupon, self._desk.clock())
            except StoreError as error:
                blocks.are_doubtful |= error.is_code_taken
                raise
            made = len(drawn.codes)
            file = file_of(tx, job, FileRole.RESULT, "codes")
            return Progress(
                cursor=msgspec.to_builtins(Cursor(0, drawn.after(made))),
                total=request.count,
                done=made,
                ok=made,
                files=(self._desk.folder.append_rows(job, file, ("code",), ((code,) for code in drawn.codes)),),
                is_last=made >= still,
            )

        return write

    def _offered(self, tx: ReadTransaction, job: Job) -> Offered:
        assert job.series_id is not None, "an issue names a series"
        offered = self._issuer.offered(tx, job.org_id, job.series_id, self._desk.clock())
        if isinstance(offered, Code):
            raise impossible(offered)
        return offered


def _window(org_id: int, after_id: int, most: int, segment: Segment | None, tx: ReadTransaction) -> Recipients:
    people, after = people_after(tx, org_id, after_id, most, segment)
    return Recipients(people, lambda row: (people[row].customer_id,), after, len(people) if after is None else most)


def _failures(
    people: Sequence[Person | Problem], refusals: Sequence[Code | None], per_person: int, series: Series
) -> Iterator[tuple[int, Problem, int]]:
    """Each row that failed, or did not get all of its coupons: why, and how many it did not get."""
    at = 0
    for row, person in enumerate(people):
        if isinstance(person, Problem):
            yield row, person, per_person
            continue
        refused = [code for code in refusals[at : at + per_person] if code]
        at += per_person
        if refused:
            code = row_code(refused[0], series)
            yield row, Problem(code.number, code.message), len(refused)
