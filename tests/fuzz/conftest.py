"""A stocked shop, and what must be true of it whatever was asked."""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from couponry import telemetry
from couponry.store import doctor
from couponry.store.engine import Database
from couponry.store.folder import Folder
from tests.api.shop import Shop
from tests.fuzz.stock import Stock


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the application logs."""
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    telemetry.configure_logging("info")
    yield written
    structlog.reset_defaults()


@pytest.fixture
def stock(database: Database, log: io.StringIO, tmp_path: Path) -> Iterator[Stock]:
    """A stocked shop; after the test nothing has broken, and every counter is what its rows say."""
    shop = Shop(database).open()
    with shop.front(files_dir=tmp_path / "files") as front:
        yield Stock(shop, front, Folder(tmp_path / "files"))
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert not [line for line in lines if line["level"] in {"error", "critical"} or line["event"] != "request_failed"]
    assert doctor.check(database).differences == []
