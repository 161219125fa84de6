"""What waits for a second person, and what became of it. A Problem means that nothing was written.

Whoever decides locks the row first, so that of two only one does; that it is another person than who asked is a CHECK too.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct
from sqlalchemy import Select, insert, select, update

from couponry.core.limits import ANSWER_KEPT_MS_MAX, APPROVAL_NOTE_CHARS_MAX, APPROVAL_PENDING_MS_MAX, MONEY_SCALE
from couponry.core.problem import Problem
from couponry.core.second_person import ApprovalState
from couponry.store import audit, serials
from couponry.store import schema as t
from couponry.store.audit import Actor
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.rows import scaled


class Approval(Struct, frozen=True, kw_only=True):
    """One thing that somebody asked for. `request` is what its carrier needs, `amount` what it may cost (None: no bound).

    `asked_email` and `decided_email` name people. `carried_ms` is None for what was approved and is not done yet.
    """

    id: int
    kind: str
    subject_kind: str
    subject_id: str
    amount: Decimal | None
    summary: str
    request: dict[str, Any]
    asked_by: int
    asked_ms: int
    state: ApprovalState
    decided_by: int | None
    decided_ms: int | None
    note: str
    carried_ms: int | None
    asked_email: str = ""
    decided_email: str | None = None

    @property
    def key(self) -> str:
        """The idempotency key to carry it out with: again with the same key is not twice."""
        return f"approval-{self.id}"

    def state_at(self, now_ms: int) -> ApprovalState:
        """Expired, too, when nobody decided for too long."""
        is_over = self.state == "pending" and now_ms - self.asked_ms > APPROVAL_PENDING_MS_MAX
        return "expired" if is_over else self.state

    def is_owed(self, now_ms: int) -> bool:
        """Whether it was approved and is still to be carried out, while its key is still remembered."""
        is_fresh = self.decided_ms is not None and now_ms - self.decided_ms < ANSWER_KEPT_MS_MAX
        return self.state == "approved" and self.carried_ms is None and is_fresh


_COLUMNS: Final = tuple(t.approval.c[name] for name in Approval.__struct_fields__[:-2])


def ask(
    tx: WriteTransaction,
    actor: Actor,
    *,
    kind: str,
    subject: tuple[str, object],
    amount: Decimal | None,
    summary: str,
    request: Mapping[str, Any],
) -> int:
    """Ask for a second person's approval of `kind` (it names the carrier) on `subject` (kind, id); the approval's id."""
    assert actor.user_id is not None, "somebody signed in"
    _expire(tx, actor)
    approval_id = serials.reserve(tx, actor.org_id, serials.APPROVAL)
    row = {
        "id": approval_id,
        "kind": kind,
        "subject_kind": subject[0],
        "subject_id": str(subject[1]),
        "amount": scaled(amount),
        "summary": summary,
        "request": msgspec.json.encode(request, enc_hook=str).decode(),
        "asked_by": actor.user_id,
        "asked_ms": actor.now_ms,
        "state": "pending",
        "note": "",
    }
    tx.connection.execute(insert(t.approval).values(org_id=actor.org_id, **row))
    after = {"kind": kind, "subject": f"{subject[0]} {subject[1]}", "amount": amount, "summary": summary}
    audit.record(tx, actor, "ask for approval", ("approval", approval_id), after=after)
    return approval_id


def read(tx: ReadTransaction, org_id: int, approval_id: int) -> Approval | None:
    """One approval."""
    found = _read(tx, _all(org_id).where(t.approval.c.id == approval_id))
    return found[0] if found else None


def pending(tx: ReadTransaction, org_id: int, now_ms: int, *, limit: int, before_id: int | None = None) -> list[Approval]:
    """What waits for a decision, newest first."""
    approval = t.approval.c
    since_ms = now_ms - APPROVAL_PENDING_MS_MAX
    return _page(tx, _all(org_id).where(approval.state == "pending", approval.asked_ms >= since_ms), limit, before_id)


def listed(
    tx: ReadTransaction, org_id: int, *, limit: int, before_id: int | None = None, asked_by: int | None = None
) -> list[Approval]:
    """All there ever were, or those that one person asked for; newest first."""
    wanted = _all(org_id)
    return _page(tx, wanted if asked_by is None else wanted.where(t.approval.c.asked_by == asked_by), limit, before_id)


def of_subject(tx: ReadTransaction, org_id: int, subject: tuple[str, object], *, limit: int) -> list[Approval]:
    """What was asked about one subject, newest first."""
    approval = t.approval.c
    wanted = _all(org_id).where(approval.subject_kind == subject[0], approval.subject_id == str(subject[1]))
    return _page(tx, wanted, limit, None)


def undecided(tx: WriteTransaction, actor: Actor, approval_id: int) -> Approval | Problem:
    """An approval that `actor` may decide on, locked until the transaction ends."""
    found = _locked(tx, actor.org_id, approval_id)
    if isinstance(found, Problem):
        return found
    if found.asked_by == actor.user_id:
        return Problem("forbidden", "you asked for this yourself; a second person decides")
    return _open(found, actor.now_ms)


def decide(
    tx: WriteTransaction,
    actor: Actor,
    approval_id: int,
    note: str,
    *,
    approves: bool,
    is_done: bool = False,
) -> Approval | Problem:
    """Approve or refuse: a second person, once. `is_done` when what it allows is done in this transaction."""
    before = undecided(tx, actor, approval_id)
    if isinstance(before, Problem):
        return before
    note = note.strip()
    if len(note) > APPROVAL_NOTE_CHARS_MAX or not (approves or note):
        return Problem(
            "invalid", "say why you refuse" if not note else f"a note has at most {APPROVAL_NOTE_CHARS_MAX} characters"
        )
    state: Literal["approved", "refused"] = "approved" if approves else "refused"
    values = {"state": state, "decided_by": actor.user_id, "decided_ms": actor.now_ms, "note": note}
    _change(tx, actor.org_id, approval_id, **values, carried_ms=actor.now_ms if is_done else None)
    after = {"state": state, "note": note, "summary": before.summary, "askedBy": before.asked_email}
    audit.record(
        tx, actor, "approve" if approves else "refuse", ("approval", approval_id), before={"state": "pending"}, after=after
    )
    return _known(tx, actor.org_id, approval_id)


def withdraw(tx: WriteTransaction, actor: Actor, approval_id: int) -> Approval | Problem:
    """Take back what oneself asked for, while nobody has decided."""
    found = _locked(tx, actor.org_id, approval_id)
    if isinstance(found, Problem):
        return found
    if found.asked_by != actor.user_id:
        return Problem("forbidden", "only who asked may withdraw")
    if isinstance(refused := _open(found, actor.now_ms), Problem):
        return refused
    _change(tx, actor.org_id, approval_id, state="withdrawn", decided_ms=actor.now_ms)
    subject = ("approval", approval_id)
    audit.record(tx, actor, "withdraw", subject, before={"state": "pending"}, after={"state": "withdrawn"})
    return _known(tx, actor.org_id, approval_id)


def carried(tx: WriteTransaction, actor: Actor, approval_id: int) -> None:
    """Note that what was approved is done now."""
    approval = t.approval.c
    owed = update(t.approval).where(approval.org_id == actor.org_id, approval.id == approval_id, approval.carried_ms.is_(None))
    if tx.connection.execute(owed.where(approval.state == "approved").values(carried_ms=actor.now_ms)).rowcount:
        audit.record(tx, actor, "carried out", ("approval", approval_id))


def _open(found: Approval, now_ms: int) -> Approval | Problem:
    state = found.state_at(now_ms)
    return found if state == "pending" else Problem("conflict", f"this is {state} already")


def _expire(tx: WriteTransaction, actor: Actor) -> None:
    """What nobody decided for too long need not be looked through any more."""
    approval = t.approval.c
    of_old = (approval.state == "pending", approval.asked_ms < actor.now_ms - APPROVAL_PENDING_MS_MAX)
    tx.connection.execute(update(t.approval).where(approval.org_id == actor.org_id, *of_old).values(state="expired"))


def _change(tx: WriteTransaction, org_id: int, approval_id: int, **values: object) -> None:
    approval = t.approval.c
    tx.connection.execute(update(t.approval).where(approval.org_id == org_id, approval.id == approval_id).values(values))


def _locked(tx: WriteTransaction, org_id: int, approval_id: int) -> Approval | Problem:
    approval = t.approval.c
    tx.rows(tx.dialect.locked(select(approval.id).where(approval.org_id == org_id, approval.id == approval_id), t.approval), {})
    return read(tx, org_id, approval_id) or Problem("unknown", "there is no such approval")


def _known(tx: ReadTransaction, org_id: int, approval_id: int) -> Approval:
    found = read(tx, org_id, approval_id)
    assert found, "it is locked here"
    return found


def _all(org_id: int) -> Select[Any]:
    approval, asker, decider = t.approval.c, t.console_user.alias("asker"), t.console_user.alias("decider")
    return (
        select(*_COLUMNS, asker.c.email, decider.c.email)
        .join_from(t.approval, asker, (asker.c.org_id == approval.org_id) & (asker.c.id == approval.asked_by))
        .outerjoin(decider, (decider.c.org_id == approval.org_id) & (decider.c.id == approval.decided_by))
        .where(approval.org_id == org_id)
    )


def _page(tx: ReadTransaction, wanted: Select[Any], limit: int, before_id: int | None) -> list[Approval]:
    approval = t.approval.c
    after = wanted if before_id is None else wanted.where(approval.id < before_id)
    return _read(tx, after.order_by(approval.id.desc()).limit(limit))


def _read(tx: ReadTransaction, wanted: Select[Any]) -> list[Approval]:
    return [_approval(tuple(row)) for row in tx.rows(wanted, {})]


def _approval(row: tuple[Any, ...]) -> Approval:
    values = dict(zip(Approval.__struct_fields__, row, strict=True))
    values["amount"] = None if values["amount"] is None else Decimal(values["amount"]) / MONEY_SCALE
    values["request"] = msgspec.json.decode(values["request"])
    return Approval(**values)
