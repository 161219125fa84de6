"""The routes of the console as the running application has them, whoever adds one."""

import re
from typing import Any, NamedTuple

from falcon import inspect

from tests.api.shop import Front


class Route(NamedTuple):
    """A page: its path below the server, with `{names}` in it, what serves it, and how it is asked."""

    path: str
    resource: Any
    methods: frozenset[str]

    @property
    def asked(self) -> str:
        """A path to ask for; what it names is not there."""
        return re.sub(r"\{[^}]*\}", "999999", self.path)


def routes(front: Front) -> list[Route]:
    """All of them."""
    app: Any = front.site._console
    found = []
    for route in inspect.inspect_routes(app):
        resource, *_ = app._router.find(re.sub(r"\{[^}]*\}", "999999", route.path))
        methods = frozenset(method.method for method in route.methods if not method.internal)
        found.append(Route(route.path, resource, methods))
    return found
