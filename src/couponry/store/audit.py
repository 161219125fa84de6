"""The audit log: who did what, when, from where, and what it was before and after. Rows are written once and never change.

What is done in one transaction is recorded in it. What the ledger or a job does is recorded as asked for, before it is done, so
that nothing is ever done unrecorded.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import insert, select

from couponry.core.limits import AUDIT_WALKED_MAX
from couponry.store import schema as t
from couponry.store import serials
from couponry.store.engine import ReadTransaction, WriteTransaction


class Actor(Struct, frozen=True, kw_only=True):
    """Who does something, and by which request. `user_id` is None for whoever is not signed in."""

    org_id: int
    user_id: int | None
    email: str
    address: str
    request_id: str
    now_ms: int


class Entry(Struct, frozen=True):
    """One row, newest first in every list. `before` and `after` hold what a person would want to compare."""

    id: int
    done_ms: int
    actor: str
    address: str
    action: str
    subject_kind: str
    subject_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    request_id: str


_COLUMNS: Final = tuple(t.audit.c[name] for name in Entry.__struct_fields__)


def record(
    tx: WriteTransaction,
    actor: Actor,
    action: str,
    subject: tuple[str, object],
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write down an action on `subject` (kind, id), e.g. `("campaign", 7001)`. Never a secret."""
    kind, subject_id = subject
    row = {
        "id": serials.reserve(tx, actor.org_id, serials.AUDIT),
        "done_ms": actor.now_ms,
        "user_id": actor.user_id,
        "actor": actor.email,
        "address": actor.address,
        "action": action,
        "subject_kind": kind,
        "subject_id": str(subject_id),
        "before": _text(before),
        "after": _text(after),
        "request_id": actor.request_id,
    }
    tx.connection.execute(insert(t.audit).values(org_id=actor.org_id, **row))


def entries(
    tx: ReadTransaction,
    org_id: int,
    *,
    limit: int,
    before_id: int | None = None,
    subject: tuple[str, str] | None = None,
    user_id: int | None = None,
) -> list[Entry]:
    """Newest first: all, or those about one subject or by one user."""
    audit = t.audit.c
    wanted = select(*_COLUMNS).where(audit.org_id == org_id)
    if before_id is not None:
        wanted = wanted.where(audit.id < before_id)
    if subject is not None:
        wanted = wanted.where(audit.subject_kind == subject[0], audit.subject_id == subject[1])
    if user_id is not None:
        wanted = wanted.where(audit.user_id == user_id)
    return [_entry(tuple(row)) for row in tx.rows(wanted.order_by(audit.id.desc()).limit(limit), {})]


class Filter(Struct, frozen=True):
    """Which entries are wanted; None for any."""

    user_id: int | None = None
    action: str | None = None
    subject_kind: str | None = None
    subject_id: str | None = None

    @property
    def conditions(self) -> dict[str, object]:
        """What is wanted of each column."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}


class Found(Struct, frozen=True):
    """A page of entries, and the id before which more may be; None when there are no more."""

    entries: list[Entry]
    before_id: int | None


# By which index entries are found, in this order; what is wanted beside is looked for among so many of them.
_INDEXED: Final = (("subject_kind", "subject_id"), ("user_id",), ("action",), ())


def found(tx: ReadTransaction, org_id: int, wanted: Filter, *, limit: int, before_id: int | None = None) -> Found:
    """Newest first; two statements. Where what is wanted is rare, a page may hold few entries or none, and not be the last."""
    audit, conditions = t.audit.c, wanted.conditions
    names = next(names for names in _INDEXED if conditions.keys() >= set(names))
    walked = select(audit.id, *(audit[name] for name in conditions)).where(audit.org_id == org_id)
    walked = walked.where(*(audit[name] == conditions[name] for name in names))
    if before_id is not None:
        walked = walked.where(audit.id < before_id)
    most = limit + 1 if len(names) == len(conditions) else AUDIT_WALKED_MAX
    rows = tx.rows(walked.order_by(audit.id.desc()).limit(most), {})
    ids = [row[0] for row in rows if tuple(row[1:]) == tuple(conditions.values())]
    shown = ids[:limit]
    read = select(*_COLUMNS).where(audit.org_id == org_id, audit.id.in_(shown)).order_by(audit.id.desc())
    last = shown[-1] if len(ids) > limit else rows[-1][0] if len(rows) == AUDIT_WALKED_MAX else None
    return Found([_entry(tuple(row)) for row in tx.rows(read, {})], last)


def _entry(row: tuple[Any, ...]) -> Entry:
    values = dict(zip(Entry.__struct_fields__, row, strict=True))
    for name in ("before", "after"):
        values[name] = values[name] and msgspec.json.decode(values[name])
    return Entry(**values)


def _text(values: Mapping[str, Any] | None) -> str | None:
    return None if values is None else msgspec.json.encode(values, enc_hook=str).decode()
