"""Codes for bulk issue: blocks of a series' serials, each in the order of the index.

Blocks belong to one job and stand in its cursor, so that a crash loses none of them; only one that was reserved and never used is
lost, and what is left at the job's end, which is next to nothing where codes are scarce. What has turned out to be taken by
somebody else's upload is passed over, and from then on looked for.
"""

from collections import OrderedDict
from threading import Lock
from typing import Final

from msgspec import Struct

from couponry.core.generation import CodeMaker, SortedCodes, org_key, shape_of
from couponry.core.limits import CODE_BLOCK, JOBS_AT_ONCE
from couponry.core.model import Org
from couponry.core.series import Series
from couponry.store.bulk.issuing import Offered, taken_codes
from couponry.store.engine import Database
from couponry.store.neighbours import commit_lazily
from couponry.store.serials import reserve_codes

_BLOCKS_IN_PLENTY: Final = 100
_SORTED_MAX: Final = 2


class Block(Struct, frozen=True, array_like=True):
    """The `count` serials from `first` on; in the order of their codes, `used` of them are used up."""

    first: int
    count: int
    used: int = 0


class Place(Struct, frozen=True):
    """What a job still has: blocks that are used one after the other, so there is seldom a second one."""

    blocks: tuple[Block, ...] = ()


class Drawn(Struct, frozen=True):
    """Codes for a chunk, each with the number of its block and how far that is used up with it; and the blocks before."""

    codes: list[str]
    ends: list[tuple[int, int]]
    place: Place

    def after(self, issued: int) -> Place:
        """What is left when the first so many of the codes are used."""
        if not issued or not self.ends:
            return self.place
        at, used = self.ends[issued - 1]
        block = self.place.blocks[at]
        return Place((Block(block.first, block.count, used), *self.place.blocks[at + 1 :]))


NO_CODES: Final = Drawn([], [], Place())


class CodeBlocks:
    """The codes of one series. May be asked from several threads."""

    def __init__(self, database: Database, secret: bytes, org: Org, series: Series) -> None:
        self._database = database
        self._org, self._series = org, series
        shape = shape_of(series.terms, org.settings)
        self._maker: Final = CodeMaker(org_key(secret, org.id), series.id, shape)
        self._ahead = shape.codes_safe
        self._sorted: dict[tuple[int, int], SortedCodes] = {}
        self.are_scarce: Final = shape.capacity < _BLOCKS_IN_PLENTY * CODE_BLOCK
        """Whether no more should be drawn than will be used."""
        self.are_doubtful = False
        """Whether some code was found to be taken, so that all are looked up."""

    def draw(self, place: Place, most: int, *, still_wanted: int) -> Drawn:
        """`most` codes that nobody has, or fewer if the series has no more; the job may need `still_wanted` in all.

        In a space that others have all but filled, it gives up after as many as a block has.
        """
        blocks = [block for block in place.blocks if block.used < block.count]
        codes: list[str] = []
        ends: list[tuple[int, int]] = []
        at, used, looked_at = 0, blocks[0].used if blocks else 0, 0
        while len(codes) < most and looked_at < most + CODE_BLOCK:
            missing = most - len(codes)
            if at == len(blocks):
                new = self._next_block(missing, still_wanted)
                if not new.count:
                    break
                blocks.append(new)
                used = 0
            texts = self._codes(blocks[at]).part(used, missing)
            taken = self._taken(texts)
            free = [(text, (at, end)) for end, text in enumerate(texts, used + 1) if text not in taken]
            codes += [text for text, _ in free]
            ends += [end for _, end in free]
            used += len(texts)
            looked_at += len(texts)
            if used == blocks[at].count:
                if ends and ends[-1][0] == at:
                    at += 1
                else:
                    del blocks[at]
                used = blocks[at].used if at < len(blocks) else 0
        return Drawn(codes, ends, Place(tuple(blocks)))

    def _codes(self, block: Block) -> SortedCodes:
        key = (block.first, block.count)
        found = self._sorted.get(key)
        if found is None:
            if len(self._sorted) >= _SORTED_MAX:
                self._sorted.clear()
            found = self._sorted[key] = self._maker.sorted_codes(*key)
        return found

    def _taken(self, codes: list[str]) -> set[str]:
        if not self.are_doubtful:
            return set()
        with self._database.reading() as tx:
            return taken_codes(tx, self._org.id, codes)

    def _next_block(self, missing: int, still_wanted: int) -> Block:
        wanted = missing if self.are_scarce else max(missing, min(still_wanted, CODE_BLOCK), min(self._ahead, CODE_BLOCK))
        with self._database.writing() as tx:
            commit_lazily(tx)
            first = reserve_codes(tx, self._org.id, self._series.id, wanted)
        return Block(first, max(0, min(wanted, self._maker.capacity - first)))


class OpenSeries:
    """The blocks of the series that jobs work at, of whatever kind: tens of megabytes each, so no more are kept than jobs run."""

    def __init__(self, database: Database, secret: bytes) -> None:
        self._database = database
        self._secret = secret
        self._blocks: OrderedDict[object, CodeBlocks] = OrderedDict()
        self._lock = Lock()

    def blocks_of(self, offered: Offered) -> CodeBlocks:
        """Those of a series by its current terms; those that were asked for longest ago may go."""
        org, series = offered.org, offered.series
        key = (org.id, series.id, shape_of(series.terms, org.settings))
        with self._lock:
            found = self._blocks.pop(key, None) or CodeBlocks(self._database, self._secret, org, series)
            self._blocks[key] = found
            if len(self._blocks) > JOBS_AT_ONCE:
                self._blocks.popitem(last=False)
        return found
