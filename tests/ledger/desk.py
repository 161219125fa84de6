"""A ledger at work for a test: it runs on an event loop of its own thread, while the test submits, waits and breaks things."""

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from types import TracebackType
from typing import Any, Self

from couponry.core.commands import Command
from couponry.core.plan import Answer, CheckAnswer, Outcome
from couponry.core.status import Code
from couponry.ledger import Ledger, LedgerOptions
from couponry.ledger.batches import Writer
from couponry.ledger.entry import Entry
from couponry.store.apply import Applier
from couponry.store.engine import Database
from couponry.store.load import Loader
from tests.core.world import NOW

WAIT_S = 30


class Clock:
    """A clock that goes only when told."""

    def __init__(self, now_ms: int = NOW) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


class Desk:
    """Takes commands for a ledger; `with` starts it and drains it at the end."""

    def __init__(self, url: str, clock: Callable[[], int] | None = None, **options: Any) -> None:
        self.clock = clock or Clock()
        self.loop = asyncio.new_event_loop()
        self._thread = Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.ledger = self._in_loop(self._open(url, options))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.start_draining().result(WAIT_S)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _open(self, url: str, options: dict[str, Any]) -> Ledger:
        ledger = Ledger(url, self.clock, LedgerOptions(**options))
        ledger.start()
        return ledger

    def _in_loop(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(WAIT_S)

    def start_draining(self) -> "Future[None]":
        return asyncio.run_coroutine_threadsafe(self.ledger.drain(), self.loop)

    def submit(self, *commands: Command) -> "list[Future[Outcome]]":
        """Hand in commands, in this order."""
        return [asyncio.run_coroutine_threadsafe(self.ledger.submit(command), self.loop) for command in commands]

    def outcomes(self, *commands: Command) -> list[Outcome]:
        """Hand in commands and wait for all of them."""
        return [future.result(WAIT_S) for future in self.submit(*commands)]

    def statuses(self, *commands: Command) -> list[Code]:
        return [outcome.answer.status for outcome in self.outcomes(*commands)]

    def answer(self, command: Command) -> Answer:
        (outcome,) = self.outcomes(command)
        assert isinstance(outcome.answer, Answer)
        return outcome.answer

    def check_answer(self, command: Command) -> CheckAnswer:
        (outcome,) = self.outcomes(command)
        assert isinstance(outcome.answer, CheckAnswer)
        return outcome.answer

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Wait for something that other threads or processes bring about."""
        deadline_s = time.monotonic() + WAIT_S
        while not is_so():
            assert time.monotonic() < deadline_s, "it never came about"
            time.sleep(0.005)


def in_one_batch(database: Database, *commands: Command, now_ms: int = NOW) -> list[Outcome]:
    """What the commands of one batch are answered; a desk batches as they come."""
    loader, loop = Loader(database.dialect), asyncio.new_event_loop()
    writer = Writer(database, loader, Applier(database.dialect, stripe=1), lambda: now_ms, b"")
    entries = [Entry(command, loop.create_future(), loop, math.inf) for command in commands]
    try:
        return writer.settle(commands[0].org_id, entries, is_hasty=False)
    finally:
        loop.close()
