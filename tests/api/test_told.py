"""From a request to what others are told of it, with nothing in between but the worker's first step."""

import json
from typing import Any

from sqlalchemy import select

from couponry.core.deliveries import Channel
from couponry.core.event_ids import outbox_id
from couponry.store import schema as t
from tests.api.shop import MIRA, Front, Shop
from tests.api.telling import tell
from tests.store.outboxes import add_webhook

EVERYTHING = ("CouponIssue", "CouponRedeem", "CouponReactivate", "CouponRevoke", "CouponExpiryChange")


def told(shop: Shop) -> list[Any]:
    tell(shop)
    wanted = select(t.delivery).where(t.delivery.c.org_id == shop.org_id).order_by(t.delivery.c.id)
    with shop.database.reading() as tx:
        return list(tx.rows(wanted, {}))


def test_a_coupon_from_its_issue_to_its_redemption(shop: Shop, front: Front) -> None:
    hook = add_webhook(shop.database, *EVERYTHING, org_id=shop.org_id)
    issued = front.ask("POST", "/v2/coupon/issue", json={"seriesId": 5001, "customer": MIRA}).json()
    tell(shop)  # or nobody would be sent a code that is used by then
    redeemed = front.redeem(issued["code"], transactionNumber="INV-1").json()["redemption"][0]
    issue, sms, redemption = told(shop)
    assert [(each.target_id, each.event) for each in (issue, sms, redemption)] == [
        (hook.id, "CouponIssue"),
        (Channel.SMS, "IssueMessage"),
        (hook.id, "CouponRedeem"),
    ]
    assert (sms.address, sms.body, sms.coupon_id) == ("919812300001", issued["code"], issued["id"])
    first, last = json.loads(issue.body), json.loads(redemption.body)
    assert outbox_id(shop.org_id, first["eventId"]) == issue.outbox_id
    (coupon,) = first["data"]["coupons"]
    named = {"customerId": issue.customer_id, "instore": {"mobile": "919812300001"}}
    assert (coupon["id"], coupon["code"], coupon["customerIdentifiers"]) == (issued["id"], issued["code"], named)
    assert first["data"]["addedBy"] == last["data"]["addedBy"] == {"id": shop.till_id}
    assert (last["data"]["customerIdentifiers"], last["data"]["transaction"]["number"]) == (named, "INV-1")
    assert str(last["data"]["coupon"]["redemptionId"]) == str(redeemed["redemptionId"])
    assert last["refId"] == redemption.ref_id == f"{shop.org_id}_5001_{last['data']['coupon']['redemptionId']}"


def test_a_code_lies_nowhere_in_the_clear(shop: Shop, front: Front) -> None:
    asked = {"entityType": "MOBILE", "entityValue": MIRA["mobile"], "action": "COUPON", "channels": [{"type": "SMS"}]}
    assert front.ask("POST", "/v2/otp/generate", json=asked).status_code == 200
    (message,) = told(shop)
    assert (message.target_id, message.customer_id) == (Channel.OTP_SMS, None)
    assert (message.state, "OTP" in message.body) == ("waiting", False)
