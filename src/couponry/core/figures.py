"""Figures: what happened on which day, in which series, at which store; and the discount that a redemption gave.

They are sums over rows, kept beside them (`store.counting`), so that a page never counts rows itself.
"""

from datetime import date, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct

from couponry.core.expiry import local_time
from couponry.core.limits import MONEY_SCALE
from couponry.core.model import Terms

Figure = Literal["issued", "redeemed", "reversed", "revoked", "refused", "discount"]
FIGURES: Final[tuple[Figure, ...]] = ("issued", "redeemed", "reversed", "revoked", "refused", "discount")
ALL: Final = 0
"""Instead of a day, a series or a store: all of them together."""
QUARTER_MS: Final = 15 * 60 * 1000
_AT: Final = {figure: at for at, figure in enumerate(FIGURES)}
_THOUSANDTH: Final = Decimal(1) / MONEY_SCALE
_PERCENT: Final = Decimal(100)


def discount_given(terms: Terms, amount: Decimal | None) -> Decimal:
    """What a redemption takes off the bill that it is shown for: never more than the bill, and no cent more than the terms say.

    Without the bill's amount nobody knows what a percentage comes to, so it counts as nothing.
    """
    if terms.discount_type == "ABS":
        given = terms.discount_value if amount is None else min(terms.discount_value, amount)
    elif amount is None:
        return Decimal(0)
    else:
        given = min(amount * terms.discount_value / _PERCENT, amount)
        if terms.discount_upto > 0:
            given = min(given, terms.discount_upto)
    return max(given, Decimal(0)).quantize(_THOUSANDTH, ROUND_DOWN)


def day_of(at_ms: int, zone: ZoneInfo) -> int:
    """The day of an instant by the wall clock of `zone`, as the number that `date.fromordinal` takes.

    A number, not a text: days are counted with, and 0 is no day. By quarters of an hour, which is how rows are grouped to be
    counted anew: clocks differ by whole quarters.
    """
    return local_time(at_ms // QUARTER_MS * (QUARTER_MS // 1000), zone).toordinal()


class Grain(NamedTuple):
    """What happened on one day, in one series, at one store. `ALL` stands for what is unknown, too."""

    day: int
    series_id: int
    store_id: int


class Tally:
    """What a transaction adds to the figures of an org in `zone`."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._counts: dict[Grain, list[int]] = {}
        self._refusals: dict[tuple[int, int, str], int] = {}

    def count(self, figure: Figure, at_ms: int, series_id: int | None, store_id: int | None = None, times: int = 1) -> None:
        """So many more of one figure; a discount's are thousandths."""
        grain = Grain(day_of(at_ms, self._zone), series_id or ALL, store_id or ALL)
        counts = self._counts.get(grain)
        if counts is None:
            counts = self._counts[grain] = [0] * len(FIGURES)
        counts[_AT[figure]] += times

    def refuse(self, at_ms: int, series_id: int | None, store_id: int | None, status: str, times: int = 1) -> None:
        """So many more refusals by the code of that name."""
        self.count("refused", at_ms, series_id, store_id, times)
        day = day_of(at_ms, self._zone)
        for series in {series_id or ALL, ALL}:
            key = (day, series, status)
            self._refusals[key] = self._refusals.get(key, 0) + times

    def figures(self) -> dict[Grain, list[int]]:
        """By day, by series, by store, and by series and store of all days; only what is not zero."""
        cube: dict[Grain, list[int]] = {}
        for (day, series_id, store_id), counts in self._counts.items():
            keys = {Grain(day, ALL, ALL), Grain(day, series_id, ALL), Grain(day, ALL, store_id)}
            if series_id and store_id:
                keys.add(Grain(ALL, series_id, store_id))
            for key in keys:
                cube[key] = list(map(int.__add__, cube[key], counts)) if key in cube else counts
        return {key: cube[key] for key in sorted(cube) if any(cube[key])}

    def refusals(self) -> dict[tuple[int, int, str], int]:
        """By day, series and the code's name; those of no series only among all."""
        return dict(sorted(self._refusals.items()))


class Period(Struct, frozen=True):
    """Days by the org's calendar, the first and the last of them included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1

    @property
    def before(self) -> "Period":
        """As many days before it."""
        return Period(self.first - timedelta(self.days), self.first - timedelta(1))

    @property
    def listed(self) -> list[date]:
        """Each of them."""
        return [self.first + timedelta(at) for at in range(self.days)]
