"""Fixtures for tests of the console: the shop of the API's tests with people in it, and browsers without scripts."""

import pytest

from couponry.core.roles import ROLES, Role
from couponry.store import registry
from tests.api.conftest import front, migrated_url, opened_postgresql, opened_sqlite, shop
from tests.api.shop import Front, Shop, cheaply_hashed
from tests.console.browser import Browser

__all__ = ["front", "migrated_url", "opened_postgresql", "opened_sqlite", "shop"]

PASSWORD = "correct horse battery"


@pytest.fixture
def people(shop: Shop) -> dict[Role, int]:
    """One person of each role, `ROLE@example.com`."""
    with shop.database.writing() as tx:
        made = {
            role: registry.create_user(
                tx, shop.org_id, email=f"{role}@example.com", password_hash=cheaply_hashed(PASSWORD), role=role
            )
            for role in ROLES
        }
    return {role: user_id for role, user_id in made.items() if isinstance(user_id, int)}


@pytest.fixture
def admin(front: Front, people: dict[Role, int]) -> Browser:
    """An admin's browser, signed in."""
    return Browser(front).sign_in("admin@example.com", PASSWORD)


@pytest.fixture
def browsers(front: Front, people: dict[Role, int]) -> dict[Role, Browser]:
    """Everybody's browser, signed in."""
    return {role: Browser(front).sign_in(f"{role}@example.com", PASSWORD) for role in ROLES}
