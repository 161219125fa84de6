"""Where SQLite and PostgreSQL differ: key lists as parameters, bulk writes, row locks, and what an error means.

A statement's text is the same whatever the batch's size. PostgreSQL takes one array per column (`unnest`); SQLite takes one JSON
text for look-ups (`json_each`) and `executemany` for writes.
"""

import sqlite3
from collections.abc import Sequence
from enum import Enum, auto
from types import NoneType
from typing import Any, Final, Literal, Protocol

import psycopg
from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Connection,
    Select,
    SelectBase,
    Table,
    and_,
    bindparam,
    func,
    literal,
    select,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from couponry.core.limits import LOCK_WAIT_HASTY_MS_MAX
from couponry.store.statements import Keys, Probe, Read, Row, Write, org_parameter

Locking = Literal["", "skips", "waits"]
"""Whether rows are locked, and what becomes of those that another writer has locked."""


class Trouble(Enum):
    """What a database error means to whoever must answer for it."""

    UNREACHABLE = auto()
    LOCKED = auto()
    SLOW = auto()
    CONFLICT = auto()
    BROKEN = auto()


_WAITED_TOO_LONG: Final = {"55P03": Trouble.LOCKED, "57014": Trouble.SLOW}
"""By SQLSTATE: a row stayed locked, which waiting may mend; a statement ran out of its time, which trying again would not."""


class Dialect(Protocol):
    """What both databases offer, each in its way."""

    locks_rows: bool
    """Whether writers run side by side, so that rows have to be locked."""

    def keys(self, name: str, *types: TypeEngine[Any]) -> Keys:
        """A FROM clause over a list of keys with columns of these types."""

    def read(self, select: SelectBase) -> Read:
        """Compile a select."""

    def execute(self, connection: Connection, sql: str, parameters: Any, *, is_many: bool = False) -> Any:  # noqa: ANN401 - each driver's own forms
        """One statement straight on the driver, whose cursor it returns: around a keyed look-up SQLAlchemy costs more than it."""

    def rows(self, connection: Connection, read: Read, parameters: dict[str, Any]) -> list[Row]:
        """All rows of a compiled select, as plain tuples."""

    def locked(self, select: Select[Any], table: Table) -> Select[Any]:
        """The same rows, locked against other writers in the select's order."""

    def first_of_each(
        self,
        keys: Keys,
        columns: Sequence[Column[Any]],
        condition: ColumnElement[bool],
        most: ColumnElement[int] | int,
        *,
        index: str,
        locking: Locking = "",
        order: Sequence[ColumnElement[Any]] = (),
    ) -> Select[Any]:
        """For each key the first `most` rows of one table that meet a condition on the key, read by an index.

        They are the first in an order, else by their ids. Those that another writer has locked are passed over, or waited for,
        as `locking` says.
        """

    def hurry(self, connection: Connection) -> None:
        """Hardly wait for a locked row in the rest of the transaction."""

    def insert(self, table: Table, columns: Sequence[str]) -> Write:
        """Insert rows; the org is added to each. A row that exists already is a conflict."""

    def insert_about_customers(self, table: Table, columns: Sequence[str]) -> Write:
        """Insert rows with a `customer_id`. A customer who is being merged away is waited for; one who is gone is a conflict."""

    def insert_or_add(self, table: Table, key: Sequence[str], added: Sequence[str], latest: Sequence[str]) -> Write:
        """Insert rows, or add to the counters and raise the latest times of those that exist. Rows come sorted by key."""

    def update(self, table: Table, key: Sequence[str], added: Sequence[str], assigned: Sequence[str]) -> Write:
        """Add to columns and assign columns of existing rows; a row is (added..., assigned..., key...)."""

    def run(self, connection: Connection, write: Write, org_id: int, rows: Sequence[Row]) -> int:
        """Execute a bulk write for one org and count the rows written."""

    def trouble(self, error: Exception) -> Trouble:
        """What an error raised by this database means."""

    def says_code_taken(self, error: Exception) -> bool:
        """Whether a coupon's code collided with one that is there."""


class Sqlite:
    """One writer at a time, so nothing is locked row by row; `BEGIN IMMEDIATE` is the lock."""

    locks_rows = False

    def keys(self, name: str, *types: TypeEngine[Any]) -> Keys:
        """`json_each` over a JSON list of lists."""
        parameter = f"{name}_json"
        source = func.json_each(bindparam(parameter)).table_valued("value", name=name)
        columns = tuple(func.json_extract(source.c.value, f"$[{at}]", type_=kind) for at, kind in enumerate(types))
        return Keys(source, columns, (parameter,))

    def read(self, select: SelectBase) -> Read:
        """With `?` for each parameter, in order."""
        compiled = select.compile(dialect=_SQLITE)
        assert isinstance(compiled, SQLCompiler)
        return Read(str(compiled), tuple(compiled.positiontup or ()), _constants(compiled))

    def rows(self, connection: Connection, read: Read, parameters: dict[str, Any]) -> list[Row]:
        """Parameters by position."""
        known = read.constants | parameters
        rows: list[Row] = self.execute(connection, read.sql, tuple([known[name] for name in read.names])).fetchall()
        return rows

    def locked(self, select: Select[Any], table: Table) -> Select[Any]:  # noqa: ARG002 - nothing to lock
        """Nothing to add: the write transaction holds the file's only write lock."""
        return select

    def first_of_each(
        self,
        keys: Keys,
        columns: Sequence[Column[Any]],
        condition: ColumnElement[bool],
        most: ColumnElement[int] | int,
        *,
        index: str,
        locking: Locking = "",
        order: Sequence[ColumnElement[Any]] = (),
    ) -> Select[Any]:
        """By their ids, since there is no LATERAL here; and as many for each key, since LIMIT takes no column."""
        del locking  # nothing is locked by others
        table = columns[0].table
        assert isinstance(table, Table)
        found = table.alias("found")
        limit: ColumnElement[int] | int = bindparam("most") if isinstance(most, ColumnElement) else most
        inner = Probe(select(literal(1)).subquery("one"), table, true())
        inner.index, inner.is_alone = index, True
        ids = (
            select(table.c.id)
            .select_from(inner)
            .where(condition)
            .order_by(*(order or (table.c.id,)))
            .limit(limit)
            .correlate(keys.source)
        )
        probe = Probe(keys.source, found, and_(found.c.org_id == org_parameter(), found.c.id.in_(ids)))
        return select(*(found.c[column.name] for column in columns)).select_from(probe).order_by(found.c.id)

    def hurry(self, connection: Connection) -> None:
        """Nothing to do: whoever has begun holds the only lock."""

    def insert(self, table: Table, columns: Sequence[str]) -> Write:
        """A plain INSERT for `executemany`."""
        return Write(self._insert(table, columns), tuple(columns))

    def insert_about_customers(self, table: Table, columns: Sequence[str]) -> Write:
        """A plain INSERT: nobody can go away while a write transaction runs."""
        return self.insert(table, columns)

    def insert_or_add(self, table: Table, key: Sequence[str], added: Sequence[str], latest: Sequence[str]) -> Write:
        """INSERT with ON CONFLICT DO UPDATE."""
        columns = (*key, *added, *latest)
        return Write(self._insert(table, columns) + _on_conflict_add(table, key, added, latest, "MAX"), columns)

    def update(self, table: Table, key: Sequence[str], added: Sequence[str], assigned: Sequence[str]) -> Write:
        """One UPDATE by key for `executemany`."""
        sets = [f"{name} = {name} + ?" for name in added] + [f"{name} = ?" for name in assigned]
        where = " AND ".join(f"{name} = ?" for name in (*key, "org_id"))
        return Write(f"UPDATE {table.name} SET {', '.join(sets)} WHERE {where}", (*added, *assigned, *key))  # noqa: S608 - names of our own schema

    def run(self, connection: Connection, write: Write, org_id: int, rows: Sequence[Row]) -> int:
        """`executemany`; SQLite counts over all rows."""
        return int(self.execute(connection, write.sql, [(*row, org_id) for row in rows], is_many=True).rowcount)

    def execute(self, connection: Connection, sql: str, parameters: Any, *, is_many: bool = False) -> Any:  # noqa: ANN401 - as sqlite3 has it
        """On the driver's connection."""
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        return driver.executemany(sql, parameters) if is_many else driver.execute(sql, parameters)

    def trouble(self, error: Exception) -> Trouble:
        """By SQLite's primary result code."""
        original = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(original, sqlite3.IntegrityError):
            return Trouble.CONFLICT
        match getattr(original, "sqlite_errorcode", 0) & 0xFF:
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return Trouble.LOCKED
            case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_IOERR | sqlite3.SQLITE_FULL | sqlite3.SQLITE_READONLY:
                return Trouble.UNREACHABLE
            case _:
                return Trouble.UNREACHABLE if isinstance(error, PoolTimeoutError) else Trouble.BROKEN

    def says_code_taken(self, error: Exception) -> bool:
        """SQLite names the columns of the index."""
        original = error.orig if isinstance(error, DBAPIError) else error
        return isinstance(original, sqlite3.IntegrityError) and "coupon.code_key" in str(original)

    @staticmethod
    def _insert(table: Table, columns: Sequence[str]) -> str:
        marks = ", ".join("?" * (len(columns) + 1))
        return f"INSERT INTO {table.name} ({', '.join(columns)}, org_id) VALUES ({marks})"  # noqa: S608 - names of our own schema


class Postgresql:
    """READ COMMITTED with row locks taken in sorted key order; a batch's rows travel as one array per column."""

    locks_rows = True

    def keys(self, name: str, *types: TypeEngine[Any]) -> Keys:
        """`unnest` over one array per column."""
        parameters = tuple(f"{name}_{at}" for at in range(len(types)))
        arrays = [bindparam(parameter, type_=ARRAY(kind)) for parameter, kind in zip(parameters, types, strict=True)]
        source = func.unnest(*arrays).table_valued(*(f"k{at}" for at in range(len(types)))).render_derived(name=name)
        return Keys(source, tuple(source.c), parameters)

    def read(self, select: SelectBase) -> Read:
        """With `%(name)s` for each parameter."""
        compiled = select.compile(dialect=_POSTGRESQL)
        assert isinstance(compiled, SQLCompiler)
        return Read(str(compiled), (), _constants(compiled))

    def rows(self, connection: Connection, read: Read, parameters: dict[str, Any]) -> list[Row]:
        """Parameters by name."""
        sent = {name: _array(value) if isinstance(value, list) else value for name, value in parameters.items()}
        rows: list[Row] = self.execute(connection, read.sql, read.constants | sent).fetchall()
        return rows

    def locked(self, select: Select[Any], table: Table) -> Select[Any]:
        """FOR NO KEY UPDATE: other writers of the row wait, readers and foreign keys don't."""
        return select.with_for_update(key_share=True, of=table)

    def first_of_each(
        self,
        keys: Keys,
        columns: Sequence[Column[Any]],
        condition: ColumnElement[bool],
        most: ColumnElement[int] | int,
        *,
        index: str,
        locking: Locking = "",
        order: Sequence[ColumnElement[Any]] = (),
    ) -> Select[Any]:
        """LATERAL, and SKIP LOCKED. Waiting, a row that was taken meanwhile is left out and the next one found."""
        del index  # the planner finds it
        rows = select(*columns).where(condition).order_by(*(order or (columns[0].table.c.id,))).limit(most).correlate(keys.source)
        if locking:
            rows = rows.with_for_update(key_share=True, skip_locked=locking == "skips")
        found = rows.lateral("found")
        return select(*found.c).select_from(keys.source.join(found, true()))

    def hurry(self, connection: Connection) -> None:
        """A shorter lock_timeout until the transaction ends."""
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_WAIT_HASTY_MS_MAX}")

    def insert(self, table: Table, columns: Sequence[str]) -> Write:
        """INSERT ... SELECT FROM unnest."""
        return Write(self._insert(table, columns), tuple(columns))

    def insert_about_customers(self, table: Table, columns: Sequence[str]) -> Write:
        """The same, each row only with its customer's row in hand: FOR KEY SHARE waits for a merge alone (`store.merge`)."""
        names = ", ".join(f"k.{name}" for name in columns)
        there = "c.org_id = %(org)s AND c.id = k.customer_id AND c.merged_into_id IS NULL AND c.deleted_ms IS NULL"
        source = f"{self._unnest(table, columns)} JOIN customer AS c ON {there} FOR KEY SHARE OF c"
        insert = f"INSERT INTO {table.name} ({', '.join(columns)}, org_id) SELECT {names}, %(org)s::bigint FROM {source}"  # noqa: S608 - names of our own schema
        return Write(insert, tuple(columns))

    def insert_or_add(self, table: Table, key: Sequence[str], added: Sequence[str], latest: Sequence[str]) -> Write:
        """The same with ON CONFLICT DO UPDATE; rows are written in the order given, so two writers cannot deadlock."""
        columns = (*key, *added, *latest)
        return Write(self._insert(table, columns) + _on_conflict_add(table, key, added, latest, "GREATEST"), columns)

    def update(self, table: Table, key: Sequence[str], added: Sequence[str], assigned: Sequence[str]) -> Write:
        """UPDATE ... FROM unnest; the rows must be locked before, since their order here is the planner's."""
        columns = (*added, *assigned, *key)
        sets = [f"{name} = {table.name}.{name} + k.{name}" for name in added] + [f"{name} = k.{name}" for name in assigned]
        where = " AND ".join(f"{table.name}.{name} = k.{name}" for name in key)
        same_org = f"{table.name}.org_id = %(org)s"
        source = self._unnest(table, columns)
        return Write(f"UPDATE {table.name} SET {', '.join(sets)} FROM {source} WHERE {same_org} AND {where}", columns)  # noqa: S608 - names of our own schema

    def run(self, connection: Connection, write: Write, org_id: int, rows: Sequence[Row]) -> int:
        """One statement with one array per column."""
        arrays: dict[str, Any] = {
            name: _array(column) for name, column in zip(write.columns, zip(*rows, strict=True), strict=True)
        }
        arrays["org"] = org_id
        return int(self.execute(connection, write.sql, arrays).rowcount)

    def execute(self, connection: Connection, sql: str, parameters: Any, *, is_many: bool = False) -> Any:  # noqa: ANN401 - as psycopg has it
        """On the driver's connection; a batch's rows are one statement's arrays."""
        assert not is_many
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        return driver.execute(sql, parameters)

    def trouble(self, error: Exception) -> Trouble:
        """By SQLSTATE; a broken connection has none or one of class 08 or 57P."""
        if isinstance(error, PoolTimeoutError):
            return Trouble.UNREACHABLE
        original = error.orig if isinstance(error, DBAPIError) else error
        if not isinstance(original, psycopg.Error):
            return Trouble.BROKEN
        state = original.sqlstate or ""
        if state in _WAITED_TOO_LONG:
            return _WAITED_TOO_LONG[state]
        if state.startswith(("40", "23")):
            return Trouble.CONFLICT
        is_lost = state.startswith(("08", "57P", "53", "58")) or (not state and isinstance(original, psycopg.OperationalError))
        return Trouble.UNREACHABLE if is_lost or isinstance(original, psycopg.InterfaceError) else Trouble.BROKEN

    def says_code_taken(self, error: Exception) -> bool:
        """PostgreSQL names the index."""
        original = error.orig if isinstance(error, DBAPIError) else error
        return isinstance(original, psycopg.errors.UniqueViolation) and original.diag.constraint_name == "uq_coupon_code"

    def _insert(self, table: Table, columns: Sequence[str]) -> str:
        names = ", ".join(columns)
        return f"INSERT INTO {table.name} ({names}, org_id) SELECT {names}, %(org)s::bigint FROM {self._unnest(table, columns)}"  # noqa: S608 - names of our own schema

    @staticmethod
    def _unnest(table: Table, columns: Sequence[str]) -> str:
        kinds = {name: table.c[name].type.compile(_POSTGRESQL) for name in columns}
        arrays = ", ".join(f"%({name})s::{kinds[name]}[]" for name in columns)
        return f"unnest({arrays}) AS k({', '.join(columns)})"


_SQLITE = sqlite.dialect()
_POSTGRESQL = postgresql.psycopg.dialect()  # type: ignore[no-untyped-call]


def _array(values: Sequence[Any]) -> Any:  # noqa: ANN401 - what the driver takes
    """A list as PostgreSQL writes it, where that is simple: psycopg takes 3 microseconds for each of its elements."""
    kinds = set(map(type, values))
    if kinds == {int}:
        return f"{{{','.join(map(str, values))}}}"
    if kinds <= {int, NoneType}:
        return f"{{{','.join(['NULL' if value is None else str(value) for value in values])}}}"
    if kinds <= {str, NoneType}:
        return f"{{{','.join(['NULL' if value is None else _quoted(value) for value in values])}}}"
    return list(values)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _constants(compiled: SQLCompiler) -> dict[str, Any]:
    """The values that stand in the statement itself, by parameter."""
    return {name: bind.value for name, bind in compiled.binds.items() if not bind.required}


def _on_conflict_add(table: Table, key: Sequence[str], added: Sequence[str], latest: Sequence[str], greatest: str) -> str:
    """A latest time that is NULL in a row to write leaves the stored one as it is."""
    sets = [f"{name} = {table.name}.{name} + excluded.{name}" for name in added]
    known = "NULLIF({greatest}(COALESCE({old}, 0), COALESCE({new}, 0)), 0)"
    sets += [f"{name} = {known.format(greatest=greatest, old=f'{table.name}.{name}', new=f'excluded.{name}')}" for name in latest]
    return f" ON CONFLICT (org_id, {', '.join(key)}) DO UPDATE SET {', '.join(sets)}"
