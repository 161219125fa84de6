"""Uploads of redemptions made elsewhere: the rules of a row in their order, limits within a file and beside tills, and files from hell."""

import csv
from io import StringIO
from typing import Any, Final

import pytest

from couponry.core.jobs import FileRole, Job, JobKind
from couponry.core.limits import REDEEMED_ELSEWHERE_MS_MIN
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
    stem = f"{office.org_id}_{job.series_id}2031_03_10_12_50_00"
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
