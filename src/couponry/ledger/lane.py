"""A lane: one thread that turns what waits into batches of one org, round robin over orgs, and answers after the commit.

A batch forms from what is waiting; nobody waits for a batch to fill.
"""

from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread

import structlog

from couponry.core.commands import Issue, Redate, Reverse, Revoke
from couponry.core.limits import BATCH_COMMANDS_MAX, BATCH_ITEMS_MAX
from couponry.core.plan import failure
from couponry.core.status import Code
from couponry.ledger.batches import Batches
from couponry.ledger.entry import Entry, answer

# What a customer holds is loaded once a batch, and an issue asks for all of it (J6, J7): it must not come behind one of these.
_CHANGES_HOLDINGS = (Reverse, Revoke, Redate)

log = structlog.get_logger()


class Lane:
    """One lane over one set of connections."""

    def __init__(self, name: str, batches: Batches, on_batch: Callable[[str, int], None]) -> None:
        self._name = name
        self._batches = batches
        self._on_batch = on_batch
        self._arrivals: SimpleQueue[Entry | None] = SimpleQueue()
        self._by_org: dict[int, deque[Entry]] = {}
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start taking work."""
        self._thread.start()

    def put(self, entry: Entry) -> None:
        """Add a command; returns at once."""
        self._arrivals.put(entry)

    def stop(self) -> None:
        """Finish what waits, then end the thread. Call `join` from where blocking is allowed."""
        self._arrivals.put(None)

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the thread."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        is_stopping = False
        while not (is_stopping and not self._by_org):
            is_stopping |= self._take_arrivals(is_blocking=not self._by_org)
            if self._by_org:
                org_id, entries = self._next_batch()
                self._settle(org_id, entries)

    def _settle(self, org_id: int, entries: list[Entry]) -> None:
        """Run one batch. A bug here must not end the lane, or every later caller would wait in vain."""
        try:
            self._on_batch(self._name, len(entries))
            answered = self._batches.run(org_id, entries)
        except Exception:
            log.exception("lane_broken", lane=self._name, org_id=org_id, commands=len(entries))
            answered = [(entry, failure(entry.command, Code.UNKNOWN_ERROR)) for entry in entries]
        if answered:
            answer(answered)

    def _take_arrivals(self, *, is_blocking: bool) -> bool:
        """Sort what has arrived by org; True when the lane was told to stop."""
        try:
            arrival = self._arrivals.get(block=is_blocking)
            while arrival is not None:
                self._by_org.setdefault(arrival.command.org_id, deque()).append(arrival)
                arrival = self._arrivals.get(block=False)
        except Empty:
            return False
        return True

    def _next_batch(self) -> tuple[int, list[Entry]]:
        """The oldest org's commands, up to a batch; what is left of them goes to the end of the round."""
        org_id = next(iter(self._by_org))
        waiting = self._by_org.pop(org_id)
        entries: list[Entry] = []
        rows = 0
        while waiting and len(entries) < BATCH_COMMANDS_MAX and rows + waiting[0].command.rows_max <= BATCH_ITEMS_MAX:
            if isinstance(waiting[0].command, Issue) and any(isinstance(entry.command, _CHANGES_HOLDINGS) for entry in entries):
                break
            entries.append(waiting.popleft())
            rows += entries[-1].command.rows_max
        if waiting:
            self._by_org[org_id] = waiting
        return org_id, entries
