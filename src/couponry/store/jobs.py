"""Jobs as they are stored (`core.jobs`). Who changes one says which revision he has seen; of two, one is told to look again."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Select, insert, select, update

from couponry.core.jobs import ENDED, FileRole, Job, JobFile, JobKind, JobState, Progress
from couponry.core.problem import Problem
from couponry.store import schema as t
from couponry.store import serials
from couponry.store.dialect import Trouble
from couponry.store.engine import ReadTransaction, Stage, StoreError, WriteTransaction
from couponry.store.queue import enqueue
from couponry.store.statements import Row

_JSON: Final = ("request", "cursor", "by_code")
_COLUMNS: Final = tuple(t.job.c[name] for name in Job.__struct_fields__ if name != "files")
# What somebody may do with a job, and which states it is possible in.
_FROM: Final[Mapping[JobState, frozenset[JobState]]] = {
    JobState.PAUSED: frozenset({JobState.QUEUED, JobState.RUNNING}),
    JobState.QUEUED: frozenset({JobState.PAUSED, JobState.FAILED}),
    JobState.CANCELLED: frozenset({JobState.QUEUED, JobState.RUNNING, JobState.PAUSED}),
}


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A job to be: `request` is anything that msgspec can turn into JSON."""

    kind: JobKind
    series_id: int | None
    request: Any
    total: int | None = None


def create_job(tx: WriteTransaction, org_id: int, draft: Draft, now_ms: int) -> int:
    """The id of a new job, which stands in the queue as soon as this transaction is committed."""
    job_id = serials.reserve(tx, org_id, serials.JOB)
    fixed = {"state": JobState.QUEUED, "run": 1, "revision": 1, "cursor": "{}", "by_code": "{}", "problem": ""}
    counts = dict.fromkeys(("done", "ok", "failed", "worked_ms"), 0)
    row = {"kind": draft.kind, "series_id": draft.series_id, "request": _json(draft.request), "total": draft.total}
    times = {"created_ms": now_ms, "updated_ms": now_ms}
    tx.connection.execute(insert(t.job).values(org_id=org_id, id=job_id, **row, **fixed, **counts, **times))
    enqueue(tx, org_id, job_id, 1)
    return job_id


def read_job(tx: ReadTransaction, org_id: int, job_id: int) -> Job | None:
    """One job with its files; two statements."""
    found = _read(tx, org_id, select(*_COLUMNS).where(t.job.c.org_id == org_id, t.job.c.id == job_id))
    return found[0] if found else None


def list_jobs(
    tx: ReadTransaction,
    org_id: int,
    *,
    before_id: int | None,
    limit: int,
    kind: JobKind | None = None,
    series_id: int | None = None,
) -> list[Job]:
    """Jobs newest first, of all kinds and series or of one; two statements."""
    wanted = select(*_COLUMNS).where(t.job.c.org_id == org_id)
    if before_id is not None:
        wanted = wanted.where(t.job.c.id < before_id)
    if kind is not None:
        wanted = wanted.where(t.job.c.kind == kind)
    if series_id is not None:
        wanted = wanted.where(t.job.c.series_id == series_id)
    return _read(tx, org_id, wanted.order_by(t.job.c.id.desc()).limit(limit))


def jobs_of_series(tx: ReadTransaction, org_id: int, series_id: int, kind: JobKind, limit: int) -> list[Job]:
    """The last jobs of one kind about a series, oldest first; two statements."""
    job = t.job.c
    wanted = select(*_COLUMNS).where(job.org_id == org_id, job.series_id == series_id, job.kind == kind)
    return _read(tx, org_id, wanted.order_by(job.id.desc()).limit(limit))[::-1]


def find_file(tx: ReadTransaction, org_id: int, name: str) -> tuple[int, JobFile] | None:
    """Which job wrote the file of this name, and the file."""
    file = t.job_file.c
    wanted = select(file.job_id, file.role, file.name, file.size_bytes).where(file.org_id == org_id, file.name == name)
    for row in tx.rows(wanted, {}):
        return row.job_id, _file(row)
    return None


def move_job(tx: WriteTransaction, org_id: int, job_id: int, state: JobState, now_ms: int) -> Job | Problem:
    """Pause (PAUSED), resume (QUEUED) or cancel a job. What it has committed stays; no more is, once this is committed."""
    mine = select(t.job.c.id).where(t.job.c.org_id == org_id, t.job.c.id == job_id)
    tx.rows(tx.dialect.locked(mine, t.job), {})  # else whoever advances it would be faster again and again
    job = read_job(tx, org_id, job_id)
    if job is None:
        return Problem("unknown", f"there is no job {job_id}")
    if job.state is state or (state is JobState.QUEUED and job.state is JobState.RUNNING):
        return job
    if job.state not in _FROM[state]:
        return Problem("state", f"job {job_id} is {job.state}")
    run = job.run + (state is JobState.QUEUED)
    _change(tx, job, {"state": state, "run": run, "problem": "", "updated_ms": now_ms})
    if state is JobState.QUEUED:
        enqueue(tx, org_id, job_id, run)
    return msgspec.structs.replace(job, state=state, run=run, problem="", revision=job.revision + 1)


def begin_job(tx: WriteTransaction, job: Job, now_ms: int) -> Job:
    """A queued job runs from now on."""
    _change(tx, job, {"state": JobState.RUNNING, "updated_ms": now_ms})
    return msgspec.structs.replace(job, state=JobState.RUNNING, revision=job.revision + 1)


def hold_job(tx: WriteTransaction, job: Job) -> None:
    """Keep others from the job until the block ends: he who works at it writes its files, too. Raises StoreError (a conflict)."""
    same = (t.job.c.org_id == job.org_id, t.job.c.id == job.id)
    rows = tx.rows(tx.dialect.locked(select(t.job.c.revision).where(*same), t.job), {})
    if [row.revision for row in rows] != [job.revision]:
        raise StoreError(Trouble.CONFLICT, Stage.COUNTERS, f"job {job.id} was changed")


def advance_job(tx: WriteTransaction, job: Job, progress: Progress, *, now_ms: int, took_ms: int) -> Job:
    """Count a chunk that this transaction wrote. Raises StoreError (a conflict) if somebody else has changed it meanwhile."""
    by_code = {code: job.by_code.get(code, 0) + progress.by_code.get(code, 0) for code in job.by_code | progress.by_code}
    after = msgspec.structs.replace(
        job,
        state=JobState.FINISHED if progress.is_last else job.state,
        revision=job.revision + 1,
        cursor=progress.cursor,
        total=job.total if progress.total is None else progress.total,
        done=job.done + progress.done,
        ok=job.ok + progress.ok,
        failed=job.failed + progress.failed,
        by_code=by_code,
        updated_ms=now_ms,
        worked_ms=job.worked_ms + took_ms,
        files=tuple({file.role: file for file in (*job.files, *progress.files)}.values()),
    )
    names = ("state", "cursor", "total", "done", "ok", "failed", "by_code", "updated_ms", "worked_ms")
    _change(tx, job, {name: _stored(name, getattr(after, name)) for name in names})
    _write_files(tx, job, progress.files)
    return after


def fail_job(tx: WriteTransaction, job: Job, problem: str, now_ms: int) -> None:
    """A job that cannot go on; what it has committed stays."""
    if job.state not in ENDED:
        _change(tx, job, {"state": JobState.FAILED, "problem": problem, "updated_ms": now_ms})


def _change(tx: WriteTransaction, job: Job, values: Mapping[str, Any]) -> None:
    same = (t.job.c.org_id == job.org_id, t.job.c.id == job.id, t.job.c.revision == job.revision)
    changed = tx.connection.execute(update(t.job).where(*same).values(revision=job.revision + 1, **values)).rowcount
    if changed != 1:
        raise StoreError(Trouble.CONFLICT, Stage.COUNTERS, f"job {job.id} was changed")


def _write_files(tx: WriteTransaction, job: Job, files: Sequence[JobFile]) -> None:
    known = {file.role for file in job.files}
    new = [(file.name, job.id, file.role, file.size_bytes) for file in files if file.role not in known]
    tx.write(tx.dialect.insert(t.job_file, ("name", "job_id", "role", "size_bytes")), job.org_id, new)
    grown = [(file.size_bytes, file.name) for file in files if file.role in known]
    tx.write(tx.dialect.update(t.job_file, key=("name",), added=(), assigned=("size_bytes",)), job.org_id, grown)


def _read(tx: ReadTransaction, org_id: int, wanted: Select[Any]) -> list[Job]:
    rows = tx.rows(wanted, {})
    file = t.job_file.c
    listed = select(file.job_id, file.role, file.name, file.size_bytes)
    files: dict[int, list[JobFile]] = {}
    for row in tx.rows(listed.where(file.org_id == org_id, file.job_id.in_([row.id for row in rows])), {}) if rows else ():
        files.setdefault(row.job_id, []).append(_file(row))
    return [_job(org_id, row, tuple(files.get(row.id, ()))) for row in rows]


def _file(row: Any) -> JobFile:  # noqa: ANN401 - a row of the columns that it names
    return JobFile(FileRole(row.role), row.name, row.size_bytes)


def _job(org_id: int, row: Row, files: tuple[JobFile, ...]) -> Job:
    values = dict(zip((column.name for column in _COLUMNS), row, strict=True))
    for name in _JSON:
        values[name] = msgspec.json.decode(values[name])
    assert values["org_id"] == org_id
    return Job(**values | {"kind": JobKind(values["kind"]), "state": JobState(values["state"])}, files=files)


def _stored(name: str, value: object) -> object:
    return _json(value) if name in _JSON else value


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
