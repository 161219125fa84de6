"""Fixtures for tests that enter through HTTP."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from couponry.store.engine import Database
from tests.api.shop import Front, Shop
from tests.conftest import copied
from tests.databases import PostgresServer, fresh_postgresql


@pytest.fixture(scope="session")
def opened_sqlite(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the shop in it. Copy it: opening one takes longer than most tests."""
    path = tmp_path_factory.mktemp("opened") / "couponry.db"
    shutil.copy(migrated_sqlite, path)
    with closing(Database(f"sqlite:///{path}")) as database:
        Shop(database).open()
    return path


@pytest.fixture(scope="session")
def opened_postgresql(migrated_postgresql: str, postgres_server: PostgresServer) -> str:
    """The name of a PostgreSQL database with the shop in it, to which nobody may stay connected."""
    url = fresh_postgresql(postgres_server, migrated_postgresql)
    with closing(Database(url)) as database:
        Shop(database).open()
    return url.rpartition("/")[2]


@pytest.fixture
def migrated_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """As for all tests, but with the shop in it for those that ask for the shop."""
    template = "opened" if "shop" in request.fixturenames else "migrated"
    with copied(database_kind, template, request, tmp_path) as url:
        yield url


@pytest.fixture
def shop(database: Database) -> Shop:
    """A shop on a database of each kind."""
    return Shop(database).opened()


@pytest.fixture
def front(shop: Shop) -> Iterator[Front]:
    """The shop's application, running."""
    with shop.front() as running:
        yield running
