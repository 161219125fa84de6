"""A worker: takes jobs from the queue, and those of workers that have died; beside them it delivers (`worker.delivery`).

DBOS Transact is the queue and the memory of how far a workflow has come. Our part is small: a workflow is "step until there is no
more to do", a step is a few seconds of a job. Whatever a step may have done before a crash, the job's own row says so, so a step
that is run twice does nothing twice.
"""

import os
import signal
import sys
import threading
import time
from typing import Final

import structlog
from dbos import DBOS

from couponry.core.limits import JOBS_BEGUN_MAX, STEP_TRIES_MAX, WORKERS_LOOKED_FOR_MS
from couponry.store import queue
from couponry.store.engine import StoreError
from couponry.store.presence import Presence
from couponry.worker.delivery.deliverer import Deliverer
from couponry.worker.housekeeping import Housekeeping
from couponry.worker.launches import Launches
from couponry.worker.reminders import Reminders
from couponry.worker.runner import Runner

log = structlog.get_logger()

_POLL_S: Final = 0.5
_STOP_S_MAX: Final = 10
_UNREACHABLE: Final = "the database or the disk was in the way for too long"
_DEADLY: Final = "workers ended again and again while they were at it"
_DEAD: Final = "MAX_RECOVERY_ATTEMPTS_EXCEEDED"
_DEAD_SEEN_MAX: Final = 100


class Worker:
    """One per process: DBOS keeps its workflows in the process."""

    def __init__(
        self,
        runner: Runner,
        deliverer: Deliverer,
        reminders: Reminders,
        housekeeping: Housekeeping,
        launches: Launches,
        presence: Presence,
        database_url: str,
    ) -> None:
        self._runner = runner
        self._deliverer = deliverer
        self._reminders = reminders
        self._presence = presence
        self._housekeeping = housekeeping
        self._launches = launches
        self._database_url = database_url
        self._stop = threading.Event()
        self._buried: set[str] = set()
        """Workflows that ended before their jobs, whose jobs have ended by now."""

    def run(self, lifeline: int | None = None) -> None:
        """Work until told to stop by a signal, or until the pipe `lifeline` ends with whoever holds its other end.

        Raises OneIsThere. Never returns otherwise: a chunk and deliveries under way are finished, and then the process is gone,
        as in a crash.
        """
        self._presence.hold()
        for told in (signal.SIGTERM, signal.SIGINT):
            signal.signal(told, lambda *_: self._stop.set())
        if lifeline is not None:
            threading.Thread(target=self._watch, args=(lifeline,), name="lifeline", daemon=True).start()
        self._launch()
        self._deliverer.start()
        threading.Thread(target=self._reminders.run, args=(self._stop,), name="reminders", daemon=True).start()
        threading.Thread(target=self._housekeeping.run, args=(self._stop,), name="housekeeping", daemon=True).start()
        threading.Thread(target=self._launches.run, args=(self._stop,), name="launches", daemon=True).start()
        log.info("worker_started", worker=self._presence.name)
        while not self._stop.wait(WORKERS_LOOKED_FOR_MS / 1000):
            self._take_over()
        stopping = threading.Thread(target=self._deliverer.stop, name="deliverer-stop")
        stopping.start()
        self._runner.stop(_STOP_S_MAX)
        stopping.join()
        log.info("worker_stopped", worker=self._presence.name)
        sys.stderr.flush()
        os._exit(0)

    def _watch(self, lifeline: int) -> None:
        os.read(lifeline, 1)
        self._stop.set()

    def _launch(self) -> None:
        DBOS(
            config={
                "name": queue.APPLICATION,
                "system_database_url": queue.system_database_url(self._database_url),
                "dbos_system_schema": queue.SCHEMA,
                "application_version": queue.VERSION,
                "executor_id": self._presence.name,
                "log_level": "WARNING",
            }
        )
        runner = self._runner

        tried_again = DBOS.step(
            retries_allowed=True, max_attempts=STEP_TRIES_MAX, should_retry=lambda error: isinstance(error, StoreError)
        )

        @tried_again
        def step(org_id: int, job_id: int, run: int) -> bool:
            return runner.step(org_id, job_id, run)

        @tried_again
        def give_up(org_id: int, job_id: int, run: int) -> None:
            runner.give_up(org_id, job_id, run, _UNREACHABLE)

        @DBOS.workflow(name=queue.WORKFLOW)
        def run_job(org_id: int, job_id: int, run: int) -> None:
            try:
                while step(org_id, job_id, run):
                    pass
            except Exception:
                log.exception("job_given_up", org_id=org_id, job_id=job_id)
                give_up(org_id, job_id, run)

        DBOS.launch()
        DBOS.register_queue(queue.NAME, worker_concurrency=JOBS_BEGUN_MAX, partition_concurrency=1, polling_interval_sec=_POLL_S)

    def _take_over(self) -> None:
        """Put the jobs of workers that died back into the queue."""
        try:
            running = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
            gone = self._presence.gone({each.executor_id for each in running if each.executor_id})
            if gone:
                log.warning("workers_gone", workers=sorted(gone))
                DBOS._recover_pending_workflows(sorted(gone))  # noqa: SLF001 - what DBOS' own admin server does
            self._bury()
        except Exception:
            log.exception("take_over_failed")
            time.sleep(_POLL_S)

    def _bury(self) -> None:
        """End the jobs that DBOS will not go on with."""
        for dead in DBOS.list_workflows(
            status=[_DEAD, "ERROR"],
            name=queue.WORKFLOW,
            limit=_DEAD_SEEN_MAX,
            sort_desc=True,
            load_input=False,
            load_output=False,
        ):
            if dead.workflow_id not in self._buried:
                org_id, job_id, run = map(int, dead.workflow_id.split("-"))
                self._runner.give_up(org_id, job_id, run, _DEADLY if dead.status == _DEAD else _UNREACHABLE)
                self._buried.add(dead.workflow_id)
