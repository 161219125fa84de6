"""A shop with a desk for background work: jobs are put into the queue, and done here and now by a runner, without a worker."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Table, select

from couponry.core.jobs import ENDED, FileRole, Job, JobKind, JobState
from couponry.core.problem import Problem
from couponry.store import schema as t
from couponry.store import serials
from couponry.store.doctor import Difference, check
from couponry.store.engine import Database
from couponry.store.folder import Folder
from couponry.store.jobs import Draft, advance_job, begin_job, create_job, move_job, read_job
from couponry.worker.kinds import works
from couponry.worker.runner import Runner
from couponry.worker.work import Desk, Work
from tests.api.shop import Shop

SECRET: Final = b"only for this test"


class _Crash(Exception):
    """Ends a transaction before its commit."""


@dataclass
class Office:
    """The shop's jobs. `database` is keyed, as a worker's is; a runner's clock is the shop's."""

    shop: Shop
    database: Database
    folder: Folder
    works: Mapping[JobKind, Work] = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """As a worker that remembers nothing."""
        self.works = works(Desk(self.database, self.folder, self.shop.clock, SECRET))

    @property
    def org_id(self) -> int:
        return self.shop.org_id

    def series_id(self, code: str) -> int:
        with self.database.reading() as tx:
            wanted = select(t.series.c.id).where(t.series.c.org_id == self.org_id, t.series.c.code_key == code)
            return int(tx.connection.execute(wanted).scalar_one())

    def upload(self, content: bytes) -> int:
        """A file as it came in; its id."""
        with self.database.writing() as tx:
            upload_id = serials.reserve(tx, self.org_id, serials.UPLOAD)
            row = {"sent_name": "codes.csv", "size_bytes": len(content), "created_ms": self.shop.clock()}
            tx.connection.execute(t.upload.insert().values(org_id=self.org_id, id=upload_id, **row))
        self.folder.upload(self.org_id, upload_id).write_bytes(content)
        return upload_id

    def ask(self, kind: JobKind, request: Any, series_id: int | None = None, total: int | None = None) -> int:
        """A job in the queue; its id."""
        with self.database.writing() as tx:
            draft = Draft(kind=kind, series_id=series_id, request=request, total=total)
            return create_job(tx, self.org_id, draft, self.shop.clock())

    def job(self, job_id: int) -> Job:
        with self.database.reading() as tx:
            job = read_job(tx, self.org_id, job_id)
        assert job
        return job

    def move(self, job_id: int, state: JobState) -> Job:
        """Pause, resume or cancel."""
        with self.database.writing() as tx:
            job = move_job(tx, self.org_id, job_id, state, self.shop.clock())
        assert not isinstance(job, Problem), job
        return job

    def runner(self) -> Runner:
        """As in a worker that has just started."""
        return Runner(self.database, self.works, self.shop.clock)

    def finish(self, job_id: int) -> Job:
        """Step until there is no more to do; the job as it stands then, which has ended unless somebody paused it."""
        runner, run = self.runner(), self.job(job_id).run
        while runner.step(self.org_id, job_id, run):
            pass
        job = self.job(job_id)
        assert job.state in {*ENDED, JobState.PAUSED}
        return job

    def chunk(self, job_id: int, rows_max: int, *, crashes: bool = False) -> Job:
        """The next chunk of so many rows; or all of it but the commit."""
        job = self.job(job_id)
        if job.state is JobState.QUEUED:
            with self.database.writing() as tx:
                job = begin_job(tx, job, self.shop.clock())
        write = self.works[job.kind].chunk(job, rows_max)
        with suppress(_Crash), self.database.writing() as tx:
            job = advance_job(tx, job, write(tx), now_ms=self.shop.clock(), took_ms=1)
            if crashes:
                raise _Crash
        return self.job(job_id)

    def finish_in(self, job_id: int, rows_max: int) -> Job:
        """All chunks, each of so many rows."""
        while self.chunk(job_id, rows_max).state not in ENDED:
            pass
        return self.job(job_id)

    def written(self, job_id: int, role: FileRole) -> str:
        """What is committed of a job's file; nothing where there is none."""
        file = self.job(job_id).file(role)
        if file is None:
            return ""
        content = self.folder.written(self.org_id, job_id, role).read_bytes()
        return content[: file.size_bytes].decode("utf-8", "surrogateescape")

    def rows(self, table: Table, *columns: str, **where: Any) -> list[tuple[Any, ...]]:
        """Columns of the org's rows, sorted."""
        same = [table.c[name] == value for name, value in where.items()]
        wanted = select(*(table.c[name] for name in columns)).where(table.c.org_id == self.org_id, *same)
        with self.database.reading() as tx:
            return sorted((tuple(row) for row in tx.rows(wanted, {})), key=repr)

    def differences(self) -> list[Difference]:
        """What the doctor finds wrong."""
        return check(self.shop.database).differences
