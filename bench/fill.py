"""Millions of coupons in minutes: written by SQL, with the indexes made afterwards. Only for the benchmark of growth.

The rows are those that an import would have left, counters too, so that `couponry doctor` finds nothing.
"""

import sqlite3
from contextlib import closing
from typing import Any, Final

import psycopg

from bench.data import CODE_PRIME, CODE_STEP, CUSTOMER_STEP, Size
from bench.server import Couponry
from couponry.core import ids

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
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'coupon' AND sql IS NOT NULL",
    "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'coupon' AND indexname NOT LIKE 'pk_%'",
}


def fill(couponry: Couponry, org_id: int, size: Size, count: int, now_ms: int) -> None:
    """Add so many coupons, each in some customer's hands, spread over customers and series."""
    is_sqlite = couponry.database_url.startswith("sqlite:///")
    path = couponry.database_url.removeprefix("sqlite:///")
    connection: Any = sqlite3.connect(path, isolation_level=None) if is_sqlite else psycopg.connect(couponry.database_url)
    with closing(connection):
        found = {
            name: connection.execute(query.format(org=org_id)).fetchone()[0]
            for name, query in (
                ("series", "SELECT MIN(id) FROM series WHERE org_id = {org}"),
                ("customer", "SELECT MIN(id) FROM customer WHERE org_id = {org}"),
                ("serial", "SELECT next FROM serial WHERE org_id = {org} AND kind = 'coupon'"),
            )
        }
        values = {
            "org": org_id,
            "count": count,
            "first": ids.first_id(ids.COUPON, org_id, found.pop("serial")),
            "now": now_ms,
            "step": CUSTOMER_STEP,
            "code_step": CODE_STEP,
            "prime": CODE_PRIME,
            "numbers": _NUMBERS.format(count=count),
            "series_count": size.series,
            "customers": size.customers,
            **found,
        }
        connection.execute("PRAGMA cache_size = -2000000" if is_sqlite else "SET maintenance_work_mem = '1GB'")
        connection.execute("BEGIN" if is_sqlite else "SELECT 1")
        indexes = connection.execute(_INDEXES["sqlite" if is_sqlite else "postgresql"]).fetchall()
        for name, _definition in indexes:
            connection.execute(f"DROP INDEX {name}")
        connection.execute(_COUPONS.format(**values))
        for _name, definition in indexes:
            connection.execute(definition)
        for statement in (_STANDINGS, _COUNTERS, _SERIAL):
            connection.execute(statement.format(**values))
        connection.commit()


def add_customers(couponry: Couponry, org_id: int, count: int) -> None:
    """Add so many customers, each with a mobile."""
    is_sqlite = couponry.database_url.startswith("sqlite:///")
    path = couponry.database_url.removeprefix("sqlite:///")
    connection: Any = sqlite3.connect(path, isolation_level=None) if is_sqlite else psycopg.connect(couponry.database_url)
    with closing(connection):
        serial = f"SELECT next FROM serial WHERE org_id = {org_id} AND kind = 'customer'"
        values = {
            "org": org_id,
            "count": count,
            "first": connection.execute(serial).fetchone()[0],
            "mobile": _MORE_MOBILES,
            "true": "1" if is_sqlite else "TRUE",
            "numbers": _NUMBERS.format(count=count),
        }
        connection.execute("PRAGMA cache_size = -2000000" if is_sqlite else "SET maintenance_work_mem = '1GB'")
        connection.execute("BEGIN" if is_sqlite else "SELECT 1")
        for statement in (_CUSTOMERS, _CUSTOMER_SERIAL):
            connection.execute(statement.format(**values))
        connection.commit()
