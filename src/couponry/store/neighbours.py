"""Living beside the ledger: what bulk work does so that tills hardly notice it, and so that nothing is lost between the two."""

from typing import Final

from sqlalchemy import text

from couponry.store.engine import WriteTransaction

WORKER: Final = "couponry-worker"
"""What a worker's sessions are called on PostgreSQL: they do not slow each other down."""

_LOCK: Final = "SELECT pg_advisory_xact_lock{}(:kind, :org)"
_CUSTOMERS: Final = 0x63757374
_OTHERS_WRITE: Final = text("""
    SELECT EXISTS (
        SELECT FROM pg_stat_activity WHERE datname = current_database() AND backend_xid IS NOT NULL
        AND pid <> pg_backend_pid() AND application_name NOT IN (:worker, 'dbos_transact')
    )
""")


def hold_customers(tx: WriteTransaction, org_id: int, *, alone: bool = False) -> None:
    """From here on, no customers of the org are merged until the block ends; alone, a merge waits for all who hold them.

    An advisory lock: to lock ten thousand customers' rows would cost as much as the coupons that they get.
    """
    if tx.dialect.locks_rows:
        tx.connection.execute(text(_LOCK.format("" if alone else "_shared")), {"kind": _CUSTOMERS, "org": org_id})


def others_write(tx: WriteTransaction) -> bool:
    """Whether others write now; on SQLite, whether they have written since this connection asked before."""
    if tx.dialect.locks_rows:
        return bool(tx.connection.execute(_OTHERS_WRITE, {"worker": WORKER}).scalar())
    info, version = tx.connection.info, tx.connection.exec_driver_sql("PRAGMA data_version").scalar()
    before = info.get("data_version", version)
    info["data_version"] = version
    return bool(version != before)


def commit_lazily(tx: WriteTransaction) -> None:
    """What is written need not be on the disk when the block ends: what a power cut takes, the job's row tells.

    PostgreSQL's log keeps commits in order, so that one that waits makes all before it durable. On SQLite a commit costs little.
    """
    if tx.dialect.locks_rows:
        tx.connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
