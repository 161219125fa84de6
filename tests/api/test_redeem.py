"""`POST /v2/coupon/redeem`: every shape of its answers, to the key (v2-coupon 4)."""

from typing import Any

import pytest

from couponry.core.status import Code
from tests.api.shop import Front, Shop

SUCCESS = {"status": True, "message": "Coupon processing successful", "code": 700}
CUSTOMER_NOT_FOUND = "The customer could not be found. Please check mobile, email, external id passed"
IDENTIFIERS = [
    {"type": "email", "value": "mira@example.com"},
    {"type": "externalId", "value": "CRM-77"},
    {"type": "mobile", "value": "919812300001"},
]


def mira(customer_id: int = 90001) -> dict[str, Any]:
    profile = {
        "firstName": "Mira",
        "lastName": "Rao",
        "fields": {},
        "allFields": {},
        "identifiers": IDENTIFIERS,
        "commChannels": [],
        "userId": customer_id,
        "accountId": "",
        "autoUpdateTime": "2031-03-10T18:20:00+05:30",
        "identifiersAll": IDENTIFIERS,
    }
    return {"id": customer_id, "profiles": [profile]}


def status(code: Code, warnings: tuple[Code, ...] = ()) -> dict[str, Any]:
    is_success = code in {Code.PROCESSED, Code.REDEEMABLE}
    listed = [{"status": False, "code": warning.number, "message": warning.message} for warning in warnings]
    return {
        "statusCode": {"status": is_success, "message": code.message, "code": code.number},
        "warnings": listed,
        "warningsAsStatusCode": listed,
        "message": code.message,
        "code": code.number,
        "success": is_success,
    }


def item(code: str, coupon_id: int, result: Code, redemption_id: str = "-1", *, is_found: bool = True) -> dict[str, Any]:
    value = {
        "currencyInput": False,
        "localToBaseCurrencyExchangeRate": 0,
        "discountCode": "MON15",
        "seriesCode": 5001,
        "couponValue": 15.0,
        "discountType": "PERC",
        "discountValue": 15,
        "discountUpto": 200,
    }
    return {
        "redemptionId": redemption_id,
        "id": coupon_id,
        "warnings": [],
        "appendedErrorMessage": "" if result in {Code.PROCESSED, Code.REDEEMABLE} else result.message,
        "code": code,
        "isAbsolute": False,
        "redemptionStatus": status(result),
        **(value if is_found else {}),
    }


def refused(code: int, message: str) -> dict[str, Any]:
    error = {"status": False, "code": code, "message": message}
    return {"redemption": [], "redemptionStatus": error, "errors": [error], "warnings": []}


def test_one_coupon(shop: Shop, front: Front) -> None:
    shop.coupon("H4TQ9ZKM")
    response = front.redeem("h4tq9zkm", redemptionTime="2031-03-10 18:20:00")
    body = response.json()
    redeemed = body["redemption"][0]
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert "idempotency-replayed" not in response.headers
    assert int(redeemed["redemptionId"]) > redeemed["id"] > 0
    assert body == {
        "redemption": [item("H4TQ9ZKM", redeemed["id"], Code.PROCESSED, redeemed["redemptionId"])],
        "redemptionStatus": SUCCESS,
        "customer": mira(),
        "warnings": [],
    }


def test_numbers_have_the_contracts_types(shop: Shop, front: Front) -> None:
    """`couponValue` is 15.0, `discountValue` 15: JSON parsers of tills tell them apart."""
    text = front.redeem(shop.coupon()).text
    assert '"couponValue":15.0,' in text
    assert '"discountValue":15,' in text
    shop.series(seriesCode="HALF", discountType="ABS", discountValue="7.5")
    text = front.redeem(shop.coupon(series="HALF")).text
    assert '"couponValue":7.5,' in text
    assert '"discountValue":7.5,' in text
    assert '"isAbsolute":true' in text


def test_two_coupons_of_which_one_is_used(shop: Shop, front: Front) -> None:
    used, other = shop.coupon("H4TQ9ZKM"), shop.coupon("W8R2LPXA")
    first_id = front.redeem(used).json()["redemption"][0]["id"]
    response = front.redeem(used, other)
    assert response.status_code == 200
    assert response.json() == {
        "redemption": [item(used, first_id, Code.ALREADY_USED), item(other, first_id + 1, Code.OTHER_COUPON_FAILED)],
        "redemptionStatus": {"status": False, "message": "Coupon redemption failed", "code": 759},
        "customer": mira(),
        "warnings": [],
    }
    assert front.redeem(other).json()["redemptionStatus"]["code"] == 700


def test_unknown_and_missing_coupons(front: Front) -> None:
    body = front.redeem(redemptionRequestList=[{"code": " NOSUCH "}, {"id": 4}, {}, {"code": None, "id": None}]).json()
    assert body["redemption"][0] == item("NOSUCH", -1, Code.UNKNOWN_COUPON, is_found=False)
    assert body["redemption"][1] == item("", -1, Code.UNKNOWN_COUPON, is_found=False)
    assert body["redemption"][2] == item("", -1, Code.IDENTIFIER_MISSING, is_found=False)
    assert body["redemption"][3] == item("", -1, Code.IDENTIFIER_MISSING, is_found=False)
    assert body["redemptionStatus"] == {"status": False, "message": "All requests have failed due to errors", "code": 500}


@pytest.mark.parametrize("named_by", ["id", "digits", "code", "top level"])
def test_coupon_may_be_named_in_every_way(shop: Shop, front: Front, named_by: str) -> None:
    code = shop.coupon()
    coupon_id = front.ask("POST", "/v2/coupon/bulk/redeem?is_redeemable=true", json=bulk_body(code)).json()["response"][0][
        "entityId"
    ]
    ways: dict[str, dict[str, Any]] = {
        "id": {"redemptionRequestList": [{"id": coupon_id}]},
        "digits": {"redemptionRequestList": [{"id": str(coupon_id)}]},
        "code": {"redemptionRequestList": [{"code": f" {code} "}]},
        "top level": {"redemptionRequestList": [], "code": code},
    }
    body = front.redeem(**ways[named_by]).json()
    assert body["redemptionStatus"] == SUCCESS
    assert body["redemption"][0]["code"] == code


def bulk_body(*codes: str) -> dict[str, Any]:
    return {"redemptionRequestList": [{"code": code} for code in codes], "user": {"mobile": "9812300001"}, "billAmount": 1}


@pytest.mark.parametrize(
    ("parameter", "shown"),
    [
        ("", "ABC-DEF"),
        ("?coupon_code_case=UPPER", "ABC-DEF"),
        ("?coupon_code_case=lower", "abc-def"),
        ("?couponCodeCase=AS_IT_IS", "abc-DEF"),
        ("?coupon_code_case=other", "ABC-DEF"),
        ("?format=json", "ABC-DEF"),
    ],
)
def test_code_case(shop: Shop, front: Front, parameter: str, shown: str) -> None:
    shop.coupon("abc-DEF")
    assert front.redeem("ABC-def", path=f"/v2/coupon/redeem{parameter}").json()["redemption"][0]["code"] == shown


@pytest.mark.parametrize(
    ("user", "code", "message"),
    [
        ({}, 721, "Invalid customer"),
        (None, 721, "Invalid customer"),
        ({"mobile": "", "email": " ", "id": ""}, 721, "Invalid customer"),
        ({"mobile": "919812300001", "externalId": "CRM-78"}, 721, "Invalid customer"),
        ({"mobile": "919899999999"}, 701, CUSTOMER_NOT_FOUND),
        ({"id": 2**70}, 701, CUSTOMER_NOT_FOUND),
        ({"id": -1}, 701, CUSTOMER_NOT_FOUND),
        ({"mobile": "919812300003"}, 740, "Fraud customer"),
        ({"mobile": "919812300004"}, 742, "Coupon issue and redemption blocked for customer"),
    ],
)
def test_customer_refusals(shop: Shop, front: Front, user: Any, code: int, message: str) -> None:
    response = front.redeem(shop.coupon(), user=user)
    assert response.status_code == 400
    assert response.json() == refused(code, message)


@pytest.mark.parametrize(
    "user",
    [
        {"mobile": "9812300001"},
        {"mobile": "+91 98123-00001"},
        {"email": "MIRA@example.com"},
        {"externalId": "CRM-77", "mobile": ""},
        {"id": 90001},
        {"id": "90001", "email": "mira@example.com", "mobile": "919812300001"},
    ],
)
def test_customer_is_found(shop: Shop, front: Front, user: Any) -> None:
    assert front.redeem(shop.coupon(), user=user).json()["customer"]["id"] == 90001


def test_country_code_header(shop: Shop, front: Front) -> None:
    shop.customers({"firstName": "Ana", "mobile": "447911123456"})
    code = shop.coupon(mobile="447911123456")
    response = front.redeem(code, user={"mobile": "7911123456"}, headers={"X-CAP-CLIENT-COUNTRYCODE": "+44"})
    assert response.json()["redemptionStatus"] == SUCCESS


def test_needless_validation_code_is_a_warning(shop: Shop, front: Front) -> None:
    for name in ("validationCode", "validation_code"):
        body = front.redeem(redemptionRequestList=[{"code": shop.coupon(), name: "538AD8"}]).json()
        assert body["redemption"][0]["redemptionStatus"] == status(Code.PROCESSED, (Code.VALIDATION_NOT_REQUIRED,))
        assert body["redemption"][0]["warnings"] == [{"status": False, "code": 726, "message": "Validation not required"}]


def test_bill_outside_the_series_range_is_the_coupons_own_refusal(shop: Shop, front: Front) -> None:
    """733 is a 400 when the amount is none, and a 200 when a series does not take it."""
    shop.series(seriesCode="BIG", minBillAmount="2000")
    response = front.redeem(shop.coupon(series="BIG"))
    assert response.status_code == 200
    assert response.json()["redemption"][0]["redemptionStatus"]["code"] == 733


def test_explicit_key_replays(shop: Shop, front: Front) -> None:
    code = shop.coupon()
    first = front.redeem(code, headers={"Idempotency-Key": "a.b_c:1-2"})
    again = front.redeem(code, headers={"X-CAP-IDEMPOTENCY-KEY": "a.b_c:1-2"})
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()
    other = front.redeem(shop.coupon(), headers={"Idempotency-Key": "a.b_c:1-2"})
    assert (other.status_code, other.json()) == (400, refused(629, "Invalid Input"))


@pytest.mark.parametrize("path", ["/v2/coupon/redeem", "/v2/coupon/bulk/redeem"])
def test_refusal_of_a_whole_request_replays(shop: Shop, front: Front, path: str) -> None:
    """Prevents a repeat that looks new: the customer who was unknown the first time may be known by now."""
    headers = {"Idempotency-Key": path.replace("/", ".")}
    asked: dict[str, Any] = {"path": path, "user": {"mobile": "919800000000"}, "headers": headers}
    code = shop.coupon()
    first, again = front.redeem(code, **asked), front.redeem(code, **asked)
    assert (first.status_code, again.status_code) == (400, 400)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()


def test_redemption_time_of_any_length(shop: Shop, front: Front) -> None:
    assert front.redeem(shop.coupon(), redemptionTime="2031-03-10" + " " * 500_000).status_code == 200
    assert front.redeem(shop.coupon(), redemptionTime="2031-03-10 " + "1" * 500_000).json() == refused(629, "Invalid Input")


@pytest.mark.parametrize("key", ["with blank", "x" * 65, "naïve".encode(), "a,b"])
def test_unusable_key(shop: Shop, front: Front, key: Any) -> None:
    assert front.redeem(shop.coupon(), headers={"Idempotency-Key": key}).json() == refused(629, "Invalid Input")


def test_keys_of_two_tills_are_two_keys(shop: Shop, front: Front) -> None:
    shop.till("till2", store="blr02")
    code = shop.coupon()
    front.redeem(code, headers={"Idempotency-Key": "k"})
    body = {
        "redemptionRequestList": [{"code": code}],
        "user": {"mobile": "919812300001"},
        "transactionNumber": "",
        "billAmount": "1800",
    }
    again = front.ask(
        "POST",
        "/v2/coupon/redeem",
        json=body,
        auth=("till2", "202cb962ac59075b964b07152d234b70"),
        headers={"Idempotency-Key": "k"},
    )
    assert again.json()["redemptionStatus"]["code"] == 711


def test_derived_key_replays(shop: Shop, front: Front) -> None:
    code = shop.coupon()
    first = front.redeem(code, transactionNumber="INV-5510")
    again = front.redeem(code, transactionNumber="INV-5510", billAmount=1800.0)
    assert again.headers["idempotency-replayed"] == "derived"
    assert again.json() == first.json()
    assert front.redeem(code, transactionNumber="INV-5511").json()["redemptionStatus"]["code"] == 711
