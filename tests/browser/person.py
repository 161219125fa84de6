"""Somebody in front of a browser."""

from pathlib import Path
from typing import Final, Self

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped] # has no types
from playwright.sync_api import ConsoleMessage, Page

from couponry.core.roles import Role
from tests.house.sources import ROOT

PASSWORD: Final = "correct horse battery"
IMAGES: Final = ROOT / "docs" / "images"


class Person:
    """What they do, and what their browser complained about."""

    def __init__(self, page: Page, role: Role) -> None:
        self.page = page
        self.role = role
        self.complaints: list[str] = []
        page.on("console", self._noted)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))

    def sign_in(self) -> Self:
        self.page.goto("/console/")
        self.page.get_by_label("E-mail").fill(f"{self.role}@example.com")
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("heading", level=1).wait_for()
        return self

    def go(self, path: str) -> Self:
        """Open a page of the console by its address."""
        self.page.goto(f"/console{path}")
        return self

    def violations(self) -> list[str]:
        """What axe-core finds wrong with the page as it stands."""
        found = Axe().run(self.page).response["violations"]
        return [f"{self.page.url}: {each['id']}: {node['html']}" for each in found for node in each["nodes"]]

    def picture(self, name: str) -> Path:
        """Take a screenshot for the documentation."""
        IMAGES.mkdir(exist_ok=True)
        path = IMAGES / f"{name}.png"
        self.page.screenshot(path=path, full_page=False)
        return path

    def _noted(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{self.page.url}: {message.text}")
