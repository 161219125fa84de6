"""What the other tests of background work stand on."""

import pickle
from copy import copy

from couponry.core.jobs import JobKind, JobState
from couponry.store.dialect import Trouble
from couponry.store.engine import Stage, StoreError
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
