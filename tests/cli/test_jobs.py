"""Long work from the command line: real commands, and a real worker beside those that wait."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from couponry.cli.progress import said_of
from couponry.core.jobs import Job, JobKind, JobState
from tests.cli.test_commands import ORG, Couponry, refusal, runner

SECRET = {"COUPONRY_SECRET_KEY": "only for this test"}
SERIES = ("--org", "1001", "--series", "5001")
MANY = "5000000"
WAIT_S = 60


@pytest.fixture
def environ(migrated_url: str, tmp_path: Path) -> dict[str, str]:
    return {"COUPONRY_DATABASE_URL": migrated_url, "COUPONRY_FILES_DIR": str(tmp_path / "files"), **SECRET}


@pytest.fixture
def couponry(environ: dict[str, str], tmp_path: Path) -> Couponry:
    """A shop with a series and two customers."""
    run = runner(environ["COUPONRY_DATABASE_URL"])

    def couponry(*words: str) -> Any:
        return run(*words, **environ)

    couponry(*ORG)
    head = "seriesCode,description,discountType,discountValue,clientHandlingType,validTillDate"
    couponry("import", "series", _written(tmp_path, head, "S,Ten off,ABS,10,DISC_CODE,3000-01-01"), "--org", "1001")
    couponry("import", "customers", _written(tmp_path, "mobile", "9812300001", "9812300002"), "--org", "1001")
    return couponry


def _written(folder: Path, *lines: str, name: str = "in.csv") -> str:
    (folder / name).write_text("\n".join(lines) + "\n")
    return str(folder / name)


@contextmanager
def waiting(environ: dict[str, str], *words: str) -> Iterator[subprocess.Popen[str]]:
    """A command that waits for its job, in a process of its own."""
    command = [sys.executable, "-m", "couponry", *words]
    with subprocess.Popen(
        command, env={**os.environ, **environ}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def the_job(couponry: Couponry) -> dict[str, Any]:
    """The job that somebody else is about to ask for."""
    until_s = time.monotonic() + WAIT_S
    while time.monotonic() < until_s:
        for job in couponry("jobs", "list", "--org", "1001")["items"]:
            return dict(job)
        time.sleep(0.1)
    raise AssertionError("nobody asked for a job")


def test_codes_come_in_a_file(couponry: Couponry, environ: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "codes.csv"
    with waiting(environ, "issue", *SERIES, "--count", "300", "--out", str(out)) as process:
        answered, said = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, said
    job = json.loads(answered)
    assert (job["state"], job["total"], job["ok"], job["failed"]) == ("finished", 300, 300, 0)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert len(set(out.read_text().splitlines())) == 301
    assert couponry("doctor")["differences"] == []


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_failed_rows_lie_beside_their_file(couponry: Couponry, tmp_path: Path) -> None:
    customers = _written(tmp_path, "who,mobile", "Ann,9812300001", "Eve,9812399999", name="may.csv")
    job = couponry("issue", *SERIES, "--customers", customers, "--column", "1")
    assert (job["state"], job["ok"], job["byCode"]) == ("finished", 1, {"701": 1})
    failed = (tmp_path / "may.errors.csv").read_text().splitlines()
    assert (failed[0], failed[1][:19]) == ("who,mobile,errorCode,errorMessage", "Eve,9812399999,701,")
    assert couponry("doctor")["differences"] == []


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_error_file_that_cannot_be_written_is_told_before(couponry: Couponry, tmp_path: Path) -> None:
    customers = _written(tmp_path, "mobile", "9812300001", name="may.csv")
    (tmp_path / "may.errors.csv").mkdir()
    words = ("issue", *SERIES, "--customers", customers)
    assert refusal(couponry, *words) == "file"
    assert couponry("jobs", "list", "--org", "1001")["items"] == []
    assert couponry(*words, "--no-wait")["jobId"]


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_cancelled_job_exits_1(couponry: Couponry, environ: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "codes.csv"
    with waiting(environ, "issue", *SERIES, "--count", MANY, "--out", str(out)) as process:
        couponry("jobs", "cancel", "--org", "1001", "--job", str(the_job(couponry)["id"]))
        answered, _ = process.communicate(timeout=WAIT_S)
    assert (process.returncode, json.loads(answered)["state"]) == (1, "cancelled")


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_job_outlives_whoever_waits_for_it(couponry: Couponry, environ: dict[str, str], tmp_path: Path) -> None:
    with waiting(environ, "issue", *SERIES, "--count", MANY, "--out", str(tmp_path / "codes.csv")) as process:
        job_id = the_job(couponry)["id"]
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        answered, said = process.communicate(timeout=WAIT_S)
    assert (process.returncode, json.loads(answered)) == (130, {"jobId": job_id})
    assert f"job {job_id} goes on" in said
    assert couponry("jobs", "show", "--org", "1001", "--job", str(job_id))["state"] in {"queued", "running"}


def test_jobs_are_asked_for_and_moved(couponry: Couponry, tmp_path: Path) -> None:
    customers = _written(tmp_path, "mobile", "9812300001", name="may.csv")
    assert couponry("issue", *SERIES, "--customers", customers, "--send", "--no-wait") == {"jobId": 1}
    Path(customers).unlink()
    for number, words in enumerate(
        (
            ("issue", *SERIES, "--all", "--per-customer", "2"),
            ("issue", *SERIES, "--segment", '{"minTransactions": 1, "registeredFrom": "2020-01-01"}'),
            ("issue", *SERIES, "--count", "3"),
            ("revoke", *SERIES, "--coupons", "unissued"),
            ("expire", *SERIES, "--coupons", "unredeemed", "--valid-till", "2999-01-31"),
            ("export", "redemptions", "--org", "1001", "--format", "parquet", "--from", "2020-01-01"),
        ),
        start=2,
    ):
        assert couponry(*words, "--no-wait") == {"jobId": number}
    listed = couponry("jobs", "list", "--org", "1001")["items"]
    assert [(job["id"], job["kind"]) for job in listed][::-1] == [
        *((number, "issue") for number in (1, 2, 3, 4)),
        (5, "revoke"),
        (6, "expiry"),
        (7, "export"),
    ]
    requests = [job["request"] for job in listed][::-1]
    assert requests[0]["audience"] == {"uploadId": 1, "identifier": "mobile"}
    assert (requests[0]["send"], requests[1]["count"], requests[3]["count"]) == (True, 2, 3)
    assert requests[2]["audience"]["segment"]["registeredFrom"] == 1_577_817_000_000
    assert requests[5]["expiresLocal"] == "2999-01-31T23:59:59"
    assert [job["id"] for job in couponry("jobs", "list", "--org", "1001", "--kind", "issue", "--limit", "2")["items"]] == [4, 3]
    one = ("--org", "1001", "--job", "4")
    for move, state in (("show", "queued"), ("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled")):
        assert couponry("jobs", move, *one)["state"] == state
    assert refusal(couponry, "jobs", "resume", *one) == "state"


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_what_cannot_be_asked_for(couponry: Couponry, environ: dict[str, str], tmp_path: Path) -> None:
    short, empty = _written(tmp_path, "mobile", "1", name="a.csv"), _written(tmp_path, "mobile", name="b.csv")
    for code, words in (
        ("usage", ("issue", *SERIES)),
        ("usage", ("issue", *SERIES, "--all", "--count", "3")),
        ("usage", ("issue", *SERIES, "--count", "3")),
        (629, ("issue", *SERIES, "--count", "0", "--no-wait")),
        ("invalid", ("issue", *SERIES, "--segment", '{"city": "Pune"}')),
        ("invalid", ("issue", *SERIES, "--segment", "all")),
        ("unknown", ("issue", *SERIES, "--segment", '{"storeIds": [9]}')),
        ("unknown", ("issue", "--org", "1001", "--series", "9", "--all")),
        ("unknown", ("issue", "--org", "9", "--series", "5001", "--all")),
        ("file", ("issue", *SERIES, "--customers", str(tmp_path / "none.csv"))),
        ("file", ("issue", *SERIES, "--customers", short, "--column", "1")),
        ("file", ("issue", *SERIES, "--customers", empty)),
        (629, ("issue", *SERIES, "--customers", short, "--identifier", "name")),
        ("file", ("issue", *SERIES, "--count", "3", "--out", str(tmp_path / "none" / "codes.csv"))),
        ("file", ("export", "coupons", "--org", "1001", "--out", str(tmp_path))),
        ("usage", ("export", "coupons", "--org", "1001")),
        ("usage", ("export", "customers", "--org", "1001", "--no-wait")),
        (629, ("export", "coupons", "--org", "1001", "--from", "soon", "--no-wait")),
        ("usage", ("revoke", *SERIES)),
        ("invalid", ("revoke", *SERIES, "--coupons", "all")),
        (629, ("revoke", *SERIES, "--coupons", "unissued", "--customers", short)),
        (690, ("expire", *SERIES, "--coupons", "unissued", "--valid-till", "2020-01-01")),
        (629, ("expire", *SERIES, "--coupons", "unissued", "--valid-till", "soon")),
        ("unknown", ("jobs", "show", "--org", "1001", "--job", "1")),
        ("unknown", ("jobs", "cancel", "--org", "1001", "--job", "1")),
    ):
        assert refusal(couponry, *words) == code, words
    assert couponry("jobs", "list", "--org", "1001") == {"items": []}
    without = runner(environ["COUPONRY_DATABASE_URL"])
    assert refusal(without, "issue", *SERIES, "--all") == "secret_key"


def test_progress_in_words() -> None:
    """As far as it is known."""
    counts = {"done": 0, "ok": 0, "failed": 0, "by_code": {}}
    fixed = {"kind": JobKind.ISSUE, "series_id": 1, "request": {}, "cursor": {}, "problem": "", "created_ms": 0, "updated_ms": 0}
    new: dict[str, Any] = {"org_id": 1, "id": 1, "run": 1, "revision": 1, "state": JobState.RUNNING, **fixed, **counts}
    assert said_of(Job(**new, total=None, worked_ms=0)) == "0"
    assert said_of(Job(**new | {"done": 1_200}, total=9_600, worked_ms=1_000)) == "1,200 of 9,600, 1,200/s, 0:00:07 left"
    assert said_of(Job(**new | {"done": 5, "ok": 3, "failed": 2}, total=None, worked_ms=1_000)) == "5, 5/s, 2 failed"
