"""v1.1 issue beyond the contract's examples: keys, limits, dates, coupons sent again (v1.1-coupon 1; rules 4, 6)."""

from typing import Any, Final

import pytest
from sqlalchemy import func, select

from couponry.store import schema as t
from tests.api.holdings import series_id
from tests.api.shop import MIRA, Front, Shop
from tests.api.v1_1.till import ISSUE, codes_of, items_of, post

KEY: Final = {"Idempotency-Key": "key-1"}
ARUN: Final = {"external_id": "CRM-78"}


def of(shop: Shop, code: str, customer: Any = MIRA) -> dict[str, Any]:
    return {"series_id": str(series_id(shop, code)), "customer": customer}


def coupons(shop: Shop) -> int:
    with shop.database.reading() as tx:
        (row,) = tx.rows(select(func.count().label("all")).where(t.coupon.c.org_id == shop.org_id), {})
    found: int = row.all
    return found


@pytest.mark.parametrize("form", ["json", "xml"])
def test_explicit_key(shop: Shop, front: Front, form: str) -> None:
    sent = (of(shop, "MON"), of(shop, "MON", ARUN), of(shop, "MON"))
    answers = [post(front, *sent, path=f"{ISSUE}.json", form=form, headers=KEY) for _ in range(2)]
    assert codes_of(answers[0]) == [700, 700, 709]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["idempotency-replayed"] == "true"
    assert codes_of(post(front, *sent[1:], path=f"{ISSUE}.json", form=form, headers=KEY)) == [629]
    assert coupons(shop) == 2


def test_limits(shop: Shop, front: Front) -> None:
    shop.series(seriesCode="MANY", isMultipleVouchersPerUserAllowed=True)
    one = of(shop, "MANY")
    assert codes_of(post(front, *[one] * 100, path=ISSUE)) == [700] * 100
    response = post(front, *[one] * 101, path=ISSUE)
    assert (response.status_code, codes_of(response)) == (400, [1060])
    assert coupons(shop) == 100


def test_dates_and_series_info(shop: Shop, front: Front) -> None:
    """A coupon's own date, and its series'."""
    shop.series(seriesCode="DAYS", expiryStrategyType="DAYS", expiryStrategyValue=7)
    (one,) = items_of(post(front, of(shop, "DAYS"), path=f"{ISSUE}?coupon_code_case=lower"))
    assert (one["valid_till"], one["series_info"]["valid_till"]) == ("2031-03-17", "2031-04-30")
    assert one["code"] == one["code"].lower()
    assert "user_id" not in one["customer"]


def test_existing_coupon_sent_again(shop: Shop, front: Front) -> None:
    shop.series(seriesCode="AGAIN", doNotResendExistingVoucher=False)
    first, again = items_of(post(front, of(shop, "AGAIN"), of(shop, "AGAIN"), path=ISSUE))
    assert again["code"] == first["code"]
    assert again["item_status"] == {"success": True, "code": 700, "message": "Coupon Resent"}


def test_nobody_to_tell(shop: Shop, front: Front) -> None:
    shop.customers({"firstName": "Quiet", "externalId": "CRM-99"})
    (one,) = items_of(post(front, of(shop, "MON", {"external_id": "CRM-99"}), path=ISSUE))
    assert one["item_status"]["warnings"] == {
        "warning": [{"code": 724, "message": "Unable to communicate information to customer"}]
    }


@pytest.mark.parametrize(
    ("customer", "code"),
    [
        ({"mobile": "919899999999"}, 701),
        ({"mobile": "919812300001", "external_id": "CRM-78"}, 721),
        ({"mobile": "919812300003"}, 750),
        ({"mobile": "919812300004"}, 742),
        ({"email": "", "mobile": None}, 721),
        (None, 721),
        ("", 721),
    ],
)
def test_refused_customers(shop: Shop, front: Front, customer: Any, code: int) -> None:
    response = post(front, of(shop, "MON", customer), path=ISSUE)
    assert (response.status_code, codes_of(response)) == (500, [code])
    assert response.json()["response"]["status"]["success"] is False
