"""Jobs that a command asks for and waits for, with a worker beside it; the files that go in and come out."""

import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import typer

from couponry.cli.answers import Refused, answer, now_ms, opened, or_refuse, read_settings
from couponry.cli.progress import bar
from couponry.core.audience import Audience, listed
from couponry.core.exporting import ExportRequest
from couponry.core.jobs import ENDED, FileRole, Job, JobState
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.settings import Settings, variable
from couponry.store import ordering, queue, registry
from couponry.store.engine import Database
from couponry.store.folder import Folder
from couponry.store.jobs import read_job
from couponry.store.ordering import Order
from couponry.store.uploads import Upload, insert_upload, reserve_id

B = TypeVar("B")
_LOOK_S: Final = 0.2
_BLOCK_BYTES: Final = 1024 * 1024
_INTERRUPTED: Final = 130


@dataclass(frozen=True)
class CustomerList:
    """A file of the caller's that lists customers: in the cells of `column`, from 0, by `identifier`."""

    path: Path
    identifier: str
    column: int

    def audience(self) -> Audience:
        """The customers, as an audience that is not kept yet. Refuses a file that cannot be worked on."""
        from couponry.store.bulk.sheets import columns_of

        columns = columns_of(self.path)
        if isinstance(columns, Problem):
            raise Refused(Problem("file", f"{self.path.name}: {columns.detail}"))
        if self.column >= len(columns):
            raise Refused(Problem("file", f"{self.path.name} has no column {self.column}"))
        named = or_refuse(listed(1, self.identifier, self.column))
        return msgspec.structs.replace(named, upload_id=None)

    @property
    def error_path(self) -> Path:
        """Where the rows go that failed."""
        return self.path.with_name(f"{self.path.stem}.errors.csv")


@dataclass(frozen=True)
class Orders:
    """One org's jobs."""

    settings: Settings
    database: Database
    org: Org

    def place(self, order: Order, customers: CustomerList | None = None, *, waits: bool) -> int:
        """The id of the job that does it. A file of customers is copied first, so that it may change or go meanwhile.

        Refuses where the rows that fail could not be written, unless nobody `waits` for them.
        """
        if customers:
            order = order.of(customers.audience())
            if waits:
                writable(customers.error_path)
            with self.database.reading() as reading:
                or_refuse(ordering.judge(reading, self.org, order, now_ms()))
            order = order.of(self._kept(customers))
        queue.warm()
        with self.database.writing() as tx:
            return or_refuse(ordering.place(tx, self.org, order, now_ms()))

    def place_export(self, request: ExportRequest) -> int:
        """The id of the job that exports."""
        queue.warm()
        with self.database.writing() as tx:
            return or_refuse(ordering.place_export(tx, self.org, request, now_ms()))

    def finish(self, job_id: int, *, wait: bool, result: Path | None = None, customers: CustomerList | None = None) -> None:
        """Wait for the job, copy what it brings to `result` and the customers who failed beside their file, and answer.

        Exits with 1 when the job has failed or was cancelled.
        """
        if not wait:
            answer({"jobId": job_id})
            return
        try:
            job = self._waited_for(job_id)
        except KeyboardInterrupt as error:
            command = f"couponry jobs show --org {self.org.id} --job {job_id}"
            sys.stderr.write(
                f"job {job_id} goes on wherever a worker runs (couponry serve or worker); look at it with: {command}\n"
            )
            answer({"jobId": job_id})
            raise typer.Exit(_INTERRUPTED) from error
        answer(told(job, self.org))  # whatever becomes of the copies, which an OSError ends
        self._copy(job, FileRole.RESULT, result)
        self._copy(job, FileRole.ERRORS, customers.error_path if customers else None)
        if job.state is not JobState.FINISHED:
            raise typer.Exit(1)

    def _waited_for(self, job_id: int) -> Job:
        from couponry.worker.process import beside

        quiet = {} if variable("log_level") in os.environ else {variable("log_level"): "warning"}
        with beside({**self.settings.environ, **quiet}), bar() as show:
            while True:
                with self.database.reading() as tx:
                    job = read_job(tx, self.org.id, job_id)
                assert job, "jobs are not removed"
                show(job)
                if job.state in ENDED:
                    return job
                time.sleep(_LOOK_S)

    def _kept(self, customers: CustomerList) -> Audience:
        folder = Folder(self.settings.files_dir)
        file, received = folder.receive(self.org.id)
        try:
            with file, customers.path.open("rb") as source:
                shutil.copyfileobj(source, file, _BLOCK_BYTES)
                size_bytes = file.tell()
            with self.database.writing() as tx:
                upload_id = reserve_id(tx, self.org.id)
            folder.accept(received, self.org.id, upload_id)
        finally:
            received.unlink(missing_ok=True)
        named = (customers.identifier, customers.column)
        with self.database.writing() as tx:
            insert_upload(tx, self.org.id, Upload(upload_id, customers.path.name, size_bytes, now_ms(), None, *named))
        return Audience(upload_id=upload_id)

    def _copy(self, job: Job, role: FileRole, path: Path | None) -> None:
        """As much as is committed, for the caller alone to read."""
        file = job.file(role)
        if file is None or path is None:
            return
        source = Folder(self.settings.files_dir).written(self.org.id, job.id, role)
        with source.open("rb") as whole, os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as copy:
            os.fchmod(copy.fileno(), 0o600)
            left = file.size_bytes
            while left and (block := whole.read(min(left, _BLOCK_BYTES))):
                copy.write(block)
                left -= len(block)


@contextmanager
def orders(org_id: int, *, waits: bool) -> Iterator[Orders]:
    """The orders of one org. Who waits needs the installation's secret: the worker beside him makes codes with it."""
    settings = read_settings()
    if waits and settings.secret_key is None:
        raise Refused(Problem("secret_key", "COUPONRY_SECRET_KEY is not set; it must be the server's"))
    with opened() as database:
        with database.reading() as tx:
            org = or_refuse(registry.read_org(tx, org_id))
        yield Orders(settings, database, org)


def decoded(wanted: Mapping[str, Any], kind: type[B]) -> B:
    """What the command line asks for, as the admin API has it."""
    try:
        return msgspec.convert(wanted, kind)
    except msgspec.ValidationError as error:
        raise Refused(Problem("invalid", str(error))) from error


def writable(path: Path | None) -> Path | None:
    """The path of a file to come, unless it cannot be written: better said at once than after the work."""
    if path is not None and (path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK)):
        raise Refused(Problem("file", f"{path} cannot be written"))
    return path


def told(job: Job, org: Org) -> object:
    """The job as the admin API shows it."""
    from couponry.api.admin.jobs_wire import shown

    return shown(job, org.zone)
