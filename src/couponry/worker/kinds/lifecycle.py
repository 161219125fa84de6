"""Revoke coupons of a series, or give them another expiry (`core.bulk_lifecycle`): all of them, or those of listed customers.

A row of such a job is a coupon that was looked at; of a file, a customer without one is a row, too. Those that were changed are
ok. Those that were none of its business, or somebody else's by the time, are neither ok nor failed. Failed are the rows of a file
that name no customer.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from couponry.core.audience import Audience
from couponry.core.bulk_lifecycle import is_meant, new_expiry
from couponry.core.job_requests import ExpiryRequest, RevokeRequest
from couponry.core.jobs import FileRole, Job, JobFile, JobKind, Progress
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store.bulk.lifecycle import START, BulkLifecycle, Lot, Occasion, Place, place_of
from couponry.store.bulk.statistics import count_rows
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.folder import file_of
from couponry.store.offers import read_series
from couponry.store.registry import read_org
from couponry.worker.listed import UNKNOWN, CustomerFile, Listed, failed_row
from couponry.worker.work import Chunk, Desk, JobImpossible, impossible

_CUSTOMERS_MAX: Final = 2_000
_COUPONS_EACH: Final = 50
"""Of one customer beside others; whoever may hold more is gone through alone."""

Change = Callable[[WriteTransaction, list[int]], int]
"""Does it to those of these coupons that are still meant, and says how many there were."""


class Cursor(Struct, frozen=True, rename="camel", omit_defaults=True):
    """After which coupon of the series to go on; or at which byte of the file, and there after which of the customer's."""

    after_id: int = 0
    at: int = 0
    place: Place = START


class Part(NamedTuple):
    """What a chunk is about: `done` rows, the coupons among them that are meant, and the rows of the file that failed."""

    ids: list[int]
    done: int
    cursor: Cursor
    is_last: bool
    failed: list[tuple[Listed, Problem]] = []  # noqa: RUF012 - nobody adds to it


class LifecycleWork:
    """Jobs of either kind."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._bulk = BulkLifecycle(desk.database.dialect)

    def chunk(self, job: Job, rows_max: int) -> Chunk:
        """Find the next coupons. They are locked, and looked at again, when it is written."""
        assert job.series_id is not None, "whoever makes such a job names a series"
        kind: type[RevokeRequest | ExpiryRequest] = RevokeRequest if job.kind is JobKind.REVOKE else ExpiryRequest
        request = msgspec.convert(job.request, kind)
        file = self._file(job, request.audience)
        if job.done == 0:
            count_rows(self._desk.database, (t.coupon, t.customer_series), only_small=True)
        now_ms = self._desk.clock()
        with self._desk.database.reading() as tx:
            series = self._bulk.series(tx, job.org_id, job.series_id, now_ms)
            if isinstance(series, Code):
                raise impossible(series)
            lot = Lot(job.org_id, series, request.coupons)
            total = self._total(tx, lot, file) if job.total is None else job.total
            cursor = msgspec.convert(job.cursor, Cursor)
            part = self._listed(tx, lot, file, cursor, rows_max) if file else self._walked(tx, lot, cursor, rows_max)
        change = self._change(request, lot, Occasion(now_ms, f"job-{job.id}"))

        def write(tx: WriteTransaction) -> Progress:
            ok = change(tx, part.ids)
            done = job.done + part.done
            return Progress(
                cursor=msgspec.to_builtins(part.cursor),
                done=part.done,
                ok=ok,
                failed=len(part.failed),
                by_code=dict(Counter(str(problem.code) for _, problem in part.failed)),
                total=done if part.is_last else max(total, done),
                files=self._errors(tx, job, file, part),
                is_last=part.is_last,
            )

        return write

    def _file(self, job: Job, audience: Audience | None) -> CustomerFile | None:
        if audience is None:
            return None
        if audience.upload_id is None:
            raise JobImpossible("coupons are revoked or given another expiry for everybody, or for the customers of a file")
        return CustomerFile(self._desk.folder.upload(job.org_id, audience.upload_id), audience)

    def _total(self, tx: ReadTransaction, lot: Lot, file: CustomerFile | None) -> int:
        """How many rows there may be, as far as that is known at once: one for each row of a file, or what the series counts."""
        if file:
            return file.count()
        (offered,) = read_series(tx, lot.org_id, [lot.series.id])
        return offered.never_issued if lot.which == "unissued" else max(offered.counts.issued, offered.counts.uploaded)

    def _change(self, request: RevokeRequest | ExpiryRequest, lot: Lot, occasion: Occasion) -> Change:
        if isinstance(request, RevokeRequest):
            return lambda tx, ids: self._bulk.revoke(tx, lot, ids, occasion)
        expires_local = new_expiry(request.expires_local, lot.series, occasion.now_ms)
        if isinstance(expires_local, Code):
            raise impossible(expires_local)
        return lambda tx, ids: self._bulk.redate(tx, lot, ids, expires_local, occasion)

    def _walked(self, tx: ReadTransaction, lot: Lot, cursor: Cursor, rows_max: int) -> Part:
        """Coupons of the series in the order of their ids."""
        coupons = self._bulk.walk(tx, lot, cursor.after_id, rows_max)
        meant = [coupon.id for coupon in coupons if is_meant(coupon, lot.series, lot.which)]
        after = Cursor(coupons[-1].id if coupons else cursor.after_id)
        return Part(meant, len(coupons), after, is_last=len(coupons) < rows_max)

    def _listed(self, tx: ReadTransaction, lot: Lot, file: CustomerFile, cursor: Cursor, rows_max: int) -> Part:
        """The coupons of the customers in a file's next rows; or more of the customer in one row, whose first were too many."""
        org = read_org(tx, lot.org_id)
        if isinstance(org, Problem):
            raise JobImpossible(org.text)
        is_alone = cursor.place != START
        page = file.page(org, cursor.at, 1 if is_alone else min(rows_max, _CUSTOMERS_MAX))
        names = {row.named for row in page.rows if isinstance(row.named, str)}
        known = self._bulk.customers(tx, lot.org_id, file.kind, names)
        each = rows_max if is_alone else _COUPONS_EACH
        held = self._bulk.held(tx, lot, dict.fromkeys(known.values(), cursor.place), each)
        ids: list[int] = []
        failed: list[tuple[Listed, Problem]] = []
        done = 0
        for row in page.rows:
            if done >= rows_max:
                return Part(ids, done, Cursor(at=row.offset), is_last=False, failed=failed)
            customer_id = known.get(row.named, 0) if isinstance(row.named, str) else 0
            if not customer_id:
                done += 1
                failed.append((row, row.named if isinstance(row.named, Problem) else UNKNOWN))
                continue
            coupons = held.pop(customer_id, [])
            meant = [coupon.id for coupon in coupons if is_meant(coupon, lot.series, lot.which)]
            ids += meant
            if len(coupons) == each:
                return Part(
                    ids, done + len(meant), Cursor(at=row.offset, place=place_of(coupons[-1])), is_last=False, failed=failed
                )
            done += len(meant) if is_alone else max(1, len(meant))
        return Part(ids, done, Cursor(at=page.after), page.is_last, failed)

    def _errors(self, tx: ReadTransaction, job: Job, file: CustomerFile | None, part: Part) -> tuple[JobFile, ...]:
        if not part.failed:
            return ()
        assert file, "only rows of a file fail"
        columns = file.error_columns()
        rows = [failed_row(columns, row.cells, problem) for row, problem in part.failed]
        return (self._desk.folder.append_rows(job, file_of(tx, job, FileRole.ERRORS, "error"), columns, rows),)
