"""Failed logins make the next ones wait: twice as long each time, per credential and per address, up to a bound.

Waiting, not locking out: whoever has the right password gets in, only later. What waits is bounded by the caller.
"""

from collections.abc import Callable, Hashable

from couponry.core.limits import FAILURE_FORGOTTEN_MS, FAILURE_WAIT_MS_MAX, FAILURES_FREE_MAX, THROTTLE_CACHE_MAX

_FIRST_WAIT_MS = 100


class Slowdown:
    """Failures by key, forgotten after a while; the oldest are forgotten first when there are too many."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._failures: dict[Hashable, tuple[int, int]] = {}

    def wait_ms(self, *keys: Hashable) -> int:
        """How long the next try for these keys has to wait."""
        return max(self._wait_ms(key) for key in keys)

    def failed(self, *keys: Hashable) -> None:
        """Count a failure."""
        now_ms = self._clock()
        for key in keys:
            failures, last_ms = self._failures.pop(key, (0, now_ms))
            while len(self._failures) >= THROTTLE_CACHE_MAX:
                del self._failures[next(iter(self._failures))]
            self._failures[key] = (1 if now_ms - last_ms > FAILURE_FORGOTTEN_MS else failures + 1, now_ms)

    def succeeded(self, *keys: Hashable) -> None:
        """Forget the failures."""
        for key in keys:
            self._failures.pop(key, None)

    def _wait_ms(self, key: Hashable) -> int:
        failures, last_ms = self._failures.get(key, (0, 0))
        if failures < FAILURES_FREE_MAX:
            return 0
        doublings = min(failures - FAILURES_FREE_MAX, 16)
        since_ms = self._clock() - last_ms
        if since_ms > FAILURE_FORGOTTEN_MS:
            return 0
        return max(0, min(_FIRST_WAIT_MS << doublings, FAILURE_WAIT_MS_MAX) - since_ms)
