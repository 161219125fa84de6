"""Connections and transactions. A batch's transaction begins and commits here and nowhere else."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import Enum, auto
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Connection, Engine, Executable, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from couponry.core import limits
from couponry.store.dialect import Dialect, Postgresql, Sqlite, Trouble
from couponry.store.statements import Read, Row, Write

_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -65536",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA wal_autocheckpoint = 8000",
)


class Stage(Enum):
    """What a transaction is busy with, so that a failure gets the code of its class (status-codes 5)."""

    BEGIN = auto()
    CUSTOMERS = auto()
    COUPONS = auto()
    COUNTERS = auto()
    VALIDATION = auto()
    OUTBOX = auto()
    COMMIT = auto()


class StoreError(Exception):
    """The database could not do it: an incident, never a refusal."""

    def __init__(self, trouble: Trouble, stage: Stage, cause: str = "", *, is_code_taken: bool = False) -> None:
        super().__init__(f"{trouble.name.lower()} while at {stage.name.lower()}{cause and f': {cause}'}")
        self.trouble = trouble
        self.stage = stage
        self._cause = cause
        self.is_code_taken = is_code_taken
        """Whether a new coupon's code collided with one that is there."""

    def __reduce__(self) -> tuple[Any, ...]:
        return StoreError, (self.trouble, self.stage, self._cause), {"is_code_taken": self.is_code_taken}


class ReadTransaction:
    """One consistent view."""

    is_writing = False

    def __init__(self, connection: Connection, dialect: Dialect) -> None:
        self.connection = connection
        self.dialect = dialect
        self.stage = Stage.COUPONS

    def rows(self, statement: Executable, parameters: dict[str, Any]) -> list[Any]:
        """All rows of a select, by column name; for statements off the hot path."""
        return list(self.connection.execute(statement, parameters).all())

    def read(self, read: Read, parameters: dict[str, Any]) -> list[Row]:
        """All rows of a compiled select, as plain tuples."""
        return self.dialect.rows(self.connection, read, parameters)


class WriteTransaction(ReadTransaction):
    """The same with writes. Whatever is written is committed when the block ends, or undone."""

    is_writing = True

    def hurry(self) -> None:
        """From here on, hardly wait for a locked row."""
        self.dialect.hurry(self.connection)

    def write(self, write: Write, org_id: int, rows: list[Row]) -> None:
        """Write rows of one org and see that each was written; nothing is sent for no rows."""
        if not rows:
            return
        written = self.dialect.run(self.connection, write, org_id, rows)
        if written != len(rows):
            raise StoreError(Trouble.CONFLICT, self.stage)


T = TypeVar("T", bound=ReadTransaction)
_DRIVER_ERRORS = (sqlite3.Error, psycopg.Error)


class Database:
    """One database, SQLite or PostgreSQL, by its URL. `lock_wait_ms` bounds each wait for a lock, `name` is what its
    sessions are called on PostgreSQL.

    Where it `is_keyed`, every statement finds its rows by key. PostgreSQL's planner must not think otherwise, which it does while
    a table that was just filled has no statistics: it would then scan the whole org for a batch. A plan made when a table was all
    but empty is as bad, and would be kept until statistics come; so plans are made anew every few seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        lock_wait_ms: int = limits.LOCK_WAIT_MS_MAX,
        connections: int = 4,
        is_keyed: bool = False,
        name: str = "couponry",
        has_one_writer: bool = False,
    ) -> None:
        self.url = url
        self._is_planned_anew = is_keyed and make_url(url).get_backend_name() != "sqlite"
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        self.dialect: Dialect = Sqlite() if self.is_sqlite else Postgresql()
        self.engine = (
            _sqlite_engine(url, lock_wait_ms, connections)
            if self.is_sqlite
            else _postgresql_engine(url, lock_wait_ms, connections, is_keyed=is_keyed, name=name)
        )
        # On SQLite a connection sees what others write, its own process' others too, unless that has one that writes.
        self._writer = _sqlite_engine(url, lock_wait_ms, 1, 0) if self.is_sqlite and has_one_writer else self.engine
        self._writing = self._writer.execution_options(is_writing=True)
        self._reading = self.engine.execution_options(**({} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}))

    def reading(self) -> AbstractContextManager[ReadTransaction]:
        """A read transaction over one consistent view. Database errors leave it as `StoreError`."""
        return self._transaction(ReadTransaction, self._reading)

    def writing(self) -> AbstractContextManager[WriteTransaction]:
        """A write transaction: committed and durable when the block ends. Database errors leave it as `StoreError`."""
        return self._transaction(WriteTransaction, self._writing)

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()
        self._writer.dispose()

    @contextmanager
    def _transaction(self, kind: type[T], engine: Engine) -> Iterator[T]:
        transaction: T | None = None
        try:
            with engine.begin() as connection:
                transaction = kind(connection, self.dialect)
                if self._is_planned_anew:
                    _forget_old_plans(connection)
                with self._noticing_loss(connection):
                    yield transaction
                transaction.stage = Stage.COMMIT
        except (*_DRIVER_ERRORS, DBAPIError, PoolTimeoutError) as error:
            stage = transaction.stage if transaction else Stage.BEGIN
            is_code_taken = self.dialect.says_code_taken(error)
            raise StoreError(self.dialect.trouble(error), stage, _named(error), is_code_taken=is_code_taken) from error

    @contextmanager
    def _noticing_loss(self, connection: Connection) -> Iterator[None]:
        """Keep a connection that broke out of the pool; SQLAlchemy does not see what runs straight on the driver."""
        try:
            yield
        except _DRIVER_ERRORS as error:
            if self.dialect.trouble(error) is Trouble.UNREACHABLE:
                connection.invalidate(error)
            raise


def _forget_old_plans(connection: Connection) -> None:
    now_s = time.monotonic()
    if now_s - connection.info.setdefault("planned_s", now_s) > limits.PLAN_KEPT_MS_MAX / 1000:
        connection.exec_driver_sql("DISCARD PLANS")
        connection.info["planned_s"] = now_s


def _named(error: BaseException) -> str:
    """The driver's error by class and code, for the log. Its text is left out: it may hold a customer's number."""
    original = getattr(error, "orig", None) or error
    code = getattr(original, "sqlstate", None) or getattr(original, "sqlite_errorname", None)
    return f"{type(original).__name__} {code}" if code else type(original).__name__


def _sqlite_engine(url: str, lock_wait_ms: int, connections: int, overflow: int = -1) -> Engine:
    engine = create_engine(
        url,
        pool_size=connections,
        hide_parameters=True,  # an error's text goes to the log, mobiles and e-mails don't
        max_overflow=overflow,
        connect_args={
            "isolation_level": None,
            "check_same_thread": False,
            "cached_statements": 512,
            "timeout": limits.SQLITE_POLL_MS / 1000,
        },
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        for pragma in _SQLITE_PRAGMAS:
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if not connection.get_execution_options().get("is_writing", False):
            connection.exec_driver_sql("BEGIN")
            return
        # SQLite itself asks ever more rarely, and would never find the moments that another process leaves between two chunks.
        give_up_s = time.monotonic() + lock_wait_ms / 1000
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            except OperationalError as error:
                if Sqlite().trouble(error) is not Trouble.LOCKED or time.monotonic() > give_up_s:
                    raise
            else:
                return

    return engine


def _postgresql_engine(url: str, lock_wait_ms: int, connections: int, *, is_keyed: bool, name: str) -> Engine:
    settings: dict[str, int | str] = {
        "lock_timeout": lock_wait_ms,
        "statement_timeout": limits.STATEMENT_MS_MAX,
        "idle_in_transaction_session_timeout": limits.REQUEST_BUDGET_MS_MAX,
        "synchronous_commit": "on",
        "timezone": "UTC",
    }
    if is_keyed:
        settings |= {
            "enable_seqscan": "off",
            "enable_hashjoin": "off",
            "enable_mergejoin": "off",
            "plan_cache_mode": "force_generic_plan",
            "jit": "off",
        }
    return create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=connections,
        hide_parameters=True,  # an error's text goes to the log, mobiles and e-mails don't
        max_overflow=-1,
        isolation_level="READ COMMITTED",
        connect_args={
            "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
            "application_name": name,
            "connect_timeout": limits.CONNECT_MS_MAX // 1000,
            # A host that vanishes without a word must not hold a lane longer than a statement may take.
            "tcp_user_timeout": limits.STATEMENT_MS_MAX + limits.CONNECT_MS_MAX,
            "keepalives_idle": 3,
            "keepalives_interval": 2,
            "keepalives_count": 2,
        },
    )
