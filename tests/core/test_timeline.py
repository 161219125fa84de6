"""One coupon's life in one list: newest first, page by page, nothing lost and nothing twice."""

from decimal import Decimal

import pytest

from couponry.core.deliveries import Channel, Delivery, DeliveryState
from couponry.core.status import Code
from couponry.core.timeline import (
    Done,
    Happening,
    Refused,
    Unit,
    Used,
    cursor_of,
    of_action,
    of_coupon,
    of_delivery,
    of_refusal,
    of_use,
    page_of,
)
from tests.core.world import coupon


def unit(source: str, number: int, at_ms: int) -> Unit:
    return Unit(source, number, at_ms, (Happening(at_ms, f"{source}{number}"),))


LIVES = {
    "one after the other": {"d": [(1, 10), (2, 20), (3, 30)], "u": [(1, 40), (2, 50)]},
    "woven": {"d": [(1, 10), (2, 30), (3, 50)], "u": [(1, 20), (2, 40)], "f": [(7, 25), (9, 26)]},
    "at the same time": {"d": [(1, 10), (2, 10), (3, 10)], "u": [(1, 10), (2, 10)]},
    "redeemed elsewhere, recorded late": {"u": [(1, 50), (2, 20), (3, 60)], "a": [(1, 30), (2, 55)]},
    "nothing": {},
}


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES)
def test_every_page_together_is_the_whole_life(life: dict[str, list[tuple[int, int]]], limit: int) -> None:
    own = [Happening(5, "Made"), Happening(22, "Revoked")]
    seen: list[str] = []
    text: str | None = ""
    for _ in range(20):
        cursor = cursor_of(text or "")
        sources = [
            [unit(source, *row) for row in reversed(rows) if row[0] < cursor.get(source, 99)][: limit + 1]
            for source, rows in life.items()
        ]
        page = page_of(sources, own, cursor, limit)
        assert page.happenings == sorted(page.happenings, key=lambda line: -line.at_ms)
        seen += [line.what for line in page.happenings]
        text = page.next
        if text is None:
            break
    assert sorted(seen) == sorted(["Made", "Revoked", *(f"{source}{row[0]}" for source, rows in life.items() for row in rows)])


@pytest.mark.parametrize("text", ["", "x", "d", "d1.", "d1.q2", "d99999999999999999", "d-1", "1d"])
def test_what_is_no_cursor_is_the_newest_page(text: str) -> None:
    assert cursor_of(text) == {}


def test_what_each_source_says() -> None:
    use = Used(1, 1, 3, 100, "INV-1", Decimal("1800.00"), "till1", "Indiranagar", 200, "till2", "CASHIER_ERROR")
    assert [(line.what, line.note) for line in of_use(use, "INR").happenings] == [
        ("Redeemed at Indiranagar, till till1", "Bill INV-1, INR 1800."),
        ("Redemption reversed at till till2", "Bill INV-1. Reason: cashier error. The use came back."),
    ]
    (refused,) = of_refusal(Refused(5, Code.INVALID_STORE, 3, "till1", "", None, None, 300), 12).happenings
    assert (refused.what, refused.note) == (
        "Refused at till till1",
        "The store or till is not one that the series may be redeemed at.",
    )
    assert refused.ask == {
        "coupon": "12",
        "till": "till1",
        "time": "300",
        "redeemed": "",
        "amount": "",
        "bill": "",
        "customer": "#3",
    }
    (done,) = of_action(Done(1, 400, "a@example.com", "asked: revoke", {"state": "live"}, {"reason": "twice"})).happenings
    assert (done.what, done.note, done.by) == ("Asked: revoke", "state live; reason twice", "a@example.com")
    assert [line.what for line in of_coupon(coupon(), 1, "Indiranagar, till till1", 9)] == [
        *("Made", "Issued at Indiranagar, till till1", "Revoked")
    ]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (DeliveryState.DELIVERED, [("SMS to ••••0001", ""), ("delivered", "The gateway took it.")]),
        (DeliveryState.FAILED, [("SMS to ••••0001", ""), ("failed", "It was given up: no credit")]),
        (DeliveryState.SKIPPED, [("skipped", "It was not sent: no credit")]),
        (DeliveryState.WAITING, [("SMS to ••••0001", "It waits to be sent, tried 2 times: no credit")]),
    ],
)
def test_what_came_of_a_message(state: DeliveryState, said: list[tuple[str, str]]) -> None:
    is_done = state in {DeliveryState.DELIVERED, DeliveryState.FAILED}
    delivery = Delivery(
        id=1,
        outbox_id=1,
        event="IssueMessage",
        target_id=Channel.SMS,
        customer_id=3,
        coupon_id=12,
        address="919812300001",
        body="",
        state=state,
        attempts=2,
        next_ms=0,
        created_ms=10,
        begun_ms=None,
        done_ms=20 if is_done else None,
        http_status=None,
        took_ms=None,
        problem="no credit",
        request_id="",
        ref_id="",
        happened_ms=10,
    )
    lines = of_delivery(delivery).happenings
    assert [(line.what.removeprefix("Message about the issue: "), line.note) for line in lines] == said
