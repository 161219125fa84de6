"""Who may use the admin API, whatever the endpoint: a client with the admin scope, never a till; every failure is a problem."""

import re
from typing import Any, Final

import httpx
import pytest

from couponry.api.areas import AREAS
from couponry.api.envelopes import ADMIN, PROBLEM_TYPE
from tests.api.admins import TOKEN, Admin
from tests.api.shop import Front, Shop

ENDPOINTS: Final = sorted(
    {
        (one.method.upper(), re.sub(r"\{\w+\}", "1", one.path))
        for area in AREAS
        for one in area.OPERATIONS
        if one.path.startswith(ADMIN)
    }
)
EXPLAIN: Final = "/admin/v1/explain"


def bearer(front: Front, key: str) -> dict[str, Any]:
    answer = front.ask("POST", TOKEN, json={"key": key, "secret": "pLz8"}, auth=None)
    return {"auth": None, "headers": {"Authorization": f"Bearer {answer.json()['data']['accessToken']}"}}


def is_problem(answer: httpx.Response, status: int, code: int) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM_TYPE)
    body = answer.json()
    assert (body["status"], body["code"], body["type"]) == (status, code, "about:blank")
    assert body.keys() == {"title", "status", "code", "detail", "type"}
    assert body["title"]


def test_there_are_endpoints() -> None:
    assert {("GET", EXPLAIN), ("POST", "/admin/v1/series/1/what-if"), ("GET", "/admin/v1/refusals")} <= set(ENDPOINTS)


def test_only_admins_come_in(shop: Shop, front: Front) -> None:
    """A till is no admin, nor is a client without the scope, nor nobody."""
    shop.client(key="plain")
    plain = bearer(front, "plain")
    for method, path in ENDPOINTS:
        body: dict[str, Any] = {"json": {}} if method in {"POST", "PUT", "PATCH"} else {}
        is_problem(front.ask(method, path, **body), 403, 4000)
        is_problem(front.ask(method, path, **body, **plain), 403, 4000)
        is_problem(front.ask(method, path, **body, auth=None), 401, 401)
        is_problem(front.ask(method, path, **body, auth=("till1", "0" * 32)), 401, 401)


def test_admin_endpoints_are_there_for_admins(shop: Shop, front: Front) -> None:
    admin = Admin(shop, front)
    for method, path in ENDPOINTS:
        body: dict[str, Any] = {"json": {}} if method in {"POST", "PUT", "PATCH"} else {}
        answer = admin.ask(method, path.removeprefix("/admin/v1"), **body)
        assert answer.status_code not in {401, 403, 405}, (method, path)
        assert answer.status_code < 500, (method, path, answer.text)
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == PROBLEM_TYPE


def test_whoever_loses_the_scope_stays_out(shop: Shop, front: Front) -> None:
    """The scope is the client's, not the token's: it is gone once the credential is read again."""
    admin = Admin(shop, front)
    assert admin.ask("GET", "/refusals").status_code == 200
    with shop.database.writing() as tx:
        tx.connection.exec_driver_sql(f"UPDATE client SET is_admin = {'0' if shop.database.is_sqlite else 'false'}")
    shop.clock.ms += 60_000
    is_problem(admin.ask("GET", "/refusals"), 403, 4000)


@pytest.mark.parametrize(
    ("method", "path", "more", "status", "code"),
    [
        ("GET", "/nosuch", {}, 404, 404),
        ("DELETE", "/explain", {}, 405, 405),
        ("POST", "/explain", {"json": {}}, 405, 405),
        ("OPTIONS", "/explain", {}, 405, 405),
        ("GET", "/series/1/what-if", {}, 405, 405),
        ("POST", "/series/1/what-if", {"data": {"a": "b"}}, 415, 415),
        ("POST", "/series/1/what-if", {"content": b"x" * (2 << 20)}, 413, 413),
        ("POST", "/series/1/what-if", {"content": b"{"}, 400, 400),
        ("GET", "/explain", {}, 400, 629),
    ],
)
def test_every_failure_is_a_problem(
    shop: Shop, front: Front, method: str, path: str, more: dict[str, Any], status: int, code: int
) -> None:
    is_problem(Admin(shop, front).ask(method, path, **more), status, code)


def test_spellings_lead_nowhere(front: Front) -> None:
    """No other spelling of a path leads around the gate."""
    for path in ("//admin/v1/explain", "/admin/v2/explain", "/admin/", "/ADMIN/v1/explain", "/v2/../admin/v1/explain"):
        assert front.ask("GET", path, params={"code": "A"}).status_code in {403, 404}
