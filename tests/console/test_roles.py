"""Each role may see and do exactly what each page says that it needs, also by direct request."""

import pytest

from couponry.console.gate import OPEN
from couponry.core.roles import PERMISSIONS, ROLES, Permission, Role
from tests.api.shop import Front
from tests.console.browser import Browser
from tests.console.conftest import PASSWORD
from tests.console.routes import Route, routes

ENDS_THE_SESSION = {"/console/sign-out"}


def asked(browser: Browser, method: str, route: Route, csrf: str) -> int:
    return browser._once(method, route.asked, **({"data": {"csrf": csrf}} if method == "POST" else {})).status_code


@pytest.mark.parametrize("role", ROLES)
def test_who_may_do_what(front: Front, people: dict[Role, int], role: Role) -> None:
    """Whoever may not gets 403; whoever may gets anything else, and never a 5xx."""
    browser = Browser(front).sign_in(f"{role}@example.com", PASSWORD)
    wrong, csrf = [], browser.csrf
    for route in routes(front):
        if route.path in OPEN | ENDS_THE_SESSION:
            continue
        for method in sorted(route.methods & {"GET", "POST"}):
            needed = route.resource.NEEDS if method == "GET" else route.resource.NEEDS_TO_POST
            status = asked(browser, method, route, csrf)
            if (status == 403) is (needed in PERMISSIONS[role]) or status >= 500:
                wrong.append(f"{method} {route.path}: {status}, needs {needed}")
    assert not wrong


def test_nobody_gets_anywhere_without_signing_in(front: Front, people: dict[Role, int]) -> None:
    browser = Browser(front)
    for route in routes(front):
        if route.path in OPEN:
            continue
        for method in sorted(route.methods & {"GET", "POST"}):
            answer = browser._once(method, route.asked)
            assert (answer.status_code, answer.headers.get("location", "")[:16]) == (303, "/console/sign-in"), route.path


def test_only_who_changes_something_may_post(front: Front) -> None:
    """Prevents the page whose writes need no more than its reads."""
    reads = {Permission.SEE_FIGURES, Permission.SEE_CAMPAIGNS, Permission.SEE_OPERATIONS, Permission.SEE_AUDIT}
    found = [route.path for route in routes(front) if "POST" in route.methods and route.resource.NEEDS_TO_POST in reads]
    assert not found


def test_an_auditor_changes_nothing() -> None:
    acting = {Permission.MAKE_CAMPAIGNS, Permission.CARE, Permission.OPERATE, Permission.MANAGE_PEOPLE, Permission.APPROVE}
    assert not acting & PERMISSIONS["auditor"]
