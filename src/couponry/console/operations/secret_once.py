"""A secret, shown this once: no list and no log shows it again."""

from collections.abc import Mapping

import falcon.asgi

from couponry.console.pages import Pages
from couponry.console.visit import Visit


def shown_once(pages: Pages, visit: Visit, resp: falcon.asgi.Response, title: str, values: Mapping[str, str], back: str) -> None:
    """The page that shows it. It answers the POST itself, so that no address leads to it."""
    pages.show(visit, resp, "operations/secret_once.html", title=title, values=values, back=back)
