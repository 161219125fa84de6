"""A real Chromium before a real server, on each kind of database."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser, sync_playwright

from couponry.core.roles import Role
from tests.browser.person import Person
from tests.browser.shop import TURNED_AWAY, Shop, Tills
from tests.databases import PostgresServer, fresh_postgresql, fresh_sqlite
from tests.e2e.installation import Server
from tests.house.sources import ROOT
from tests.receiver import Exchange, Receiver


class Open(Protocol):
    """Opens a browser for a person of a role, signed in; `context` are Playwright's options of a browser context."""

    def __call__(self, role: Role, **context: Any) -> Person: ...


@pytest.fixture(scope="module")  # while it is open, nobody else in this thread may run a loop
def chromium() -> Iterator[Browser]:
    """The browser; `make` has put its path down."""
    noted = ROOT / ".venv" / "browser"
    path = noted.read_text().strip().splitlines()[-1] if noted.exists() else shutil.which("chromium")
    assert path, "no Chromium: run tests/browser/install-chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def browsed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """An org with a till and a person of each role; one for all tests of a module, which build on each other's."""
    folder: Path = tmp_path_factory.mktemp("browser")
    if request.param == "sqlite":
        yield Shop(fresh_sqlite(folder), folder).open()
        return
    postgres: PostgresServer = request.getfixturevalue("postgres_server")
    url = fresh_postgresql(postgres)
    yield Shop(url, folder).open()
    postgres.drop_database(url)


@pytest.fixture(scope="module")
def server(browsed: Shop) -> Iterator[Server]:
    """The server, with its worker, and a gateway that takes messages for all customers but one."""

    def behave(exchange: Exchange) -> None:
        exchange.answer(400 if TURNED_AWAY.encode() in exchange.server.sent[-1].body else 200)

    with Receiver(behave) as gateway:
        browsed.set(smsUrl=f"json://127.0.0.1:{gateway.server_port}/sms", launchApprovalAbove=1000)
        with browsed.serve(files_dir=browsed.folder / "files", allowed_private_networks="127.0.0.0/8") as running:
            yield running


@pytest.fixture(scope="module")
def tills(browsed: Shop, server: Server) -> Iterator[Tills]:
    """The shop's tills and other systems, after a day's work."""
    with Tills(browsed, server) as at_work:
        at_work.work()
        yield at_work


@pytest.fixture
def person(browsed: Shop, server: Server, chromium: Browser) -> Iterator[Open]:
    """Opens browsers; at the end nothing may have been complained about in any of them."""
    opened: list[Person] = []

    def open_for(role: Role, **context: Any) -> Person:
        address = f"http://127.0.0.1:{server.port}"
        page = chromium.new_context(base_url=address, reduced_motion="reduce", **context).new_page()
        opened.append(Person(page, role, is_pictured=browsed.url.startswith("sqlite")))
        return opened[-1].sign_in()

    yield open_for
    complaints = [complaint for each in opened for complaint in each.complaints]
    for each in opened:
        each.page.context.close()
    assert not complaints
