"""Fixtures for all tests. Whatever touches a database takes `database_url`, and so runs on both kinds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

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
