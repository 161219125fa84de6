"""`POST /admin/v1/series/{series_id}/what-if`: names, nesting and types, and what is refused."""

from typing import Any, Final

import pytest

from couponry.store import schema as t
from tests.api.admins import Admin
from tests.api.shop import NOW_MS, Front, Shop
from tests.ledger.rows import rows

AGAIN: Final = {"isMultipleUseAllowed": True, "sameUserMultipleRedeem": True}
MINUTE_MS: Final = 60_000


@pytest.fixture
def admin(shop: Shop, front: Front) -> Admin:
    return Admin(shop, front)


@pytest.fixture
def redeemed(shop: Shop, front: Front, admin: Admin) -> int:
    """A series with five redemptions of 100, 200, ... 500, a minute after each other."""
    shop.series(seriesCode="AGAIN", **AGAIN)
    code = shop.coupon(series="AGAIN")
    for number in range(1, 6):
        shop.clock.ms = NOW_MS + number * MINUTE_MS
        assert front.redeem(code, billAmount=number * 100).json()["redemptionStatus"]["code"] == 700
    series_id: int = admin.explain(code=code)["coupon"]["seriesId"]
    return series_id


def told(admin: Admin, series_id: object, body: Any) -> dict[str, Any]:
    answer = admin.ask("POST", f"/series/{series_id}/what-if", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_other_terms(shop: Shop, admin: Admin, redeemed: int) -> None:
    made = [row["id"] for row in rows(shop.database, t.redemption, shop.org_id)]
    changed = {"minBillAmount": 250, "maxRedemptionsInSeriesPerUser": 1}
    assert told(admin, redeemed, {"terms": changed, "days": 30}) == {
        "redemptions": 5,
        "refused": 4,
        "byCode": {"733": 2, "728": 2},
        "examples": {"733": made[:2], "728": made[3:]},
        "notReplayed": 0,
        "since": "2031-02-08T18:25:00+05:30",
        "until": "2031-03-10T18:25:00+05:30",
        "isCut": False,
    }
    assert rows(shop.database, t.series_version, shop.org_id)[-1]["version"] == 1


@pytest.mark.parametrize("body", [{}, {"terms": {}}, {"days": 366}, {"terms": {}, "days": 1}, {"terms": {"minBillAmount": 100}}])
def test_nothing_refused(admin: Admin, redeemed: int, body: Any) -> None:
    found = told(admin, redeemed, body)
    assert (found["redemptions"], found["refused"], found["byCode"], found["examples"]) == (5, 0, {}, {})


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"days": 0}, 400, 629),
        ({"days": 367}, 400, 629),
        ({"days": -1}, 400, 629),
        ({"days": 10**30}, 400, 629),
        ({"days": "30"}, 400, 629),
        ({"days": None}, 400, 629),
        ({"terms": None}, 400, 629),
        ({"terms": []}, 400, 629),
        ([], 400, 629),
        ({"terms": {"minBillAmount": -5}}, 400, 744),
        ({"terms": {"minBilAmount": 5}}, 400, 744),
        ({"terms": {"minBillAmount\0": 5}}, 400, 744),
        ({"terms": {"maxRedeem": 10**30}}, 400, 744),
        ({"terms": {"description": ""}}, 400, 403),
        ({"terms": {"seriesCode": ""}}, 400, 753),
        ({"terms": {"mutualExclusiveSeriesIds": "x"}}, 400, 756),
        ({"terms": {"redemptionRange": [[[]]]}}, 400, 744),
    ],
    ids=str,
)
def test_bad_suppositions(admin: Admin, redeemed: int, body: Any, status: int, code: int) -> None:
    answer = admin.ask("POST", f"/series/{redeemed}/what-if", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("series_id", "status", "code"),
    [("999", 404, 755), ("9" * 18, 404, 755), ("9" * 30, 400, 400), ("x", 400, 400), ("-1", 400, 400), ("%00", 400, 400)],
)
def test_unknown_series(admin: Admin, series_id: str, status: int, code: int) -> None:
    answer = admin.ask("POST", f"/series/{series_id}/what-if", json={"terms": {"minBillAmount": 1}, "days": 1})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("body", [b"{", b"", b"\xff", b"[" * 100_000, b'{"terms": {"minBillAmount": 1e999999}}'])
def test_what_is_no_json(admin: Admin, redeemed: int, body: bytes) -> None:
    answer = admin.ask("POST", f"/series/{redeemed}/what-if", content=body)
    assert answer.status_code == 400, answer.text


def test_unreadable_terms(shop: Shop, admin: Admin, redeemed: int) -> None:
    with shop.database.writing() as tx:
        tx.connection.exec_driver_sql(f"UPDATE series_version SET terms = '' WHERE series_id = {redeemed}")
    answer = admin.ask("POST", f"/series/{redeemed}/what-if", json={})
    assert (answer.status_code, answer.json()["code"]) == (500, 788)
