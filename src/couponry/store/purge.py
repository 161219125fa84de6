"""What nobody will ask for again is forgotten: answers kept for repeats, codes sent to customers, what was told, files of jobs.

In ranges of a key, with short statements, so that nobody waits for them. Refusals and the jobs themselves stay.
"""

import re
from contextlib import suppress
from heapq import nsmallest
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Column, ColumnElement, Table, case, delete, func, or_, select, true

from couponry.core.deliveries import DeliveryState
from couponry.core.jobs import ENDED, FileRole
from couponry.core.limits import (
    ANSWER_KEPT_MS_MAX,
    DEAD_LETTER_KEPT_MS,
    DELIVERY_KEPT_MS,
    DERIVED_IDEMPOTENCY_HOURS_MAX,
    HOUR_MS,
    PURGE_DELIVERIES,
    PURGE_RANGE_ROWS,
    REMINDER_KEPT_MS,
    VALIDATION_KEPT_MS,
)
from couponry.core.problem import Problem
from couponry.store import schema as t
from couponry.store.engine import Database, ReadTransaction
from couponry.store.folder import Folder
from couponry.store.registry import read_org

# Only what is derived from a bill's number has a blank (`core.idempotency`).
_DERIVED: Final = t.idempotency.c.digest.like("% %")
# Files of jobs, and uploads, as `Folder` names them.
_OURS: Final = re.compile(r"(?P<id>[0-9]{1,18})(-(?P<what>[a-z]+(\.[a-z]+)?)|\.csv)")


class Step(NamedTuple):
    """A range that is done: how much of it was forgotten, and after which key the next begins; None after the last."""

    forgotten: int
    after: Any


def org_ids(database: Database) -> list[int]:
    """Every org."""
    with database.reading() as tx:
        return [row.id for row in tx.rows(select(t.org.c.id).order_by(t.org.c.id), {})]


def forget_answers(database: Database, org_id: int, now_ms: int, after: str) -> Step:
    """Answers that no repeat gets any more (README 10), in the next range of digests.

    One that is replaced meanwhile is young again; one that was read by a batch that replaces it makes it decide again.
    """
    with database.reading() as tx:
        derived_ms = _derived_kept_ms(tx, org_id)
    digest, created_ms = t.idempotency.c.digest, t.idempotency.c.created_ms
    is_over = (created_ms < now_ms - derived_ms) | ((created_ms < now_ms - ANSWER_KEPT_MS_MAX) & ~_DERIVED)
    return _forget(database, org_id, digest, after, is_over)


def forget_codes(database: Database, org_id: int, now_ms: int, after: int) -> Step:
    """Validation codes that were used or have expired a while ago, in the next range of ids."""
    otp, long_ago_ms = t.otp.c, now_ms - VALIDATION_KEPT_MS
    is_over = or_(otp.expires_ms < long_ago_ms, otp.used_ms < long_ago_ms)
    return _forget(database, org_id, otp.id, after, is_over, otp.created_ms < long_ago_ms)


def forget_calls(database: Database, org_id: int, now_ms: int, after: int) -> Step:
    """The same for missed calls, which count for less than a day."""
    is_over = t.missed_call.c.called_ms < now_ms - VALIDATION_KEPT_MS
    return _forget(database, org_id, t.missed_call.c.id, after, is_over, is_over)


def forget_deliveries(database: Database, org_id: int, now_ms: int, after: int) -> Step:
    """Deliveries that were made, or not to be made, a month ago, and dead letters that nobody has replayed for three."""
    row, before_ms = t.delivery.c, now_ms - DELIVERY_KEPT_MS
    is_told = (row.created_ms < before_ms) & row.state.in_((DeliveryState.DELIVERED, DeliveryState.SKIPPED))
    is_dead = (row.done_ms < now_ms - DEAD_LETTER_KEPT_MS) & (row.state == DeliveryState.FAILED)
    return _forget(database, org_id, row.id, after, is_told | is_dead, row.created_ms < before_ms, PURGE_DELIVERIES)


def forget_causes(database: Database, org_id: int, now_ms: int, after: int) -> Step:
    """What happened a month ago, in the next range of positions. What has a delivery stays: it may be made anew of it."""
    row, delivery = t.outbox.c, t.delivery.c
    # A count is looked up by its key; NOT EXISTS would be a join, by half of it where there are no statistics.
    of_it = select(func.count()).select_from(t.delivery).where(delivery.org_id == org_id, delivery.outbox_id == row.id)
    is_old = row.created_ms < now_ms - DELIVERY_KEPT_MS
    is_over = is_old & (of_it.correlate(t.outbox).scalar_subquery() == 0)
    return _forget(database, org_id, row.position, after, is_over, is_old)


def forget_reminders(database: Database, org_id: int, now_ms: int, after: int) -> Step:
    """Which coupons somebody was reminded of so long ago that no reminder of then can be due, in the next range of coupons."""
    is_over = t.reminder.c.sent_ms < now_ms - REMINDER_KEPT_MS
    return _forget(database, org_id, t.reminder.c.coupon_id, after, is_over)


def forget_job_files(database: Database, folder: Folder, org_id: int, before_ms: int, after: int) -> Step:
    """Files of jobs that had ended before an instant, in the next range of jobs. First the files: a name without one is found."""
    file, job = t.job_file.c, t.job.c
    with database.reading() as tx:
        written = select(file.job_id).distinct().where(file.org_id == org_id, file.job_id > after)
        ids = [row.job_id for row in tx.rows(written.order_by(file.job_id).limit(PURGE_RANGE_ROWS), {})]
        is_over = (job.org_id == org_id, job.id.in_(ids), job.state.in_(ENDED), job.updated_ms < before_ms)
        over = [row.id for row in tx.rows(select(job.id).where(*is_over), {})]
    for job_id in over:
        for role in FileRole:
            folder.written(org_id, job_id, role).unlink(missing_ok=True)
    if over:
        with database.writing() as tx:
            tx.connection.execute(delete(t.job_file).where(file.org_id == org_id, file.job_id.in_(over)))
    return Step(len(over), ids[-1] if len(ids) == PURGE_RANGE_ROWS else None)


def forget_uploads(database: Database, folder: Folder, org_id: int, before_ms: int, after: int) -> Step:
    """Files that came in before an instant and that no job still reads, in the next range of uploads."""
    upload, job = t.upload.c, t.job.c
    with database.reading() as tx:
        came = select(upload.id).where(upload.org_id == org_id, upload.id > after, upload.created_ms < before_ms)
        ids = [row.id for row in tx.rows(came.order_by(upload.id).limit(PURGE_RANGE_ROWS), {})]
        is_wanted = (job.org_id == org_id, job.state.not_in(ENDED))
        wanted = {_upload_of(row.request) for row in tx.rows(select(job.request).where(*is_wanted), {})} if ids else set()
    over = [upload_id for upload_id in ids if upload_id not in wanted]
    for upload_id in over:
        folder.upload(org_id, upload_id).unlink(missing_ok=True)
    if over:
        with database.writing() as tx:
            tx.connection.execute(delete(t.upload).where(upload.org_id == org_id, upload.id.in_(over)))
    return Step(len(over), ids[-1] if len(ids) == PURGE_RANGE_ROWS else None)


def forget_strays(database: Database, folder: Folder, org_id: int, before_ms: int, after: str) -> Step:
    """Files that no row names, last written to before an instant, in the next range of names.

    A crash leaves uploads whose row did not come about; jobs that were cancelled or failed leave what they had gathered.
    """
    found = ((f"{path.parent.parent.name}/{path.name}", path) for path in folder.kept(org_id))
    here = nsmallest(PURGE_RANGE_ROWS, (each for each in found if each[0] > after))
    old = {match: path for _, path in here if (match := _OURS.fullmatch(path.name)) and _is_older(path, before_ms)}
    job_ids = {int(match["id"]) for match in old if match["what"]}
    upload_ids = {int(match["id"]) for match in old if not match["what"]}
    file, job, upload = t.job_file.c, t.job.c, t.upload.c
    with database.reading() as tx:
        at_work = select(job.id).where(job.org_id == org_id, job.id.in_(job_ids), job.state.not_in(ENDED))
        writing = {row.id for row in tx.rows(at_work, {})} if job_ids else set()
        files = select(file.job_id, file.role).where(file.org_id == org_id, file.job_id.in_(job_ids))
        named = {(row.job_id, row.role) for row in tx.rows(files, {})} if job_ids else set()
        came = select(upload.id).where(upload.org_id == org_id, upload.id.in_(upload_ids))
        uploads = {row.id for row in tx.rows(came, {})} if upload_ids else set()
    forgotten = 0
    for match, path in old.items():
        own_id, what = int(match["id"]), match["what"]
        if own_id in writing or (own_id, what) in named if what else own_id in uploads:
            continue
        path.unlink(missing_ok=True)
        forgotten += 1
    return Step(forgotten, here[-1][0] if len(here) == PURGE_RANGE_ROWS else None)


def _is_older(path: Path, before_ms: int) -> bool:
    with suppress(FileNotFoundError):
        return path.stat().st_mtime * 1000 < before_ms
    return False


def _forget(
    database: Database,
    org_id: int,
    key: Column[Any],
    after: str | int,
    is_over: ColumnElement[bool],
    is_old: ColumnElement[bool] = true(),  # noqa: B008 - a constant
    most: int = PURGE_RANGE_ROWS,
) -> Step:
    """Delete what is over in the next range of a key. Where keys grow with time, nothing is after a range that is not all old."""
    table = key.table
    assert isinstance(table, Table)
    here = (table.c.org_id == org_id, key > after)
    over, old = (case((condition, 1), else_=0) for condition in (is_over, is_old))
    rows = select(key, over.label("over"), old.label("old")).where(*here).order_by(key).limit(most).subquery()
    with database.reading() as tx:
        summed = select(func.count(), func.max(rows.c[key.name]), func.sum(rows.c.over), func.sum(rows.c.old))
        ((count, last, over_count, old_count),) = tx.rows(summed, {})
    forgotten = 0
    if over_count:
        with database.writing() as tx:
            forgotten = tx.connection.execute(delete(table).where(*here, key <= last, is_over)).rowcount
    return Step(forgotten, last if count == most and old_count == count else None)


def _derived_kept_ms(tx: ReadTransaction, org_id: int) -> int:
    """How long an org keeps answers under derived keys; no shorter than others, in case that it is made longer again."""
    org = read_org(tx, org_id)
    hours = DERIVED_IDEMPOTENCY_HOURS_MAX if isinstance(org, Problem) else org.settings.derived_idempotency_hours
    return max(ANSWER_KEPT_MS_MAX, hours * HOUR_MS)


def _upload_of(request: str) -> int | None:
    """The upload that a job reads, or its audience."""
    asked = msgspec.json.decode(request)
    found: int | None = asked.get("uploadId") or (asked.get("audience") or {}).get("uploadId")
    return found
