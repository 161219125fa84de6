"""A job's chunks, one after the other, until it is done or somebody stops it."""

import time
from collections.abc import Callable, Mapping
from copy import copy
from functools import partial

import structlog

from couponry.core.jobs import ENDED, Job, JobKind, JobState, Progress
from couponry.core.limits import JOBS_AT_ONCE, STEP_MS_MAX, WRITE_TRIES_MAX
from couponry.store.dialect import Trouble
from couponry.store.engine import Database, Stage, StoreError
from couponry.store.folder import FileLost
from couponry.store.jobs import advance_job, begin_job, fail_job, hold_job, read_job
from couponry.store.neighbours import commit_lazily, others_write
from couponry.worker.pace import Pace
from couponry.worker.turns import Turns
from couponry.worker.work import JobImpossible, Work

log = structlog.get_logger()

BROKEN = "something unforeseen happened; the log of the worker says what"


class Runner:
    """Does jobs. Each call has a pace of its own; several may run at once, of different jobs."""

    def __init__(self, database: Database, works: Mapping[JobKind, Work], clock: Callable[[], int]) -> None:
        self._database = database
        self._works = works
        self._clock = clock
        self._paces: dict[tuple[int, int, int], Pace] = {}
        self._chunks = Turns(JOBS_AT_ONCE)

    def step(self, org_id: int, job_id: int, run: int) -> bool:
        """Go on with a job for a few seconds. Whether there is more to do.

        `run` is the start that this belongs to: a job that was paused and started again is another run's. Raises StoreError when
        the database was in the way for too long; to try again later is safe.
        """
        pace = self._paces.pop((org_id, job_id, run), None) or Pace()
        try:
            goes_on = self._went_on(org_id, job_id, run, pace)
        except StoreError as error:
            raise copy(error) from None  # DBOS logs all that led to it, and a driver's text may hold a row
        if goes_on:
            self._paces[org_id, job_id, run] = pace
        return goes_on

    def _went_on(self, org_id: int, job_id: int, run: int, pace: Pace) -> bool:
        until_s = time.monotonic() + STEP_MS_MAX / 1000
        job = self._taken(org_id, job_id, run)
        is_first = True
        tries = 0
        while job and job.state is JobState.RUNNING:
            try:
                with self._chunks.turn():
                    job, rest = self._advanced(job, pace, is_first=is_first)
                rest()
                tries, is_first = 0, False
            except (JobImpossible, FileLost) as error:
                self._fail(job, str(error))
                return False
            except StoreError as error:
                tries += 1
                log.warning("chunk_failed", org_id=org_id, job_id=job_id, attempt=tries, cause=str(error))
                if error.trouble is not Trouble.CONFLICT or tries >= WRITE_TRIES_MAX:
                    raise
                job = self._taken(org_id, job_id, run)
            except OSError as error:  # a full disk, most likely: as the database's own trouble
                log.warning("chunk_failed", org_id=org_id, job_id=job_id, attempt=tries, cause=repr(error))
                raise StoreError(Trouble.BROKEN, Stage.COUNTERS, f"{type(error).__name__} {error.errno}") from error
            except Exception:
                log.exception("job_broken", org_id=org_id, job_id=job_id)
                self._fail(job, BROKEN)
                return False
            if time.monotonic() > until_s:
                break
        return job is not None and job.state is JobState.RUNNING

    def give_up(self, org_id: int, job_id: int, run: int, problem: str) -> None:
        """End a job that could not go on for too long."""
        try:
            job = self._taken(org_id, job_id, run)
            if job:
                self._fail(job, problem)
        except StoreError as error:
            raise copy(error) from None  # as above

    def stop(self, wait_s_max: float) -> None:
        """Let the chunks under way finish, and begin no other, for good."""
        self._chunks.end(wait_s_max)

    def _taken(self, org_id: int, job_id: int, run: int) -> Job | None:
        """The job as it stands, running from now on; None if this run of it is over."""
        with self._database.reading() as tx:
            job = read_job(tx, org_id, job_id)
        if job is None or job.run != run or job.state in ENDED or job.state is JobState.PAUSED:
            return None
        if job.state is JobState.RUNNING:
            return job
        with self._database.writing() as tx:
            return begin_job(tx, job, self._clock())

    def _advanced(self, job: Job, pace: Pace, *, is_first: bool) -> tuple[Job, Callable[[], None]]:
        """Do one chunk; what to call after it, which may rest.

        Before the first of a step the queue itself has written, which is nobody's work.
        """
        began_s = time.monotonic()
        write = self._works[job.kind].chunk(job, pace.rows)
        wrote_s = time.monotonic()
        with self._database.writing() as tx:
            hold_job(tx, job)
            others_work = others_write(tx) and not is_first
            progress: Progress = write(tx)
            took_ms = round((time.monotonic() - began_s) * 1000)
            after = advance_job(tx, job, progress, now_ms=self._clock(), took_ms=took_ms)
            if not progress.is_last and not progress.is_durable:
                commit_lazily(tx)
        rows, seconds = max(progress.done, progress.looked), time.monotonic() - wrote_s
        return after, partial(pace.went, rows, seconds, others_work=others_work)

    def _fail(self, job: Job, problem: str) -> None:
        with self._database.writing() as tx:
            now = read_job(tx, job.org_id, job.id)
            if now and now.run == job.run:
                fail_job(tx, now, problem, self._clock())
