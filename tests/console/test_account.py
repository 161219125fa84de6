"""One's own account: password, second factor, sessions; and signing in in two steps."""

import re
import threading
from base64 import b32decode

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy import select

from couponry.core import totp
from couponry.core.browsers import browser_named
from couponry.core.limits import (
    SECOND_FACTOR_SLIP_MS,
    SECOND_FACTOR_TRIES_MAX,
    SECOND_FACTOR_WINDOW_MS,
    SESSION_IDLE_MS_MAX,
    SESSION_MS_MAX,
    SESSIONS_MAX,
)
from couponry.core.roles import Role
from couponry.core.validation import Vault
from couponry.store import audit
from couponry.store import people as keeping
from couponry.store import schema as t
from couponry.store.audit import Actor
from tests.api.shop import Front, Shop
from tests.console.browser import Browser, Page
from tests.console.conftest import PASSWORD

NEW = "a few words of mine"
HALF_MINUTE_MS = 30_000


def code_of(secret: bytes, now_ms: int) -> str:
    return TOTP(secret, 6, SHA1(), 30).generate(now_ms // 1000).decode()  # noqa: S303 - what apps do


def actions(shop: Shop) -> list[str]:
    with shop.database.reading() as tx:
        return [entry.action for entry in audit.entries(tx, shop.org_id, limit=100)]


class Phone:
    """An authenticator app that shares a secret with somebody's account."""

    def __init__(self, shop: Shop, browser: Browser) -> None:
        self.shop = shop
        page = browser.post("/account/second-factor")
        spelled = re.search(r'class="code">([A-Z2-7 ]+)<', page.text)
        assert spelled, page.text
        assert 'src="data:image/png;base64,' in page.text
        self.secret = b32decode(spelled[1].replace(" ", ""))
        confirmed = browser.post("/account/second-factor/confirm", code=self.code())
        self.recovery = re.findall(r"<li>([A-Z2-7-]{19})</li>", confirmed.text)
        shop.clock.ms += HALF_MINUTE_MS

    def code(self, later_ms: int = 0) -> str:
        return code_of(self.secret, self.shop.clock.ms + later_ms)


@pytest.fixture
def phone(shop: Shop, admin: Browser) -> Phone:
    return Phone(shop, admin)


def first_step(front: Front, email: str = "admin@example.com") -> tuple[Browser, Page]:
    browser = Browser(front)
    return browser, browser.post("/sign-in", email=email, password=PASSWORD, next="/account")


def second_step(front: Front, code: str) -> Page:
    browser, page = first_step(front)
    return browser.post("/sign-in/code", **page.form("/console/sign-in/code") | {"code": code})


def test_a_new_password_signs_everybody_else_out(front: Front, shop: Shop, admin: Browser) -> None:
    elsewhere = Browser(front).sign_in("admin@example.com", PASSWORD)
    before = admin.cookies["couponry-session"]
    page = admin.post("/account/password", old=PASSWORD, new=NEW, again=NEW)
    assert "Your password is changed." in page.text
    assert admin.cookies["couponry-session"] != before
    assert "Sign in" in elsewhere.get("/account").text
    assert first_step(front)[1].status == 401
    Browser(front).sign_in("admin@example.com", NEW)
    assert "change password" in actions(shop)
    with shop.database.reading() as tx:
        assert PASSWORD not in str(tx.rows(select(t.audit), {}))


@pytest.mark.parametrize(
    ("old", "new", "again", "said"),
    [
        ("wrong", NEW, NEW, "That is not your password."),
        (PASSWORD, "short", "short", "at least 12"),
        (PASSWORD, NEW, NEW.title(), "not the same"),
        (PASSWORD, "admin@example.com", "admin@example.com", "something else than your e-mail"),
        (PASSWORD, PASSWORD, PASSWORD, "another one than before"),
        (PASSWORD, "x" * 1025, "x" * 1025, "at least 12"),
        ("", "", "", "Type a new password."),
    ],
)
def test_what_is_no_new_password(front: Front, admin: Browser, old: str, new: str, again: str, said: str) -> None:
    page = admin.post("/account/password", old=old, new=new, again=again)
    assert page.status == 422
    assert said in page.text
    assert not new or f'value="{new}"' not in page.text
    Browser(front).sign_in("admin@example.com", PASSWORD)


def test_two_steps(front: Front, shop: Shop, phone: Phone) -> None:
    browser, page = first_step(front)
    assert "Second step" in page.text
    assert "couponry-session" not in browser.cookies
    done = browser.post(
        "/sign-in/code", **page.form("/console/sign-in/code") | {"code": f" {phone.code()[:3]} {phone.code()[3:]}"}
    )
    assert "<h1>Account</h1>" in done.text
    assert browser.cookies["couponry-session"]


def test_a_code_counts_once(front: Front, shop: Shop, phone: Phone) -> None:
    code = phone.code()
    assert second_step(front, code).status == 200
    assert second_step(front, code).status == 401
    assert second_step(front, phone.code(-HALF_MINUTE_MS)).status == 401
    assert second_step(front, phone.code(HALF_MINUTE_MS)).status == 200
    assert second_step(front, phone.code(3 * HALF_MINUTE_MS)).status == 401


def test_a_code_counts_once_also_at_once(shop: Shop, phone: Phone, people: dict[Role, int]) -> None:
    who = Actor(org_id=shop.org_id, user_id=people["admin"], email="a", address="::1", request_id="r", now_ms=shop.clock.ms)
    code, start, right = phone.code(), threading.Barrier(3), list[bool]()

    def sign_in() -> None:
        start.wait()
        with shop.database.writing() as tx:
            right.append(keeping.accept_second_factor(tx, who, people["admin"], Vault(b"only for this test"), code))

    threads = [threading.Thread(target=sign_in) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(right) == [False, False, True]


def test_codes_cannot_be_tried_out(front: Front, shop: Shop, phone: Phone) -> None:
    """Also with the right password, also from many addresses, also through several processes."""
    for number in range(SECOND_FACTOR_TRIES_MAX - 1):  # the first one was the confirmation
        assert second_step(front, f"{number:06}").status == 401
    assert second_step(front, phone.code()).status == 401
    shop.clock.ms += SECOND_FACTOR_WINDOW_MS
    assert second_step(front, phone.code()).status == 200


def test_a_recovery_code_counts_once(front: Front, phone: Phone, admin: Browser) -> None:
    assert len(set(phone.recovery)) == 10
    assert second_step(front, phone.recovery[3].lower()).status == 200
    assert second_step(front, phone.recovery[3]).status == 401
    assert "9 recovery codes" in admin.get("/account").text
    page = admin.post("/account/second-factor/recovery", password=PASSWORD)
    assert len(re.findall(r"<li>[A-Z2-7-]{19}</li>", page.text)) == 10
    assert second_step(front, phone.recovery[4]).status == 401


def test_nothing_is_readable_in_the_database(shop: Shop, phone: Phone) -> None:
    with shop.database.reading() as tx:
        rows = str(tx.rows(select(t.second_factor), {})) + str(tx.rows(select(t.audit), {}))
    assert not [text for text in (*phone.recovery, phone.secret.hex()) if text in rows]
    assert phone.secret not in rows.encode("latin1", errors="replace")


def test_a_slip_is_not_forged_nor_kept(front: Front, shop: Shop, phone: Phone) -> None:
    browser, page = first_step(front)
    form = page.form("/console/sign-in/code")
    org, user, until, signature = form["slip"].split(".")
    for slip in (
        f"{org}.{user}.{int(until) + 1}.{signature}",
        f"{org}.{int(user) + 1}.{until}.{signature}",
        "",
        "x",
        "1.2.3.4",
    ):
        answer = browser.post("/sign-in/code", **form | {"slip": slip, "code": phone.code()})
        assert "couponry-session" not in browser.cookies
        assert "Please sign in again." in answer.text
    shop.clock.ms += SECOND_FACTOR_SLIP_MS
    browser.post("/sign-in/code", **form | {"code": phone.code()})
    assert "couponry-session" not in browser.cookies


def test_turning_it_off_takes_the_password(front: Front, shop: Shop, phone: Phone, admin: Browser) -> None:
    assert "not your password" in admin.post("/account/second-factor/off", password="wrong").text
    assert "Second step" in first_step(front)[1].text
    admin.post("/account/second-factor/off", password=PASSWORD)
    assert first_step(front)[0].cookies["couponry-session"]
    done = actions(shop)
    assert done[1:5] == ["turn off second factor", "turn on second factor", "set up second factor", "sign in"]


def test_it_does_not_count_before_a_first_code(front: Front, admin: Browser) -> None:
    page = admin.post("/account/second-factor")
    assert "not the code" in admin.post("/account/second-factor/confirm", code="000000").text
    assert page.status == 200
    assert first_step(front)[0].cookies["couponry-session"]


def test_sessions_are_listed_and_ended(front: Front, shop: Shop, admin: Browser, people: dict[Role, int]) -> None:
    elsewhere = Browser(front).sign_in("admin@example.com", PASSWORD)
    other = Browser(front).sign_in("support@example.com", PASSWORD)
    marks = re.findall(r"/account/sessions/([0-9a-f]+)/end", admin.get("/account").text)
    assert len(marks) == 1
    assert other.post(f"/account/sessions/{marks[0]}/end").status == 404
    assert "That browser is signed out." in admin.post(f"/account/sessions/{marks[0]}/end").text
    assert "Sign in" in elsewhere.get("/").text
    assert admin.post("/account/sessions/x/end").status == 404
    assert "end session" in actions(shop)


@pytest.mark.parametrize(
    ("step_ms", "steps"), [(SESSION_IDLE_MS_MAX + 1, 1), (SESSION_IDLE_MS_MAX - 1, SESSION_MS_MAX // SESSION_IDLE_MS_MAX + 1)]
)
def test_sessions_end_by_themselves(shop: Shop, admin: Browser, step_ms: int, steps: int) -> None:
    """Idle for hours, or however busy after a day."""
    for _ in range(steps - 1):
        shop.clock.ms += step_ms
        assert "<h1>Account</h1>" in admin.get("/account").text
    shop.clock.ms += step_ms
    assert "Sign in" in admin.get("/account").text


def test_nobody_has_any_number_of_sessions(front: Front, shop: Shop, admin: Browser) -> None:
    for _ in range(SESSIONS_MAX):
        shop.clock.ms += 1
        Browser(front).sign_in("admin@example.com", PASSWORD)
    assert "Sign in" in admin.get("/account").text
    with shop.database.reading() as tx:
        assert len(tx.rows(select(t.console_session), {})) == SESSIONS_MAX


def test_codes_of_the_standard() -> None:
    """RFC 6238, appendix B, cut to six digits."""
    secret = b"12345678901234567890"
    for seconds, code in ((59, "287082"), (1111111109, "081804"), (20000000000, "353130")):
        assert totp.step_of(secret, code, seconds * 1000, -1) == seconds // 30
        assert totp.step_of(secret, code, seconds * 1000, seconds // 30) is None
    assert totp.step_of(secret, "٢٨٧٠٨٢", 59_000, -1) is None


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0.0.0 Safari/537.36",
            "Chrome on Linux",
        ),
        ("Mozilla/5.0 (Windows NT 10.0; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("curl/8.9.1", "curl/8.9.1"),
        ("", "Unknown browser"),
    ],
)
def test_browsers_have_names(said: str, name: str) -> None:
    assert browser_named(said) == name
