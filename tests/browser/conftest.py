"""A real Chromium before a real server, on each kind of database."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, Self

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from couponry.core.roles import ROLES, Role
from tests.browser.person import PASSWORD, Person
from tests.databases import PostgresServer, fresh_postgresql, fresh_sqlite
from tests.e2e.installation import Installation, Server
from tests.house.sources import ROOT


class Open(Protocol):
    """Opens a browser for a person of a role, signed in; `context` are Playwright's options of a browser context."""

    def __call__(self, role: Role, **context: Any) -> Person: ...


class Shop(Installation):
    """An org with a till and a person of each role."""

    org_id = 0

    def open(self) -> Self:
        self.run("db", "upgrade")
        org = self.run("org", "create", "--name", "Shop", "--timezone", "Asia/Kolkata", "--currency", "INR")
        self.org_id = org["orgId"]
        here = ("--org", str(self.org_id))
        self.run("till", "create", *here, "--code", "till1", "--password", "123", "--store", "blr01")
        for role in ROLES:
            self.run("user", "create", *here, "--email", f"{role}@example.com", "--password", PASSWORD, "--role", role)
        return self


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
    """The server, with its worker."""
    with browsed.serve(files_dir=browsed.folder / "files") as running:
        yield running


@pytest.fixture
def person(server: Server, chromium: Browser) -> Iterator[Open]:
    """Opens browsers; at the end nothing may have been complained about in any of them."""
    opened: list[Person] = []

    def open_for(role: Role, **context: Any) -> Person:
        page: Page = chromium.new_context(base_url=f"http://127.0.0.1:{server.port}", **context).new_page()
        opened.append(Person(page, role))
        return opened[-1].sign_in()

    yield open_for
    complaints = [complaint for each in opened for complaint in each.complaints]
    for each in opened:
        each.page.context.close()
    assert not complaints
