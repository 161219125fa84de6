"""Whatever stands in a query of a v1.1 read is judged, never a failure of the service (407, 730, 786-799)."""

from typing import Any, Final

import pytest

from tests.api.shop import Shop

VALUES: Final = ("\0", "a\0b", "9" * 30, "-1", "9999-12-31", "0001-01-01", "2031-02-30", "x" * 5000, ",,,", ",".join(["1"] * 101))
FILTERS: Final = {
    "coupon/get": ("code", "id", "issuedToIds"),
    "coupon/series": ("id", "expired"),
    "coupon/resend": ("code", "id", "external_id"),
    "customer/coupons": ("external_id", "id", "start_date", "end_date", "status", "series_id", "store_id", "limit", "offset"),
    "customer/redemptions": ("id", "start_date", "end_date", "coupons_start_id", "coupons_end_id", "merchant_store_id", "limit"),
    "customer/get": ("mobile", "email", "external_id", "id", "coupon_limit", "coupon_offset"),
    "organization/entities": ("type", "id", "parent_identifier_value", "start_id"),
}
USUAL: Final = {"mobile": "919812300001", "type": "TILL", "parent_identifier_type": "code"}


@pytest.mark.parametrize("path", FILTERS)
def test_query_is_judged(shop: Shop, path: str) -> None:
    with shop.front() as front:
        for name in FILTERS[path]:
            for value in VALUES:
                query = {**USUAL, name: value} if path != "customer/redemptions" else {"mobile": USUAL["mobile"], name: value}
                answer = front.ask("GET", f"/v1.1/{path}", params=query)
                status = answer.json()["response"]["status"]
                assert status["code"] in {200, 201, 400, 500, 629, 1060}, (name, value, answer.text)


@pytest.mark.parametrize("field", ["external_id", "firstname", "registered_on", "custom_fields", "source"])
def test_customer_is_judged(shop: Shop, field: str) -> None:
    values: tuple[Any, ...] = ("\0", "x" * 300, 10**30, 1.5, {"field": {"name": "a\0", "value": "b"}}, {"field": [1]}, [], True)
    with shop.front() as front:
        for method in ("add", "update"):
            for value in values:
                body = {"root": {"customer": {"mobile": "919812300001", field: value}}}
                answer = front.ask("POST", f"/v1.1/customer/{method}", json=body)
                assert answer.json()["response"]["status"]["code"] in {200, 400, 500}, (value, answer.text)
