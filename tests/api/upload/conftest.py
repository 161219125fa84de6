"""The shop's application with a folder of its own for files, and forms that are sent to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from couponry.store import registry
from tests.api.shop import BASIC, NOW_MS, Front, Shop
from tests.api.upload.forms import Sender


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
def front(shop: Shop, files: Path) -> Iterator[Front]:
    shop.series(seriesCode="POOL", clientHandlingType="DISC_CODE_PIN")
    shop.series(seriesCode="SHARED", clientHandlingType="GENERIC", genericCode="WELCOME")
    shop.series(seriesCode="OUTSIDE", clientHandlingType="DISC_CODE_PIN", externalIssual=True)
    with shop.front(files_dir=files) as running:
        yield running


@pytest.fixture
def sender(shop: Shop, front: Front, files: Path) -> Sender:
    """Who hands in files."""
    return Sender(shop, front, files)


@pytest.fixture
def stranger(shop: Shop) -> tuple[str, str]:
    """The credential of another org's till."""
    with shop.database.writing() as tx:
        made = registry.create_org(tx, name="Other", time_zone="UTC", currency="EUR", country_code="49", now_ms=NOW_MS)
    assert isinstance(made, int)
    Shop(shop.database, org_id=made).till("stranger", store="elsewhere")
    return "stranger", BASIC[1]
