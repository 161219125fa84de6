"""The queue that workers take jobs from: DBOS Transact's, in tables of its own beside ours.

A job is put into it by the transaction that makes the job, so that neither is there without the other. An org's jobs run one
after the other, so that a big retailer's do not hold up a small one's. DBOS is imported when the first job is put in: it takes
half a second.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import inspect

from couponry.core.limits import WORKFLOWS_FORGOTTEN_AT_ONCE
from couponry.store.engine import Database, WriteTransaction

if TYPE_CHECKING:
    from dbos import DBOSClient

NAME: Final = "jobs"
WORKFLOW: Final = "run_job"
APPLICATION: Final = "couponry"
VERSION: Final = "1"
"""Of what a workflow's steps are and mean: a worker takes only jobs of its own. Chunks may change freely."""
SCHEMA: Final = "dbos"
_TABLE: Final = "workflow_status"
_ENDED: Final = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]


def prepare(database: Database) -> None:
    """Make the queue's tables if they are missing; a worker brings them up to date when it starts."""
    with database.reading() as tx:
        if inspect(tx.connection).has_table(_TABLE, schema=None if database.is_sqlite else SCHEMA):
            return
    from dbos import run_dbos_database_migrations  # noqa: PLC0415 - see above

    run_dbos_database_migrations(system_database_url(database.url), schema=SCHEMA)


def system_database_url(url: str) -> str:
    """Our database as DBOS wants it named."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def enqueue(tx: WriteTransaction, org_id: int, job_id: int, run: int) -> None:
    """Put a job into the queue, with this transaction. `run` tells its starts apart; the same start is put in once."""
    _client(tx).enqueue_in_transaction(
        tx.connection,
        {
            "workflow_name": WORKFLOW,
            "queue_name": NAME,
            "workflow_id": f"{org_id}-{job_id}-{run}",
            "queue_partition_key": str(org_id),
            "app_version": VERSION,
            "application_name": APPLICATION,
        },
        org_id,
        job_id,
        run,
    )


def warm() -> None:
    """Import DBOS now, so that the transaction which makes a job keeps nobody waiting for that."""
    import dbos  # noqa: F401, PLC0415 - see above


def forget_ended(database: Database, before_ms: int) -> int:
    """Forget the workflows that had ended before an instant, some at a time; how many. Their jobs know all there is to know."""
    from dbos import DBOSClient  # noqa: PLC0415 - see above

    engine = database.engine.execution_options(is_writing=True)
    client = DBOSClient(system_database_engine=engine, dbos_system_schema=SCHEMA, application_name=APPLICATION, lazy=True)
    before, forgotten = datetime.fromtimestamp(before_ms / 1000, UTC).isoformat(), 0
    while True:
        ended = client.list_workflows(
            status=_ENDED, completed_before=before, limit=WORKFLOWS_FORGOTTEN_AT_ONCE, load_input=False, load_output=False
        )
        if ended:
            client.delete_workflows([each.workflow_id for each in ended])
        forgotten += len(ended)
        if len(ended) < WORKFLOWS_FORGOTTEN_AT_ONCE:
            return forgotten


def _client(tx: WriteTransaction) -> "DBOSClient":
    """A client that opens no connection of its own; one for each of ours."""
    from dbos import DBOSClient  # noqa: PLC0415 - see above

    info: dict[str, Any] = tx.connection.info
    client = info.get(_TABLE)
    if client is None:
        client = info[_TABLE] = DBOSClient(
            system_database_engine=tx.connection.engine, dbos_system_schema=SCHEMA, application_name=APPLICATION, lazy=True
        )
    assert isinstance(client, DBOSClient)
    return client
