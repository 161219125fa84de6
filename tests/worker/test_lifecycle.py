"""Revoke and re-date in bulk: the coupons that are meant, each once and told of, whatever crashes, and beside redemptions."""

from collections import Counter
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest

from couponry.core.bulk_lifecycle import just_past
from couponry.core.expiry import last_ms
from couponry.core.jobs import FileRole, Job, JobKind, JobState
from couponry.store import schema as t
from tests.api.shop import MIRA
from tests.store.test_merge import counting
from tests.worker.desk import Office

ARUN: Final = {"mobile": "919812300002"}
POOL: Final = {"seriesCode": "POOL", "clientHandlingType": "DISC_CODE_PIN", "anyUser": "true"}
SHARED: Final = {"seriesCode": "SHARED", "clientHandlingType": "GENERIC", "genericCode": "WELCOME"}
AGAIN: Final = {"isMultipleUseAllowed": "true", "sameUserMultipleRedeem": "true"}


def done(job: Job) -> tuple[JobState, int | None, int, int, int]:
    return job.state, job.total, job.done, job.ok, job.failed


def revoke(office: Office, series: str, coupons: str = "unredeemed", audience: Any = None) -> int:
    return office.ask(JobKind.REVOKE, {"coupons": coupons, "audience": audience}, office.series_id(series))


def redate(office: Office, series: str, until: str, coupons: str = "unredeemed", audience: Any = None) -> int:
    request = {"coupons": coupons, "audience": audience, "expiresLocal": until}
    return office.ask(JobKind.EXPIRY, request, office.series_id(series))


def revoked(office: Office) -> set[str]:
    rows = office.rows(t.coupon, "code", "revoked_ms", "revision", "id")
    assert all((revision == coupon_id) is (at_ms is not None) for _, at_ms, revision, coupon_id in rows)
    return {code for code, at_ms, *_ in rows if at_ms is not None}


def expiries(office: Office) -> dict[str, str | None]:
    return dict(office.rows(t.coupon, "code", "expires_local"))


def told(office: Office, event: str) -> list[str]:
    """The codes of the coupons that others are told of."""
    codes = dict(office.rows(t.coupon, "id", "code"))
    return sorted(codes[subject_id] for (subject_id,) in office.rows(t.outbox, "subject_id", event=event))


def pool(office: Office, count: int, **fields: Any) -> list[str]:
    office.shop.series(**POOL, **fields)
    codes = [f"P{number:05}" for number in range(count)]
    for code in codes:
        office.shop.coupon(code, series="POOL", mobile="")
    return codes


def test_all_that_nobody_has_redeemed(office: Office) -> None:
    pool(office, 6, **AGAIN)
    office.shop.coupon("HELD", series="POOL")
    office.shop.coupon("REVOKED", series="POOL", state="REVOKED")
    office.shop.coupon("ELSEWHERE")
    with office.shop.front() as front:
        assert front.redeem("P00001", "HELD").json()["redemptionStatus"]["code"] == 700
    job = office.finish_in(revoke(office, "POOL"), 3)
    assert done(job) == (JobState.FINISHED, 8, 8, 5, 0)
    assert revoked(office) == {"REVOKED", *(f"P{number:05}" for number in (0, 2, 3, 4, 5))}
    assert told(office, "CouponRevoke") == sorted(revoked(office) - {"REVOKED"})
    assert office.differences() == []
    with office.shop.front() as front:
        assert front.redeem("P00001").json()["redemptionStatus"]["code"] == 700, "it is multi-use, and was redeemed before"
        assert front.redeem("P00002").json()["redemptionStatus"]["code"] == 660


def test_only_what_was_never_issued(office: Office) -> None:
    pool(office, 5)
    office.shop.coupon("HELD", series="POOL")
    with office.shop.front() as front:
        assert front.redeem("P00001").json()["redemptionStatus"]["code"] == 700, "a bearer code is redeemed and never issued"
    job = office.finish_in(revoke(office, "POOL", "unissued"), 2)
    assert done(job) == (JobState.FINISHED, 5, 5, 4, 0)
    assert revoked(office) == {"P00000", "P00002", "P00003", "P00004"}
    assert office.rows(t.customer_series, "issued") == [(1,)]
    assert office.differences() == []


def test_records_of_a_shared_code_but_never_the_code_itself(office: Office) -> None:
    office.shop.series(**SHARED)
    for mobile in (MIRA["mobile"], ARUN["mobile"]):
        office.shop.coupon("WELCOME", series="SHARED", mobile=mobile)
    assert done(office.finish(redate(office, "SHARED", "2031-03-20T10:00:00")))[3] == 2
    assert done(office.finish(revoke(office, "SHARED", "unissued")))[3] == 0
    assert done(office.finish(revoke(office, "SHARED")))[3] == 2
    kept = office.rows(t.coupon, "holder_id", "revision", "expires_local", code="WELCOME")
    assert (0, 0, None) in kept
    assert [row for row in kept if row[1] == 0] == [(0, 0, None)]
    assert Counter(office.rows(t.customer_series, "issued")) == {(0,): 2}
    assert office.differences() == []


def test_listed_customers(office: Office) -> None:
    """Two of Mira's, one of Arun's; of the rest each row says why it failed."""
    for code in ("ONE", "TWO"):
        office.shop.coupon(code)
    office.shop.coupon("THREE", mobile=ARUN["mobile"])
    office.shop.coupon("FOUR", mobile="919812300003")
    listed = 'name,who\r\nMira,9812300001\r\n"Nobody, at all",919800000000\r\nArun,+91 98123 00002\r\nMira,919812300001\r\n'
    content = f"\ufeff{listed}Dev,919812300004\r\nshort\r\n=1+1,\r\n".encode()
    audience = {"uploadId": office.upload(content), "identifier": "mobile", "column": 1}
    job = office.finish_in(revoke(office, "MON", audience=audience), 2)
    assert done(job) == (JobState.FINISHED, 8, 8, 3, 3)
    assert job.by_code == {"701": 2, "629": 1}
    assert revoked(office) == {"ONE", "TWO", "THREE"}
    assert office.written(job.id, FileRole.ERRORS).splitlines() == [
        "name,who,errorCode,errorMessage",
        '"Nobody, at all",919800000000,701,"The customer could not be found. Please check mobile, email, external id passed"',
        "short,,629,Invalid Input: there is no column 1",
        '\'=1+1,,701,"The customer could not be found. Please check mobile, email, external id passed"',
    ]
    file = job.file(FileRole.ERRORS)
    assert file
    assert file.name.startswith(f"error_{office.org_id}_")
    assert office.differences() == []


@pytest.mark.parametrize(("kind", "value"), [("email", "Mira@Example.com"), ("externalId", "CRM-77"), ("id", "")])
def test_whatever_customers_are_listed_by(office: Office, kind: str, value: str) -> None:
    office.shop.coupon("ONE")
    ((mira,),) = office.rows(t.customer, "id", external_id="CRM-77")
    audience = {"uploadId": office.upload(f"who\n{value or mira}\n".encode()), "identifier": kind, "column": 0}
    assert done(office.finish(revoke(office, "MON", audience=audience))) == (JobState.FINISHED, 1, 1, 1, 0)


def test_somebody_with_more_coupons_than_are_read_of_each(office: Office) -> None:
    office.shop.coupon("FIRST", mobile=ARUN["mobile"])
    for number in range(57):
        office.shop.coupon(f"MANY{number}")
    office.shop.coupon("LAST", mobile="919812300003")
    rows = "\n".join(["who", ARUN["mobile"], MIRA["mobile"], "919812300003"])
    audience = {"uploadId": office.upload(rows.encode()), "identifier": "mobile", "column": 0}
    job = office.finish_in(redate(office, "MON", "2031-03-12T23:59:59", audience=audience), 5)
    assert done(job) == (JobState.FINISHED, 59, 59, 59, 0)
    assert told(office, "CouponExpiryChange") == sorted(expiries(office))


def test_another_expiry(office: Office) -> None:
    """It wins over the series' and over what the coupon had, in pools too; what has it already is not told of again."""
    pool(office, 2)
    office.shop.coupon("HELD", series="POOL", validTillDateTime="2031-03-01T00:00:00")
    office.shop.coupon("SAME", series="POOL", validTillDateTime="2031-04-01T12:00:00")
    job = office.finish(redate(office, "POOL", "2031-04-01T12:00:00"))
    assert done(job) == (JobState.FINISHED, 4, 4, 3, 0)
    assert set(expiries(office).values()) == {"2031-04-01T12:00:00"}
    assert told(office, "CouponExpiryChange") == ["HELD", "P00000", "P00001"]
    with office.shop.front() as front:
        assert front.check(code="HELD").json()["redemptionStatus"]["code"] == 700
    assert office.differences() == []


def test_a_time_in_the_past_is_now(office: Office) -> None:
    office.shop.coupon("ALIVE")
    office.shop.coupon("DEAD", validTillDateTime="2031-03-01T00:00:00")
    job = office.finish(redate(office, "MON", "2001-01-01T00:00:00"))
    assert done(job) == (JobState.FINISHED, 2, 2, 1, 0)
    assert expiries(office) == {"ALIVE": "2031-03-10T18:19:59", "DEAD": "2031-03-01T00:00:00"}
    with office.shop.front() as front:
        assert front.redeem("ALIVE").json()["redemptionStatus"]["code"] == 713


def test_past_is_past_where_clocks_go_back() -> None:
    zone = ZoneInfo("Europe/Berlin")
    back_ms = int(datetime(2031, 10, 26, 0, 0, tzinfo=UTC).timestamp() * 1000)
    for minutes in range(0, 180, 10):
        now_ms = back_ms + minutes * 60_000
        assert last_ms(datetime.fromisoformat(just_past(now_ms, zone)), zone) < now_ms


def test_what_cannot_be_done(office: Office) -> None:
    office.shop.coupon("ONE")
    office.shop.series(seriesCode="OVER", validTillDate="2031-03-01")
    gone = {"uploadId": 99, "identifier": "mobile", "column": 0}
    empty = {**gone, "uploadId": office.upload(b"")}
    for job_id, problem in (
        (redate(office, "MON", "2031-05-01T00:00:00"), "691 coupon code expiry date cannot be set beyond series expiry"),
        (revoke(office, "OVER"), "712 "),
        (office.ask(JobKind.REVOKE, {"coupons": "unredeemed"}, 99), "755 "),
        (revoke(office, "MON", audience=gone), "the file of customers is not there any more"),
        (revoke(office, "MON", audience=empty), "the file of customers is empty"),
    ):
        job = office.finish(job_id)
        assert (job.state, job.problem[: len(problem)], job.done) == (JobState.FAILED, problem, 0)
    assert revoked(office) == set()


def test_a_crash_before_a_commit_leaves_nothing(office: Office) -> None:
    pool(office, 5)
    audience = {"uploadId": office.upload(b"who\n1\n2\n3\n4\n"), "identifier": "id", "column": 0}
    for job_id in (revoke(office, "POOL"), revoke(office, "MON", audience=audience)):
        while (job := office.chunk(job_id, 2, crashes=True)).state is not JobState.FINISHED:
            before = job.done
            job = office.chunk(job_id, 2)
            assert job.done > before or job.state is JobState.FINISHED
            if job.state is JobState.FINISHED:
                break
    assert len(told(office, "CouponRevoke")) == len(revoked(office)) == 5
    assert office.written(job_id, FileRole.ERRORS).count("701") == 4
    assert office.differences() == []


def test_cancelled_in_the_middle(office: Office) -> None:
    pool(office, 6)
    job_id = revoke(office, "POOL")
    office.chunk(job_id, 4)
    office.move(job_id, JobState.CANCELLED)
    office.finish(job_id)
    assert len(told(office, "CouponRevoke")) == len(revoked(office)) == 4
    assert office.differences() == []


def test_statements_do_not_depend_on_the_chunk(office: Office) -> None:
    pool(office, 60)
    costs = []
    for kind in (revoke, lambda office, series: redate(office, series, "2031-04-01T12:00:00")):
        job_id = kind(office, "POOL")
        office.chunk(job_id, 1)
        for rows in (2, 25):
            seen: list[Any] = []
            with counting(office.database, seen):
                office.chunk(job_id, rows)
            costs.append(len([one for one in seen if "DISCARD" not in str(one)]))
        office.move(job_id, JobState.CANCELLED)
    assert costs[0] == costs[1]
    assert costs[2] == costs[3]


@pytest.mark.parametrize("kind", [JobKind.REVOKE, JobKind.EXPIRY])
def test_redeemed_after_it_was_found(office: Office, kind: JobKind) -> None:
    """It is looked at again under its lock."""
    found = [office.shop.coupon(code) for code in ("ONE", "TWO")]
    request = {"coupons": "unredeemed", "audience": None, "expiresLocal": "2031-04-01T12:00:00"}
    job_id = office.ask(kind, request, office.series_id("MON"))
    write = office.works[kind].chunk(office.job(job_id), len(found) + 1)
    with office.shop.front() as front:
        assert front.redeem("ONE").json()["redemptionStatus"]["code"] == 700
    with office.database.writing() as tx:
        progress = write(tx)
    assert (progress.done, progress.ok, progress.total) == (2, 1, 2)
    assert "ONE" not in revoked(office)
    assert expiries(office)["ONE"] is None
    assert office.differences() == []


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_beside_redemptions(office: Office) -> None:
    """Whoever comes first has the coupon: it is either redeemed or revoked, and each is told of once."""
    codes = [office.shop.coupon(f"R{number:03}") for number in range(240)]
    job_id = revoke(office, "MON")
    begin = Event()

    def sweep() -> None:
        begin.wait()
        office.finish_in(job_id, 8)

    thread = Thread(target=sweep)
    thread.start()
    statuses = {}
    with office.shop.front() as front:
        begin.set()
        for at in range(0, len(codes), 4):  # from the end, towards the job
            code = codes[-1 - at]
            statuses[code] = front.redeem(code).json()["redemptionStatus"]["code"]
        thread.join()
    redeemed = {code for code, status in statuses.items() if status == 700}
    assert set(statuses.values()) <= {700, 660}
    assert redeemed | revoked(office) == set(codes)
    assert not redeemed & revoked(office)
    assert told(office, "CouponRevoke") == sorted(revoked(office))
    assert office.differences() == []
