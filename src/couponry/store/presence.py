"""Which workers are alive, as the database knows it: what a worker holds here, it loses when it dies, however it dies."""

import fcntl
import os
from contextlib import closing, suppress
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from couponry.store.engine import Database

_HOLD: Final = text("SELECT pg_advisory_lock(hashtextextended(:name, 0))")
_LOCK: Final = text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
_ALIVE: Final = text("SELECT 1")
_UNLOCK: Final = text("SELECT pg_advisory_unlock(hashtextextended(:name, 0))")
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
