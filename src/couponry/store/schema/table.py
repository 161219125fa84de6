"""What all tables have in common: names of constraints, keys that start with the org."""

from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, MetaData, Table

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def org_id() -> Column[int]:
    return Column("org_id", BigInteger, primary_key=True, autoincrement=False)


def own_id() -> Column[int]:
    return Column("id", BigInteger, primary_key=True, autoincrement=False)


def org_table(name: str, *parts: Any) -> Table:  # noqa: ANN401 - columns, constraints and indexes, as sqlalchemy.Table takes them
    """A tenant table clustered by its key: on SQLite without the hidden row id that would cost every look-up a second search."""
    return Table(name, metadata, *parts, sqlite_with_rowid=False)


def belongs_to(table: str, column: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["org_id", column], [f"{table}.org_id", f"{table}.id"])
