"""A bounded cache in front of slow look-ups, which outlives an outage of what it looks into.

An entry is served as it is while fresh. After that the first to ask looks again, and everybody who asks meanwhile waits for that
one look. If the look fails, the entry goes on being served until it is stale. New and renewed entries push out the oldest ones;
refusals push out refusals only, so that junk cannot drive out those who were let in.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Generic, TypeVar

from couponry.core.limits import PRINCIPAL_FRESH_MS, PRINCIPAL_STALE_MS, REFUSAL_FRESH_MS
from couponry.core.status import Code
from couponry.store.directory import DirectoryUnreadable

V = TypeVar("V")


class Recall(Generic[V]):
    """Remembers what `look` answered for a key; a Code is a refusal, which is remembered for a shorter time."""

    def __init__(self, clock: Callable[[], int], entries_max: int) -> None:
        self._clock = clock
        self._entries_max = entries_max
        self._entries: dict[Hashable, tuple[V, int, int]] = {}
        self._refusals: dict[Hashable, tuple[Code, int, int]] = {}
        self._looking: dict[Hashable, asyncio.Task[V | Code]] = {}

    def fresh(self, key: Hashable) -> V | Code | None:
        """What is known and fresh, without waiting."""
        entry = self._entries.get(key) or self._refusals.get(key)
        return entry[0] if entry is not None and self._clock() < entry[1] else None

    async def ask(self, key: Hashable, look: Callable[[V | None], Awaitable[V | Code]]) -> V | Code:
        """What is known, else what `look` finds out; it is handed what was known before. One look per key at a time."""
        known = self.fresh(key)
        if known is not None:
            return known
        task = self._looking.get(key)
        if task is None:
            task = self._looking[key] = asyncio.ensure_future(self._look(key, look))
        return await asyncio.shield(task)  # one caller who goes away must not take the answer from the others

    async def _look(self, key: Hashable, look: Callable[[V | None], Awaitable[V | Code]]) -> V | Code:
        before, stale_ms = self._before(key)
        try:
            found = await look(before)
        except DirectoryUnreadable as error:
            if before is None:
                return error.code
            self._keep(key, before, REFUSAL_FRESH_MS, stale_ms)
            return before
        finally:
            del self._looking[key]
        is_refused = isinstance(found, Code)
        if not is_refused or not found.is_service_failure:  # type: ignore[union-attr] # mypy does not see it is a Code
            now_ms = self._clock()
            self._keep(key, found, REFUSAL_FRESH_MS if is_refused else PRINCIPAL_FRESH_MS, now_ms + PRINCIPAL_STALE_MS)
        return found

    def _before(self, key: Hashable) -> tuple[V | None, int]:
        entry = self._entries.get(key)
        if entry is None or self._clock() >= entry[2]:
            return None, 0
        return entry[0], entry[2]

    def _keep(self, key: Hashable, value: V | Code, fresh_for_ms: int, stale_ms: int) -> None:
        self._entries.pop(key, None)
        self._refusals.pop(key, None)
        times = (self._clock() + fresh_for_ms, stale_ms)
        if isinstance(value, Code):
            self._make_room(self._refusals)
            self._refusals[key] = (value, *times)
        else:
            self._make_room(self._entries)
            self._entries[key] = (value, *times)

    def _make_room(self, entries: dict[Hashable, Any]) -> None:
        while len(entries) >= self._entries_max:
            del entries[next(iter(entries))]
