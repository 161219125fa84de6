"""A second connection that holds on to what the ledger needs."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg

A_COUPON = "SELECT id FROM coupon WHERE id = (SELECT MIN(id) FROM coupon) FOR UPDATE"
A_STANDING = "SELECT customer_id FROM customer_series FOR UPDATE"
A_COUNTER = "SELECT series_id FROM series_counter FOR UPDATE"


@contextmanager
def holding(url: str, statement: str = A_COUPON) -> Iterator[None]:
    """Holds rows of a PostgreSQL database locked until the block ends; of an SQLite file everything."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as file:
            file.execute("BEGIN IMMEDIATE")
            yield
            file.execute("ROLLBACK")
        return
    with psycopg.connect(url) as connection:
        connection.execute(statement)
        yield
        connection.rollback()
