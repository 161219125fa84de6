"""Fixtures for all tests. Whatever touches a database takes `database_url`, and so runs on both kinds."""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from couponry.store import migrate
from couponry.store.engine import Database
from tests.databases import PostgresServer, fresh_postgresql, fresh_sqlite


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The PostgreSQL that the tests of one process share. Don't stop it; `own_postgres_server` is for that."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def own_postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL for this test alone, which may stop and start it."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def database_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of each kind."""
    if database_kind == "sqlite":
        yield fresh_sqlite(tmp_path)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")  # so that tests on SQLite alone start no server
    url = fresh_postgresql(server)
    yield url
    server.drop_database(url)  # each is 8 MB of disk


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with every table and no row. Copy it."""
    folder = tmp_path_factory.mktemp("migrated")
    with closing(Database(fresh_sqlite(folder))) as database:
        migrate.upgrade(database)
    return folder / "couponry.db"


@pytest.fixture(scope="session")
def migrated_postgresql(postgres_server: PostgresServer) -> str:
    """The name of a PostgreSQL database with every table and no row: a template, to which nobody may stay connected."""
    url = fresh_postgresql(postgres_server)
    with closing(Database(url)) as database:
        migrate.upgrade(database)
    return url.rpartition("/")[2]


@pytest.fixture
def migrated_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database of each kind with every table and no row; cheap, since nothing is migrated for it."""
    with copied(database_kind, "migrated", request, tmp_path) as url:
        yield url


@contextmanager
def copied(kind: str, template: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """The URL of a copy of what the session's fixture of that name has made."""
    if kind == "sqlite":
        shutil.copy(request.getfixturevalue(f"{template}_sqlite"), folder / "couponry.db")
        yield f"sqlite:///{folder / 'couponry.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = fresh_postgresql(server, request.getfixturevalue(f"{template}_postgresql"))
    yield url
    server.drop_database(url)


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    """The same, opened."""
    with closing(Database(migrated_url)) as opened:
        yield opened
