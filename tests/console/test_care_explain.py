"""Why was it refused? One click from a refusal, for any till and time, in plain words."""

import re
from html import unescape

from couponry.core.roles import Role
from tests.api.shop import Front, Shop
from tests.console.browser import Browser
from tests.console.test_care import coupon_id, entries


def test_one_click_from_a_refusal(shop: Shop, front: Front, browsers: dict[Role, Browser]) -> None:
    shop.series(seriesCode="BIG", minBillAmount="2000")
    code = shop.coupon("BIG1", series="BIG")
    assert front.redeem(code).json()["redemptionStatus"]["code"] == 733
    shop.clock.ms += 3600_000
    support = browsers["support"]
    page = support.get(f"/care/coupons/{coupon_id(shop, code)}")
    assert "The bill is below or above what the series allows" in page.text
    (link,) = set(re.findall(r'href="(/console/care/explain\?[^"]*till=[^"]*)"', page.text))
    answer = support.get(unescape(link)).text
    assert "Tell the customer which bill the coupon needs." in answer
    assert "Short by INR 200." in answer
    assert "Smallest bill: INR 2000; bill: INR 1800" in unescape(answer)
    assert "733" not in answer.partition("<table>")[0].partition("<main")[2]
    assert [entry.subject_id for entry in entries(shop, action="ask why")] == [str(coupon_id(shop, code))]


def test_any_till_and_any_time(shop: Shop, browsers: dict[Role, Browser]) -> None:
    shop.till("till2", store="del01")
    shop.till("till3", store="del02")
    code, auditor = shop.coupon("LATE1", validTillDateTime="2031-03-11 23:59:59"), browsers["auditor"]
    asked = {"coupon": code.lower(), "customer": "98123 00001", "amount": "1,800"}
    assert "Nothing stands in the way" in auditor.get("/care/explain", **asked, till="till1").text
    later = auditor.get("/care/explain", **asked, till="till1", time="2031-03-12T10:00").text
    assert "The coupon itself has expired." in later
    choice = auditor.get("/care/explain", **asked, till="del0").text
    assert "Which till was it?" in choice
    assert "till=till3" in choice
    assert "Nothing stands in the way" in auditor.get("/care/explain", **asked, till="del02").text
    assert "The till is unknown or switched off." in auditor.get("/care/explain", **asked, till="%").text
    assert "That is no time" in auditor.get("/care/explain", **asked, time="yesterday").text
    assert "That is no sum of money" in auditor.get("/care/explain", coupon=code, amount="much").text


def test_places_are_named(shop: Shop, browsers: dict[Role, Browser]) -> None:
    shop.series(
        seriesCode="SOUTH", redemptionOrgEntityDetails=f'[{{"redemptionOrgEntityType":"STORE","orgEntityId":{shop.store_id}}}]'
    )
    shop.till("till2", store="del01")
    code = shop.coupon("SOUTH1", series="SOUTH")
    text = browsers["support"].get("/care/explain", coupon=code, customer="CRM-77", till="till2").text
    assert "Redeemable at stores blr01; asked at till2 of del01" in text
