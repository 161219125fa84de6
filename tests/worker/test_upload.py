"""Uploads of coupons: their three kinds, why rows fail, strange files, and stops in the middle."""

import csv
from collections.abc import Sequence
from io import StringIO
from typing import Any

import pytest
from sqlalchemy import update

from couponry.core.jobs import FileRole, Job, JobKind, JobState
from couponry.store import schema as t
from couponry.store.dialect import Trouble
from couponry.store.engine import StoreError
from tests.worker.desk import Office

MIRA, ARUN, LEENA, DEV = "919812300001", "919812300002", "919812300003", "919812300004"
SEVERAL = {"isMultipleVouchersPerUserAllowed": "true"}
DAY_MS = 86_400_000


def pool(office: Office, **terms: Any) -> int:
    office.shop.series(seriesCode="POOL", clientHandlingType="DISC_CODE_PIN", **terms)
    return office.series_id("POOL")


def asked(office: Office, series_id: int, content: bytes | str, identifier: str = "NOT_TAGGED", column: int = 0) -> int:
    upload_id = office.upload(content.encode() if isinstance(content, str) else content)
    names = {"uploadedName": f"codes_1_{series_id}.csv", "sentName": "codes.csv"}
    request = {"uploadId": upload_id, "identifier": identifier, "column": column, "tillId": office.shop.till_id, **names}
    return office.ask(JobKind.UPLOAD, request, series_id)


def uploaded(office: Office, series_id: int, content: bytes | str, identifier: str = "NOT_TAGGED", column: int = 0) -> Job:
    job = office.finish(asked(office, series_id, content, identifier, column))
    assert job.done == job.total == job.ok + job.failed
    assert office.differences() == []
    return job


def errors(office: Office, job: Job) -> list[str]:
    """The rows of the error file below its header."""
    return office.written(job.id, FileRole.ERRORS).splitlines()[1:]


def coupons(office: Office, series_id: int) -> list[tuple[Any, ...]]:
    return office.rows(t.coupon, "code", "customer_id", "issued_ms", series_id=series_id, revision=0)


def customer_ids(office: Office, *mobiles: str) -> list[int]:
    known: dict[str, int] = dict(office.rows(t.customer, "mobile", "id"))
    return [known[mobile] for mobile in mobiles]


def uploaded_count(office: Office, series_id: int) -> int:
    return sum(count for (count,) in office.rows(t.series_counter, "uploaded", series_id=series_id))


def test_codes_come_into_the_pool(office: Office) -> None:
    series_id = pool(office)
    job = uploaded(office, series_id, "code\nPool-1\n pool_2 \nP3\n")
    assert (job.state, job.total, job.ok, job.failed, job.files) == (JobState.FINISHED, 3, 3, 0, ())
    assert coupons(office, series_id) == [("P3", None, None), ("Pool-1", None, None), ("pool_2", None, None)]
    assert uploaded_count(office, series_id) == 3
    assert office.rows(t.outbox, "event") == []


def test_codes_that_cannot_be_are_told_with_their_reason(office: Office) -> None:
    series_id = pool(office)
    office.shop.coupon("TAKEN")
    job = uploaded(office, series_id, "code\nnew\nNEW\ntaken\na b\n" + "x" * 41 + '\n""\n=1+1\none,two\n')
    assert office.written(job.id, FileRole.ERRORS).split("\r\n") == [
        "code,errorCode,errorMessage",
        "NEW,633,duplicate code in the org or file",
        "taken,633,duplicate code in the org or file",
        "a b,702,bad code syntax",
        "x" * 41 + ",702,bad code syntax",
        ",702,bad code syntax",
        "'=1+1,702,bad code syntax",
        "one,629,Invalid Input: row 8: 2 cells where the header has 1",
        "",
    ]
    assert (job.ok, job.failed, job.by_code) == (1, 7, {"633": 2, "702": 4, "629": 1})
    (file,) = job.files
    assert file.name.startswith(f"error_{office.org_id}_{series_id}2031_03_10_18_20_00")


def test_numbers_with_a_sign_are_prefixed_and_read_again(office: Office) -> None:
    """To the letter of upload 4: what comes back from an error file is what was sent."""
    series_id = pool(office)
    job = uploaded(office, series_id, "who,code\n+919812399999,-5\n", "MOBILE")
    assert errors(office, job) == ["'+919812399999,'-5,701,unknown identifier"]
    mended = errors(office, job)[0].replace("99999", "00001").rsplit(",", 2)[0]
    assert uploaded(office, series_id, f"who,code\n{mended}\n", "MOBILE").ok == 1
    assert [code for code, *_ in coupons(office, series_id)] == ["-5"]


def test_rows_that_are_no_csv_are_repeated_as_text(office: Office) -> None:
    series_id = pool(office)
    job = uploaded(office, series_id, 'who,code\n"1"2,C1\n1,C2\n"open,C3\nC4\n', "MOBILE")
    told = list(csv.reader(StringIO(office.written(job.id, FileRole.ERRORS), newline="")))[1:]
    assert [cells[:3] for cells in told] == [['"1"2,C1', "", "629"], ["1", "C2", "701"], ['"open,C3\nC4', "", "629"]]


def test_an_external_series_takes_codes_and_nobody(office: Office) -> None:
    office.shop.series(seriesCode="EXT", externalIssual="true")
    series_id = office.series_id("EXT")
    assert uploaded(office, series_id, "code\nE1\n").ok == 1
    assert coupons(office, series_id) == [("E1", None, None)]
    assert uploaded_count(office, series_id) == 0
    job = office.finish(asked(office, series_id, f"mobile\n{MIRA}\n", "MOBILE"))
    assert (job.state, job.problem) == (JobState.FAILED, "the series takes no customers")


@pytest.mark.parametrize(
    ("identifier", "mira", "unknown"),
    [
        ("MOBILE", "+91 98123-00001", "919812399999"),
        ("EMAIL", "Mira@Example.com", "nobody@example.com"),
        ("EXTERNAL_ID", "CRM-77", "CRM-0"),
        ("USER_ID", "", "1"),
    ],
)
def test_customers_are_named_by_any_identifier(office: Office, identifier: str, mira: str, unknown: str) -> None:
    (mira_id,) = customer_ids(office, MIRA)
    series_id = pool(office)
    job = uploaded(office, series_id, f"code,who\nT1,{mira or mira_id}\nT2,{unknown}\nT3,\nT4,none\n", identifier, 1)
    assert coupons(office, series_id) == [("T1", mira_id, office.shop.clock())]
    texts = ",701,unknown identifier"
    assert errors(office, job) == [f"T2,{unknown}{texts}", f"T3,{texts}", f"T4,none{texts}"]
    assert uploaded_count(office, series_id) == 1
    assert office.rows(t.coupon, "issued_till_id", series_id=series_id) == [(office.shop.till_id,)]
    assert office.rows(t.outbox, "event") == []


def test_customers_get_a_coupon_of_each_source(office: Office) -> None:
    content = f"mobile\n{MIRA}\n{ARUN}\n"
    mira_id, arun_id = customer_ids(office, MIRA, ARUN)
    generated = office.series_id("MON")
    assert uploaded(office, generated, content, "MOBILE").ok == 2
    assert sorted((len(code), who) for code, who, _ in coupons(office, generated)) == [(8, mira_id), (8, arun_id)]
    office.shop.series(seriesCode="BIG", clientHandlingType="GENERIC", genericCode="BIG10")
    shared = office.series_id("BIG")
    assert uploaded(office, shared, content, "MOBILE").ok == 2
    assert sorted(office.rows(t.coupon, "holder_id", series_id=shared)) == [(0,), (mira_id,), (arun_id,)]
    series_id = pool(office)
    uploaded(office, series_id, "code\nFIRST\nSECOND\n")
    assert uploaded(office, series_id, content, "MOBILE").ok == 2
    assert [(code, who) for code, who, _ in coupons(office, series_id)] == [("FIRST", mira_id), ("SECOND", arun_id)]


# The five that the upload pages document, and the others of upload 4.


def test_5002_max_coupon_per_user(office: Office) -> None:
    series_id = pool(office, **SEVERAL, maxVouchersPerUser="2")
    job = uploaded(office, series_id, f"mobile,code\n{MIRA},A1\n{MIRA},A2\n{MIRA},A3\n{ARUN},A3\n", "MOBILE")
    assert errors(office, job) == [f"{MIRA},A3,5002,max coupon per user exceeded"]
    mira_id, arun_id = customer_ids(office, MIRA, ARUN)
    assert [(code, who) for code, who, _ in coupons(office, series_id)] == [("A1", mira_id), ("A2", mira_id), ("A3", arun_id)]


def test_709_minimum_days(office: Office) -> None:
    series_id = pool(office, **SEVERAL, minDaysBetweenVouchers="3")
    job = uploaded(office, series_id, f"mobile,code\n{MIRA},A1\n{MIRA},A2\n", "MOBILE")
    assert errors(office, job) == [f"{MIRA},A2,709,minimum days between coupons not elapsed"]
    office.shop.clock.ms += 3 * DAY_MS
    assert uploaded(office, series_id, f"mobile,code\n{MIRA},A2\n", "MOBILE").ok == 1


def test_5001_max_create(office: Office) -> None:
    series_id = pool(office, maxCreate="1")
    job = uploaded(office, series_id, f"mobile,code\n{MIRA},A1\n{ARUN},A2\n", "MOBILE")
    assert errors(office, job) == [f"{ARUN},A2,5001,max create for series exceeded"]
    assert uploaded(office, series_id, "code\nA3\n").ok == 1  # a pool may be larger


def test_5004_a_shared_code_twice(office: Office) -> None:
    office.shop.series(seriesCode="BIG", clientHandlingType="GENERIC", genericCode="BIG10", **SEVERAL)
    job = uploaded(office, office.series_id("BIG"), f"mobile\n{MIRA}\n{MIRA}\n", "MOBILE")
    assert errors(office, job) == [f"{MIRA},5004,more than one GENERIC coupon to a customer"]


def test_633_a_code_twice(office: Office) -> None:
    series_id = pool(office)
    uploaded(office, series_id, "code\nUNISSUED\n")
    office.shop.coupon("ISSUED")
    content = f"mobile,code\n{MIRA},unissued\n{MIRA},issued\n{MIRA},A1\n{ARUN},a1\n"
    job = uploaded(office, series_id, content, "MOBILE")
    text = "633,duplicate code in the org or file"
    assert errors(office, job) == [f"{MIRA},unissued,{text}", f"{MIRA},issued,{text}", f"{ARUN},a1,{text}"]


def test_other_refusals(office: Office) -> None:
    gone = {"firstName": "Gone", "mobile": "919812300009"}
    office.shop.customers(gone)
    (gone_id,) = customer_ids(office, gone["mobile"])
    office.shop.change(t.customer, gone_id, deleted_ms=1)
    office.shop.series(seriesCode="LOYAL", issueToLoyalty="true")
    office.shop.customers({"firstName": "New", "mobile": "919812300010", "loyaltyType": "NON_LOYALTY"})
    series_id = pool(office)
    uploaded(office, series_id, "code\nONLY\n")
    job = uploaded(office, series_id, f"mobile\n{LEENA}\n{DEV}\n{gone['mobile']}\n{MIRA}\n{MIRA}\n{ARUN}\n", "MOBILE")
    assert errors(office, job) == [
        f"{LEENA},750,Operation not allowed. Not allowed - customer is marked as fraud.",
        f"{DEV},742,Coupon issue and redemption blocked for customer",
        f"{gone['mobile']},721,Invalid customer",
        f"{MIRA},709,user already has a coupon",
        f"{ARUN},722,Unable to create coupon",
    ]
    job = uploaded(office, office.series_id("LOYAL"), "mobile\n919812300010\n", "MOBILE")
    assert errors(office, job) == ["919812300010,710,Coupon is not meant for this customer"]


def test_a_revoked_code_is_transferred(office: Office) -> None:
    series_id = pool(office)
    office.shop.coupon("MOVED", "POOL", state="REVOKED")
    office.shop.coupon("ELSEWHERE", "MON", state="REVOKED")
    job = uploaded(office, series_id, f"mobile,code\n{ARUN},moved\n{ARUN},elsewhere\n", "MOBILE")
    (arun_id,) = customer_ids(office, ARUN)
    assert coupons(office, series_id) == [("moved", arun_id, office.shop.clock())]
    assert errors(office, job) == [f"{ARUN},elsewhere,633,duplicate code in the org or file"]


# Files from hell.


@pytest.mark.parametrize(
    "content",
    [
        b"code\nA1\nA2",
        b"\xef\xbb\xbfcode\r\nA1\r\nA2\r\n",
        b"code\rA1\rA2\r",
        b'\n"co\nde"\n\n"A1"\n\n\n A2 \n\n',
        b'code\n\xff\xfe\n\0\nA1\nA2\n"A\'3"\n"A4\n',
    ],
)
def test_strange_files(office: Office, content: bytes) -> None:
    series_id = pool(office)
    job = uploaded(office, series_id, content)
    assert [code for code, _, _ in coupons(office, series_id)] == ["A1", "A2"]
    assert job.failed == (4 if b"\0" in content else 0)


@pytest.mark.parametrize(
    ("content", "identifier", "column", "problem"),
    [
        (b"", "NOT_TAGGED", 0, "the header cannot be read"),
        (b'"co', "NOT_TAGGED", 0, "the header cannot be read"),
        ("code\nA1\n".encode("utf-16"), "NOT_TAGGED", 0, "not UTF-8"),
        (b"code,x\nA1,1\n", "NOT_TAGGED", 0, "one column"),
        (b"mobile,code\n1,A1\n", "MOBILE", 2, "no column 2"),
        (b"mobile,code,x\n1,A1,1\n", "MOBILE", 0, "at most a code column"),
    ],
)
def test_files_that_are_no_use(office: Office, content: bytes, identifier: str, column: int, problem: str) -> None:
    job = office.finish(asked(office, pool(office), content, identifier, column))
    assert job.state is JobState.FAILED
    assert problem in job.problem


def test_a_lost_file_and_a_lost_series(office: Office) -> None:
    job_id = asked(office, pool(office), "code\nA1\n")
    (path,) = office.folder.upload(office.org_id, 1).parent.iterdir()
    path.unlink()
    assert office.finish(job_id).problem == "the uploaded file is not there any more"
    assert office.finish(asked(office, 1, "code\nA1\n")).problem == "invalid coupon series id"
    assert office.finish(asked(office, office.series_id("MON"), "code\nA1\n")).problem == "the series takes no codes"


# Chunks.

CODES = b'\xef\xbb\xbfcode\r\nA1\r\n"a\r\n1"\r\na1\r\n\r\nA2\r\n"A3"\r\nA2\r\n"A4\r\n'
TAGGED = "\n".join(
    (
        "mobile,code",
        *(f"{LEENA},D1", f"{MIRA},D1", f"{ARUN},D1", f"{MIRA},D2", f"{MIRA},D3", f"{ARUN},D3"),
        *(f"{ARUN},D4", f'"{ARUN}","D\n5"', "1,D6", f"{ARUN},D7", f"{DEV},D8"),
    )
).encode()


def outcome(office: Office, job: Job, series_id: int) -> Sequence[object]:
    counters = office.rows(t.customer_series, "customer_id", "issued", "last_issued_ms", series_id=series_id)
    counts = (job.total, job.done, job.ok, job.failed, sorted(job.by_code.items()))
    return counts, office.written(job.id, FileRole.ERRORS), coupons(office, series_id), counters


@pytest.mark.parametrize(
    ("content", "identifier", "ok", "by_code"),
    [
        (CODES, "NOT_TAGGED", 3, {"629": 1, "633": 2, "702": 1}),
        (TAGGED, "MOBILE", 3, {"5001": 2, "5002": 1, "633": 1, "701": 1, "702": 1, "742": 1, "750": 1}),
    ],
)
def test_chunks_of_any_size_come_to_the_same(
    office: Office, content: bytes, identifier: str, ok: int, by_code: dict[str, int]
) -> None:
    found = []
    for rows_max in (1, 2, 3, 100):
        office.shop.series(
            seriesCode=f"P{rows_max}", clientHandlingType="DISC_CODE_PIN", **SEVERAL, maxVouchersPerUser="2", maxCreate="3"
        )
        series_id = office.series_id(f"P{rows_max}")
        job = office.finish_in(asked(office, series_id, content, identifier), rows_max)
        assert office.differences() == []
        found.append(outcome(office, job, series_id))
        with office.database.writing() as tx:  # so that the next series may have the codes
            live = (t.coupon.c.org_id == office.org_id, t.coupon.c.series_id == series_id)
            tx.connection.execute(update(t.coupon).where(*live).values(code_key=t.coupon.c.code_key + f"-{rows_max}"))
    assert found[1:] == found[:1] * 3
    assert found[0][0] == (total := ok + sum(by_code.values()), total, ok, total - ok, sorted(by_code.items()))


def test_a_job_goes_on_where_it_was_stopped(office: Office) -> None:
    series_id = pool(office)
    job_id = asked(office, series_id, "code\n" + "".join(f"A{n}\nA{n}\n" for n in range(50)))
    assert office.chunk(job_id, 30).done == 30
    office.move(job_id, JobState.PAUSED)
    assert office.finish(job_id).done == 30
    office.move(job_id, JobState.QUEUED)
    job = office.finish(job_id)
    assert (job.state, job.total, job.ok, job.failed) == (JobState.FINISHED, 100, 50, 50)
    assert len(coupons(office, series_id)) == 50
    assert office.differences() == []


def test_a_crash_before_the_commit_leaves_no_trace(office: Office) -> None:
    series_id = pool(office)
    job_id = asked(office, series_id, "code\n" + "".join(f"A{n}\na b{n}\n" for n in range(6)))
    office.chunk(job_id, 4)
    before = office.written(job_id, FileRole.ERRORS)
    crashed = office.chunk(job_id, 8, crashes=True)
    assert crashed.done == 4
    assert len(coupons(office, series_id)) == 2
    assert len(office.folder.written(office.org_id, job_id, FileRole.ERRORS).read_text()) > len(before)
    job = office.finish(job_id)
    lines = ["code,errorCode,errorMessage", *(f"a b{n},702,bad code syntax" for n in range(6))]
    assert office.folder.written(office.org_id, job_id, FileRole.ERRORS).read_text().splitlines() == lines
    assert (job.ok, job.failed, office.differences()) == (6, 6, [])


def test_a_code_that_somebody_takes_meanwhile_is_a_conflict(office: Office) -> None:
    series_id = pool(office)
    job_id = asked(office, series_id, "code\nA1\nA2\n")
    write = office.works[JobKind.UPLOAD].chunk(office.job(job_id), 10)
    office.shop.coupon("A1")
    with pytest.raises(StoreError) as raised, office.database.writing() as tx:
        write(tx)
    assert raised.value.trouble is Trouble.CONFLICT
    assert errors(office, office.finish(job_id)) == ["A1,633,duplicate code in the org or file"]
