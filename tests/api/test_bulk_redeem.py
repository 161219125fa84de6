"""`POST /v2/coupon/bulk/redeem` (v2-coupon 5)."""

from typing import Any

import pytest

from couponry.core.status import Code
from tests.api.shop import Front, Shop
from tests.api.test_redeem import item

BULK = "/v2/coupon/bulk/redeem"


def bulk_item(code: str, coupon_id: int, result: Code, redemption_id: str = "-1", *, is_found: bool = True) -> dict[str, Any]:
    is_success = result in {Code.PROCESSED, Code.REDEEMABLE}
    errors = [] if is_success else [{"status": False, "code": result.number, "message": result.message}]
    return {"entityId": coupon_id, "result": item(code, coupon_id, result, redemption_id, is_found=is_found), "errors": errors}


def test_success(shop: Shop, front: Front) -> None:
    code = shop.coupon("W8R2LPXA")
    response = front.redeem(code, path=f"{BULK}?source=INSTORE&accountId=a1")
    body = response.json()
    result = body["response"][0]["result"]
    assert response.status_code == 200
    assert int(result["redemptionId"]) > 0
    expected = bulk_item(code, result["id"], Code.PROCESSED, result["redemptionId"])
    assert body == {"response": [expected], "totalCount": 1, "failureCount": 0}
    assert front.redeem(code).json()["redemptionStatus"]["code"] == 711


@pytest.mark.parametrize("flag", ["is_redeemable=true", "isredeemable=True", "is_redeemable=1"])
def test_check_only(shop: Shop, front: Front, flag: str) -> None:
    code = shop.coupon()
    body = front.redeem(code, path=f"{BULK}?{flag}").json()
    expected = bulk_item(code, body["response"][0]["entityId"], Code.REDEEMABLE)
    assert body == {"response": [expected], "totalCount": 1, "failureCount": 0}
    assert front.redeem(code, path=f"{BULK}?is_redeemable=false").json()["failureCount"] == 0


def test_flag_that_is_none_redeems_nothing(shop: Shop, front: Front) -> None:
    """`is_redeemable=yes` must not be taken for false, which would redeem."""
    response = front.redeem(shop.coupon(), path=f"{BULK}?is_redeemable=yes")
    assert response.status_code == 400
    assert response.json() == {"errors": [{"status": False, "code": 629, "message": "Invalid Input"}], "warnings": []}


def test_failure_is_of_all(shop: Shop, front: Front) -> None:
    good, unknown = shop.coupon(), "NOSUCH"
    response = front.redeem(good, unknown, path=BULK)
    body = response.json()
    assert response.status_code == 200
    assert body == {
        "response": [
            bulk_item(good, body["response"][0]["entityId"], Code.OTHER_COUPON_FAILED),
            bulk_item(unknown, -1, Code.UNKNOWN_COUPON, is_found=False),
        ],
        "totalCount": 2,
        "failureCount": 2,
    }


@pytest.mark.parametrize(
    ("fields", "code"), [({"user": {}}, 721), ({"billAmount": "x"}, 733), ({"redemptionRequestList": []}, 629)]
)
def test_request_failure(shop: Shop, front: Front, fields: dict[str, Any], code: int) -> None:
    response = front.redeem(shop.coupon(), path=BULK, **fields)
    assert response.status_code == 400
    assert response.json().keys() == {"errors", "warnings"}
    assert response.json()["errors"][0]["code"] == code
