"""Approvals: what waits for a second person, its page, and what happens when they decide."""

from collections.abc import Mapping
from functools import partial

import falcon.asgi
import structlog
from wtforms import Form as Fields
from wtforms import TextAreaField
from wtforms.validators import Length

from couponry.console.carriers import CARRIERS
from couponry.console.carrying import Carried
from couponry.console.gate import Resource
from couponry.console.pages import Pages, json_of
from couponry.console.parts import ConsoleParts
from couponry.console.subjects import may_see, path_of
from couponry.console.visit import Visit, number_of
from couponry.core.limits import APPROVAL_NOTE_CHARS_MAX, CONSOLE_PAGE_ROWS
from couponry.core.problem import Problem
from couponry.core.roles import Permission
from couponry.core.status import Code
from couponry.store import approvals, audit
from couponry.store.approvals import Approval
from couponry.store.audit import Actor
from couponry.store.engine import ReadTransaction, WriteTransaction

log = structlog.get_logger()


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The list, one approval, and what can be done with it."""
    return {
        "/approvals": Listed(parts, pages),
        "/approvals/{number}": One(parts, pages),
        "/approvals/{number}/decide": Decide(parts, pages),
        "/approvals/{number}/withdraw": Withdraw(parts, pages),
        "/approvals/{number}/carry-out": CarryOut(parts, pages),
    }


class DecisionFields(Fields):
    """What one says when deciding."""

    note = TextAreaField(
        "Note",
        [Length(max=APPROVAL_NOTE_CHARS_MAX)],
        description="Why, for whoever asked and for the audit log. A refusal needs one.",
    )


class Listed:
    """What waits, or all there ever was; those who decide on nothing see what they asked for themselves."""

    NEEDS = NEEDS_TO_POST = Permission.BE_SIGNED_IN

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """A page of them."""
        sees_all, before_id = _sees_all(visit), visit.number("before")
        waiting = sees_all and visit.query("show") != "all"

        def read(tx: ReadTransaction) -> list[Approval]:
            if waiting:
                return approvals.pending(tx, visit.org_id, visit.now_ms, limit=CONSOLE_PAGE_ROWS + 1, before_id=before_id)
            asked_by = None if sees_all else visit.session.person.id
            return approvals.listed(tx, visit.org_id, limit=CONSOLE_PAGE_ROWS + 1, before_id=before_id, asked_by=asked_by)

        found = await self._parts.back_office.read(read)
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
            return
        rows, is_more = found[:CONSOLE_PAGE_ROWS], len(found) > CONSOLE_PAGE_ROWS
        self._pages.show(visit, resp, "approvals/list.html", rows=rows, is_more=is_more, waiting=waiting, sees_all=sees_all)


class One:
    """One approval."""

    NEEDS = NEEDS_TO_POST = Permission.BE_SIGNED_IN

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """What is asked, by whom, what it may cost, and the buttons for whoever may press them."""
        found = await _found(self._parts, self._pages, visit, resp, number)
        if found is None:
            return
        is_mine = found.asked_by == visit.session.person.id
        is_open = found.state_at(visit.now_ms) == "pending"
        self._pages.show(
            visit,
            resp,
            "approvals/one.html",
            it=found,
            path=path_of(visit, found.subject_kind, found.subject_id),
            form=DecisionFields(),
            asked={name: value if isinstance(value, str | int) else json_of(value) for name, value in found.request.items()},
            may_decide=is_open and not is_mine and visit.may(Permission.APPROVE),
            may_withdraw=is_open and is_mine,
            may_carry_out=found.is_owed(visit.now_ms) and visit.may(Permission.APPROVE),
        )


class Decide:
    """A second person's yes or no."""

    NEEDS = NEEDS_TO_POST = Permission.APPROVE

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """Decide; what is approved is carried out at once."""
        approval = await _found(self._parts, self._pages, visit, resp, number)
        if approval is None:
            return
        form, verdict = DecisionFields(visit.form), visit.form.text("verdict")
        back = f"/approvals/{approval.id}"
        if verdict not in {"approve", "refuse"} or not form.validate():
            self._pages.go(visit, resp, back, "Say yes or no, with a note that is not too long.")
            return
        work = partial(_decided, actor=visit.actor(), approval=approval, approves=verdict == "approve", note=form.note.data or "")
        done = await self._parts.back_office.write(work, makes_job=verdict == "approve")
        if done is None and verdict == "approve":
            done = await _followed_up(self._parts, visit.actor(), approval)
        _answer(self._pages, visit, resp, back, done or Carried("/approvals", "Refused."))


class CarryOut:
    """What was approved and never done: once more, under the same key, so that it is done once."""

    NEEDS = NEEDS_TO_POST = Permission.APPROVE

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """Do it."""
        approval = await _found(self._parts, self._pages, visit, resp, number)
        if approval is None:
            return
        back = f"/approvals/{approval.id}"
        if not approval.is_owed(visit.now_ms) or approval.kind not in CARRIERS:
            self._pages.go(visit, resp, back, "There is nothing left to carry out.")
            return
        noted = await self._parts.back_office.write(
            lambda tx: audit.record(tx, visit.actor(), "asked: carry out", ("approval", approval.id))
        )
        done = noted if isinstance(noted, Code) else await _followed_up(self._parts, visit.actor(), approval)
        _answer(self._pages, visit, resp, back, done)


class Withdraw:
    """Take back what oneself asked for."""

    NEEDS = NEEDS_TO_POST = Permission.BE_SIGNED_IN

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, number: str) -> None:
        """Withdraw it."""
        approval = await _found(self._parts, self._pages, visit, resp, number)
        if approval is None:
            return
        done = await self._parts.back_office.write(lambda tx: approvals.withdraw(tx, visit.actor(), approval.id))
        gone = Carried("/approvals", "Withdrawn.")
        _answer(self._pages, visit, resp, f"/approvals/{approval.id}", gone if isinstance(done, Approval) else done)


def _sees_all(visit: Visit) -> bool:
    return visit.may(Permission.APPROVE) or visit.may(Permission.SEE_AUDIT)


async def _found(parts: ConsoleParts, pages: Pages, visit: Visit, resp: falcon.asgi.Response, number: str) -> Approval | None:
    """The approval of the address, if it is there and this person may see it; else the answer says that there is none."""
    wanted = number_of(number)
    found = None if wanted is None else await parts.back_office.read(lambda tx: approvals.read(tx, visit.org_id, wanted))
    if isinstance(found, Code):
        pages.failed(visit, resp, found)
        return None
    if found is None or not (_sees_all(visit) or found.asked_by == visit.session.person.id):
        pages.missing(visit, resp, "approval")
        return None
    return found


def _decided(tx: WriteTransaction, *, actor: Actor, approval: Approval, approves: bool, note: str) -> Carried | Problem | None:
    """Decide, and do what is done in the same transaction; None when nothing is, or is to be done after it.

    When the carrier cannot, what it wrote is undone and the decision is not made; that somebody tried is recorded.
    """
    open_one = approvals.undecided(tx, actor, approval.id)
    carrier = CARRIERS.get(approval.kind)
    if isinstance(open_one, Problem) or (approves and carrier is None):
        return _tried(tx, actor, approval, open_one if isinstance(open_one, Problem) else _nobody(approval))
    if not approves or carrier is None:
        return _or_problem(tx, actor, approval, approvals.decide(tx, actor, approval.id, note, approves=False))
    undoable = tx.connection.begin_nested()
    carried = carrier.carry_out(tx, actor, open_one)
    if isinstance(carried, Problem):
        undoable.rollback()
        return _tried(tx, actor, approval, carried)
    undoable.commit()
    decided = approvals.decide(tx, actor, approval.id, note, approves=True, is_done=carried is not None)
    assert isinstance(decided, Approval), "it is locked, and was open"
    return carried


def _or_problem(tx: WriteTransaction, actor: Actor, approval: Approval, decided: Approval | Problem) -> Problem | None:
    return _tried(tx, actor, approval, decided) if isinstance(decided, Problem) else None


def _tried(tx: WriteTransaction, actor: Actor, approval: Approval, problem: Problem) -> Problem:
    audit.record(tx, actor, "could not decide", ("approval", approval.id), after={"why": problem.text})
    return problem


def _nobody(approval: Approval) -> Problem:
    return Problem("unknown", f"nothing here carries out a {approval.kind}")


async def _followed_up(parts: ConsoleParts, actor: Actor, approval: Approval) -> Carried | Problem | Code:
    """Do what is done after the decision, and note that it is done."""
    done = await CARRIERS[approval.kind].follow_up(parts, actor, approval)
    if not isinstance(done, Carried):
        log.warning("approval_not_carried_out", org_id=actor.org_id, approval=approval.id)
        return done
    noted = await parts.back_office.write(lambda tx: approvals.carried(tx, actor, approval.id))
    return noted if isinstance(noted, Code) else done


def _answer(pages: Pages, visit: Visit, resp: falcon.asgi.Response, back: str, done: Carried | Problem | Code) -> None:
    if isinstance(done, Code):
        pages.failed(visit, resp, done)
    elif isinstance(done, Problem):
        pages.go(visit, resp, back, f"That could not be done: {done.detail or done.message}")
    else:
        pages.go(visit, resp, done.path if may_see(visit, done.path) else back, done.notice)
