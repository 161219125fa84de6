"""Repeats (contract README 10): what is answered again, what is judged anew, and that neither redeems twice."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from couponry.core.commands import Redeem
from couponry.core.model import Identifier
from couponry.core.plan import Answer
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store.customers import delete
from couponry.store.engine import Database
from tests.core.world import DAY_MS, NOOR, NOW, coupon, coupon_id, customer, key, place, redeem, series
from tests.ledger.desk import Clock, Desk
from tests.ledger.rows import miscounts, open_shop, rows, run_sql, write
from tests.ledger.stranger import holding

REUSABLE = series(1, is_multiple_use_allowed=True, same_user_multiple_redeem=True)


@pytest.fixture
def shop(database: Database) -> Database:
    """Mira's two coupons, which can be used again and again, so that only a repeat can stop a redemption."""
    open_shop(database, REUSABLE, coupon(1, "A"), coupon(2, "B"))
    return database


def redemptions(database: Database) -> int:
    assert miscounts(database) == []
    return len(rows(database, t.redemption))


def let_pass(desk: Desk, passes_ms: int) -> None:
    assert isinstance(desk.clock, Clock)
    desk.clock.now_ms += passes_ms


def told(desk: Desk, command: Redeem) -> tuple[Code, str]:
    (outcome,) = desk.outcomes(command)
    return outcome.answer.status, outcome.replayed


def test_explicit_key_is_answered_again(desk: Desk, shop: Database) -> None:
    command = redeem("A", key=key(), transaction_number="")
    first, again, later = (desk.outcomes(command)[0] for _ in range(3))
    assert [first.replayed, again.replayed, later.replayed] == ["", "true", "true"]
    assert first.answer == again.answer == later.answer
    assert redemptions(shop) == 1


def test_explicit_key_in_progress(desk: Desk, shop: Database) -> None:
    """796 while the first runs, whatever the second's body; another key and another org have nothing to do with it."""
    command = redeem("A", key=key(), transaction_number="")
    open_shop(shop, REUSABLE, replace(coupon(1, "A"), id=coupon_id(1, 2)), org_id=2)
    with holding(shop.url):
        (first,) = desk.submit(command)
        desk.wait_until(lambda: desk.ledger.in_flight == 1)
        assert desk.statuses(command, redeem("B", key=key(body="other"))) == [Code.KEY_IN_PROGRESS] * 2
        others = desk.submit(redeem("B", key=key("key-2")), redeem("A", key=key(), org_id=2))
    assert [future.result(10).answer.status for future in (first, *others)] == [Code.PROCESSED] * 3
    assert told(desk, command) == (Code.PROCESSED, "true")
    assert redemptions(shop) == 2


def test_explicit_key_with_another_body_is_invalid_input(desk: Desk, shop: Database) -> None:
    """629, and the first answer stays."""
    first, other = redeem("A", key=key(body="one")), redeem("B", key=key(body="two"))
    assert told(desk, first) == (Code.PROCESSED, "")
    assert told(desk, other) == (Code.INVALID_INPUT, "")
    assert told(desk, first) == (Code.PROCESSED, "true")
    assert redemptions(shop) == 1


def test_explicit_key_counts_for_a_day(desk: Desk, shop: Database) -> None:
    command = redeem("A", key=key(), transaction_number="")
    assert told(desk, command) == (Code.PROCESSED, "")
    let_pass(desk, DAY_MS)
    assert told(desk, command) == (Code.PROCESSED, "true")
    let_pass(desk, 1)
    assert told(desk, command) == (Code.PROCESSED, "")
    let_pass(desk, DAY_MS)
    assert told(desk, command) == (Code.PROCESSED, "true")
    assert redemptions(shop) == 2
    assert len(rows(shop, t.idempotency)) == 1


def test_explicit_key_keeps_refusals(desk: Desk, shop: Database) -> None:
    """A refusal is answered again even when its reason is gone."""
    command = redeem("A", customer=(NOOR,), key=key())
    assert told(desk, command) == (Code.NOT_ISSUED_TO_CUSTOMER, "")
    run_sql(shop, "UPDATE coupon SET customer_id = 2")
    assert told(desk, command) == (Code.NOT_ISSUED_TO_CUSTOMER, "true")
    assert len(rows(shop, t.refusal)) == 1
    assert redemptions(shop) == 0


def test_explicit_key_keeps_no_service_failure(desk: Desk, shop: Database) -> None:
    """Prevents a retry that never really retries."""
    run_sql(shop, "UPDATE series_version SET terms = '{'")
    command = redeem("A", key=key())
    assert told(desk, command) == (Code.SERIES_UNREADABLE, "")
    assert rows(shop, t.idempotency) == []
    run_sql(
        shop,
        "INSERT INTO series_version (org_id, series_id, version, terms, created_ms) VALUES (1, 1, 2, "
        """'{"description":"d","seriesCode":"s","zone":"UTC"}', 0)""",
        "UPDATE series SET version = 2",
    )
    assert told(desk, command) == (Code.PROCESSED, "")


def test_bill_is_answered_again(desk: Desk, shop: Database) -> None:
    """Same till, number, customer and coupons in any order and spelling."""
    first, again = desk.outcomes(redeem("A", "B"), redeem("b", " a "))
    assert (first.replayed, again.replayed) == ("", "derived")
    assert first.answer == again.answer
    assert told(desk, redeem("A", "B", amount=Decimal("1800.00"))) == (Code.PROCESSED, "derived")
    assert redemptions(shop) == 2


@pytest.mark.parametrize(
    "changed",
    [
        redeem("A", amount=Decimal(1799)),
        redeem("A", transaction_number="INV-5511"),
        redeem("A", place=place(12, 21)),
        redeem("A", transaction_number=""),
    ],
)
def test_other_bill_is_judged_anew(desk: Desk, shop: Database, changed: Redeem) -> None:
    assert desk.statuses(redeem("A")) == [Code.PROCESSED]
    assert told(desk, changed) == (Code.PROCESSED, "")
    assert redemptions(shop) == 2


def test_other_amount_takes_the_place_of_the_first(desk: Desk, shop: Database) -> None:
    """One answer is kept per bill: the last."""
    one, two = redeem("A", amount=Decimal(1)), redeem("A", amount=Decimal(2))
    assert [told(desk, command) for command in (one, two, two, one, one)] == [
        (Code.PROCESSED, ""),
        (Code.PROCESSED, ""),
        (Code.PROCESSED, "derived"),
        (Code.PROCESSED, ""),
        (Code.PROCESSED, "derived"),
    ]
    assert redemptions(shop) == 3


def test_bill_counts_for_a_day(desk: Desk, shop: Database) -> None:
    assert told(desk, redeem("A")) == (Code.PROCESSED, "")
    let_pass(desk, DAY_MS)
    assert told(desk, redeem("A")) == (Code.PROCESSED, "derived")
    let_pass(desk, 1)
    assert told(desk, redeem("A")) == (Code.PROCESSED, "")


def test_bill_is_never_answered_again_at_zero_hours(desk: Desk, shop: Database) -> None:
    run_sql(shop, """UPDATE org SET version = 2, settings = '{"derivedIdempotencyHours":0}'""")
    assert [told(desk, redeem("A")) for _ in range(2)] == [(Code.PROCESSED, "")] * 2
    assert rows(shop, t.idempotency) == []


def test_refused_bill_is_judged_anew(desk: Desk, shop: Database) -> None:
    run_sql(shop, "UPDATE coupon SET customer_id = 2")
    assert told(desk, redeem("A")) == (Code.NOT_ISSUED_TO_CUSTOMER, "")
    run_sql(shop, "UPDATE coupon SET customer_id = 1")
    assert told(desk, redeem("A")) == (Code.PROCESSED, "")


def test_reversed_bill_is_judged_anew(desk: Desk, shop: Database) -> None:
    """A reversal of one of its coupons is enough."""
    assert told(desk, redeem("A", "B")) == (Code.PROCESSED, "")
    run_sql(
        shop,
        "UPDATE redemption SET reversed_ms = 1 WHERE use_number = 1 AND coupon_id = (SELECT MIN(id) FROM coupon)",
        "UPDATE coupon SET redeemed = 0 WHERE id = (SELECT MIN(coupon_id) FROM redemption)",
        "UPDATE customer_series SET redeemed = 1",
        "UPDATE series_counter SET redeemed = 1 WHERE redeemed = 2",
    )
    assert told(desk, redeem("A", "B")) == (Code.PROCESSED, "")
    assert told(desk, redeem("A", "B")) == (Code.PROCESSED, "derived")
    assert redemptions(shop) == 4


def test_answer_survives_the_process(database: Database, shop: Database) -> None:
    command = redeem("A", "B", key=key())
    with Desk(database.url) as first:
        before = first.answer(command)
    with Desk(database.url) as second:
        (outcome,) = second.outcomes(command)
    assert (outcome.answer, outcome.replayed) == (before, "true")


@pytest.mark.parametrize("fields", [{"key": key()}, {}], ids=["key", "bill"])
def test_stored_answer_knows_no_person(desk: Desk, shop: Database, fields: dict[str, Any]) -> None:
    """Prevents names and numbers that outlive a deletion: the row has the customer's id, a repeat shows who that is by now."""
    write(shop, customer(9, first_name="Zelda", mobile="919812399999", email="z@zelda.test"), coupon(9, "Z", customer_id=9))
    command = redeem("Z", customer=(("mobile", "919812399999"),), **fields)
    first, again = desk.outcomes(command)[0].answer, desk.outcomes(command)[0].answer
    assert isinstance(first, Answer)
    assert first.customer
    assert first.customer.first_name == "Zelda"
    assert again == first
    (row,) = rows(shop, t.idempotency)
    assert not any(said in row["answer"] for said in (b"Zelda", b"919812399999", b"zelda.test"))


@pytest.mark.parametrize("named", [("mobile", "919812300001"), ("id", "1")])
def test_repeat_after_the_customer_is_deleted(desk: Desk, shop: Database, named: Identifier) -> None:
    """The first answer, and nobody: also when the number has become somebody else's."""
    command = redeem("A", customer=(named,), key=key())
    assert told(desk, command) == (Code.PROCESSED, "")
    with shop.writing() as tx:
        delete(tx, 1, 1, NOW)
    for _ in range(2):
        (outcome,) = desk.outcomes(command)
        assert isinstance(outcome.answer, Answer)
        assert (outcome.answer.status, outcome.replayed, outcome.answer.customer) == (Code.PROCESSED, "true", None)
        run_sql(shop, "UPDATE customer SET mobile = '919812300001' WHERE id = 2")
    assert redemptions(shop) == 1
