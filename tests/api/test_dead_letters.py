"""What could not be delivered, what was sent about a coupon, and the mailbox."""

import re
from typing import Any, Final

import pytest

from couponry.api.admin.mailbox import MessageShown, mailbox_page
from couponry.core.deliveries import Channel
from couponry.main import worker
from couponry.settings import Settings
from couponry.store import demo, registry
from couponry.store import schema as t
from tests.api.admins import Admin
from tests.api.holdings import coupon_id, series_id
from tests.api.shop import NOW_MS, Front, Shop
from tests.api.telling import attempt, tell
from tests.api.test_event_log import Told

LETTERS: Final = "/dead-letters"
KEYS: Final = [
    *("id", "event", "eventId", "target", "to", "customerId", "couponId", "status", "problem", "httpStatus", "attempts"),
    *("happenedAt", "triedAt", "doneAt", "nextAt", "sms", "requestId", "refId"),
]


@pytest.fixture
def admin(shop: Shop, front: Front) -> Admin:
    return Admin(shop, front)


@pytest.fixture
def told(shop: Shop, front: Front) -> Told:
    told = Told(shop, front)
    for number in range(2, 4):
        told.redeem(f"r{number}")
    attempt(shop, told.target_id, is_delivered=False, http_status=410, problem="410 Gone")
    return told


def listed(admin: Admin, path: str = LETTERS, **query: Any) -> dict[str, Any]:
    answer = admin.ask("GET", path, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refusal(admin: Admin, method: str, path: str, **more: Any) -> tuple[int, int | str]:
    answer = admin.ask(method, path, **more)
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


def issue(shop: Shop, front: Front, **whom: Any) -> str:
    """Issue a coupon to somebody, and have it told; its code."""
    body = {"seriesId": series_id(shop, "MON"), "customer": whom or {"mobile": "919812300002"}}
    answer = front.ask("POST", "/v2/coupon/issue", json=body)
    assert answer.status_code == 200, answer.text
    tell(shop)
    code: str = answer.json()["code"]
    return code


def test_dead_letters(told: Told, admin: Admin) -> None:
    first = listed(admin, limit=2)
    assert [item["requestId"] for item in first["items"]] == ["r3", "r2"]
    (last,) = listed(admin, cursor=first["next"])["items"]
    assert list(last) == KEYS
    told_of = {name: last[name] for name in ("event", "target", "status", "problem", "httpStatus", "attempts", "to", "nextAt")}
    assert told_of == {
        "event": "CouponRedeem",
        "target": told.webhook["webHookId"],
        "status": "failed",
        "problem": "410 Gone",
        "httpStatus": 410,
        "attempts": 1,
        "to": None,
        "nextAt": None,
    }
    assert len(listed(admin, target=told.webhook["webHookId"])["items"]) == 3
    assert listed(admin, target="sms") == {"items": [], "next": None}


def test_one_is_tried_again(told: Told, admin: Admin) -> None:
    letter = listed(admin, limit=1)["items"][0]
    path = f"{LETTERS}/{letter['id']}/replay"
    assert admin.ask("POST", path).json() == {"deliveries": 1, "next": None}
    assert refusal(admin, "POST", path) == (409, "state")
    assert attempt(told.shop, told.target_id) == 1
    assert told.log(letter["eventId"])["status"] == "delivered"
    assert len(listed(admin)["items"]) == 2


def test_all_of_a_target_are_tried_again(told: Told, admin: Admin) -> None:
    body = {"target": told.webhook["webHookId"]}
    assert admin.ask("POST", f"{LETTERS}/replay", json={"target": "email"}).json() == {"deliveries": 0, "next": None}
    assert admin.ask("POST", f"{LETTERS}/replay", json=body).json() == {"deliveries": 3, "next": None}
    assert listed(admin) == {"items": [], "next": None}
    assert attempt(told.shop, told.target_id) == 3


def test_what_is_not_there(told: Told, admin: Admin) -> None:
    """Another org's ids are no ids."""
    for letter in ("1" * 19, "999999", str(2**62)):
        assert refusal(admin, "POST", f"{LETTERS}/{letter}/replay") == (404, "unknown")
    assert refusal(admin, "POST", f"{LETTERS}/x/replay") == (400, 400)
    assert refusal(admin, "GET", LETTERS, params={"target": "0" * 24}) == (404, "unknown")
    assert refusal(admin, "POST", f"{LETTERS}/replay", json={"target": "0" * 24}) == (404, "unknown")
    for target in ("x", "\0", "-1", "x" * 5000):
        assert refusal(admin, "GET", LETTERS, params={"target": target}) == (400, 629)
        assert refusal(admin, "POST", f"{LETTERS}/replay", json={"target": target}) == (400, 629)
    for body in ({}, {"target": 5}, {"target": "sms", "cursor": -1}, {"target": "sms", "cursor": 2**62}):
        assert refusal(admin, "POST", f"{LETTERS}/replay", json=body) == (400, 629)
    theirs = (told.shop.org_id + 1 << 32) + 1
    for coupon in (str(theirs), "1", str((told.shop.org_id << 32) + 999_999)):
        assert refusal(admin, "GET", f"/coupons/{coupon}/deliveries") == (404, "unknown")


def test_what_was_sent_about_a_coupon(shop: Shop, front: Front, admin: Admin) -> None:
    code = issue(shop, front)
    path = f"/coupons/{coupon_id(shop, code)}/deliveries"
    (message,) = listed(admin, path)["items"]
    assert list(message) == KEYS
    shown = {name: message[name] for name in ("event", "target", "to", "status", "couponId", "nextAt")}
    assert shown == {
        "event": "IssueMessage",
        "target": "sms",
        "to": "919812300002",
        "status": "queued",
        "couponId": coupon_id(shop, code),
        "nextAt": "2031-03-10T18:20:00+05:30",
    }
    assert message["sms"] == {"encoding": "GSM-7", "characters": len(code), "units": len(code), "segments": 1}
    attempt(shop, Channel.SMS, is_delivered=False, http_status=None, problem="the gateway says no")
    (message,) = listed(admin, path)["items"]
    assert (message["status"], message["problem"], message["doneAt"][:19]) == (
        "failed",
        "the gateway says no",
        "2031-03-10T18:20:00",
    )
    assert [item["to"] for item in listed(admin, target="sms")["items"]] == ["919812300002"]
    assert listed(admin, f"/coupons/{coupon_id(shop, shop.coupon())}/deliveries") == {"items": [], "next": None}


def test_the_mailbox(shop: Shop, front: Front, admin: Admin) -> None:
    code = issue(shop, front)
    otp = {"entityType": "MOBILE", "entityValue": "919812300001", "action": "COUPON", "channels": [{"type": "SMS"}]}
    assert front.ask("POST", "/v2/otp/generate", json=otp).status_code == 200
    tell(shop)
    secret, message = listed(admin, "/mailbox")["items"]
    assert (secret["event"], secret["to"], secret["text"]) == ("OtpMessage", "919812300001", None)
    assert {name: message[name] for name in ("channel", "to", "subject", "text", "codes", "sms", "status")} == {
        "channel": "sms",
        "to": "919812300002",
        "subject": None,
        "text": code,
        "codes": [],
        "sms": {"encoding": "GSM-7", "characters": len(code), "units": len(code), "segments": 1},
        "status": "queued",
    }
    assert (secret["sms"], listed(admin, "/mailbox", limit=1)["items"]) == (None, [secret])
    assert front.ask("GET", "/demo/mailbox", auth=None).status_code == 404


def test_the_mailbox_has_what_contacts_are_sent(shop: Shop, admin: Admin) -> None:
    shop.set(contactEmails="owner@example.com")
    about = {"subject_id": series_id(shop, "MON"), "request_id": "r", "created_ms": shop.clock()}
    shop.add(t.outbox, id=5, event="OfferExpiry", **about)
    tell(shop)
    (message,) = listed(admin, "/mailbox")["items"]
    assert (message["channel"], message["to"], message["sms"]) == ("email", "owner@example.com", None)
    assert message["subject"].startswith("Monsoon 15")


def test_the_demo_shows_its_messages(shop: Shop) -> None:
    """Without a credential, and in a demo alone."""
    offer = demo.offer(shop.database, NOW_MS)
    settings = Settings(database_url=shop.database.url, secret_key="only for this test")
    with Front(worker(settings, clock=shop.clock, is_demo=True)) as front:
        page = front.ask("GET", "/demo/mailbox", auth=None)
        assert (page.status_code, "Nothing yet" in page.text) == (200, True)
        till, otp = (offer.till, offer.secret), {"entityType": "MOBILE", "entityValue": offer.mobile, "action": "COUPON"}
        sent = front.ask("POST", "/v2/otp/generate", json={**otp, "channels": [{"type": "SMS"}]}, auth=till)
        assert sent.status_code == 200, sent.text
        with shop.database.reading() as tx:
            org_id = registry.org_of_login(tx, "till", demo.TILL)
        assert org_id
        tell(shop, org_id)
        page = front.ask("GET", "/demo/mailbox", auth=None)
    assert re.search(r"<b>SMS</b>.*919812300001.*Your OTP for validation is \d{6}</p>", page.text)
    policy = page.headers["content-security-policy"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"


def test_the_page_believes_nobody() -> None:
    hostile = "<script>alert(1)</script>\"'&{x}\ud800"
    message = MessageShown(
        id=1,
        event="IssueMessage",
        channel="email",
        to=hostile,
        subject=hostile,
        text=hostile,
        codes=["A-1"],
        sms=None,
        status="failed",
        problem=hostile,
        customer_id=1,
        coupon_id=1,
        created_at="2031-03-10T18:20:00+05:30",
    )
    drawn = mailbox_page([message]).decode()
    assert "<script" not in drawn
    assert drawn.count("&lt;script&gt;") == 4
    assert '<img alt="A-1" src="data:image/png;base64,' in drawn
