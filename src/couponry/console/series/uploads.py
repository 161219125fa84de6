"""Files of coupons for a series: chosen, tried out on their first rows, and then worked on by a job."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, get_args

import falcon.asgi
import msgspec

from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.series.opened import SeriesPages, in_words
from couponry.console.visit import Visit, number_of
from couponry.core.job_words import what, why_rows_failed
from couponry.core.jobs import Job, JobKind
from couponry.core.limits import UPLOAD_BYTES_MAX
from couponry.core.model import Terms
from couponry.core.problem import Problem
from couponry.core.roles import Permission
from couponry.core.status import Code
from couponry.core.upload_kinds import FileKind, Identifier, UploadRequest, kind_of, stored_name, takes
from couponry.store import audit
from couponry.store.audit import Actor
from couponry.store.bulk.dry_run import dry_run, sampled
from couponry.store.bulk.sheets import columns_of
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.job_pages import SUBJECT
from couponry.store.jobs import Draft, create_job, list_jobs
from couponry.store.keeping import Keeper, Origin, kept
from couponry.store.receiving import Received, received
from couponry.store.series_pages import Line
from couponry.store.uploads import Upload, locked_upload, read_upload

IDENTIFIERS: Final[Mapping[Identifier, str]] = {
    "NOT_TAGGED": "Codes alone, for nobody yet",
    "MOBILE": "Customers by mobile",
    "EMAIL": "Customers by e-mail",
    "EXTERNAL_ID": "Customers by external id",
    "USER_ID": "Customers by their number here",
}
_FIELDS: Final = ("identifier", "column")
_COLUMNS: Final = ("0", "1")
_LISTED: Final = 10
_STARTED_MAX: Final = 200


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The form, and a file that came in."""
    return {"/series/{number}/upload": Choosing(parts, pages), "/series/{number}/upload/{upload}": Trying(parts, pages)}


class Choosing(SeriesPages):
    """Choose a file."""

    NEEDS = NEEDS_TO_POST = Permission.MAKE_CAMPAIGNS

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """The form, and what came in before."""
        await self._show(visit, resp, number)

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """Take the file; nothing is done with it yet."""
        found = await self._usable(visit, resp, number)
        if found is None:
            return
        line, series = found
        async with received(visit, self._parts.folder, visit.org_id, _FIELDS) as sent:
            taken = await _taken(self._parts, visit, series.terms, sent)
        if isinstance(taken, Upload):
            assert isinstance(sent, Received), "a file was taken"
            identifier, column = _named(sent.fields)
            self._pages.go(visit, resp, f"/series/{line.id}/upload/{taken.id}?identifier={identifier}&column={column}")
        elif taken is Code.BODY_TOO_LARGE or isinstance(taken, Problem):
            await self._show(visit, resp, number, _refusal(taken))
        else:
            self._pages.failed(visit, resp, taken)

    async def _show(self, visit: Visit, resp: falcon.asgi.Response, number: str, why: str = "") -> None:
        def more(tx: ReadTransaction, line: Line) -> list[Job]:
            return list_jobs(tx, visit.org_id, before_id=None, limit=_LISTED, kind=JobKind.UPLOAD, series_id=line.id)

        found = await self._opened(visit, resp, number, more)
        if found is None:
            return
        line, jobs = found
        offered = _offered(line.series.terms) if line.series else {}
        context: dict[str, Any] = {"line": line, "jobs": jobs, "what": what, "offered": offered, "why": why}
        status = 400 if why else 200
        self._pages.show(visit, resp, "series/upload.html", status=status, megabytes=UPLOAD_BYTES_MAX // 2**20, **context)


class Trying(SeriesPages):
    """A file that came in: what it would come to, and the button that has it done."""

    NEEDS = NEEDS_TO_POST = Permission.MAKE_CAMPAIGNS

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, number: str, upload: str) -> None:
        """Judge its first rows; nothing is written."""
        named = _named({name: visit.query(name) for name in _FIELDS})
        found = await self._file(visit, resp, number, upload, named)
        if found is None:
            return
        line, file, request = found
        path = self._parts.folder.upload(visit.org_id, file.id)
        sample = await asyncio.to_thread(sampled, path, visit.session.org, request)
        if isinstance(sample, Problem):
            self._pages.problem(visit, resp, 409, "This file cannot be used", in_words(sample))
            return
        tried = await self._parts.back_office.read(partial(dry_run, org_id=visit.org_id, series_id=line.id, sample=sample))
        if isinstance(tried, Code):
            self._pages.failed(visit, resp, tried)
            return
        failures = [(why_rows_failed(code), code, times) for code, times in tried.by_code.items()]
        context: dict[str, Any] = {"line": line, "file": file, "tried": tried, "failures": failures}
        self._pages.show(visit, resp, "series/dry_run.html", named=named, why=why_rows_failed, **context)

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, number: str, upload: str) -> None:
        """Have a job work on it; once, however often the button is pressed."""
        found = await self._file(visit, resp, number, upload, _named({name: visit.form.text(name) for name in _FIELDS}))
        if found is None:
            return
        line, _, request = found
        done = await self._parts.back_office.write(partial(_begun, visit.actor(), line.id, request), makes_job=True)
        if isinstance(done, Code):
            self._pages.failed(visit, resp, done)
        else:
            self._pages.go(visit, resp, f"/jobs/{done}", "The file is being worked on.")

    async def _file(
        self, visit: Visit, resp: falcon.asgi.Response, number: str, upload: str, named: tuple[Identifier, int]
    ) -> tuple[Line, Upload, UploadRequest] | None:
        upload_id = number_of(upload)
        found = await self._opened(
            visit, resp, number, lambda tx, _: read_upload(tx, visit.org_id, upload_id) if upload_id is not None else None
        )
        if found is None:
            return None
        line, file = found
        if file is None or line.series is None or _is_list(file):
            self._pages.missing(visit, resp, "file")
            return None
        shown = stored_name(file.sent_name, file.created_ms, line.id)
        identifier, column = named
        return line, file, UploadRequest(file.id, identifier, column, None, shown, file.sent_name)


async def _taken(parts: ConsoleParts, visit: Visit, terms: Terms, sent: Received | Problem | Code) -> Upload | Problem | Code:
    """Keep a file that the series takes."""
    if not isinstance(sent, Received):
        return sent
    columns = await asyncio.to_thread(columns_of, sent.path)
    if isinstance(columns, Problem):
        return columns
    identifier, column = _named(sent.fields)
    kind = kind_of(identifier, column, len(columns))
    if isinstance(kind, Problem):
        return kind
    if not takes(terms, kind):
        return Problem(Code.MALFORMED.number, f"this series takes no file of {kind}")
    keeper = Keeper(parts.back_office, parts.folder, visit.now_ms)

    def note(tx: WriteTransaction, upload: Upload) -> Upload:
        after = {"name": upload.sent_name, "bytes": upload.size_bytes}
        audit.record(tx, visit.actor(), "upload a file", ("upload", upload.id), after=after)
        return upload

    return await kept(keeper, sent, Origin(visit.org_id), note)


def _begun(actor: Actor, series_id: int, request: UploadRequest, tx: WriteTransaction) -> int:
    """The job that works on the file; the one that does already, if somebody was faster."""
    locked_upload(tx, actor.org_id, request.upload_id)
    jobs = list_jobs(tx, actor.org_id, before_id=None, limit=_STARTED_MAX, kind=JobKind.UPLOAD, series_id=series_id)
    for job in jobs:
        if job.request.get("uploadId") == request.upload_id:
            return job.id
    draft = Draft(kind=JobKind.UPLOAD, series_id=series_id, request=request)
    job_id = create_job(tx, actor.org_id, draft, actor.now_ms)
    audit.record(tx, actor, "ask for an upload", (SUBJECT, job_id), after={"series": series_id, **msgspec.to_builtins(request)})
    return job_id


def _named(fields: Mapping[str, str]) -> tuple[Identifier, int]:
    """By what rows name customers, and in which column; codes alone where nothing sensible was sent."""
    sent, column = fields.get("identifier", ""), fields.get("column", "")
    identifier: Identifier = next((each for each in get_args(Identifier) if each == sent), "NOT_TAGGED")
    return identifier, int(column) if column in _COLUMNS else 0


def _offered(terms: Terms) -> dict[str, str]:
    """What the rows of a file may be, for such a series."""
    takes_codes, takes_people = takes(terms, FileKind.CODES), takes(terms, FileKind.CUSTOMERS)
    return {name: text for name, text in IDENTIFIERS.items() if (takes_codes if name == "NOT_TAGGED" else takes_people)}


def _is_list(file: Upload) -> bool:
    """Whether it lists customers for other jobs, and is none of coupons."""
    return file.identifier is not None


def _refusal(why: Problem | Code) -> str:
    if isinstance(why, Code):
        return f"The file is larger than {UPLOAD_BYTES_MAX // 2**20} MB. Split it, and upload the parts one after the other."
    return in_words(why)
