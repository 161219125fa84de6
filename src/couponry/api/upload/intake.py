"""From a form to a job: who sends it, for which series, what the file is, and what is to be done with it (upload 1, 2)."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from couponry.api.call import Call
from couponry.api.parts import Parts
from couponry.api.seats import Seat, Seats
from couponry.api.v2.series_query import id_of
from couponry.core.jobs import Job, JobKind
from couponry.core.model import Org, Terms
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.core.upload_kinds import stored_name
from couponry.store.bulk.sheets import columns_of
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.jobs import Draft, create_job, read_job
from couponry.store.keeping import Keeper, Origin, kept
from couponry.store.offers import read_series
from couponry.store.receiving import Received, bad, received
from couponry.store.uploads import Upload

Plan = Callable[[Mapping[str, str], Terms, Sequence[str]], dict[str, Any] | Problem]
"""What a job is to do, from the form's fields, the series' terms and the file's columns; or why it may not."""


class Filed(Struct, frozen=True):
    """The job that a file was taken for, and its org."""

    org: Org
    job: Job


class Intake:
    """Takes files of one kind; `fields` are what their forms may hold beside them."""

    def __init__(self, parts: Parts, kind: JobKind, fields: Sequence[str], plan: Plan) -> None:
        self._parts = parts
        self._seats = Seats(parts.attribution)
        self._kind = kind
        self._fields = fields
        self._plan = plan

    async def take(self, call: Call, sent_id: str) -> Filed | Problem | Code:
        """The job that works on what this request brings, which stands in the queue."""
        seat = await self._seats.of(call)
        if isinstance(seat, Code):
            return seat
        terms = await terms_of(self._parts, seat.org.id, sent_id)
        if not isinstance(terms, Terms):
            return terms
        async with received(call, self._parts.folder, seat.org.id, self._fields) as sent:
            if not isinstance(sent, Received):
                return sent
            columns = await asyncio.to_thread(columns_of, sent.path)
            planned = columns if isinstance(columns, Problem) else self._plan(sent.fields, terms, columns)
            if isinstance(planned, Problem):
                return planned
            return await self._file(seat, int(sent_id), sent, planned)

    async def _file(self, seat: Seat, series_id: int, sent: Received, planned: Mapping[str, Any]) -> Filed | Code:
        till_id = seat.till.place.till_id

        def create(tx: WriteTransaction, upload: Upload) -> Job:
            names = {"uploadedName": stored_name(sent.sent_name, upload.created_ms, series_id), "sentName": sent.sent_name}
            request = {"uploadId": upload.id, **planned, "tillId": till_id, **names}
            draft = Draft(kind=self._kind, series_id=series_id, request=request)
            job = read_job(tx, seat.org.id, create_job(tx, seat.org.id, draft, upload.created_ms))
            assert job, "it was made in this transaction"
            return job

        keeper = Keeper(self._parts.back_office, self._parts.folder, self._parts.clock())
        job = await kept(keeper, sent, Origin(seat.org.id, till_id), create)
        return job if isinstance(job, Code) else Filed(seat.org, job)


async def terms_of(parts: Parts, org_id: int, sent_id: str) -> Terms | Problem | Code:
    """The terms of the series that a path names; 400 when the org has none such."""
    series_id = id_of(sent_id)

    def read(tx: ReadTransaction) -> Terms | Problem:
        for row in read_series(tx, org_id, [series_id] if series_id else []):
            return row.series.terms
        return bad("there is no such coupon series")

    return await parts.back_office.read(read)
