import json
from typing import Any

from msgspec.structs import replace

from couponry.core.deliveries import Channel, DeliveryState, NewDelivery, Webhook
from couponry.core.fan_out import FanOut
from couponry.core.validation import Vault
from tests.core.telling_world import COUPON, CUSTOMER, OUTBOX, REDEMPTION, SECOND, SERIES, cause, facts, org

ALL = frozenset({"CouponIssue", "CouponRedeem", "CouponReactivate", "CouponRevoke", "CouponExpiryChange", "CouponIssueLimit"})


def webhook(webhook_id: int, *names: str, **changed: Any) -> Webhook:
    like = Webhook(
        id=webhook_id,
        wire_id=f"{webhook_id:024}",
        name=f"w{webhook_id}",
        url="https://hooks.example.com/",
        event_names=frozenset(names),
        headers=b"",
        enrichments=frozenset(),
        connections_max=1,
        sla_s=30,
        is_active=True,
        consumer_group_id="",
        secret_number=1,
        rotated_ms=None,
        created_ms=0,
        created_by=None,
        updated_ms=0,
        updated_by=None,
    )
    return replace(like, **changed)


def made(*causes: Any, webhooks: Any = (), org_: Any = None, known: Any = None, single: bool = False) -> list[NewDelivery]:
    fan_out = FanOut(Vault(b"secret"), single_coupon_only=single)
    return fan_out(org_ or org(), causes, known or facts(), webhooks)


def test_every_webhook_that_names_it_and_no_other() -> None:
    rich = webhook(3, *ALL, enrichments=frozenset({"customer"}))
    webhooks = [webhook(1, "CouponIssue"), webhook(2, "CouponRedeem"), rich, webhook(4, *ALL, is_active=False), webhook(5, *ALL)]
    told = made(cause("CouponIssue", COUPON), webhooks=webhooks)
    assert [one.target_id for one in told] == [1, 3, 5]
    assert told[0].body is told[2].body, "made once, since both are shown the same"
    shown = [json.loads(one.body)["data"]["coupons"][0]["customerIdentifiers"] for one in told]
    assert ["instore" in each for each in shown] == [False, True, False]
    assert {json.loads(one.body)["eventId"] for one in told} == {json.loads(told[0].body)["eventId"]}
    assert replace(told[0], body="") == NewDelivery(
        outbox_id=OUTBOX,
        event="CouponIssue",
        target_id=1,
        customer_id=CUSTOMER,
        body="",
        request_id="5670FF17B7D58",
        ref_id=f"1001_5001_{COUPON}:{COUPON}",
    )


def test_extra_events_go_to_those_who_name_them() -> None:
    usual, all_of_them = webhook(1, "CouponIssue", "CouponRedeem"), webhook(2, *ALL)
    for name, subject in (("CouponReactivate", REDEMPTION), ("CouponRevoke", COUPON), ("CouponExpiryChange", COUPON)):
        assert [one.target_id for one in made(cause(name, subject), webhooks=[usual, all_of_them])] == [2]


def test_in_the_order_of_causes_each_with_its_kind() -> None:
    causes = [
        cause("CouponIssue", COUPON, SECOND, id=OUTBOX),
        cause("IssueMessage", COUPON, SECOND, id=OUTBOX + 1),
        cause("CouponRedeem", REDEMPTION, id=OUTBOX + 2),
        cause("CouponIssueLimit", SERIES, 9, id=OUTBOX + 3, customer_id=None),
        cause("SomethingElse", COUPON, id=OUTBOX + 4),
    ]
    told = made(*causes, webhooks=[webhook(1, *ALL)], org_=org(contact_emails=("a@b.example",)))
    assert [(one.outbox_id - OUTBOX, one.target_id) for one in told] == [
        (0, 1),
        (1, Channel.SMS),
        (2, 1),
        (3, 1),
        (3, Channel.CONTACTS),
    ]
    assert [one.body for one in made(*causes)] == ["Hi Mira, use 3084110052, 5686110077 before 30-04-2031"]


def test_redemptions_of_requests_with_several_coupons() -> None:
    causes = [cause("CouponRedeem", REDEMPTION, id=OUTBOX + place, request_id=request) for place, request in enumerate("aab")]
    everyone = [webhook(1, "CouponRedeem")]
    assert [one.outbox_id - OUTBOX for one in made(*causes, webhooks=everyone)] == [0, 1, 2]
    assert [one.outbox_id - OUTBOX for one in made(*causes, webhooks=everyone, single=True)] == [2]
    assert [one.outbox_id - OUTBOX for one in made(*causes, webhooks=everyone, org_=org(events_single_coupon_only=True))] == [2]


def test_side_effects_that_were_not_told_at_once() -> None:
    heard = org(side_effects_hook_url="https://hooks.example.com/")
    (one,) = made(cause("SideEffects", REDEMPTION), org_=heard)
    assert (one.target_id, one.state) == (Channel.SIDE_EFFECTS, DeliveryState.WAITING)
    assert json.loads(one.body) == {
        "event": "SideEffects",
        "orgId": 1001,
        "requestId": "5670FF17B7D58",
        "redemptionId": REDEMPTION,
        "till": {"id": 4001, "storeId": 310},
        "customer": {"id": CUSTOMER, "mobile": "919812300001", "email": "mira@example.com", "externalId": "CRM-77"},
        "coupon": {"id": facts().redemptions[REDEMPTION].coupon_id, "code": "H4TQ9ZKM", "seriesId": SERIES},
        "transaction": {"number": "INV-5510", "amount": None},
    }
    (unheard,) = made(cause("SideEffects", REDEMPTION))
    assert (unheard.state, unheard.problem) == (DeliveryState.SKIPPED, "there is no hook")


def test_nothing_left_of_it() -> None:
    gone = facts(coupons={}, redemptions={}, series={}, customers={}, tills={})
    for told in (cause("CouponIssue", COUPON), cause("CouponRedeem", REDEMPTION), cause("SideEffects", REDEMPTION)):
        assert made(told, webhooks=[webhook(1, *ALL)], known=gone) == []
