"""For which till a request is (README 2.3). Where a redemption was made decides: series may be bound to a till."""

from typing import Any

import pytest

from couponry.store import registry
from couponry.store import schema as t
from tests.api.shop import SECRET, TILL, Front, Shop, code_of
from tests.api.test_authentication import token

TYPE, CODE = "X-CAP-API-ATTRIBUTION-ENTITY-TYPE", "X-CAP-API-ATTRIBUTION-ENTITY-CODE"
LEGACY = "X-CAP-API-ATTRIBUTION-TILL-CODE"
LOOKUP_TYPE, LOOKUP = "X-CAP-API-ATTRIBUTION-LOOKUP-TYPE", "X-CAP-API-ATTRIBUTION-LOOKUP"
HERE, ELSEWHERE, NOBODY = 700, 735, 91021


@pytest.fixture
def bound(shop: Shop) -> str:
    """A coupon that redeems only at till2, in store blr02 of zone north."""
    place = shop.till("till2", store="blr02", zone="north")
    shop.till("till2b", store="blr02")
    shop.change(t.till, shop.till("closed", store="blr03").till_id, is_active=False)
    shop.change(t.store, place.store_id, name="Bengaluru 2", external_id="X310", external_id_1="Y1", external_id_2="Z2")
    shop.add(t.attribution_lookup, type="WECHAT", value="wx1", till_id=place.till_id)
    at_till = [{"redemptionOrgEntityType": "TILL", "orgEntityId": place.till_id}]
    shop.series(seriesCode="BOUND", redemptionOrgEntityDetails=at_till)
    return shop.coupon(series="BOUND")


def check(front: Front, code: str, headers: dict[str, str], *, as_client: bool = True) -> int:
    if as_client:
        headers = {"X-CAP-API-OAUTH-TOKEN": token(front), **headers}
    auth = None if as_client else (TILL, SECRET)
    query = {"code": code, "mobile": "919812300001"}
    response = front.ask("GET", "/v2/coupon/is_redeemable", params=query, headers=headers, auth=auth)
    answered = code_of(response.json())
    assert response.status_code == (200 if answered in {HERE, ELSEWHERE} else 400)
    return answered


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, ELSEWHERE),
        ({CODE: "till2"}, HERE),
        ({TYPE: "TILL", CODE: " till2 "}, HERE),
        ({TYPE: "ANYTHING", CODE: "till2"}, HERE),
        ({TYPE: "STORE_CODE", CODE: "blr02"}, HERE),
        ({TYPE: "STORE_NAME", CODE: "Bengaluru 2"}, HERE),
        ({TYPE: "STORE_EXTERNAL_ID", CODE: "X310"}, HERE),
        ({TYPE: "STORE_EXTERNAL_ID_1", CODE: "Y1"}, HERE),
        ({TYPE: "STORE_EXTERNAL_ID_2", CODE: "Z2"}, HERE),
        ({TYPE: "STORE_EXTERNAL_ID_2", CODE: "Y1"}, NOBODY),
        ({TYPE: "STORE_CODE", CODE: "till2"}, NOBODY),
        ({TYPE: "STORE_CODE", CODE: "blr03"}, NOBODY),
        ({TYPE: "TILL"}, ELSEWHERE),
        ({LEGACY: "till2"}, HERE),
        ({LEGACY: "till2", CODE: "till1"}, ELSEWHERE),
        ({LEGACY: "till2", TYPE: "STORE_CODE", CODE: "blr01"}, ELSEWHERE),
        ({CODE: "closed"}, NOBODY),
        ({CODE: "nosuch"}, NOBODY),
        ({CODE: "x" * 300}, NOBODY),
        ({LOOKUP_TYPE: "WECHAT", LOOKUP: "wx1"}, HERE),
        ({LOOKUP_TYPE: "WECHAT", LOOKUP: "WX1"}, NOBODY),
        ({LOOKUP_TYPE: "MOBILE_TRIGGER", LOOKUP: "wx1"}, NOBODY),
        ({LOOKUP_TYPE: "WECHAT", LOOKUP: "wx1", CODE: "till1"}, HERE),
        ({LOOKUP_TYPE: "WECHAT"}, ELSEWHERE),
        ({LOOKUP: "wx1"}, 1061),
        ({LOOKUP_TYPE: "FACEBOOK", LOOKUP: "wx1"}, 400),
    ],
)
def test_client(shop: Shop, front: Front, bound: str, headers: dict[str, str], code: int) -> None:
    shop.client()
    assert check(front, bound, headers) == code


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, ELSEWHERE),
        ({CODE: "till2"}, ELSEWHERE),
        ({LEGACY: "nosuch"}, ELSEWHERE),
        ({LOOKUP_TYPE: "WECHAT", LOOKUP: "wx1"}, HERE),
    ],
)
def test_till(front: Front, bound: str, headers: dict[str, str], code: int) -> None:
    """Entity headers are for OAuth; the look-up pair is for both."""
    assert check(front, bound, headers, as_client=False) == code


@pytest.mark.parametrize("headers", [{CODE: "nosuch"}, {LOOKUP_TYPE: "WECHAT", LOOKUP: "nosuch"}])
def test_fall_back_to_default_till(shop: Shop, front: Front, bound: str, headers: dict[str, str]) -> None:
    shop.client(falls_back_to_till=True, till="till2")
    assert check(front, bound, headers) == HERE


def test_client_without_a_till(shop: Shop, front: Front, bound: str) -> None:
    shop.client(till=None)
    assert check(front, bound, {}) == NOBODY
    assert check(front, bound, {CODE: "till2"}) == HERE


def test_client_whose_till_is_closed(shop: Shop, front: Front, bound: str) -> None:
    shop.client(till="closed")
    assert check(front, bound, {}) == NOBODY


def test_till_of_another_org_is_nobodys(shop: Shop, front: Front, bound: str) -> None:
    other = Shop(shop.database)
    with shop.database.writing() as tx:
        made = registry.create_org(tx, name="Other", time_zone="UTC", currency="EUR", country_code="49", now_ms=0)
    assert isinstance(made, int)
    other.org_id = made
    other.till("theirs", store="theirs")
    shop.client()
    assert check(front, bound, {CODE: "theirs"}) == NOBODY
    assert check(front, bound, {TYPE: "STORE_CODE", CODE: "theirs"}) == NOBODY


def test_zones_and_concepts_count_with_all_above_them(shop: Shop, front: Front) -> None:
    """A zone of zones, closed to a circle by mistake, is walked once."""
    with shop.database.writing() as tx:
        country = registry.create_zone(tx, shop.org_id, "country")
        region = registry.create_zone(tx, shop.org_id, "region", country)
    shop.change(t.zone, country, parent_id=region)
    shop.change(t.store, shop.store_id, zone_id=region)
    shop.series(seriesCode="ZONE", redemptionOrgEntityDetails=[{"redemptionOrgEntityType": "ZONE", "orgEntityId": country}])
    assert check(front, shop.coupon(series="ZONE"), {}, as_client=False) == HERE


def test_store_keeps_its_own_hours(shop: Shop, front: Front) -> None:
    """It is 18:20 in Kolkata and 12:50 in London, where this store is."""
    hours = '{"dom":[-1],"dow":[-1],"hours":[12]}'
    shop.series(seriesCode="NOON", redemptionRange=hours)
    code = shop.coupon(series="NOON")
    assert answered(front, code) == 739
    shop.change(t.store, shop.store_id, time_zone="Europe/London")
    shop.clock.ms += 31_000
    assert answered(front, code) == 700


def answered(front: Front, code: str) -> int:
    body: Any = front.check(code=code).json()
    return code_of(body)
