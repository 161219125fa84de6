"""Millions of coupons in minutes: written by SQL, with the indexes made afterwards. Only for benchmarks.

The rows are those that an import would have left, counters too, so that `couponry doctor` finds nothing.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

import psycopg
from sqlalchemy import delete

from bench.data import CODE_PRIME, CODE_STEP, CUSTOMER_STEP, Size
from bench.server import Couponry
from couponry.core import ids
from couponry.core.limits import DAY_MS
from couponry.store.counting import TABLES, Counting, zone_of
from couponry.store.engine import Database
from couponry.store.recount import recounted

_NUMBERS: Final = "WITH RECURSIVE g(n) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT n + 1 FROM g WHERE n + 1 < {count})"
_COUPONS: Final = """
    INSERT INTO coupon (org_id, id, series_id, code, code_key, customer_id, issued_ms, created_ms)
    {numbers}
    SELECT {org}, {first} + n, {series} + n % {series_count}, c, c, {customer} + n * {step} % {customers}, {now}, {now}
    FROM (SELECT n, 'G' || CAST((n + 1) * {code_step} % {prime} AS VARCHAR(20)) AS c FROM g) AS numbered
"""
_STANDINGS: Final = """
    INSERT INTO customer_series (org_id, customer_id, series_id, issued, last_issued_ms)
    SELECT org_id, customer_id, series_id, COUNT(*), MAX(issued_ms) FROM coupon
    WHERE org_id = {org} AND id >= {first} GROUP BY org_id, customer_id, series_id
    ON CONFLICT (org_id, customer_id, series_id) DO UPDATE
    SET issued = customer_series.issued + excluded.issued, last_issued_ms = excluded.last_issued_ms
"""
_COUNTERS: Final = """
    UPDATE series_counter SET issued = issued + (
        SELECT COUNT(*) FROM coupon WHERE org_id = {org} AND series_id = series_counter.series_id AND id >= {first}
    ) WHERE org_id = {org} AND stripe = 0
"""
_SERIAL: Final = "UPDATE serial SET next = next + {count} WHERE org_id = {org} AND kind = 'coupon'"
_CUSTOMERS: Final = """
    INSERT INTO customer (org_id, id, first_name, last_name, mobile, is_loyalty, fraud_status, status_label, transaction_count,
                          registered_ms, updated_ms)
    {numbers}
    SELECT {org}, {first} + n, 'Mira', 'Rao', CAST({mobile} + n AS VARCHAR(20)), {true}, 'NONE', 'ACTIVE', 0, 0, 0 FROM g
"""
_CUSTOMER_SERIAL: Final = "UPDATE serial SET next = next + {count} WHERE org_id = {org} AND kind = 'customer'"
_MORE_MOBILES: Final = 929_000_000_000
_INDEXES: Final = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = '{}' AND sql IS NOT NULL",
    "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = '{}' AND indexname NOT LIKE 'pk_%'",
}
_STORES: Final = 200
_SPAN_MS: Final = 300 * DAY_MS
_MORE_STORES: Final = """
    INSERT INTO store (org_id, id, code, name, is_active) {numbers}
    SELECT {org}, {store} + n, 'F' || CAST(n AS VARCHAR(20)), 'Store ' || CAST(n AS VARCHAR(20)), {true} FROM g
"""
# As `_COUPONS` has them: each customer's coupons of a series follow one another after as many coupons as there are customers.
_REDEMPTIONS: Final = """
    INSERT INTO redemption (org_id, id, coupon_id, use_number, series_id, series_version, customer_id, customer_use_number,
                            till_id, store_id, redeemed_ms, amount, discount, transaction_number, request_id)
    {numbers}
    SELECT {org}, {redemption} + n, {first} + n, 1, {series} + n % {series_count}, 1, {customer} + n * {step} % {customers},
           n / {customers} + 1, {till}, {store} + n % {stores}, {now} - {span} + n * ({span} / {count}), 1800000, 200000,
           'F' || CAST(n AS VARCHAR(20)), 'fill' FROM g
"""
_USES: Final = "UPDATE coupon SET redeemed = 1, uses = 1 WHERE org_id = {org} AND id >= {first} AND id < {first} + {count}"
_STANDINGS_USED: Final = """
    INSERT INTO customer_series (org_id, customer_id, series_id, redeemed, uses, last_redeemed_ms)
    SELECT org_id, customer_id, series_id, COUNT(*), COUNT(*), MAX(redeemed_ms) FROM redemption
    WHERE org_id = {org} GROUP BY org_id, customer_id, series_id
    ON CONFLICT (org_id, customer_id, series_id) DO UPDATE
    SET redeemed = excluded.redeemed, uses = excluded.uses, last_redeemed_ms = excluded.last_redeemed_ms
"""
_COUNTERS_USED: Final = """
    UPDATE series_counter SET redeemed = (
        SELECT COUNT(*) FROM redemption WHERE org_id = {org} AND series_id = series_counter.series_id
    ) WHERE org_id = {org} AND stripe = 0
"""
_REFUSALS: Final = """
    INSERT INTO refusal (org_id, id, status, code_sent, series_id, customer_id, till_id, store_id, transaction_number, refused_ms,
                         request_id)
    {numbers}
    SELECT {org}, n + 1, CASE n % 3 WHEN 0 THEN 'COUPON_EXPIRED' WHEN 1 THEN 'UNKNOWN_COUPON' ELSE 'ALREADY_USED' END,
           'X' || CAST(n AS VARCHAR(20)), {series} + n % {series_count}, {customer} + n % {customers}, {till},
           {store} + n % {stores}, '', {now} - {span} + n * ({span} / {count}), 'fill' FROM g
"""
_OTHER_SERIALS: Final = "UPDATE serial SET next = next + {count} WHERE org_id = {org} AND kind IN ('redemption', 'refusal')"


def fill(couponry: Couponry, org_id: int, size: Size, count: int, now_ms: int) -> None:
    """Add so many coupons, each in some customer's hands, spread over customers and series."""
    with _opened(couponry) as connection:
        first = _first(connection, org_id)
        values = {
            "org": org_id,
            "count": count,
            "first": ids.first_id(ids.COUPON, org_id, _next_serial(connection, org_id)),
            "now": now_ms,
            "step": CUSTOMER_STEP,
            "code_step": CODE_STEP,
            "prime": CODE_PRIME,
            "numbers": _NUMBERS.format(count=count),
            "series_count": size.series,
            "customers": size.customers,
            **first,
        }
        with _without_indexes(connection, "coupon"):
            connection.execute(_COUPONS.format(**values))
        for statement in (_STANDINGS, _COUNTERS, _SERIAL):
            connection.execute(statement.format(**values))
        connection.commit()
    count_days(couponry, org_id)


def fill_redemptions(couponry: Couponry, org_id: int, size: Size, count: int, now_ms: int, till_id: int) -> None:
    """Redeem the first so many of the coupons that `fill` added to an org without redemptions, at many stores and in many months.

    And a tenth as many refusals.
    """
    with _opened(couponry) as connection:
        filled = connection.execute(f"SELECT MIN(id) FROM coupon WHERE org_id = {org_id} AND code_key LIKE 'G%'").fetchone()[0]
        values = {
            "org": org_id,
            "count": count,
            "first": filled,
            "redemption": ids.first_id(ids.REDEMPTION, org_id, 1),
            "now": now_ms,
            "span": _SPAN_MS,
            "step": CUSTOMER_STEP,
            "series_count": size.series,
            "customers": size.customers,
            "stores": _STORES,
            "store": 1_000_000,
            "till": till_id,
            "true": "1" if _is_sqlite(couponry) else "TRUE",
            **_first(connection, org_id),
        }
        connection.execute(_MORE_STORES.format(**values, numbers=_NUMBERS.format(count=_STORES)))
        with _without_indexes(connection, "redemption"):
            connection.execute(_REDEMPTIONS.format(**values, numbers=_NUMBERS.format(count=count)))
        for statement in (_USES, _STANDINGS_USED, _COUNTERS_USED, _OTHER_SERIALS):
            connection.execute(statement.format(**values))
        refusals = max(1, count // 10)
        connection.execute(_REFUSALS.format(**values | {"count": refusals}, numbers=_NUMBERS.format(count=refusals)))
        connection.commit()
    count_days(couponry, org_id)


def count_days(couponry: Couponry, org_id: int) -> None:
    """The figures of what was written behind the ledger's back."""
    with closing(Database(couponry.database_url)) as database, database.writing() as tx:
        for table in TABLES:
            tx.connection.execute(delete(table).where(table.c.org_id == org_id))
        Counting(tx.dialect).add(tx, org_id, recounted(tx.connection, org_id, zone_of(tx, org_id)))


def _is_sqlite(couponry: Couponry) -> bool:
    return couponry.database_url.startswith("sqlite:///")


@contextmanager
def _opened(couponry: Couponry) -> Iterator[Any]:
    """A connection in a transaction, with memory."""
    is_sqlite = _is_sqlite(couponry)
    path = couponry.database_url.removeprefix("sqlite:///")
    connection: Any = sqlite3.connect(path, isolation_level=None) if is_sqlite else psycopg.connect(couponry.database_url)
    with closing(connection):
        connection.execute("PRAGMA cache_size = -2000000" if is_sqlite else "SET maintenance_work_mem = '1GB'")
        connection.execute("BEGIN" if is_sqlite else "SELECT 1")
        yield connection


@contextmanager
def _without_indexes(connection: Any, table: str) -> Iterator[None]:
    """They are made afterwards."""
    kind = "sqlite" if isinstance(connection, sqlite3.Connection) else "postgresql"
    indexes = connection.execute(_INDEXES[kind].format(table)).fetchall()
    for name, _definition in indexes:
        connection.execute(f"DROP INDEX {name}")
    yield
    for _name, definition in indexes:
        connection.execute(definition)


def _first(connection: Any, org_id: int) -> dict[str, int]:
    return {
        name: connection.execute(f"SELECT MIN(id) FROM {name} WHERE org_id = {org_id}").fetchone()[0]
        for name in ("series", "customer")
    }


def _next_serial(connection: Any, org_id: int, kind: str = "coupon") -> int:
    return int(connection.execute(f"SELECT next FROM serial WHERE org_id = {org_id} AND kind = '{kind}'").fetchone()[0])


def add_customers(couponry: Couponry, org_id: int, count: int) -> None:
    """Add so many customers, each with a mobile."""
    with _opened(couponry) as connection:
        values = {
            "org": org_id,
            "count": count,
            "first": _next_serial(connection, org_id, "customer"),
            "mobile": _MORE_MOBILES,
            "true": "1" if _is_sqlite(couponry) else "TRUE",
            "numbers": _NUMBERS.format(count=count),
        }
        for statement in (_CUSTOMERS, _CUSTOMER_SERIAL):
            connection.execute(statement.format(**values))
        connection.commit()
