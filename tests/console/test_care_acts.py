"""What an agent does for a customer: each act asks first, acts once, stands in the audit log, and is judged by the ledger."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from couponry.core.roles import Role
from couponry.store import schema as t
from tests.api.shop import Front, Shop
from tests.console.browser import Browser, Page
from tests.console.conftest import PASSWORD
from tests.console.test_care import MIRA_ID, at, coupon_id, entries

GOODWILL = f"/care/customers/{MIRA_ID}/goodwill"


@pytest.fixture
def support(browsers: dict[Role, Browser]) -> Browser:
    return browsers["support"]


def act(browser: Browser, path: str, **filled: Any) -> Page:
    """Fill in the form that stands there, and send it."""
    form = browser.get(path).form(f"/console{path}")
    return browser.post(path, **(form | filled))


def outbox(shop: Shop, event: str) -> int:
    with shop.database.reading() as tx:
        return len(tx.rows(t.outbox.select().where(t.outbox.c.event == event), {}))


def test_a_message_is_sent_again_once(shop: Shop, support: Browser) -> None:
    path = f"/care/coupons/{coupon_id(shop, shop.coupon('H4TQ9ZKM'))}/resend"
    form = support.get(path).form(f"/console{path}")
    first, again = support.post(path, **form), support.post(path, **form)
    assert "The message is on its way." in first.text
    assert "That form was sent before" in again.text
    assert outbox(shop, "ResendMessage") == 1
    assert [entry.actor for entry in entries(shop, action="asked: resend")] == ["support@example.com"]
    assert "Asked: resend" in again.text


def test_a_double_click_acts_once(shop: Shop, front: Front, support: Browser) -> None:
    """Prevents the two requests of one form, at the same time, from both acting."""
    path = f"/care/coupons/{coupon_id(shop, shop.coupon('H4TQ9ZKM'))}/resend"
    form = support.get(path).form(f"/console{path}") | {"csrf": support.csrf}
    with ThreadPoolExecutor(4) as threads:
        pages = list(threads.map(lambda _: support.post(path, **form), range(4)))
    assert [page.status for page in pages] == [200] * 4
    assert outbox(shop, "ResendMessage") == 1


def test_revoked_for_good_with_a_reason(shop: Shop, front: Front, support: Browser) -> None:
    code = shop.coupon("H4TQ9ZKM")
    path = f"/care/coupons/{coupon_id(shop, code)}/revoke"
    assert "Say why." in act(support, path).text
    page = act(support, path, reason="sent twice <b>")
    assert "The coupon is revoked." in page.text
    assert "reason sent twice &lt;b&gt;" in page.text
    assert front.redeem(code).json()["redemptionStatus"]["code"] == 660
    assert "/revoke" not in page.text
    refused = act(support, path, reason="again")
    assert (refused.status, "The coupon was revoked, for good." in refused.text) == (409, True)


def test_extended_until_a_day_within_its_series(shop: Shop, support: Browser) -> None:
    number = coupon_id(shop, shop.coupon("H4TQ9ZKM", validTillDateTime="2031-03-12 23:59:59"))
    path = f"/care/coupons/{number}/extend"
    assert "Choose a later day." in act(support, path, until="2031-03-12", reason="x").text
    assert "The series ends before that day." in act(support, path, until="2031-05-01", reason="x").text
    page = act(support, path, until="2031-04-20", reason="holiday")
    assert "20 Apr 2031, 23:59" in page.text
    assert "Expiry changed" in page.text
    (entry,) = [entry for entry in entries(shop, action="asked: extend") if entry.after and entry.after["until"] == "2031-04-20"]
    assert entry.before == {"state": "live", "expires": "2031-03-12T23:59:59"}


def test_reactivated_with_a_reason(shop: Shop, front: Front, support: Browser) -> None:
    code = shop.coupon("H4TQ9ZKM")
    made = front.redeem(code, transactionNumber="INV-7").json()["redemption"][0]["redemptionId"]
    path = f"/care/coupons/{coupon_id(shop, code)}/reactivate"
    assert act(support, path, redemption="1", reason="RETURNED").status == 422
    page = act(support, path, redemption=made, reason="CASHIER_ERROR")
    assert "Redemption reversed at till till1" in page.text
    assert "Reason: cashier error." in page.text
    assert front.redeem(code, transactionNumber="INV-8").json()["redemptionStatus"]["code"] == 700


def goodwill(shop: Shop, **fields: Any) -> str:
    shop.series(seriesCode="SORRY", seriesType="GOODWILL", description="Sorry", discountType="ABS", discountValue="100", **fields)
    with shop.database.reading() as tx:
        return str(next(row.id for row in tx.rows(t.series.select().where(t.series.c.code_key == "SORRY"), {})))


def test_without_a_goodwill_series_the_page_says_what_to_do(shop: Shop, support: Browser) -> None:
    assert "Ask a marketer to make one" in support.get(GOODWILL).text


def test_goodwill_is_given_within_the_days_limit(shop: Shop, front: Front, browsers: dict[Role, Browser]) -> None:
    shop.set(goodwillDailyMax="2")
    series, support = goodwill(shop, isMultipleVouchersPerUserAllowed="true"), browsers["support"]
    given = [act(support, GOODWILL, series=series, reason="late") for _ in range(3)]
    assert ["The coupon is issued." in page.text for page in given] == [True, True, False]
    assert "You have given all 2 goodwill coupons of today." in given[2].text
    assert "late" in given[0].text
    assert at(given[0]).startswith("/console/care/coupons/")
    assert "The coupon is issued." in act(browsers["admin"], GOODWILL, series=series, reason="late").text
    shop.clock.ms += 24 * 3600_000
    tomorrow = Browser(front).sign_in("support@example.com", PASSWORD)
    assert "The coupon is issued." in act(tomorrow, GOODWILL, series=series, reason="late").text


def test_what_the_ledger_refuses_does_not_count(shop: Shop, support: Browser) -> None:
    shop.set(goodwillDailyMax="2")
    series = goodwill(shop)
    assert "The coupon is issued." in act(support, GOODWILL, series=series, reason="late").text
    for _ in range(3):
        refused = act(support, GOODWILL, series=series, reason="late")
        assert (refused.status, "may not have another" in refused.text) == (409, True)
    assert act(support, GOODWILL, series=series, reason="").status == 422
    assert act(support, GOODWILL, series="1", reason="x").status == 422


def test_goodwill_limits_hold_at_the_same_time(shop: Shop, support: Browser) -> None:
    shop.set(goodwillDailyMax="3")
    series = goodwill(shop, isMultipleVouchersPerUserAllowed="true")
    forms = [support.get(GOODWILL).form(f"/console{GOODWILL}") for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        pages = list(threads.map(lambda form: support.post(GOODWILL, **(form | {"series": series, "reason": "x"})), forms))
    with shop.database.reading() as tx:
        assert len(tx.rows(t.coupon.select().where(t.coupon.c.customer_id == MIRA_ID), {})) == 3
    assert sorted(page.status for page in pages) == [200] * 3 + [409] * 5


def test_a_second_person_approves_what_costs_more(shop: Shop, browsers: dict[Role, Browser]) -> None:
    shop.set(goodwillApprovalAbove="50")
    series, support, admin = goodwill(shop), browsers["support"], browsers["admin"]
    page = act(support, GOODWILL, series=series, reason="late delivery")
    assert "It waits as approval" in page.text
    assert "MON" not in support.get(f"/care/customers/{MIRA_ID}", state="live").text.partition("<table>")[2]
    decide = admin.get("/approvals/1").form("/console/approvals/1/decide")
    done = admin.post("/approvals/1/decide", **(decide | {"verdict": "approve", "note": "fine"}))
    assert at(done).startswith("/console/care/coupons/")
    assert "The coupon is issued." in done.text
    assert "late delivery" in done.text
