"""What attackers try: forged forms, planted sessions, redirects elsewhere, scripts in what they type, and many guesses."""

import asyncio
import time
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from couponry.core.limits import FAILURE_FORGOTTEN_MS, FAILURES_FREE_MAX, FORM_BYTES_MAX
from couponry.core.roles import Role
from couponry.core.status import Code
from couponry.store import password_checks
from couponry.store import schema as t
from couponry.store.password_checks import PasswordChecks
from tests.api.shop import Clock, Front, Shop, cheaply_hashed
from tests.console.browser import Browser
from tests.console.conftest import PASSWORD

SIGN_IN = {"email": "admin@example.com", "password": PASSWORD}


def posted(front: Front, path: str, headers: dict[str, str], **more: Any) -> httpx.Response:
    return front.ask("POST", f"/console{path}", auth=None, headers=headers, **more)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://shop.test.evil.example"},
    ],
)
def test_forms_of_other_sites_are_refused(front: Front, admin: Browser, headers: dict[str, str]) -> None:
    """Also to sign in: nobody is to work in an attacker's account unawares."""
    cookie = {"cookie": f"couponry-session={admin.cookies['couponry-session']}"}
    assert posted(front, "/sign-out", headers | cookie, data={"csrf": admin.csrf}).status_code == 403
    answer = posted(front, "/sign-in", headers, data=SIGN_IN)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert "<h1>Account</h1>" in admin.get("/account").text


@pytest.mark.parametrize(
    "headers",
    [{"sec-fetch-site": "same-origin", "origin": "https://behind.a.proxy"}, {"origin": "http://shop.test"}, {}],
)
def test_forms_of_ours_are_taken(front: Front, people: dict[Role, int], headers: dict[str, str]) -> None:
    assert posted(front, "/sign-in", headers, data=SIGN_IN).status_code == 303


@pytest.mark.parametrize("csrf", ["", "x", "é", "0" * 64])
def test_a_form_carries_the_sessions_secret(front: Front, browsers: dict[Role, Browser], csrf: str) -> None:
    admin = browsers["admin"]
    for sent in (csrf, browsers["marketer"].csrf):
        page = admin.post("/people", csrf=sent, email="x@example.com", role="admin")
        assert page.status == 403
    assert "x@example.com" not in admin.get("/people").text


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"csrf=%00", "application/x-www-form-urlencoded"),
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
        (b"a&b", "application/x-www-form-urlencoded"),
        (b"&".join([b"a=1"] * 2001), "application/x-www-form-urlencoded"),
        (b"a=" + b"x" * FORM_BYTES_MAX, "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
        (b"a=1", "text/plain"),
    ],
)
def test_what_is_no_form(front: Front, admin: Browser, content: bytes, media_type: str) -> None:
    headers = {"cookie": f"couponry-session={admin.cookies['couponry-session']}", "content-type": media_type}
    assert posted(front, "/people", headers, content=content).status_code == 400


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/a\r\nSet-Cookie: couponry-session=1.x",
        "/a\nx: y",
        "/\t/evil.example",
        "/é",
        "",
        "@evil.example",
    ],
)
def test_signing_in_leads_nowhere_else(front: Front, people: dict[Role, int], wanted: str) -> None:
    answer = posted(front, "/sign-in", {}, data=SIGN_IN | {"next": wanted})
    assert answer.headers["location"] == "/console/"
    assert len(answer.headers.get_list("set-cookie")) == 1
    assert 'name="next" value="/"' in Browser(front).get("/sign-in", next=wanted).text


def test_pages_cannot_be_framed_kept_or_guessed_at(front: Front, admin: Browser) -> None:
    for path in ("/sign-in", "/account", "/nowhere", "/people"):
        headers = admin.get(path).response.headers
        policy = headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "same-origin"


def test_a_planted_session_is_not_taken_over(front: Front, shop: Shop, people: dict[Role, int]) -> None:
    browser = Browser(front)
    browser.cookies["couponry-session"] = f"{shop.org_id}.planted"
    answer = posted(front, "/sign-in", {"cookie": f"couponry-session={shop.org_id}.planted"}, data=SIGN_IN)
    assert "planted" not in answer.headers["set-cookie"]
    assert "Sign in" in browser.get("/account").text


def test_signing_in_again_ends_the_session_before(front: Front, shop: Shop, admin: Browser) -> None:
    before = dict(admin.cookies)
    admin.sign_in("admin@example.com", PASSWORD)
    assert admin.cookies != before
    admin.cookies = before
    assert "Sign in" in admin.get("/account").text


@pytest.mark.parametrize(
    ("headers", "is_secure"),
    [
        ({}, True),
        ({"host": "localhost:8000"}, False),
        ({"host": "127.0.0.1"}, False),
        ({"host": "[::1]:8000"}, False),
        ({"host": "localhost.evil.example"}, True),
        ({"host": "localhost:port"}, True),
        ({"host": "localhost", "forwarded": 'proto="https'}, False),
        ({"host": "localhost", "x-forwarded-proto": "https"}, True),
    ],
)
def test_scripts_and_networks_see_no_cookie(
    front: Front, people: dict[Role, int], headers: dict[str, str], is_secure: bool
) -> None:
    cookie = posted(front, "/sign-in", headers, data=SIGN_IN).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert ("Secure" in cookie) is is_secure


def test_a_stolen_database_signs_nobody_in(shop: Shop, admin: Browser) -> None:
    token = admin.cookies["couponry-session"]
    with shop.database.reading() as tx:
        rows = str(tx.rows(select(t.console_session), {}))
    assert token not in rows
    assert token.partition(".")[2] not in rows


@pytest.mark.parametrize(
    "text", ['"><script>alert(1)</script>', "'onfocus=alert(1) x='", "{{777*7}}", "<img src=x onerror=alert(1)>"]
)
def test_what_is_typed_is_shown_harmless(front: Front, admin: Browser, text: str) -> None:
    for page in (
        Browser(front).post("/sign-in", email=text, password=text, next=f"/{text}"),
        Browser(front).get("/sign-in", next=f"/{text}"),
        admin.get("/audit", person=text, action=text, kind=text, subject=text),
        admin.post("/people", email=text, role=text),
        admin.get(f"/people/{httpx.URL('http://x/').join(text).raw_path.decode()}"),
    ):
        assert page.status < 500
        assert text not in page.text or text == "{{777*7}}"
        assert "5439" not in page.text


def test_a_notice_is_ours(admin: Browser) -> None:
    """Whoever can plant a cookie cannot make the console say something."""
    for planted in ("0" * 64 + "Call%20555", "%00", "x"):
        admin.cookies["couponry-notice"] = planted
        assert "Call" not in admin.get("/account").text


def test_guesses_wait_longer_and_longer(front: Front, shop: Shop, people: dict[Role, int]) -> None:
    for _ in range(FAILURES_FREE_MAX + 1):
        assert posted(front, "/sign-in", {}, data=SIGN_IN | {"password": "wrong"}).status_code == 401
    assert _seconds(front) >= 0.15
    for _ in range(FAILURES_FREE_MAX + 1):
        posted(front, "/sign-in", {}, data=SIGN_IN | {"password": "wrong"})
    shop.clock.ms += FAILURE_FORGOTTEN_MS + 1
    assert _seconds(front) < 0.15


def _seconds(front: Front) -> float:
    since = time.perf_counter()
    assert posted(front, "/sign-in", {}, data=SIGN_IN).status_code == 303
    return time.perf_counter() - since


def test_a_flood_of_guesses_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many are looked at, so many wait, and the rest are turned away without a thread."""
    monkeypatch.setattr(password_checks, "PASSWORD_CHECKS_MAX", 2)
    monkeypatch.setattr(password_checks, "PASSWORD_WAITERS_MAX", 3)
    stored = cheaply_hashed(PASSWORD)

    async def guess(checks: PasswordChecks, count: int) -> list[Code | None]:
        tries = (checks.refusal(("user", "a"), "203.0.113.7", "wrong", stored) for _ in range(count))
        return list(await asyncio.gather(*tries))

    async def flood() -> tuple[list[Code | None], list[Code | None]]:
        checks = PasswordChecks(Clock())
        at_once = await guess(checks, 20)
        for _ in range(FAILURES_FREE_MAX):
            await guess(checks, 1)
        since = time.perf_counter()
        late = await guess(checks, 20)
        assert time.perf_counter() - since < 5
        checks.close()
        return at_once, late

    at_once, late = asyncio.run(flood())
    assert (at_once.count(Code.UNAUTHENTICATED), at_once.count(Code.OVERLOADED)) == (2, 18)
    assert late.count(Code.UNAUTHENTICATED) + late.count(Code.OVERLOADED) == 20
    assert late.count(Code.OVERLOADED) <= 3


def test_nobody_learns_who_has_an_account(front: Front, people: dict[Role, int]) -> None:
    texts = {
        email: Browser(front).post("/sign-in", email=email, password="wrong").text.replace(email, "")
        for email in ("admin@example.com", "nobody@example.com")
    }
    assert len(set(texts.values())) == 1


def test_no_log_names_who_failed(front: Front, people: dict[Role, int], capfd: pytest.CaptureFixture[str]) -> None:
    posted(front, "/sign-in", {}, data=SIGN_IN | {"password": "hunter2hunter2"})
    said = "".join(capfd.readouterr())
    assert "admin@example.com" not in said
    assert "hunter2" not in said
