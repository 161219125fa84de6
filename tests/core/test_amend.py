"""What is recorded about a redemption's bill: a line per case, ending in its code (v2-coupon 7)."""

from decimal import Decimal
from typing import Any, Final

import pytest

from couponry.core.commands import Amendment
from couponry.core.decide import decide
from couponry.core.limits import CUSTOM_FIELDS_MAX
from couponry.core.model import Standing
from couponry.core.plan import AmendAnswer
from couponry.core.state import State
from couponry.core.status import Code
from tests.core.world import (
    MIRA,
    NOBODY,
    NOOR,
    NOW,
    amend,
    ask,
    coupon,
    coupon_id,
    redemption_id,
    reverse,
    state,
    stored,
    told,
)


def bills() -> State:
    """Mira's redemptions 1 and 2, and Noor's 3; the second was reversed."""
    there = state()
    there.redemptions = {
        redemption_id(1): stored(1, custom_fields={"colour": "red"}),
        redemption_id(2): stored(2, is_undone=True),
        redemption_id(3): stored(3, customer_id=2, bill_id=77),
    }
    return there


def amendment(serial: int = 1, **fields: Any) -> Amendment:
    return Amendment(redemption_id(serial), **fields)


BILL: Final = (Decimal(1800), "INV-5510", None, (("colour", "red"),))
AMENDED: Final[list[tuple[dict[str, Any], tuple[Any, ...]]]] = [
    ({}, BILL),
    ({"amount": Decimal("99.5")}, (Decimal("99.5"), *BILL[1:])),
    ({"amount": Decimal(0)}, (Decimal(0), *BILL[1:])),
    ({"transaction_number": "INV-9"}, (BILL[0], "INV-9", *BILL[2:])),
    ({"transaction_number": ""}, (BILL[0], "", *BILL[2:])),
    ({"bill_id": 4411}, (*BILL[:2], 4411, BILL[3])),
    ({"custom_fields": (("size", "L"),)}, (*BILL[:3], (("colour", "red"), ("size", "L")))),
    ({"custom_fields": (("colour", "blue"),)}, (*BILL[:3], (("colour", "blue"),))),
    ({"amount": Decimal(5), "bill_id": 1}, (Decimal(5), "INV-5510", 1, BILL[3])),
]


@pytest.mark.parametrize("row", AMENDED, ids=lambda row: str(row[0]))
def test_only_what_was_sent_changes(row: tuple[dict[str, Any], tuple[Any, ...]]) -> None:
    fields, recorded = row
    there = bills()
    plan = decide(there, [amend(amendment(**fields))])
    answer = told(AmendAnswer, plan.outcomes[0])
    (item,) = answer.items
    assert (answer.status, item.status, item.redemption_id) == (Code.UPDATED, Code.UPDATED, redemption_id(1))
    assert (item.amount, item.transaction_number, item.bill_id, item.custom_fields) == recorded
    (after,) = plan.amended
    assert there.redemptions[redemption_id(1)] == after
    assert (after.amount, after.transaction_number, after.bill_id, tuple(after.custom_fields.items())) == recorded


UPDATED: Final = Code.UPDATED
UNKNOWN: Final = Code.INVALID_REDEMPTION_IDS
ANSWERS: Final[list[tuple[tuple[int, ...], Any, Code, list[Code]]]] = [
    ((1,), None, UPDATED, [UPDATED]),
    ((1, 3), None, UPDATED, [UPDATED, UPDATED]),
    ((2,), None, UPDATED, [UPDATED]),  # a reversed one has a bill as well
    ((1, 9), None, Code.PARTLY_UPDATED, [UPDATED, UNKNOWN]),
    ((9, 1), None, Code.PARTLY_UPDATED, [UNKNOWN, UPDATED]),
    ((9,), None, Code.ALL_FAILED, [UNKNOWN]),
    ((8, 9), None, Code.ALL_FAILED, [UNKNOWN, UNKNOWN]),
    ((1, 1), None, UPDATED, [UPDATED, UPDATED]),
    ((1, 2), (MIRA,), UPDATED, [UPDATED, UPDATED]),
    ((1, 3), (MIRA,), Code.PARTLY_UPDATED, [UPDATED, UNKNOWN]),
    ((1,), (NOOR,), Code.ALL_FAILED, [UNKNOWN]),
    ((1,), (NOBODY,), Code.CUSTOMER_NOT_FOUND, []),
    ((1,), (), Code.INVALID_CUSTOMER, []),
    ((1,), (MIRA, NOOR), Code.INVALID_CUSTOMER, []),
]


@pytest.mark.parametrize("row", ANSWERS, ids=lambda row: f"{row[0]} {row[1]}")
def test_amend(row: tuple[tuple[int, ...], Any, Code, list[Code]]) -> None:
    """A line per request: whose redemptions, the request's code, and each one's."""
    serials, whom, code, each = row
    there = bills()
    sent = [amendment(serial, amount=Decimal(7), transaction_number="X", bill_id=1) for serial in serials]
    plan = decide(there, [amend(*sent, customer=whom)])
    answer = told(AmendAnswer, plan.outcomes[0])
    assert (answer.status, [item.status for item in answer.items]) == (code, each)
    assert len(plan.amended) == each.count(UPDATED)
    assert all((item.amount, item.transaction_number, item.bill_id) == (Decimal(7), "X", 1) for item in answer.items)
    assert [*plan.events, *plan.refusals] == []


def test_refused_amendment_shows_only_what_was_sent() -> None:
    """Prevents a look at somebody else's bill."""
    answer = ask(AmendAnswer, bills(), amend(amendment(3), customer=(MIRA,)))
    (item,) = answer.items
    assert (item.amount, item.transaction_number, item.bill_id, item.custom_fields) == (None, "", None, ())


def test_custom_fields_do_not_pile_up() -> None:
    """Prevents a row that grows with every request."""
    there = bills()
    names = [f"n{at}" for at in range(CUSTOM_FIELDS_MAX)]
    (item,) = ask(AmendAnswer, there, amend(amendment(custom_fields=tuple((name, "") for name in names)))).items
    assert item.status is Code.INVALID_INPUT
    assert there.redemptions[redemption_id(1)].custom_fields == {"colour": "red"}
    (item,) = ask(AmendAnswer, there, amend(amendment(custom_fields=tuple((name, "") for name in names[1:])))).items
    assert item.status is Code.UPDATED


def test_amendments_add_up() -> None:
    """In one request and over several of a batch, also around a reversal."""
    there = bills()
    there.coupons[coupon_id(1)] = coupon(redeemed=1, uses=1)
    there.active, there.standings = {(1, 1): {redemption_id(1): NOW}}, {(1, 1): Standing(1, 1, NOW)}
    first = amend(amendment(amount=Decimal(1)), amendment(bill_id=2))
    plan = decide(there, [first, reverse(redemption_id(1)), amend(amendment(transaction_number="Z"))])
    after = plan.amended[-1]
    assert (after.amount, after.bill_id, after.transaction_number) == (Decimal(1), 2, "Z")
    assert there.redemptions[redemption_id(1)] == after
    assert after.is_undone
