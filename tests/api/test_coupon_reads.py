"""`GET /v2/coupon`: by id, code and customer (v2-coupon 12), as the contract's examples have it."""

from typing import Any

import pytest

from couponry.store import registry
from couponry.store import schema as t
from tests.api.holdings import coupon_id, customer_id, series_id
from tests.api.shop import NOW_MS, Front, Shop

CUSTOM = {"standard_terms_and_conditions": "Dine-in only"}


def read(front: Front, **query: Any) -> dict[str, Any]:
    response = front.ask("GET", "/v2/coupon", params=query)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    assert body["warnings"] == body["errors"] == []
    return body


def codes(front: Front, **query: Any) -> list[str]:
    return [one["code"] for one in read(front, **query)["data"]]


def test_example(shop: Shop, front: Front) -> None:
    shop.coupon("H4TQ9ZKM")
    body = read(front, couponCodes="h4tq9zkm")
    assert body["data"] == [
        {
            "code": "H4TQ9ZKM",
            "seriesId": series_id(shop, "MON"),
            "description": "Monsoon 15",
            "discountCode": "MON15",
            "validTill": "2031-04-30T00:00:00+05:30",
            "validTillDateTime": "2031-04-30T23:59:59+05:30",
            "discountType": "PERC",
            "discountValue": 15.0,
            "discountUpto": 200.0,
            "discountOn": "BILL",
            "detailedInfo": "15 percent, up to 200",
        }
    ]
    (one,) = body["data"]
    assert isinstance(one["discountValue"], float)
    assert isinstance(one["discountUpto"], float)


def test_nothing_asked(front: Front) -> None:
    expected = {"data": [], "warnings": [], "errors": [{"status": False, "code": 1000, "message": "Filters not provided"}]}
    for query in ({}, {"couponCodes": ""}, {"couponIds": " , ", "showCouponSeries": "true"}, {"issuedToIds": ["", ""]}):
        response = front.ask("GET", "/v2/coupon", params=query)
        assert (response.status_code, response.json()) == (400, expected)


def test_nothing_found(front: Front) -> None:
    assert read(front, couponCodes="NOPE", couponIds=str(2**70)) == {"data": [], "warnings": [], "errors": []}


def test_order_is_the_one_asked_for(shop: Shop, front: Front) -> None:
    first, second = shop.coupon("AAA-1"), shop.coupon("BBB_2")
    ids = [coupon_id(shop, second), coupon_id(shop, first)]
    assert codes(front, couponIds=ids) == [second, first]
    assert codes(front, couponIds=f"{ids[0]},{ids[1]}, {ids[0]}") == [second, first]
    assert codes(front, couponCodes="bbb_2,NOPE,aaa-1,Aaa-1") == [second, first]


def test_customers_coupons_newest_first(shop: Shop, front: Front) -> None:
    old = shop.coupon(issuedOn="2031-03-01 10:00:00")
    new = shop.coupon(issuedOn="2031-03-05 10:00:00")
    other = shop.coupon(mobile="919812300002", issuedOn="2031-03-03 10:00:00")
    shop.coupon(mobile="")
    mira, arun = customer_id(shop, "919812300001"), customer_id(shop, "919812300002")
    assert codes(front, issuedToIds=mira) == [new, old]
    assert codes(front, issuedToIds=[mira, arun]) == [new, other, old]
    assert codes(front, issuedToIds="1") == []


def test_filters_intersect(shop: Shop, front: Front) -> None:
    mine, yours = shop.coupon(), shop.coupon(mobile="919812300002")
    mira, both = customer_id(shop, "919812300001"), [coupon_id(shop, mine), coupon_id(shop, yours)]
    assert codes(front, couponIds=both, issuedToIds=mira) == [mine]
    assert codes(front, couponCodes=f"{mine},{yours}", issuedToIds=mira) == [mine]
    assert codes(front, couponIds=both, couponCodes=yours) == [yours]
    assert codes(front, couponIds=both, couponCodes=yours, issuedToIds=mira) == []
    assert codes(front, couponIds=both, couponCodes="not a code!") == []


def test_shared_code_needs_the_customer(shop: Shop, front: Front) -> None:
    shop.series(seriesCode="GEN", clientHandlingType="GENERIC", genericCode="WELCOME", anyUser="false")
    shop.coupon("WELCOME", series="GEN", validTillDateTime="2031-03-20 10:00:00")
    shop.coupon("WELCOME", series="GEN", mobile="919812300002", validTillDateTime="2031-03-21 10:00:00")
    arun = customer_id(shop, "919812300002")
    (shared,) = read(front, couponCodes="welcome")["data"]
    assert shared["validTillDateTime"] == "2031-04-30T23:59:59+05:30"
    (own,) = read(front, couponCodes="welcome", issuedToIds=arun)["data"]
    assert (own["validTill"], own["validTillDateTime"]) == ("2031-03-21T00:00:00+05:30", "2031-03-21T10:00:00+05:30")


def test_revoked_coupons_are_left_out(shop: Shop, front: Front) -> None:
    code = shop.coupon(state="REVOKED")
    gone, mira = coupon_id(shop, code), customer_id(shop, "919812300001")
    assert not codes(front, couponIds=gone)
    assert not codes(front, couponCodes=code)
    assert not codes(front, issuedToIds=mira)
    shop.coupon(code, mobile="")
    assert codes(front, couponCodes=code) == [code]


@pytest.mark.parametrize(("case", "expected"), [("LOWER", "ab-x"), ("upper", "AB-X"), ("as_it_is", "Ab-x"), ("odd", "AB-X")])
def test_code_case(shop: Shop, front: Front, case: str, expected: str) -> None:
    shop.coupon("Ab-x")
    assert codes(front, couponCodes="aB-X", coupon_code_case=case) == [expected]
    assert codes(front, couponCodes="aB-X", couponCodeCase=case) == [expected]


def test_series(shop: Shop, front: Front) -> None:
    shop.series(seriesCode="WIN", redemptionRange='{"dom":[-1],"dow":[1,2,3],"hours":[-1]}', customPropertyMap=CUSTOM)
    code = shop.coupon(series="WIN")
    (one,) = read(front, couponCodes=code, showCouponSeries="true")["data"]
    series = one["couponSeries"]
    assert series["id"] == one["seriesId"]
    assert series["redemptionRange"] == {"dom": [-1], "dow": [1, 2, 3], "hours": [-1]}
    assert series["validTillISODate"] == "2031-04-30"
    assert series["validTillDateTime"] == "2031-04-30T23:59:59+05:30"
    assert series["customPropertyMap"] == CUSTOM
    assert series["mutualExclusiveSeriesIds"] == "[-1]"
    assert series["numIssued"] == 1
    assert "couponSeries" not in read(front, couponCodes=code, showCouponSeries="false")["data"][0]


def test_issual_details(shop: Shop, front: Front) -> None:
    code, silent = shop.coupon(), shop.coupon()
    details = {"sourceType": "CAMPAIGN", "sourceId": "7", "sourceActivity": "mail", "notes": "n", "reason": "r"}
    text = '{"sourceType":"CAMPAIGN","sourceId":"7","sourceActivity":"mail","notes":"n","reason":"r"}'
    shop.change(t.coupon, coupon_id(shop, code), issue_details=text)
    said, unsaid = read(front, couponCodes=[code, silent], includeIssualDetails="true")["data"]
    assert said["couponIssualDetails"] == details
    assert unsaid["couponIssualDetails"] == dict.fromkeys(details, "")
    assert "couponIssualDetails" not in read(front, couponCodes=code)["data"][0]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"couponIds": ["1"] * 101}, 1060),
        ({"couponCodes": ",".join(["A"] * 101)}, 1060),
        ({"issuedToIds": ",".join(map(str, range(101))), "couponIds": "x"}, 1060),
        ({"couponIds": "1,,2"}, 781),
        ({"couponCodes": "A, ,B"}, 781),
        ({"couponIds": "12a"}, 629),
        ({"couponIds": "-1"}, 629),
        ({"couponIds": "\N{ARABIC-INDIC DIGIT ONE}"}, 629),
        ({"issuedToIds": "1.5"}, 629),
        ({"issuedToIds": "1,,2"}, 629),
        ({"couponCodes": "A", "showCouponSeries": "perhaps"}, 629),
        ({"couponCodes": "A", "includeIssualDetails": "2"}, 629),
    ],
)
def test_refused(front: Front, query: dict[str, Any], code: int) -> None:
    response = front.ask("GET", "/v2/coupon", params=query)
    body = response.json()
    assert (response.status_code, body["data"], body["errors"][0]["code"]) == (400, [], code)


@pytest.mark.parametrize("value", ["\0", "A\0B", "\N{GRINNING FACE}", "x" * 4000, "' OR 1=1"])
def test_hostile_values_find_nothing(front: Front, value: str) -> None:
    assert read(front, couponCodes=[value])["data"] == []
    assert front.ask("GET", "/v2/coupon", params={"couponIds": value}).status_code == 400
    assert front.ask("GET", "/v2/coupon", params={"issuedToIds": value}).status_code == 400
    assert front.ask("GET", "/v2/coupon", params={"couponIds": "9" * 4000, "issuedToIds": "9" * 4000}).status_code == 200


def test_bytes_that_are_no_text(front: Front) -> None:
    headers = [(b"authorization", b"Basic dGlsbDE6MjAyY2I5NjJhYzU5MDc1Yjk2NGIwNzE1MmQyMzRiNzA=")]
    for query in (b"couponCodes=%ff%fe%00", b"couponIds=%00", b"issuedToIds=%f0%28", b"=&&couponCodes", b"couponCodes[]=1"):
        assert front.raw("GET", "/v2/coupon", headers, b"", query).status in {200, 400}


def test_unreadable_terms(shop: Shop, front: Front) -> None:
    code = shop.coupon()
    with shop.database.writing() as tx:
        tx.connection.exec_driver_sql("UPDATE series_version SET terms = '{}'")
    response = front.ask("GET", "/v2/coupon", params={"couponCodes": code})
    body = response.json()
    assert (response.status_code, body["data"], body["errors"][0]["code"]) == (500, [], 788)


def test_other_orgs_coupons_are_not_seen(shop: Shop, front: Front) -> None:
    other = Shop(shop.database)
    with shop.database.writing() as tx:
        made = registry.create_org(tx, name="Other", time_zone="UTC", currency="INR", country_code="91", now_ms=NOW_MS)
        assert isinstance(made, int)
    other.org_id = made
    other.customers({"firstName": "Zoe", "mobile": "919812300001"})
    other.series(seriesCode="MON")
    code = other.coupon("THEIRS")
    assert not codes(front, couponCodes=code)
    assert not codes(front, couponIds=coupon_id(other, code))
