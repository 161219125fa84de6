"""Codes that nobody knows yet, made ahead: FF1 costs the same for one as for a hundred, and a batch must not wait for a serial.

A block of a series' serials is reserved in a transaction of its own, before the batch begins. What a restart leaves is lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from couponry.core.generation import GUESSES_PER_HIT_MIN, CodeMaker, CodeShape, org_key, shape_of
from couponry.core.limits import CODE_STOCKS_MAX, CODE_TRIES_MAX, CODES_AHEAD_MAX
from couponry.core.model import Org
from couponry.core.series import Series
from couponry.store.engine import Database
from couponry.store.serials import reserve_codes


@dataclass(slots=True)
class _Stock:
    """Codes of one shape for one series.

    `has_clashed` once one was taken already; `tries` are the candidates for each coupon that so many taken ones call for;
    `is_empty` when there are no more serials.
    """

    maker: CodeMaker
    codes: list[str] = field(default_factory=list)
    has_clashed: bool = False
    tries: int = 1
    is_empty: bool = False


class CodeStock:
    """What one lane holds. `secret` is the installation's: without it nobody can tell a code from those that he has seen."""

    def __init__(self, database: Database, secret: bytes) -> None:
        self._database: Final = database
        self._secret: Final = secret
        self._stocks: dict[tuple[int, int, CodeShape], _Stock] = {}

    def draw(self, org: Org, series: Series, count: int) -> list[str] | None:
        """Codes for this many coupons and some to spare; fewer when the series has no more; None when they must be made first."""
        stock = self._stocks.get(_key(org, series))
        if stock is None:
            return None
        wanted = _wanted(stock, count)
        if len(stock.codes) < wanted and not stock.is_empty:
            return None
        drawn, stock.codes = stock.codes[:wanted], stock.codes[wanted:]
        return drawn

    def put_back(self, org: Org, series: Series, codes: list[str]) -> None:
        """Codes that were drawn and not used."""
        stock = self._stocks.get(_key(org, series))
        if stock:
            stock.codes[:0] = codes

    def have_clashed(self, org: Org, series: Series) -> bool:
        """Whether a code of the series was ever found taken, so that others must be looked up before they are used."""
        return self._stocks[_key(org, series)].has_clashed

    def clash(self, org: Org, series: Series) -> None:
        """A batch collided with what others wrote: perhaps by a code of this series."""
        stock = self._stocks.get(_key(org, series))
        if stock:
            stock.has_clashed = True

    def proved_dense(self, org: Org, series: Series, count: int) -> bool:
        """Too many of the candidates were taken: from now on there are twice as many, at most 20 a coupon. Whether that helps.

        Not 20 at once: of a small code space, what is made and not used until a restart would be most.
        """
        stock = self._stocks[_key(org, series)]
        before = _wanted(stock, count)
        if not stock.is_empty or stock.codes:
            stock.has_clashed = True
            while stock.tries < CODE_TRIES_MAX and _wanted(stock, count) == before:
                stock.tries = min(2 * stock.tries, CODE_TRIES_MAX)
        return _wanted(stock, count) > before

    def make(self, org: Org, wanted: Sequence[tuple[Series, int]]) -> None:
        """Make what is missing for these numbers of coupons, and more ahead where the series has codes to spare."""
        if len(self._stocks) + len(wanted) > CODE_STOCKS_MAX:
            self._stocks.clear()
        for series, count in wanted:
            key = _key(org, series)
            if key not in self._stocks:
                self._stocks[key] = _Stock(CodeMaker(org_key(self._secret, org.id), series.id, key[2]))
            stock = self._stocks[key]
            capacity = stock.maker.capacity
            missing = _wanted(stock, count) - len(stock.codes)
            ahead = max(missing, min(CODES_AHEAD_MAX, capacity // GUESSES_PER_HIT_MIN))
            with self._database.writing() as tx:
                first = reserve_codes(tx, org.id, series.id, ahead)
            made = max(0, min(ahead, capacity - first))
            stock.codes += stock.maker.codes(first, made) if made else []
            stock.is_empty = made < ahead


def _wanted(stock: _Stock, count: int) -> int:
    return max(count * stock.tries, count + CODE_TRIES_MAX - 1) if stock.has_clashed else count


def _key(org: Org, series: Series) -> tuple[int, int, CodeShape]:
    return org.id, series.id, shape_of(series.terms, org.settings)
