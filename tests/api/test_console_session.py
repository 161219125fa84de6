"""The admin API takes a console user's session: reads by the role, writes only with the session's own secret."""

from collections.abc import Mapping
from typing import Any

import pytest

from couponry.core.roles import ROLES, Role
from couponry.store import audit
from tests.api.shop import Front, Shop
from tests.console.browser import Browser
from tests.console.conftest import PASSWORD, people

__all__ = ["people"]

READS: dict[str, set[Role]] = {
    "/admin/v1/campaigns": set(ROLES),
    "/admin/v1/jobs": {"admin", "auditor"},
    "/admin/v1/dead-letters": {"admin", "auditor"},
    "/admin/v1/refusals?customerId=1": {"admin", "auditor", "support"},
}
CAMPAIGN = {"name": "Monsoon", "seriesIds": []}
NOTHING: Mapping[str, str] = {}


def asked(browser: Browser, method: str, path: str, headers: Mapping[str, str] = NOTHING, **more: Any) -> int:
    sent = {"cookie": f"couponry-session={browser.cookies['couponry-session']}", **headers}
    return browser.front.ask(method, path, auth=None, headers=sent, **more).status_code


def test_each_role_reads_what_it_may(front: Front, people: dict[Role, int]) -> None:
    for role in ROLES:
        browser = Browser(front).sign_in(f"{role}@example.com", PASSWORD)
        for path, roles in READS.items():
            assert (asked(browser, "GET", path) == 403) is (role not in roles), (role, path)


def test_a_write_takes_the_sessions_own_secret(front: Front, shop: Shop, people: dict[Role, int]) -> None:
    browser = Browser(front).sign_in("marketer@example.com", PASSWORD)
    other = Browser(front).sign_in("admin@example.com", PASSWORD)
    for csrf in ({}, {"x-csrf-token": ""}, {"x-csrf-token": other.csrf}):
        assert asked(browser, "POST", "/admin/v1/campaigns", json=CAMPAIGN, headers=csrf) == 403
    ours = {"x-csrf-token": browser.csrf}
    assert asked(browser, "POST", "/admin/v1/campaigns", json=CAMPAIGN, headers=ours) == 200
    with shop.database.reading() as tx:
        entry = audit.entries(tx, shop.org_id, limit=1)[0]
    assert (entry.actor, entry.action, entry.subject_id) == (
        "marketer@example.com",
        "asked: admin API",
        "POST /admin/v1/campaigns",
    )


def test_a_role_writes_what_it_may(front: Front, people: dict[Role, int]) -> None:
    browser = Browser(front).sign_in("support@example.com", PASSWORD)
    assert asked(browser, "POST", "/admin/v1/campaigns", json=CAMPAIGN, headers={"x-csrf-token": browser.csrf}) == 403


def test_nobody_goes_around_the_second_person(front: Front, people: dict[Role, int]) -> None:
    browser = Browser(front).sign_in("admin@example.com", PASSWORD)
    body = {"seriesId": 5001, "audience": {"all": True}, "count": 1, "send": False}
    assert asked(browser, "POST", "/admin/v1/jobs/issue", json=body, headers={"x-csrf-token": browser.csrf}) == 403


@pytest.mark.parametrize("path", ["/v2/coupon/redeem", "/v3/webHooks", "/admin/v2/x", "/metrics/x"])
def test_a_session_is_good_for_the_admin_api_alone(front: Front, people: dict[Role, int], path: str) -> None:
    browser = Browser(front).sign_in("admin@example.com", PASSWORD)
    assert asked(browser, "GET", path) in {401, 404}


def test_a_session_that_is_over_is_over_here_too(front: Front, people: dict[Role, int]) -> None:
    browser = Browser(front).sign_in("admin@example.com", PASSWORD)
    token = dict(browser.cookies)
    browser.post("/sign-out")
    browser.cookies = token
    assert asked(browser, "GET", "/admin/v1/campaigns") == 401
    browser.cookies = {"couponry-session": "1001.forged"}
    assert asked(browser, "GET", "/admin/v1/campaigns") == 401
