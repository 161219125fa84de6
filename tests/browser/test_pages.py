"""Every page as each browser sees it: nothing for axe-core to find, nothing in the browser's own log, nothing out of reach."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from couponry.core.roles import ROLES, Role
from tests.browser.conftest import Open
from tests.browser.person import PASSWORD, Person
from tests.browser.shop import HOSTILE, MIRA, Tills
from tests.e2e.installation import Server

on_sqlite = pytest.mark.parametrize("browsed", ["sqlite"], indirect=True)
FILE = re.compile(r"\.csv|/csv/")
LINKS = "links => links.filter(link => !link.hasAttribute('download')).map(link => link.href)"
FOCUSED = """() => {
    const it = document.activeElement;
    return [getComputedStyle(it).outlineStyle, it.id || it.textContent.trim()];
}"""
NARROW: Final[ViewportSize] = {"width": 360, "height": 740}
WIDE: Final[ViewportSize] = {"width": 1280, "height": 900}


def shape(url: str) -> str:
    """What makes a page another one: its path without the numbers in it, the list that it shows, and whether it explains."""
    parts = urlsplit(url)
    path = re.sub(r"/(\d+|[0-9a-f]{16,})(?=/|$)", "/N", parts.path)
    asked = dict(parse_qsl(parts.query))
    return f"{path}?{asked.get('list', '')}{'coupon' in asked}"


def walked(person: Person) -> Iterator[str]:
    """Open every page that links lead to, one of each shape; those that are files for download are left out."""
    todo, seen = [person.page.url], {shape(person.page.url)}
    while todo:
        url = todo.pop(0)
        answer = person.page.goto(url)
        assert answer, url
        assert answer.status == 200, f"{answer.status}: {url}"
        yield url
        for href in person.page.eval_on_selector_all("a[href]", LINKS):
            link = href.partition("#")[0]
            if "/console" in link and not FILE.search(link) and shape(link) not in seen:
                seen.add(shape(link))
                todo.append(link)


def faults(person: Person) -> Iterator[str]:
    """What is wrong with the page as it stands, in light and dark, wide and narrow."""
    page = person.page
    yield from person.violations()
    page.emulate_media(color_scheme="dark")
    yield from person.violations("color-contrast")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(NARROW)
    if (width := page.evaluate("document.documentElement.scrollWidth")) > NARROW["width"]:
        yield f"{page.url}: {width} px wide"
    page.set_viewport_size(WIDE)
    if (heads := page.locator("h1").count()) != 1 or not page.title().removesuffix("· Couponry").strip():
        yield f"{page.url}: {heads} headings, title {page.title()!r}"


@on_sqlite
def test_an_admin_sees_every_page_without_a_fault(tills: Tills, person: Open) -> None:
    admin = person("admin", viewport=WIDE)
    found = [fault for url in walked(admin) for fault in faults(admin)]
    assert not found, "\n".join(found)


@on_sqlite
@pytest.mark.parametrize("role", [role for role in ROLES if role != "admin"])
def test_links_lead_where_the_role_may_go(tills: Tills, person: Open, role: Role) -> None:
    assert len(list(walked(person(role)))) > 10


@on_sqlite
def test_reading_searching_and_posting_work_with_scripts_off(tills: Tills, person: Open) -> None:
    agent = person("support", java_script_enabled=False)
    page = agent.page
    page.get_by_label("Find a coupon, customer or bill").fill(MIRA)
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Mira Rao")
    page.get_by_role("link", name="MON-000", exact=True).click()
    expect(page.locator(".timeline")).to_contain_text("Redeemed at blr01")
    agent.go("/series")
    page.get_by_label("Code or description").fill("MONSOON")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    agent.go("/care/customers/" + page_number(tills)).page.get_by_role("button", name="Show in full").click()
    expect(page.locator("main")).to_contain_text(MIRA)
    page.locator("summary").first.click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Sign in")


def page_number(tills: Tills) -> str:
    return str(tills.shop.number("customer", f"mobile = '{MIRA}'"))


@on_sqlite
def test_a_keyboard_is_enough(tills: Tills, server: Server, chromium: Browser) -> None:
    """The way to the content comes first, and whatever has the focus shows it."""
    page = chromium.new_context(base_url=f"http://127.0.0.1:{server.port}", reduced_motion="reduce").new_page()
    page.goto("/console/")
    assert [tabbed(page) for _ in range(3)] == ["Skip to content", "email", "password"]
    page.get_by_label("E-mail").focus()
    page.keyboard.type("support@example.com")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=1, name="Home").wait_for()
    assert [tabbed(page) for _ in range(3)] == ["Skip to content", "Couponry", "find"]
    page.keyboard.type("MON-000")
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=1, name="Coupon MON-000").wait_for()
    assert tabbed(page) == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.locator("summary", has_text="support@example.com").focus()
    page.keyboard.press("Enter")
    assert [tabbed(page) for _ in range(2)] == ["Account", "Sign out"]
    page.context.close()


def tabbed(page: Page) -> str:
    """Go to the next thing that takes the focus; it must be seen to have it."""
    page.keyboard.press("Tab")
    outline, name = page.evaluate(FOCUSED)
    assert outline != "none", name
    return str(name)


@on_sqlite
def test_nobodys_text_runs(tills: Tills, person: Open) -> None:
    """Names, descriptions and messages of the shop hold scripts; here what is asked for and filled in does, too."""
    admin = person("admin")
    page = admin.page
    for path in ("/care", "/series", "/campaigns", "/stores", "/care/explain"):
        for name in ("q", "code", "coupon", "state", "notice", "next", "before", "list"):
            admin.go(f"{path}?{name}={quote(HOSTILE)}")
    admin.go("/campaigns").page.get_by_role("button", name="New campaign").click()
    page.get_by_label("Name", exact=True).fill(HOSTILE)
    page.get_by_role("button", name="Save and go on").click()
    page.get_by_label("Name of the offer").fill(HOSTILE)
    page.get_by_label("Discount", exact=True).fill("20")
    expect(page.locator("#said")).to_contain_text("20 % off")
    page.get_by_role("button", name="Save and go on").click()
    draft = page.url.rpartition("/")[0]
    page.goto(f"{draft}/message")
    page.get_by_label("Message", exact=True).fill(HOSTILE)
    expect(page.locator("#sample")).to_contain_text("<script>")
    page.get_by_role("button", name="Save and go on").click()
    page.goto(f"{draft}/check")
    assert page.locator("main script, img[src=x]").count() == 0
    page.get_by_role("button", name="Remove the draft").click()
    assert all(question.startswith("Remove this draft?") for question in admin.questions)


@on_sqlite
def test_the_policy_lets_nothing_inline_run(tills: Tills, person: Open) -> None:
    admin = person("admin")
    policy = admin.page.goto("/console/")
    assert policy
    allowed = policy.headers["content-security-policy"]
    assert "default-src 'none'" in allowed
    assert not re.search(r"unsafe|http|\*", allowed)
    admin.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p id=bad onclick=\"document.title = 1\">x</p>')")
    admin.page.locator("#bad").click()
    assert admin.page.title() == "Home · Couponry"
    assert [complaint for complaint in admin.complaints if "Content Security Policy" in complaint]
    admin.complaints.clear()
