"""What the other tests of background work stand on."""

import pickle
from copy import copy

from couponry.core.jobs import JobKind, JobState
from couponry.store import schema as t
from couponry.store.dialect import Trouble
from couponry.store.engine import Stage, StoreError
from couponry.store.neighbours import others_write
from couponry.store.offers import SeriesUnreadable
from couponry.worker.runner import BROKEN
from tests.worker.desk import Office


def test_a_job_of_an_unknown_kind_is_broken(office: Office) -> None:
    office.works = {}
    job = office.finish(office.ask(JobKind.UPLOAD, {}, office.series_id("MON")))
    assert (job.state, job.problem) == (JobState.FAILED, BROKEN)
    assert office.differences() == []


def test_a_failed_job_may_be_resumed(office: Office) -> None:
    works, office.works = office.works, {}
    job = office.finish(office.ask(JobKind.EXPIRY, {}, office.series_id("MON")))
    assert job.state is JobState.FAILED
    office.works = works
    job = office.move(job.id, JobState.QUEUED)
    assert (job.state, job.problem, job.run, office.job(job.id)) == (JobState.QUEUED, "", 2, job)


def test_an_error_survives_being_stored() -> None:
    """DBOS stores errors of steps."""
    for error in (StoreError(Trouble.SLOW, Stage.COMMIT, "why", is_code_taken=True), SeriesUnreadable(7)):
        for again in (pickle.loads(pickle.dumps(error)), copy(error)):  # noqa: S301 - our own
            assert (str(again), again.trouble, again.stage) == (str(error), error.trouble, error.stage)
            assert again.is_code_taken == error.is_code_taken


def test_jobs_of_one_worker_do_not_slow_each_other(office: Office) -> None:
    """Whatever they commit in turns; what the shop writes is another's."""
    seen = []
    for writes in (office.database, office.database, office.shop.database, office.database):
        with writes.writing() as tx:
            if writes is office.database:
                seen.append(others_write(tx))
            tx.connection.execute(t.job.update().values(updated_ms=t.job.c.updated_ms + 1))
            tx.connection.execute(t.org.update().values(id=t.org.c.id))
    assert seen == [False, False, office.database.is_sqlite]
