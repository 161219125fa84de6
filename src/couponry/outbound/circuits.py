"""A circuit breaker for each target of each org: who keeps failing is left alone for a while, then tried with one request.

Our own, because it is this short: `purgatory`, the one for asyncio that is kept, knows no clock but the machine's and keeps every
target for ever; `pybreaker` is made for threads.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from couponry.core.limits import (
    HOOK_CONNECTIONS_PER_TARGET_MAX,
    HOOK_FAILURES_MAX,
    HOOK_OPEN_MS,
    HOOK_TARGETS_MAX,
    HOOK_WAITERS_PER_TARGET_MAX,
)


class Circuit:
    """One org's requests to one URL: how many at a time, and whether at all. `clock` gives milliseconds."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._failures = 0
        self._opened_ms: int | None = None
        self._is_probing = False
        self._in_use = 0
        self.slots = asyncio.Semaphore(HOOK_CONNECTIONS_PER_TARGET_MAX)

    @property
    def is_open(self) -> bool:
        """Whether to leave the target alone; after the pause one request at a time goes to see whether it is well."""
        if self._opened_ms is None:
            return False
        return self._is_probing or self._clock() - self._opened_ms < HOOK_OPEN_MS

    def enter(self) -> bool:
        """Take a place in the queue for a slot; false when the target is left alone, or has too many waiting."""
        if self.is_open or self._in_use >= HOOK_CONNECTIONS_PER_TARGET_MAX + HOOK_WAITERS_PER_TARGET_MAX:
            return False
        self._in_use += 1
        return True

    def leave(self) -> None:
        """Done, however it went."""
        self._in_use -= 1

    def begin(self) -> bool:
        """With a slot in hand: go ahead, unless the circuit has opened meanwhile."""
        if self.is_open:
            return False
        self._is_probing = self._opened_ms is not None
        return True

    def end(self, *, is_well: bool | None) -> None:
        """How a request that went ahead ended; None when its caller went away first."""
        self._is_probing = False
        if is_well:
            self._failures, self._opened_ms = 0, None
        elif is_well is False:
            self._failures += 1
            if self._failures >= HOOK_FAILURES_MAX:
                self._opened_ms = self._clock()


class Circuits:
    """The circuits of this process; the ones used longest ago are forgotten."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._kept: OrderedDict[tuple[int, str], Circuit] = OrderedDict()

    def of(self, org_id: int, url: str) -> Circuit:
        """The circuit of a target; a change of the URL begins a new one."""
        key = (org_id, url)
        circuit = self._kept.get(key)
        if circuit is None:
            circuit = self._kept[key] = Circuit(self._clock)
        self._kept.move_to_end(key)
        if len(self._kept) > HOOK_TARGETS_MAX:
            self._kept.popitem(last=False)
        return circuit
