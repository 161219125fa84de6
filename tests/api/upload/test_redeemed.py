"""`POST /coupon/api/v1/upload/redeemFile/{couponSeriesId}`: what is taken, and what is refused at once (upload 2)."""

import json
from typing import Any, Final

from couponry.core.jobs import JobKind
from tests.api.holdings import series_id
from tests.api.shop import NOW_MS
from tests.api.upload.forms import HEADERS, USED, USED_FORM, Sender

COLUMNS = json.loads(HEADERS)
KIND = JobKind.REDEEMED_UPLOAD


def use(sender: Sender, columns: Any = HEADERS, **form: str) -> Any:
    """A file of redemptions whose columns are these."""
    headers = columns if isinstance(columns, str) else json.dumps(columns)
    return sender.upload("MON", USED, "used.csv", kind="redeemFile", form={**USED_FORM, "uploadHeaders": headers, **form})


def test_answer_is_the_contracts(sender: Sender) -> None:
    series = series_id(sender.shop, "MON")
    answer = use(sender)
    assert answer.status_code == 200, answer.text
    name = f"used_{NOW_MS}_{series}.csv"
    status = {
        "jobId": 1,
        "uploadRedeemedCouponStatus": "QUEUED",
        "createdOn": str(NOW_MS),
        "updatedOn": str(NOW_MS),
        "errorFileUrl": None,
        "successFileUrl": None,
        "uploadedFileUrl": name,
        "totalUploadedCount": 0,
        "actualRowCount": 0,
        "errorCount": 0,
        "uploadTableName": None,
        "uploadedFileName": "used.csv",
    }
    result = {"orgId": sender.shop.org_id, "couponSeriesId": series, "redeemUploadJobStatuses": [status]}
    assert answer.json() == {"success": True, "status": 200, "result": {**result, "fileName": name}}
    told = sender.statuses("MON", "getUploadRedeemedCouponStatus")
    assert told.json() == {"success": True, "status": 200, "result": result}
    assert sender.statuses("MON").json()["result"]["uploadJobStatuses"] == []
    (job,) = sender.jobs("MON", KIND)
    named = {"tillId": sender.shop.till_id, "uploadedName": name, "sentName": "used.csv"}
    kinds = {"identifier": "MOBILE", "couponIdentifier": "COUPON_CODE"}
    assert job.request == {"uploadId": 1, **kinds, "columns": COLUMNS, **named}


ALWAYS = {"redeemedDateInMillis": 0, "redeemedAt": 1}
BY_ID = {**ALWAYS, "userId": 4}


MAPPED: Final[list[tuple[dict[str, str], Any, str, str, Any]]] = [
    ({}, HEADERS.replace('"', "'"), "MOBILE", "COUPON_CODE", COLUMNS),
    ({}, f" {HEADERS} ", "MOBILE", "COUPON_CODE", COLUMNS),
    (
        {"customerIdentifier": "email"},
        {**ALWAYS, "email": 2, "mobile": 4, "couponCode": 3},
        "EMAIL",
        "COUPON_CODE",
        {**ALWAYS, "email": 2, "couponCode": 3},
    ),
    (
        {},
        {**BY_ID, "mobile": 2, "couponCode": 3},
        "USER_ID",
        "COUPON_CODE",
        {**BY_ID, "couponCode": 3},
    ),
    ({}, {**BY_ID, "couponId": 3}, "USER_ID", "COUPON_ID", {**BY_ID, "couponId": 3}),
    (
        {"couponIdentifier": "COUPON_ID"},
        {**ALWAYS, "mobile": 2, "couponId": 5, "couponCode": 3},
        "MOBILE",
        "COUPON_ID",
        {**ALWAYS, "mobile": 2, "couponId": 5},
    ),
]


def test_columns(sender: Sender) -> None:
    """The id wins where it is mapped beside another identifier; what lost is not passed on."""
    for form, columns, identifier, coupon, kept in MAPPED:
        assert use(sender, columns, **form).status_code == 200
        request = sender.jobs("MON", KIND)[-1].request
        assert (request["identifier"], request["couponIdentifier"], request["columns"]) == (identifier, coupon, kept)


WITHOUT = [{name: index for name, index in COLUMNS.items() if name != left_out} for left_out in list(COLUMNS)[:4]]


REFUSALS: Final[list[tuple[dict[str, str], Any, str]]] = [
    *(({}, columns, "does not say where") for columns in WITHOUT),
    ({"customerIdentifier": "USER_ID"}, COLUMNS, "does not say where userId"),
    ({"couponIdentifier": "COUPON_ID"}, COLUMNS, "does not say where couponId"),
    ({"customerIdentifier": ""}, COLUMNS, "the part customerIdentifier is missing"),
    ({"couponIdentifier": ""}, COLUMNS, "the part couponIdentifier is missing"),
    ({"customerIdentifier": "NOT_TAGGED"}, COLUMNS, "customerIdentifier is none of"),
    ({"couponIdentifier": "CODE"}, COLUMNS, "couponIdentifier is none of"),
    ({}, "", "the part uploadHeaders is missing"),
    ({}, "{", "uploadHeaders is not JSON"),
    ({}, "[" * 10_000, "uploadHeaders is not JSON"),
    ({}, "__import__('os')", "uploadHeaders is not JSON"),
    ({}, [0, 1], "uploadHeaders is no JSON object"),
    ({}, "5", "uploadHeaders is no JSON object"),
    ({}, {**COLUMNS, "name": 1}, "and nothing else"),
    ({}, {**COLUMNS, "\0": 1}, "and nothing else"),
    ({}, {**COLUMNS, "billId": 7}, "uploadHeaders.billId is no index"),
    ({}, {**COLUMNS, "billId": -1}, "uploadHeaders.billId is no index"),
    ({}, {**COLUMNS, "billId": True}, "uploadHeaders.billId is no index"),
    ({}, {**COLUMNS, "billId": 1.0}, "uploadHeaders.billId is no index"),
    ({}, {**COLUMNS, "billId": None}, "uploadHeaders.billId is no index"),
    ({}, {**COLUMNS, "billId": 10**30}, "uploadHeaders.billId is no index"),
]


def test_refused_at_once(sender: Sender) -> None:
    for form, columns, detail in REFUSALS:
        answer = use(sender, columns, **form)
        told = answer.json()
        assert (answer.status_code, told) == (400, {"success": False, "status": 400, "message": told["message"]})
        assert detail in told["message"], (form, columns, told)
    assert (sender.jobs("MON", KIND), sender.kept()) == ([], [])
