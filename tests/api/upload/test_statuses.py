"""What became of uploads, and the files that came out (upload 3, 4)."""

from typing import Any, Final

from couponry.core.jobs import FileRole, Job, JobFile, JobKind, JobState, Progress
from couponry.store.folder import Folder, file_of
from couponry.store.jobs import Draft, advance_job, begin_job, create_job, fail_job, move_job, read_job
from tests.api.shop import NOW_MS, Shop
from tests.api.upload.forms import PATH, USED, Sender

LATER = NOW_MS + 4_000
TABLE = "temp_{org}_20310310_182000000"  # 12:50 in UTC is 18:20 in Kolkata


def moved(shop: Shop, job: Job, state: JobState) -> None:
    """Bring a queued job into a state as those do who may."""
    with shop.database.writing() as tx:
        if state in {JobState.RUNNING, JobState.FINISHED}:
            job = begin_job(tx, job, LATER)
        if state is JobState.FINISHED:
            advance_job(tx, job, Progress(cursor={}, done=3, ok=3, total=3, is_last=True), now_ms=LATER, took_ms=1)
        elif state is JobState.FAILED:
            fail_job(tx, job, "the file is gone", LATER)
        elif state in {JobState.PAUSED, JobState.CANCELLED}:
            move_job(tx, shop.org_id, job.id, state, LATER)


STATES: Final = {
    JobState.QUEUED: ("STARTED", "QUEUED"),
    JobState.RUNNING: ("STARTED", "PROCESSING"),
    JobState.PAUSED: ("STARTED", "PROCESSING"),
    JobState.FINISHED: ("FINISHED", "COMPLETED"),
    JobState.FAILED: ("FAILED", "FAILED"),
    JobState.CANCELLED: ("FAILED", "FAILED"),
}


def test_states(sender: Sender) -> None:
    for state in STATES:
        sender.upload()
        sender.upload(body=USED, kind="redeemFile")
        for kind in (JobKind.UPLOAD, JobKind.REDEEMED_UPLOAD):
            moved(sender.shop, sender.jobs(kind=kind)[-1], state)
    uploads = sender.statuses().json()["result"]["uploadJobStatuses"]
    told = sender.statuses(kind="getUploadRedeemedCouponStatus").json()
    redemptions = told["result"]["redeemUploadJobStatuses"]
    states = [(one["uploadStatus"], other["uploadRedeemedCouponStatus"]) for one, other in zip(uploads, redemptions, strict=True)]
    assert states == [*STATES.values()]
    for listed in (uploads, redemptions):
        for state, one in zip(STATES, listed, strict=True):
            begun = None if state is JobState.QUEUED else TABLE.format(org=sender.shop.org_id)
            assert one["uploadTableName"] == begun
            assert (one["createdOn"], one["updatedOn"]) == (str(NOW_MS), str(LATER if begun else NOW_MS))
            assert (one["totalUploadedCount"], one["actualRowCount"]) == ((3, 3) if state is JobState.FINISHED else (0, 0))
            assert (one["errorCount"], one["errorFileUrl"], one["successFileUrl"]) == (0, None, None)


def test_oldest_first(sender: Sender) -> None:
    for name in ("a.csv", "b.csv", "c.csv"):
        sender.upload(name=name)
    listed = sender.statuses().json()["result"]["uploadJobStatuses"]
    assert [(one["jobId"], one["uploadedFileName"]) for one in listed] == [(1, "a.csv"), (2, "b.csv"), (3, "c.csv")]
    assert sender.statuses("MON").json()["result"]["uploadJobStatuses"] == []


def worked(sender: Sender, job: Job) -> dict[FileRole, JobFile]:
    """Let one row fail and one be done, as a worker would."""
    folder = Folder(sender.files)
    with sender.shop.database.writing() as tx:
        begun = begin_job(tx, job, LATER)
        prefix = "error" if job.kind is JobKind.UPLOAD else "error_redemption_upload"
        files = []
        for role in (FileRole.ERRORS, FileRole.DONE)[: 1 + (job.kind is JobKind.REDEEMED_UPLOAD)]:
            file = file_of(tx, begun, role, prefix if role is FileRole.ERRORS else "success_redemption_upload")
            files.append(folder.append_rows(begun, file, ["code"], [["=1+1"], [role]]))
        advance_job(tx, begun, Progress(cursor={}, done=2, ok=1, failed=1, total=9, files=tuple(files)), now_ms=LATER, took_ms=1)
    return {file.role: file for file in files}


def test_files(sender: Sender, stranger: tuple[str, str]) -> None:
    """What is committed of them, to their own org alone."""
    sender.upload()
    sender.upload(body=USED, kind="redeemFile")
    (upload,), (redemptions,) = sender.jobs(), sender.jobs(kind=JobKind.REDEEMED_UPLOAD)
    worked(sender, upload)
    made = worked(sender, redemptions)
    (told,) = sender.statuses().json()["result"]["uploadJobStatuses"]
    assert (told["totalUploadedCount"], told["actualRowCount"], told["errorCount"]) == (2, 9, 1)
    assert told["errorFileUrl"] == f"error_{sender.shop.org_id}_{upload.series_id}2031_03_10_18_20_00"
    assert told["successFileUrl"] is None
    found = sender.statuses(kind="getUploadRedeemedCouponStatus").json()["result"]["redeemUploadJobStatuses"][0]
    for role, name in ((FileRole.ERRORS, found["errorFileUrl"]), (FileRole.DONE, found["successFileUrl"])):
        assert name == made[role].name
        with Folder(sender.files).written(sender.shop.org_id, redemptions.id, role).open("ab") as file:
            file.write(b"not committed\r\n")
        answer = sender.front.ask("GET", f"{PATH}files/{name}")
        assert (answer.status_code, answer.content) == (200, f"code\r\n'=1+1\r\n{role}\r\n".encode())
        assert answer.headers["content-length"] == str(made[role].size_bytes)
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}.csv"'
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert_none(sender, name, auth=stranger)
    Folder(sender.files).written(sender.shop.org_id, upload.id, FileRole.ERRORS).unlink()
    assert_none(sender, told["errorFileUrl"])


def test_files_of_other_jobs(sender: Sender) -> None:
    """An export holds more than what a till has sent."""
    with sender.shop.database.writing() as tx:
        job_id = create_job(tx, sender.shop.org_id, Draft(kind=JobKind.EXPORT, series_id=None, request={}), NOW_MS)
        job = read_job(tx, sender.shop.org_id, job_id)
        assert job
    assert_none(sender, worked(sender, job)[FileRole.ERRORS].name)


def test_files_that_are_not(sender: Sender) -> None:
    for name in ("nosuch", "%00", "x" * 5000, "..%2F..%2Fetc%2Fpasswd", "a/b", "%20", "é", "'", "error_%25"):
        assert_none(sender, name)


def assert_none(sender: Sender, name: str, **more: Any) -> None:
    answer = sender.front.ask("GET", f"{PATH}files/{name}", **more)
    assert (answer.status_code, answer.json()) == (404, {"success": False, "status": 404, "message": "Incorrect resource"})
