"""What goes out to one target of one org: as many at a time as it takes, never two of one customer at once.

Deliveries are sent while those before them are recorded and those after them fetched; but recording and fetching take turns, in
one task. So what is fetched is never older than what was recorded: a customer whose delivery has failed is put off as a whole.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

import structlog
from msgspec import Struct

from couponry.core.deliveries import Due, Outcome
from couponry.core.limits import (
    FAILURES_BEFORE_PROBE,
    LANE_CHAIN_MAX,
    LANE_CHARS_MAX,
    LANE_HAND_MAX,
    LANE_RECORD_MS,
    PROBE_MS_MAX,
    RECONNECT_PAUSE_MS,
)
from couponry.store.deliveries import START, Overdue, Place
from couponry.store.engine import StoreError
from couponry.worker.delivery.attempts import Attempt, Target
from couponry.worker.delivery.backoff import again_ms, pause_ms

log = structlog.get_logger()

_EXPIRED: Final = Attempt(is_delivered=False, is_unwanted=True, problem="it has expired")


class Health(Struct):
    """How a target has been doing: failures in a row, and until when it is left alone because of them.

    `place` is how far what waits for it was looked through meanwhile for what waits for too long.
    """

    failures: int = 0
    until_ms: int = 0
    place: Place | None = None

    @property
    def is_down(self) -> bool:
        """Whether to see with one delivery at a time if it is well again."""
        return self.failures >= FAILURES_BEFORE_PROBE

    def went(self, attempt: Attempt, now_ms: int, chance: float) -> None:
        """Learn from an attempt. One that the target refuses for good shows that it is there."""
        if not attempt.is_passing:
            self.failures, self.until_ms = 0, 0
            return
        self.failures += 1
        if self.is_down:
            pause = min(PROBE_MS_MAX, pause_ms(self.failures - FAILURES_BEFORE_PROBE + 1, chance))
            self.until_ms = now_ms + max(pause, attempt.wished_ms)


class Rows(Protocol):
    """A lane's rows in the database."""

    async def due(self, now_ms: int, most: int, without: Sequence[int], busy: Sequence[int], chars: int) -> list[Due]:
        """What is due (`store.deliveries`)."""

    async def give_up(self, since_ms: int, now_ms: int, after: Place) -> Overdue:
        """Fail what has been tried since before `since_ms`, among the next that wait. Raises StoreError."""

    async def record(self, outcomes: Sequence[Outcome]) -> None:
        """What came of attempts. Raises StoreError."""


class Lane:
    """One run of a lane: until nothing is due, or the target is left alone. `clock` is epoch ms, `chance` from 0 to 1."""

    def __init__(self, rows: Rows, target: Target, health: Health, clock: Callable[[], int], chance: Callable[[], float]) -> None:
        self._rows = rows
        self._target = target
        self._health = health
        self._clock = clock
        self._chance = chance
        self._hand: dict[int, Due] = {}  # fetched, and not yet recorded
        self._chains: dict[int, deque[Due]] = {}  # of customers one of whose deliveries is on its way or may go
        self._held: set[int] = set()  # customers who are put off, which is not yet recorded
        self._ready: deque[Due] = deque()
        self._sending: set[asyncio.Task[None]] = set()
        self._outcomes: list[Outcome] = []
        self._news = asyncio.Event()
        self._is_stopping = False

    def stop(self) -> None:
        """Send nothing more; `run` ends when what is on its way is recorded."""
        self._is_stopping = True
        self._ready.clear()
        self._news.set()

    async def run(self) -> None:
        """Deliver. Ends with everything recorded that was sent."""
        try:
            await self._give_up()
            await self._deliver_all()
            await self._end()
        finally:
            self._target.close()

    async def _give_up(self) -> None:
        """A target that is down is hardly sent anything: what is too old is given up unsent, or it would wait for ever.

        All that is too old at the start of the queue, and a step further behind from where the last lane was, around and around.
        """
        place: Place | None = START
        now_ms = self._clock()
        since_ms = now_ms - self._target.kept_ms
        while place and self._health.is_down and not self._is_stopping:
            found = await self._rows.give_up(since_ms, now_ms, place)
            place = found.place
            if not found.letters:
                further = self._health.place or place
                self._health.place = (await self._rows.give_up(since_ms, now_ms, further)).place if further else None
                break

    async def _deliver_all(self) -> None:
        while not self._is_stopping and self._clock() >= self._health.until_ms:
            try:
                fetched = await self._fetch()
                self._start()
                if not fetched and not self._hand:
                    break
                await self._some_news()
                await self._record()
            except StoreError as error:
                log.warning("lane_waits", cause=str(error))
                await asyncio.sleep(RECONNECT_PAUSE_MS / 1000)

    async def _end(self) -> None:
        self._ready.clear()
        while self._sending or self._outcomes:
            if self._sending:
                await asyncio.wait(self._sending, timeout=LANE_RECORD_MS / 1000)
            try:
                await self._record()
            except StoreError as error:
                log.warning("lane_waits", cause=str(error))
                await asyncio.sleep(RECONNECT_PAUSE_MS / 1000)

    async def _fetch(self) -> bool:
        """Take more in hand while there is little; whether there was any."""
        most = 1 if self._health.is_down else LANE_HAND_MAX
        chars = sum(len(due.body) for due in self._hand.values())
        if len(self._hand) * 2 >= most or chars * 2 >= LANE_CHARS_MAX:
            return False
        busy = [customer_id for customer_id, chain in self._chains.items() if customer_id and len(chain) >= LANE_CHAIN_MAX]
        found = await self._rows.due(self._clock(), most - len(self._hand), list(self._hand), busy, LANE_CHARS_MAX - chars)
        if found:
            await self._target.prepare(found)
        for due in found:
            self._take(due)
        return bool(found)

    def _take(self, due: Due) -> None:
        if due.customer_id in self._held or due.id in self._hand:
            return
        if not due.customer_id:
            self._ready.append(due)
        elif due.customer_id in self._chains:
            chain = self._chains[due.customer_id]
            if len(chain) >= LANE_CHAIN_MAX:
                return
            chain.append(due)
        else:
            self._chains[due.customer_id] = deque()
            self._ready.append(due)
        self._hand[due.id] = due

    def _start(self) -> None:
        most = 1 if self._health.is_down else self._target.connections
        for _ in range(min(len(self._ready), most - len(self._sending))):
            task = asyncio.create_task(self._deliver())
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _deliver(self) -> None:
        """One connection's work: one delivery after the other, as long as there is one that may go."""
        while self._ready and self._clock() >= self._health.until_ms:
            due = self._ready.popleft()
            begun_ms = self._clock()
            attempt = _EXPIRED if _is_over(due, begun_ms) else await self._sent(due)
            self._note(due, attempt, begun_ms)
            if self._health.is_down:
                break
        self._news.set()

    async def _sent(self, due: Due) -> Attempt:
        try:
            return await self._target.send(due)
        except Exception as error:
            log.exception("attempt_broken", delivery=due.id)
            return Attempt(is_delivered=False, is_passing=True, problem=f"could not be sent: {type(error).__name__}")

    def _note(self, due: Due, attempt: Attempt, begun_ms: int) -> None:
        now_ms = self._clock()
        chance = self._chance()
        again = attempt.put_off_to_ms
        if attempt.is_try:
            self._health.went(attempt, now_ms, chance)
        if again is None and attempt.is_passing:
            again = again_ms(
                attempts=due.attempts + 1,
                since_ms=due.since_ms,
                now_ms=now_ms,
                kept_ms=self._target.kept_ms,
                wished_ms=attempt.wished_ms,
                chance=chance,
            )
            again = None if again is None or _is_over(due, again) else again
        self._outcomes.append(
            Outcome(
                due=due,
                is_delivered=attempt.is_delivered,
                begun_ms=begun_ms,
                done_ms=now_ms,
                http_status=attempt.http_status,
                problem=attempt.problem,
                again_ms=again,
                is_put_off=attempt.put_off_to_ms is not None,
                is_unwanted=attempt.is_unwanted,
            )
        )
        self._go_on(due.customer_id, is_put_off=again is not None)

    def _go_on(self, customer_id: int, *, is_put_off: bool) -> None:
        """The customer's next delivery may go, unless the one before it has failed for now."""
        if not customer_id:
            return
        chain = self._chains[customer_id]
        if is_put_off:
            self._held.add(customer_id)
        elif chain:
            self._ready.append(chain.popleft())
        else:
            del self._chains[customer_id]

    async def _some_news(self) -> None:
        """Let a few be sent before they are recorded together."""
        self._news.clear()
        if not self._ready and not self._sending:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(LANE_RECORD_MS / 1000):
                await self._news.wait()

    async def _record(self) -> None:
        outcomes = list(self._outcomes)  # more may come meanwhile
        if not outcomes:
            return
        await self._rows.record(outcomes)
        self._outcomes = self._outcomes[len(outcomes) :]
        for outcome in outcomes:
            self._hand.pop(outcome.due.id, None)
            if outcome.again_ms is not None and (customer_id := outcome.due.customer_id):
                for behind in self._chains.pop(customer_id, ()):
                    self._hand.pop(behind.id, None)
                self._held.discard(customer_id)
        await self._target.told([outcome.due for outcome in outcomes if outcome.is_delivered])


def _is_over(due: Due, at_ms: int) -> bool:
    return due.expires_ms is not None and due.expires_ms <= at_ms
