"""`/v2/customers`: registering, reading and changing customers (supporting APIs 2)."""

import asyncio
from typing import Any

import httpx
import pytest

from couponry.store import schema as t
from tests.api.shop import NOW_MS, Front, Shop, code_of

PATH = "/v2/customers"
SECOND_MS = 1000


def body(*identifiers: tuple[str, Any], **profile: Any) -> dict[str, Any]:
    """The contract's own registration, with these identifiers."""
    listed = [{"type": kind, "value": value} for kind, value in identifiers]
    one = {"firstName": "Mira", "lastName": "Rao", "identifiers": listed, "commChannels": [], "source": "INSTORE", "fields": {}}
    return {"loyaltyInfo": {"loyaltyType": "loyalty"}, "profiles": [{**one, **profile}], "extendedFields": {}}


def register(front: Front, *identifiers: tuple[str, Any], **profile: Any) -> int:
    response = front.ask("POST", PATH, json=body(*identifiers, **profile))
    assert response.status_code == 200, response.text
    created: int = response.json()["createdId"]
    return created


def refused(response: httpx.Response) -> int:
    assert response.status_code == 400, response.text
    answer = response.json()
    assert answer.keys() == {"errors", "warnings"}
    assert answer["errors"][0].keys() == {"status", "code", "message"}
    return code_of(answer)


def test_register_and_read_as_the_contract_prints_it(front: Front) -> None:
    response = front.ask("POST", PATH, json=body(("mobile", "919812300101")))
    created = response.json().pop("createdId")
    assert response.json() == {"createdId": created, "warnings": [], "sideEffects": []}
    listed = [{"type": "mobile", "value": "919812300101"}]
    till = {"code": "till1", "description": "", "name": "till1", "type": "TILL"}
    now = "2031-03-10T18:20:00+05:30"
    profile = {
        "firstName": "Mira",
        "lastName": "Rao",
        "fields": {},
        "identifiers": listed,
        "commChannels": [],
        "source": "INSTORE",
        "attribution": {"createDate": now, "createdBy": till, "modifiedBy": {}, "modifiedDate": now},
        "userId": created,
        "accountId": "",
        "conflictingProfileList": [],
        "autoUpdateTime": now,
        "identifiersAll": listed,
    }
    expected = {"id": created, "profiles": [profile], "loyaltyInfo": {"loyaltyType": "loyalty"}, "extendedFields": {}}
    query = {"source": "INSTORE", "identifierName": "mobile", "identifierValue": "919812300101"}
    for path in (f"{PATH}/{created}", f"{PATH}/lookup/customerDetails"):
        assert front.ask("GET", path, params=query).json() == {**expected, "warnings": []}
    assert front.ask("GET", f"{PATH}/lookup", params=query).json() == {"entity": created, "warnings": []}


def test_everything_that_can_be_registered_comes_back(front: Front) -> None:
    identifiers = (
        *(("mobile", "98123 00101"), ("email", "New@Example.com"), ("externalId", "CRM-101")),
        *(("cardnumber", 40004711), ("cardExternalId", "X-1")),
    )
    sent = body(*identifiers, fields={"city": "Goa", "age": 41, "pet": None})
    sent |= {"loyaltyInfo": {"loyaltyType": "non_loyalty"}, "extendedFields": {"nth": 1.5}, "registeredOn": "2030-02-01 08:00:00"}
    created = front.ask("POST", PATH, json=sent).json()["createdId"]
    read = front.ask("GET", f"{PATH}/{created}").json()
    (profile,) = read["profiles"]
    assert profile["identifiers"] == [
        {"type": "email", "value": "new@example.com"},
        {"type": "externalId", "value": "CRM-101"},
        {"type": "mobile", "value": "919812300101"},
        {"type": "cardnumber", "value": "40004711"},
        {"type": "cardExternalId", "value": "X-1"},
    ]
    assert (profile["fields"], read["extendedFields"]) == ({"city": "Goa", "age": "41"}, {"nth": "1.5"})
    assert profile["attribution"]["createDate"] == "2030-02-01T08:00:00+05:30"
    assert read["loyaltyInfo"] == {"loyaltyType": "non_loyalty"}
    for name, value in (*identifiers, ("id", created)):
        found = front.ask("GET", f"{PATH}/lookup", params={"identifierName": name, "identifierValue": value})
        assert found.json() == {"entity": created, "warnings": []}


def test_a_registered_customer_can_redeem(front: Front, shop: Shop) -> None:
    register(front, ("mobile", "919812300101"))
    code = shop.coupon(mobile="919812300101")
    answer = front.redeem(code, user={"mobile": "+91 98123 00101"}).json()
    assert answer["redemptionStatus"]["status"]
    assert answer["customer"]["profiles"][0]["firstName"] == "Mira"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (body(), 1007),
        ({}, 1007),
        ({"profiles": []}, 1007),
        (body(("mobile", " ")), 1007),
        (body(("mobile", "1")), 1001),
        (body(("mobile", "1" * 16)), 1001),
        (body(("mobile", "mira")), 1001),
        (body(("email", "mira")), 1002),
        (body(("email", "a@" + "b" * 255)), 1002),
        (body(("externalId", "x" * 256)), 1003),
        (body(("externalId", "a\0b")), 1003),
        (body(("cardnumber", "x" * 256)), 1003),
        (body(("passport", "1")), 8013),
        (body(("id", "5")), 8013),
        (body(("mobile", "919812300101"), ("mobile", "919812300102")), 8013),
        (body(("mobile", "919812300101"), source="NOWHERE"), 8011),
        (body(("mobile", "919812300001"), ("email", "mira@example.com"), ("externalId", "CRM-77")), 1014),
        (body(("mobile", "9812300001")), 1014),
        (body(("mobile", "919812300001"), ("externalId", "NEW")), 1032),
        (body(("email", "MIRA@example.com"), ("externalId", "NEW")), 1016),
        (body(("externalId", "CRM-77"), ("mobile", "919812300101")), 1033),
        (body(("mobile", "919812300001"), ("externalId", "CRM-78")), 1032),
        (body(("mobile", "919812300101"), firstName="x" * 256), 629),
        (body(("mobile", "919812300101"), lastName="a\0"), 629),
        (body(("mobile", "919812300101"), firstName=5), 629),
        (body(("mobile", "919812300101"), fields={"a": "x" * 1001}), 629),
        (body(("mobile", "919812300101"), fields={"a": ["b"]}), 629),
        (body(("mobile", "919812300101"), fields={f"f{number}": "1" for number in range(51)}), 629),
        ({**body(("mobile", "919812300101")), "loyaltyInfo": {"loyaltyType": "gold"}}, 629),
        ({**body(("mobile", "919812300101")), "registeredOn": "yesterday"}, 629),
        ([], 629),
    ],
)
def test_registrations_that_are_refused(front: Front, sent: Any, code: int) -> None:
    assert refused(front.ask("POST", PATH, json=sent)) == code


def test_what_no_json_library_sends(front: Front) -> None:
    assert refused(front.ask("POST", PATH, content=b"{")) == 400
    for value in (rb'"\ud800"', rb'"a\u0000b"', b"1e999", b"-1", b"9" * 400):
        sent = b'{"profiles": [{"identifiers": [{"type": "externalId", "value": %s}]}]}' % value
        assert front.ask("POST", PATH, content=sent).status_code < 500
        sent = (
            b'{"profiles": [{"firstName": "A", "fields": {"a": %s}, "identifiers": [{"type": "cardnumber", "value": 7}]}]}'
            % value
        )
        assert front.ask("POST", PATH, content=sent).status_code < 500


def test_the_request_s_own_country_code_counts(front: Front) -> None:
    headers = {"X-CAP-CLIENT-COUNTRYCODE": "44"}
    created = front.ask("POST", PATH, json=body(("mobile", "7700900123")), headers=headers).json()["createdId"]
    query = {"identifierName": "mobile", "identifierValue": "447700900123"}
    assert front.ask("GET", f"{PATH}/lookup", params=query).json()["entity"] == created


def test_one_mobile_registered_by_many_at_once(front: Front, shop: Shop) -> None:
    async def all_at_once() -> list[httpx.Response]:
        asked = (front.asking("POST", PATH, json=body(("mobile", "919812300101"), firstName=f"N{n}")) for n in range(12))
        return await asyncio.gather(*asked)

    answers = front.run(all_at_once())
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 11
    assert {code_of(answer.json()) for answer in answers if answer.status_code == 400} == {1014}
    with shop.database.reading() as tx:
        assert len([row for row in tx.rows(t.customer.select(), {}) if row.mobile == "919812300101"]) == 1


def test_change_what_is_sent_and_nothing_else(front: Front, shop: Shop) -> None:
    created = register(front, ("mobile", "919812300101"), fields={"city": "Goa", "pet": "cat"})
    shop.clock.ms += 60 * SECOND_MS
    changes = {
        "profiles": [
            {
                "lastName": "Shah",
                "identifiers": [{"type": "email", "value": "m@example.com"}, {"type": "mobile", "value": "919812300102"}],
                "fields": {"city": "Pune", "pet": None, "size": "M"},
            }
        ],
        "extendedFields": {"tier": "silver"},
    }
    response = front.ask("PUT", f"{PATH}/{created}?source=INSTORE", json=changes)
    assert response.json() == {"createdId": created, "warnings": [], "sideEffects": []}
    read = front.ask("GET", f"{PATH}/{created}").json()
    (profile,) = read["profiles"]
    assert (profile["firstName"], profile["lastName"]) == ("Mira", "Shah")
    assert {one["type"]: one["value"] for one in profile["identifiers"]} == {"email": "m@example.com", "mobile": "919812300102"}
    assert (profile["fields"], read["extendedFields"]) == ({"city": "Pune", "size": "M"}, {"tier": "silver"})
    assert profile["attribution"]["createDate"] == "2031-03-10T18:20:00+05:30"
    assert profile["attribution"]["modifiedDate"] == profile["autoUpdateTime"] == "2031-03-10T18:21:00+05:30"
    assert profile["attribution"]["modifiedBy"]["code"] == "till1"
    assert read["loyaltyInfo"] == {"loyaltyType": "loyalty"}
    assert register(front, ("mobile", "919812300101")) != created, "the mobile that was given up is free"


@pytest.mark.parametrize(
    ("path", "sent", "code"),
    [
        ("90001", body(("mobile", "919812300002")), 1032),
        ("90001", body(("externalId", "CRM-78")), 1033),
        ("90001", body(("mobile", "1")), 1001),
        ("90001?source=MOON", body(), 8011),
        ("90001", {"loyaltyInfo": {"loyaltyType": "gold"}}, 629),
        ("99999", body(), 8015),
        ("99999999999999999999", body(), 8015),
        ("mira", body(), 400),
        ("-1", body(), 400),
        ("90001/status", {"label": "NOSUCH"}, 629),
        ("90001/status", {}, 629),
        ("90001/status", {"label": "ACTIVE", "reason": "x" * 1001}, 629),
        ("90001/status", {"label": "ACTIVE", "reason": "\0"}, 629),
        ("90001/status?source=MOON", {"label": "ACTIVE"}, 8011),
        ("99999/status", {"label": "ACTIVE"}, 8015),
        ("mira/status", {"label": "ACTIVE"}, 400),
    ],
)
def test_changes_that_are_refused(front: Front, path: str, sent: Any, code: int) -> None:
    assert refused(front.ask("PUT", f"{PATH}/{path}", json=sent)) == code


def test_fields_do_not_grow_without_end(front: Front) -> None:
    created = register(front, ("mobile", "919812300101"), fields={f"a{number}": "1" for number in range(50)})
    assert refused(front.ask("PUT", f"{PATH}/{created}", json=body(fields={"b": "1"}))) == 629
    assert front.ask("PUT", f"{PATH}/{created}", json=body(fields={"a1": None, "b": "1"})).status_code == 200


def test_sending_what_one_has_changes_nothing_and_is_no_clash(front: Front) -> None:
    same = body(("mobile", "919812300001"), ("email", "mira@example.com"), ("externalId", "CRM-77"))
    assert front.ask("PUT", f"{PATH}/90001", json=same).status_code == 200


def test_status_label_blocks_and_unblocks(front: Front, shop: Shop) -> None:
    code = shop.coupon()
    response = front.ask("PUT", f"{PATH}/90001/status", json={"label": "suspended", "reason": "too many returns"})
    assert response.json() == {"createdId": 90001, "warnings": [], "sideEffects": []}
    assert front.redeem(code).json()["redemptionStatus"]["code"] == 742
    assert front.ask("PUT", f"{PATH}/90001/status", json={"label": "ACTIVE"}).status_code == 200
    assert front.redeem(code).json()["redemptionStatus"]["status"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("99999", 8015),
        ("0", 8015),
        ("99999999999999999999999", 8015),
        ("mira", 400),
        ("1.5", 400),
        ("90001?source=MOON", 8011),
        ("lookup?identifierName=mobile&identifierValue=919899999999", 8015),
        ("lookup?identifierName=mobile&identifierValue=mira", 8013),
        ("lookup?identifierName=email&identifierValue=mira", 8013),
        ("lookup?identifierName=externalId&identifierValue=a%00b", 8013),
        ("lookup?identifierName=id&identifierValue=mira", 8013),
        ("lookup?identifierName=id&identifierValue=99999999999999999999999", 8015),
        ("lookup?identifierName=passport&identifierValue=1", 8013),
        ("lookup?identifierName=mobile", 8013),
        ("lookup?identifierValue=919812300001", 8013),
        ("lookup?source=MOON&identifierName=mobile&identifierValue=919812300001", 8011),
        ("lookup/customerDetails?identifierName=email&identifierValue=no@example.com", 8015),
        ("lookup/customerDetails", 8013),
    ],
)
def test_reads_that_are_refused(front: Front, path: str, code: int) -> None:
    assert refused(front.ask("GET", f"{PATH}/{path}")) == code


@pytest.mark.parametrize(("values", "code"), [({"merged_into_id": 90002}, 8069), ({"deleted_ms": NOW_MS}, 8015)])
def test_somebody_who_is_gone(front: Front, shop: Shop, values: dict[str, int], code: int) -> None:
    shop.change(t.customer, 90001, **values)
    query = {"identifierName": "mobile", "identifierValue": "919812300001"}
    assert refused(front.ask("GET", f"{PATH}/90001")) == code
    assert refused(front.ask("GET", f"{PATH}/lookup", params=query)) == code
    assert refused(front.ask("GET", f"{PATH}/lookup/customerDetails", params=query)) == code
    assert refused(front.ask("PUT", f"{PATH}/90001", json=body())) == code
    assert refused(front.ask("PUT", f"{PATH}/90001/status", json={"label": "ACTIVE"})) == code
    assert refused(front.ask("POST", PATH, json=body(("mobile", "919812300001")))) == code
    assert front.redeem(shop.coupon(mobile="")).json()["redemptionStatus"]["code"] == 721


def test_one_org_knows_nothing_of_another(front: Front, shop: Shop) -> None:
    with shop.database.writing() as tx:
        row = {"id": 99001, "mobile": "919812300101", "first_name": "", "last_name": "", "is_loyalty": True}
        times = {"transaction_count": 0, "registered_ms": 0, "updated_ms": 0}
        status = {"fraud_status": "NONE", "status_label": "ACTIVE"}
        tx.connection.execute(t.customer.insert().values(org_id=shop.org_id + 1, **row, **times, **status))
    query = {"identifierName": "mobile", "identifierValue": "919812300101"}
    assert refused(front.ask("GET", f"{PATH}/lookup", params=query)) == 8015
    assert refused(front.ask("GET", f"{PATH}/99001")) == 8015
    assert refused(front.ask("PUT", f"{PATH}/99001", json=body())) == 8015
    assert register(front, ("mobile", "919812300101"))
