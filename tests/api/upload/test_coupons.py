"""`POST /coupon/api/v1/upload/file/{couponSeriesId}`: what is taken, what is refused at once, and who may send (upload 1)."""

from typing import Any, Final

from couponry.core.jobs import JobKind, JobState
from couponry.store.uploads import Upload, read_upload
from tests.api.holdings import series_id
from tests.api.shop import NOW_MS, Front, Shop
from tests.api.upload.forms import BOTH, CODES, PATH, USED, Sender

MOBILES = b"mobile\r\n919812300001\r\n"
TAGGED = {"customerIdentifier": "MOBILE"}
REFUSED = "Incorrect or invalid input: "
UNTOLD: dict[str, Any] = {}


def test_answer_is_the_contracts(sender: Sender) -> None:
    series = series_id(sender.shop, "POOL")
    answer = sender.upload()
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    name = f"codes_{NOW_MS}_{series}.csv"
    status = {
        "jobId": 1,
        "uploadStatus": "STARTED",
        "createdOn": str(NOW_MS),
        "updatedOn": str(NOW_MS),
        "errorFileUrl": None,
        "successFileUrl": None,
        "uploadedFileUrl": name,
        "totalUploadedCount": 0,
        "actualRowCount": 0,
        "errorCount": 0,
        "uploadTableName": None,
        "uploadedFileName": "codes.csv",
        "audienceGroupId": 0,
        "audienceGroupVersionId": 0,
    }
    result = {"orgId": sender.shop.org_id, "couponSeriesId": series, "uploadJobStatuses": [status]}
    assert answer.json() == {"success": True, "status": 200, "result": {**result, "fileName": name}}
    assert sender.statuses().json() == {"success": True, "status": 200, "result": result}


def test_what_is_kept(sender: Sender) -> None:
    """The bytes as they were sent, the upload's row, and the job with what its kind needs to know."""
    shop = sender.shop
    sender.upload(body=BOTH, form={"customerIdentifier": "mobile", "customerIdentifierColumn": " 1 "})
    (job,) = sender.jobs()
    assert (job.kind, job.state, job.total, job.created_ms) == (JobKind.UPLOAD, JobState.QUEUED, None, NOW_MS)
    names = {"uploadedName": f"codes_{NOW_MS}_{job.series_id}.csv", "sentName": "codes.csv"}
    assert job.request == {"uploadId": 1, "identifier": "MOBILE", "column": 1, "tillId": shop.till_id, **names}
    assert [(path.relative_to(sender.files).as_posix(), path.read_bytes()) for path in sender.kept()] == [
        (f"uploads/{shop.org_id}/1.csv", BOTH)
    ]
    with shop.database.reading() as tx:
        assert read_upload(tx, shop.org_id, 1) == Upload(1, "codes.csv", len(BOTH), NOW_MS, shop.till_id)
        assert read_upload(tx, shop.org_id + 1, 1) is None


ALLOWED = {
    ("NOT_TAGGED", CODES): {"POOL", "OUTSIDE"},
    ("MOBILE", MOBILES): {"MON", "SHARED", "POOL"},
    ("EXTERNAL_ID", BOTH): {"POOL"},
    ("NOT_TAGGED", BOTH): set(),
    ("USER_ID", b"a,b,c\n1,2,3\n"): set(),
}


def test_kinds_of_files_and_series(sender: Sender) -> None:
    """The table of upload 1; no coupon of an external series is issued here."""
    for (identifier, body), allowed in ALLOWED.items():
        for series in ("MON", "POOL", "SHARED", "OUTSIDE"):
            answer = sender.upload(series, body, form={"customerIdentifier": identifier})
            assert (answer.status_code == 200) is (series in allowed), (identifier, body, series, answer.text)
            assert answer.status_code in {200, 400}
    assert len(sender.kept()) == sum(map(len, ALLOWED.values()))


REFUSALS: Final[list[tuple[bytes, dict[str, str], str]]] = [
    (CODES, {}, "the part customerIdentifier is missing"),
    (CODES, {"customerIdentifier": " "}, "the part customerIdentifier is missing"),
    (CODES, {"customerIdentifier": "CARD"}, "customerIdentifier is none of"),
    (BOTH, {**TAGGED, "customerIdentifierColumn": "2"}, "customerIdentifierColumn is beyond"),
    (BOTH, {**TAGGED, "customerIdentifierColumn": "-1"}, "customerIdentifierColumn is no index"),
    (BOTH, {**TAGGED, "customerIdentifierColumn": "9" * 5000}, "customerIdentifierColumn is no index"),
    (BOTH, {**TAGGED, "customerIdentifierColumn": "x" * 20_000}, "body part is too large"),
    (b"", UNTOLD, "the file is empty"),
    (b"\xef\xbb\xbf", UNTOLD, "the file is empty"),
    (b"\r\n\r\n", UNTOLD, "the file is empty"),
    (b"code\r\n", UNTOLD, "no row below its header"),
    (b"code", UNTOLD, "no row below its header"),
    (b"code\r\n\r\n\r\n", UNTOLD, "no row below its header"),
    ("code\r\nAB-1".encode("utf-16"), UNTOLD, "not UTF-8"),
    (b"c\0de\r\nAB-1\r\n", UNTOLD, "not UTF-8"),
    ("c\u00f6de\r\nAB-1\r\n".encode("latin-1"), UNTOLD, "not UTF-8"),
    (b'"code\r\nAB-1\r\n', UNTOLD, "the header"),
    (b"code,code\r\nAB-1,AB-2\r\n", UNTOLD, "one column"),
    (b"x" * 3_000_000, UNTOLD, "the"),
    (b"," * 3_000_000, UNTOLD, "the"),
]


def test_refused_at_once(sender: Sender) -> None:
    for body, form, detail in REFUSALS:
        answer = sender.upload(body=body, form={"customerIdentifier": "NOT_TAGGED"} if form is UNTOLD else form)
        case, told = (body[:30], form, answer.text), answer.json()
        assert told["message"].startswith(REFUSED), case
        assert detail in told["message"], case
        assert (answer.status_code, told) == (400, {"success": False, "status": 400, "message": told["message"]})
    assert (sender.jobs(), sender.kept()) == ([], [])


def test_columns_are_known_by_their_place(sender: Sender) -> None:
    """Two may have one name."""
    assert sender.upload(body=b"a,a\r\n9812300001,AB-1\r\n", form=TAGGED).status_code == 200


def test_unknown_series(sender: Sender) -> None:
    told = {"success": False, "status": 400, "message": f"{REFUSED}there is no such coupon series"}
    for series in ("0", "-1", "x", "99999", "9" * 30, "%00", "5003 OR 1=1", "٣"):
        for kind in ("file", "redeemFile"):
            answer = sender.front.ask("POST", f"{PATH}{kind}/{series}", files={"file": ("a.csv", USED)}, data={})
            assert (answer.status_code, answer.json()) == (400, told), series
        for kind in ("getUploadStatus", "getUploadRedeemedCouponStatus"):
            answer = sender.front.ask("GET", f"{PATH}{kind}/{series}")
            assert (answer.status_code, answer.json()) == (400, told), series
    assert sender.kept() == []


def test_another_orgs_series_and_files(sender: Sender, stranger: tuple[str, str]) -> None:
    """They are nobody's, in every answer."""
    assert sender.upload().status_code == 200
    for answer in (sender.upload(auth=stranger), sender.statuses(auth=stranger)):
        told = {"success": False, "status": 400, "message": f"{REFUSED}there is no such coupon series"}
        assert (answer.status_code, answer.json()) == (400, told)
    assert len(sender.jobs()) == len(sender.kept()) == 1


def test_who_may_send(shop: Shop, front: Front, sender: Sender) -> None:
    """The config resource (README 2.4): written by POST, read by GET; Basic, the token's header, and Bearer."""
    nobody = {"success": False, "status": 401, "message": "Authentication failed"}
    for asked in (sender.upload, sender.statuses):
        answer = asked(auth=None)
        assert (answer.status_code, answer.json()) == (401, nobody)
    shop.client(access_group_id=shop.access_group("NONE", "WRITE"))
    shop.client("R34d", "s3cr", access_group_id=shop.access_group("WRITE", "READ"))
    for key, secret, status in (("Qk7f", "pLz8", 200), ("R34d", "s3cr", 403)):
        made = front.ask("POST", "/v3/oauth/token/generate", json={"key": key, "secret": secret}, auth=None).json()
        token = made["data"]["accessToken"]
        for headers in ({"X-CAP-API-OAUTH-TOKEN": token}, {"Authorization": f"Bearer {token}"}):
            answer = sender.upload(headers=headers, auth=None)
            assert (answer.status_code, answer.json()["status"]) == (status, status)
            assert sender.statuses(headers=headers, auth=None).status_code == 200


def test_attribution_till_is_kept(shop: Shop, front: Front, sender: Sender) -> None:
    place = shop.till("till2", store="blr02", zone="south", concept="food")
    shop.client()
    made = front.ask("POST", "/v3/oauth/token/generate", json={"key": "Qk7f", "secret": "pLz8"}, auth=None).json()
    headers = {"X-CAP-API-OAUTH-TOKEN": made["data"]["accessToken"], "X-CAP-API-ATTRIBUTION-ENTITY-CODE": "till2"}
    assert sender.upload(headers=headers, auth=None).status_code == 200
    assert sender.jobs()[0].request["tillId"] == place.till_id
    unknown = sender.upload(headers={**headers, "X-CAP-API-ATTRIBUTION-ENTITY-CODE": "nosuch"}, auth=None)
    told = {"success": False, "status": 400, "message": "Invalid attribution TILL passed."}
    assert (unknown.status_code, unknown.json()) == (400, told)


def test_gate_in_the_same_form(front: Front) -> None:
    for method, path, status in (("GET", "file/5001", 405), ("POST", "nosuch", 404), ("PUT", "files/a", 405)):
        answer = front.ask(method, PATH + path)
        assert (answer.status_code, answer.json()["status"], answer.json()["success"]) == (status, status, False), path
