"""`/admin/v1/jobs`: long work in the background is asked for, watched, stopped, and its files are fetched."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

import falcon.asgi
import msgspec

from couponry.api.admin import jobs_described
from couponry.api.admin.jobs_described import MOVES, ONE
from couponry.api.admin.jobs_wire import (
    PATH,
    Asked,
    ExpiryBody,
    ExportBody,
    IssueBody,
    Made,
    RevokeBody,
    expiry_of,
    export_of,
    issue_of,
    revoke_of,
    shown,
)
from couponry.api.admin.paging import Page, listed, page_of
from couponry.api.admin.queries import bad, text
from couponry.api.call import Call, Reply
from couponry.api.envelopes import admin_failure, problem
from couponry.api.parts import Parts
from couponry.api.seats import org_of
from couponry.api.v2.replies import answered
from couponry.api.v2.requests import coupon_id_of, is_json
from couponry.core.audience import Audience
from couponry.core.exporting import ExportRequest, FileFormat, format_of
from couponry.core.jobs import FileRole, Job, JobFile, JobKind, JobState
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.store.bulk.files import csv_lines
from couponry.store.folder import Folder, Written
from couponry.store.jobs import list_jobs, move_job, read_job
from couponry.store.keeping import Keeper, Origin, kept
from couponry.store.ordering import UNKNOWN, judge, place, place_export
from couponry.store.receiving import Received

OPERATIONS: Final = jobs_described.OPERATIONS
LIST_COLUMN: Final = "customers"
B = TypeVar("B")
A = TypeVar("A")
_HTTP_STATUS: Final[Mapping[int | str, int]] = MappingProxyType({UNKNOWN: 404, "state": 409, Code.SERIES_UNREADABLE.number: 409})
_TYPES: Final = MappingProxyType(
    {FileFormat.CSV: "text/csv; charset=utf-8", FileFormat.PARQUET: "application/vnd.apache.parquet"}
)


def routes(parts: Parts) -> dict[str, object]:
    """What can be asked for, all jobs, one of them, its moves and its files."""
    return {
        f"{PATH}/issue": Asking(parts, msgspec.json.Decoder(IssueBody).decode, issue_of),
        f"{PATH}/revoke": Asking(parts, msgspec.json.Decoder(RevokeBody).decode, revoke_of),
        f"{PATH}/expiry": Asking(parts, msgspec.json.Decoder(ExpiryBody).decode, expiry_of),
        f"{PATH}/export": Exporting(parts),
        PATH: Jobs(parts),
        ONE: OneJob(parts),
        **{f"{ONE}/{move}": Move(parts, state) for move, state in MOVES.items()},
        **{f"{ONE}/files/{role}": JobFiles(parts, role) for role in FileRole},
    }


class Asking(Generic[B]):
    """Work on the coupons of a series."""

    def __init__(self, parts: Parts, decode: Callable[[bytes], B], read: Callable[[B, Org], Asked | Problem]) -> None:
        self._parts, self._decode, self._read = parts, decode, read

    async def on_post(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Judge, and put into the queue."""
        org = org_of(req)
        asked = org if isinstance(org, Code) else await _taken(req, org, self._decode, self._read)
        made = await self._made(org, asked) if isinstance(org, Org) and isinstance(asked, Asked) else asked
        _queued(made).write(resp)

    async def _made(self, org: Org, asked: Asked) -> int | Problem | Code:
        office, now_ms = self._parts.back_office, self._parts.clock()
        if asked.values is None:
            return await office.write(partial(place, org=org, order=asked.order, now_ms=now_ms), makes_job=True)
        judged = await office.read(partial(judge, org=org, order=asked.order, now_ms=now_ms))
        if isinstance(judged, Problem | Code):
            return judged
        received = await asyncio.to_thread(_listed, self._parts.folder, org.id, asked.values)
        try:
            order = asked.order.of
            origin = Origin(org.id, identifier=asked.identifier, identifier_column=0)
            return await kept(
                Keeper(self._parts.back_office, self._parts.folder, now_ms),
                received,
                origin,
                lambda tx, upload: place(tx, org, order(Audience(upload_id=upload.id)), now_ms),
            )
        finally:
            received.path.unlink(missing_ok=True)


class Exporting:
    """Files of what there is."""

    def __init__(self, parts: Parts) -> None:
        self._office, self._clock = parts.back_office, parts.clock
        self._decode = msgspec.json.Decoder(ExportBody).decode

    async def on_post(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Judge, and put into the queue."""
        org = org_of(req)
        wanted = org if isinstance(org, Code) else await _taken(req, org, self._decode, export_of)
        if isinstance(org, Code) or not isinstance(wanted, ExportRequest):
            _queued(wanted).write(resp)
            return
        made = await self._office.write(partial(place_export, org=org, request=wanted, now_ms=self._clock()), makes_job=True)
        _queued(made).write(resp)


class Jobs:
    """All jobs."""

    def __init__(self, parts: Parts) -> None:
        self._office = parts.back_office

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """List."""
        org, page, kind = org_of(req), page_of(req), text(req, "kind")
        if isinstance(page, Page) and kind and kind not in [*JobKind]:
            page = bad(f"kind is one of {', '.join(JobKind)}")
        if isinstance(org, Code) or not isinstance(page, Page):
            _refused(org, page).write(resp)
            return
        wanted: dict[str, Any] = {"before_id": page.before_id, "limit": page.limit + 1, "kind": JobKind(kind) if kind else None}
        found = await self._office.read(lambda tx: list_jobs(tx, org.id, **wanted))
        if isinstance(found, Code):
            admin_failure(found).write(resp)
            return
        answered(listed(page, found, lambda job: job.id, partial(shown, zone=org.zone))).write(resp)


class OneJob:
    """One of them."""

    def __init__(self, parts: Parts) -> None:
        self._office = parts.back_office

    async def on_get(self, req: Call, resp: falcon.asgi.Response, job_id: str) -> None:
        """How far it has come."""
        org, number = org_of(req), _number(job_id)
        if isinstance(org, Code) or isinstance(number, Code):
            _refused(org, number).write(resp)
            return
        found = await self._office.read(lambda tx: read_job(tx, org.id, number) or _unknown(number))
        _told(found, org).write(resp)


class Move:
    """Pause, resume or cancel."""

    def __init__(self, parts: Parts, state: JobState) -> None:
        self._office, self._clock, self._state = parts.back_office, parts.clock, state

    async def on_post(self, req: Call, resp: falcon.asgi.Response, job_id: str) -> None:
        """Move to the state."""
        org, number = org_of(req), _number(job_id)
        if isinstance(org, Code) or isinstance(number, Code):
            _refused(org, number).write(resp)
            return
        move = partial(move_job, org_id=org.id, job_id=number, state=self._state, now_ms=self._clock())
        _told(await self._office.write(move, makes_job=True), org).write(resp)


class JobFiles:
    """Files of one role."""

    def __init__(self, parts: Parts, role: FileRole) -> None:
        self._office, self._folder, self._role = parts.back_office, parts.folder, role

    async def on_get(self, req: Call, resp: falcon.asgi.Response, job_id: str) -> None:
        """As much as is committed."""
        org, number = org_of(req), _number(job_id)
        if isinstance(org, Code) or isinstance(number, Code):
            _refused(org, number).write(resp)
            return
        job = await self._office.read(lambda tx: read_job(tx, org.id, number) or _unknown(number))
        file = job.file(self._role) if isinstance(job, Job) else None
        stream = await asyncio.to_thread(_opened, self._folder, job, file) if isinstance(job, Job) and file else None
        if not isinstance(job, Job) or file is None or stream is None:
            _refused(job, _unknown(number)).write(resp)
            return
        kind = format_of(job, self._role)
        resp.content_type, resp.downloadable_as = _TYPES[kind], f"{file.name.removesuffix(f'.{kind}')}.{kind}"
        resp.set_header("X-Content-Type-Options", "nosniff")
        resp.set_stream(stream, file.size_bytes)


async def _taken(call: Call, org: Org, decode: Callable[[bytes], B], read: Callable[[B, Org], A | Problem]) -> A | Problem | Code:
    """What the body asks for: 400 for what is no JSON, a problem for what means nothing."""
    raw = await call.body()
    if isinstance(raw, Code):
        return raw
    try:
        return read(decode(raw), org)
    except msgspec.ValidationError as error:
        return bad(str(error)) if is_json(raw) else Code.MALFORMED
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Code.MALFORMED


def _listed(folder: Folder, org_id: int, values: Sequence[str]) -> Received:
    """Customers that came in a request, as a file like any other."""
    file, path = folder.receive(org_id)
    with file:
        file.writelines(csv_lines([[LIST_COLUMN]], ([value] for value in values)))
        return Received(path, f"{LIST_COLUMN}.csv", file.tell(), {})


def _opened(folder: Folder, job: Job, file: JobFile) -> Written | None:
    """The file, unless it is not there any more."""
    with suppress(FileNotFoundError):
        return Written(folder.written(job.org_id, job.id, file.role), file.size_bytes)
    return None


def _number(job_id: str) -> int | Code:
    """The id in the path; 400 for what is no number, as of other admin ids."""
    found = coupon_id_of(job_id)
    return found if isinstance(found, int) else Code.MALFORMED


def _unknown(job_id: int) -> Problem:
    return Problem(UNKNOWN, f"there is no job {job_id}, or no such file of it")


def _refused(*found: object) -> Reply:
    """The first refusal among what was found."""
    why = next(one for one in found if isinstance(one, Problem | Code))
    return admin_failure(why) if isinstance(why, Code) else problem(why, _HTTP_STATUS.get(why.code, 400))


def _queued(made: object) -> Reply:
    return Reply(202, msgspec.json.encode(Made(made))) if isinstance(made, int) else _refused(made)


def _told(found: Job | Problem | Code, org: Org) -> Reply:
    return answered(shown(found, org.zone)) if isinstance(found, Job) else _refused(found)
