"""Housekeeping forgets what nobody will ask for again, and nothing else."""

import os
from threading import Event
from typing import Any

from sqlalchemy import insert, text

from couponry.core.idempotency import explicit_digest
from couponry.core.jobs import FileRole, JobKind, JobState
from couponry.core.limits import DAY_MS, HOUR_MS, PURGE_RANGE_ROWS
from couponry.store import schema as t
from couponry.worker.housekeeping import Housekeeping
from couponry.worker.work import Desk
from tests.api.shop import NOW_MS
from tests.worker.desk import SECRET, Office


def tidied(office: Office) -> dict[str, int]:
    housekeeping = Housekeeping(Desk(office.database, office.folder, office.shop.clock, SECRET), files_kept_days=30)
    return {name: count for name, count in housekeeping.tidy_up(Event()).items() if count}


def keep_answers(office: Office, *answers: tuple[str, int]) -> None:
    """Answers under these digests, so many hours ago."""
    rows = [
        {"org_id": office.org_id, "digest": digest, "created_ms": NOW_MS - hours * HOUR_MS, "fingerprint": b"", "answer": b""}
        for digest, hours in answers
    ]
    with office.database.writing() as tx:
        tx.connection.execute(insert(t.idempotency), rows)


def test_answers_as_long_as_a_repeat_gets_them(office: Office) -> None:
    office.shop.set(derivedIdempotencyHours="48")
    keep_answers(office, ("young", 23), ("old", 25), ("B1 young", 47), ("B1 old", 49))
    assert tidied(office) == {"answers": 2}
    assert office.rows(t.idempotency, "digest") == [("B1 young",), ("young",)]


def test_answers_in_several_ranges(office: Office) -> None:
    keep_answers(
        office, *((explicit_digest("till", f"{number}"), 30 if number % 3 else 1) for number in range(2 * PURGE_RANGE_ROWS))
    )
    keep_answers(office, ("~ last", 30))
    assert tidied(office) == {"answers": 2 * PURGE_RANGE_ROWS - (2 * PURGE_RANGE_ROWS + 2) // 3 + 1}
    assert tidied(office) == {}


def test_a_redemption_s_answer_goes_and_its_traces_stay(office: Office) -> None:
    code = office.shop.coupon()
    with office.shop.front() as front:
        bill = {"transactionNumber": "B1"}
        assert front.redeem(code, **bill).json()["redemptionStatus"]["code"] == 700
        assert front.redeem(code, transactionNumber="B2").json()["redemptionStatus"]["code"] == 711
        office.shop.clock.ms += 20 * HOUR_MS
        assert tidied(office) == {}
        assert front.redeem(code, **bill).headers["Idempotency-Replayed"] == "derived"
        office.shop.clock.ms += 5 * HOUR_MS
        assert tidied(office) == {"answers": 1}
        assert front.redeem(code, **bill).json()["redemptionStatus"]["code"] == 711
    assert len(office.rows(t.outbox, "id")) == 1
    assert len(office.rows(t.refusal, "id")) == 2


def test_codes_and_calls_of_a_week_ago(office: Office) -> None:
    sent = {
        "customer_id": 1,
        "scope": "COUPON",
        "entity_type": "MOBILE",
        "entity_value": "1",
        "mac": "",
        "sealed": b"",
        "message": "{}",
    }
    for number, (created, expires, used) in enumerate(((9, 8, None), (9, -1, 8), (9, -1, 6), (9, 6, None), (1, 1, None)), 1):
        used_ms = None if used is None else NOW_MS - used * DAY_MS
        times = {"created_ms": NOW_MS - created * DAY_MS, "expires_ms": NOW_MS - expires * DAY_MS, "used_ms": used_ms}
        office.shop.add(t.otp, id=number, **sent, **times)
    for number, days in enumerate((8, 6), 1):
        office.shop.add(t.missed_call, id=number, customer_id=1, mobile="1", called_ms=NOW_MS - days * DAY_MS)
    assert tidied(office) == {"codes": 2, "calls": 1}
    assert office.rows(t.otp, "id") == [(3,), (4,), (5,)]
    assert office.rows(t.missed_call, "id") == [(2,)]


def test_files_of_jobs_that_ended_long_ago(office: Office) -> None:
    """What a paused job still reads stays, however old."""
    audiences = [{"uploadId": office.upload(b"who\n1\n"), "identifier": "id", "column": 0} for _ in range(3)]
    series_id = office.series_id("MON")
    old, paused, young = (
        office.ask(JobKind.REVOKE, {"coupons": "unredeemed", "audience": audience}, series_id) for audience in audiences
    )
    office.finish(old)
    office.move(paused, JobState.PAUSED)
    office.shop.clock.ms += 30 * DAY_MS
    office.finish(young)
    assert tidied(office) == {}
    office.shop.clock.ms += 1
    assert tidied(office) == {"job_files": 1, "uploads": 2}, "the young job has read its file"
    assert [bool(office.written(job_id, FileRole.ERRORS)) for job_id in (old, young)] == [False, True]
    assert [office.folder.written(office.org_id, job_id, FileRole.ERRORS).exists() for job_id in (old, young)] == [False, True]
    assert [office.folder.upload(office.org_id, audience["uploadId"]).exists() for audience in audiences] == [False, True, False]  # type: ignore[arg-type] # a number
    assert office.job(old).failed == 1
    office.move(paused, JobState.CANCELLED)
    assert tidied(office) == {"uploads": 1}


def test_files_that_no_row_names(office: Office) -> None:
    """A running job keeps its spool; what is young may still get its row; what is nobody's stays."""
    running, cancelled = (office.ask(JobKind.EXPORT, {"what": "coupons", "fileFormat": "parquet"}) for _ in "12")
    office.move(cancelled, JobState.CANCELLED)
    known = office.upload(b"who\n1\n")
    office.shop.change(t.upload, known, created_ms=office.shop.clock())
    spools = [office.folder.spool(office.org_id, job_id) for job_id in (running, cancelled)]
    stray, young = (office.folder.upload(office.org_id, known + more) for more in (1, 2))
    lost = [spools[1], spools[1].with_suffix(".made"), office.folder.written(office.org_id, cancelled, FileRole.ERRORS), stray]
    stay = [spools[0], office.folder.upload(office.org_id, known), young, young.with_name("notes.txt")]
    for path in (*lost, *stay):
        path.touch()
    soon_s = NOW_MS / 1000
    os.utime(young, (soon_s, soon_s))
    assert tidied(office) == {"strays": len(lost)}
    assert [path.exists() for path in (*lost, *stay)] == [False] * len(lost) + [True] * len(stay)


def test_workflows_that_ended_long_ago(office: Office) -> None:
    jobs: list[Any] = [
        office.ask(JobKind.REVOKE, {"coupons": "unredeemed", "audience": None}, office.series_id("MON")) for _ in "123"
    ]
    table = "workflow_status" if office.database.is_sqlite else "dbos.workflow_status"
    ended = text(f"UPDATE {table} SET status = 'SUCCESS', completed_at = :at WHERE workflow_uuid = :id")
    with office.database.writing() as tx:
        for job_id, days in zip(jobs, (31, 29), strict=False):
            tx.connection.execute(ended, {"at": NOW_MS - days * DAY_MS, "id": f"{office.org_id}-{job_id}-1"})
    assert tidied(office) == {"workflows": 1}
    with office.database.reading() as tx:
        left = {row.workflow_uuid for row in tx.rows(text(f"SELECT workflow_uuid FROM {table}"), {})}
    assert {f"{office.org_id}-{job_id}-1" for job_id in jobs[1:]} <= left
    assert f"{office.org_id}-{jobs[0]}-1" not in left
