"""Codes for bulk issue: a block of a series' serials at a time, in the order of the index.

A block belongs to one job and stands in its cursor, so that a crash loses none of it; only one that was reserved and never used
is lost, and what is left at the job's end. Where codes are scarce, a block is no larger than a chunk. What has turned out to be
taken by somebody else's upload is passed over, and from then on looked for.
"""

from typing import Final

from msgspec import Struct

from couponry.core.generation import CodeMaker, SortedCodes, org_key, shape_of
from couponry.core.limits import CODE_BLOCK
from couponry.core.model import Org
from couponry.core.series import Series
from couponry.store.bulk.issuing import taken_codes
from couponry.store.engine import Database
from couponry.store.serials import reserve_codes

_BLOCKS_IN_PLENTY: Final = 100


class Place(Struct, frozen=True, rename="camel"):
    """How far a job's codes are used up: `used` of the block of `count` serials from `first` on."""

    first: int = 0
    count: int = 0
    used: int = 0


class Drawn(Struct, frozen=True):
    """Codes for a chunk, each with the place that the block is at once it is used."""

    codes: list[str]
    ends: list[int]
    place: Place

    def after(self, issued: int) -> Place:
        """Where the block is when the first so many of the codes are used."""
        return Place(self.place.first, self.place.count, self.ends[issued - 1]) if issued and self.ends else self.place


class CodeBlocks:
    """The blocks of one series for one job."""

    def __init__(self, database: Database, secret: bytes, org: Org, series: Series) -> None:
        self._database = database
        self._org, self._series = org, series
        shape = shape_of(series.terms, org.settings)
        self._maker: Final = CodeMaker(org_key(secret, org.id), series.id, shape)
        self._ahead = max(1, shape.codes_safe)
        self._is_scarce = shape.capacity < _BLOCKS_IN_PLENTY * CODE_BLOCK
        self._block: tuple[int, int, SortedCodes] | None = None
        self.are_doubtful = False
        """Whether some code was found to be taken, so that all are looked up."""

    def draw(self, place: Place, most: int, *, least: int, still_wanted: int) -> Drawn:
        """Up to `most` codes that nobody has, and `least` unless the series has no more; the job may need `still_wanted`.

        Of a space that others have all but filled, it gives up after as many as a block has.
        """
        tried = 0
        while True:
            drawn = self._drawn(place, most)
            if len(drawn.codes) >= least or tried > CODE_BLOCK:
                return drawn
            tried += place.count - place.used
            place = self._next_block(max(least, min(still_wanted, most if self._is_scarce else CODE_BLOCK)))
            if not place.count:
                return drawn

    def _drawn(self, place: Place, wanted: int) -> Drawn:
        """From one block: the next of it that are free, which may be fewer than wanted."""
        if place.used >= place.count:
            return Drawn([], [], place)
        block = self._block
        if block is None or block[:2] != (place.first, place.count):
            block = self._block = (place.first, place.count, self._maker.sorted_codes(place.first, place.count))
        free: list[tuple[int, str]] = []
        for used in range(place.used, place.count, wanted):
            codes = block[2].part(used, wanted)
            free = list(enumerate(codes, used + 1))
            if self.are_doubtful:
                with self._database.reading() as tx:
                    taken = taken_codes(tx, self._org.id, codes)
                free = [(end, code) for end, code in free if code not in taken]
            if free:
                break
        return Drawn([code for _, code in free], [end for end, _ in free], place)

    def _next_block(self, wanted: int) -> Place:
        count = min(CODE_BLOCK, max(wanted, self._ahead))
        with self._database.writing() as tx:
            tx.commit_lazily()
            first = reserve_codes(tx, self._org.id, self._series.id, count)
        return Place(first, max(0, min(count, self._maker.capacity - first)), 0)
