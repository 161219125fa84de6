"""Recompute every counter from the rows that it counts, and report what differs. Changes nothing.

One consistent view per org, read in ranges of ids: memory and the time of a statement don't grow with the org, and a server that
counts at the same time makes no false alarm.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Column, func, select, text

from couponry.core.figures import ALL, FIGURES, Grain
from couponry.core.limits import DOCTOR_DIFFERENCES_MAX, DOCTOR_RANGE_IDS
from couponry.store import schema as t
from couponry.store.counting import zone_of
from couponry.store.engine import Database, ReadTransaction
from couponry.store.recount import recounted

# An issued coupon counts for its series unless redemption itself gave it, and for its customer unless revoked, too.
_COUPONS: Final = text("""
    SELECT id, SUM(redeemed) AS redeemed, SUM(active) AS redeemed_actual, SUM(uses) AS uses, SUM(made) AS uses_actual,
           SUM(is_row) AS is_row
    FROM (
        SELECT id, redeemed, 0 AS active, uses, 0 AS made, 1 AS is_row
        FROM coupon WHERE org_id = :org AND id BETWEEN :first AND :last
        UNION ALL
        SELECT coupon_id, 0, CASE WHEN reversed_ms IS NULL THEN 1 ELSE 0 END, 0, 1, 0
        FROM redemption WHERE org_id = :org AND coupon_id BETWEEN :first AND :last
    ) AS parts
    GROUP BY id
    HAVING SUM(redeemed) <> SUM(active) OR SUM(uses) <> SUM(made) OR SUM(is_row) <> 1
""")
_CUSTOMERS: Final = text("""
    SELECT customer_id, series_id, SUM(issued) AS issued, SUM(held) AS issued_actual, SUM(redeemed) AS redeemed,
           SUM(active) AS redeemed_actual, SUM(uses) AS uses, SUM(made) AS uses_actual,
           COALESCE(MAX(last_ms), 0) AS last_redeemed_ms, COALESCE(MAX(active_ms), 0) AS last_redeemed_ms_actual
    FROM (
        SELECT customer_id, series_id, issued, 0 AS held, redeemed, 0 AS active, uses, 0 AS made,
               CASE WHEN redeemed > 0 THEN last_redeemed_ms END AS last_ms, 0 AS active_ms
        FROM customer_series WHERE org_id = :org AND customer_id BETWEEN :first AND :last
        UNION ALL
        SELECT customer_id, series_id, 0, 1, 0, 0, 0, 0, 0, 0
        FROM coupon
        WHERE org_id = :org AND customer_id BETWEEN :first AND :last
          AND issued_ms IS NOT NULL AND revoked_ms IS NULL AND NOT issued_by_redemption
        UNION ALL
        SELECT customer_id, series_id, 0, 0, 0, CASE WHEN reversed_ms IS NULL THEN 1 ELSE 0 END, 0, 1,
               0, CASE WHEN reversed_ms IS NULL THEN redeemed_ms END
        FROM redemption WHERE org_id = :org AND customer_id BETWEEN :first AND :last
    ) AS parts
    GROUP BY customer_id, series_id
    HAVING SUM(issued) <> SUM(held) OR SUM(redeemed) <> SUM(active) OR SUM(uses) <> SUM(made)
        OR COALESCE(MAX(last_ms), 0) <> COALESCE(MAX(active_ms), 0)
""")
_OF_SERIES: Final = text("""
    SELECT series_id, SUM(issued) AS issued, SUM(redeemed) AS redeemed, SUM(uploaded) AS uploaded
    FROM (
        SELECT series_id, CASE WHEN issued_ms IS NOT NULL AND NOT issued_by_redemption THEN 1 ELSE 0 END AS issued,
               0 AS redeemed, 1 AS uploaded
        FROM coupon
        WHERE org_id = :org AND id BETWEEN :first AND :last
        UNION ALL
        SELECT series_id, 0, 1, 0
        FROM redemption WHERE org_id = :org AND coupon_id BETWEEN :first AND :last AND reversed_ms IS NULL
    ) AS parts
    GROUP BY series_id
""")
_SERIES: Final = text("""
    SELECT series_id, SUM(issued) AS issued, SUM(redeemed) AS redeemed, SUM(uploaded) AS uploaded,
           SUM(CASE WHEN issued_max >= 0 THEN issued_elsewhere END) AS issued_elsewhere,
           SUM(CASE WHEN redeemed_max >= 0 THEN redeemed_elsewhere END) AS redeemed_elsewhere,
           SUM(CASE WHEN stripe <> :capped THEN issued ELSE 0 END) AS issued_elsewhere_actual,
           SUM(CASE WHEN stripe <> :capped THEN redeemed ELSE 0 END) AS redeemed_elsewhere_actual
    FROM series_counter WHERE org_id = :org GROUP BY series_id
""")
_FIGURES: Final = text(f"""
    SELECT day, series_id, store_id, {", ".join(f"SUM({name})" for name in FIGURES)} FROM daily_figure
    WHERE org_id = :org GROUP BY day, series_id, store_id
""")  # noqa: S608 - names of our own schema
_REFUSALS: Final = text("""
    SELECT day, series_id, status, SUM(refused) FROM daily_refusal WHERE org_id = :org GROUP BY day, series_id, status
""")
_OF_STRIPES: Final = ("issued", "redeemed", "uploaded")
_NOTHING: Final[Mapping[str, int]] = Counter()
# As the terms of such a series are written; inside a text the quotes would be escaped.
_IS_POOL: Final = '"clientHandlingType":"DISC_CODE_PIN"'
# Where ids come from that counters are about.
_COUPON_IDS: Final = (t.coupon.c.id, t.redemption.c.coupon_id)
_CUSTOMER_IDS: Final = (t.customer_series.c.customer_id, t.redemption.c.customer_id, t.coupon.c.customer_id)
_ROWS: Final = {
    name: text(f"SELECT COUNT(*) FROM {name} WHERE org_id = :org")  # noqa: S608 - the three names below
    for name in ("coupon", "customer_series", "series_counter")
}


class Difference(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A counter that is not what its rows say."""

    org_id: int
    counter: str
    stored: int
    actual: int
    coupon_id: int | None = None
    customer_id: int | None = None
    series_id: int | None = None
    store_id: int | None = None
    day: date | None = None


class Report(Struct, frozen=True):
    """How many rows of counters were recomputed, and the first differences."""

    checked: int
    differences: list[Difference]


def check(database: Database) -> Report:
    """Recompute the counters of every org."""
    with database.reading() as tx:
        orgs = [row.id for row in tx.rows(select(t.org.c.id).order_by(t.org.c.id), {})]
    checked, differences = 0, list[Difference]()
    for org_id in orgs:
        with database.reading() as tx:
            if not database.is_sqlite:  # a range of customers has as many coupons as they happen to have
                tx.connection.execute(text("SET LOCAL statement_timeout = 0"))
            checked += sum(int(tx.connection.execute(count, {"org": org_id}).scalar_one()) for count in _ROWS.values())
            for difference in _differences(tx, org_id):
                if len(differences) < DOCTOR_DIFFERENCES_MAX:
                    differences.append(difference)
    return Report(checked, differences)


def _differences(tx: ReadTransaction, org_id: int) -> Iterator[Difference]:
    pools = _pools(tx, org_id)
    counted: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for bounds in _ranges(tx, _COUPON_IDS, org_id):
        for row in tx.rows(_COUPONS, bounds):
            if not row.is_row:
                yield Difference(org_id, "coupon", 0, 1, coupon_id=row.id)
                continue
            yield from _compared(org_id, "coupon", row, ("redeemed", "uses"), coupon_id=row.id)
        for series_id, *counts in tx.rows(_OF_SERIES, bounds):
            counted[series_id].update(dict(zip(_OF_STRIPES, map(int, counts), strict=True)))
            if series_id not in pools:
                del counted[series_id]["uploaded"]
    for bounds in _ranges(tx, _CUSTOMER_IDS, org_id):
        for row in tx.rows(_CUSTOMERS, bounds):
            names = ("issued", "redeemed", "uses", "last_redeemed_ms")
            yield from _compared(org_id, "customer_series", row, names, customer_id=row.customer_id, series_id=row.series_id)
    yield from _series_differences(tx, org_id, counted)
    yield from _day_differences(tx, org_id)


def _pools(tx: ReadTransaction, org_id: int) -> set[int]:
    """The series whose every coupon was uploaded."""
    series, version = t.series.c, t.series_version.c
    is_current = (version.org_id == series.org_id) & (version.series_id == series.id) & (version.version == series.version)
    terms = select(series.id, version.terms).join_from(t.series, t.series_version, is_current).where(series.org_id == org_id)
    return {row.id for row in tx.rows(terms, {}) if _IS_POOL in row.terms}


def _series_differences(tx: ReadTransaction, org_id: int, counted: Mapping[int, Counter[str]]) -> Iterator[Difference]:
    """The sums over a series' stripes; and for a capped one, that the capped stripe knows what the others hold."""
    found = set[int]()
    for row in tx.rows(_SERIES, {"org": org_id, "capped": t.CAPPED_STRIPE}):
        found.add(row.series_id)
        for name in _OF_STRIPES:
            stored, actual = int(getattr(row, name)), counted.get(row.series_id, _NOTHING)[name]
            if stored != actual:
                yield Difference(org_id, f"series_counter.{name}", stored, actual, series_id=row.series_id)
        capped = [name for name in ("issued_elsewhere", "redeemed_elsewhere") if getattr(row, name) is not None]
        yield from _compared(org_id, "series_counter", row, capped, series_id=row.series_id)
    for series_id in counted.keys() - found:
        if uncounted := counted[series_id].total():
            yield Difference(org_id, "series_counter", 0, uncounted, series_id=series_id)


def _day_differences(tx: ReadTransaction, org_id: int) -> Iterator[Difference]:
    """The figures. How many coupons a store issued no row tells: its tills may have moved."""
    tally = recounted(tx.connection, org_id, zone_of(tx, org_id))
    kept = {Grain(*row[:3]): list(map(int, row[3:])) for row in tx.rows(_FIGURES, {"org": org_id})}
    due, none = tally.figures(), [0] * len(FIGURES)
    for grain in sorted(kept.keys() | due.keys()):
        for name, stored, actual in zip(FIGURES, kept.get(grain, none), due.get(grain, none), strict=True):
            if stored != actual and not (name == "issued" and grain.store_id):
                where = (None, None, grain.series_id or None, grain.store_id or None, _date(grain.day))
                yield Difference(org_id, f"daily_figure.{name}", stored, actual, *where)
    kept_refusals = {
        (day, series_id, status): int(times) for day, series_id, status, times in tx.rows(_REFUSALS, {"org": org_id})
    }
    due_refusals = tally.refusals()
    for key in sorted(kept_refusals.keys() | due_refusals.keys()):
        stored, actual = kept_refusals.get(key, 0), due_refusals.get(key, 0)
        if stored != actual:
            day, series_id, status = key
            yield Difference(org_id, f"daily_refusal.{status}", stored, actual, series_id=series_id or None, day=_date(day))


def _date(day: int) -> date | None:
    return None if day == ALL else date.fromordinal(day)


def _compared(org_id: int, table: str, row: Any, names: Any, **key: int) -> Iterator[Difference]:  # noqa: ANN401 - a row of its columns
    for name in names:
        stored, actual = int(getattr(row, name)), int(getattr(row, f"{name}_actual"))
        if stored != actual:
            coupon_id, customer_id, series_id = map(key.get, ("coupon_id", "customer_id", "series_id"))
            yield Difference(org_id, f"{table}.{name}", stored, actual, coupon_id, customer_id, series_id)


def _ranges(tx: ReadTransaction, sources: Sequence[Column[Any]], org_id: int) -> Iterator[dict[str, int]]:
    """Parameters for each range of ids between the least and the greatest."""
    found: list[int] = []
    for ids in sources:
        of_org = ids.table.c.org_id == org_id
        for edge in (func.min(ids), func.max(ids)):
            found.extend(edge_id for (edge_id,) in tx.rows(select(edge).where(of_org), {}) if edge_id is not None)
    for first in range(min(found), max(found) + 1, DOCTOR_RANGE_IDS) if found else ():
        yield {"org": org_id, "first": first, "last": first + DOCTOR_RANGE_IDS - 1}
