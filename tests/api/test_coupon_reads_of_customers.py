"""`GET /v2/customers/coupons` and `/v2/customers/{customerId}/coupons` (v2-coupon 13-14), as the contract has them."""

from typing import Any, Final

import pytest

from couponry.core.limits import COUPONS_LISTED_MAX, REDEMPTIONS_LISTED_MAX
from couponry.store import schema as t
from tests.api.holdings import coupon_id, customer_id, give, reverse, series_id
from tests.api.shop import MIRA, NOW_MS, Front, Shop

ARUN: Final = {"mobile": "919812300002"}
HOUR_MS: Final = 3600 * 1000
DAY_MS: Final = 24 * HOUR_MS
STORE: Final = {"code": "blr01", "name": "blr01"}
AGAIN: Final = {"isMultipleUseAllowed": "true", "sameUserMultipleRedeem": "true"}


def page(front: Front, **query: Any) -> dict[str, Any]:
    response = front.ask("GET", "/v2/customers/coupons", params={**MIRA, **query})
    body: dict[str, Any] = response.json()
    assert response.status_code == 200, body
    assert (body["warnings"], body["errors"], body["success"]) == ([], [], True)
    entity: dict[str, Any] = body["entity"]
    return entity


def coupons(front: Front, **query: Any) -> list[dict[str, Any]]:
    (holder,) = page(front, **query)["customers"]
    listed: list[dict[str, Any]] = holder["coupons"]
    return listed


def codes(front: Front, **query: Any) -> list[str]:
    return [one["code"] for one in coupons(front, **query)]


def detailed(front: Front, whose: int | str, **query: Any) -> list[dict[str, Any]]:
    response = front.ask("GET", f"/v2/customers/{whose}/coupons", params=query)
    body: dict[str, Any] = response.json()
    assert response.status_code == 200, body
    assert (body["warnings"], body["errors"], body["success"]) == ([], [], True)
    listed: list[dict[str, Any]] = body["entity"]
    return listed


def redeem(front: Front, code: str, **more: Any) -> int:
    body = front.redeem(code, **more).json()
    assert body["redemptionStatus"]["code"] == 700, body
    return int(body["redemption"][0]["redemptionId"])


@pytest.fixture
def used(shop: Shop, front: Front) -> dict[str, Any]:
    """One coupon, redeemed, reversed and redeemed again; the ids of both."""
    shop.series(seriesCode="DINE", customPropertyMap={"standard_terms_and_conditions": "Dine-in only"})
    shop.coupon("H4TQ9ZKM", series="DINE", issuedOn="2031-03-01 15:30:00")
    give(shop, "H4TQ9ZKM")
    first = redeem(front, "H4TQ9ZKM", transactionNumber="INV-5400")
    shop.change(t.redemption, first, redeemed_ms=NOW_MS - DAY_MS)
    reverse(shop, first, NOW_MS - DAY_MS + HOUR_MS)
    return {"first": first, "second": redeem(front, "H4TQ9ZKM", transactionNumber="INV-5510")}


def redemptions(used: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    active = {
        "id": used["second"],
        "date": "2031-03-10T18:20:00+05:30",
        "transactionNumber": "INV-5510",
        "redeemedAt": STORE,
    }
    undone = {
        "id": used["first"],
        "date": "2031-03-09T18:20:00+05:30",
        "transactionNumber": "INV-5400",
        "redeemedAt": STORE,
        "isReversed": True,
        "reversedOn": "2031-03-09T19:20:00+05:30",
    }
    return [active], [undone]


def test_example(shop: Shop, front: Front, used: dict[str, Any]) -> None:
    active, undone = redemptions(used)
    assert page(front) == {
        "pagination": {"limit": "100", "offset": "0", "total": 1},
        "customers": [
            {
                "firstname": "Mira",
                "lastname": "Rao",
                "email": "mira@example.com",
                "mobile": "919812300001",
                "id": customer_id(shop, "919812300001"),
                "externalId": "CRM-77",
                "coupons": [
                    {
                        "code": "H4TQ9ZKM",
                        "seriesId": series_id(shop, "DINE"),
                        "description": "Monsoon 15",
                        "validTill": "2031-04-30T00:00:00+05:30",
                        "discountType": "PERC",
                        "discountValue": 15.0,
                        "discountUpto": 200.0,
                        "redemptionCount": 1,
                        "redemptionsLeft": 0,
                        "id": coupon_id(shop, "H4TQ9ZKM"),
                        "createdDate": "2031-03-01T15:30:00+05:30",
                        "transactionNumber": "0",
                        "issuedAt": STORE,
                        "customProperty": [{"name": "standard_terms_and_conditions", "value": "Dine-in only"}],
                        "redemptions": active,
                        "reversedRedemptions": undone,
                        "validTillDateTime": "2031-04-30T23:59:59+05:30",
                    }
                ],
            }
        ],
    }
    (one,) = coupons(front, includeReversedRedemptions="false")
    assert "reversedRedemptions" not in one
    assert isinstance(one["discountValue"], float)


def test_what_is_not_there_is_left_out(shop: Shop, front: Front) -> None:
    code = shop.coupon(mobile=ARUN["mobile"])
    (holder,) = page(front, **ARUN)["customers"]
    assert set(holder) == {"firstname", "lastname", "mobile", "id", "externalId", "coupons"}
    (one,) = holder["coupons"]
    assert one["code"] == code
    assert not {"issuedAt", "customProperty"} & one.keys()
    assert one["redemptions"] == one["reversedRedemptions"] == []


def test_detailed_example(shop: Shop, front: Front) -> None:
    entities = f'[{{"redemptionOrgEntityType":"STORE","orgEntityId":{shop.store_id}}}]'
    products = '[{"productType":"BRAND","productIds":[10,20]},{"productType":"SKU","productCodes":["A1"]}]'
    shop.series(seriesCode="DINE", redemptionOrgEntityDetails=entities, productInfo=products, genericCode="")
    shop.coupon("H4TQ9ZKM", series="DINE", issuedOn="2031-03-01 15:30:00")
    give(shop, "H4TQ9ZKM")
    mira = customer_id(shop, "919812300001")
    (one,) = detailed(front, mira)
    series = one.pop("series")
    assert one == {
        "id": coupon_id(shop, "H4TQ9ZKM"),
        "seriesId": series_id(shop, "DINE"),
        "code": "H4TQ9ZKM",
        "description": "Monsoon 15",
        "createdDate": "2031-03-01T15:30:00+05:30",
        "validTill": "2031-04-30T23:59:59+05:30",
        "isRedeemed": False,
        "issuedTo": mira,
        "issuedBy": shop.till_id,
        "orgId": shop.org_id,
        "refId": 0,
        "issuedAt": {
            "id": shop.store_id,
            "code": "blr01",
            "description": "",
            "name": "blr01",
            "type": "STORE",
            "adminType": "GENERAL",
            "isOrgUnit": False,
        },
        "status": constant("Coupon Resent", 700),
        "couponDiscountType": "PERC",
        "issuedOn": "2031-03-01T15:30:00+05:30",
        "activeFrom": "2031-03-01T15:30:00+05:30",
        "redemptionsLeft": 1,
        "couponStatus": constant("Success", 200),
        "redemptionInfo": [],
        "reversedRedemptionInfo": [],
        "discountType": False,
        "discountValue": 15,
        "discountValueAsDouble": 15.0,
        "discountUpto": 200,
        "trimmedCode": "H4TQ9ZKM",
        "redeemed": False,
        "seriesName": "Monsoon 15",
    }
    assert (type(one["discountValue"]), type(one["discountValueAsDouble"])) == (int, float)
    assert {name: series[name] for name in SERIES} == {
        **SERIES,
        "id": series_id(shop, "DINE"),
        "orgId": shop.org_id,
        "validRedemptionOrgEntityDetails": {"concepts": [], "zones": [], "stores": [shop.store_id], "tills": []},
    }
    assert series.keys() == SERIES.keys() | set(OTHER_SERIES_FIELDS.split())


SERIES: Final = {
    "id": 0,
    "orgId": 0,
    "description": "Monsoon 15",
    "brands": [10, 20],
    "products": ["A1"],
    "categories": [],
    "validRedemptionOrgEntityDetails": {},
    "entityLevelRedemptionConfigsValues": [],
    "validTilldateFormat": "2031-04-30",
    "redemptionValidFromFormat": "1970-01-01",
    "dvsExpiryDateFormat": "2031-03-10",
    "isUpdateProductData": False,
    "updateProductData": False,
    "redemptionRange": '{"dom":[-1],"dow":[-1],"hours":[-1]}',
}
# Section 11.1 from `id` on, without the block that section 14 excludes.
OTHER_SERIES_FIELDS: Final = """
    discountCode validTillDate validTillDateTime validDaysFromCreation expiryStrategyValue maxCreate maxRedeem isTransferrable
    anyUser sameUserMultipleRedeem isReferralExistingUsersAllowed isMultipleUseAllowed isValidationRequired
    isValidWithDiscountedItem createdBy numIssued numRedeemed createdOn lastUsed seriesCode smsTemplate isSMSDisabled info
    isMultipleVouchersPerUserAllowed doNotResendExistingVoucher mutualExclusiveSeriesIds storeIdsJson isDvsEnabled dvsExpiryDate
    priority shortSMSTemplate maxVouchersPerUser minDaysBetweenVouchers maxReferralsPerReferee discountUpto discountValue dvsItems
    minBillAmount maxBillAmount redeemAtStore campaignId tag maxRedemptionsInSeriesPerUser minDaysBetweenRedemption
    redemptionValidFrom sourceOrgId issueToLoyalty redeemStoreType offlineRedeemType isOldFlowEnabled isPreRedeemEventRequired
    termsAndConditions signalRedemptionEvent syncToClient showPinCode seriesType clientHandlingType expiryStrategyType discountOn
    discountType externalIssual
"""


def constant(message: str, code: int) -> dict[str, Any]:
    return {
        "statusCode": {"status": True, "message": message, "code": code},
        "warnings": [],
        "warningsAsStatusCode": [],
        "message": message,
        "code": code,
        "success": True,
    }


def test_detailed_of_a_used_coupon(shop: Shop, front: Front, used: dict[str, Any]) -> None:
    active, undone = redemptions(used)
    (one,) = detailed(front, customer_id(shop, "919812300001"), coupon_code_case="lower")
    assert (one["code"], one["trimmedCode"]) == ("h4tq9zkm", "h4tq9zkm")
    assert (one["isRedeemed"], one["redeemed"], one["redemptionsLeft"]) == (True, True, 0)
    assert (one["redemptionInfo"], one["reversedRedemptionInfo"]) == (active, undone)


def test_absolute_discount(shop: Shop, front: Front) -> None:
    shop.series(seriesCode="ABS", discountType="ABS", discountValue="12.5", discountUpto="0")
    shop.coupon(series="ABS")
    (one,) = detailed(front, customer_id(shop, "919812300001"))
    assert (one["discountType"], one["couponDiscountType"]) == (True, "ABS")
    assert (one["discountValue"], one["discountValueAsDouble"], one["discountUpto"]) == (12.5, 12.5, 0)


@pytest.mark.parametrize(
    ("terms", "active_from"),
    [
        ({}, "2031-03-09T10:00:00+05:30"),
        ({"redemptionValidFrom": "2031-03-01"}, "2031-03-09T10:00:00+05:30"),
        ({"redemptionValidFrom": "2031-03-20"}, "2031-03-20T00:00:00+05:30"),
        ({"redemptionValidAfterDays": "3"}, "2031-03-12T00:00:00+05:30"),
        ({"redemptionValidAfterDays": "3", "redemptionValidFrom": "2031-03-11"}, "2031-03-12T00:00:00+05:30"),
        ({"redemptionValidAfterDays": "36500"}, "2131-02-13T00:00:00+05:30"),
    ],
)
def test_active_from(shop: Shop, front: Front, terms: dict[str, str], active_from: str) -> None:
    shop.series(seriesCode="LATER", **terms)
    shop.coupon(series="LATER")
    (one,) = detailed(front, customer_id(shop, "919812300001"))
    assert one["activeFrom"] == active_from


def test_expiry_shown_and_exact(shop: Shop, front: Front) -> None:
    """V2 `validTill` is midnight of the date; redemption honours the instant, which the detailed list shows."""
    shop.coupon(validTillDateTime="2031-03-20T04:30:00Z")
    (one,) = coupons(front)
    assert (one["validTill"], one["validTillDateTime"]) == ("2031-03-20T00:00:00+05:30", "2031-03-20T10:00:00+05:30")
    (same,) = detailed(front, customer_id(shop, "919812300001"))
    assert same["validTill"] == "2031-03-20T10:00:00+05:30"


def test_utc_ends_in_z(shop: Shop) -> None:
    shop.change(t.org, shop.org_id, time_zone="UTC", version=9)
    shop.coupon()
    with shop.front() as front:
        assert coupons(front)[0]["createdDate"] == "2031-03-09T10:00:00Z"


STATUSES: Final = {
    "ACTIVE": "fresh used multi",
    "unexpired": "fresh used multi",
    "EXPIRED": "late late_used dead",
    "Redeemed": "used late_used multi",
    "UNREDEEMED": "fresh late dead",
    "ACTIVE_REDEEMED": "used multi",
    "ACTIVE_UNREDEEMED": "fresh",
    "EXPIRED_REDEEMED": "late_used",
    "EXPIRED_UNREDEEMED": "late dead",
    "REDEEMABLE": "fresh multi",
    "REDEEMABLE,EXPIRED_REDEEMED": "fresh multi late_used",
    " active , expired ": "fresh used multi late late_used dead",
    "": "fresh used multi late late_used dead",
}


@pytest.fixture
def all_kinds(shop: Shop, front: Front) -> None:
    """Mira's coupons of all kinds, named after what has become of them; and others' coupons, which are never told."""
    shop.series(seriesCode="AGAIN", **AGAIN)
    shop.series(seriesCode="OVER", validTillDate="2031-03-09")
    for code, series in (("fresh", "MON"), ("used", "MON"), ("late", "MON"), ("late_used", "MON"), ("multi", "AGAIN")):
        shop.coupon(code, series=series)
    shop.coupon("dead", series="OVER", issuedOn="2031-03-01 10:00:00")
    shop.coupon("others", mobile="919812300002")
    shop.coupon("pool", mobile="")
    shop.coupon("gone", state="REVOKED")
    for code in ("used", "late_used", "multi"):
        redeem(front, code)
    for code in ("late", "late_used"):
        shop.change(t.coupon, coupon_id(shop, code), expires_local="2031-03-10T18:19:59")


@pytest.mark.usefixtures("all_kinds")
def test_statuses(front: Front) -> None:
    for status, expected in STATUSES.items():
        entity = page(front, status=status, coupon_code_case="LOWER")
        (holder,) = entity["customers"]
        assert sorted(one["code"] for one in holder["coupons"]) == sorted(expected.split()), status
        assert entity["pagination"]["total"] == len(expected.split())


def test_last_second(shop: Shop, front: Front) -> None:
    """Alive while now <= expiry, to the end of that second."""
    code = shop.coupon(validTillDateTime="2031-03-10 18:20:00")
    assert codes(front, status="ACTIVE") == [code]
    shop.clock.ms += 1000
    assert codes(front, status="EXPIRED") == [code]


def test_coupons_follow_the_series_or_die_with_it(shop: Shop, front: Front) -> None:
    """A shortened series ends its coupons, those with an expiry of their own too (712 before 713)."""
    shop.series(seriesCode="DAYS", expiryStrategyType="DAYS", expiryStrategyValue="20")
    own, following = shop.coupon(series="DAYS"), shop.coupon()
    assert sorted(codes(front, status="ACTIVE")) == sorted([own, following])
    with shop.database.writing() as tx:
        tx.connection.exec_driver_sql("UPDATE series_version SET terms = replace(terms, '2031-04-30', '2031-03-09'), version = 2")
        tx.connection.exec_driver_sql("UPDATE series SET version = 2")
    assert sorted(codes(front, status="EXPIRED")) == sorted([own, following])
    shown = {one["code"]: one["validTillDateTime"] for one in coupons(front)}
    assert shown == {own: "2031-03-29T23:59:59+05:30", following: "2031-03-09T23:59:59+05:30"}


def test_redemptions_left(shop: Shop, front: Front) -> None:
    """The least of L1-L4 for the holder, -1 for none."""
    shop.series(seriesCode="ANY", anyUser="true", **AGAIN)
    shop.series(seriesCode="CODE", anyUser="true", redemptionPerCouponMaxLimit="3", **AGAIN)
    shop.series(seriesCode="ONCE", anyUser="true", isMultipleUseAllowed="true")
    shop.series(seriesCode="MINE", maxRedemptionsInSeriesPerUser="5", **AGAIN)
    of = {series: shop.coupon(series=series) for series in ("ANY", "CODE", "ONCE", "MINE")}
    sibling = shop.coupon(series="MINE")
    redeem(front, of["ANY"])
    redeem(front, of["CODE"])
    redeem(front, of["CODE"], user=ARUN)
    redeem(front, of["ONCE"], user=ARUN)
    redeem(front, of["MINE"])
    left = {one["code"]: (one["redemptionCount"], one["redemptionsLeft"]) for one in coupons(front)}
    assert left == {of["ANY"]: (1, -1), of["CODE"]: (2, 1), of["ONCE"]: (1, 1), of["MINE"]: (1, 4), sibling: (0, 4)}
    redeem(front, of["ONCE"])
    assert of["ONCE"] not in codes(front, status="REDEEMABLE")


def test_redemption_by_somebody_else_is_the_holders_to_see(shop: Shop, front: Front) -> None:
    shop.series(seriesCode="ANY", anyUser="true", **AGAIN)
    code = shop.coupon(series="ANY")
    mine, others = redeem(front, code), redeem(front, code, user=ARUN)
    (one,) = coupons(front)
    assert [done["id"] for done in one["redemptions"]] == [others, mine]
    assert coupons(front, **ARUN) == []


def test_shared_code_is_each_customers_own(shop: Shop, front: Front) -> None:
    shop.series(seriesCode="GEN", clientHandlingType="GENERIC", genericCode="WELCOME", anyUser="true")
    shop.coupon("WELCOME", series="GEN")
    redeem(front, "WELCOME", user=ARUN)
    (mine,), (his,) = coupons(front), coupons(front, **ARUN)
    assert mine["code"] == his["code"] == "WELCOME"
    assert mine["id"] != his["id"]
    assert (mine["redemptions"], len(his["redemptions"])) == ([], 1)


def test_pages(shop: Shop, front: Front) -> None:
    made = [shop.coupon(issuedOn=f"2031-03-0{day} 10:00:00") for day in (1, 2, 2, 3, 4)]
    newest = made[::-1]
    assert codes(front) == newest == codes(front, sort_order="desc")
    assert codes(front, sort_order="ASC") == made
    entity = page(front, limit="2", offset="1")
    assert entity["pagination"] == {"limit": "2", "offset": "1", "total": 5}
    assert [one["code"] for one in entity["customers"][0]["coupons"]] == newest[1:3]
    assert codes(front, limit=2, offset=4) == newest[4:]
    assert codes(front, limit="007", offset=5) == []
    assert page(front, offset="999999999")["pagination"] == {"limit": "100", "offset": "999999999", "total": 5}
    assert [one["code"] for one in detailed(front, customer_id(shop, "919812300001"))] == newest


def test_total_is_exact_beyond_the_page(shop: Shop, front: Front) -> None:
    for _ in range(7):
        shop.coupon()
    redeem(front, codes(front)[0])
    assert page(front, limit=3, status="UNREDEEMED")["pagination"]["total"] == 6


def test_only_the_latest_redemptions_of_a_public_code(shop: Shop, front: Front) -> None:
    shop.series(seriesCode="ANY", anyUser="true", **AGAIN)
    code = shop.coupon(series="ANY")
    last = [redeem(front, code) for _ in range(REDEMPTIONS_LISTED_MAX + 2)]
    (one,) = coupons(front)
    assert one["redemptionCount"] == len(last)
    assert [done["id"] for done in one["redemptions"]] == last[:1:-1]


@pytest.mark.parametrize(
    "identifier",
    [
        {"mobile": "9812300001"},
        {"mobile": "+91 98123 00001"},
        {"email": "MIRA@example.com"},
        {"externalId": "CRM-77"},
        {"external_id": "CRM-77"},
        {"email": "mira@example.com", "externalId": "CRM-77", "mobile": ""},
    ],
)
def test_identifiers(shop: Shop, front: Front, identifier: dict[str, str]) -> None:
    code = shop.coupon()
    assert codes(front, **{"mobile": "", **identifier}) == [code]
    assert codes(front, mobile="", id=customer_id(shop, "919812300001")) == [code]


def test_dialling_code_of_the_request(shop: Shop, front: Front) -> None:
    query = {"mobile": "9812300001"}
    headers = {"X-CAP-CLIENT-COUNTRYCODE": "44"}
    assert front.ask("GET", "/v2/customers/coupons", params=query, headers=headers).status_code == 400


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, 721),
        ({"mobile": " ", "email": ""}, 721),
        ({"mobile": "919812300001", "externalId": "CRM-78"}, 721),
        ({"mobile": "919812399999"}, 701),
        ({"id": "9" * 40}, 701),
        ({"id": "abc"}, 701),
        ({"email": "\0"}, 721),
        ({"email": "a\0b@example.com"}, 701),
        ({**MIRA, "status": "DREAMT"}, 629),
        ({**MIRA, "status": "ACTIVE,,EXPIRED"}, 629),
        ({**MIRA, "limit": "501"}, 629),
        ({**MIRA, "limit": "0"}, 629),
        ({**MIRA, "limit": "-1"}, 629),
        ({**MIRA, "limit": "ten"}, 629),
        ({**MIRA, "limit": "9" * 5000}, 629),
        ({**MIRA, "limit": "\N{ARABIC-INDIC DIGIT ONE}"}, 629),
        ({**MIRA, "offset": "-1"}, 629),
        ({**MIRA, "offset": "1e3"}, 629),
        ({**MIRA, "sort_order": "UP"}, 629),
        ({**MIRA, "includeReversedRedemptions": "maybe"}, 629),
    ],
)
def test_refused(front: Front, query: dict[str, str], code: int) -> None:
    response = front.ask("GET", "/v2/customers/coupons", params=query)
    body = response.json()
    assert (response.status_code, body["success"], body["warnings"], body["errors"][0]["code"]) == (400, False, [], code)
    assert set(body) == {"errors", "warnings", "success"}


@pytest.mark.parametrize(
    ("whose", "code"), [("abc", 400), ("-1", 400), ("1.0", 400), ("%00", 400), ("%D9%A1", 400), ("1", 701), ("9" * 99, 701)]
)
def test_detailed_refused(front: Front, whose: str, code: int) -> None:
    response = front.ask("GET", f"/v2/customers/{whose}/coupons")
    body = response.json()
    assert (response.status_code, body["success"], body["errors"][0]["code"]) == (400, False, code)


def test_merged_customer(shop: Shop, front: Front) -> None:
    mira, arun = customer_id(shop, "919812300001"), customer_id(shop, "919812300002")
    shop.change(t.customer, arun, merged_into_id=mira)
    assert front.ask("GET", f"/v2/customers/{arun}/coupons").json()["errors"][0]["code"] == 721


def test_unreadable_terms(shop: Shop, front: Front) -> None:
    shop.coupon()
    with shop.database.writing() as tx:
        tx.connection.exec_driver_sql("UPDATE series_version SET terms = '{}'")
    for path in ("/v2/customers/coupons", f"/v2/customers/{customer_id(shop, '919812300001')}/coupons"):
        response = front.ask("GET", path, params=MIRA)
        assert (response.status_code, response.json()["errors"][0]["code"], response.json()["success"]) == (500, 788, False)


def test_detailed_list_ends_somewhere(shop: Shop, front: Front) -> None:
    """More than can be told at once: the newest, and a warning."""
    shop.coupon("FIRST", issuedOn="2031-03-01 10:00:00")
    first = coupon_id(shop, "FIRST")
    columns = "org_id, series_id, customer_id, issued_ms, redeemed, uses, created_ms, holder_id, revision, issued_by_redemption"
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {COUPONS_LISTED_MAX})"
    with shop.database.writing() as tx:
        tx.connection.exec_driver_sql(
            f"INSERT INTO coupon (id, code, code_key, {columns}) {numbers} "
            f"SELECT {first} + i, 'X' || i, 'X' || i, {columns.replace('issued_ms', 'issued_ms + 1000')} "
            f"FROM coupon, n WHERE id = {first}"
        )
    mira = customer_id(shop, "919812300001")
    for path, query, key in (
        (f"/v2/customers/{mira}/coupons", {}, "entity"),
        ("/v2/coupon", {"issuedToIds": mira}, "data"),
    ):
        body = front.ask("GET", path, params=query).json()
        assert len(body[key]) == COUPONS_LISTED_MAX
        assert "FIRST" not in {one["code"] for one in body[key]}
        assert [warning["code"] for warning in body["warnings"]] == [1060]
    assert page(front, limit=1)["pagination"]["total"] == COUPONS_LISTED_MAX + 1


def test_issued_redeemed_reversed(shop: Shop, front: Front) -> None:
    """What the other endpoints did is what reads tell."""
    body = {
        "seriesId": series_id(shop, "MON"),
        "customer": MIRA,
        "metadata": {"sourceType": "CAMPAIGN", "sourceId": "7", "sourceActivity": "mail", "notes": "n", "reason": "r"},
    }
    issued = front.ask("POST", "/v2/coupon/issue", json=body).json()
    code = issued["code"]
    done = redeem(front, code, transactionNumber="INV-1")
    assert front.ask("POST", "/v2/coupon/reactivate", json={"redemptionIds": [done]}).json()["success"]
    (one,) = coupons(front, status="REDEEMABLE")
    assert (one["id"], one["issuedAt"], one["redemptionCount"], one["redemptions"]) == (issued["id"], STORE, 0, [])
    assert [(undone["id"], undone["isReversed"]) for undone in one["reversedRedemptions"]] == [(done, True)]
    (found,) = front.ask("GET", "/v2/coupon", params={"couponCodes": code, "includeIssualDetails": "true"}).json()["data"]
    assert found.pop("couponIssualDetails") == body["metadata"]
    assert found == {name: issued[name] for name in found}
