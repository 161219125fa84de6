"""Fixtures for tests of background work."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from couponry.store.engine import Database
from couponry.store.folder import Folder
from tests.api import conftest as of_shop
from tests.api.shop import Shop
from tests.conftest import copied
from tests.worker.desk import Office

opened_sqlite = of_shop.opened_sqlite
opened_postgresql = of_shop.opened_postgresql


@pytest.fixture
def migrated_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with the shop in it."""
    with copied(database_kind, "opened", request, tmp_path) as url:
        yield url


@pytest.fixture
def shop(database: Database) -> Shop:
    """A shop on a database of each kind: a till, customers and a series (`tests.api.shop`)."""
    return Shop(database).opened()


@pytest.fixture
def office(shop: Shop, tmp_path: Path) -> Iterator[Office]:
    """The shop's jobs, and a folder for their files."""
    with closing(Database(shop.database.url, is_keyed=True, has_one_writer=True)) as keyed:
        yield Office(shop, keyed, Folder(tmp_path / "files"))
