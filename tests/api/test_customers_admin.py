"""`/admin/v1/customers`: fraud, status labels, merging and forgetting."""

import asyncio
from typing import Any

import httpx
import pytest

from couponry.store import doctor
from couponry.store import schema as t
from couponry.store.bulk.audience import people_after
from tests.api.admins import Admin
from tests.api.holdings import series_id
from tests.api.shop import Front, Shop
from tests.api.test_customers import PATH, refused, register

MIRA, ARUN = 90001, 90002


@pytest.fixture
def admin(shop: Shop, front: Front) -> Admin:
    return Admin(shop, front)


def problem(response: httpx.Response) -> tuple[int, int | str]:
    assert response.headers["Content-Type"] == "application/problem+json"
    answer = response.json()
    assert answer["status"] == response.status_code
    return response.status_code, answer["code"]


def test_read(admin: Admin) -> None:
    assert admin.ask("GET", f"/customers/{MIRA}").json() == {
        "id": MIRA,
        "firstName": "Mira",
        "lastName": "Rao",
        "mobile": "919812300001",
        "email": "mira@example.com",
        "externalId": "CRM-77",
        "cardNumber": None,
        "cardExternalId": None,
        "isLoyalty": True,
        "fraudStatus": "NONE",
        "statusLabel": "ACTIVE",
        "statusReason": "",
        "transactionCount": 0,
        "registeredOn": "2031-03-10T18:20:00+05:30",
        "updatedOn": "2031-03-10T18:20:00+05:30",
        "mergedIntoId": None,
        "deletedOn": None,
        "fields": {},
        "extendedFields": {},
        "subscriptions": {"SMS": True, "EMAIL": True},
    }


def test_fraud_and_label_decide_about_redemption(admin: Admin, front: Front, shop: Shop) -> None:
    code = shop.coupon()
    for changes, told in (
        ({"fraudStatus": "confirmed"}, 740),
        ({"fraudStatus": "NOT_FRAUD", "statusLabel": "Suspended"}, 742),
        ({"statusLabel": "ACTIVE"}, 700),
    ):
        shown = admin.ask("PATCH", f"/customers/{MIRA}", json=changes).json()
        assert {name: shown[name].upper() for name in changes} == {name: value.upper() for name, value in changes.items()}
        assert front.redeem(code).json()["redemptionStatus"]["code"] == told
    front.ask("PUT", f"{PATH}/{MIRA}/status", json={"label": "SUSPENDED", "reason": "asked for it"})
    assert admin.ask("GET", f"/customers/{MIRA}").json()["statusReason"] == "asked for it"


@pytest.mark.parametrize(
    ("method", "path", "sent", "expected"),
    [
        ("PATCH", "90001", {"fraudStatus": "MAYBE"}, (400, 629)),
        ("PATCH", "90001", {"fraudStatus": 1}, (400, 629)),
        ("PATCH", "90001", {"statusLabel": "NOSUCH"}, (400, 629)),
        ("PATCH", "90001", {"statusLabel": "\0"}, (400, 629)),
        ("PATCH", "99999", {"statusLabel": "ACTIVE"}, (404, 8015)),
        ("PATCH", "mira", {}, (400, 400)),
        ("GET", "99999", None, (404, 8015)),
        ("GET", "99999999999999999999", None, (404, 8015)),
        ("GET", "mira", None, (400, 400)),
        ("PUT", "90001/subscriptions", {"SMS": "no"}, (400, 629)),
        ("PUT", "90001/subscriptions", {"PIGEON": False}, (400, 629)),
        ("PUT", "99999/subscriptions", {"SMS": False}, (404, 8015)),
        ("PUT", "mira/subscriptions", {}, (400, 400)),
        ("POST", "90001/merge", {}, (400, "invalid")),
        ("POST", "90001/merge", {"intoId": 90001}, (400, "invalid")),
        ("POST", "90001/merge", {"intoId": 99999}, (404, "unknown")),
        ("POST", "90001/merge", {"intoId": "mira"}, (404, "unknown")),
        ("POST", "90001/merge", {"intoId": 2**80}, (404, "unknown")),
        ("POST", "90001/merge", {"intoId": [1]}, (400, 629)),
        ("POST", "99999/merge", {"intoId": 90001}, (404, "unknown")),
        ("POST", "mira/merge", {"intoId": 90001}, (400, 400)),
        ("POST", "99999/delete", None, (404, 8015)),
        ("POST", "mira/delete", None, (400, 400)),
    ],
)
def test_what_is_refused(admin: Admin, method: str, path: str, sent: Any, expected: tuple[int, int | str]) -> None:
    assert problem(admin.ask(method, f"/customers/{path}", json=sent)) == expected


def test_whoever_wants_no_messages_is_not_told(admin: Admin, front: Front, shop: Shop) -> None:
    """J13: the coupon is issued, with warning 724; e-mail only where there is no mobile (events 5)."""
    terms = {"isMultipleVouchersPerUserAllowed": True}
    shop.series(seriesCode="MANY", **terms)
    shop.customers({"firstName": "Post", "email": "post@example.com"})

    def warnings(customer: dict[str, Any]) -> list[int]:
        answer = front.ask("POST", "/v2/coupon/issue", json={"seriesId": series_id(shop, "MANY"), "customer": customer})
        assert answer.status_code == 200, answer.text
        return [warning["code"] for warning in answer.json().get("warnings", [])]

    def subscribe(customer_id: int, **wanted: bool) -> dict[str, bool]:
        answer = admin.ask("PUT", f"/customers/{customer_id}/subscriptions", json=wanted)
        assert answer.status_code == 200, answer.text
        shown: dict[str, bool] = answer.json()["subscriptions"]
        return shown

    mira, post = {"id": MIRA}, {"email": "post@example.com"}
    assert warnings(mira) == warnings(post) == []
    assert subscribe(MIRA, EMAIL=False) == {"SMS": True, "EMAIL": False}
    assert warnings(mira) == []
    assert subscribe(MIRA, SMS=False) == {"SMS": False, "EMAIL": False}
    assert warnings(mira) == [724]
    assert subscribe(MIRA, EMAIL=True) == {"SMS": False, "EMAIL": True}
    assert warnings(mira) == [724]
    assert subscribe(MIRA, SMS=True) == {"SMS": True, "EMAIL": True}
    assert warnings(mira) == []
    assert subscribe(90005, EMAIL=False) == {"SMS": True, "EMAIL": False}
    assert warnings(post) == [724]
    with shop.database.reading() as tx:  # a bulk issue sends to the others
        people, _ = people_after(tx, shop.org_id, 0, 100, None)
    assert {person.customer_id: bool(person.is_reachable) for person in people} == {
        **dict.fromkeys(range(MIRA, 90005), True),
        90005: False,
    }


def test_only_for_admins(front: Front) -> None:
    assert problem(front.ask("POST", f"/admin/v1/customers/{MIRA}/merge", json={"intoId": ARUN})) == (403, 4000)


def test_merge(admin: Admin, front: Front, shop: Shop) -> None:
    used, unused = shop.coupon(), shop.coupon()
    assert front.redeem(used).json()["redemptionStatus"]["status"]
    assert front.ask("POST", "/v2/transactions", json={"identifierType": "id", "identifierValue": MIRA}).status_code == 200
    answer = admin.ask("POST", f"/customers/{MIRA}/merge", json={"intoId": str(ARUN)})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["id"], answer.json()["transactionCount"]) == (ARUN, 1)
    assert admin.ask("GET", f"/customers/{MIRA}").json()["mergedIntoId"] == ARUN
    assert front.redeem(unused).json()["redemptionStatus"]["code"] == 721
    assert refused(front.ask("GET", f"{PATH}/{MIRA}")) == 8069
    assert front.redeem(used, user={"id": ARUN}).json()["redemptionStatus"]["code"] == 711
    assert front.redeem(unused, user={"id": ARUN}).json()["redemptionStatus"]["status"]
    assert problem(admin.ask("POST", f"/customers/{MIRA}/merge", json={"intoId": 90003})) == (409, "gone")
    assert problem(admin.ask("POST", "/customers/90003/merge", json={"intoId": MIRA})) == (409, "gone")
    assert problem(admin.ask("PATCH", f"/customers/{MIRA}", json={"fraudStatus": "NONE"})) == (409, 8069)
    assert not doctor.check(shop.database).differences


def test_merge_while_the_victim_redeems(admin: Admin, front: Front, shop: Shop) -> None:
    """The way of a merge through the API: it gives way, and comes again."""
    terms = {"isMultipleUseAllowed": True, "sameUserMultipleRedeem": True, "anyUser": True}
    shop.series(seriesCode="BUSY", **terms)
    codes = [shop.coupon(series="BUSY") for _ in range(5)]

    async def both() -> tuple[httpx.Response, list[httpx.Response]]:
        def redeeming(number: int) -> Any:
            item = {"redemptionRequestList": [{"code": codes[number % 5]}], "user": {"id": MIRA}, "billAmount": 10}
            return front.asking("POST", "/v2/coupon/redeem", json={**item, "transactionNumber": f"B{number}"})

        before = [asyncio.create_task(redeeming(number)) for number in range(40)]
        merging = asyncio.create_task(
            front.asking("POST", f"/admin/v1/customers/{MIRA}/merge", json={"intoId": ARUN}, auth=None, headers=admin.headers)
        )
        after = [asyncio.create_task(redeeming(number)) for number in range(40, 80)]
        return await merging, list(await asyncio.gather(*before, *after))

    merged, answers = front.run(both())
    assert merged.status_code == 200, merged.text
    told = [answer.json()["redemptionStatus"]["code"] for answer in answers]
    assert set(told) <= {700, 721}
    with shop.database.reading() as tx:
        owners = [row.customer_id for row in tx.rows(t.redemption.select(), {})]
    assert owners == [ARUN] * told.count(700)
    assert not doctor.check(shop.database).differences


def test_forget(admin: Admin, front: Front, shop: Shop) -> None:
    code = shop.coupon()
    assert front.redeem(code).json()["redemptionStatus"]["status"]
    shown = admin.ask("POST", f"/customers/{MIRA}/delete").json()
    names = ("firstName", "lastName", "mobile", "email", "externalId", "deletedOn")
    assert [shown[name] for name in names] == ["", "", None, None, None, "2031-03-10T18:20:00+05:30"]
    assert refused(front.ask("GET", f"{PATH}/{MIRA}")) == 8015
    assert front.redeem(code).json()["redemptionStatus"]["code"] == 701
    assert front.redeem(code, user={"id": MIRA}).json()["redemptionStatus"]["code"] == 721
    assert register(front, ("mobile", "919812300001")) != MIRA, "the identifiers are free"
    assert admin.ask("POST", f"/customers/{MIRA}/delete").status_code == 200, "again is as once"
    assert not doctor.check(shop.database).differences


def test_forget_somebody_who_was_merged_away(admin: Admin, shop: Shop) -> None:
    """Prevents identifiers that outlive a deletion in the row of a merged customer."""
    admin.ask("POST", f"/customers/{MIRA}/merge", json={"intoId": ARUN})
    assert admin.ask("POST", f"/customers/{MIRA}/delete").json()["mobile"] is None
