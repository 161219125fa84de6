"""Series in bulk, from rows whose cells are the fields of CouponSeriesV2."""

from collections.abc import Callable, Hashable

from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.core.rules.series import AUDIENCE, MANDATORY, WIRE_NAMES
from couponry.store import schema as t
from couponry.store.bulk import Cells
from couponry.store.engine import WriteTransaction
from couponry.store.offering import Author, create_series, drafted


class SeriesRows:
    """The fields of CouponSeriesV2, the owner's included; `couponSeriesAudience` lists external ids of customers."""

    columns = frozenset(WIRE_NAMES | {AUDIENCE})
    required = frozenset(MANDATORY)
    tables = (t.series, t.series_version, t.series_counter, t.series_audience, t.series_entity, t.coupon)

    def __init__(self, org: Org, now_ms: int, new_code: Callable[[], str]) -> None:
        self.org, self.now_ms, self.new_code = org, now_ms, new_code

    def write(self, tx: WriteTransaction, rows: list[Cells], seen: set[Hashable]) -> list[Problem | None]:
        """Create each series whose terms are sound and whose codes nobody has."""
        drafts = [drafted(_sent(row), self.org, self.now_ms, self.new_code(), keeps_owner=True) for row in rows]
        made = create_series(tx, self.org.id, drafts, Author(self.now_ms), seen)
        return [one if isinstance(one, Problem) else None for one in made]


def _sent(cells: Cells) -> Cells:
    """An empty cell is a field that was not sent, but for the series code (753)."""
    return {name: value for name, value in cells.items() if value != "" or name == "seriesCode"}
