"""Somebody in front of a browser."""

from typing import Final, Self

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped] # has no types
from playwright.sync_api import ConsoleMessage, Dialog, Page

from couponry.core.roles import Role
from tests.house.sources import ROOT

PASSWORD: Final = "correct horse battery"
IMAGES: Final = ROOT / "docs" / "images"
IMAGE_BYTES_MAX: Final = 150_000


class Person:
    """What they do, and what their browser complained about."""

    def __init__(self, page: Page, role: Role, *, is_pictured: bool = False) -> None:
        self.page = page
        self.role = role
        self.is_pictured = is_pictured
        self.complaints: list[str] = []
        self.questions: list[str] = []
        page.on("console", self._noted)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on("dialog", self._asked)

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

    def violations(self, *rules: str) -> list[str]:
        """What axe-core finds wrong with the page as it stands, by these rules or by all."""
        found = Axe().run(self.page, options={"runOnly": [*rules]} if rules else None).response["violations"]
        return [f"{self.page.url}: {each['id']}: {node['html']}" for each in found for node in each["nodes"]]

    def picture(self, name: str) -> None:
        """Take a screenshot for the documentation where there is none; who removes one gets it anew, and the rest stay."""
        path = IMAGES / f"{name}.png"
        if not self.is_pictured or path.exists():
            return
        IMAGES.mkdir(exist_ok=True)
        usual = self.page.viewport_size
        self.page.set_viewport_size({"width": 1200, "height": 800})
        self.page.screenshot(path=path)
        assert path.stat().st_size < IMAGE_BYTES_MAX, name
        if usual:
            self.page.set_viewport_size(usual)

    def _asked(self, dialog: Dialog) -> None:
        """Say yes to what is asked; nothing but a question of ours may open a dialog."""
        self.questions.append(dialog.message)
        if dialog.type != "confirm":
            self.complaints.append(f"{self.page.url}: {dialog.type} {dialog.message}")
        dialog.accept()

    def _noted(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{self.page.url}: {message.text}")
