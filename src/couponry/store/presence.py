"""Which workers are alive, as the database knows it: what a worker holds here, it loses when it dies, however it dies."""

import fcntl
import os
from collections.abc import Collection
from contextlib import closing, suppress
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from couponry.store.engine import Database

_HOLD: Final = text("SELECT pg_advisory_lock(hashtextextended(:name, 0))")
_LOCK: Final = text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
_ALIVE: Final = text("SELECT 1")
_UNLOCK: Final = text("SELECT pg_advisory_unlock(hashtextextended(:name, 0))")
OWNED: Final = 0x6F776E73
_OWN: Final = text("""
    SELECT wanted.org_id FROM unnest(CAST(:org_ids AS bigint[])) AS wanted(org_id)
    WHERE pg_try_advisory_lock(CAST(:kind AS int), CAST(wanted.org_id AS int))
""")
_DISOWN: Final = text("SELECT pg_advisory_unlock_all()")
ALONE: Final = "alone"
"""The name of the only worker that there may be."""


class OneIsThere(Exception):
    """An SQLite file has one worker, and has it already."""


class Presence:
    """A worker's own presence, and a look at that of others.

    SQLite has one writer, so one worker is enough: it locks a file beside the database. On PostgreSQL each worker has a name, and
    holds the advisory lock of that name as long as its session lasts.
    """

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self.name = ALONE if database.is_sqlite else name
        self._file = -1
        self._connection: Connection | None = None

    def hold(self) -> None:
        """Be there from now on. Raises OneIsThere."""
        if self._database.is_sqlite:
            path = f"{make_url(self._database.url).database}-worker"
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(self._file)
                raise OneIsThere(path) from error
        else:
            self._connect()

    def gone(self, names: set[str]) -> set[str]:
        """Those of these workers that are not there any more. To ask again and again keeps oneself there, if the session ends."""
        if self._database.is_sqlite:
            return set()
        try:
            connection = self._connection or self._connect()
            connection.execute(_ALIVE)
            return {name for name in names - {self.name} if self._is_gone(connection, name)}
        except DBAPIError:
            self.leave()
            return set()

    def _is_gone(self, connection: Connection, name: str) -> bool:
        is_free = bool(connection.execute(_LOCK, {"name": name}).scalar())
        if is_free:
            connection.execute(_UNLOCK, {"name": name})
        return is_free

    def _connect(self) -> Connection:
        connection = self._connection = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(_HOLD, {"name": self.name})  # somebody may just be looking whether it is free
        return connection

    def leave(self) -> None:
        """Be there no more, until the next look at others: there must be no session without its lock."""
        if self._connection is not None:
            with closing(self._connection), suppress(DBAPIError):
                self._connection.invalidate()
            self._connection = None


class Ownership:
    """Which orgs' deliveries are this worker's: those that it was the first to take, until it gives them back or dies.

    It keeps workers from doing the same twice. Nothing is wrong if two do: positions are given once, and what is sent twice is
    sent under one id. SQLite has one worker, whose all of them are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None
        self._owned: frozenset[int] = frozenset()

    def take(self, org_ids: Collection[int]) -> frozenset[int]:
        """Those of these orgs that are ours from now on; none when the database cannot be reached. Call it every few seconds."""
        if self._database.is_sqlite:
            return frozenset(org_ids)
        try:
            if self._connection is None:
                self._connection = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            wanted = {"kind": OWNED, "org_ids": sorted(set(org_ids) - self._owned)}
            self._owned |= frozenset(org_id for (org_id,) in self._connection.execute(_OWN, wanted))
        except SQLAlchemyError:
            self.release()
        return self._owned & frozenset(org_ids)

    def release(self) -> None:
        """Give all of them back."""
        self._owned = frozenset()
        if self._connection is not None:
            with closing(self._connection):
                with suppress(SQLAlchemyError):
                    self._connection.execute(_DISOWN)
                self._connection.invalidate()
            self._connection = None
