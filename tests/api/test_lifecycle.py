"""Reactivate, revoke, change of expiries and update of redemptions over HTTP, and the admin's reversal (v2-coupon 7-10)."""

import json
from typing import Any, Final

import httpx
import pytest
from sqlalchemy import select

from couponry.core.status import Code
from couponry.store import schema as t
from tests.api.admins import Admin
from tests.api.holdings import coupon_id, customer_id, series_id
from tests.api.shop import MIRA, Front, Shop, code_of
from tests.api.test_issue import LOOKUP, error, rename, shape, survive
from tests.api.test_issue_golden import examples
from tests.api.test_redeem import mira

REACTIVATE: Final = "/v2/coupon/reactivate"
REVOKE: Final = "/v2/coupon/revoke"
EXPIRY: Final = "/v2/coupon/bulk/expiry"
REDEEM: Final = "/v2/coupon/redeem"
MON: Final = 5001
ARUN: Final = {"mobile": "919812300002"}
DONE: Final = {"warnings": [], "errors": [], "success": True}


def redeemed(shop: Shop, front: Front, code: str = "", **fields: Any) -> int:
    """The id of a redemption."""
    response = front.redeem(code or shop.coupon(), **fields).json()
    assert response["redemptionStatus"]["code"] == 700, response
    return int(response["redemption"][0]["redemptionId"])


def refused(code: Code) -> dict[str, Any]:
    return {"warnings": [], "errors": [error(code)], "success": False}


def reactivate(front: Front, *ids: Any, **fields: Any) -> httpx.Response:
    return front.ask("POST", REACTIVATE, json={"redemptionIds": list(ids), **fields})


def revoke(front: Front, query: str = "", **fields: Any) -> httpx.Response:
    return front.ask("POST", REVOKE + query, json={"couponSeriesId": MON, **fields})


def redate(front: Front, *pairs: tuple[str, Any], **fields: Any) -> httpx.Response:
    listed = [{"couponCode": code, "expiryDate": date} for code, date in pairs]
    return front.ask("PUT", EXPIRY, json={"couponSeriesId": MON, "couponCodes": listed, **fields})


def update(front: Front, *items: dict[str, Any], **fields: Any) -> httpx.Response:
    return front.ask("PUT", REDEEM, json={"redemptions": list(items), **fields})


class TestReactivate:
    def test_all_or_none(self, shop: Shop, front: Front) -> None:
        codes = [shop.coupon() for _ in range(2)]
        first, second = (redeemed(shop, front, code) for code in codes)
        response = reactivate(front, first, 999)
        assert (response.status_code, response.json()) == (200, refused(Code.INVALID_REDEMPTION_IDS))
        assert response.json() == examples()["reactivate refused"]
        response = reactivate(front, first, str(second), first)
        assert (response.status_code, response.json()) == (200, DONE)
        assert reactivate(front, first).json() == refused(Code.INVALID_REDEMPTION_IDS), "at most once"
        assert front.redeem(*codes).json()["redemptionStatus"]["code"] == 700, "every limit is freed"

    def test_revoked(self, shop: Shop, front: Front) -> None:
        shop.series(seriesCode="MANY", isMultipleUseAllowed=True, sameUserMultipleRedeem=True)
        code = shop.coupon(series="MANY")
        redemption_id = redeemed(shop, front, code)
        answer = revoke(front, couponSeriesId=series_id(shop, "MANY"), couponCodes=[code]).json()
        assert answer["entity"]["failedCount"] == 0, answer
        response = reactivate(front, redemption_id)
        assert (response.status_code, response.json()) == (200, refused(Code.REVOKED))

    def test_coupon_id_is_no_redemption_id(self, shop: Shop, front: Front) -> None:
        """Old clients pass the coupon id (corrections 1)."""
        coupon = front.redeem(shop.coupon()).json()["redemption"][0]["id"]
        assert reactivate(front, coupon).json() == refused(Code.INVALID_REDEMPTION_IDS)

    @pytest.mark.parametrize("reason", ["cancelled", "PAYMENT_FAILED", " Chargeback ", "", None])
    def test_reason(self, shop: Shop, front: Front, reason: str | None) -> None:
        assert reactivate(front, redeemed(shop, front), reason=reason).json() == DONE

    def test_reason_decides_by_policy(self, shop: Shop, front: Front) -> None:
        """Where the series says that a returned purchase stays consumed, the coupon does not come back (issue 3, part 4)."""
        shop.series(seriesCode="STRICT", reversalPolicy={"RETURNED": {"use": "consumed"}})
        code = shop.coupon(series="STRICT")
        assert reactivate(front, redeemed(shop, front, code), reason="returned").json() == DONE
        assert front.redeem(code).json()["redemptionStatus"]["code"] == 711
        code = shop.coupon(series="STRICT")
        assert reactivate(front, redeemed(shop, front, code), reason="cancelled").json() == DONE
        assert front.redeem(code).json()["redemptionStatus"]["code"] == 700


class TestRevoke:
    def test_codes(self, shop: Shop, front: Front) -> None:
        live, used, gone, pooled = shop.coupon(), shop.coupon(), shop.coupon(state="REVOKED"), shop.coupon(mobile="")
        redeemed(shop, front, used)
        response = revoke(front, couponCodes=[live, "nope-1", used, "no\0pe", gone, pooled, live.lower()])
        assert response.status_code == 200
        assert response.json() == {
            "entity": {
                "totalCount": 6,
                "failedCount": 4,
                "revokedCoupons": [
                    {"couponId": coupon_id(shop, live), "couponCode": live, "issuedToUserId": mira()["id"]},
                    {"couponId": coupon_id(shop, pooled), "couponCode": pooled, "issuedToUserId": -1},
                ],
                "failedToRevoke": [
                    {"errorCode": 682, "errorMessage": "Coupon not found ", "couponCodes": ["NOPE-1", "NO\0PE"]},
                    {"errorCode": 405, "errorMessage": "Coupon code redeemed", "couponCodes": [used]},
                    {"errorCode": 660, "errorMessage": "Coupon code has been revoked", "couponCodes": [gone]},
                ],
            },
            "warnings": [],
            "errors": [],
            "success": True,
        }
        assert front.redeem(live).json()["redemptionStatus"]["code"] == 660

    def test_customer(self, shop: Shop, front: Front) -> None:
        mine, used, his = shop.coupon(), shop.coupon(), shop.coupon(mobile="919812300002")
        redeemed(shop, front, used)
        entity = revoke(front, customer=MIRA).json()["entity"]
        assert [coupon["couponCode"] for coupon in entity["revokedCoupons"]] == [mine]
        assert (entity["totalCount"], entity["failedCount"]) == (1, 0)
        assert front.redeem(his, user=ARUN).json()["redemptionStatus"]["code"] == 700

    def test_customer_and_codes(self, shop: Shop, front: Front) -> None:
        mine, his = shop.coupon(), shop.coupon(mobile="919812300002")
        entity = revoke(front, "?couponCodeCase=LOWER", customer=MIRA, couponCodes=[mine, his]).json()["entity"]
        assert [coupon["couponCode"] for coupon in entity["revokedCoupons"]] == [mine.lower()]
        assert entity["failedToRevoke"] == [{"errorCode": 682, "errorMessage": "Coupon not found ", "couponCodes": [his.lower()]}]

    def test_one_code_needs_no_series(self, shop: Shop, front: Front) -> None:
        for series in (None, ""):
            entity = revoke(front, couponSeriesId=series, couponCodes=[shop.coupon()]).json()["entity"]
            assert entity["failedCount"] == 0
        assert (
            revoke(front, couponSeriesId=None, couponCodes=["NOSUCH"]).json()["entity"]["failedToRevoke"][0]["errorCode"] == 682
        )

    def test_customer_with_too_many(self, shop: Shop, front: Front) -> None:
        codes = [shop.coupon() for _ in range(101)]
        response = revoke(front, customer=MIRA)
        assert (response.status_code, response.json()) == (400, refused(Code.BATCH_LIMIT_EXCEEDED))
        assert front.redeem(codes[0]).json()["redemptionStatus"]["code"] == 700, "nothing is revoked"
        assert revoke(front, customer=MIRA).json()["entity"]["totalCount"] == 100

    def test_shared_code(self, shop: Shop, front: Front) -> None:
        shop.series(seriesCode="ALL", clientHandlingType="GENERIC", genericCode="HELLO")
        everybody = series_id(shop, "ALL")
        assert front.ask("POST", "/v2/coupon/issue", json={"seriesId": everybody, "customer": MIRA}).status_code == 200
        response = revoke(front, couponSeriesId=everybody, couponCodes=["HELLO"])
        assert (response.status_code, response.json()) == (200, refused(Code.SHARED_CODE_NEEDS_CUSTOMER))
        entity = revoke(front, couponSeriesId=everybody, customer=MIRA).json()["entity"]
        assert [coupon["couponCode"] for coupon in entity["revokedCoupons"]] == ["HELLO"]


class TestExpiry:
    @pytest.mark.parametrize(
        ("date", "shown"),
        [
            ("2031-04-15T10:00:00Z", "2031-04-15T15:30:00+05:30"),
            ("2031-04-15T10:00:00+05:30", "2031-04-15T10:00:00+05:30"),
            ("2031-04-15 10:00:00", "2031-04-15T10:00:00+05:30"),
            ("2031-04-15", "2031-04-15T23:59:59+05:30"),
            (1934020800000, "2031-04-15T17:30:00+05:30"),
            ("1934020800000", "2031-04-15T17:30:00+05:30"),
        ],
    )
    def test_forms_of_dates(self, shop: Shop, front: Front, date: Any, shown: str) -> None:
        code = shop.coupon()
        assert redate(front, (code, date)).json()["entity"]["failedCount"] == 0
        (found,) = front.ask("GET", "/v2/coupon", params={"couponCodes": code}).json()["data"]
        assert found["validTillDateTime"] == shown
        assert found["validTill"] == "2031-04-15T00:00:00+05:30"

    def test_partial(self, shop: Shop, front: Front) -> None:
        good, gone = shop.coupon(), shop.coupon(state="REVOKED")
        pairs = [(good, "2031-04-15"), (gone, "2031-04-15"), ("nosuch", "2031-04-15"), ("no\0such", "2031-04-15")]
        pairs += [(shop.coupon(), "2031-03-10 10:00:00"), (shop.coupon(), "2040-01-01T00:00:00Z"), (shop.coupon(), "9" * 18)]
        response = redate(front, *pairs, customer=MIRA)
        entity = response.json()["entity"]
        assert response.status_code == 200
        assert (entity["totalCount"], entity["failedCount"], entity["successCount"]) == (7, 6, 1)
        assert (entity["userId"], entity["couponSeriesId"]) == (mira()["id"], MON)
        told = {each["couponCode"]: (each["errorCode"], each["expiryDate"]) for each in entity["unprocessedCoupons"]}
        assert list(told.values()) == [
            (660, "2031-04-15T23:59:59+05:30"),
            (633, "2031-04-15T23:59:59+05:30"),
            (633, "2031-04-15T23:59:59+05:30"),
            (690, "2031-03-10T10:00:00+05:30"),
            (691, "2040-01-01T05:30:00+05:30"),
            (691, "9998-01-01T05:30:00+05:30"),
        ]

    def test_shape(self, shop: Shop, front: Front) -> None:
        body = redate(front, (shop.coupon(), "2031-04-15"), (shop.coupon(), "2040-01-01"), customer=MIRA).json()
        assert shape(body) == shape(examples()["expiry"])

    def test_last_date_of_a_code_counts(self, shop: Shop, front: Front) -> None:
        code = shop.coupon()
        entity = redate(front, (code, "2031-03-01"), (code.lower(), "2031-04-15"), couponSeriesId=str(MON)).json()["entity"]
        assert (entity["totalCount"], entity["failedCount"], entity["userId"]) == (1, 0, -1)

    def test_without_series(self, shop: Shop, front: Front) -> None:
        entity = redate(front, (shop.coupon(), "2031-04-15"), couponSeriesId=None).json()["entity"]
        assert (entity["failedCount"], entity["couponSeriesId"]) == (0, MON)

    def test_other_customers_coupon(self, shop: Shop, front: Front) -> None:
        entity = redate(front, (shop.coupon(), "2031-04-15"), customer=ARUN).json()["entity"]
        assert [each["errorCode"] for each in entity["unprocessedCoupons"]] == [633]

    def test_shared_code(self, shop: Shop, front: Front) -> None:
        shop.series(seriesCode="ALL", clientHandlingType="GENERIC", genericCode="HELLO")
        everybody = series_id(shop, "ALL")
        response = redate(front, ("HELLO", "2031-04-15"), couponSeriesId=everybody)
        assert (response.status_code, response.json()) == (200, refused(Code.EXPIRY_NEEDS_CUSTOMER))
        assert front.ask("POST", "/v2/coupon/issue", json={"seriesId": everybody, "customer": MIRA}).status_code == 200
        assert (
            redate(front, ("hello", "2031-04-15"), couponSeriesId=everybody, customer=MIRA).json()["entity"]["failedCount"] == 0
        )


class TestUpdate:
    def test_partial(self, shop: Shop, front: Front) -> None:
        redemption_id = redeemed(shop, front, transactionNumber="INV-5510")
        fields = {
            "billAmount": "1800.5",
            "transactionNumber": "INV-5510-A",
            "billId": "4411",
            "customFields": {"fulfilment": "done"},
        }
        items = ({"redemptionId": str(redemption_id), **fields}, {"redemptionId": 999999, "transactionNumber": "X", "billId": 1})
        response = update(front, *items, user=MIRA)
        body = response.json()
        expected = examples()["update"]
        assert response.status_code == 200
        assert shape({**body["entity"], "user": 0}) == shape({**expected["entity"], "user": 0})
        assert body["entity"]["user"] == mira()
        assert body["entity"]["redemptions"][1] == expected["entity"]["redemptions"][1]
        assert body["entity"]["redemptions"][0] == {
            **expected["entity"]["redemptions"][0],
            "redemptionId": redemption_id,
            "billAmount": 1800.5,
        }
        assert body["entity"]["status"] == expected["entity"]["status"]
        assert (body["entity"]["totalCount"], body["entity"]["failedCount"], body["success"]) == (2, 1, True)

    def test_only_what_is_sent_changes(self, shop: Shop, front: Front) -> None:
        redemption_id = redeemed(shop, front, transactionNumber="INV-1")
        assert update(front, {"redemptionId": redemption_id, "billId": 7, "customFields": {"a": "1", "b": 2}}).status_code == 200
        body = update(front, {"redemptionId": redemption_id, "billAmount": None, "customFields": {"b": True}}).json()
        assert "user" not in body["entity"]
        assert body["entity"]["status"] == {"status": True, "code": 761, "message": "Coupon redemption update successful"}
        assert body["entity"]["redemptions"] == [
            {
                "redemptionId": redemption_id,
                "billAmount": 1800.0,
                "transactionNumber": "INV-1",
                "billId": 7,
                "customFields": {"a": "1", "b": "true"},
                "redemptionStatus": {"status": True, "code": 761, "message": "Coupon redemption update successful"},
            }
        ]

    def test_same_redemption_twice(self, shop: Shop, front: Front) -> None:
        redemption_id = redeemed(shop, front)
        items = ({"redemptionId": redemption_id, "billAmount": 5}, {"redemptionId": redemption_id, "transactionNumber": "B"})
        assert update(front, *items).json()["entity"]["failedCount"] == 0
        (item,) = update(front, {"redemptionId": redemption_id}).json()["entity"]["redemptions"]
        assert (item["billAmount"], item["transactionNumber"]) == (5.0, "B")

    def test_all_fail(self, shop: Shop, front: Front) -> None:
        redemption_id = redeemed(shop, front)
        response = update(front, {"redemptionId": redemption_id}, {"redemptionId": 2**80}, {"redemptionId": "x"}, user=ARUN)
        body = response.json()
        assert (response.status_code, body["success"]) == (200, True)
        assert body["entity"]["status"] == error(Code.ALL_FAILED)
        assert {item["redemptionStatus"]["code"] for item in body["entity"]["redemptions"]} == {510}


BATCH: Final = Code.BATCH_LIMIT_EXCEEDED
SHAPES: Final[dict[tuple[str, str], list[tuple[dict[str, Any], Code, int]]]] = {
    ("POST", REACTIVATE): [
        ({}, Code.REDEMPTION_ID_MISSING, 400),
        ({"redemptionIds": None}, Code.REDEMPTION_ID_MISSING, 400),
        ({"redemptionIds": []}, Code.REDEMPTION_ID_MISSING, 400),
        ({"redemptionIds": [1, ""]}, Code.REDEMPTION_ID_MISSING, 400),
        ({"redemptionIds": [1] * 101}, BATCH, 400),
        ({"redemptionIds": 1}, Code.INVALID_INPUT, 400),
        ({"redemptionIds": [1.5]}, Code.INVALID_INPUT, 400),
        ({"redemptionIds": [1], "reason": "WEATHER"}, Code.INVALID_INPUT, 400),
        ({"redemptionIds": [1], "reason": 5}, Code.INVALID_INPUT, 400),
        ({"redemptionIds": ["x"]}, Code.INVALID_REDEMPTION_IDS, 200),
        ({"redemptionIds": [2**80]}, Code.INVALID_REDEMPTION_IDS, 200),
        ({"redemptionIds": [-1, 0]}, Code.INVALID_REDEMPTION_IDS, 200),
    ],
    ("POST", REVOKE): [
        ({}, Code.REVOKE_TARGET_MISSING, 400),
        ({"couponSeriesId": MON, "couponCodes": [], "customer": {"mobile": ""}}, Code.REVOKE_TARGET_MISSING, 400),
        ({"couponCodes": ["A", "B"]}, Code.INVALID_SERIES_ID, 200),
        ({"customer": MIRA}, Code.INVALID_SERIES_ID, 200),
        ({"couponSeriesId": 5999, "couponCodes": ["A"]}, Code.INVALID_SERIES_ID, 200),
        ({"couponSeriesId": "x", "couponCodes": ["A"]}, Code.INVALID_SERIES_ID, 200),
        ({"couponSeriesId": MON, "couponCodes": [f"A{n}" for n in range(51)]}, BATCH, 400),
        ({"couponSeriesId": MON, "couponCodes": [5]}, Code.INVALID_INPUT, 400),
        ({"couponSeriesId": MON, "couponCodes": "A"}, Code.INVALID_INPUT, 400),
        ({"couponSeriesId": MON, "couponCodes": ["A"], "customer": {}}, Code.INVALID_CUSTOMER, 400),
        ({"couponSeriesId": MON, "customer": {"mobile": "919899999999"}}, Code.CUSTOMER_NOT_FOUND, 400),
    ],
    ("PUT", EXPIRY): [
        ({}, Code.EXPIRY_SERIES_MISSING, 400),
        ({"couponCodes": [{"couponCode": "A", "expiryDate": "2031-04-15"}] * 2}, Code.EXPIRY_SERIES_MISSING, 400),
        ({"couponSeriesId": MON}, Code.EXPIRY_MISSING, 400),
        ({"couponSeriesId": MON, "couponCodes": []}, Code.EXPIRY_MISSING, 400),
        ({"couponSeriesId": MON, "couponCodes": [{"couponCode": "A"}]}, Code.EXPIRY_MISSING, 400),
        ({"couponSeriesId": MON, "couponCodes": [{"expiryDate": "2031-04-15"}]}, Code.EXPIRY_MISSING, 400),
        ({"couponSeriesId": MON, "couponCodes": [{"couponCode": "A", "expiryDate": "soon"}]}, Code.EXPIRY_MISSING, 400),
        ({"couponSeriesId": MON, "couponCodes": [{"couponCode": "A", "expiryDate": "2031-02-30"}]}, Code.EXPIRY_MISSING, 400),
        ({"couponSeriesId": MON, "couponCodes": [{"couponCode": "A", "expiryDate": 1.5}]}, Code.INVALID_INPUT, 400),
        ({"couponSeriesId": MON, "couponCodes": ["A"]}, Code.INVALID_INPUT, 400),
        ({"couponSeriesId": MON, "couponCodes": [{"couponCode": "A", "expiryDate": 1}] * 101}, BATCH, 400),
        ({"couponSeriesId": 5999, "couponCodes": [{"couponCode": "A", "expiryDate": 1}]}, Code.INVALID_SERIES_ID, 200),
        (
            {"couponSeriesId": MON, "customer": {"id": "9"}, "couponCodes": [{"couponCode": "A", "expiryDate": 1}]},
            Code.CUSTOMER_NOT_FOUND,
            400,
        ),
    ],
    ("PUT", REDEEM): [
        ({}, Code.REDEMPTION_ID_MISSING, 400),
        ({"redemptions": []}, Code.REDEMPTION_ID_MISSING, 400),
        ({"redemptions": [{"billAmount": 5}]}, Code.REDEMPTION_ID_MISSING, 400),
        ({"redemptions": [{"redemptionId": 1}] * 101}, BATCH, 400),
        ({"redemptions": [{"redemptionId": 1, "billAmount": "much"}]}, Code.INVALID_AMOUNT, 400),
        ({"redemptions": [{"redemptionId": 1, "billAmount": -5}]}, Code.INVALID_AMOUNT, 400),
        ({"redemptions": [{"redemptionId": 1, "billAmount": ""}]}, Code.INVALID_AMOUNT, 400),
        ({"redemptions": [{"redemptionId": 1, "billAmount": []}]}, Code.INVALID_INPUT, 400),
        ({"redemptions": [{"redemptionId": 1, "billId": "x"}]}, Code.INVALID_INPUT, 400),
        ({"redemptions": [{"redemptionId": 1, "billId": 2**63}]}, Code.INVALID_INPUT, 400),
        ({"redemptions": [{"redemptionId": 1, "transactionNumber": 5}]}, Code.INVALID_INPUT, 400),
        ({"redemptions": [{"redemptionId": 1, "transactionNumber": "\0"}]}, Code.INVALID_INPUT, 400),
        ({"redemptions": [{"redemptionId": 1, "customFields": {"a": []}}]}, Code.INVALID_INPUT, 400),
        ({"redemptions": [{"redemptionId": 1}], "user": {}}, Code.INVALID_CUSTOMER, 400),
        ({"redemptions": [{"redemptionId": 1}], "user": {"id": 5}}, Code.CUSTOMER_NOT_FOUND, 400),
    ],
}


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "status"), [(*asked, *case) for asked, cases in SHAPES.items() for case in cases]
)
def test_shapes(front: Front, method: str, path: str, body: dict[str, Any], code: Code, status: int) -> None:
    response = front.ask(method, path, json=body)
    assert (response.status_code, response.json()) == (status, refused(code))


@pytest.mark.parametrize(("method", "path"), SHAPES)
class TestAllEndpoints:
    def test_gate(self, front: Front, method: str, path: str) -> None:
        assert code_of(front.ask(method, path, content=b"{").json()) == 400
        assert code_of(front.ask(method, path, json={}, headers=LOOKUP).json()) == 1061
        assert front.ask(method, path, content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415

    def test_read_only(self, shop: Shop, front: Front, method: str, path: str) -> None:
        shop.change(t.store, shop.store_id, access_group_id=shop.access_group("READ"))
        assert front.ask(method, path, json={}).status_code == 403

    def test_hostile_bodies(self, front: Front, method: str, path: str) -> None:
        customer = {"mobile": "919812300001"}
        named: Any = [{"couponCode": "CODE1", "expiryDate": "2031-04-15"}] if path == EXPIRY else ["CODE1"]
        item = {
            "redemptionId": 880001,
            "billAmount": 18.5,
            "transactionNumber": "INV",
            "billId": 4411,
            "customFields": {"k": "v"},
        }
        good = {"redemptionIds": [880001], "reason": "RETURNED", "couponSeriesId": 5001, "customer": customer}
        body = json.dumps({**good, "couponCodes": named, "redemptions": [item], "user": customer}).encode()
        parts = (b"880001", b"5001", b"18.5", b"4411", b'"INV"', b'"k"', b'"v"', b'"919812300001"', b'"CODE1"', b'"2031-04-15"')
        survive(front, method, path, body, (*parts, b'"RETURNED"', b'{"k": "v"}', b'["CODE1"]'))


class TestAdmin:
    def test_reversal(self, shop: Shop, front: Front) -> None:
        admin, redemption_id = Admin(shop, front), redeemed(shop, front)
        response = admin.ask("POST", f"/redemptions/{redemption_id}/reverse", json={"reason": "chargeback"})
        assert (response.status_code, response.json()) == (200, {"redemptionId": redemption_id, "reason": "CHARGEBACK"})
        again = admin.ask("POST", f"/redemptions/{redemption_id}/reverse", json={})
        assert again.headers["content-type"] == "application/problem+json"
        assert (again.status_code, again.json()["code"]) == (404, 510)

    def test_reversal_needs_no_till(self, shop: Shop, front: Front) -> None:
        """The till of the redemption stands for an administrator, who has none."""
        redemption_id = redeemed(shop, front)
        admin = Admin(shop, front, till=None)
        assert admin.ask("POST", f"/redemptions/{redemption_id}/reverse", json={}).status_code == 200
        with shop.database.reading() as tx:
            (row,) = tx.rows(select(t.redemption.c.till_id, t.redemption.c.reversed_till_id), {})
        assert row == (shop.till_id, shop.till_id)

    @pytest.mark.parametrize(
        ("redemption_id", "body", "status", "code"),
        [
            ("x", {}, 400, 400),
            ("%20", {}, 400, 400),
            ("9" * 40, {}, 404, 510),
            ("1", {"reason": "WEATHER"}, 400, 629),
            ("1", {"reason": 5}, 400, 629),
        ],
    )
    def test_refused(self, shop: Shop, front: Front, redemption_id: str, body: Any, status: int, code: int) -> None:
        response = Admin(shop, front).ask("POST", f"/redemptions/{redemption_id}/reverse", json=body)
        assert (response.status_code, response.json()["code"]) == (status, code)

    def test_revoked(self, shop: Shop, front: Front) -> None:
        shop.series(seriesCode="MANY", isMultipleUseAllowed=True, sameUserMultipleRedeem=True)
        code = shop.coupon(series="MANY")
        redemption_id = redeemed(shop, front, code)
        revoke(front, couponSeriesId=series_id(shop, "MANY"), couponCodes=[code])
        response = Admin(shop, front).ask("POST", f"/redemptions/{redemption_id}/reverse", json={})
        assert (response.status_code, response.json()["code"]) == (409, 660)

    def test_till_may_not(self, front: Front) -> None:
        assert front.ask("POST", "/admin/v1/redemptions/1/reverse", json={}).status_code == 403


def test_service_failures(shop: Shop, front: Front) -> None:
    code = shop.coupon()
    redemption_id = redeemed(shop, front, shop.coupon())
    rename(shop, "coupon", "away")
    dates = {"couponSeriesId": MON, "couponCodes": [{"couponCode": code, "expiryDate": "2031-04-15"}]}
    for method, path, body in (
        ("POST", REACTIVATE, {"redemptionIds": [redemption_id]}),
        ("POST", REVOKE, {"couponCodes": [code]}),
        ("PUT", EXPIRY, dates),
    ):
        response = front.ask(method, path, json=body)
        assert (response.status_code, response.json()) == (500, refused(Code.UNKNOWN_ERROR))
    rename(shop, "away", "coupon")
    assert reactivate(front, redemption_id).json() == DONE


def test_merged_customer_is_nobody(shop: Shop, front: Front) -> None:
    shop.change(t.customer, customer_id(shop, "919812300002"), deleted_ms=1)
    assert revoke(front, customer=ARUN).json() == refused(Code.INVALID_CUSTOMER)
