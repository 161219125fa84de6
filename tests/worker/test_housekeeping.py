"""Housekeeping forgets what nobody will ask for again, and nothing else."""

import os
from threading import Event
from typing import Any

import pytest
from sqlalchemy import insert, text

from couponry.core.deliveries import Channel
from couponry.core.idempotency import explicit_digest
from couponry.core.jobs import FileRole, JobKind, JobState
from couponry.core.limits import DAY_MS, HOUR_MS, PURGE_RANGE_ROWS
from couponry.store import purge
from couponry.store import schema as t
from couponry.store.delivery_log import replay
from couponry.store.engine import Database
from couponry.worker import housekeeping
from couponry.worker.housekeeping import Housekeeping
from couponry.worker.work import Desk
from tests.api.shop import NOW_MS
from tests.store.outboxes import statements
from tests.store.test_statements import is_walk
from tests.worker.desk import SECRET, Office


def keeping(office: Office, database: Database | None = None) -> Housekeeping:
    return Housekeeping(Desk(database or office.database, office.folder, office.shop.clock, SECRET), files_kept_days=30)


def tidied(office: Office) -> dict[str, int]:
    return {name: count for name, count in keeping(office).tidy_up(Event()).items() if count}


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


def tell(office: Office, serial: int, days: int, state: str = "delivered", **columns: Any) -> None:
    """A cause of so many days ago, and its delivery, done in the same minute."""
    at = {"created_ms": NOW_MS - days * DAY_MS, "next_ms": 1, "since_ms": 1}
    done_ms = None if state == "waiting" else at["created_ms"]
    told = {"outbox_id": serial, "target_id": 1, "body": "{}", "attempts": 1, "problem": "", "request_id": "r", "ref_id": "f"}
    if state != "purged":
        row = {"event": "CouponIssue", **at, **told, "state": state, "done_ms": done_ms, **columns}
        office.shop.add(t.delivery, id=serial, **row)
    happened = {"subject_id": 1, "request_id": "r", "created_ms": at["created_ms"]}
    office.shop.add(t.outbox, id=serial, event="CouponIssue", **happened, position=serial)


def test_what_was_told_a_month_ago(office: Office) -> None:
    """What failed is kept for longer, and of what it was made; who looks for what is new finds it no sooner than it is told."""
    told = ("delivered", 31), ("failed", 91), ("failed", 31), ("skipped", 31), ("purged", 31), ("waiting", 31), ("delivered", 29)
    for serial, (state, days) in enumerate(told, 1):
        tell(office, serial, days, state)
    tell(office, 8, 31, "failed", done_ms=NOW_MS)
    happened = {"subject_id": 1, "request_id": "r", "created_ms": NOW_MS - 99 * DAY_MS}
    office.shop.add(t.outbox, id=9, event="CouponIssue", **happened)
    assert tidied(office) == {"deliveries": 3, "causes": 4}
    assert office.rows(t.delivery, "id") == [(3,), (6,), (7,), (8,)]
    assert office.rows(t.outbox, "id") == [(3,), (6,), (7,), (8,), (9,)]


def test_a_dead_letter_can_be_made_anew_as_long_as_it_is_kept(office: Office) -> None:
    """Prevents a replay that deletes the letter, and finds nothing to make another of."""
    tell(office, 1, 80, "failed", target_id=Channel.UNTOLD)
    assert tidied(office) == {}
    with office.database.writing() as tx:
        assert replay(tx, office.org_id, 1, NOW_MS) is None
    assert office.rows(t.outbox, "id", "position") == [(1, None)]


def test_dead_letters_do_not_hide_what_is_behind_them(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """More of them than there is time to walk past: the next time goes on there."""
    monkeypatch.setattr(housekeeping, "PURGE_MS_MAX", 0)
    monkeypatch.setattr(purge, "PURGE_DELIVERIES", 2)
    for serial in range(1, 6):
        tell(office, serial, 40, "failed")
    tell(office, 6, 40)
    keeper = keeping(office)
    assert [keeper.tidy_up(Event())["deliveries"] for _ in range(4)] == [0, 0, 1, 0]


def test_reminders_of_coupons_long_gone(office: Office) -> None:
    for coupon_id, days in ((1, 401), (1, 399), (2, 401), (3, 10)):
        office.shop.add(t.reminder, coupon_id=coupon_id, reminder=f"{days} SMS", sent_ms=NOW_MS - days * DAY_MS)
    assert tidied(office) == {"reminders": 2}
    assert office.rows(t.reminder, "reminder") == [("10 SMS",), ("399 SMS",)]


def test_causes_and_deliveries_are_found_by_their_indexes(office: Office) -> None:
    if not office.database.is_sqlite:
        return
    tell(office, 1, 40)
    database = office.shop.database  # which reads and writes on one engine
    with statements(database) as seen:
        forgotten = keeping(office, database).tidy_up(Event())
    assert (forgotten["deliveries"], forgotten["causes"]) == (1, 1)
    with office.database.reading() as tx:
        plans = {
            sql: [row.detail for row in tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", parameters)]
            for sql, parameters in seen
            if " outbox" in sql or " delivery" in sql
        }
    assert len(plans) == 4
    steps = [step for listed in plans.values() for step in listed if " outbox" in step or " delivery" in step]
    assert [step for step in steps if is_walk(step)] == []
    assert any("uq_outbox_position (org_id=? AND position>?" in step for step in steps)


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
