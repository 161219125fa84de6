"""Serials of new rows, in blocks: one statement a block, not a hot row a batch. What a restart leaves of a block is lost."""

from collections.abc import Iterator
from typing import Final

from couponry.core import ids
from couponry.core.limits import SERIAL_BLOCK
from couponry.store.engine import WriteTransaction
from couponry.store.serials import COUPON, OUTBOX, REDEMPTION, REFUSAL, BatchIds, reserve

_KINDS: Final = {REDEMPTION: ids.REDEMPTION, COUPON: ids.COUPON, REFUSAL: ids.REDEMPTION, OUTBOX: ids.REDEMPTION}


class _Block:
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
    def left(self) -> int:
        return self._end - self._next


class Serials:
    """The blocks that one lane holds. A block taken by a transaction that fails is forgotten with it."""

    def __init__(self) -> None:
        self._blocks: dict[tuple[int, str], _Block] = {}

    def for_batch(self, tx: WriteTransaction, org_id: int, needed: int) -> BatchIds:
        """Ids for a batch of at most `needed` new rows of each kind."""
        return BatchIds(*(self._block(tx, org_id, kind, needed) for kind in _KINDS))

    def forget(self, org_id: int) -> None:
        """Drop what an undone transaction may have taken."""
        for kind in _KINDS:
            self._blocks.pop((org_id, kind), None)

    def _block(self, tx: WriteTransaction, org_id: int, kind: str, needed: int) -> Iterator[int]:
        block = self._blocks.get((org_id, kind))
        if block is None or block.left < needed:
            size = max(SERIAL_BLOCK, needed)
            block = _Block(ids.first_id(_KINDS[kind], org_id, reserve(tx, org_id, kind, size)), size)
            self._blocks[org_id, kind] = block
        return block
