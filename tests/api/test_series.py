"""Series over HTTP: made, changed and read, with every refusal (v2-coupon 11, rules 2)."""

import threading
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from couponry.store import schema as t
from tests.api.admins import Admin
from tests.api.shop import BASIC, MIRA, NOW_MS, Front, Shop
from tests.api.test_series_object import SENT

PATH = "/v2/coupon/series"
LEAST: dict[str, Any] = {"description": "Ten off", "discountType": "ABS", "discountValue": 10, "clientHandlingType": "DISC_CODE"}


def create(front: Front, **fields: Any) -> dict[str, Any]:
    response = front.ask("POST", PATH, json={"CouponSeriesV2": {**LEAST, **fields}})
    assert response.status_code == 200, response.text
    made: dict[str, Any] = response.json()
    return made


def change(front: Front, series_id: int, **fields: Any) -> dict[str, Any]:
    response = front.ask("PUT", f"{PATH}/{series_id}", json={"CouponSeriesV2": fields})
    assert response.status_code == 200, response.text
    changed: dict[str, Any] = response.json()
    return changed


def refused(front: Front, method: str, path: str, **more: Any) -> int:
    """The code of a refusal, whose body has the one shape."""
    response = front.ask(method, path, **more)
    body = response.json()
    assert response.status_code == 400, body
    (error,) = body["errors"]
    assert body["warnings"] == []
    assert error.keys() == {"status", "code", "message"}
    assert error["status"] is False
    code: int = error["code"]
    return code


def read(front: Front, **query: Any) -> list[dict[str, Any]]:
    response = front.ask("GET", PATH, params=query)
    assert response.status_code == 200, response.text
    assert response.json().keys() == {"entity", "warnings"}
    found: list[dict[str, Any]] = response.json()["entity"]
    return found


def rows(shop: Shop, sql: str) -> list[Any]:
    with shop.database.reading() as tx:
        return tx.rows(text(sql), {})


@pytest.mark.parametrize("is_wrapped", [True, False])
def test_create(shop: Shop, front: Front, is_wrapped: bool) -> None:
    response = front.ask("POST", PATH, json={"CouponSeriesV2": SENT} if is_wrapped else SENT)
    made = response.json()
    assert response.status_code == 200
    assert list(made)[-1] == "warnings"
    assert made["warnings"] == []
    assert (made["orgId"], made["createdBy"], made["createdOn"]) == (shop.org_id, shop.till_id, "2031-03-10T18:20:00+05:30")
    assert (made["validTillDate"], made["validTillDateTime"]) == ("2031-05-01T00:00:00+05:30", "2031-05-01T23:59:59+05:30")
    assert made["seriesCode"].isalnum()
    (found,) = read(front, ids=made["id"])
    assert found == {**{name: value for name, value in made.items() if name != "warnings"}, "numTotal": -1}


def test_defaults_are_the_contracts(front: Front) -> None:
    made = create(front)
    example = {
        "maxCreate": -1,
        "doNotResendExistingVoucher": True,
        "discountCode": "NO_VALUE",
        "mutualExclusiveSeriesIds": "[-1]",
    }
    assert {name: made[name] for name in example} == example
    assert "redemptionPerCouponMaxLimit" not in made


def test_read_only_fields_are_ignored(front: Front) -> None:
    sent = {
        "id": 1,
        "orgId": 1,
        "numIssued": 9,
        "latestIssualTime": 9,
        "ownedBy": "LOYALTY",
        "ownerValidity": 9,
        "fixedExpiryDate": 9,
    }
    made = create(front, **sent, createdBy=1, createdOn="x", lastUsed="x")
    assert made["id"] > 5000
    assert (made["numIssued"], made["latestIssualTime"], made["ownedBy"], made["ownerValidity"]) == (0, 0, "NONE", 0)


@pytest.mark.parametrize("name", list(LEAST))
def test_mandatory_fields(front: Front, name: str) -> None:
    response = front.ask("POST", PATH, json={key: value for key, value in LEAST.items() if key != name})
    assert response.status_code == 400
    assert response.json()["errors"] == [{"status": False, "code": 403, "message": f"Field {name} is mandatory."}]


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        (751, {"seriesCode": "mon"}),
        (753, {"seriesCode": " "}),
        (754, {"clientHandlingType": "GENERIC"}),
        (756, {"mutualExclusiveSeriesIds": '["a"]'}),
        (756, {"mutualExclusiveSeriesIds": [10**30]}),
        (744, {"discountType": "HALF"}),
        (744, {"maxRedeem": 2**31}),
        (744, {"maxRedeem": 10**40}),
        (744, {"redeemAtStore": f"[{10**30}]"}),
        (744, {"redemptionOrgEntityDetails": [{"redemptionOrgEntityType": "TILL", "orgEntityId": 10**18}]}),
        (744, {"clientHandlingType": "GENERIC", "genericCode": "taken"}),
        (744, {"couponSeriesAudience": ["CRM-99"]}),
        (744, {"couponSeriesAudience": "CRM-77"}),
        (744, {"couponSeriesAudience": [True]}),
        (744, {"couponSeriesAudience": ["a\0b"]}),
        (744, {"reversalPolicy": {"BOREDOM": {"use": "returns"}}}),
        (744, {"reversalPolicy": {"RETURNED": {"use": "vanishes"}}}),
        (744, {"reversalPolicy": {"RETURNED": {"use": "returns", "freshDays": -1}}}),
        (744, {"reversalPolicy": {"RETURNED": {"use": "consumed", "freshDays": 1}}}),
        (744, {"expiryReminders": [{"daysBefore": 3, "channel": "PIGEON", "timeOfDay": "10:00"}]}),
        (744, {"issueLimitThreshold": -2}),
        (744, {"randomCodeLength": 4, "maxCreate": 1_000}),  # 36^4 codes: at most 167 at one in 10,000
    ],
)
def test_refusals(shop: Shop, front: Front, code: int, fields: dict[str, Any]) -> None:
    shop.coupon("TAKEN")
    response = front.ask("POST", PATH, json={**LEAST, **fields})
    assert refused(front, "POST", PATH, json={**LEAST, **fields}) == code
    assert ("x-couponry-detail" in response.headers) is (code == 744)
    assert rows(shop, "SELECT COUNT(*) FROM series") == [(1,)]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b""),
        (400, b"{"),
        (400, b"[]"),
        (400, b'{"CouponSeriesV2": 7}'),
        (400, b"\xff"),
        (400, b"[" * 100_000),
        (400, b"null"),
    ],
)
def test_bodies_that_are_no_object(front: Front, status: int, body: bytes) -> None:
    for method in ("POST", "PUT"):
        response = front.ask(method, PATH, content=body, headers={"Content-Type": "application/json"})
        assert (response.status_code, response.json()["errors"][0]["code"]) == (status, 400)


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        (744, b'"discountValue": 1e400'),
        (744, rb'"seriesCode": "\u0000"'),
        (744, b'"clientHandlingType": ["x"]'),
        (744, b'"campaignId": 9007199254740993'),
        (744, b'"couponSeriesAudience": "[[[["'),
        (400, rb'"tag": "\ud800"'),
        (200, rb'"tag": "\u0000", "customPropertyMap": {"\u0000": "\u0000"}'),
        (744, b'"validTillDate": "0001-01-01"'),
        (744, b'"dvsExpiryDate": "0001-01-01"'),
        (200, b'"validTillDateTime": "9999-12-31T23:59:59"'),
    ],
)
def test_hostile_values(front: Front, code: int, fields: bytes) -> None:
    body = msgspec.json.encode(LEAST)[:-1] + b"," + fields + b"}"
    path = f"{PATH}/{create(front)['id']}"
    for method, at in (("POST", PATH), ("PUT", path)):
        answer = front.ask(method, at, content=body)
        assert answer.status_code == min(code, 400), answer.text
        assert code == 200 or answer.json()["errors"][0]["code"] == code
    assert front.ask("GET", PATH).status_code == 200


def test_only_sent_fields_change(shop: Shop, front: Front) -> None:
    made = create(front, **{**SENT, "validTillDateTime": "2031-05-01T12:00:00+05:30", "maxVouchersPerUser": 3})
    shop.clock.ms += 1000
    changed = change(front, made["id"], description="Better", discountValue="17.5")
    expected = {**made, "description": "Better", "discountValue": 17.5}
    assert changed == expected
    assert change(front, made["id"], **made) == expected | {"description": made["description"], "discountValue": 15}
    moved = change(front, made["id"], validTillDate="2031-06-01")
    assert moved["validTillDateTime"] == "2031-06-01T23:59:59+05:30"
    assert rows(shop, f"SELECT version FROM series WHERE id = {made['id']}") == [(4,)]
    versions = rows(
        shop, f"SELECT version, created_by, terms FROM series_version WHERE series_id = {made['id']} ORDER BY version"
    )
    assert [(row.version, row.created_by) for row in versions] == [(number, shop.till_id) for number in (1, 2, 3, 4)]
    assert '"description":"Better"' in versions[1].terms


def test_update_that_changes_nothing_is_no_version(shop: Shop, front: Front) -> None:
    made = create(front, **SENT)
    assert change(front, made["id"], unknown=1, numIssued=7, description=made["description"]) == made
    assert rows(shop, f"SELECT version FROM series WHERE id = {made['id']}") == [(1,)]


def test_null_unsets_what_is_shown_only_when_set(front: Front) -> None:
    extended = {
        "reversalPolicy": {"RETURNED": {"use": "returns", "freshDays": 3}},
        "expiryReminders": [{"daysBefore": 3, "channel": "SMS", "timeOfDay": "10:00"}],
        "issueLimitThreshold": 0,
    }
    made = create(front, **SENT, **extended)
    assert {name: made[name] for name in extended} == extended
    names = ("customPropertyMap", "productInfo", "redemptionOrgEntityDetails", "targetUserDetails", *extended)
    changed = change(front, made["id"], description=None, **dict.fromkeys(names))
    assert changed == {name: value for name, value in made.items() if name not in names}
    assert read(front, orgEntityType="STORE", orgEntityIds=310) == []


def test_id_of_an_update(front: Front) -> None:
    made = create(front)
    path = f"{PATH}/{made['id']}"
    for body in ({"id": made["id"]}, {"id": str(made["id"])}, {"CouponSeriesV2": {"id": made["id"]}}):
        assert front.ask("PUT", PATH, json=body).json()["id"] == made["id"]
        assert front.ask("PUT", path, json=body).json()["id"] == made["id"]
    assert front.ask("PUT", path, json={"id": ""}).status_code == 200
    assert refused(front, "PUT", PATH, json={"description": "x"}) == 746
    assert refused(front, "PUT", PATH, json={"id": ""}) == 746
    assert refused(front, "PUT", PATH, json={"id": 4711}) == 755
    assert refused(front, "PUT", PATH, json={"id": 10**30}) == 755
    assert refused(front, "PUT", PATH, json={"id": {}}) == 755
    assert refused(front, "PUT", path, json={"id": made["id"] + 1}) == 755
    assert refused(front, "PUT", f"{PATH}/4711", json={}) == 755
    assert refused(front, "PUT", f"{PATH}/{'9' * 40}", json={}) == 755
    assert refused(front, "PUT", f"{PATH}/mon", json={}) == 400
    assert front.ask("DELETE", path).status_code == 405


def test_what_cannot_be_changed(shop: Shop, front: Front) -> None:
    made = create(front, seriesCode="OWN")
    path = f"{PATH}/{made['id']}"
    for code, fields in (
        (744, {"clientHandlingType": "DISC_CODE_PIN"}),
        (744, {"expiryStrategyType": "DAYS"}),
        (744, {"discountValue": -1}),
        (752, {"seriesCode": "Mon"}),
        (753, {"seriesCode": ""}),
        (756, {"mutualExclusiveSeriesIds": f"[{made['id']}]"}),
        (756, {"mutualExclusiveSeriesIds": "x"}),
        (403, {"description": " "}),
    ):
        assert refused(front, "PUT", path, json=fields) == code, fields
    assert change(front, made["id"], seriesCode="own")["seriesCode"] == "own"
    assert change(front, made["id"], seriesCode="OTHER")["seriesCode"] == "OTHER"
    assert create(front, seriesCode="OWN")["id"] > made["id"]
    assert rows(shop, f"SELECT code_key FROM series WHERE id = {made['id']}")[0].code_key == "OTHER"


def test_shared_code(shop: Shop, front: Front) -> None:
    terms = {"clientHandlingType": "GENERIC", "anyUser": True, "isMultipleUseAllowed": True, "sameUserMultipleRedeem": True}
    made = create(front, genericCode="BIG10", **terms)
    assert made["genericCode"] == "BIG10"
    other = create(front, genericCode="BIG20", **terms)
    assert refused(front, "PUT", f"{PATH}/{made['id']}", json={"genericCode": "big20"}) == 744
    assert refused(front, "PUT", f"{PATH}/{made['id']}", json={"genericCode": ""}) == 754
    assert change(front, made["id"], genericCode="SMALL")["genericCode"] == "SMALL"
    assert create(front, genericCode="BIG10", **terms)["id"] > other["id"]
    assert front.redeem("SMALL").json()["redemptionStatus"]["code"] == 700
    assert refused(front, "PUT", f"{PATH}/{made['id']}", json={"genericCode": "NEW"}) == 744
    assert change(front, made["id"], genericCode="SMALL", description="held")["description"] == "held"


def test_only_properties(front: Front) -> None:
    made = create(front, seriesCode="OWN")
    saved = {"status": True, "code": 745, "message": "Saved coupon series fields successfully"}
    properties = {"customPropertyMap": {"a": "b"}}
    for body in (properties, {**properties, "id": made["id"]}, {**properties, "seriesCode": "OWN"}):
        changed = change(front, made["id"], **body)
        assert (changed["warnings"], changed["customPropertyMap"]) == ([saved], {"a": "b"})
    assert change(front, made["id"], **properties, tag="x")["warnings"] == []


def test_remarks(front: Front) -> None:
    few = create(front, randomCodeLength=5)["warnings"]
    assert [(one["status"], one["code"]) for one in few] == [(True, 745)]
    assert "one guess in" in few[0]["message"]
    assert create(front, randomCodeLength=5, clientHandlingType="DISC_CODE_PIN")["warnings"] == []
    (tag,) = create(front, smsTemplate="Hi {{ name }}, {{voucher}}")["warnings"]
    assert tag["message"] == "Saved coupon series fields successfully; smsTemplate has an unknown tag {{name}}"


def test_audience(shop: Shop, front: Front) -> None:
    def audience(series_id: int) -> int:
        return int(rows(shop, f"SELECT COUNT(*) FROM series_audience WHERE series_id = {series_id}")[0][0])

    (mira,) = rows(shop, "SELECT id FROM customer WHERE external_id = 'CRM-77'")[0]
    made = create(front, seriesCode="FEW", couponSeriesAudience=["CRM-78", mira, str(mira)])
    assert audience(made["id"]) == 2
    assert front.redeem(shop.coupon(series="FEW")).json()["redemptionStatus"]["code"] == 700
    change(front, made["id"], couponSeriesAudience=["CRM-78"])
    assert audience(made["id"]) == 1
    assert front.redeem(shop.coupon(series="FEW")).json()["redemptionStatus"]["code"] == 710
    change(front, made["id"], description="still")
    assert front.redeem(shop.coupon(series="FEW")).json()["redemptionStatus"]["code"] == 710
    change(front, made["id"], couponSeriesAudience=[])
    assert front.redeem(shop.coupon(series="FEW")).json()["redemptionStatus"]["code"] == 700


def test_running_servers_see_the_change(shop: Shop, front: Front) -> None:
    made = create(front, seriesCode="LIVE")
    assert front.redeem(shop.coupon(series="LIVE")).json()["redemptionStatus"]["code"] == 700
    change(front, made["id"], minBillAmount=5000)
    assert front.redeem(shop.coupon(series="LIVE")).json()["redemptionStatus"]["code"] == 733


def test_cap_set_changed_and_lifted(shop: Shop, front: Front) -> None:
    made = create(front, seriesCode="CAP")

    def redeem() -> int:
        return int(front.redeem(shop.coupon(series="CAP")).json()["redemptionStatus"]["code"])

    assert [redeem() for _ in range(3)] == [700] * 3
    change(front, made["id"], maxRedeem=4)
    assert [redeem() for _ in range(2)] == [700, 714]
    change(front, made["id"], maxRedeem=2)
    assert redeem() == 714
    change(front, made["id"], maxRedeem=5)
    assert [redeem() for _ in range(2)] == [700, 714]
    change(front, made["id"], maxRedeem=-1)
    assert redeem() == 700
    assert change(front, made["id"], maxRedeem=6)["numRedeemed"] == 6
    assert redeem() == 714


def test_max_create_must_exceed_what_is_issued(shop: Shop, front: Front) -> None:
    made = create(front, seriesCode="ISSUED")
    for _ in range(3):
        shop.coupon(series="ISSUED")
    for most in (0, 1, 3):
        assert refused(front, "PUT", f"{PATH}/{made['id']}", json={"maxCreate": most}) == 744
    assert change(front, made["id"], maxCreate=4)["numTotal"] == 4
    shop.coupon(series="ISSUED")
    assert change(front, made["id"], maxCreate=4, description="as it was")["numIssued"] == 4
    assert change(front, made["id"], maxCreate=-1)["maxCreate"] == -1


def test_counts(shop: Shop, front: Front) -> None:
    made = create(front, seriesCode="POOL", clientHandlingType="DISC_CODE_PIN")
    for number in range(5):
        shop.coupon(f"P-{number}", series="POOL", mobile="" if number else MIRA["mobile"])
    assert front.redeem("P-0").json()["redemptionStatus"]["code"] == 700
    (found,) = read(front, ids=made["id"])
    names = ("numUploadedTotal", "numUploadedNonIssued", "numIssued", "numRedeemed", "numTotal")
    assert [found[name] for name in names] == [5, 4, 1, 1, -1]
    assert found["latestRedemptionTime"] == NOW_MS
    assert (found["latestIssualTime"], found["lastUsed"]) == (1_930_797_000_000, "2031-03-10T18:20:00+05:30")


def test_read_by_id(shop: Shop, front: Front) -> None:
    first, second = create(front)["id"], create(front)["id"]
    for query in (f"ids={first}&ids={second}", f"ids={first},{second},4711,x", f"ids={second},{first},{first}"):
        found = front.ask("GET", f"{PATH}?{query}").json()["entity"]
        assert [one["id"] for one in found] == [second, first]
    for ids in ("4711", "x", "9" * 40, "-1"):
        assert refused(front, "GET", PATH, params={"ids": ids}) == 755
    assert refused(front, "GET", f"{PATH}?ids=") == 746
    assert refused(front, "GET", PATH, params={"ids": ",".join(map(str, range(1, 502)))}) == 1060


def test_read_by_place(shop: Shop, front: Front) -> None:
    def tagged(*entities: tuple[str, int]) -> int:
        details = [{"redemptionOrgEntityType": kind, "orgEntityId": at} for kind, at in entities]
        return int(create(front, redemptionOrgEntityDetails=details)["id"])

    one = tagged(("STORE", 310), ("STORE", 311), ("ZONE", 7))
    two = tagged(("STORE", 311), ("TILL", 310))
    for kind in ("STORE", "store", "Stores"):
        assert [each["id"] for each in read(front, orgEntityType=kind, orgEntityIds=[311])] == [two, one]
        assert [each["id"] for each in read(front, orgEntityType=kind, orgEntityIds="310,311,9999")] == [two, one]
        assert [each["id"] for each in read(front, orgEntityType=kind, orgEntityIds=310)] == [one]
    assert [each["id"] for each in read(front, orgEntityType="zones", orgEntityIds=7)] == [one]
    assert [each["id"] for each in read(front, orgEntityType="STORE", orgEntityIds=[310, 311], ids=two)] == [two]
    for nothing in ("concepts", "zone"):
        assert read(front, orgEntityType=nothing, orgEntityIds=[310, "x", "9" * 30]) == []
    assert refused(front, "GET", PATH, params={"orgEntityType": "PLANET", "orgEntityIds": 3}) == 744
    assert refused(front, "GET", PATH, params={"orgEntityType": ["ZONE", "TILL"], "orgEntityIds": 3}) == 744
    change(front, one, redemptionOrgEntityDetails=[{"redemptionOrgEntityType": "STORE", "orgEntityId": 312}])
    assert [each["id"] for each in read(front, orgEntityType="STORE", orgEntityIds=[310, 311, 312])] == [two, one]
    assert read(front, orgEntityType="ZONE", orgEntityIds=7) == []


def test_read_all(front: Front) -> None:
    made = [create(front, maxCreate=limit)["id"] for limit in (-1, 5, -1, -1)]
    found = read(front)
    assert [one["id"] for one in found][:4] == made[::-1]
    assert [one["numTotal"] for one in found][:4] == [-1, -1, 5, -1]
    assert [one["id"] for one in read(front, limit=2, offset=1)] == made[2:0:-1]
    assert read(front, offset=50) == []
    for query in ({"limit": "0"}, {"limit": "x"}, {"offset": "-1"}, {"offset": "9999999"}):
        assert refused(front, "GET", PATH, params=query) == 400


def test_unreadable_terms(shop: Shop, front: Front) -> None:
    made = create(front)
    with shop.database.writing() as tx:
        tx.connection.execute(text(f"UPDATE series_version SET terms = '' WHERE series_id = {made['id']}"))
    by_id = front.ask("GET", PATH, params={"ids": made["id"]})
    for response in (by_id, front.ask("PUT", f"{PATH}/{made['id']}", json={"description": "x"})):
        assert (response.status_code, response.json()["errors"][0]["code"]) == (500, 788)


def break_terms(shop: Shop, series_id: int, **fields: Any) -> None:
    with shop.database.writing() as tx:
        where = "WHERE series_id = :id"
        (row,) = tx.rows(text(f"SELECT terms FROM series_version {where}"), {"id": series_id})
        broken = msgspec.json.encode({**msgspec.json.decode(row.terms), **fields}).decode()
        tx.connection.execute(text(f"UPDATE series_version SET terms = :terms {where}"), {"id": series_id, "terms": broken})


def test_one_broken_series_hides_no_other(shop: Shop, front: Front) -> None:
    good, bad = create(front)["id"], create(front)["id"]
    break_terms(shop, bad, redemptionRange="[" * 100_000)
    for query in ({}, {"ids": f"{good},{bad}"}):
        response = front.ask("GET", PATH, params=query)
        assert response.status_code == 200
        found = [one["id"] for one in response.json()["entity"]]
        assert good in found
        assert bad not in found
        (warning,) = response.json()["warnings"]
        assert (warning["status"], warning["code"], str(bad) in warning["message"]) == (False, 788, True)


@pytest.mark.parametrize(
    ("broken", "sent"),
    [
        ({"redemptionRange": "{"}, {"redemptionRange": '{"dow":[1]}'}),
        ({"redeemAtStore": "none", "discountType": "HALF"}, {"redeemAtStore": "[310]", "discountType": "PERC"}),
        ({"clientHandlingType": "OTHER"}, {"clientHandlingType": "DISC_CODE_PIN"}),
        ({"priority": "high"}, {"priority": 0}),
        ({"description": 5}, {"description": "Ten off"}),
    ],
)
def test_update_mends_what_it_sends(shop: Shop, front: Front, broken: dict[str, Any], sent: dict[str, Any]) -> None:
    """Prevents a series that only a hand in the database can repair; and one that is repaired by dropping what it said."""
    made = create(front, clientHandlingType="DISC_CODE_PIN", info="kept", maxRedeem=7)
    break_terms(shop, made["id"], **broken)
    assert front.ask("PUT", f"{PATH}/{made['id']}", json={"tag": "x"}).json()["errors"][0]["code"] == 788
    change(front, made["id"], **sent)
    (mended,) = read(front, ids=made["id"])
    changing = {"lastUsed", "numTotal", "warnings"}
    assert {name: value for name, value in mended.items() if name not in changing} == {
        name: value for name, value in {**made, **sent}.items() if name not in changing
    }


@pytest.mark.parametrize("name", ["zone", "maxRedeem", "redemptionOrgEntityDetails"])
def test_what_stands_in_rows_of_its_own_is_not_mended(shop: Shop, front: Front, name: str) -> None:
    made = create(front)
    break_terms(shop, made["id"], **{name: "x"})
    response = front.ask("PUT", f"{PATH}/{made['id']}", json={**LEAST, name: [] if name.startswith("red") else 5})
    assert response.json()["errors"][0]["code"] == 788


def test_access(shop: Shop, front: Front) -> None:
    """Series are configuration; reading them is not changing them, and another org's are nobody's."""
    made = create(front)
    place = shop.till("reader", store="reading room")
    shop.change(t.store, place.store_id, access_group_id=shop.access_group("WRITE", "READ"))
    as_reader = ("reader", BASIC[1])
    assert front.ask("GET", PATH, auth=as_reader).status_code == 200
    assert front.ask("POST", PATH, json=LEAST, auth=as_reader).json()["errors"][0]["code"] == 4000
    stranger = Shop(shop.database)
    stranger.org_id = _other_org(shop)
    stranger.till("stranger", store="elsewhere")
    theirs = ("stranger", BASIC[1])
    assert front.ask("GET", PATH, auth=theirs).json() == {"entity": [], "warnings": []}
    assert refused(front, "GET", PATH, params={"ids": made["id"]}, auth=theirs) == 755
    assert refused(front, "PUT", f"{PATH}/{made['id']}", json={"description": "x"}, auth=theirs) == 755


def _other_org(shop: Shop) -> int:
    from couponry.store import registry  # noqa: PLC0415 - for this alone

    with shop.database.writing() as tx:
        made = registry.create_org(tx, name="Other", time_zone="UTC", currency="EUR", country_code="49", now_ms=NOW_MS)
    assert isinstance(made, int)
    return made


def test_two_updates_at_once(shop: Shop, front: Front) -> None:
    """Prevents a lost update: each changes another field, and all of them are there at the end."""
    made = create(front)
    names = ("description", "info", "tag", "discountCode", "termsAndConditions", "dvsItems", "purpose", "metadata")
    barrier = threading.Barrier(len(names))

    def work(name: str) -> None:
        barrier.wait()
        for turn in range(4):
            change(front, made["id"], **{name: f"{name} {turn}"})

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (found,) = read(front, ids=made["id"])
    assert {name: found[name] for name in names} == {name: f"{name} 3" for name in names}
    assert rows(shop, f"SELECT version FROM series WHERE id = {made['id']}") == [(1 + 4 * len(names),)]


def test_same_codes_at_once(shop: Shop, front: Front) -> None:
    """One of them makes the series, the others hear that it is there."""
    told: list[int] = []

    def work() -> None:
        response = front.ask("POST", PATH, json={**LEAST, "seriesCode": "RACE"})
        told.append(200 if response.status_code == 200 else response.json()["errors"][0]["code"])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == [200] + [751] * 7


def test_types_on_the_wire(front: Front) -> None:
    """JSON texts stay text, numbers stay numbers."""
    made = create(front, **SENT)
    assert isinstance(msgspec.json.decode(made["redemptionRange"])["dow"], list)
    assert [type(made[name]) for name in ("discountValue", "id", "fixedExpiryDate")] == [int, int, int]


@pytest.mark.parametrize(
    "name", ["redemptionRange", "mutualExclusiveSeriesIds", "redeemAtStore", "productInfo", "customPropertyMap"]
)
def test_nested_without_end(shop: Shop, front: Front, name: str) -> None:
    """Prevents a 500 where a parser gives up."""
    series_id, admin = create(front)["id"], Admin(shop, front)
    for depth in (50_000, 200_000):
        sent = {name: "[" * depth}
        for method, path in (("POST", PATH), ("PUT", f"{PATH}/{series_id}")):
            assert refused(front, method, path, json={**LEAST, **sent}) in {744, 756}
        supposed = admin.ask("POST", f"/series/{series_id}/what-if", json={"terms": sent})
        assert (supposed.status_code, supposed.json()["code"] in {744, 756}) == (400, True)
