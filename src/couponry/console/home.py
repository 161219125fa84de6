"""Home: how things are going."""

from collections.abc import Mapping

import falcon.asgi

from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit
from couponry.core.roles import Permission


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The front page."""
    return {"/": Home(pages)}


class Home:
    """The front page."""

    NEEDS = NEEDS_TO_POST = Permission.SEE_FIGURES

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """Show it."""
        self._pages.show(visit, resp, "home.html")
