"""Jobs over the admin API: asked for, watched, stopped, fetched. No worker runs here: what one would do is done by hand."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from couponry.core.jobs import FileRole, Job, JobFile, JobKind, Progress
from couponry.core.problem import Problem
from couponry.store import registry
from couponry.store.folder import Folder
from couponry.store.jobs import Draft, advance_job, begin_job, create_job, fail_job, read_job
from tests.api.admins import Admin
from tests.api.holdings import series_id
from tests.api.shop import NOW_MS, Front, Shop

JOBS = "/jobs"
LIST = b"name,customer\r\nMira,919812300001\r\nArun,919812300002\r\n"


@pytest.fixture
def front(shop: Shop, tmp_path: Path) -> Iterator[Front]:
    with shop.front(files_dir=tmp_path / "files") as running:
        yield running


@pytest.fixture
def admin(shop: Shop, front: Front) -> Admin:
    return Admin(shop, front)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "files")


@pytest.fixture
def mon(shop: Shop) -> int:
    return series_id(shop, "MON")


def asked(admin: Admin, what: str, /, **body: Any) -> dict[str, Any]:
    """The job that was made, as it is shown."""
    answer = admin.ask("POST", f"{JOBS}/{what}", json=body)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = admin.ask("GET", f"{JOBS}/{answer.json()['jobId']}").json()
    return job


def refusal(admin: Admin, method: str, path: str, **more: Any) -> tuple[int, int | str]:
    answer = admin.ask(method, path, **more)
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    assert answer.json()["status"] == answer.status_code
    return answer.status_code, answer.json()["code"]


def worked(shop: Shop, job_id: int, progress: Progress) -> Job:
    """As a worker would."""
    with shop.database.writing() as tx:
        job = read_job(tx, shop.org_id, job_id)
        assert job
        return advance_job(tx, begin_job(tx, job, NOW_MS), progress, now_ms=NOW_MS + 2_000, took_ms=2_000)


def test_codes_for_nobody(admin: Admin, mon: int) -> None:
    job = asked(admin, "issue", seriesId=mon, audience=None, count=3)
    assert job == {
        "id": 1,
        "kind": "issue",
        "state": "queued",
        "seriesId": mon,
        "total": None,
        "done": 0,
        "ok": 0,
        "failed": 0,
        "byCode": {},
        "ratePerSecond": 0.0,
        "etaSeconds": None,
        "problem": "",
        "createdAt": "2031-03-10T18:20:00+05:30",
        "updatedAt": "2031-03-10T18:20:00+05:30",
        "request": {"audience": None, "count": 3, "send": False, "tillId": None},
        "files": [],
    }


def test_audiences(shop: Shop, admin: Admin, folder: Folder, mon: int) -> None:
    """In the form that workers read."""
    everybody = asked(admin, "issue", seriesId=mon, audience={"all": True}, send=True)
    assert everybody["request"] == {"audience": {"all": True}, "count": 1, "send": True, "tillId": None}
    wanted = {
        "loyaltyType": "loyalty",
        "registeredFrom": "2031-01-01",
        "registeredTo": "2031-03-01T00:00:00Z",
        "storeIds": [shop.store_id],
        "redeemedSeriesIds": [mon],
        "minTransactions": 2,
        "statusLabels": ["ACTIVE"],
    }
    segment = asked(admin, "issue", seriesId=mon, audience={"segment": wanted}, count=2)["request"]
    instants = {"registeredFrom": 1_924_972_200_000, "registeredTo": 1_930_089_600_000}
    assert segment == {"audience": {"segment": {**wanted, **instants}}, "count": 2, "send": False, "tillId": None}
    values = ["919812300001", " 98123 00002 ", '9,"8', 77]
    listed = asked(admin, "issue", seriesId=mon, audience={"identifiers": {"type": "mobile", "values": values}})["request"]
    assert listed["audience"] == {"uploadId": 1, "identifier": "mobile"}
    with folder.upload(shop.org_id, 1).open(newline="") as file:
        assert [*csv.reader(file)] == [["customers"], ["919812300001"], ["98123 00002"], ['9,"8'], ["77"]]
    assert [*(folder.upload(shop.org_id, 1).parent.parent.parent / "incoming" / str(shop.org_id)).iterdir()] == []


def test_uploads(shop: Shop, admin: Admin, folder: Folder, mon: int) -> None:
    form: dict[str, Any] = {"data": {"identifier": "mobile", "column": "1"}, "files": {"file": ("May list.csv", LIST)}}
    answer = admin.ask("POST", "/uploads", **form)
    assert (answer.status_code, answer.json()) == (201, {"uploadId": 1, "name": "May list.csv", "bytes": len(LIST)})
    assert folder.upload(shop.org_id, 1).read_bytes() == LIST
    whom = {"uploadId": 1, "identifier": "mobile", "column": 1}
    assert asked(admin, "issue", seriesId=mon, audience={"uploadId": 1})["request"]["audience"] == whom
    revoked = asked(admin, "revoke", seriesId=mon, coupons="unredeemed", audience={"uploadId": 1})["request"]
    assert revoked == {"coupons": "unredeemed", "audience": whom}
    wrong: tuple[tuple[dict[str, str], bytes], ...] = (
        ({}, LIST),
        ({"identifier": "name"}, LIST),
        ({"identifier": "mobile", "column": "2"}, LIST),
        ({"identifier": "mobile", "column": "x"}, LIST),
        ({"identifier": "mobile"}, b""),
        ({"identifier": "mobile"}, b"customer\r\n"),
        ({"identifier": "mobile"}, b"\xff\xfe1\x00"),
    )
    for fields, content in wrong:
        assert refusal(admin, "POST", "/uploads", data=fields, files={"file": ("a.csv", content)})[0] == 400
    assert refusal(admin, "POST", "/uploads", json={}) == (415, 415)


def test_changes(admin: Admin, mon: int) -> None:
    assert asked(admin, "revoke", seriesId=mon, coupons="unissued")["request"] == {"coupons": "unissued", "audience": None}
    till = asked(admin, "expiry", seriesId=mon, coupons="unredeemed", validTillDateTime="2031-04-15")
    assert (till["kind"], till["seriesId"]) == ("expiry", mon)
    assert till["request"] == {"coupons": "unredeemed", "audience": None, "expiresLocal": "2031-04-15T23:59:59"}
    exact = asked(admin, "expiry", seriesId=mon, coupons="unissued", validTillDateTime="2031-04-15T12:00:00Z")
    assert exact["request"]["expiresLocal"] == "2031-04-15T17:30:00"
    one = {"identifiers": {"type": "externalId", "values": ["CRM-77"]}}
    some = asked(admin, "revoke", seriesId=mon, coupons="unredeemed", audience=one)
    assert some["request"] == {"coupons": "unredeemed", "audience": {"uploadId": 1, "identifier": "externalId"}}


def test_exports(admin: Admin, mon: int) -> None:
    job = asked(admin, "export", what="redemptions", format="parquet", seriesId=mon, **{"from": "2031-03-01", "to": NOW_MS})
    wanted = {"what": "redemptions", "format": "parquet", "seriesId": mon, "campaignId": None, "to": NOW_MS}
    assert job["request"] == {**wanted, "from": 1_930_069_800_000}
    assert (job["kind"], job["seriesId"]) == ("export", mon)
    for wrong in (
        {},
        {"what": "customers"},
        {"what": "coupons", "format": "xlsx"},
        {"what": "coupons", "from": "soon"},
        {"what": "coupons", "from": 2, "to": 1},
        {"what": "coupons", "from": -1},
        {"what": "coupons", "seriesId": mon, "campaignId": 7001},
        {"what": "coupons", "seriesId": 0},
        {"what": "coupons", "columns": []},
    ):
        assert refusal(admin, "POST", f"{JOBS}/export", json=wrong) == (400, 629), wrong
    assert refusal(admin, "POST", f"{JOBS}/export", json={"what": "coupons", "seriesId": 4711}) == (404, "unknown")
    assert refusal(admin, "POST", f"{JOBS}/export", json={"what": "coupons", "campaignId": 4711}) == (404, "unknown")


ALL: Final = {"all": True}


WRONG: Final[list[tuple[str, int, int | str, dict[str, Any]]]] = [
    ("issue", 404, "unknown", {"seriesId": 4711, "count": 1}),
    ("issue", 400, 629, {"seriesId": -1, "count": 1}),
    ("issue", 400, 629, {"seriesId": 10**30, "count": 1}),
    ("issue", 400, 629, {"seriesId": "MON", "count": 1}),
    ("issue", 400, 629, {}),
    ("issue", 400, 629, {"count": None}),
    ("issue", 400, 629, {"count": 0}),
    ("issue", 400, 629, {"count": 50_000_001}),
    ("issue", 400, 629, {"count": 1, "send": True}),
    ("issue", 400, 629, {"audience": ALL, "count": 501}),
    ("issue", 400, 629, {"audience": ALL, "count": 0}),
    ("issue", 400, 629, {"audience": ALL, "colour": "red"}),
    ("issue", 400, 629, {"audience": {}}),
    ("issue", 400, 629, {"audience": {"all": False}}),
    ("issue", 400, 629, {"audience": {"all": True, "uploadId": 1}}),
    ("issue", 400, 629, {"audience": {"everybody": True}}),
    ("issue", 400, 629, {"audience": {"segment": {"city": "Pune"}}}),
    ("issue", 400, 629, {"audience": {"segment": {"registeredFrom": "soon"}}}),
    ("issue", 404, "unknown", {"audience": {"segment": {"storeIds": [9]}}}),
    ("issue", 404, "unknown", {"audience": {"segment": {"notRedeemedSeriesIds": [9]}}}),
    ("issue", 404, "unknown", {"audience": {"segment": {"statusLabels": ["ACTIVE", "GONE"]}}}),
    ("issue", 404, "unknown", {"audience": {"uploadId": 9}}),
    ("issue", 400, 629, {"audience": {"identifiers": {"type": "mobile", "values": []}}}),
    ("issue", 400, 629, {"audience": {"identifiers": {"type": "mobile", "values": ["a\0"]}}}),
    ("issue", 400, 629, {"audience": {"identifiers": {"type": "mobile", "values": ["x" * 256]}}}),
    ("issue", 400, 629, {"audience": {"identifiers": {"type": "name", "values": ["x"]}}}),
    ("revoke", 400, 629, {}),
    ("revoke", 400, 629, {"coupons": "redeemed"}),
    ("revoke", 400, 629, {"coupons": "unredeemed", "audience": ALL}),
    ("revoke", 400, 629, {"coupons": "unissued", "audience": {"identifiers": {"type": "mobile", "values": ["1"]}}}),
    ("revoke", 404, "unknown", {"seriesId": 4711, "coupons": "unissued"}),
    ("expiry", 400, 629, {"coupons": "unissued"}),
    ("expiry", 400, 629, {"coupons": "unissued", "validTillDateTime": "soon"}),
    ("expiry", 400, 690, {"coupons": "unissued", "validTillDateTime": "2031-03-09"}),
    ("expiry", 400, 691, {"coupons": "unissued", "validTillDateTime": "2031-05-01"}),
    ("expiry", 400, 691, {"coupons": "unissued", "validTillDateTime": 10**18}),
    ("expiry", 400, 690, {"coupons": "unissued", "validTillDateTime": "-62135596800000"}),
]


def test_what_cannot_be_asked(admin: Admin, mon: int) -> None:
    for what, http, code, body in WRONG:
        assert refusal(admin, "POST", f"{JOBS}/{what}", json={"seriesId": mon, **body}) == (http, code), body
    assert admin.ask("GET", JOBS).json()["items"] == []


def test_what_a_series_does_not_allow(shop: Shop, admin: Admin) -> None:
    shop.series(seriesCode="EXT", externalIssual="true")
    shop.series(seriesCode="PAST", validTillDate="2031-03-01")
    shop.series(seriesCode="POOL", clientHandlingType="DISC_CODE_PIN")
    shop.series(seriesCode="SHARED", clientHandlingType="GENERIC", genericCode="WELCOME")
    shop.series(seriesCode="SHORT", randomCodeLength="4", alphaNumeric="false", maxCreate="1")
    for code, body, refused in (
        ("EXT", {"audience": ALL}, 777),
        ("PAST", {"audience": ALL}, 712),
        ("POOL", {"count": 1}, 629),
        ("SHARED", {"count": 1}, 629),
        ("SHORT", {"count": 10_001}, 722),
    ):
        wrong = {"seriesId": series_id(shop, code), **body}
        assert refusal(admin, "POST", f"{JOBS}/issue", json=wrong) == (400, refused), code
    assert asked(admin, "issue", seriesId=series_id(shop, "SHORT"), count=10_000)
    assert asked(admin, "issue", seriesId=series_id(shop, "POOL"), audience=ALL)
    past = {"seriesId": series_id(shop, "PAST"), "coupons": "unredeemed"}
    assert refusal(admin, "POST", f"{JOBS}/revoke", json=past) == (400, 712)


def test_bodies_that_are_no_object(admin: Admin) -> None:
    for what in ("issue", "revoke", "expiry", "export"):
        for body in (b"", b"{", b"\xff", b"[" * 100_000):
            assert refusal(admin, "POST", f"{JOBS}/{what}", content=body) == (400, 400)
        assert refusal(admin, "POST", f"{JOBS}/{what}", content=b"[]") == (400, 629)
        assert refusal(admin, "POST", f"{JOBS}/{what}", content=b" " * (1024 * 1024 + 1)) == (413, 413)


def test_progress_and_moves(shop: Shop, admin: Admin, mon: int) -> None:
    job_id = asked(admin, "issue", seriesId=mon, audience=ALL)["id"]
    worked(shop, job_id, Progress(cursor={}, done=300, ok=290, failed=10, by_code={"701": 10}, total=1_000))
    running = admin.ask("GET", f"{JOBS}/{job_id}").json()
    assert (running["state"], running["done"], running["ok"], running["failed"]) == ("running", 300, 290, 10)
    assert (running["total"], running["byCode"], running["updatedAt"]) == (1_000, {"701": 10}, "2031-03-10T18:20:02+05:30")
    assert (running["ratePerSecond"], running["etaSeconds"]) == (150.0, 4.7)
    for move, state in (("pause", "paused"), ("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled")):
        moved = admin.ask("POST", f"{JOBS}/{job_id}/{move}")
        assert (moved.status_code, moved.json()["state"], moved.json()["done"]) == (200, state, 300)
    for move in ("pause", "resume"):
        assert refusal(admin, "POST", f"{JOBS}/{job_id}/{move}") == (409, "state")
    with shop.database.writing() as tx:
        other = create_job(tx, shop.org_id, Draft(kind=JobKind.EXPORT, series_id=None, request={}), NOW_MS)
        job = read_job(tx, shop.org_id, other)
        assert job
        fail_job(tx, job, "the disk is full", NOW_MS)
    failed = admin.ask("GET", f"{JOBS}/{other}").json()
    assert (failed["state"], failed["problem"], failed["etaSeconds"]) == ("failed", "the disk is full", 0.0)


def test_list(admin: Admin, mon: int) -> None:
    ids = [asked(admin, "issue", seriesId=mon, count=1)["id"] for _ in range(2)]
    other = asked(admin, "revoke", seriesId=mon, coupons="unissued")["id"]
    first = admin.ask("GET", JOBS, params={"limit": 2}).json()
    assert [job["id"] for job in first["items"]] == [other, ids[1]]
    rest = admin.ask("GET", JOBS, params={"limit": 2, "cursor": first["next"]}).json()
    assert ([job["id"] for job in rest["items"]], rest["next"]) == ([ids[0]], None)
    assert [job["id"] for job in admin.ask("GET", JOBS, params={"kind": "issue"}).json()["items"]] == ids[::-1]
    for query in ({"kind": "nap"}, {"limit": 0}, {"cursor": "x"}):
        assert refusal(admin, "GET", JOBS, params=query) == (400, 629)


def test_files(shop: Shop, admin: Admin, folder: Folder, mon: int) -> None:
    """Only what is committed, and under a name of ours."""
    job_id = asked(admin, "issue", seriesId=mon, audience=ALL)["id"]
    path = f"{JOBS}/{job_id}/files/errors"
    assert refusal(admin, "GET", path) == (404, "unknown")
    job = worked(shop, job_id, Progress(cursor={}, files=(JobFile(FileRole.ERRORS, "error_1001_x", 0),)))
    written = folder.append(job, job.files[0], [b"mobile,errorCode\r\n", b"1,701\r\n"])
    with folder.written(shop.org_id, job_id, FileRole.ERRORS).open("ab") as file:
        file.write(b"not committed")
    with shop.database.writing() as tx:
        advance_job(tx, job, Progress(cursor={}, files=(written,)), now_ms=NOW_MS, took_ms=1)
    shown = admin.ask("GET", f"{JOBS}/{job_id}").json()["files"]
    assert shown == [{"role": "errors", "name": "error_1001_x", "bytes": 25, "href": f"/admin/v1{path}"}]
    answer = admin.ask("GET", path)
    assert (answer.status_code, answer.content) == (200, b"mobile,errorCode\r\n1,701\r\n")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="error_1001_x.csv"'
    assert refusal(admin, "GET", f"{JOBS}/{job_id}/files/result") == (404, "unknown")
    assert refusal(admin, "GET", f"{JOBS}/{job_id}/files/secrets") == (404, 404)
    folder.written(shop.org_id, job_id, FileRole.ERRORS).unlink()
    assert refusal(admin, "GET", path) == (404, "unknown")


def test_export_is_named_after_its_form(shop: Shop, admin: Admin, folder: Folder) -> None:
    job_id = asked(admin, "export", what="coupons", format="parquet")["id"]
    job = worked(shop, job_id, Progress(cursor={}, files=(JobFile(FileRole.RESULT, "coupons_1001_x.parquet", 4),)))
    folder.append(job, JobFile(FileRole.RESULT, "", 0), [b"PAR1"])
    answer = admin.ask("GET", f"{JOBS}/{job_id}/files/result")
    assert (answer.content, answer.headers["content-type"]) == (b"PAR1", "application/vnd.apache.parquet")
    assert answer.headers["content-disposition"] == 'attachment; filename="coupons_1001_x.parquet"'


def test_jobs_of_others(shop: Shop, admin: Admin, mon: int) -> None:
    with shop.database.writing() as tx:
        stranger = registry.create_org(tx, name="B", time_zone="UTC", currency="INR", country_code="91", now_ms=NOW_MS)
        assert not isinstance(stranger, Problem)
        theirs = create_job(tx, stranger, Draft(kind=JobKind.ISSUE, series_id=mon, request={}), NOW_MS)
    for wrong in (str(theirs), "0", "9" * 40):
        assert refusal(admin, "GET", f"{JOBS}/{wrong}") == (404, "unknown")
        assert refusal(admin, "POST", f"{JOBS}/{wrong}/cancel") == (404, "unknown")
        assert refusal(admin, "GET", f"{JOBS}/{wrong}/files/result") == (404, "unknown")
    for wrong in ("abc", "-1", "%20"):
        assert refusal(admin, "GET", f"{JOBS}/{wrong}") == (400, 400)
    assert admin.ask("GET", JOBS).json()["items"] == []


def test_no_till_may_enter(front: Front) -> None:
    for method, path in (("GET", JOBS), ("POST", f"{JOBS}/issue"), ("POST", "/uploads")):
        assert front.ask(method, f"/admin/v1{path}").status_code == 403
