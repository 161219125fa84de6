"""Fixtures for tests that enter through HTTP."""

from collections.abc import Iterator

import pytest

from couponry.store.engine import Database
from tests.api.shop import Front, Shop


@pytest.fixture
def shop(database: Database) -> Shop:
    """A shop on a database of each kind."""
    return Shop(database).open()


@pytest.fixture
def front(shop: Shop) -> Iterator[Front]:
    """The shop's application, running."""
    with shop.front() as running:
        yield running
