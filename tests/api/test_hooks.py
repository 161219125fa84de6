"""The pre-redeem hook (C21, 683) and the side-effects hook of v1.1 (687), with real receivers on loopback."""

import asyncio
from collections.abc import Iterator
from ipaddress import ip_network
from threading import Event
from typing import Any, Final

import msgspec
import pytest
from sqlalchemy import select

from couponry.core.limits import HOOK_FAILURES_MAX, HOOK_OPEN_MS, SIDE_EFFECTS_MAX
from couponry.outbound import sender
from couponry.store import schema as t
from tests.api.holdings import coupon_id, customer_id, series_id
from tests.api.shop import MIRA, NOW_MS, Front, Shop, code_of
from tests.api.v1_1.till import REDEEM, bill, codes_of, item, items_of, post
from tests.receiver import LOOPBACK, Behave, Exchange, Receiver, answering, babbling, flooding, hanging, hanging_up

ALLOWED: Final = {"allowed_private_networks": (ip_network(LOOPBACK),)}
POINTS: Final = {"type": "points", "awarded_points": "120"}
COUPON: Final = {
    "type": "coupon",
    "coupon_type": "PE",
    "coupon_code": "PE-1",
    "description": "10 & more",
    "discount_code": "TEN",
    "valid_till": "2031-12-31",
    "id": "77",
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def asked(shop: Shop, receiver: Receiver) -> Iterator[Front]:
    """The shop with a pre-redeem hook, and a series that requires it."""
    shop.set(preRedeemHookUrl=receiver.url)
    shop.series(seriesCode="ASK", isPreRedeemEventRequired=True)
    with shop.front(**ALLOWED) as front:
        yield front


@pytest.fixture
def told(shop: Shop, receiver: Receiver) -> Iterator[Front]:
    """The shop with a side-effects hook."""
    shop.set(sideEffectsHookUrl=receiver.url)
    with shop.front(**ALLOWED) as front:
        yield front


def redeem_somehow(front: Front, wire: str, code: str) -> int:
    """The coupon's code by each way of redeeming."""
    if wire == "v1.1":
        return codes_of(post(front, item(code)))[0]
    return code_of(front.redeem(code, path=f"/v2/coupon/{wire}").json())


def waiting(shop: Shop) -> list[int]:
    """The redemptions that the hook has still to be told of."""
    with shop.database.reading() as tx:
        rows = tx.rows(
            select(t.outbox.c.subject_id).where(t.outbox.c.org_id == shop.org_id, t.outbox.c.event == "SideEffects"), {}
        )
    return [subject_id for (subject_id,) in rows]


def answer_of(*effects: Any, **more: Any) -> bytes:
    return msgspec.json.encode({"side_effects": list(effects), **more})


def test_hook_is_told_of_the_claim(shop: Shop, asked: Front, receiver: Receiver) -> None:
    codes = [shop.coupon(series="ASK"), shop.coupon()]
    answer = asked.redeem(*codes, transactionNumber="INV-1", billAmount="1800.50", headers={"X-CAP-REQUEST-ID": "req-1"})
    assert code_of(answer.json()) == 700
    (sent,) = receiver.sent
    assert sent.message == {
        "event": "PreRedeem",
        "orgId": shop.org_id,
        "requestId": "req-1",
        "till": {"id": shop.till_id, "storeId": shop.store_id},
        "customer": {
            "id": customer_id(shop, MIRA["mobile"]),
            "mobile": MIRA["mobile"],
            "email": "mira@example.com",
            "externalId": "CRM-77",
        },
        "coupons": [
            {"id": coupon_id(shop, code), "code": code, "seriesId": series_id(shop, series)}
            for code, series in zip(codes, ("ASK", "MON"), strict=True)
        ],
        "billAmount": 1800.5,
        "transactionNumber": "INV-1",
        "redemptionTime": None,
    }
    assert sent.headers["webhook-timestamp"] == str(NOW_MS // 1000)


@pytest.mark.parametrize("wire", ["redeem", "bulk/redeem", "v1.1"])
def test_no_is_683_whatever_the_wire(shop: Shop, asked: Front, receiver: Receiver, wire: str) -> None:
    code = shop.coupon(series="ASK")
    receiver.behave = answering(403)
    assert redeem_somehow(asked, wire, code) == 683
    receiver.behave = answering(200, b"whatever")
    assert redeem_somehow(asked, wire, code) == 700
    assert len(receiver.sent) == 2


@pytest.mark.parametrize(
    ("behave", "expected"),
    [
        (answering(201), 700),
        (answering(200, b"\xff junk"), 700),
        (flooding, 700),
        (answering(302, Location="http://127.0.0.1/"), 683),
        (answering(500), 683),
        (hanging_up, 683),
        (babbling, 683),
    ],
)
def test_only_2xx_is_a_yes(shop: Shop, asked: Front, receiver: Receiver, behave: Behave, expected: int) -> None:
    receiver.behave = behave
    code = shop.coupon(series="ASK")
    assert code_of(asked.redeem(code).json()) == expected
    assert code_of(asked.check(code=code).json()) == (700 if expected == 683 else 711)


def test_hook_is_not_asked_for_nothing(shop: Shop, asked: Front, receiver: Receiver) -> None:
    used = shop.coupon(series="ASK")
    assert code_of(asked.redeem(used, transactionNumber="INV-1").json()) == 700
    assert len(receiver.sent) == 1
    assert code_of(asked.redeem(used, transactionNumber="INV-1").json()) == 700  # the first answer again
    assert code_of(asked.redeem(used, transactionNumber="INV-2").json()) == 711
    assert code_of(asked.redeem(shop.coupon()).json()) == 700
    assert code_of(asked.redeem("NOSUCH").json()) == 719
    assert code_of(asked.redeem(used, user={"mobile": "919812399999"}).json()) == 701
    unused = shop.coupon(series="ASK")
    assert code_of(asked.check(code=unused).json()) == 700
    assert code_of(asked.redeem(unused, path="/v2/coupon/bulk/redeem?is_redeemable=true").json()) == 700
    assert len(receiver.sent) == 1


def test_explicit_key_is_answered_as_the_first_time(shop: Shop, asked: Front, receiver: Receiver) -> None:
    """Also where the coupon could be used again, so that the hook is asked again."""
    shop.series(seriesCode="MANY", isPreRedeemEventRequired=True, isMultipleUseAllowed=True, sameUserMultipleRedeem=True)
    code, headers = shop.coupon(series="MANY"), {"Idempotency-Key": "once"}
    first = asked.redeem(code, headers=headers).json()
    receiver.behave = answering(403)
    again = asked.redeem(code, headers=headers)
    assert again.json() == first
    assert again.headers["Idempotency-Replayed"] == "true"


def test_without_a_hook_nobody_accepts(shop: Shop, front: Front) -> None:
    shop.series(seriesCode="ASK", isPreRedeemEventRequired=True)
    assert code_of(front.redeem(shop.coupon(series="ASK")).json()) == 683


def test_private_address_is_refused(shop: Shop, receiver: Receiver) -> None:
    shop.set(preRedeemHookUrl=receiver.url)
    shop.series(seriesCode="ASK", isPreRedeemEventRequired=True)
    with shop.front() as front:
        assert code_of(front.redeem(shop.coupon(series="ASK")).json()) == 683
    assert not receiver.sent


def test_hook_that_keeps_failing_is_left_alone(shop: Shop, asked: Front, receiver: Receiver) -> None:
    receiver.behave = hanging_up
    codes = [shop.coupon(series="ASK") for _ in range(HOOK_FAILURES_MAX)]
    assert {code_of(asked.redeem(code).json()) for code in codes} == {683}
    receiver.behave, arrived = answering(204), len(receiver.sent)
    assert code_of(asked.redeem(codes[0]).json()) == 683
    assert len(receiver.sent) == arrived
    shop.clock.ms += HOOK_OPEN_MS
    assert {code_of(asked.redeem(code).json()) for code in codes} == {700}


def test_slow_hook_delays_nobody_else(shop: Shop, asked: Front, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Same org, same customer, and on SQLite the same lane: neither lock nor lane waits with the request."""
    monkeypatch.setattr(sender, "HOOK_MS_MAX", 60_000)
    go_on = Event()

    def slow(exchange: Exchange) -> None:
        go_on.wait(60)
        exchange.answer(204)

    receiver.behave = slow
    slow_code, others = shop.coupon(series="ASK"), [shop.coupon() for _ in range(3)]
    body = {"redemptionRequestList": [{"code": slow_code}], "user": MIRA, "transactionNumber": "", "billAmount": "1800"}
    stuck = asyncio.run_coroutine_threadsafe(asked.asking("POST", "/v2/coupon/redeem", json=body), asked.loop)
    receiver.await_arrivals(1)
    assert [code_of(asked.redeem(code).json()) for code in others] == [700, 700, 700]
    assert code_of(asked.check(code=slow_code).json()) == 700
    assert not stuck.done()
    go_on.set()
    assert code_of(stuck.result(60).json()) == 700


def test_items_of_v11_are_asked_together(shop: Shop, asked: Front, receiver: Receiver) -> None:
    """The hook answers nobody before it has heard of both; they are redeemed in the request's order."""
    receiver.behave = together(2)
    code = shop.coupon(series="ASK")
    assert codes_of(post(asked, item(code), item("NOSUCH"), item(shop.coupon()), item(code))) == [700, 719, 700, 711]


def test_effects_of_v11_items_are_asked_together(shop: Shop, told: Front, receiver: Receiver) -> None:
    receiver.behave = together(3)
    assert codes_of(post(told, *(item(shop.coupon()) for _ in range(3)))) == [700, 700, 700]
    assert waiting(shop) == []


def together(number: int) -> Behave:
    """Answer when so many requests are there."""

    def behave(exchange: Exchange) -> None:
        exchange.server.await_arrivals(number)
        exchange.answer(204)

    return behave


@pytest.mark.parametrize("form", ["json", "xml"])
def test_side_effects_are_shown(shop: Shop, told: Front, receiver: Receiver, form: str) -> None:
    receiver.behave = answering(200, answer_of(COUPON, {"type": "points", "awarded_points": 120}))
    code = shop.coupon()
    answer = post(told, item(code, **bill("INV-1")), form=form, headers={"X-CAP-REQUEST-ID": "req-1"})
    if form == "json":
        (shown,) = items_of(answer)
        assert shown["side_effects"] == [COUPON, POINTS]
        assert "warnings" not in shown["item_status"]
        assert receiver.sent[0].message["redemptionId"] == int(shown["redemption_id"])
    else:
        assert "<awarded_points>120</awarded_points>" in answer.text
        assert "<description>10 &amp; more</description>" in answer.text
    (sent,) = receiver.sent
    assert sent.message | {"redemptionId": 0, "customer": {}} == {
        "event": "SideEffects",
        "orgId": shop.org_id,
        "requestId": "req-1",
        "redemptionId": 0,
        "till": {"id": shop.till_id, "storeId": shop.store_id},
        "customer": {},
        "coupon": {"id": coupon_id(shop, code), "code": code, "seriesId": series_id(shop, "MON")},
        "transaction": {"number": "INV-1", "amount": 1800},
    }
    assert sent.headers["webhook-id"] == f"effects_{shop.org_id}_{sent.message['redemptionId']}"
    assert waiting(shop) == []


@pytest.mark.parametrize("behave", [answering(204), answering(200), answering(200, b"{}"), answering(200, answer_of())])
def test_no_side_effects(shop: Shop, told: Front, receiver: Receiver, behave: Behave) -> None:
    receiver.behave = behave
    (shown,) = items_of(post(told, item(shop.coupon())))
    assert shown["side_effects"] == []
    assert "warnings" not in shown["item_status"]
    assert waiting(shop) == []


@pytest.mark.parametrize(
    "behave", [answering(202), answering(200, b'{"status": "Queued"}'), answering(200, answer_of(POINTS, status="queued"))]
)
def test_hook_queued_them(shop: Shop, told: Front, receiver: Receiver, behave: Behave) -> None:
    """The hook has been told, so it is not told again."""
    receiver.behave = behave
    (shown,) = items_of(post(told, item(shop.coupon())))
    assert shown["side_effects"] == []
    assert [warning["code"] for warning in warnings_of(shown)] == [687]
    assert waiting(shop) == []


@pytest.mark.parametrize(
    "behave",
    [
        answering(500),
        answering(400),
        answering(301, Location="/"),
        hanging_up,
        babbling,
        flooding,
        answering(200, b"<html>"),
        answering(200, b"\xff"),
        answering(200, b"[]"),
        answering(200, b"[" * 60_000),
        answering(200, answer_of({"type": "gift"})),
        answering(200, answer_of({"type": "points"})),
        answering(200, answer_of({"type": "points", "awarded_points": "1" * 256})),
        answering(200, b'{"side_effects":[{"type":"points","awarded_points":' + b"1" * 5000 + b"}]}"),
        answering(200, answer_of({**COUPON, "description": "\0"})),
        answering(200, answer_of({**COUPON, "description": "\ufffe"})),
        answering(200, answer_of(*[POINTS] * (SIDE_EFFECTS_MAX + 1))),
    ],
)
def test_failure_is_687_and_stays_to_be_told(shop: Shop, told: Front, receiver: Receiver, behave: Behave) -> None:
    receiver.behave = behave
    answer = post(told, item(shop.coupon()))
    (shown,) = items_of(answer)
    assert answer.status_code == 200
    assert shown["item_status"]["code"] == 700
    assert shown["side_effects"] == []
    assert warnings_of(shown) == [{"code": 687, "message": "Points activities are queued and will be updated later"}]
    assert waiting(shop) == [int(shown["redemption_id"])]


def test_end_between_commit_and_hook_loses_nothing(shop: Shop, told: Front, receiver: Receiver) -> None:
    """Whatever ends the request while the hook is asked: what it had to be told was committed with the redemption."""
    receiver.behave = hanging
    body = {"root": {"coupon": item(shop.coupon())}}
    request = asyncio.run_coroutine_threadsafe(told.asking("POST", REDEEM, json=body), told.loop)
    receiver.await_arrivals(1)
    request.cancel()
    assert waiting(shop) == [receiver.sent[0].message["redemptionId"]]


def warnings_of(shown: Any) -> list[Any]:
    warning = shown["item_status"]["warnings"]["warning"]
    return warning if isinstance(warning, list) else [warning]


def test_v2_and_refusals_tell_nothing(shop: Shop, told: Front, receiver: Receiver) -> None:
    code = shop.coupon()
    assert code_of(told.redeem(code).json()) == 700
    assert codes_of(post(told, item(code), item("NOSUCH"))) == [711, 719]
    assert not receiver.sent
    assert waiting(shop) == []


def test_repeat_tells_nothing_again(shop: Shop, told: Front, receiver: Receiver) -> None:
    well, ill = (item(shop.coupon(), **bill(number)) for number in ("INV-1", "INV-2"))
    receiver.behave = answering(200, answer_of(POINTS))
    first = items_of(post(told, well))[0]
    receiver.behave = answering(503)
    assert warnings_of(items_of(post(told, ill))[0])
    arrived = len(receiver.sent)
    again = items_of(post(told, well))[0]
    assert again["redemption_id"] == first["redemption_id"]
    assert "warnings" not in again["item_status"]
    assert warnings_of(items_of(post(told, ill))[0])
    assert len(receiver.sent) == arrived


def test_both_hooks(shop: Shop, receiver: Receiver) -> None:
    """A coupon that the first refuses is not told to the second."""
    shop.set(preRedeemHookUrl=receiver.url, sideEffectsHookUrl=receiver.url)
    shop.series(seriesCode="ASK", isPreRedeemEventRequired=True)
    receiver.behave = answering(200, answer_of(POINTS))
    with shop.front(**ALLOWED) as front:
        code = shop.coupon(series="ASK")
        assert codes_of(post(front, item(code))) == [700]
        assert [sent.message["event"] for sent in receiver.sent] == ["PreRedeem", "SideEffects"]
        receiver.behave = answering(409)
        assert codes_of(post(front, item(shop.coupon(series="ASK")))) == [683]
    assert [sent.message["event"] for sent in receiver.sent[2:]] == ["PreRedeem"]
    assert waiting(shop) == []
