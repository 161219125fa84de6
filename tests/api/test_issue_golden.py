"""The contract's own examples of issue and lifecycle answers: names, nesting, values and types (v2-coupon 1-3, 7-10)."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import pytest
from msgspec import Struct
from msgspec.structs import replace

from couponry.api.envelopes import Errors, error_of
from couponry.api.v2 import issue_render, lifecycle_render
from couponry.api.v2.issue_responses import BareErrors
from couponry.api.v2.lifecycle_responses import Done
from couponry.core.dates import local_from_wire, ms_from_local
from couponry.core.model import Customer
from couponry.core.plan import (
    AmendAnswer,
    AmendedItem,
    IssueAnswer,
    IssuedCoupon,
    IssuedItem,
    RedateAnswer,
    RevokeAnswer,
    RevokedCoupon,
    SeriesOffer,
)
from couponry.core.status import Code

UTC: Final = ZoneInfo("UTC")
GOLDEN: Final = Path(__file__).parent / "golden"
EXPIRY: Final = "2031-04-30T23:59:59"


def ms(text: str) -> int:
    return ms_from_local(local_from_wire(text, UTC), UTC)


MIRA: Final = Customer(
    id=90210,
    first_name="Mira",
    last_name="Rao",
    mobile="919812300001",
    email="mira@example.com",
    external_id="CRM-77",
    updated_ms=ms("2031-03-02T09:15:00Z"),
)


MONSOON: Final = SeriesOffer(
    5001, "Monsoon 15", "15 percent, up to 200", "MON15", "PERC", Decimal(15), Decimal("200.000"), "BILL", {}
)
VISIT: Final = SeriesOffer(5002, "Visit reward", "Visit reward", "NO_VALUE", "ABS", Decimal(50), Decimal(0), "BILL", {})
SOLO: Final = SeriesOffer(5003, "One each", "One each", "NO_VALUE", "ABS", Decimal(50), Decimal(0), "BILL", {})


def issued(coupon_id: int, code: str) -> IssuedCoupon:
    return IssuedCoupon(coupon_id, code, EXPIRY)


def answer(*items: IssuedItem) -> IssueAnswer:
    return IssueAnswer(Code.PROCESSED, items, MIRA)


def one() -> Struct:
    item = IssuedItem(Code.PROCESSED, 5001, MONSOON, (issued(700123, "H4TQ9ZKM"),))
    return issue_render.issued(answer(item), UTC, "UPPER")


def bulk() -> Struct:
    items = (
        IssuedItem(Code.PROCESSED, 5001, MONSOON, (issued(700124, "w8r2lpxa"),)),
        IssuedItem(Code.UNKNOWN_SERIES_NAMED, 5999),
    )
    return issue_render.bulk_issued(answer(*items), (5001, "5999"), UTC, "UPPER")


def multiple() -> Struct:
    item = IssuedItem(Code.PROCESSED, 5002, VISIT, (issued(700130, "3084110052"), issued(700131, "5686110077")))
    return issue_render.several_issued(answer(item), 2, UTC, "UPPER")


def multiple_cut() -> Struct:
    item = IssuedItem(Code.PROCESSED, 5003, SOLO, (issued(700140, "solo2031"),), Code.ONE_PER_CUSTOMER)
    return issue_render.several_issued(answer(item), 2, UTC, "UPPER")


def revoke() -> Struct:
    revoked = RevokedCoupon(700131, "5686110077", 90210)
    failed = ((Code.NOT_IN_SERIES, "nope-1"), (Code.REDEEMED, "3084110052"))
    return lifecycle_render.revoked(RevokeAnswer(Code.PROCESSED, (revoked,), failed), "UPPER")


def expiry() -> Struct:
    sent = (("W8R2LPXA", ms("2031-04-15T10:00:00Z")), ("h4tq9zkm", ms("2040-01-01T00:00:00Z")))
    answer = RedateAnswer(Code.PROCESSED, (None, Code.EXPIRY_BEYOND_SERIES), 5001, 90210)
    return lifecycle_render.redated(answer, sent, UTC, "UPPER")


def update() -> Struct:
    items = (
        AmendedItem(Code.UPDATED, 880001, Decimal("1800.000"), "INV-5510-A", 4411, (("fulfilment", "done"),)),
        AmendedItem(Code.INVALID_REDEMPTION_IDS, 999999, None, "X", 1),
    )
    return lifecycle_render.amended(AmendAnswer(Code.PARTLY_UPDATED, items, MIRA), UTC)


MADE: Final[dict[str, Callable[[], Struct]]] = {
    "one": one,
    "one refused": lambda: Errors([error_of(Code.UNKNOWN_SERIES)]),
    "bulk": bulk,
    "multiple": multiple,
    "multiple cut": multiple_cut,
    "multiple refused": lambda: BareErrors([error_of(Code.COUNT_TOO_LARGE)]),
    "update": update,
    "reactivate": lambda: Done(success=True),
    "reactivate refused": lambda: Done(success=False, errors=[error_of(Code.INVALID_REDEMPTION_IDS)]),
    "revoke": revoke,
    "expiry": expiry,
}


def examples() -> dict[str, Any]:
    return {**json.loads((GOLDEN / "issue.json").read_text()), **json.loads((GOLDEN / "lifecycle.json").read_text())}


def with_types(value: object, customer: object) -> object:
    """The value with the type of everything in it, since 15 == 15.0 and True == 1; `"customer"` stands for the whole block."""
    match value:
        case "customer":
            return with_types(customer, None)
        case dict():
            return {name: with_types(each, customer) for name, each in value.items()}
        case list():
            return [with_types(each, customer) for each in value]
        case _:
            return type(value).__name__, value


def test_every_example_is_made() -> None:
    assert examples().keys() - {"customer"} == MADE.keys()


@pytest.mark.parametrize("name", MADE)
def test_example(name: str) -> None:
    golden = examples()
    made = json.loads(msgspec.json.encode(MADE[name]()))
    assert with_types(made, golden["customer"]) == with_types(golden[name], golden["customer"])


@pytest.mark.parametrize(
    ("code", "is_status"), [(Code.RESENT, True), (Code.NOT_COMMUNICATED, False)], ids=["resent", "not communicated"]
)
def test_warnings(code: Code, is_status: bool) -> None:
    """A resent coupon is good news, a message that goes nowhere is not."""
    item = IssuedItem(Code.PROCESSED, 5001, MONSOON, (issued(1, "A"),), None, (code,))
    body = json.loads(msgspec.json.encode(issue_render.issued(answer(item), UTC, "UPPER")))
    assert body["warnings"] == [{"status": is_status, "code": code.number, "message": code.message}]


def test_what_cuts_a_batch_says_how_much() -> None:
    item = IssuedItem(Code.PROCESSED, 5003, SOLO, (issued(1, "A"),), Code.CUT)
    response = issue_render.several_issued(answer(item), 5, UTC, "UPPER")
    assert [error.message for error in response.errors] == ["Unable to issue 4 coupons"]
    assert (response.total_count, response.success_count, response.failure_count) == (5, 1, 4)


def test_expiry_is_shown_in_the_server_zone() -> None:
    in_india = replace(MONSOON, zone="Asia/Kolkata")
    item = IssuedItem(Code.PROCESSED, 5001, in_india, (IssuedCoupon(1, "A", "2031-04-30T10:30:00"),))
    response = issue_render.issued(answer(item), ZoneInfo("Asia/Kolkata"), "UPPER")
    assert response.valid_till == "2031-04-30T00:00:00+05:30"
    assert response.valid_till_date_time == "2031-04-30T10:30:00+05:30"
