"""Sign in and out, and what nobody may do without."""

from couponry.core.roles import Role
from tests.api.shop import Front
from tests.console.browser import Browser
from tests.console.conftest import PASSWORD


def test_whoever_is_not_signed_in_is_asked_to(front: Front, people: dict[Role, int]) -> None:
    page = Browser(front).get("/", period="7")
    assert page.status == 200
    assert "Sign in" in page.text
    assert page.form("/console/sign-in")["next"] == "/?period=7"


def test_a_wrong_password_lets_nobody_in(front: Front, people: dict[Role, int]) -> None:
    browser = Browser(front)
    page = browser.post("/sign-in", email="admin@example.com", password="wrong")
    assert page.status == 401
    assert browser.cookies == {}


def test_signed_in_until_signed_out(front: Front, people: dict[Role, int]) -> None:
    browser = Browser(front).sign_in("admin@example.com", PASSWORD)
    token = browser.cookies["couponry-session"]
    assert "<h1>Home</h1>" in browser.get("/").text
    browser.post("/sign-out")
    browser.cookies = {"couponry-session": token}
    assert "<h1>Home</h1>" not in browser.get("/").text


def test_a_form_of_another_site_is_refused(admin: Browser) -> None:
    assert admin.post("/sign-out", csrf="guessed").status == 403


def test_what_is_not_there_is_a_page_too(admin: Browser) -> None:
    page = admin.get("/nowhere")
    assert page.status == 404
    assert "There is no such page" in page.text
    assert page.response.headers["content-security-policy"].startswith("default-src 'none'")
