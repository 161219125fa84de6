"""Serials of new rows, in blocks: one statement a block, not a hot row a batch. What a restart leaves of a block is lost.

A block is committed before the batch begins: the row that hands it out must not stay locked while the batch waits for a coupon.
"""

from collections.abc import Iterator
from typing import Final

from couponry.core import ids
from couponry.core.limits import SERIAL_BLOCK
from couponry.store.engine import Database
from couponry.store.serials import COUPON, OUTBOX, REDEMPTION, REFUSAL, BatchIds, reserve

_KINDS: Final = {REDEMPTION: ids.REDEMPTION, COUPON: ids.COUPON, REFUSAL: ids.REDEMPTION, OUTBOX: ids.REDEMPTION}


_EVENTS_PER_ROW: Final = 2
"""An issue is told to others, and sent to the customer."""


class Block:
    """Ids in a row, each handed out once."""

    def __init__(self, first: int, size: int) -> None:
        self._next = first
        self._end = first + size

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        assert self._next < self._end, "a batch was given enough ids"
        self._next += 1
        return self._next - 1

    @property
    def upcoming(self) -> int:
        """The id that comes next."""
        return self._next

    @property
    def left(self) -> int:
        return self._end - self._next


class Serials:
    """The blocks that one lane holds."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._blocks: dict[tuple[int, str], Block] = {}

    def for_batch(self, org_id: int, needed: int) -> BatchIds:
        """Ids for a batch of at most `needed` new rows of each kind, and the events about them."""
        assert needed * _EVENTS_PER_ROW <= SERIAL_BLOCK
        short = [kind for kind in _KINDS if self._left(org_id, kind) < needed * _EVENTS_PER_ROW]
        if short:
            with self._database.writing() as tx:
                serials = {kind: reserve(tx, org_id, kind, SERIAL_BLOCK) for kind in short}
            for kind, serial in serials.items():
                self._blocks[org_id, kind] = Block(ids.first_id(_KINDS[kind], org_id, serial), SERIAL_BLOCK)
        return BatchIds(*(self._blocks[org_id, kind] for kind in _KINDS))

    def _left(self, org_id: int, kind: str) -> int:
        block = self._blocks.get((org_id, kind))
        return block.left if block else 0
