"""How much to do at a time: all that is possible while nobody else writes, little while somebody does.

A chunk keeps others waiting for as long as it takes, on SQLite all of them, on PostgreSQL by the processor that it uses. So once
others are seen at work, chunks become small and leave most of the time to them.
"""

import time
from collections.abc import Callable

from couponry.core.limits import CHUNK_BUSY_MS, CHUNK_REST_FACTOR, CHUNK_ROWS_MAX, CHUNK_ROWS_MIN, QUIET_CHUNKS


class Pace:
    """The pace of one job, or of the sequencing of one org, by the rows of a chunk.

    It begins slowly, slows down at once, and speeds up when it has been quiet for a while.
    """

    def __init__(
        self, sleep: Callable[[float], object] = time.sleep, *, least: int = CHUNK_ROWS_MIN, most: int = CHUNK_ROWS_MAX
    ) -> None:
        self._sleep = sleep
        self._least, self._most = least, most
        self._quiet_chunks = 0
        self._slow_rows = least

    @property
    def rows(self) -> int:
        """How many rows the next chunk may have."""
        return self._most if self._quiet_chunks >= QUIET_CHUNKS else self._slow_rows

    def went(self, rows: int, seconds: float, *, others_work: bool) -> None:
        """Tell of a chunk that is committed, and how many rows it looked at; rests if others were at work meanwhile."""
        if rows:
            fitting = int(rows * CHUNK_BUSY_MS / 1000 / max(seconds, 1e-6))
            self._slow_rows = max(self._least, min(self._most, fitting))
        self._quiet_chunks = 0 if others_work else self._quiet_chunks + 1
        if others_work:
            self._sleep(seconds * CHUNK_REST_FACTOR)
