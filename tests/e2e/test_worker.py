"""Background work by real processes: whatever ends a worker, and whoever goes on, each customer has one coupon in the end."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from sqlalchemy import insert

from couponry.core.jobs import ENDED, Job, JobKind, JobState
from couponry.core.problem import Problem
from couponry.store import schema as t
from couponry.store import serials
from couponry.store.engine import Database
from couponry.store.folder import Folder
from couponry.store.jobs import Draft, create_job, move_job, read_job
from tests.databases import PostgresServer, fresh_postgresql
from tests.e2e.installation import Installation
from tests.e2e.processes import ProcessGroup, wait_until
from tests.e2e.stock import ORG, stock

ROOT: Final = Path(__file__).parents[2]
CROWD: Final = 60_000
ALL: Final = {"all": True}
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)


class Jobs:
    """The jobs of an installation, and the processes that do them."""

    def __init__(self, installation: Installation, crowd: int = CROWD) -> None:
        self.installation = installation
        self.folder = Folder(installation.folder / "files")
        installation.environment["COUPONRY_FILES_DIR"] = str(installation.folder / "files")
        self.database = Database(installation.url)
        self.crowd(ORG, crowd)

    def crowd(self, org_id: int, count: int) -> None:
        """Customers by the thousand."""
        same = {"org_id": org_id, "registered_ms": 0, "updated_ms": 0, "is_loyalty": True, "first_name": "", "last_name": ""}
        usual = same | {"fraud_status": "NONE", "status_label": "ACTIVE", "transaction_count": 0}
        with self.database.writing() as tx:
            first = serials.reserve(tx, org_id, serials.CUSTOMER, count) if count else 0
            rows = [usual | {"id": first + number, "external_id": f"h{number}"} for number in range(count)]
            for start in range(0, count, 5_000):
                tx.connection.execute(insert(t.customer), rows[start : start + 5_000])
            if not self.database.is_sqlite:
                tx.connection.exec_driver_sql("ANALYZE customer")

    def offer(self, org_id: int, *codes: str, **terms: str) -> None:
        usual = {"discountType": "ABS", "discountValue": "10", "clientHandlingType": "DISC_CODE"}
        self.installation.load("series", org_id, [{**usual, **terms, "description": code, "seriesCode": code} for code in codes])

    def series(self, code: str, org_id: int = ORG) -> int:
        ((found,),) = self.installation.query(f"SELECT id FROM series WHERE org_id = {org_id} AND code_key = '{code}'")
        return int(found)

    def ask(self, series: str = "SINGLE", audience: Any = ALL, org_id: int = ORG, **more: Any) -> int:
        request = {"audience": audience, "count": 1, "send": False, **more}
        draft = Draft(kind=JobKind.ISSUE, series_id=self.series(series, org_id), request=request)
        with self.database.writing() as tx:
            return create_job(tx, org_id, draft, time.time_ns() // 1_000_000)

    def job(self, job_id: int, org_id: int = ORG) -> Job:
        with self.database.reading() as tx:
            job = read_job(tx, org_id, job_id)
        assert job
        return job

    def move(self, job_id: int, state: JobState) -> None:
        with self.database.writing() as tx:
            assert not isinstance(move_job(tx, ORG, job_id, state, time.time_ns() // 1_000_000), Problem)

    @contextmanager
    def worker(self) -> Iterator[ProcessGroup]:
        command = [sys.executable, "-m", "couponry", "worker"]
        with ProcessGroup(command, self.installation.environment, self.installation.folder / "worker.log") as running:
            yield running

    def await_rows(self, job_id: int, rows: int) -> None:
        wait_until(lambda: self.job(job_id).done >= rows, f"{rows} rows done")

    def await_progress(self, job_id: int) -> None:
        before = self.job(job_id).revision
        wait_until(lambda: self.job(job_id).revision > before, "another chunk")

    def await_end(self, job_id: int, org_id: int = ORG) -> Job:
        wait_until(lambda: self.job(job_id, org_id).state in ENDED, "the job's end")
        return self.job(job_id, org_id)

    def check(self, job_id: int, series: str = "SINGLE", org_id: int = ORG) -> None:
        """The job has ended well: every customer has one coupon of the series, and all counters agree."""
        job = self.await_end(job_id, org_id)
        assert (job.state, job.problem, job.failed) == (JobState.FINISHED, "", 0)
        of_org = f"org_id = {org_id}"
        ((people,),) = self.installation.query(f"SELECT COUNT(*) FROM customer WHERE {of_org}")
        of_series = f"{of_org} AND series_id = {self.series(series, org_id)}"
        counts = "COUNT(*), COUNT(DISTINCT customer_id), COUNT(DISTINCT code_key)"
        assert self.installation.query(f"SELECT {counts} FROM coupon WHERE {of_series}") == [(people, people, people)]
        assert (job.total, job.done, job.ok) == (people, people, people)
        assert self.installation.run("doctor")["differences"] == []


@pytest.fixture
def jobs(installation: Installation) -> Iterator[Jobs]:
    made = Jobs(installation)
    with closing(made.database):
        yield made


def workers_of(pid: int) -> set[int]:
    """The workers that a server has started, from /proc; they have sessions of their own."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            words = (status.parent / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid and b"worker" in words:
            found.add(int(status.parent.name))
    return found


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@on_sqlite
def test_the_servers_worker_killed(jobs: Jobs) -> None:
    """The server starts another, which goes on; a second one is not wanted; none is left when the server ends."""
    job_id = jobs.ask()
    with jobs.installation.serve() as server:
        jobs.await_rows(job_id, 2_000)
        (worker,) = workers_of(server.id)
        os.kill(worker, signal.SIGKILL)
        assert jobs.job(job_id).done < CROWD, "it was over before it was killed"
        jobs.check(job_id)
        command = [sys.executable, "-m", "couponry", "worker"]
        refused = subprocess.run(command, env=jobs.installation.environment, capture_output=True, text=True, check=False)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert json.loads(refused.stderr.splitlines()[-1])["error"]["code"] == "worker"
        (another,) = workers_of(server.id)
        assert another != worker
        server.main.send_signal(signal.SIGTERM)
        assert server.main.wait(30) == 0
        wait_until(lambda: not is_there(another), "the end of the worker", 10)


@pytest.mark.soak
@on_sqlite
def test_the_servers_worker_comes_late(installation: Installation) -> None:
    """Where another was there first, the server's own takes its place once that one is gone."""
    jobs = Jobs(installation, 500)
    with closing(jobs.database), jobs.worker() as first:
        jobs.check(jobs.ask())
        with installation.serve() as server:
            wait_until(lambda: not workers_of(server.id), "the end of the one that is not wanted")
            first.kill()
            jobs.offer(ORG, "LATER")
            jobs.check(jobs.ask("LATER"), "LATER")
            assert workers_of(server.id)


@on_sqlite
def test_given_up_by_the_queue(installation: Installation) -> None:
    """A job whose workflow is dead fails, and may be resumed."""
    jobs = Jobs(installation, 500)
    with closing(jobs.database):
        job_id = jobs.ask()
        with jobs.database.writing() as tx:
            table = "workflow_status" if jobs.database.is_sqlite else "dbos.workflow_status"
            tx.connection.exec_driver_sql(f"UPDATE {table} SET status = 'MAX_RECOVERY_ATTEMPTS_EXCEEDED'")
        with jobs.worker():
            job = jobs.await_end(job_id)
            assert job.state is JobState.FAILED
            assert job.problem.startswith("workers ended")
            jobs.move(job_id, JobState.QUEUED)
            jobs.check(job_id)


@on_postgresql
def test_another_worker_takes_over(jobs: Jobs) -> None:
    job_id = jobs.ask()
    with jobs.worker() as doomed:
        jobs.await_rows(job_id, 2_000)
        with jobs.worker():
            doomed.kill()
            assert jobs.job(job_id).done < CROWD, "it was over before it was killed"
            killed_s = time.monotonic()
            jobs.check(job_id)
            assert time.monotonic() - killed_s < 25


@on_postgresql
def test_two_workers_share_the_work(jobs: Jobs) -> None:
    """Of two orgs, whose jobs run one after the other; each is done once, by whichever was first to ask."""
    jobs.installation.run("org", "create", "--name", "Other", "--timezone", "Asia/Kolkata", "--currency", "INR")
    other = ORG + 1
    jobs.offer(ORG, "SECOND")
    jobs.offer(other, "A", "B")
    jobs.crowd(other, 5_000)
    wanted = [("SINGLE", ORG), ("SECOND", ORG), ("A", other), ("B", other)]
    asked = [(jobs.ask(series, ALL, org_id), series, org_id) for series, org_id in wanted]
    with jobs.worker(), jobs.worker():
        for job_id, series, org_id in asked:
            jobs.check(job_id, series, org_id)
    by_org = "SELECT SUBSTR(workflow_uuid, 1, 4), COUNT(*), COUNT(DISTINCT executor_id) FROM dbos.workflow_status GROUP BY 1"
    done_by = jobs.installation.query(by_org)
    assert [(org_id, count) for org_id, count, _ in sorted(done_by)] == [(str(ORG), 2), (str(other), 2)]


@on_sqlite
def test_cancelled_and_poisoned(installation: Installation) -> None:
    """What cannot be read or is not there ends as failed, with a reason, and the next job runs; what is cancelled stops."""
    jobs = Jobs(installation, 20_000)
    with closing(jobs.database):
        missing = {"uploadId": 77, "identifier": "mobile", "column": 0}
        poison = [jobs.ask(audience={"all": "perhaps"}), jobs.ask(audience=missing), jobs.ask(count="many")]
        cancelled = jobs.ask("CROSS")
        last = jobs.ask()
        with jobs.worker():
            problems = [jobs.await_end(job_id) for job_id in poison]
            assert [job.state for job in problems] == [JobState.FAILED] * 3
            assert all(job.problem for job in problems)
            jobs.await_rows(cancelled, 200)
            jobs.move(cancelled, JobState.CANCELLED)
            done = jobs.job(cancelled)
            jobs.check(last)
            after = jobs.job(cancelled)
        assert (after.state, after.done) == (JobState.CANCELLED, done.done)
        assert 0 < after.ok < 20_000
        of_series = f"series_id = {jobs.series('CROSS')} AND created_ms >= {after.created_ms}"
        assert installation.query(f"SELECT COUNT(*) FROM coupon WHERE {of_series}") == [(after.ok,)]


@pytest.mark.soak
def test_postgresql_restarted(own_postgres_server: PostgresServer, tmp_path: Path) -> None:
    """The worker waits for it, and goes on; nobody else takes it for dead then."""
    installation = Installation(fresh_postgresql(own_postgres_server), tmp_path)
    stock(installation)
    jobs = Jobs(installation)
    with closing(jobs.database):
        job_id = jobs.ask()
        with jobs.worker():
            jobs.await_rows(job_id, 2_000)
            own_postgres_server.stop(immediate=True)
            time.sleep(1)
            own_postgres_server.start()
            jobs.database.close()
            assert jobs.job(job_id).done < CROWD, "it was over before the outage"
            jobs.check(job_id)


@on_sqlite
@pytest.mark.timeout(300)
def test_a_crash_at_each_commit(installation: Installation) -> None:
    jobs = Jobs(installation, 420)
    with closing(jobs.database):
        rows = [f"nobody{number}" if number % 40 == 7 else f"h{number}" for number in range(420)]
        with jobs.database.writing() as tx:
            upload_id = serials.reserve(tx, ORG, serials.UPLOAD)
        jobs.folder.upload(ORG, upload_id).write_text("\n".join(["who", *rows]))
        unknown = sum(row.startswith("nobody") for row in rows)
    few = {"alphaNumeric": "false", "randomCodeLength": "7"}  # of others, half a million codes would be made each time
    jobs.offer(ORG, "AGAIN", isMultipleVouchersPerUserAllowed="true", **few)
    numbers = (ORG, jobs.series("AGAIN"), upload_id, len(rows), unknown)
    words = [installation.url, str(installation.folder / "files"), *map(str, numbers)]
    command = [sys.executable, "-m", "tests.e2e.crash_points", *words]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) >= 10
    assert installation.run("doctor")["differences"] == []


@pytest.mark.soak
@on_postgresql
@pytest.mark.timeout(300)
def test_a_crash_at_each_commit_on_postgresql(installation: Installation) -> None:
    test_a_crash_at_each_commit(installation)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_killed_again_and_again(jobs: Jobs) -> None:
    """At random moments, thirty times."""
    chance = Random(5)
    job_id = jobs.ask()
    kills = 0
    while jobs.job(job_id).state not in ENDED and kills < 30:
        with jobs.worker():
            jobs.await_progress(job_id)
            time.sleep(chance.random() * 0.05)
        kills += 1
    with jobs.worker():
        jobs.check(job_id)
