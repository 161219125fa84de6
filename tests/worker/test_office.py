"""What the other tests of background work stand on."""

from couponry.core.jobs import JobKind, JobState
from couponry.worker.runner import BROKEN
from tests.worker.desk import Office


def test_a_job_of_an_unknown_kind_is_broken(office: Office) -> None:
    office.works = {}
    job = office.finish(office.ask(JobKind.UPLOAD, {}, office.series_id("MON")))
    assert (job.state, job.problem) == (JobState.FAILED, BROKEN)
    assert office.differences() == []
