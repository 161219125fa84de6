"""All figures of an org, counted anew from its rows: for databases that are older than the figures, and for the doctor.

By quarters of an hour in SQL, which `core.figures.day_of` makes days of; in ranges of ids, so that memory and the time of a
statement don't grow with the org. Nothing but text and columns of the revision that made the tables: later ones may run it.
"""

from collections.abc import Iterator
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, text

from couponry.core.figures import QUARTER_MS, Tally
from couponry.core.limits import DOCTOR_RANGE_IDS

# Both databases divide towards zero, and what somebody imported may have happened before 1970.
_EARLY: Final = 100_000_000


def _quarter(column: str) -> str:
    return f"({column} + {_EARLY * QUARTER_MS}) / {QUARTER_MS} - {_EARLY}"


def _grouped(table: str, column: str, grain: str, counted: str, condition: str) -> str:
    return (
        f"SELECT {_quarter(column)} AS quarter, {grain}, {counted} FROM {table} "  # noqa: S608 - the names below
        f"WHERE org_id = :org AND id > :after AND id <= :last AND {condition} GROUP BY {_quarter(column)}, {grain}"
    )


_ISSUED: Final = text(
    _grouped("coupon", "issued_ms", "series_id", "COUNT(*)", "issued_ms IS NOT NULL AND NOT issued_by_redemption")
)
_REVOKED: Final = text(
    _grouped("coupon", "revoked_ms", "series_id", "COUNT(*)", "revoked_ms IS NOT NULL AND issued_ms IS NOT NULL")
)
_SITE: Final = "series_id, store_id"
_SUMS: Final = "COUNT(*), SUM(discount)"
_REDEEMED: Final = text(_grouped("redemption", "redeemed_ms", _SITE, _SUMS, "redeemed_ms IS NOT NULL"))
_REVERSED: Final = text(_grouped("redemption", "reversed_ms", _SITE, _SUMS, "reversed_ms IS NOT NULL"))
_REFUSED: Final = text(_grouped("refusal", "refused_ms", f"{_SITE}, status", "COUNT(*)", "refused_ms IS NOT NULL"))
_ENDS: Final = {
    table: text(f"SELECT id FROM {table} WHERE org_id = :org AND id > :after ORDER BY id LIMIT 1 OFFSET {DOCTOR_RANGE_IDS - 1}")  # noqa: S608 - the three names here
    for table in ("coupon", "redemption", "refusal")
}


def recounted(connection: Connection, org_id: int, zone: ZoneInfo) -> Tally:
    """What the figures of an org should be. Where a coupon was issued its row does not tell: its till may have moved."""
    tally = Tally(zone)
    for bounds in ranges(connection, "coupon", org_id):
        for quarter, series_id, times in connection.execute(_ISSUED, bounds):
            tally.count("issued", quarter * QUARTER_MS, series_id, None, times)
        for quarter, series_id, times in connection.execute(_REVOKED, bounds):
            tally.count("revoked", quarter * QUARTER_MS, series_id, None, times)
    for bounds in ranges(connection, "redemption", org_id):
        for quarter, series_id, store_id, times, discount in connection.execute(_REDEEMED, bounds):
            tally.count("redeemed", quarter * QUARTER_MS, series_id, store_id, times)
            tally.count("discount", quarter * QUARTER_MS, series_id, store_id, int(discount))
        for quarter, series_id, store_id, times, discount in connection.execute(_REVERSED, bounds):
            tally.count("reversed", quarter * QUARTER_MS, series_id, store_id, times)
            tally.count("discount", quarter * QUARTER_MS, series_id, store_id, -int(discount))
    for bounds in ranges(connection, "refusal", org_id):
        for quarter, series_id, store_id, status, times in connection.execute(_REFUSED, bounds):
            tally.refuse(quarter * QUARTER_MS, series_id, store_id, status, times)
    return tally


def ranges(connection: Connection, table: str, org_id: int) -> Iterator[dict[str, Any]]:
    """Parameters for one range of ids after the other."""
    after, last = -1, 0
    while last < _LAST_ID:
        end = connection.execute(_ENDS[table], {"org": org_id, "after": after}).scalar()
        last = _LAST_ID if end is None else int(end)
        yield {"org": org_id, "after": after, "last": last}
        after = last


_LAST_ID: Final = 2**63 - 1
