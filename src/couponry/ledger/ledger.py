"""The ledger's front: admission, budget and drain. Everything behind it runs on lane threads."""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from couponry.core import limits
from couponry.core.commands import Check, Command, Issue, Redeem
from couponry.core.plan import Outcome, failure
from couponry.core.status import Code
from couponry.ledger.batches import Batches, Checker, Clock, Writer
from couponry.ledger.entry import Entry
from couponry.ledger.lane import Lane
from couponry.store.apply import Applier
from couponry.store.engine import Database, StoreError
from couponry.store.load import Loader
from couponry.store.schema import CAPPED_STRIPE, STRIPES

_GIVE_UP_EVERY_S = 0.05


@dataclass(frozen=True)
class LedgerOptions:
    """Bounds that an operator may set."""

    write_lanes: int = 2
    queue_commands_max: int = limits.QUEUE_COMMANDS_MAX
    request_budget_ms: int = limits.REQUEST_BUDGET_MS_MAX
    lock_wait_ms: int = limits.LOCK_WAIT_MS_MAX
    on_batch: Callable[[str, int], None] = lambda _lane, _commands: None
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    """What generated codes are made from; another one each time unless it is given."""


class Ledger:
    """One process's share of the ledger over one database. Use it from one event loop.

    SQLite has one writer, so one write lane. PostgreSQL has several, and an org always has the same one; a command that meets a
    locked row there moves to the patient lane, where it waits out the lock without holding anybody up.
    """

    def __init__(self, url: str, clock: Clock, options: LedgerOptions | None = None) -> None:
        self._options = options or LedgerOptions()
        self._queue_commands_max = self._options.queue_commands_max
        self._budget_s = self._options.request_budget_ms / 1000
        self._is_draining = False
        self._is_idle = asyncio.Event()
        self._in_flight = 0
        self._keys_in_flight: set[tuple[int, str]] = set()
        self._by_deadline: deque[Entry] = deque()
        self._sweeper: asyncio.Task[None] | None = None
        self._patient_database = Database(url, lock_wait_ms=self._options.lock_wait_ms, is_keyed=True)
        is_sqlite = self._patient_database.is_sqlite
        self._database = (
            self._patient_database if is_sqlite else Database(url, lock_wait_ms=limits.LOCK_WAIT_IN_BATCH_MS_MAX, is_keyed=True)
        )
        loader = Loader(self._database.dialect)
        applier = Applier(self._database.dialect, CAPPED_STRIPE + 1 + secrets.randbelow(STRIPES - 1))
        writing = (loader, applier, clock, self._options.secret)
        on_batch = self._options.on_batch
        patient = Lane("patient", Batches(Writer(self._patient_database, *writing)), on_batch)
        self._write_lanes = [
            Lane(
                f"write-{number}",
                Batches(Writer(self._database, *writing), None if is_sqlite else patient.put),
                on_batch,
            )
            for number in range(1 if is_sqlite else self._options.write_lanes)
        ]
        self._read_lane = Lane("read", Batches(Checker(self._patient_database, loader, clock)), on_batch)
        self._lanes = [*self._write_lanes, self._read_lane, patient]

    @property
    def in_flight(self) -> int:
        """Commands submitted and not yet answered."""
        return self._in_flight

    def start(self) -> None:
        """Start the lanes; call it inside the event loop that will submit."""
        for lane in self._lanes:
            lane.start()
        self._sweeper = asyncio.get_running_loop().create_task(self._give_up_late())

    def admission(self) -> Code | None:
        """790 while draining, 789 while the queue is full, else None (status-codes 4)."""
        if self._is_draining:
            return Code.DRAINING
        return Code.OVERLOADED if self._in_flight >= self._queue_commands_max else None

    async def submit(self, command: Command) -> Outcome:
        """The outcome once it is committed; a service failure is an outcome too."""
        key = (command.org_id, command.key.digest) if isinstance(command, Redeem | Issue) and command.key else None
        refused = self.admission() or (Code.KEY_IN_PROGRESS if key in self._keys_in_flight else None)
        if refused:
            return failure(command, refused)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        now_s = time.monotonic()
        entry = Entry(command, future, loop, now_s + self._budget_s, now_s + self._options.lock_wait_ms / 1000)
        self._by_deadline.append(entry)
        self._in_flight += 1
        if key:
            self._keys_in_flight.add(key)
        self._lane_of(command).put(entry)
        try:
            return await future
        finally:
            self._in_flight -= 1
            if key:
                self._keys_in_flight.discard(key)
            if self._is_draining and not self._in_flight:
                self._is_idle.set()

    async def drain(self) -> None:
        """Refuse new work, let work in flight finish, then stop the lanes and close the database."""
        self._is_draining = True
        give_up_at_s = time.monotonic() + limits.DRAIN_MS_MAX / 1000
        if self._in_flight:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_idle.wait(), limits.DRAIN_MS_MAX / 1000)
        for lane in self._lanes:
            lane.stop()
        for lane in self._lanes:
            await asyncio.to_thread(lane.join, max(0.1, give_up_at_s - time.monotonic()))
        if self._sweeper:
            self._sweeper.cancel()
        self._database.close()
        self._patient_database.close()

    def is_reachable(self) -> bool:
        """Whether the database answers; blocking, for the readiness probe."""
        try:
            with self._patient_database.reading() as tx:
                tx.connection.exec_driver_sql("SELECT 1")
        except StoreError:
            return False
        return True

    def _lane_of(self, command: Command) -> Lane:
        if isinstance(command, Check):
            return self._read_lane
        return self._write_lanes[command.org_id % len(self._write_lanes)]

    async def _give_up_late(self) -> None:
        """Answer 748 to whoever has waited longer than the budget. Entries are in order of their deadlines."""
        while True:
            await asyncio.sleep(_GIVE_UP_EVERY_S)
            now_s = time.monotonic()
            while self._by_deadline and (self._by_deadline[0].future.done() or self._by_deadline[0].deadline_s < now_s):
                entry = self._by_deadline.popleft()
                if not entry.future.done():
                    if entry.give_up():
                        entry.future.set_result(failure(entry.command, Code.DEADLINE_EXCEEDED))
                    else:
                        self._by_deadline.append(entry)
                        break
