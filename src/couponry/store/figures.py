"""Figures as pages show them: sums of few rows each, whatever has happened (`store.counting` keeps them)."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import TextClause, text

from couponry.core.expiry import local_time
from couponry.core.figures import ALL, FIGURES, Period
from couponry.core.limits import MONEY_SCALE
from couponry.core.model import ExpiryStrategy
from couponry.core.series import Series
from couponry.store.engine import ReadTransaction

_SUMS: Final = ", ".join(f"SUM({name})" for name in FIGURES)
# A plus before a column keeps SQLite from going through all days in that column's order, to be spared a sort.
_BY_DAY: Final = text(f"""
    SELECT day, {_SUMS} FROM daily_figure
    WHERE org_id = :org AND series_id = :series AND store_id = :store AND day BETWEEN :first AND :last GROUP BY day
""")  # noqa: S608 - names of our own schema, as in the others
_PER_SERIES: Final = text(f"""
    SELECT +series_id, {_SUMS} FROM daily_figure
    WHERE org_id = :org AND day BETWEEN :first AND :last AND +store_id = 0 AND +series_id > 0 GROUP BY +series_id
""")  # noqa: S608
_PER_STORE: Final = text(f"""
    SELECT +store_id, {_SUMS} FROM daily_figure
    WHERE org_id = :org AND day BETWEEN :first AND :last AND +series_id = 0 AND +store_id > 0 GROUP BY +store_id
""")  # noqa: S608
_BY_STORE: Final = text(f"""
    SELECT store_id, {_SUMS} FROM daily_figure
    WHERE org_id = :org AND day = 0 AND series_id = :series AND store_id > 0 GROUP BY store_id
""")  # noqa: S608
_REFUSALS: Final = text("""
    SELECT status, SUM(refused) FROM daily_refusal
    WHERE org_id = :org AND series_id = :series AND day BETWEEN :first AND :last GROUP BY status
""")
_COUNTER: Final = text("SELECT SUM(issued), SUM(uploaded) FROM series_counter WHERE org_id = :org AND series_id = :series")
_MONTHS_A_YEAR: Final = 12
EVER: Final = Period(date(1, 1, 1), date.max)


class Figures(Struct, frozen=True):
    """What happened in some time. `redeemed` counts redemptions, reversed ones too; `discount` is what was given in the end."""

    issued: int = 0
    redeemed: int = 0
    reversed: int = 0
    revoked: int = 0
    refused: int = 0
    discount: Decimal = Decimal(0)

    @property
    def kept(self) -> int:
        """Redemptions less reversals."""
        return self.redeemed - self.reversed

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(*(getattr(self, name) + getattr(other, name) for name in FIGURES))


NOTHING: Final = Figures()


class Funnel(Struct, frozen=True):
    """How far the coupons of a series came, ever.

    `created` counts codes: uploaded, or made as they were issued. `expired_at_least` are coupons in customers' hands that have
    expired unused, as far as figures tell: every redemption and revocation is taken to be of one that has.
    """

    created: int
    issued: int
    redeemed: int
    reversed: int
    revoked: int
    expired_at_least: int


def by_day(tx: ReadTransaction, org_id: int, period: Period, *, series_id: int = ALL, store_id: int = ALL) -> dict[date, Figures]:
    """The days on which something happened: of the org, or of one series, or of one store."""
    found = _summed(tx, _BY_DAY, org_id, period, series=series_id, store=store_id)
    return {date.fromordinal(day): figures for day, figures in found.items()}


def total(days: Mapping[date, Figures], period: Period) -> Figures:
    """What happened in all of a period."""
    return sum((figures for day, figures in days.items() if period.first <= day <= period.last), NOTHING)


def per_series(tx: ReadTransaction, org_id: int, period: Period) -> dict[int, Figures]:
    """Every series in which something happened."""
    return _summed(tx, _PER_SERIES, org_id, period)


def per_store(tx: ReadTransaction, org_id: int, period: Period) -> dict[int, Figures]:
    """Every store at which something happened. What jobs issue is issued at none, and a revocation happens nowhere."""
    return _summed(tx, _PER_STORE, org_id, period)


def by_store(tx: ReadTransaction, org_id: int, series_id: int) -> dict[int, Figures]:
    """One series at every store, ever."""
    return {store_id: _figures(sums) for store_id, *sums in tx.rows(_BY_STORE, {"org": org_id, "series": series_id})}


def refusals(tx: ReadTransaction, org_id: int, period: Period = EVER, *, series_id: int = ALL) -> dict[str, int]:
    """Refusals by the name of their code, the most frequent first: of all, those too of codes of no series; or of one series."""
    rows = tx.rows(_REFUSALS, {**_bounds(org_id, period), "series": series_id})
    return {status: int(times) for status, times in sorted(rows, key=lambda row: (-row[1], row[0]))}


def funnel(tx: ReadTransaction, org_id: int, series: Series, now_ms: int) -> Funnel:
    """Of one series. Two statements."""
    days = by_day(tx, org_id, EVER, series_id=series.id)
    ((issued, uploaded),) = tx.rows(_COUNTER, {"org": org_id, "series": series.id})
    ever = total(days, EVER)
    expired = sum(figures.issued for day, figures in days.items() if day < _alive_from(series, now_ms))
    unused = max(0, expired - max(0, ever.kept) - ever.revoked)
    issued = int(issued or 0)
    return Funnel(max(issued, int(uploaded or 0)), issued, ever.redeemed, ever.reversed, ever.revoked, unused)


def _alive_from(series: Series, now_ms: int) -> date:
    """What was issued before this day has expired, unless somebody changed its expiry."""
    today = local_time(now_ms // 1000, series.zone).date()
    if now_ms > series.expires_ms:
        return date.max
    count = series.terms.expiry_strategy_value
    match series.terms.expiry_strategy_type:
        case ExpiryStrategy.DAYS:
            return date.fromordinal(max(1, today.toordinal() - count))
        case ExpiryStrategy.MONTHS_END:
            month = today.year * _MONTHS_A_YEAR + today.month - 1 - count
            return date(month // _MONTHS_A_YEAR, month % _MONTHS_A_YEAR + 1, 1) if month >= _MONTHS_A_YEAR else date.min
        case ExpiryStrategy.SERIES_EXPIRY:
            return date.min


def _summed(tx: ReadTransaction, sums: TextClause, org_id: int, period: Period, **more: int) -> dict[int, Figures]:
    return {int(key): _figures(counts) for key, *counts in tx.rows(sums, {**_bounds(org_id, period), **more})}


def _bounds(org_id: int, period: Period) -> dict[str, int]:
    return {"org": org_id, "first": period.first.toordinal(), "last": period.last.toordinal()}


def _figures(sums: Any) -> Figures:  # noqa: ANN401 - a row's sums, which PostgreSQL gives as decimals
    issued, redeemed, reversed_, revoked, refused, discount = map(int, sums)
    return Figures(issued, redeemed, reversed_, revoked, refused, Decimal(discount) / MONEY_SCALE)
