"""Webhooks and dead letters in the console."""

from typing import Any

import pytest
from sqlalchemy import insert

from couponry.core.roles import Role
from couponry.store import schema as t
from couponry.store.audit import entries
from couponry.store.webhooks import list_webhooks
from tests.api.shop import NOW_MS, Shop
from tests.console.browser import Browser

WANTED = {
    "name": "erp",
    "url": "https://erp.example/hook",
    "event_names": ["CouponIssue", "CouponRedeem"],
    "headers": "Authorization: Bearer unseen",
    "connections_max": "5",
    "sla_s": "30",
    "is_active": "y",
}


def made(shop: Shop, admin: Browser, **more: Any) -> str:
    page = admin.post("/webhooks", **{**WANTED, **more})
    assert "Copy this now" in page.text
    with shop.database.reading() as tx:
        return list_webhooks(tx, shop.org_id)[-1].wire_id


def failed(shop: Shop, target_id: int) -> None:
    row = {
        "id": 1,
        "outbox_id": 1,
        "event": "CouponIssue",
        "target_id": target_id,
        "body": "{}",
        "state": "failed",
        "attempts": 9,
        "problem": "<b>HTTP 500</b>",
        "request_id": "r",
        "ref_id": "f",
        "next_ms": 0,
        "created_ms": NOW_MS,
        "since_ms": NOW_MS,
    }
    with shop.database.writing() as tx:
        tx.connection.execute(insert(t.delivery).values(org_id=shop.org_id, **row))


def test_a_webhook_is_made_changed_tested_and_removed(shop: Shop, admin: Browser) -> None:
    wire_id = made(shop, admin)
    page = admin.get(f"/webhooks/{wire_id}")
    assert "unseen" not in page.text
    assert "The webhook is changed." in admin.post(f"/webhooks/{wire_id}", **{**WANTED, "name": "erp 2", "headers": ""}).text
    assert "A test event is on its way." in admin.post(f"/webhooks/{wire_id}/ping").text
    assert "Copy this now" in admin.post(f"/webhooks/{wire_id}/rotate").text
    assert "is removed" in admin.post(f"/webhooks/{wire_id}/remove").text
    assert admin.get(f"/webhooks/{wire_id}").status == 404
    with shop.database.reading() as tx:
        done = [each.action for each in entries(tx, shop.org_id, limit=5)]
        assert "unseen" not in str([each.after for each in entries(tx, shop.org_id, limit=5)])
    assert done == [f"{act} webhook" for act in ("remove", "rotate", "ping", "change", "create")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://127.0.0.1/"},
        {"url": "file:///etc/passwd"},
        {"url": "https://user:secret@erp.example/"},
        {"event_names": ["Nothing"]},
        {"event_names": []},
        {"headers": "no colon"},
        {"headers": "Host: elsewhere"},
        {"connections_max": "0"},
        {"connections_max": "9" * 40},
        {"name": ""},
    ],
)
def test_what_cannot_be_is_said_in_the_form(shop: Shop, admin: Browser, wrong: dict[str, Any]) -> None:
    page = admin.post("/webhooks", **{**WANTED, **wrong})
    assert page.status == 422
    assert 'class="error"' in page.text
    with shop.database.reading() as tx:
        assert list_webhooks(tx, shop.org_id) == []


def test_dead_letters_are_sent_again(shop: Shop, admin: Browser) -> None:
    made(shop, admin)
    with shop.database.reading() as tx:
        (webhook,) = list_webhooks(tx, shop.org_id)
    failed(shop, webhook.id)
    page = admin.get("/dead-letters")
    assert "&lt;b&gt;HTTP 500" in page.text
    assert "<b>HTTP" not in page.text
    assert "on its way again" in admin.post("/dead-letters/1/replay").text
    assert admin.post("/dead-letters/1/replay").status == 409
    assert "No dead letters" in admin.get("/dead-letters").text


def test_all_of_a_target_are_sent_again(shop: Shop, admin: Browser) -> None:
    failed(shop, -1)
    assert "1 are on their way again." in admin.post("/dead-letters/replay", target="-1").text
    assert admin.post("/dead-letters/replay", target="x").status == 404


def test_others_see_or_do_not(shop: Shop, browsers: dict[Role, Browser]) -> None:
    for path in ("/webhooks", "/dead-letters"):
        assert [browsers[role].get(path).status for role in browsers] == [200, 403, 403, 200]
    assert browsers["auditor"].post("/webhooks", **WANTED).status == 403
    assert browsers["auditor"].post("/dead-letters/1/replay").status == 403


def test_messages_are_shown_harmless(shop: Shop, admin: Browser) -> None:
    row = {
        "id": 1,
        "outbox_id": 1,
        "event": "IssueMessage",
        "target_id": -1,
        "body": "Hi <script>",
        "state": "delivered",
        "attempts": 1,
        "problem": "",
        "request_id": "r",
        "ref_id": "f",
        "address": "919812300001",
        "coupon_id": 1,
        "next_ms": 0,
        "created_ms": NOW_MS,
        "since_ms": NOW_MS,
    }
    with shop.database.writing() as tx:
        tx.connection.execute(insert(t.delivery).values(org_id=shop.org_id, **row))
    page = admin.get("/messages")
    assert "Hi &lt;script&gt;" in page.text
    assert "1 SMS part<" in page.text
