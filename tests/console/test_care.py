"""Member Care: one search box, a customer's page, a coupon's page, and who may see them."""

from typing import Any

import pytest

from couponry.core import ids
from couponry.core.limits import LOOKUPS_A_MINUTE_MAX
from couponry.core.roles import Role
from couponry.store import audit
from couponry.store import schema as t
from tests.api.shop import MIRA, Front, Shop
from tests.console.browser import Browser, Page

MIRA_ID = 90001


def coupon_id(shop: Shop, code: str) -> int:
    with shop.database.reading() as tx:
        return next(int(row.id) for row in tx.rows(t.coupon.select().where(t.coupon.c.code_key == code), {}))


def entries(shop: Shop, **wanted: Any) -> list[audit.Entry]:
    with shop.database.reading() as tx:
        found = audit.entries(tx, shop.org_id, limit=500)
    return [entry for entry in found if all(getattr(entry, name) == value for name, value in wanted.items())]


@pytest.fixture
def support(browsers: dict[Role, Browser]) -> Browser:
    return browsers["support"]


def at(page: Page) -> str:
    return page.response.request.url.path


@pytest.mark.parametrize(
    "text",
    [
        *("919812300001", "98123 00001", "+91-98123-00001", "Mira@Example.com", "CRM-77", "90001", "#90001"),
    ],
)
def test_one_customer_is_shown_at_once(shop: Shop, support: Browser, text: str) -> None:
    page = support.get("/care", q=text)
    assert (page.status, at(page)) == (200, f"/console/care/customers/{MIRA_ID}")
    assert "Mira Rao" in page.text


def test_a_coupon_is_found_by_code_id_bill_and_redemption(shop: Shop, front: Front, support: Browser) -> None:
    code = shop.coupon("H4TQ9ZKM")
    number = coupon_id(shop, code)
    made = front.redeem(code, transactionNumber="INV/5510").json()["redemption"][0]
    for text in ("h4tq 9zkm", code.lower(), str(number), "INV/5510", str(made["redemptionId"])):
        page = support.get("/care", q=text)
        assert (text, at(page)) == (text, f"/console/care/coupons/{number}")
        assert "Redeemed at blr01, till till1" in page.text
        assert "Bill INV/5510, INR 1800." in page.text


def test_several_hits_are_listed_by_kind_and_none_says_what_was_tried(shop: Shop, support: Browser) -> None:
    shop.coupon("90001")
    page = support.get("/care", q="90001")
    assert at(page) == "/console/care"
    assert "/care/customers/90001" in page.text
    assert f"/care/coupons/{coupon_id(shop, '90001')}" in page.text
    assert "919812300001" not in page.text
    nothing = support.get("/care", q="NOSUCH1")
    assert nothing.status == 200
    assert "It was looked for as: external id, card, external card id, code, bill." in nothing.text


def test_look_ups_are_in_the_audit_log_without_a_mobile(shop: Shop, support: Browser) -> None:
    support.get("/care", q="919812300001")
    assert [(entry.subject_kind, entry.subject_id) for entry in entries(shop, action="look up")] == [("customer", "90001")]
    (search,) = entries(shop, action="search")
    assert (search.subject_id, search.after and search.after["for"].split(", ")[0]) == ("••••0001", "mobile")


def test_look_ups_are_limited_per_person(shop: Shop, support: Browser, admin: Browser) -> None:
    statuses = [support.get("/care", q=f"NOSUCH{number}").status for number in range(LOOKUPS_A_MINUTE_MAX + 1)]
    assert statuses == [200] * LOOKUPS_A_MINUTE_MAX + [429]
    assert admin.get("/care", q="NOSUCH").status == 200
    assert support.get(f"/care/customers/{MIRA_ID}", before=1).status == 429
    shop.clock.ms += 60_000
    assert support.get("/care", q="NOSUCH").status == 200


def test_identifiers_are_masked_until_somebody_asks(shop: Shop, browsers: dict[Role, Browser]) -> None:
    support, path = browsers["support"], f"/care/customers/{MIRA_ID}"
    assert "••••0001" in support.get(path).text
    assert "919812300001" in support.post(f"{path}/show").text
    assert "919812300001" in support.get(path).text
    assert "919812300001" not in browsers["admin"].get(path).text
    assert [entry.actor for entry in entries(shop, action="show identifiers")] == ["support@example.com"]
    shop.clock.ms += 11 * 60_000
    assert "919812300001" not in support.get(path).text


def test_a_customers_page_says_what_blocks(shop: Shop, support: Browser) -> None:
    leena, dev = support.get("/care", q="CONFIRM", x=1), support.get("/care", q="919812300004")
    assert "The status SUSPENDED blocks issue and redemption." in dev.text
    leena = support.get("/care", q="919812300003")
    assert "The fraud status CONFIRMED blocks issue and redemption." in leena.text
    shop.change(t.customer, MIRA_ID, unsubscribed="SMS")
    assert "The customer wants no SMS." in support.get(f"/care/customers/{MIRA_ID}").text


def test_a_customers_lists(shop: Shop, front: Front, support: Browser) -> None:
    used, live, late = shop.coupon("USED1"), shop.coupon("LIVE1"), shop.coupon("LATE1", validTillDateTime="2031-03-09 23:00:00")
    front.redeem(used, transactionNumber="INV-1")
    front.redeem(used, transactionNumber="INV-2")
    path = f"/care/customers/{MIRA_ID}"
    shown = {state: support.get(path, state=state).text for state in ("", "live", "used", "expired", "revoked")}
    found = {state: [code for code in (used, live, late) if f">{code}<" in text] for state, text in shown.items()}
    assert found == {"": [used, live, late], "live": [live], "used": [used], "expired": [late], "revoked": []}
    assert "INV-1" in support.get(path, list="redemptions").text
    refused = support.get(path, list="refusals").text
    assert "The coupon was redeemed already" in refused
    assert "/care/explain?coupon=" in refused
    assert "No message about a coupon" in support.get(path, list="messages").text
    assert "Monsoon 15" in support.get(path, list="limits").text
    assert "Look up" in support.get(path, list="actions").text


def test_lists_are_paged_without_losing_a_row(shop: Shop, support: Browser) -> None:
    codes = [shop.coupon(f"PAGE{number:03}") for number in range(120)]
    path, seen = f"/care/customers/{MIRA_ID}?list=coupons&state=live", set[str]()
    while path:
        text = support.get(path).text
        seen |= {code for code in codes if f">{code}<" in text}
        path = text.partition('rel="next" href="/console')[2].partition('"')[0].replace("&amp;", "&")
    assert seen == set(codes)


def test_another_orgs_customers_and_coupons_are_not_there(shop: Shop, support: Browser) -> None:
    elsewhere = ids.first_id(ids.COUPON, shop.org_id + 1, 1)
    shop.database.close()
    with shop.database.writing() as tx:
        row = {"org_id": shop.org_id + 1, "id": 95001, "first_name": "Eve", "last_name": "", "is_loyalty": True}
        more = {"fraud_status": "NONE", "status_label": "ACTIVE", "transaction_count": 0, "registered_ms": 0, "updated_ms": 0}
        tx.connection.execute(t.customer.insert().values(row | more | {"mobile": "919999900000"}))
        coupon = {"org_id": shop.org_id + 1, "id": elsewhere, "series_id": 1, "code": "ELSE", "code_key": "ELSE", "created_ms": 0}
        tx.connection.execute(t.coupon.insert().values(coupon))
    for path in ("/care/customers/95001", f"/care/coupons/{elsewhere}", f"/care/coupons/{elsewhere}/revoke", "/care/customers/x"):
        assert support.get(path).status == 404, path
    assert support.get("/care/customers/95001").text == support.get("/care/customers/95001").text
    for text in ("95001", "ELSE", "919999900000", str(elsewhere)):
        assert "Nothing was found" in support.get("/care", q=text).text


@pytest.mark.parametrize("role", ["marketer", "auditor"])
def test_who_may_see_and_who_may_act(shop: Shop, browsers: dict[Role, Browser], role: Role) -> None:
    number, browser = coupon_id(shop, shop.coupon("H4TQ9ZKM")), browsers[role]
    seen = 200 if role == "auditor" else 403
    for path in ("/care", "/care?q=90001", "/care/customers/90001", f"/care/coupons/{number}", "/care/explain"):
        assert (path, browser.get(path).status) == (path, seen)
    for path in (f"/care/coupons/{number}/revoke", "/care/customers/90001/show", "/care/customers/90001/goodwill"):
        assert (path, browser.post(path, reason="x", token="1.x").status) == (path, 403)
    assert "/revoke" not in browser.get(f"/care/coupons/{number}").text


def test_hostile_text_is_shown_harmless(shop: Shop, front: Front, support: Browser) -> None:
    evil = '<script>alert("x")</script>'
    shop.customers({"firstName": evil, "mobile": "919812300009", "externalId": "'\"=cmd()"})
    page = support.get("/care", q="919812300009")
    assert evil not in page.text
    assert "&lt;script&gt;" in page.text
    for text in (evil, "%", "_", "' OR 1=1 --", "\N{RIGHT-TO-LEFT OVERRIDE}", "9" * 255, "x" * 5000, "a\0b"):
        assert support.get("/care", q=text).status == 200
        assert evil not in support.get("/care/explain", coupon=text, till=text, customer=text, amount=text, time=text).text
    assert MIRA
