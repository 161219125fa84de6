"""Jobs: long work in the background is watched, paused, resumed and cancelled, and its files are fetched."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import falcon.asgi

from couponry.console.gate import Resource
from couponry.console.pages import HTML, Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit, number_of
from couponry.core.exporting import FileFormat, format_of
from couponry.core.job_words import KINDS, STATES, time_left, what, why_rows_failed
from couponry.core.jobs import ENDED, FileRole, Job, JobKind, JobState
from couponry.core.limits import CONSOLE_PAGE_ROWS
from couponry.core.problem import Problem
from couponry.core.roles import Permission
from couponry.core.status import Code
from couponry.store import audit
from couponry.store.audit import Actor
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.folder import Folder, Written
from couponry.store.job_pages import SUBJECT, askers, series_coded
from couponry.store.jobs import list_jobs, move_job, read_job

MOVES: Final[Mapping[str, tuple[JobState, str]]] = MappingProxyType(
    {
        "pause": (JobState.PAUSED, "The job is paused. What it has done stays."),
        "resume": (JobState.QUEUED, "The job goes on where it stopped."),
        "cancel": (JobState.CANCELLED, "The job is cancelled. What it had done stays."),
    }
)
_POSSIBLE: Final[Mapping[JobState, tuple[str, ...]]] = MappingProxyType(
    {
        JobState.QUEUED: ("pause", "cancel"),
        JobState.RUNNING: ("pause", "cancel"),
        JobState.PAUSED: ("resume", "cancel"),
        JobState.FAILED: ("resume",),
    }
)
_TYPES: Final = MappingProxyType(
    {FileFormat.CSV: "text/csv; charset=utf-8", FileFormat.PARQUET: "application/vnd.apache.parquet"}
)
_FILES: Final = MappingProxyType(
    {FileRole.ERRORS: "Rows that failed, with the reason", FileRole.DONE: "Rows that were done", FileRole.RESULT: "The result"}
)


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The list, a job, its progress alone, what can be done with it, and its files."""
    return {
        "/jobs": Listed(parts, pages),
        "/jobs/{number}": One(parts, pages),
        "/jobs/{number}/part": Part(parts, pages),
        "/jobs/{number}/files/{role}": Files(parts, pages),
        **{f"/jobs/{{number}}/{move}": Move(parts, pages, move) for move in MOVES},
    }


class Listed:
    """All jobs of the org, newest first."""

    NEEDS = NEEDS_TO_POST = Permission.SEE_CAMPAIGNS

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """A page of them."""
        sent = visit.query("kind")
        kind = JobKind(sent) if sent in [*JobKind] else None
        before_id, limit = visit.number("before"), CONSOLE_PAGE_ROWS

        def read(tx: ReadTransaction) -> tuple[list[Job], dict[int, str], dict[int, str]]:
            jobs = list_jobs(tx, visit.org_id, before_id=before_id, limit=limit + 1, kind=kind)
            asked_by = askers(tx, visit.org_id, [job.id for job in jobs])
            return jobs, asked_by, series_coded(tx, visit.org_id, [job.series_id for job in jobs])

        found = await self._parts.back_office.read(read)
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
            return
        jobs, asked_by, series = found
        older = jobs[limit - 1].id if len(jobs) > limit else None
        context: dict[str, Any] = {"jobs": jobs[:limit], "asked_by": asked_by, "series": series, "older": older}
        self._pages.show(visit, resp, "jobs/list.html", kind=kind, kinds=KINDS, what=what, **context)


class _Pages:
    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def _found(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> tuple[Job, str, str] | None:
        """The job with who asked for it; None once the answer says why not."""
        job_id = number_of(number)
        found = await self._parts.back_office.read(partial(_read, visit.org_id, job_id)) if job_id is not None else None
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
            return None
        if found is None:
            self._pages.missing(visit, resp, "job")
        return found


class One(_Pages):
    """One job."""

    NEEDS = NEEDS_TO_POST = Permission.SEE_CAMPAIGNS

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """How far it has come."""
        found = await self._found(visit, resp, number)
        if found:
            self._pages.show(visit, resp, "jobs/one.html", **shown(*found))


class Part(_Pages):
    """What changes of its page, for scripts."""

    NEEDS = NEEDS_TO_POST = Permission.SEE_CAMPAIGNS

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """The same, alone."""
        found = await self._found(visit, resp, number)
        if found:
            resp.content_type = HTML
            resp.text = self._pages.filled(visit, "jobs/progress.html", **shown(*found))


class Move(_Pages):
    """Pause, resume or cancel."""

    NEEDS, NEEDS_TO_POST = Permission.SEE_CAMPAIGNS, Permission.MAKE_CAMPAIGNS

    def __init__(self, parts: ConsoleParts, pages: Pages, move: str) -> None:
        super().__init__(parts, pages)
        self._move = move

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """Whoever comes back from signing in finds the job."""
        self._pages.go(visit, resp, f"/jobs/{number_of(number) or 0}")

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """Do it."""
        job_id = number_of(number)
        work = partial(_moved, visit.actor(), job_id or 0, self._move)
        moved = await self._parts.back_office.write(work, makes_job=True)
        if isinstance(moved, Code):
            self._pages.failed(visit, resp, moved)
        elif isinstance(moved, Problem) and moved.code == "unknown":
            self._pages.missing(visit, resp, "job")
        else:
            is_done = isinstance(moved, Job)
            self._pages.go(visit, resp, f"/jobs/{job_id}", MOVES[self._move][1] if is_done else "The job has ended already.")


class Files(_Pages):
    """What a job has written. It may hold customers' addresses, so whoever fetches it is recorded."""

    NEEDS = NEEDS_TO_POST = Permission.MAKE_CAMPAIGNS

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, number: str, role: str) -> None:
        """As much of the file as is committed."""
        found = await self._found(visit, resp, number)
        if found is None:
            return
        job = found[0]
        opened = await asyncio.to_thread(_opened, self._parts.folder, job, role)
        if opened is None:
            self._pages.missing(visit, resp, "file")
            return
        entry = partial(audit.record, actor=visit.actor(), action="fetch a file", subject=(SUBJECT, job.id), after={"role": role})
        noted = await self._parts.back_office.write(entry)
        if isinstance(noted, Code):
            await opened[0].close()
            self._pages.failed(visit, resp, noted)
            return
        stream, name, size_bytes, resp.content_type = opened
        resp.downloadable_as = name
        resp.set_stream(stream, size_bytes)


def shown(job: Job, asked_by: str, series: str) -> dict[str, Any]:
    """What the templates of a job need of it."""
    return {
        "job": job,
        "what": what(job),
        "state": STATES[job.state],
        "asked_by": asked_by,
        "series": series,
        "is_over": job.state in ENDED,
        "possible": _POSSIBLE.get(job.state, ()),
        "time_left": None if job.eta_s is None or job.state is not JobState.RUNNING else time_left(job.eta_s),
        "failures": [(why_rows_failed(code), code, times) for code, times in Counter(job.by_code).most_common()],
        "files": [(file, _FILES[file.role]) for file in job.files],
    }


def _read(org_id: int, job_id: int, tx: ReadTransaction) -> tuple[Job, str, str] | None:
    job = read_job(tx, org_id, job_id)
    if job is None:
        return None
    return (
        job,
        askers(tx, org_id, [job_id]).get(job_id, ""),
        series_coded(tx, org_id, [job.series_id]).get(job.series_id or 0, ""),
    )


def _moved(actor: Actor, job_id: int, move: str, tx: WriteTransaction) -> Job | Problem:
    before = read_job(tx, actor.org_id, job_id)
    moved = move_job(tx, actor.org_id, job_id, MOVES[move][0], actor.now_ms)
    if isinstance(moved, Job) and before and before.state is not moved.state:
        states = {"state": before.state, "done": before.done}
        audit.record(tx, actor, f"{move} a job", (SUBJECT, job_id), before=states, after={"state": moved.state})
    return moved


def _opened(folder: Folder, job: Job, role: str) -> tuple[Written, str, int, str] | None:
    """The file, what it is called, its size and type; None when there is none, or none any more."""
    file = next((each for each in job.files if each.role == role), None)
    if file is None:
        return None
    kind = format_of(job, file.role)
    with suppress(FileNotFoundError):
        stream = Written(folder.written(job.org_id, job.id, file.role), file.size_bytes)
        return stream, f"{file.name.removesuffix(f'.{kind}')}.{kind}", file.size_bytes, _TYPES[kind]
    return None
