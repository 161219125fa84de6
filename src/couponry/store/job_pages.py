"""What the console shows of jobs beside themselves: who asked for them, and the series that they are about."""

from collections.abc import Collection

from sqlalchemy import BigInteger, String, func, select

from couponry.store import schema as t
from couponry.store.engine import ReadTransaction
from couponry.store.statements import org_parameter

SUBJECT = "job"
"""The kind of subject that whoever makes a job in the console names in the audit log, with the job's id."""


def askers(tx: ReadTransaction, org_id: int, job_ids: Collection[int]) -> dict[int, str]:
    """Who asked for each: the actor of the first entry about it. Jobs that came otherwise have none. One statement."""
    audit, keys = t.audit.c, tx.dialect.keys("subjects", String())
    first = (
        select(func.min(audit.id).label("id"))
        .select_from(keys.probing(t.audit, "subject_id", index="ix_audit_subject"))
        .where(audit.subject_kind == SUBJECT)
        .group_by(audit.subject_id)
        .subquery()
    )
    same = (audit.org_id == org_parameter()) & (audit.id == first.c.id)
    found = select(audit.subject_id, audit.actor).select_from(first.join(t.audit, same))
    rows = tx.rows(found, {"org": org_id, **keys.bound([(str(job_id),) for job_id in sorted(job_ids)])})
    return {int(row.subject_id): row.actor for row in rows}


def series_coded(tx: ReadTransaction, org_id: int, series_ids: Collection[int | None]) -> dict[int, str]:
    """The codes of these series, in capitals as they are compared. One statement."""
    keys, series = tx.dialect.keys("ids", BigInteger()), t.series.c
    found = select(series.id, series.code_key).select_from(keys.probing(t.series, "id"))
    wanted = sorted(each for each in set(series_ids) if each is not None)
    return {row.id: row.code_key for row in tx.rows(found, {"org": org_id, **keys.bound([(each,) for each in wanted])})}
