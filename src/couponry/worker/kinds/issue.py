"""Bulk issue: coupons of a series for an audience, or codes that nobody has, for a file."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from couponry.core.audience import Segment
from couponry.core.bulk_issue import Person, row_code
from couponry.core.generation import shape_of
from couponry.core.job_requests import IssueRequest
from couponry.core.jobs import FileRole, Job, JobFile, Progress
from couponry.core.model import Handling
from couponry.core.status import Code
from couponry.store.bulk.audience import audience_size, people_after
from couponry.store.bulk.files import ERROR_COLUMNS
from couponry.store.bulk.issuing import Ids, Issuer, Offered, Order, Wanted, ids_ahead, make_codes
from couponry.store.engine import ReadTransaction, StoreError, WriteTransaction
from couponry.store.folder import file_of
from couponry.worker.code_block import CodeBlocks, Drawn, Place
from couponry.worker.work import Chunk, Desk, JobImpossible

_BLOCKS_MAX: Final = 8
_NO_CODES: Final = Drawn([], [], Place())


class Cursor(Struct, frozen=True, rename="camel"):
    """Where to go on: after which customer, or from which byte of the file, and where in the series' codes."""

    after: int = 0
    place: Place = Place()


class Recipients(NamedTuple):
    """Whom a chunk is for; None for whom nobody knows. `cells` are what an error file repeats of each.

    `after` is where the next chunk begins, None when there is none.
    """

    people: Sequence[Person | None]
    cells: Callable[[int], Sequence[object]]
    columns: Sequence[str]
    after: int | None


class IssueWork:
    """Each chunk is decided like an issue over the API, a customer at a time (`store.bulk.issuing`)."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._issuer = Issuer(desk.database.dialect)
        self._blocks: dict[object, CodeBlocks] = {}

    def chunk(self, job: Job, rows_max: int) -> Chunk:
        """Draw the codes before; whom they are for is looked up when they are written."""
        request = msgspec.convert(job.request, IssueRequest)
        cursor = msgspec.convert(job.cursor, Cursor)
        with self._desk.database.reading() as tx:
            offered = self._offered(tx, job)
        if request.audience is None:
            return self._codes_chunk(job, request, offered, cursor, rows_max)
        segment = request.audience.segment
        total = job.total
        if total is None:
            total = audience_size(self._desk.database, job.org_id, segment) * request.count
        people_max = max(1, rows_max // request.count)
        drawn, blocks = _NO_CODES, None
        if offered.series.terms.client_handling_type is Handling.GENERATED:
            blocks = self._blocks_of(offered)
            most = people_max * request.count
            drawn = blocks.draw(cursor.place, most, least=request.count, still_wanted=max(most, total - job.done))
            people_max = max(1, len(drawn.codes) // request.count)
        ids = ids_ahead(self._desk.database, job.org_id, people_max * request.count)

        def write(tx: WriteTransaction) -> Progress:
            recipients = _window(tx, job.org_id, cursor.after, people_max, segment)
            try:
                progress = self._issued(tx, job, request, recipients, drawn, ids)
            except StoreError as error:
                if blocks and error.is_code_taken:
                    blocks.are_doubtful = True
                raise
            return msgspec.structs.replace(progress, total=total)

        return write

    def _issued(
        self, tx: WriteTransaction, job: Job, request: IssueRequest, recipients: Recipients, drawn: Drawn, ids: Ids
    ) -> Progress:
        offered = self._offered(tx, job)
        wanted = [Wanted(person) for person in recipients.people if person for _ in range(request.count)]
        order = Order(
            now_ms=self._desk.clock(),
            till_id=request.till_id,
            request_id=f"job-{job.id}",
            is_told=True,
            is_sent=request.send,
        )
        refusals = self._issuer.issue(tx, offered, wanted, drawn.codes, ids, order)
        failed: list[tuple[int, Code]] = []
        at = ok = 0
        by_code: Counter[str] = Counter()
        for row, person in enumerate(recipients.people):
            theirs = refusals[at : at + request.count] if person else [Code.CUSTOMER_NOT_FOUND] * request.count
            at += request.count if person else 0
            codes = [row_code(code, offered.series) for code in theirs if code]
            ok += request.count - len(codes)
            if codes:
                by_code.update(str(code.number) for code in codes)
                failed.append((row, codes[0]))
        done = len(recipients.people) * request.count
        place = drawn.after(ok) if drawn.codes else drawn.place
        return Progress(
            cursor=msgspec.to_builtins(Cursor(recipients.after or 0, place)),
            done=done,
            ok=ok,
            failed=done - ok,
            by_code=dict(by_code),
            files=self._told(tx, job, recipients, failed),
            is_last=recipients.after is None,
            tells_others=request.send,
        )

    def _told(
        self, tx: WriteTransaction, job: Job, recipients: Recipients, failed: Sequence[tuple[int, Code]]
    ) -> tuple[JobFile, ...]:
        """The error file with the rows that failed."""
        if not failed:
            return ()
        rows = ((*recipients.cells(row), code.number, code.message) for row, code in failed)
        file = file_of(tx, job, FileRole.ERRORS, "error")
        return (self._desk.folder.append_rows(job, file, (*recipients.columns, *ERROR_COLUMNS), rows),)

    def _codes_chunk(self, job: Job, request: IssueRequest, offered: Offered, cursor: Cursor, rows_max: int) -> Chunk:
        """Codes that nobody has, into the series and into the file."""
        if offered.series.terms.client_handling_type is Handling.SHARED:
            raise JobImpossible("a series with one shared code has no others")
        still = request.count - job.done
        blocks = self._blocks_of(offered)
        drawn = blocks.draw(cursor.place, min(rows_max, still), least=1, still_wanted=still)
        if not drawn.codes:
            raise JobImpossible(f"the series has no more codes after {job.done:,}")
        ids = ids_ahead(self._desk.database, job.org_id, len(drawn.codes))

        def write(tx: WriteTransaction) -> Progress:
            try:
                make_codes(tx, self._offered(tx, job), drawn.codes, ids, self._desk.clock())
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
            raise JobImpossible(f"{offered.number} {offered.message}")
        return offered

    def _blocks_of(self, offered: Offered) -> CodeBlocks:
        key = (offered.org.id, offered.series.id, shape_of(offered.series.terms, offered.org.settings))
        if key not in self._blocks:
            if len(self._blocks) >= _BLOCKS_MAX:
                self._blocks.clear()
            self._blocks[key] = CodeBlocks(self._desk.database, self._desk.secret, offered.org, offered.series)
        return self._blocks[key]


def _window(tx: ReadTransaction, org_id: int, after_id: int, most: int, segment: Segment | None) -> Recipients:
    people, after = people_after(tx, org_id, after_id, most, segment)
    return Recipients(people, lambda row: (people[row].customer_id,), ("customerId",), after)
