"""Installations of each kind, stocked; and none of their servers outlives its test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import PostgresServer, fresh_postgresql, fresh_sqlite
from tests.e2e.installation import Installation
from tests.e2e.stock import stock


@pytest.fixture(scope="session")
def stocked_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the stock. Copy it."""
    folder = tmp_path_factory.mktemp("stocked")
    stock(Installation(fresh_sqlite(folder), folder))
    return folder / "couponry.db"


@pytest.fixture(scope="session")
def stocked_postgresql(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a PostgreSQL database with the stock: a template."""
    url = fresh_postgresql(postgres_server)
    stock(Installation(url, tmp_path_factory.mktemp("stocked")))
    return url.rpartition("/")[2]


def copied(kind: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Installation]:
    """A copy of the stock on a database of this kind."""
    if kind == "sqlite":
        shutil.copy(request.getfixturevalue("stocked_sqlite"), folder / "couponry.db")
        yield Installation(f"sqlite:///{folder / 'couponry.db'}", folder)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = fresh_postgresql(server, request.getfixturevalue("stocked_postgresql"))
    yield Installation(url, folder)
    server.drop_database(url)


@pytest.fixture
def installation(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    """The shop on each kind of database."""
    yield from copied(database_kind, request, tmp_path)
