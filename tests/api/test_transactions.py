"""`POST /v2/transactions`: bills, their count, and the redemptions they were paid with (supporting APIs 7)."""

from typing import Any

import pytest

from couponry.store import schema as t
from tests.api.shop import Front, Shop, code_of

PATH = "/v2/transactions"
MIRA = {"identifierType": "mobile", "identifierValue": "919812300001"}


def bill(**more: Any) -> dict[str, Any]:
    usual = {"source": "INSTORE", "type": "REGULAR", "billNumber": "B-1", "billAmount": 1800, "billingDate": "2031-03-10"}
    return {**MIRA, **usual, **more}


def redemption(front: Front, shop: Shop, mobile: str = "919812300001", **more: Any) -> int:
    answer = front.redeem(shop.coupon(mobile=mobile), user={"mobile": mobile}, **more).json()
    return int(answer["redemption"][0]["redemptionId"])


def rows(shop: Shop, table: Any) -> dict[int, Any]:
    with shop.database.reading() as tx:
        return {row.id: row for row in tx.rows(table.select().where(table.c.org_id == shop.org_id), {})}


@pytest.mark.parametrize("is_bare", [True, False])
def test_bill_is_linked_and_counted(front: Front, shop: Shop, is_bare: bool) -> None:
    without, with_number = redemption(front, shop), redemption(front, shop, transactionNumber="T-9")
    listed = [without, str(with_number)]
    response = front.ask("POST", PATH, json=bill(redemptions=listed if is_bare else {"couponRedemptions": listed}))
    assert response.status_code == 200, response.text
    bill_id = response.json()["createdId"]
    assert response.json() == {"createdId": bill_id, "warnings": []}
    kept = rows(shop, t.redemption)
    assert [(kept[one].bill_id, kept[one].transaction_number) for one in (without, with_number)] == [
        (bill_id, "B-1"),
        (bill_id, "T-9"),
    ]
    again = front.ask("POST", PATH, json=bill(billNumber="B-2", redemptions=listed)).json()["createdId"]
    assert again > bill_id
    assert rows(shop, t.redemption)[without].bill_id == bill_id, "the first bill stays"
    assert rows(shop, t.customer)[90001].transaction_count == 2


def test_count_reaches_the_rules(front: Front, shop: Shop) -> None:
    shop.series(seriesCode="NEW", targetUserDetails={"validMaxUserTransactionLimit": 0})
    first, second = shop.coupon(series="NEW"), shop.coupon(series="NEW")
    assert front.check(code=first).json()["redemptionStatus"]["status"]
    assert front.ask("POST", PATH, json={**MIRA}).status_code == 200
    assert front.check(code=second).json()["redemptionStatus"]["code"] == 710


def test_all_or_nothing(front: Front, shop: Shop) -> None:
    mine, others = redemption(front, shop), redemption(front, shop, "919812300002")
    for listed, code in (([mine, 99], 640), ([mine, "x"], 640), ([mine, 2**70], 640), ([mine, others], 642)):
        response = front.ask("POST", PATH, json=bill(redemptions=listed))
        assert (response.status_code, code_of(response.json())) == (400, code)
    assert rows(shop, t.redemption)[mine].bill_id is None
    assert rows(shop, t.customer)[90001].transaction_count == 0


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"identifierValue": "919899999999"}, 8015),
        ({"identifierValue": "mira"}, 8013),
        ({"identifierType": "passport"}, 8013),
        ({"identifierType": "id", "identifierValue": 2**70}, 8015),
        ({"source": "MOON"}, 8011),
        ({"type": "RETURN"}, 629),
        ({"billNumber": "x" * 256}, 629),
        ({"billNumber": "a\0"}, 629),
        ({"billAmount": "much"}, 733),
        ({"billAmount": -1}, 733),
        ({"billAmount": True}, 629),
        ({"billingDate": "yesterday"}, 629),
        ({"redemptions": "many"}, 629),
        ({"redemptions": list(range(101))}, 1060),
    ],
)
def test_bills_that_are_refused(front: Front, changes: dict[str, Any], code: int) -> None:
    response = front.ask("POST", PATH, json=bill(**changes))
    assert (response.status_code, code_of(response.json())) == (400, code), response.text


def test_somebody_who_is_gone(front: Front, shop: Shop) -> None:
    shop.change(t.customer, 90001, merged_into_id=90002)
    assert code_of(front.ask("POST", PATH, json=bill()).json()) == 8069


def test_a_count_that_can_grow_no_more_stays(front: Front, shop: Shop) -> None:
    shop.change(t.customer, 90001, transaction_count=2**31 - 1)
    assert front.ask("POST", PATH, json=bill()).status_code == 200
    assert rows(shop, t.customer)[90001].transaction_count == 2**31 - 1
