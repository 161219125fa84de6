"""The log of deliveries (events 4), and sending again what was sent in a time."""

from typing import Any, Final

import pytest

from couponry.core.event_ids import event_id
from couponry.store.webhooks import read_webhook
from tests.api.shop import BASIC, NOW_MS, Front, Shop
from tests.api.telling import attempt, tell
from tests.api.test_webhooks import PATH, made, refusal, stranger

LOG: Final = f"{PATH}/eventLog"
KEYS: Final = [
    *("refId", "requestId", "eventName", "eventId", "consumerGroupId", "eventIngestionTimestamp", "eventStartTimestamp"),
    *("eventEndTimestamp", "slaBreachTimestamp", "consumerResponse", "status", "attempts", "problem"),
]


class Told:
    """A redemption that a webhook is told of."""

    def __init__(self, shop: Shop, front: Front, **webhook: Any) -> None:
        self.shop, self.front = shop, front
        self.webhook = made(front, **webhook)
        with shop.database.reading() as tx:
            there = read_webhook(tx, shop.org_id, self.webhook["webHookId"])
        assert there
        self.target_id = there.id
        self.redeem("r1")

    def redeem(self, request_id: str) -> None:
        answer = self.front.redeem(self.shop.coupon(), headers={"X-CAP-REQUEST-ID": request_id})
        self.redemption_id = answer.json()["redemption"][0]["redemptionId"]
        tell(self.shop)

    def log(self, path: str, **query: str) -> Any:
        answer = self.front.ask("GET", f"{LOG}/{path}", params=query)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert list(body) == ["data", "errors"]
        assert body["errors"] is None
        return body["data"]

    def again(self, **body: Any) -> Any:
        answer = self.front.ask("POST", f"{PATH}/{self.webhook['webHookId']}/redeliver", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


@pytest.fixture
def told(shop: Shop, front: Front) -> Told:
    return Told(shop, front)


def test_as_the_contract_prints_it(told: Told) -> None:
    told.shop.clock.ms += 3
    attempt(told.shop, told.target_id)
    (shown,) = told.log("requestId/r1")
    assert list(shown) == KEYS
    org_id, (ref_org, ref_series, ref) = told.shop.org_id, shown["refId"].split("_")
    assert (int(ref_org), ref) == (org_id, told.redemption_id)
    assert int(ref_series)
    assert shown == {
        "refId": shown["refId"],
        "requestId": "r1",
        "eventName": "CouponRedeem",
        "eventId": shown["eventId"],
        "consumerGroupId": told.webhook["consumerGroupId"],
        "eventIngestionTimestamp": "2031-03-10T12:50:00.000+0000",
        "eventStartTimestamp": "2031-03-10T12:50:00.003+0000",
        "eventEndTimestamp": "2031-03-10T12:50:00.198+0000",
        "slaBreachTimestamp": None,
        "consumerResponse": {"webhookHttpStatus": 200.0, "time_taken": 195.0},
        "status": "delivered",
        "attempts": 1,
        "problem": "",
    }
    assert told.log(shown["eventId"]) == shown
    assert told.log(f"refId/{shown['refId']}") == [shown]


def test_what_waits_and_what_is_late(told: Told) -> None:
    (shown,) = told.log("requestId/r1")
    assert (shown["eventEndTimestamp"], shown["consumerResponse"], shown["slaBreachTimestamp"]) == (None, None, None)
    told.shop.clock.ms += 30_001
    late = "2031-03-10T12:50:30.000+0000"
    assert told.log(shown["eventId"])["slaBreachTimestamp"] == late
    attempt(told.shop, told.target_id, is_delivered=False, http_status=None, problem="no answer in time")
    failed = told.log(shown["eventId"])
    assert failed["consumerResponse"] == {"webhookHttpStatus": None, "time_taken": 195.0}
    assert (failed["status"], failed["problem"], failed["slaBreachTimestamp"]) == ("failed", "no answer in time", late)


def test_several_webhooks(told: Told) -> None:
    other = made(told.front, name="other")
    told.redeem("r2")
    both = told.log("requestId/r2")
    groups = [told.webhook["consumerGroupId"], other["consumerGroupId"]]
    assert [each["consumerGroupId"] for each in both] == groups
    assert both[0]["eventId"] == both[1]["eventId"]
    assert told.log(both[0]["eventId"])["consumerGroupId"] == groups[0]
    assert told.log(both[0]["eventId"], consumerGroupId=groups[1])["consumerGroupId"] == groups[1]
    assert [each["consumerGroupId"] for each in told.log("requestId/r2", consumerGroupId=groups[1])] == groups[1:]
    told.front.ask("DELETE", f"{PATH}/{other['webHookId']}")
    assert [each["consumerGroupId"] for each in told.log("requestId/r2")] == [groups[0], None]


def test_nobody_else_finds_it(told: Told) -> None:
    (shown,) = told.log("requestId/r1")
    theirs = stranger(told.shop)
    assert refusal(told.front, "GET", f"{LOG}/{shown['eventId']}", auth=theirs) == (404, 404)
    for path in (f"requestId/{shown['requestId']}", f"refId/{shown['refId']}"):
        assert told.front.ask("GET", f"{LOG}/{path}", auth=theirs).json() == {"data": [], "errors": None}
    sent = {"from": 0, "to": NOW_MS}
    again = f"{PATH}/{told.webhook['webHookId']}/redeliver"
    assert refusal(told.front, "POST", again, json=sent, auth=theirs) == (404, 404)


def test_hostile_ids(told: Told) -> None:
    for hostile in ("x", "x" * 5000, "%00", "1_2:3%00", "%FF", "'--", "0b0c7a52-4f0e-4c39-9d0e-6a1f4a2b7c11"):
        assert refusal(told.front, "GET", f"{LOG}/{hostile}") == (404, 404)
        assert told.log(f"requestId/{hostile}") == told.log(f"refId/{hostile}") == []
    assert refusal(told.front, "GET", f"{LOG}/{event_id(told.shop.org_id, 2**59)}") == (404, 404)


def test_what_was_sent_in_a_time_is_sent_again(told: Told) -> None:
    assert attempt(told.shop, told.target_id) == 1
    told.shop.clock.ms = NOW_MS + 60_000
    told.redeem("r2")
    assert attempt(told.shop, told.target_id, is_delivered=False) == 1
    told.redeem("r3")
    assert told.again(**{"from": NOW_MS + 1, "to": "2031-03-10T12:51:30Z"}) == {"events": 1, "next": None}
    assert [told.log(f"requestId/{name}")[0]["status"] for name in ("r1", "r2", "r3")] == ["delivered", "waiting", "waiting"]
    assert told.again(**{"from": NOW_MS, "to": NOW_MS + 1}) == {"events": 1, "next": None}
    told.shop.clock.ms += 1
    assert attempt(told.shop, told.target_id) == 3
    assert told.again(**{"from": NOW_MS, "to": NOW_MS}) == {"events": 0, "next": None}


def test_no_time(told: Told) -> None:
    bodies: tuple[dict[str, Any], ...] = (
        *({}, {"from": 1}, {"from": None, "to": 1}, {"from": "x", "to": "y"}, {"from": -1, "to": 1}, {"from": 1, "to": 2**63}),
        *({"from": 1, "to": 2, "cursor": -1}, {"from": 1, "to": 2, "cursor": 2**63}, {"from": 1.5, "to": 2}),
    )
    for body in bodies:
        assert refusal(told.front, "POST", f"{PATH}/{told.webhook['webHookId']}/redeliver", json=body) == (400, 629)


def test_a_ping_reaches_its_webhook_alone(told: Told) -> None:
    made(told.front, name="other")
    answer = told.front.ask("POST", f"{PATH}/{told.webhook['webHookId']}/ping", auth=BASIC)
    tell(told.shop)
    shown = told.log(answer.json()["data"]["eventId"])
    assert (shown["eventName"], shown["consumerGroupId"]) == ("Ping", told.webhook["consumerGroupId"])
    assert len(told.log(f"requestId/{shown['requestId']}")) == 1
