"""Inserts of thousands of rows: COPY on PostgreSQL, which needs neither arrays nor a plan; `executemany` on SQLite."""

from collections.abc import Sequence

import psycopg
from sqlalchemy import Table
from sqlalchemy.exc import DBAPIError

from couponry.store.engine import WriteTransaction
from couponry.store.statements import Row


def insert_many(tx: WriteTransaction, table: Table, columns: Sequence[str], org_id: int, rows: list[Row]) -> None:
    """Insert new rows of one org. A row that exists already is a conflict, as for any other insert."""
    if not rows:
        return
    connection = tx.connection.connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        tx.write(tx.dialect.insert(table, columns), org_id, rows)
        return
    statement = f"COPY {table.name} ({', '.join(columns)}, org_id) FROM STDIN"
    try:
        with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            for row in rows:
                copy.write_row((*row, org_id))
    except psycopg.Error as error:
        raise DBAPIError(statement, None, error) from error  # as if SQLAlchemy had sent it
