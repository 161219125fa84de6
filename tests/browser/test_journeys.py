"""What people come for, from end to end: a campaign from its name to its figures, and a caller with a coupon that was refused."""

import re

from playwright.sync_api import Page, expect

from couponry.core.status import Code
from tests.browser.conftest import Open
from tests.browser.person import Person
from tests.browser.shop import MIRA, Shop, Tills

END_MS = 40_000
CUSTOMERS = 33


def test_a_marketer_launches_a_campaign_and_watches_it(browsed: Shop, tills: Tills, person: Open) -> None:
    marketer = person("marketer")
    page = marketer.go("/campaigns").page
    page.get_by_role("button", name="New campaign").click()
    fill_in(marketer)
    page.get_by_role("button", name="Ask for approval").click()
    expect(page.get_by_role("status")).to_contain_text("A second person has to approve this launch.")
    assert marketer.questions == [f"Launch Diwali 2030? Coupons go to {CUSTOMERS} customers."]
    approve(person("admin"))
    marketer.go("/campaigns").page.get_by_role("link", name="Diwali 2030").click()
    expect(page.locator("main")).to_contain_text(f"{CUSTOMERS} of {CUSTOMERS}", timeout=END_MS)
    campaign = page.url
    page.locator("main").get_by_role("link", name=re.compile("^Job")).first.click()
    expect(page.get_by_role("status")).to_contain_text("finished", timeout=END_MS)
    marketer.picture("job")
    redeem_and_look(browsed, tills, marketer, campaign)
    page.goto(campaign)
    page.get_by_role("button", name="Duplicate").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value(re.compile("Diwali 2030"))


def fill_in(marketer: Person) -> None:
    """Every step, to the check."""
    page = marketer.page
    page.get_by_label("Name", exact=True).fill("Diwali 2030")
    go_on(page)
    page.get_by_label("Name of the offer").fill("Diwali: 20 percent off")
    page.get_by_label("Discount", exact=True).fill("20")
    page.get_by_label("At most", exact=True).fill("150")
    expect(page.locator("#said")).to_contain_text("20 % off, at most INR 150")
    marketer.picture("campaign-terms")
    go_on(page)
    page.get_by_label("Everyone").check()
    page.get_by_role("button", name="Save and count").click()
    expect(page.locator("main")).to_contain_text(f"This audience has {CUSTOMERS} customers")
    go_on(page)
    text = page.get_by_label("Message", exact=True)
    text.fill("Happy Diwali! Your code is ")
    page.locator("[data-insert*='voucher_code'], [data-insert*='voucher']").first.click()
    expect(text).to_have_value(re.compile(r"Your code is \{\{\s*voucher_code\s*\}\}"))
    expect(page.locator("#sample")).to_contain_text("Happy Diwali! Your code is")
    expect(page.locator("#sample")).to_contain_text("1 SMS part for each customer")
    page.get_by_label("Send each customer a message").check()
    go_on(page)
    expect(page.get_by_role("heading", name="What was found")).to_be_visible()
    marketer.picture("campaign-check")


def go_on(page: Page) -> None:
    page.get_by_role("button", name="Save and go on").click()


def approve(admin: Person) -> None:
    """As the second person."""
    page = admin.go("/approvals").page
    page.get_by_role("link", name=re.compile("Diwali")).click()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("status")).to_be_visible()


def redeem_and_look(browsed: Shop, tills: Tills, marketer: Person, campaign: str) -> None:
    """Some of the coupons come back; the series' page says so."""
    page = marketer.page
    page.goto(campaign)
    page.locator("main a[href*='/series/']").first.click()
    series = int(page.url.rpartition("/")[2])
    held = "SELECT c.code, h.mobile FROM coupon c JOIN customer h ON h.org_id = c.org_id AND h.id = c.customer_id WHERE c.org_id"
    coupons = browsed.query(f"{held} = {browsed.org_id} AND c.series_id = {series} ORDER BY c.id")
    assert len(coupons) == CUSTOMERS
    assert {tills.redeem(code, mobile=mobile) for code, mobile in coupons[-5:]} == {Code.PROCESSED.number}
    page.reload()
    funnel = page.locator(".figures").first
    for label, count in (("Created", CUSTOMERS), ("Issued", CUSTOMERS), ("Redeemed", 5)):
        expect(funnel.locator(".figure", has_text=label).first).to_contain_text(str(count))
    marketer.picture("series")
    marketer.go("/").picture("home")


def test_an_agent_helps_a_caller(browsed: Shop, tills: Tills, person: Open) -> None:
    agent = person("support")
    page = agent.page
    find(page, "+91 98123 00001")
    expect(page.get_by_role("heading", level=1)).to_have_text("Mira Rao")
    agent.picture("customer")
    page.get_by_role("link", name="MON-001", exact=True).click()
    expect(page.locator(".timeline")).to_contain_text("refused", ignore_case=True)
    page.locator(".timeline").get_by_role("link", name="Why was it refused?").first.click()
    expect(page.get_by_role("heading", name="What to do next")).to_be_visible()
    expect(page.locator("main")).to_contain_text("INR 200")
    agent.picture("why-refused")
    page.get_by_role("link", name="Coupon MON-001").click()
    page.get_by_role("link", name="Send the message again").click()
    page.get_by_role("button", name="Send it again").click()
    expect(page.get_by_role("status")).to_have_text("The message is on its way.")
    page.get_by_role("link", name="Revoke").click()
    page.get_by_label("Reason").fill("The customer asked for another one")
    page.get_by_role("button", name="Revoke it for good").click()
    expect(page.get_by_role("status")).to_have_text("The coupon is revoked.")
    assert tills.redeem("MON-001", bill="INV-10") == Code.REVOKED.number
    page.reload()
    agent.picture("coupon")
    find(page, MIRA)
    page.get_by_role("link", name="Give a goodwill coupon").click()
    page.get_by_label("Coupon", exact=True).select_option(index=0)
    page.get_by_label("Reason").fill("Her coupon was refused by mistake")
    page.get_by_role("button", name="Give the coupon").click()
    expect(page.get_by_role("status")).to_contain_text("The coupon is issued.")
    assert agent.questions == ["Revoke this coupon for good?", "Give this coupon?"]


def find(page: Page, text: str) -> None:
    """From the head's box, by keyboard."""
    page.get_by_label("Find a coupon, customer or bill").fill(text)
    page.keyboard.press("Enter")
