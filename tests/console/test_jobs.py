"""Jobs in the console: watched by all, moved and fetched by those who may. What a worker would do is done by hand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from couponry.core.jobs import FileRole, Job, JobFile, JobKind, JobState, Progress
from couponry.core.roles import Role
from couponry.store import registry
from couponry.store.audit import Entry, entries
from couponry.store.engine import ReadTransaction
from couponry.store.folder import Folder
from couponry.store.jobs import Draft, advance_job, begin_job, create_job, fail_job, read_job
from tests.api.shop import NOW_MS, Front, Shop
from tests.console.browser import Browser


@pytest.fixture
def front(shop: Shop, tmp_path: Path) -> Iterator[Front]:
    with shop.front(files_dir=tmp_path / "files") as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "files")


def made(shop: Shop, kind: JobKind = JobKind.UPLOAD, **request: object) -> Job:
    with shop.database.writing() as tx:
        return _read(shop, create_job(tx, shop.org_id, Draft(kind=kind, series_id=None, request=request), NOW_MS), tx)


def _read(shop: Shop, job_id: int, tx: ReadTransaction) -> Job:
    job = read_job(tx, shop.org_id, job_id)
    assert job
    return job


def worked(shop: Shop, job: Job, progress: Progress) -> Job:
    with shop.database.writing() as tx:
        return advance_job(tx, begin_job(tx, job, NOW_MS), progress, now_ms=NOW_MS + 2_000, took_ms=2_000)


def log(shop: Shop) -> list[Entry]:
    with shop.database.reading() as tx:
        return [entry for entry in entries(tx, shop.org_id, limit=9) if entry.subject_kind == "job"]


def test_progress(shop: Shop, browsers: dict[Role, Browser]) -> None:
    job = made(shop, sentName="<b>my.csv")
    for browser in browsers.values():
        assert "waiting for its turn" in browser.get(f"/jobs/{job.id}").text
    worked(shop, job, Progress(cursor={}, done=400, ok=390, failed=10, by_code={"633": 9, "701": 1}, total=2_000))
    page = browsers["auditor"].get(f"/jobs/{job.id}")
    for text in (
        "400 of 2,000 done",
        "less than a minute left",
        "200 a second",
        "twice in the file",
        "&lt;b&gt;my.csv",
        "the API",
    ):
        assert text in page.text
    assert '<noscript><meta http-equiv="refresh"' in page.text
    part = browsers["auditor"].get(f"/jobs/{job.id}/part")
    assert part.text.lstrip().startswith(f'<div id="progress" data-refresh="/console/jobs/{job.id}/part"')
    assert "<html" not in part.text
    with shop.database.writing() as tx:
        fail_job(tx, _read(shop, job.id, tx), "the disk is full", NOW_MS)
    over = browsers["auditor"].get(f"/jobs/{job.id}/part")
    assert "The disk is full" in over.text
    assert "data-refresh" not in over.text


def test_pause_resume_cancel(shop: Shop, browsers: dict[Role, Browser]) -> None:
    job = made(shop)
    for role in ("support", "auditor"):
        assert browsers[role].post(f"/jobs/{job.id}/pause").status == 403
        assert "Pause" not in browsers[role].get(f"/jobs/{job.id}").text
    marketer = browsers["marketer"]
    for move, state in (("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled")):
        assert f"/jobs/{job.id}/{move}" in marketer.get(f"/jobs/{job.id}").text
        marketer.post(f"/jobs/{job.id}/{move}")
        with shop.database.reading() as tx:
            assert _read(shop, job.id, tx).state == JobState(state)
    assert "ended already" in marketer.post(f"/jobs/{job.id}/resume").text
    assert [entry.action for entry in log(shop)] == ["cancel a job", "resume a job", "pause a job"]
    assert (log(shop)[0].before, log(shop)[0].after) == ({"state": "queued", "done": 0}, {"state": "cancelled"})
    assert marketer.post(f"/jobs/{job.id}/pause", csrf="guessed").status == 403


def test_files_are_for_those_who_may(shop: Shop, browsers: dict[Role, Browser], folder: Folder) -> None:
    job = made(shop, JobKind.EXPORT, what="coupons", format="csv")
    file = folder.append_rows(job, JobFile(FileRole.RESULT, "export_1", 0), ["code"], [["=cmd()"]])
    worked(shop, job, Progress(cursor={}, done=1, ok=1, total=1, files=(file,), is_last=True))
    path = f"/jobs/{job.id}/files/result"
    for role in ("support", "auditor"):
        assert browsers[role].get(path).status == 403
        assert "your role may not fetch it" in browsers[role].get(f"/jobs/{job.id}").text
    fetched = browsers["marketer"].get(path)
    assert fetched.text == "code\r\n'=cmd()\r\n"
    assert fetched.response.headers["content-disposition"] == 'attachment; filename="export_1.csv"'
    assert (log(shop)[0].actor, log(shop)[0].action) == ("marketer@example.com", "fetch a file")
    assert browsers["marketer"].get(f"/jobs/{job.id}/files/errors").status == 404
    assert browsers["marketer"].get(f"/jobs/{job.id}/files/..%2Fresult").status == 404
    folder.written(shop.org_id, job.id, FileRole.RESULT).unlink()
    assert browsers["marketer"].get(path).status == 404


def test_the_list_and_another_orgs_jobs(shop: Shop, browsers: dict[Role, Browser]) -> None:
    made(shop, JobKind.REVOKE)
    made(shop, JobKind.EXPORT, what="refusals")
    admin = browsers["admin"]
    text = admin.get("/jobs").text
    assert 0 < text.index("<td>Export of refusals") < text.index("<td>Revoke coupons")
    assert "<td>Export of refusals" not in admin.get("/jobs", kind="revoke").text
    with shop.database.writing() as tx:
        org_id = registry.create_org(tx, name="Other", time_zone="UTC", currency="EUR", country_code="49", now_ms=NOW_MS)
        assert isinstance(org_id, int)
        theirs = [create_job(tx, org_id, Draft(kind=JobKind.ISSUE, series_id=None, request={}), NOW_MS) for _ in range(3)][-1]
    for number in (theirs, 0, "x", "9" * 30):
        for path in ("", "/part", "/files/result"):
            assert admin.get(f"/jobs/{number}{path}").status == 404
        for move in ("pause", "resume", "cancel"):
            assert admin.post(f"/jobs/{number}/{move}").status == 404
    assert "<td>Issue coupons" not in admin.get("/jobs").text
    for query in ({"kind": "nothing"}, {"before": "x"}, {"before": "9" * 40}):
        assert admin.get("/jobs", **query).status == 200
