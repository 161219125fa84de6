"""`GET /v2/coupon/is_redeemable` (v2-coupon 6)."""

from typing import Any

import pytest

from couponry.core.status import Code
from tests.api.shop import Front, Shop, code_of
from tests.api.test_redeem import mira, refused, status

NOT_FOUND = "Coupon not found Identifier: {x}. Coupon isRedeem failed"


def passed(code: str) -> dict[str, Any]:
    return {
        "appendedErrorMessage": "",
        "code": code,
        "isAbsolute": False,
        "isRedeemable": True,
        "numberOfRedemptionsByUser": 0,
        "redemptionsLeft": 1,
        "warnings": [],
    }


def failed(code: str, result: Code, *, left: int = 1, used: int = 0) -> dict[str, Any]:
    return {
        **passed(code),
        "appendedErrorMessage": result.message,
        "isRedeemable": False,
        "redemptionsLeft": left,
        "numberOfRedemptionsByUser": used,
        "redemptionStatus": status(result),
    }


def test_redeemable(shop: Shop, front: Front) -> None:
    code = shop.coupon("H4TQ9ZKM")
    response = front.check(code=code, details="false", format="json")
    assert response.status_code == 200
    assert response.json() == {
        "customer": mira(),
        "redemption": [passed(code)],
        "redemptionStatus": {"code": 700, "message": "Coupon isRedeem successful", "status": True},
        "warnings": [],
    }
    assert front.check(code=code).json() == response.json()


def test_used_coupon(shop: Shop, front: Front) -> None:
    code = shop.coupon()
    front.redeem(code)
    body = front.check(code=code).json()
    assert body["redemption"] == [failed(code, Code.ALREADY_USED, left=0, used=1)]
    assert body["redemptionStatus"] == {"code": 711, "message": "Coupon is already used", "status": False}


def test_unknown_coupon_is_named_as_sent(front: Front) -> None:
    message = NOT_FOUND.replace("{x}", " h4tq9zkx")
    body = front.check(code=" h4tq9zkx").json()
    assert body["redemption"][0]["appendedErrorMessage"] == message
    assert body["redemption"][0]["redemptionStatus"]["statusCode"] == {"status": False, "code": 780, "message": message}
    assert body["redemptionStatus"] == {"status": False, "code": 780, "message": message}
    assert front.check(couponId="77").json()["redemptionStatus"]["message"] == NOT_FOUND.replace("{x}", "77")


def test_set_is_judged_together(shop: Shop, front: Front) -> None:
    good = shop.coupon()
    body = front.check(code=f"{good},NOSUCH").json()
    assert body["redemption"][0] == failed(good, Code.OTHER_COUPON_FAILED)
    assert body["redemptionStatus"] == {"status": False, "code": 749, "message": Code.OTHER_COUPON_FAILED.message}
    both_wrong = front.check(code="NOSUCH,NOTHIS").json()["redemptionStatus"]
    assert both_wrong == {"status": False, "code": 500, "message": "All requests have failed due to errors"}


def test_details(shop: Shop, front: Front) -> None:
    shop.series(
        seriesCode="RICH",
        description="Rich",
        productInfo=[{"productType": "BRAND", "productIds": [10, 20]}, {"productType": "SKU", "productCodes": ["S1"]}],
        maxRedemptionsInSeriesPerUser="3",
    )
    code = shop.coupon(series="RICH")
    value = {"discountType": "PERC", "discountValue": 15, "discountUpto": 200}
    assert front.check(code=code, details="true").json()["redemption"] == [
        {
            **passed(code),
            **value,
            "couponSeries": {
                "id": 5002,
                "description": "Rich",
                "discountCode": "MON15",
                "validTillDate": "2031-04-30T00:00:00+05:30",
                "validTilldateFormat": "2031-04-30",
                "isValidWithDiscountedItem": False,
                "isUpdateProductData": False,
                "updateProductData": False,
                "info": "15 percent, up to 200",
                "maxRedemptionsInSeriesPerUser": 3,
                "issueToLoyalty": False,
                "discountOn": "BILL",
            },
        }
    ]
    products = {"id": 5002, "brands": [10, 20], "products": ["S1"], "categories": [], "entityLevelRedemptionConfigsValues": []}
    assert front.check(code=code, details="extended").json()["redemption"] == [
        {**passed(code), **value, "couponSeries": products}
    ]
    unknown = front.check(code="NOSUCH", details="true").json()["redemption"][0]
    assert unknown.keys() == {*passed(""), "redemptionStatus"}


@pytest.mark.parametrize(
    "identifier", [{"mobile": "9812300001"}, {"email": "mira@example.com"}, {"externalId": "CRM-77"}, {"id": "90001"}]
)
def test_one_identifier(shop: Shop, front: Front, identifier: dict[str, str]) -> None:
    code = shop.coupon()
    response = front.ask("GET", "/v2/coupon/is_redeemable/", params={**identifier, "code": code, "coupon_code_case": "lower"})
    assert response.json()["redemption"][0]["code"] == code.lower()
    assert response.json()["customer"]["id"] == 90001


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ({}, 781, "Either coupon ID or coupon code is missing"),
        ({"couponId": ""}, 781, "Either coupon ID or coupon code is missing"),
        ({"couponId": "x1"}, 629, "Invalid Input"),
        ({"code": ",".join(["A"] * 101)}, 629, "Invalid Input"),
        ({"couponId": ",".join(["1"] * 101)}, 629, "Invalid Input"),
        ({"code": "A", "redemptionTime": "yesterday"}, 629, "Invalid Input"),
        ({"code": "A", "transactionNumber": "x" * 256}, 629, "Invalid Input"),
        ({"code": "A", "billAmount": "-1"}, 733, "Invalid transaction amount"),
        ({"code": "A", "billAmount": "NaN"}, 733, "Invalid transaction amount"),
        ({"code": "A", "mobile": ""}, 721, "Invalid customer"),
        ({"code": "A", "mobile": "919812300003"}, 740, "Fraud customer"),
        ({"code": "A", "mobile": "919812300004"}, 742, "Coupon issue and redemption blocked for customer"),
    ],
)
def test_request_refusals(front: Front, query: dict[str, str], code: int, message: str) -> None:
    response = front.check(**query)
    assert response.status_code == 400
    assert response.json() == refused(code, message)


@pytest.mark.parametrize(("sent", "code"), [("", 702), ("A,", 500), ("%%%", 702), ("A" * 41, 702), ("a\0b", 702)])
def test_empty_and_malformed_codes_are_invalid(front: Front, sent: str, code: int) -> None:
    """An empty code is 702; no code at all is 781 (corrections 5)."""
    response = front.check(code=sent)
    assert response.status_code == 200
    assert code_of(response.json()) == code


def test_amount_and_time_are_judged_only_when_given(shop: Shop, front: Front) -> None:
    shop.series(seriesCode="BIG", minBillAmount="2000")
    code = shop.coupon(series="BIG")
    assert code_of(front.check(code=code).json()) == 700
    assert code_of(front.check(code=code, billAmount="1999.99").json()) == 733
    assert code_of(front.check(code=code, billAmount="2000").json()) == 700
    assert code_of(front.check(code=code, redemptionTime="2031-05-01").json()) == 712


def test_check_changes_nothing(shop: Shop, front: Front) -> None:
    code = shop.coupon()
    for _ in range(3):
        assert code_of(front.check(code=code).json()) == 700
    assert code_of(front.redeem(code).json()) == 700
