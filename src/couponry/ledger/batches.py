"""Batches: load, decide, apply in one transaction, with bounded retries, and halving around a command that makes it fail.

The three kinds of trouble stay apart (design, invariant 6): what a rule decided is an outcome; what the database could not do is
a service failure with its own code; what nobody foresaw is 730 for the one command that caused it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count, repeat
from typing import Protocol

import structlog

from couponry.core.decide import decide
from couponry.core.limits import BATCH_ITEMS_MAX, CODE_TRIES_MAX, RECONNECT_PAUSE_MS, WRITE_TRIES_MAX
from couponry.core.model import Org
from couponry.core.plan import Outcome, Plan, failure
from couponry.core.series import Series
from couponry.core.state import State
from couponry.core.status import Code
from couponry.ledger.code_stock import CodeStock
from couponry.ledger.entry import Entry, LostCommit
from couponry.ledger.serials import Serials
from couponry.store.apply import Applier
from couponry.store.batch_issue import CodesShort
from couponry.store.dialect import Trouble
from couponry.store.engine import Database, Stage, StoreError
from couponry.store.load import Loader
from couponry.store.written import first_written, is_written

log = structlog.get_logger()

Clock = Callable[[], int]
Answered = list[tuple[Entry, Outcome]]
Waiting = list[tuple[list[Entry], bool]]
"""Batches still to be settled, the next one last, and whether in haste."""


class GivenUpError(Exception):
    """A caller of this batch was given up while it ran; the batch is decided again without that command."""


class Settler(Protocol):
    """Settles commands of one org in one transaction."""

    locks_rows: bool
    """Whether a wait that times out was for some command's row, so that the others can do without it."""

    def settle(self, org_id: int, entries: Sequence[Entry], *, is_hasty: bool) -> list[Outcome]:
        """The outcomes, in order, once they are durable. In haste, a locked row is hardly waited for."""

    def reconnect(self) -> None:
        """Drop connections that may be dead."""


class Writer:
    """Settles what changes something: locks, effects, commit."""

    def __init__(self, database: Database, loader: Loader, applier: Applier, clock: Clock, secret: bytes) -> None:
        self._database = database
        self._loader = loader
        self._applier = applier
        self._clock = clock
        self.locks_rows = database.dialect.locks_rows
        self._serials = Serials(database)
        self._codes = CodeStock(database, secret)

    def settle(self, org_id: int, entries: Sequence[Entry], *, is_hasty: bool) -> list[Outcome]:
        """The outcomes, once committed; codes that the batch turns out to need are made, and it begins again."""
        for _ in range(1 + CODE_TRIES_MAX.bit_length()):
            try:
                return self._settle(org_id, entries, is_hasty=is_hasty)
            except CodesShort as short:
                self._codes.make(short.org, short.wanted)
        raise StoreError(Trouble.CONFLICT, Stage.COUPONS, "the series' terms keep changing")

    def _settle(self, org_id: int, entries: Sequence[Entry], *, is_hasty: bool) -> list[Outcome]:
        """After a connection lost during the commit of these commands, first see whether that commit happened."""
        lost = [entry.lost for entry in entries if entry.lost]
        assert not lost or (len(lost) == len(entries) and len({each.written for each in lost}) == 1), "of one commit"
        plan: Plan | None = None
        state: State | None = None
        first_event_id = 0
        try:
            ids = self._serials.for_batch(org_id, sum(entry.command.rows_max + 1 for entry in entries))
            with self._database.writing() as tx:
                if is_hasty:
                    tx.hurry()
                commands = [entry.command for entry in entries]
                given = {"redemption_ids": ids.redemptions, "coupon_ids": ids.coupons}
                state = self._loader.load(tx, org_id, commands, now_ms=self._clock(), **given, codes=self._codes)
                # After the load: its locks have waited for a commit that was still under way.
                if lost and is_written(tx, org_id, lost[0].written):
                    return [each.outcome for each in lost]
                plan = decide(state, commands)
                first_event_id = ids.outbox.upcoming
                self._applier.apply(tx, org_id, state, plan, ids)
                if not all(entry.seal() for entry in entries):
                    raise GivenUpError
        except BaseException as error:
            written = first_written(plan, first_event_id) if plan and is_commit_lost(error) else None
            if plan and written:
                for entry, outcome in zip(entries, plan.outcomes, strict=True):
                    entry.lost = LostCommit(written, outcome)
            for entry in entries:
                entry.unseal()
            if state and not is_commit_lost(error):
                self._put_back(state, is_written=False)
            if state and isinstance(error, StoreError) and error.is_code_taken:
                for org, series in _generated(state):
                    self._codes.clash(org, series)
            raise
        self._put_back(state, is_written=True)
        return plan.outcomes

    def _put_back(self, state: State, *, is_written: bool) -> None:
        """The codes that nobody has got: of a small code space none is to be wasted."""
        for org, series in _generated(state):
            taken = state.taken.get(series.id, 0) if is_written else 0
            self._codes.put_back(org, series, state.fresh_codes[series.id][taken:])

    def reconnect(self) -> None:
        """Drop all pooled connections."""
        self._database.close()


def _generated(state: State) -> list[tuple[Org, Series]]:
    """The series that codes were drawn for."""
    found = [state.series[series_id] for series_id in state.fresh_codes]
    return [(state.org, series) for series in found if state.org and series]


def is_commit_lost(error: BaseException) -> bool:
    """Whether nobody can tell from the error if the commit happened; any answer of the database would say so."""
    return isinstance(error, StoreError) and error.stage is Stage.COMMIT and error.trouble is Trouble.UNREACHABLE


class Checker:
    """Settles checks: the same load and the same rules, no locks, no effects."""

    locks_rows = False

    def __init__(self, database: Database, loader: Loader, clock: Clock) -> None:
        self._database = database
        self._loader = loader
        self._clock = clock

    def settle(self, org_id: int, entries: Sequence[Entry], *, is_hasty: bool) -> list[Outcome]:  # noqa: ARG002 - it never waits
        """Check; ids are never kept, so any do."""
        commands = [entry.command for entry in entries]
        no_ids: Iterator[int] = repeat(-1)
        with self._database.reading() as tx:
            state = self._loader.load(tx, org_id, commands, now_ms=self._clock(), redemption_ids=no_ids, coupon_ids=count(-1, -1))
        return decide(state, commands).outcomes

    def reconnect(self) -> None:
        """Drop all pooled connections."""
        self._database.close()


class Batches:
    """Runs batches through a settler until every command has its outcome.

    A batch that met a locked row is halved in haste: one wait is enough to know that somebody holds on to it. `put_off` takes the
    commands that stand alone with it, so that they wait where nobody waits behind them; without it they get their code. There a
    command whose patience ended while another waited is tried in haste, or it would run out of its budget (748) instead.
    """

    def __init__(self, settler: Settler, put_off: Callable[[Entry], None] | None = None) -> None:
        self._settler = settler
        self._put_off = put_off

    def run(self, org_id: int, entries: Sequence[Entry]) -> Answered:
        """The outcomes of all commands that were neither given up nor put off."""
        assert sum(entry.command.rows_max for entry in entries) <= BATCH_ITEMS_MAX, "lanes cut batches to size"
        answered: Answered = []
        overdue = [entry for entry in entries if self._is_overdue(entry)]
        waiting = [([entry for entry in entries if not entry.lost and entry not in overdue], False), (overdue, True)]
        waiting += [([entry], False) for entry in entries if entry.lost]
        while waiting:
            part, is_hasty = waiting.pop()
            batch = [entry for entry in part if not entry.is_given_up]
            if batch:
                answered += self._attempt(org_id, batch, waiting, is_hasty=is_hasty)
        return answered

    def _is_overdue(self, entry: Entry) -> bool:
        is_patient_lane = self._settler.locks_rows and self._put_off is None
        return is_patient_lane and not entry.lost and entry.patient_until_s < time.monotonic()

    def _attempt(self, org_id: int, batch: list[Entry], waiting: Waiting, *, is_hasty: bool) -> Answered:
        code = Code.UNKNOWN_ERROR
        for attempt in range(1, WRITE_TRIES_MAX + 1):
            try:
                return list(zip(batch, self._settler.settle(org_id, batch, is_hasty=is_hasty), strict=True))
            except GivenUpError:
                waiting.append((batch, is_hasty))
                return []
            except StoreError as error:
                code = _code_of(error)
                log.warning(
                    "batch_failed", org_id=org_id, commands=len(batch), code=code.number, attempt=attempt, cause=str(error)
                )
                if error.trouble is Trouble.UNREACHABLE:
                    self._settler.reconnect()
                elif batch[0].lost:
                    break
                elif error.trouble is Trouble.SLOW or (error.trouble is Trouble.LOCKED and not self._settler.locks_rows):
                    return _all_fail(batch, code)
                elif error.trouble is not Trouble.CONFLICT:
                    break
            except Exception:
                log.exception("batch_broken", org_id=org_id, commands=len(batch))
                break
        return self._isolate(batch, code, waiting)

    def _isolate(self, batch: list[Entry], code: Code, waiting: Waiting) -> Answered:
        """Halve a batch that keeps failing, until the command that makes it fail stands alone and takes the blame."""
        if code is Code.DATABASE_UNREACHABLE or batch[0].lost:
            return self._await_database(batch, waiting)
        is_locked = code in (Code.TIMED_OUT, Code.CUSTOMER_BUSY)
        if len(batch) > 1:
            half = len(batch) // 2
            waiting += [(batch[half:], is_locked), (batch[:half], is_locked)]
            return []
        if self._put_off and is_locked:
            self._put_off(batch[0])
            return []
        return _all_fail(batch, code)

    def _await_database(self, batch: list[Entry], waiting: Waiting) -> Answered:
        """786 for those who are certain not to be redeemed; others wait to learn their fate, as long as their budget lasts."""
        if not batch[0].lost or not self._settler.locks_rows:
            return _all_fail(batch, Code.DATABASE_UNREACHABLE)
        if self._put_off:
            for entry in batch:
                self._put_off(entry)
            return []
        if time.monotonic() > batch[0].deadline_s:
            return _all_fail(batch, Code.DATABASE_UNREACHABLE)
        time.sleep(RECONNECT_PAUSE_MS / 1000)
        waiting.append((batch, False))
        return []


def _all_fail(batch: list[Entry], code: Code) -> Answered:
    return [(entry, failure(entry.command, code)) for entry in batch]


def _code_of(error: StoreError) -> Code:
    """The failure class of status-codes section 5."""
    match error.trouble, error.stage:
        case Trouble.UNREACHABLE, _:
            return Code.DATABASE_UNREACHABLE
        case Trouble.LOCKED, Stage.COUNTERS:
            return Code.CUSTOMER_BUSY
        case ((Trouble.LOCKED | Trouble.SLOW), _):
            return Code.TIMED_OUT
        case Trouble.CONFLICT, _:
            return Code.CONFLICT
        case Trouble.BROKEN, Stage.CUSTOMERS:
            return Code.CUSTOMERS_UNAVAILABLE
        case Trouble.BROKEN, Stage.VALIDATION:
            return Code.VALIDATION_UNAVAILABLE
        case Trouble.BROKEN, Stage.OUTBOX:
            return Code.OUTBOX_UNAVAILABLE
        case _:
            return Code.UNKNOWN_ERROR
