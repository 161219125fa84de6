"""The databases that every other test stands on."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import sqlalchemy
from sqlalchemy import text

from tests.databases import PostgresServer, fresh_postgresql, postgresql_binary


def engine(url: str) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))


def test_database_is_fresh_and_keeps_what_is_committed(database_url: str) -> None:
    """Prevents tests that pass or fail by what another test left behind."""
    for expected in (["first"], ["first", "second"]):
        disposable = engine(database_url)
        with disposable.begin() as connection:
            connection.execute(text("CREATE TABLE IF NOT EXISTS kept (word TEXT PRIMARY KEY)"))
            connection.execute(text("INSERT INTO kept VALUES (:word)"), {"word": expected[-1]})
        with disposable.connect() as connection:
            assert list(connection.scalars(text("SELECT word FROM kept ORDER BY word"))) == expected
        disposable.dispose()


def test_database_reads_as_the_kind_it_was_asked_for(database_url: str, database_kind: str) -> None:
    """Prevents a suite that claims two databases and runs twice on one."""
    disposable = engine(database_url)
    assert disposable.dialect.name == database_kind
    with disposable.connect() as connection:
        connection.execute(text("SELECT 1"))
    disposable.dispose()


def test_template_is_copied(postgres_server: PostgresServer) -> None:
    """Prevents every test from running all migrations, and copies from sharing rows."""
    template = postgres_server.fresh_name()
    with psycopg.connect(postgres_server.create_database(template)) as connection:
        connection.execute("CREATE TABLE kept (word TEXT PRIMARY KEY)")
    copies = [fresh_postgresql(postgres_server, template) for _ in range(2)]
    for url in copies:
        with psycopg.connect(url) as connection:
            connection.execute("INSERT INTO kept VALUES ('mine')")


@pytest.mark.parametrize("immediate", [False, True])
def test_server_comes_back_with_its_data(own_postgres_server: PostgresServer, *, immediate: bool) -> None:
    """Prevents database-lost tests against a server that forgets, moves, or never really stopped."""
    server = own_postgres_server
    url = server.create_database("shop")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    server.stop(immediate=immediate)
    assert not server.running
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    server.start()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)


def test_other_processes_can_use_the_url(postgres_server: PostgresServer) -> None:
    """Prevents a benchmark that finds no pgbench, or a pgbench that finds no server."""
    url = fresh_postgresql(postgres_server)
    pgbench = postgresql_binary("pgbench")
    subprocess.run([pgbench, "--initialize", "--quiet", url], check=True, capture_output=True)
    run = subprocess.run([pgbench, "--transactions=5", url], check=True, capture_output=True, text=True)
    assert "number of transactions actually processed: 5/5" in run.stdout


def test_server_dies_with_its_test_process() -> None:
    """Prevents a machine full of orphaned servers after killed test runs."""
    code = (
        "from tests.databases import PostgresServer; import time\n"
        "server = PostgresServer(); server.start(); print(server.log, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    folder = Path(owner.stdout.readline().strip()).parent
    assert folder.is_dir()
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    deadline = time.monotonic() + 10
    while folder.exists():
        assert time.monotonic() < deadline, f"{folder} outlives the process that made it"
        time.sleep(0.05)
