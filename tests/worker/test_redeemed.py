"""Uploads of redemptions made elsewhere: what becomes of each row, limits within a file and over chunks, and files from hell."""

import csv
from io import StringIO
from typing import Any, Final

import pytest

from couponry.core.jobs import FileRole, Job, JobKind
from couponry.store import schema as t
from tests.api.shop import NOW_MS
from tests.worker.desk import Office

DAY_MS: Final = 24 * 3600 * 1000
COLUMNS: Final = ("redeemedDateInMillis", "redeemedAt", "mobile", "couponCode", "billId", "billNumber", "details")
MIRA, ARUN = "919812300001", "919812300002"


def asked(office: Office, upload_id: int, columns: tuple[str, ...] = COLUMNS) -> dict[str, Any]:
    names = {"uploadedName": "used_1_2.csv", "sentName": "used.csv"}
    kinds = {"identifier": "MOBILE", "couponIdentifier": "COUPON_CODE"}
    at = {name: index for index, name in enumerate(columns)}
    return {"uploadId": upload_id, **kinds, "columns": at, "tillId": office.shop.till_id, **names}


def text(rows: list[tuple[Any, ...]], columns: tuple[str, ...] = COLUMNS) -> str:
    file = StringIO()
    csv.writer(file).writerows([columns, *((*row, *[""] * (len(columns) - len(row))) for row in rows)])
    return file.getvalue()


def put(office: Office, series: str, content: str | bytes, columns: tuple[str, ...] = COLUMNS) -> int:
    """The id of a job for a file."""
    upload_id = office.upload(content.encode() if isinstance(content, str) else content)
    return office.ask(JobKind.REDEEMED_UPLOAD, asked(office, upload_id, columns), office.series_id(series))


def done(office: Office, series: str, rows: list[tuple[Any, ...]], columns: tuple[str, ...] = COLUMNS) -> Job:
    job = office.finish(put(office, series, text(rows, columns), columns))
    assert office.differences() == []
    return job


def failures(office: Office, job: Job) -> list[tuple[str, str]]:
    """Code and message of each failed row."""
    return [(row[-2], row[-1]) for row in csv.reader(StringIO(office.written(job.id, FileRole.ERRORS)))][1:]


def told(office: Office, series: str, *rows: tuple[Any, ...]) -> list[str]:
    """What became of each row, given alone."""
    codes = []
    for row in rows:
        job = done(office, series, [row])
        codes += [code for code, _ in failures(office, job)] or ["731"]
    return codes


def test_golden(office: Office) -> None:
    """Contract upload 2 and 4: names, columns, texts; and what is stored."""
    code = office.shop.coupon()
    at_ms = NOW_MS - DAY_MS
    row = (at_ms, office.shop.till_id, MIRA, code.lower(), 77, "B-1", "paid in cash")
    job = done(office, "MON", [row, (at_ms, office.shop.till_id, MIRA, "=NONE")])
    assert (job.done, job.ok, job.failed, job.total, job.by_code) == (2, 1, 1, 2, {"719": 1})
    names = {file.role: file.name for file in job.files}
    stem = f"{office.org_id}_{job.series_id}2031_03_10_18_20_00"
    assert names == {FileRole.ERRORS: f"error_redemption_upload_{stem}", FileRole.DONE: f"success_redemption_upload_{stem}"}
    header = ",".join(COLUMNS)
    assert office.written(job.id, FileRole.DONE) == (
        f"{header},status,message\r\n{at_ms},{office.shop.till_id},{MIRA},{code.lower()},77,B-1,paid in cash,731,"
        "Coupon redemption successful\r\n"
    )
    assert office.written(job.id, FileRole.ERRORS) == (
        f"{header},errorCode,errorMessage\r\n{at_ms},{office.shop.till_id},{MIRA},'=NONE,,,,719,Coupon code does not exist\r\n"
    )
    stored = ("redeemed_ms", "till_id", "store_id", "transaction_number", "bill_id", "custom_fields", "amount", "use_number")
    shop = office.shop
    fields = '{"details":"paid in cash"}'
    assert office.rows(t.redemption, *stored) == [(at_ms, shop.till_id, shop.store_id, "B-1", 77, fields, None, 1)]
    assert office.rows(t.coupon, "redeemed", "uses") == [(1, 1)]
    assert office.rows(t.outbox, "id") == []


def test_identifiers_and_ids(office: Office) -> None:
    """`userId` wins over others, `couponId` over the code; a coupon of another series or org is none of this job's."""
    shop = office.shop
    code, other = shop.coupon(), shop.coupon(series=new_series(office, "OTHER"))
    ids = dict(office.rows(t.coupon, "code", "id"))
    ((mira_id,),) = office.rows(t.customer, "id", mobile=MIRA)
    columns = ("redeemedAt", "couponId", "userId", "redeemedDateInMillis", "mobile", "couponCode")
    till, at_ms = shop.till_id, NOW_MS - DAY_MS
    rows = [
        (till, ids[code], mira_id, at_ms, ARUN, other),
        (till, ids[other], mira_id, at_ms, MIRA, code),
        (till, ids[code] + (1 << 32), mira_id, at_ms, MIRA, code),
        (till, ids[code], 1, at_ms, MIRA, code),
        (till, ids[code], "x", at_ms, MIRA, code),
        (till + 1, ids[code], mira_id, at_ms, MIRA, code),
    ]
    job = done(office, "MON", rows, columns)
    assert [code for code, _ in failures(office, job)] == ["719", "715", "701", "701", "629"]
    assert office.rows(t.redemption, "coupon_id", "customer_id") == [(ids[code], mira_id)]


def test_gone_customers(office: Office) -> None:
    code, row = office.shop.coupon(), (NOW_MS - DAY_MS, office.shop.till_id, MIRA)
    ((mira_id,),) = office.rows(t.customer, "id", mobile=MIRA)
    office.shop.change(t.customer, mira_id, deleted_ms=NOW_MS)
    assert told(office, "MON", (*row, code), (row[0], row[1], "", code)) == ["721", "701"]


MANY: Final = {"anyUser": "true", "isMultipleUseAllowed": "true", "sameUserMultipleRedeem": "true"}


def new_series(office: Office, code: str, **terms: str) -> str:
    office.shop.series(seriesCode=code, **terms)
    return code


def lot(office: Office) -> tuple[str, list[tuple[Any, ...]], list[str]]:
    """A file in which every limit is reached, and what becomes of its rows."""
    series = new_series(
        office, "CAPPED", **MANY, maxRedeem="5", redemptionPerCouponMaxLimit="3", maxRedemptionsInSeriesPerUser="4"
    )
    one, two = (office.shop.coupon(series=series, mobile="") for _ in range(2))
    till, at_ms = office.shop.till_id, NOW_MS - DAY_MS
    rows: list[tuple[Any, ...]] = [
        (at_ms, till, MIRA, one),
        (at_ms, till, MIRA, one),
        (at_ms + 1, till, MIRA, one),
        (at_ms - 1, till, ARUN, one),
        (at_ms + 2, till, ARUN, one),
        (at_ms + 2, till, MIRA, two),
        (at_ms + 3, till, MIRA, two),
        (at_ms + 4, till, MIRA, two),
        (at_ms + 4, till, ARUN, two),
        (at_ms, till, MIRA, one),
    ]
    return series, rows, ["731", "633", "731", "731", "736", "731", "731", "728", "714", "633"]


@pytest.mark.parametrize("rows_max", [1, 2, 3, 100])
def test_chunks_make_no_difference(office: Office, rows_max: int) -> None:
    """Wherever a chunk ends, and whatever crashes before its commit: the same rows in the same files, each once."""
    series, rows, expected = lot(office)
    job_id = put(office, series, text(rows).replace("\r\n", "\n"))
    for _ in range(2):
        office.chunk(job_id, rows_max, crashes=True)
    office.chunk(job_id, rows_max)
    office.chunk(job_id, rows_max, crashes=True)
    job = office.finish_in(job_id, rows_max)
    assert (job.done, job.ok, job.failed, job.total) == (10, 5, 5, 10)
    assert [code for code, _ in failures(office, job)] == [code for code in expected if code != "731"]
    taken = csv.DictReader(StringIO(office.written(job_id, FileRole.DONE)))
    assert [(row["redeemedDateInMillis"], row["mobile"]) for row in taken] == [
        (str(row[0]), row[2]) for row, code in zip(rows, expected, strict=True) if code == "731"
    ]
    assert office.differences() == []
    last = office.rows(t.customer_series, "redeemed", "uses", "last_redeemed_ms")
    assert last == [(1, 1, NOW_MS - DAY_MS - 1), (4, 4, NOW_MS - DAY_MS + 3)]


def test_the_same_file_again(office: Office) -> None:
    """A row that is recorded is a duplicate for good, also once its redemption was reversed; what that freed is free."""
    series, rows, _ = lot(office)
    assert done(office, series, rows).ok == 5
    assert [code for code, _ in failures(office, done(office, series, rows))] == [
        *("633", "633", "633", "633", "736", "633", "633", "728", "714", "633")
    ]
    (_, redemption_id), *_ = sorted(office.rows(t.redemption, "redeemed_ms", "id"), key=lambda row: -row[0])
    with office.shop.front() as front:
        body = {"redemptionIds": [redemption_id], "reactivationReason": "RETURNED"}
        assert front.ask("POST", "/v2/coupon/reactivate", json=body).json()["success"]
    job = done(office, series, rows)
    assert (job.ok, job.by_code) == (1, {"633": 7, "736": 1, "714": 1})


def test_shared_code(office: Office) -> None:
    """Each redeemer's own record, counted for them alone; none without `anyUser` (rules 3)."""
    common = {"clientHandlingType": "GENERIC", "isMultipleUseAllowed": "true", "maxRedemptionsInSeriesPerUser": "1"}
    new_series(office, "COMMON", genericCode="BIG10", anyUser="true", **common)
    new_series(office, "CLOSED", genericCode="BIG20", **common)
    till, at_ms = office.shop.till_id, NOW_MS - DAY_MS
    rows = [
        (at_ms, till, MIRA, "big10"),
        (at_ms + 1, till, MIRA, "BIG10"),
        (at_ms, till, ARUN, "BIG10"),
        (at_ms, till, MIRA, "BIG10"),
    ]
    assert [code for code, _ in failures(office, done(office, "COMMON", rows))] == ["716", "633"]
    assert told(office, "CLOSED", (at_ms, till, MIRA, "BIG20")) == ["723"]
    own = office.rows(t.coupon, "issued_ms", "issued_till_id", "redeemed", "uses", "issued_by_redemption", code="BIG10")
    assert own == [(at_ms, till, 1, 1, True), (at_ms, till, 1, 1, True), (None, None, 0, 0, False)]
    with office.shop.front() as front:
        assert front.redeem("BIG10").json()["redemptionStatus"]["code"] == 716


HOSTILE: Final = (
    (b"\xff1930000000000,301,919812300001,X", "629"),
    (b"1930000000000,301,919812300001,A\x00B", "629"),
    (b"1930000000000,301,919812300001", "629"),
    (b"1930000000000,301,919812300001,X,Y", "629"),
    (b'1930000000000,301,"91981,X', "629"),
    (b"-1930000000000,301,919812300001,X", "629"),
    (b"99999999999999999999,301,919812300001,X", "629"),
    (b"1930000000000,99999999999999999999,919812300001,X", "629"),
    (b"1930000000000,301,919812300001,\xed\xa0\x80", "629"),
    ("1930000000000,301,919812300001,\u0660".encode(), "629"),
)


def test_hostile_rows_cost_themselves_alone(office: Office) -> None:
    """BOM, CRLF and quoted line ends are read; the error file repeats the bytes that came, and no formula."""
    code = office.shop.coupon()
    columns = COLUMNS[:4]
    good = f'{NOW_MS - DAY_MS},{office.shop.till_id},"{MIRA}\r\n",{code}'.encode()
    lines = [row.replace(b"301", str(office.shop.till_id).encode()) for row, _ in HOSTILE if b'"' not in row]
    body = b"\r\n".join([",".join(columns).encode(), *lines, good, b"", b'1930000000000,"open'])
    job = office.finish(put(office, "MON", b"\xef\xbb\xbf" + body, columns))
    assert (job.ok, job.failed, job.state) == (1, len(lines) + 1, "finished")
    assert office.differences() == []
    errors = office.folder.written(office.org_id, job.id, FileRole.ERRORS).read_bytes()
    assert b"\xff1930000000000," in errors
    assert b"A\x00B" in errors


def test_files_that_are_none(office: Office) -> None:
    short = COLUMNS[:3]
    job = office.finish(put(office, "MON", text([(1, 2, 3)], short), COLUMNS))
    assert failures(office, job) == [("629", "Invalid Input: there is no column for couponCode")]
    for content, problem in ((b"", "it is empty"), ("a,b\n".encode("utf-16"), "UTF-8")):
        job = office.finish(put(office, "MON", content))
        assert (job.state, problem in job.problem) == ("failed", True)
    job_id = put(office, "MON", b"a\n1\n")
    office.folder.upload(office.org_id, office.job(job_id).request["uploadId"]).unlink()
    assert office.finish(job_id).problem == "the uploaded file is not there any more"


def test_returned_error_file(office: Office) -> None:
    """What comes back mended still has the columns that we added, and the apostrophes."""
    code = office.shop.coupon(code="-DASH")
    row = (NOW_MS - DAY_MS, office.shop.till_id, MIRA, "'-DASH", "", "", "'=1+1")
    columns = (*COLUMNS, "errorCode", "errorMessage")
    upload_id = office.upload(text([(*row, 719, "Coupon code does not exist")], columns).encode())
    job = office.finish(office.ask(JobKind.REDEEMED_UPLOAD, asked(office, upload_id), office.series_id("MON")))
    assert (job.ok, code) == (1, "-DASH")
    assert office.rows(t.redemption, "custom_fields") == [('{"details":"=1+1"}',)]
    assert office.written(job.id, FileRole.DONE).splitlines()[0] == ",".join((*COLUMNS, "status", "message"))
