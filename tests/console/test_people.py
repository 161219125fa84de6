"""Who works here: an admin makes people, changes what they may do, and never leaves the org without an admin."""

import re
import threading

import pytest
from sqlalchemy import func, select

from couponry.core.problem import Problem
from couponry.core.roles import Role
from couponry.store import audit, registry, sessions
from couponry.store import people as keeping
from couponry.store import schema as t
from couponry.store.audit import Actor
from tests.api.shop import Front, Shop, cheaply_hashed
from tests.console.browser import Browser, Page
from tests.console.conftest import PASSWORD

People = dict[Role, int]


def actor(shop: Shop, user_id: int) -> Actor:
    return Actor(org_id=shop.org_id, user_id=user_id, email="x@example.com", address="::1", request_id="r", now_ms=shop.clock.ms)


def entries(shop: Shop) -> list[audit.Entry]:
    with shop.database.reading() as tx:
        return audit.entries(tx, shop.org_id, limit=100)


def given(page: Page) -> str:
    found = re.search(r'<dt>Password</dt><dd class="code">([\w-]{20})<', page.text)
    assert found, page.text
    return found[1]


def test_a_new_person_chooses_a_password_first(front: Front, shop: Shop, admin: Browser) -> None:
    page = admin.post("/people", email=" New@Example.com ", role="marketer")
    password = given(page)
    assert page.response.headers["cache-control"] == "no-store"
    assert password not in admin.get("/people").text
    browser = Browser(front).sign_in("new@example.com", password)
    assert "Choose one of your own" in browser.get("/").text
    assert browser.post("/approvals/1/withdraw").response.url.path == "/console/account"
    changed = browser.post("/account/password", old=password, new="a few words of mine", again="a few words of mine")
    assert "Your password is changed." in changed.text
    assert "<h1>Home</h1>" in browser.get("/").text
    (made,) = [entry for entry in entries(shop) if entry.action == "create person"]
    assert made.after == {"email": "new@example.com", "role": "marketer"}
    assert password not in str(entries(shop))


@pytest.mark.parametrize(
    ("email", "role", "said"),
    [
        ("admin@example.com", "admin", "is taken"),
        ("nobody", "admin", "no e-mail address"),
        ("x@example.com", "king", "Not a valid choice"),
        ("", "admin", "Type an e-mail."),
    ],
)
def test_who_cannot_be_made(admin: Browser, email: str, role: str, said: str) -> None:
    page = admin.post("/people", email=email, role=role)
    assert page.status == 422
    assert said in page.text


def test_hostile_names_are_shown_harmless(admin: Browser) -> None:
    email = """<script>alert(1)</script>'"@x.example"""
    made = admin.post("/people", email=email, role="support")
    number = re.search(r"/people/(\d+)", made.text)
    assert number
    for page in (made, admin.get("/people"), admin.get(f"/people/{number[1]}"), admin.get("/audit")):
        assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&#39;&#34;@x.example" in admin.get("/people").text


def test_a_new_role_counts_at_once(browsers: dict[Role, Browser], shop: Shop, people: People) -> None:
    support = browsers["support"]
    assert support.get("/approvals").status == 200
    page = browsers["admin"].post(f"/people/{people['support']}/role", role="auditor")
    assert "The role is changed." in page.text
    assert "Sign in" in support.get("/approvals").text
    support.sign_in("support@example.com", PASSWORD)
    assert support.get("/audit").status == 200
    (changed,) = [entry for entry in entries(shop) if entry.action == "change role"]
    assert (changed.before, changed.after) == ({"role": "support"}, {"role": "auditor"})


def test_who_is_deactivated_is_out(front: Front, browsers: dict[Role, Browser], people: People) -> None:
    where = f"/people/{people['marketer']}"
    browsers["admin"].post(f"{where}/deactivate")
    assert "Sign in" in browsers["marketer"].get("/").text
    assert Browser(front).post("/sign-in", email="marketer@example.com", password=PASSWORD).status == 401
    browsers["admin"].post(f"{where}/activate")
    Browser(front).sign_in("marketer@example.com", PASSWORD)


def test_a_forgotten_password(front: Front, browsers: dict[Role, Browser], people: People) -> None:
    password = given(browsers["admin"].post(f"/people/{people['marketer']}/password"))
    assert "Sign in" in browsers["marketer"].get("/").text
    assert Browser(front).post("/sign-in", email="marketer@example.com", password=PASSWORD).status == 401
    Browser(front).sign_in("marketer@example.com", password)


def test_a_lost_phone(shop: Shop, admin: Browser, people: People) -> None:
    shop.add(t.second_factor, user_id=people["support"], sealed=b"x", step=1, recovery="[]")
    assert "second factor" in admin.get(f"/people/{people['support']}").text
    assert "password alone" in admin.post(f"/people/{people['support']}/second-factor").text
    with shop.database.reading() as tx:
        person = sessions.read_person(tx, shop.org_id, people["support"])
    assert person
    assert not person.has_second_factor


@pytest.mark.parametrize("what", ["role", "deactivate"])
def test_the_last_admin_stays(admin: Browser, shop: Shop, people: People, what: str) -> None:
    page = admin.post(f"/people/{people['admin']}/{what}", role="support")
    assert "this is the last active admin" in page.text
    admin.post(f"/people/{people['support']}/role", role="admin")
    assert "Sign in" in admin.post(f"/people/{people['admin']}/{what}", role="support").text


def test_two_admins_do_not_take_each_other_away(shop: Shop, people: People) -> None:
    """Each sees the other as the one who stays, unless both lock the same rows."""
    with shop.database.writing() as tx:
        other = registry.create_user(tx, shop.org_id, email="b@example.com", password_hash=cheaply_hashed(PASSWORD), role="admin")
    assert isinstance(other, int)
    both, start = (people["admin"], other), threading.Barrier(2)
    done: list[object] = []

    def demote(user_id: int) -> None:
        start.wait()
        with shop.database.writing() as tx:
            done.append(keeping.change_role(tx, actor(shop, user_id), user_id, "support"))

    threads = [threading.Thread(target=demote, args=(user_id,)) for user_id in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [isinstance(one, Problem) for one in done].count(True) == 1
    with shop.database.reading() as view:
        admins = select(func.count()).where(t.console_user.c.org_id == shop.org_id, t.console_user.c.role == "admin")
        assert view.rows(admins, {})[0][0] == 1


@pytest.mark.parametrize("what", ["role", "deactivate", "activate", "second-factor", "password"])
def test_who_is_not_there(admin: Browser, shop: Shop, what: str) -> None:
    """Another org's people are as little there as nobody is."""
    with shop.database.writing() as tx:
        org_id = registry.create_org(tx, name="B", time_zone="UTC", currency="INR", country_code="91", now_ms=1)
        assert isinstance(org_id, int)
        other = registry.create_user(tx, org_id, email="b@example.com", password_hash="x", role="admin")
    for number in (other, 0, "x", 10**15):
        assert admin.get(f"/people/{number}").status == 404
        assert admin.post(f"/people/{number}/{what}", role="admin").status == 404
    assert "b@example.com" not in admin.get("/people").text


def test_pages_of_people(admin: Browser, shop: Shop) -> None:
    for number in range(60):
        with shop.database.writing() as tx:
            registry.create_user(tx, shop.org_id, email=f"p{number}@example.com", password_hash="x", role="support")
    first = admin.get("/people")
    assert "p59@example.com" in first.text
    older = re.search(r'rel="next" href="(\?before=\d+)"', first.text)
    assert older
    assert "admin@example.com" in re.sub("<summary>.*?</summary>", "", admin.get(f"/people{older[1]}").text)
