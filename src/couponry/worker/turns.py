"""Turns at something that only a few may do at once, in the order in which they came."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class Turns:
    """A fair semaphore: a job that comes back at once waits behind those who came before."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._at_once = at_once
        self._is_over = False
        self._waiting: deque[object] = deque()
        self._change = Condition()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn, and have it as long as the block lasts; for ever, once turns have ended."""
        me = object()
        with self._change:
            self._waiting.append(me)
            self._change.wait_for(lambda: self._free and self._waiting[0] is me and not self._is_over)
            self._waiting.popleft()
            self._free -= 1
            self._change.notify_all()
        try:
            yield
        finally:
            with self._change:
                self._free += 1
                self._change.notify_all()

    def end(self, wait_s_max: float) -> None:
        """Let those who have a turn finish, and nobody else begin."""
        with self._change:
            self._is_over = True
            self._change.wait_for(lambda: self._free == self._at_once, wait_s_max)
