"""Inserts of thousands of rows: COPY on PostgreSQL, which needs neither arrays nor a plan; `executemany` on SQLite."""

import sqlite3
from collections.abc import Mapping, Sequence

import psycopg
from sqlalchemy import Table
from sqlalchemy.exc import DBAPIError

from couponry.store.engine import StoreError, WriteTransaction
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


def insert_alike(
    tx: WriteTransaction, table: Table, columns: Sequence[str], rows: Sequence[Row], alike: Mapping[str, int | str | None]
) -> None:
    """Insert new rows that are `alike` in all other columns, which costs next to nothing.

    For values of our own making: whole numbers, and texts without blanks, quotes and backslashes, such as codes; None only in
    what is alike. Raises StoreError (a conflict) when a row is there already; `is_code_taken` tells a coupon's code.
    """
    if not rows:
        return
    connection = tx.connection.connection.driver_connection
    names = ", ".join((*columns, *alike))
    try:
        if isinstance(connection, psycopg.Connection):
            same = ["\\N" if value is None else str(value) for value in alike.values()]
            line = "\t".join((*("%s" for _ in columns), *same)) + "\n"
            with connection.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN".encode()) as copy:
                copy.write("".join([line % row for row in rows]))
        else:
            assert isinstance(connection, sqlite3.Connection)
            same = [
                "NULL" if value is None else f"'{value}'" if isinstance(value, str) else str(value) for value in alike.values()
            ]
            marks = ", ".join((*("?" for _ in columns), *same))
            connection.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", rows)  # noqa: S608 - names and values of ours
    except (psycopg.Error, sqlite3.Error) as error:
        is_code_taken = tx.dialect.says_code_taken(error)
        raise StoreError(tx.dialect.trouble(error), tx.stage, type(error).__name__, is_code_taken=is_code_taken) from error
