"""A desk in front of a ledger on each kind of database."""

from collections.abc import Iterator

import pytest

from couponry.store.engine import Database
from tests.ledger.desk import Desk


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    """A ledger whose clock stands at the world's noon."""
    with Desk(database.url) as open_desk:
        yield open_desk
