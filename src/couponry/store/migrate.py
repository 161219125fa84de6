"""Bring a database up to date, once, however many processes start together. Forward only: the way back is a backup.

All revisions run in one transaction that holds a lock from before the look at what is there: SQLite's write lock, or an advisory
lock on PostgreSQL. A failure leaves the database as it was.
"""

from contextlib import closing
from enum import Enum, auto
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from couponry.core import limits
from couponry.store import queue
from couponry.store.engine import Database
from couponry.store.schema import metadata

_LOCK: Final = 0x636F75706F6E7279  # the letters of our name
_VERSION_TABLE: Final = "alembic_version"


class SchemaState(Enum):
    """How the tables that are there compare with those that this version needs."""

    FRESH = auto()
    BEHIND = auto()
    CURRENT = auto()


class SchemaUnknown(Exception):
    """The tables are of no version that this program knows, so that it must not touch them."""


def upgrade(database: Database) -> None:
    """Run the revisions that are missing; none is fine. Raises SchemaUnknown."""
    # A connection of its own: a revision may take longer than a request may, and wait longer for its turn.
    own = Database(database.url, lock_wait_ms=limits.MIGRATION_LOCK_WAIT_MS_MAX, connections=1)
    with closing(own), own.writing() as tx:
        if not own.is_sqlite:
            tx.connection.execute(text("SET LOCAL statement_timeout = 0"))
            tx.connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            tx.connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        if _state(tx.connection) is not SchemaState.CURRENT:
            config = _config()
            config.attributes["connection"] = tx.connection
            command.upgrade(config, "head")
    queue.prepare(database)


def state(database: Database) -> SchemaState:
    """Compare without changing anything. Raises SchemaUnknown."""
    with database.reading() as tx:
        return _state(tx.connection)


def pending(database: Database) -> bool:
    """Whether `upgrade` has something to do. Raises SchemaUnknown."""
    return state(database) is not SchemaState.CURRENT


def _state(connection: Connection) -> SchemaState:
    present = set(inspect(connection).get_table_names())
    versions = MigrationContext.configure(connection).get_current_heads() if _VERSION_TABLE in present else ()
    if not versions:
        if ours := present & metadata.tables.keys():
            raise SchemaUnknown(
                f"The database has the table {min(ours)}, but no record of migrations: it is half restored, or not Couponry's."
            )
        return SchemaState.FRESH
    script = ScriptDirectory.from_config(_config())
    if versions == tuple(script.get_heads()):
        if missing := metadata.tables.keys() - present:
            raise SchemaUnknown(f"The database claims to be up to date, but its table {min(missing)} is missing.")
        return SchemaState.CURRENT
    known = {revision.revision for revision in script.walk_revisions()}
    if not known.issuperset(versions):
        raise SchemaUnknown(f"The database is of version {versions[0]}, which this program does not know: it is older.")
    return SchemaState.BEHIND


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "couponry.store:migrations")
    return config


def has_citus(database: Database) -> bool:
    """Whether the tables could be spread over machines."""
    if database.is_sqlite:
        return False
    with database.reading() as tx:
        return bool(tx.rows(text("SELECT 1 FROM pg_extension WHERE extname = 'citus'"), {}))
