"""`/v3/webHooks` over HTTP: shapes as the contract prints them, what is refused, and whose webhooks are whose."""

import re
from ipaddress import IPv4Network
from typing import Any, Final

from sqlalchemy import select

from couponry.core.event_ids import outbox_id
from couponry.core.limits import WEBHOOK_HEADERS_MAX
from couponry.core.problem import Problem
from couponry.store import registry
from couponry.store import schema as t
from couponry.store.known import named_tills
from couponry.store.webhooks import list_webhooks
from tests.api.shop import NOW_MS, SECRET, Front, Shop
from tests.store.outboxes import statements

PATH: Final = "/v3/webHooks"
BODY: Final = {
    "name": "pos-bridge",
    "webHookUrl": "https://hooks.example.com/coupons",
    "eventNames": ["CouponRedeem", "CouponIssue"],
    "webHookHeaders": {"Content-Type": "application/json", "Authorization": "Bearer x"},
    "webHookType": "HTTP",
    "methodType": "POST",
    "maxAllowedConnections": 10.9,
    "slaInSeconds": 30,
}
KEYS: Final = [
    *("attribution", "webHookId", "name", "eventNames", "webHookUrl", "webHookType", "methodType", "webHookHeaders"),
    *("noOfRetryAttempts", "maxAllowedConnections", "active", "slaInSeconds", "consumerGroupId", "enrichment"),
]
BAD: Final[dict[str, list[Any]]] = {
    "name": ["", "  ", "x" * 256, "a\0b", "a\nb", None, 5],
    "webHookUrl": [
        *(
            "",
            "hooks.example.com",
            "ftp://example.com/",
            "https://",
            "https:///x",
            "http://a b/",
            "http://é.example/",
            "https://x/\0",
        ),
        *("http://127.0.0.1/", "http://10.1.2.3:8080/x", "http://[::1]/", "http://[fe80::1]/", "http://169.254.169.254/latest"),
        *("http://localhost:9/", "http://127.1/", "http://0x7f000001/", "http://2130706433/", "http://[::ffff:10.0.0.1]/"),
        *("https://user:secret@example.com/", "https://example.com/#a", "https://example.com:0/", "https://example.com:99999/"),
        *("https://example.com:x/", "http://[::1", "https://" + "x" * 2000, "https://-a.example/", "http://a\\@b/", None, 7),
    ],
    "eventNames": [["Nothing"], "CouponIssue", [5], ["CouponIssue", "x" * 5000], None],
    "webHookHeaders": [
        *({"A": "b\r\nC: d"}, {"A\r\nB": "c"}, {"": "a"}, {"A b": "c"}, {"A": "\0"}, {"A": "☃"}, {"A": "x" * 4001}, {"A": 5}),
        *({"Host": "x"}, {"content-length": "5"}, {"Webhook-Id": "x"}, {"a": "1", "A": "2"}, ["A"]),
        {f"A{number}": "x" for number in range(WEBHOOK_HEADERS_MAX + 1)},
    ],
    "webHookType": ["KAFKA"],
    "methodType": ["GET"],
    "maxAllowedConnections": [0, 0.9, -1, 101, 10**400, "10", True],
    "slaInSeconds": [0, -1, 1.5, 2**63, 10**30, "30"],
    "active": ["true", 1],
    "enrichment": [{"till": "yes"}, [], True],
}


def made(front: Front, **more: Any) -> dict[str, Any]:
    answer = front.ask("POST", PATH, json={**BODY, **more})
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def listed(front: Front, **more: Any) -> list[dict[str, Any]]:
    answer = front.ask("GET", PATH, **more)
    assert answer.status_code == 200, answer.text
    data: list[dict[str, Any]] = answer.json()["data"]
    return data


def refusal(front: Front, method: str, path: str, **more: Any) -> tuple[int, int]:
    answer = front.ask(method, path, **more)
    body = answer.json()
    assert list(body) == ["errors", "data"]
    assert body["data"] is None
    (error,) = body["errors"]
    assert list(error) == ["code", "message"]
    return answer.status_code, error["code"]


def stranger(shop: Shop) -> tuple[str, str]:
    """A till of another org."""
    with shop.database.writing() as tx:
        org_id = registry.create_org(tx, name="B", time_zone="UTC", currency="INR", country_code="91", now_ms=NOW_MS)
    assert not isinstance(org_id, Problem)
    Shop(shop.database, org_id=org_id).till("till9", store="elsewhere")
    return "till9", SECRET


def test_as_the_contract_prints_it(shop: Shop, front: Front) -> None:
    shown = made(front)
    secret = shown.pop("secret")
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret)
    assert list(shown) == KEYS
    till = {"id": shop.till_id, "code": "till1", "description": "", "name": "till1", "type": "TILL"}
    at = "2031-03-10T12:50:00.000+0000"
    assert shown["attribution"] == {"createdOn": at, "lastUpdatedOn": at, "lastUpdatedBy": till, "createdBy": till}
    assert re.fullmatch("[0-9a-f]{24}", shown["webHookId"])
    assert re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", shown["consumerGroupId"])
    told = {name: shown[name] for name in KEYS[2:12]}
    assert told == {
        **{name: BODY[name] for name in ("name", "webHookUrl", "webHookType", "methodType", "webHookHeaders", "slaInSeconds")},
        "eventNames": ["CouponIssue", "CouponRedeem"],
        "noOfRetryAttempts": 0,
        "maxAllowedConnections": 10,
        "active": True,
    }
    assert listed(front) == [shown]
    assert front.ask("GET", PATH).json()["errors"] is None


def test_defaults(front: Front) -> None:
    asked = {"name": " w ", "webHookUrl": "http://hooks.example.com:80", "eventNames": list[str](), "maxAllowedConnections": None}
    data = front.ask("POST", PATH, json=asked).json()["data"]
    usual = {"name": "w", "maxAllowedConnections": 10, "slaInSeconds": 30, "active": True, "webHookHeaders": {}, "eventNames": []}
    assert {name: data[name] for name in usual} == usual
    assert data["enrichment"] == dict.fromkeys(("till", "store", "customerIdentifiers", "cardNumbers"), False)


def test_a_change_replaces_events_and_leaves_what_it_does_not_name(shop: Shop, front: Front) -> None:
    first = made(front, enrichment={"store": True})
    shop.till("till2")
    shop.clock.ms += 1_500
    path = f"{PATH}/{first['webHookId']}"
    sent = {"eventNames": ["CouponRevoke"], "active": False, "enrichment": {"cardNumbers": True}}
    changed = front.ask("PUT", path, json=sent, auth=("till2", SECRET)).json()["data"]
    assert "secret" not in changed
    assert changed["eventNames"] == ["CouponRevoke"]
    assert changed["webHookHeaders"] == BODY["webHookHeaders"]
    assert (changed["active"], changed["name"], changed["enrichment"]["store"]) == (False, "pos-bridge", False)
    told = changed["attribution"]
    assert (told["createdBy"]["code"], told["lastUpdatedBy"]["code"]) == ("till1", "till2")
    assert (told["createdOn"], told["lastUpdatedOn"]) == ("2031-03-10T12:50:00.000+0000", "2031-03-10T12:50:01.500+0000")
    assert listed(front) == [changed]
    emptied = front.ask("PUT", path, json={"webHookHeaders": None, "name": "pos-bridge"}).json()["data"]
    assert emptied["webHookHeaders"] == {}


def test_names_are_unique(front: Front) -> None:
    made(front)
    other = made(front, name="other")
    assert refusal(front, "POST", PATH, json=BODY) == (400, 629)
    assert refusal(front, "PUT", f"{PATH}/{other['webHookId']}", json={"name": "pos-bridge"}) == (400, 629)
    assert [each["name"] for each in listed(front)] == ["pos-bridge", "other"]


def test_what_is_deleted_is_gone(front: Front) -> None:
    shown = made(front)
    path = f"{PATH}/{shown['webHookId']}"
    assert front.ask("DELETE", path).json() == {"data": {"webHookId": shown["webHookId"]}, "errors": None}
    assert listed(front) == []
    for method, at in (("DELETE", path), ("PUT", path), ("POST", f"{path}/ping"), ("POST", f"{path}/rotateSecret")):
        assert refusal(front, method, at, **({"json": {}} if method != "DELETE" else {})) == (404, 404)
    made(front)


def test_events_there_are(front: Front) -> None:
    names = ["CouponIssue", "CouponRedeem", "CouponReactivate", "CouponRevoke", "CouponExpiryChange", "CouponIssueLimit"]
    answer = front.ask("GET", f"{PATH}/eventMetaData").json()
    assert answer == {"data": [{"active": True, "eventName": name} for name in names], "errors": None}


def test_whatever_is_wrong_is_told(front: Front) -> None:
    webhook_id = made(front)["webHookId"]
    for field, values in BAD.items():
        for value in values:
            expected = {(400, 629)} if value != 10**400 else {(400, 629), (400, 400)}
            assert refusal(front, "POST", PATH, json={**BODY, "name": "new", field: value}) in expected, (field, value)
            if value is not None:
                assert refusal(front, "PUT", f"{PATH}/{webhook_id}", json={field: value}) in expected, (field, value)
    for field in ("name", "webHookUrl", "eventNames"):
        sent = {name: value for name, value in BODY.items() if name != field}
        assert refusal(front, "POST", PATH, json=sent) == (400, 629)
    assert refusal(front, "POST", PATH, content=b"{") == (400, 400)
    assert refusal(front, "POST", PATH, content=b"[]") == (400, 629)
    for webhook in ("1", "x" * 24, "A" * 24, "a" * 5000, "a" * 24, "%00" * 24):
        assert refusal(front, "PUT", f"{PATH}/{webhook}", json={}) == (404, 404)
    assert len(listed(front)) == 1


def test_private_networks_may_be_allowed(shop: Shop) -> None:
    with shop.front(allowed_private_networks=(IPv4Network("127.0.0.0/8"),)) as front:
        made(front, webHookUrl="http://127.0.0.1:9/hook")
        assert refusal(front, "POST", PATH, json={**BODY, "name": "b", "webHookUrl": "http://10.0.0.1/"}) == (400, 629)


def test_a_secret_is_told_once_and_rotates(front: Front) -> None:
    shown = made(front)
    assert all("secret" not in each for each in listed(front))
    answer = front.ask("POST", f"{PATH}/{shown['webHookId']}/rotateSecret", json={})
    assert answer.headers["cache-control"] == "no-store"
    rotated = answer.json()["data"]
    assert rotated["webHookId"] == shown["webHookId"]
    assert rotated["secret"] != shown["secret"]
    assert made(front, name="other")["secret"] not in {rotated["secret"], shown["secret"]}


def test_a_ping_is_an_event(shop: Shop, front: Front) -> None:
    webhook_id = made(front)["webHookId"]
    answer = front.ask("POST", f"{PATH}/{webhook_id}/ping", headers={"X-CAP-REQUEST-ID": "r1"})
    found = outbox_id(shop.org_id, answer.json()["data"]["eventId"])
    row = t.outbox.c
    with shop.database.reading() as tx:
        told = select(row.event, row.request_id, row.created_ms).where(row.org_id == shop.org_id, row.id == found)
        assert tx.rows(told, {}) == [("Ping", "r1", NOW_MS)]
    front.ask("PUT", f"{PATH}/{webhook_id}", json={"active": False})
    assert refusal(front, "POST", f"{PATH}/{webhook_id}/ping") == (400, 629)


def test_who_may_only_read_sees_no_credentials(shop: Shop, front: Front) -> None:
    made(front)
    for code, config in (("reads", "READ"), ("knows", "NONE")):
        place = shop.till(code, store=code)
        shop.change(t.store, place.store_id, access_group_id=shop.access_group("WRITE", config))
    reads, knows = (("auth", (code, SECRET)) for code in ("reads", "knows"))
    (shown,) = listed(front, **dict([reads]))
    assert shown["webHookHeaders"] == {"Content-Type": "***", "Authorization": "***"}
    assert refusal(front, "POST", PATH, json=BODY, **dict([reads])) == (403, 4000)
    assert refusal(front, "GET", PATH, **dict([knows])) == (403, 4000)


def test_another_org_sees_nothing(shop: Shop, front: Front) -> None:
    path = f"{PATH}/{made(front)['webHookId']}"
    theirs = stranger(shop)
    for method, at in (("PUT", path), ("DELETE", path), ("POST", f"{path}/ping"), ("POST", f"{path}/rotateSecret")):
        sent: dict[str, Any] = {"json": {}} if method != "DELETE" else {}
        assert refusal(front, method, at, auth=theirs, **sent) == (404, 404)
    assert listed(front, auth=theirs) == []


def test_a_list_costs_two_statements(shop: Shop, front: Front) -> None:
    """Prevents the statement per webhook."""
    costs = []
    for name in ("a", "b"):
        made(front, name=name)
        with statements(shop.database) as asked, shop.database.reading() as tx:
            there = list_webhooks(tx, shop.org_id)
            named_tills(tx, shop.org_id, {each.created_by or 0 for each in there})
        costs.append(len(asked))
    assert costs == [2, 2]
