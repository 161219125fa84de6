"""Terms in words: what a person reads must be what the rules do."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from couponry.core.liability import worst_case
from couponry.core.model import ExpiryReminder, ExpiryStrategy, Handling, OrgEntity
from couponry.core.terms_words import differences, field_named, in_labels, in_one_line, sentences
from tests.core.world import terms

D = Decimal


def test_the_whole_of_an_offer() -> None:
    offer = terms(
        discount_type="PERC",
        discount_value=D("15.50"),
        discount_upto=D(200),
        min_bill_amount=D(500),
        redemption_range='{"dow":[6,0],"hours":[10,11,12,17]}',
        redemption_org_entity_details=(OrgEntity("STORE", 21), OrgEntity("STORE", 22), OrgEntity("ZONE", 5)),
        max_redeem=1000,
        expiry_reminders=(ExpiryReminder(1, "SMS", "10:00"), ExpiryReminder(3, "EMAIL", "09:00")),
    )
    names = {("STORE", 21): "Bangalore", ("ZONE", 5): "South"}
    assert sentences(offer, "INR", names) == [
        "15.5 % off, at most INR 200, on bills from INR 500.",
        "Each code is 8 letters and digits.",
        "Each code once; only the customer who got a coupon may use it.",
        "A customer holds one unused coupon at a time.",
        "Saturdays and Sundays, 10:00 to 12:59 and 17:00 to 17:59.",
        "Until 31 December 2031.",
        "At stores Bangalore and no. 22 or zone South.",
        "At most 1,000 redemptions.",
        "Customers are reminded 3 days before by e-mail at 09:00 and 1 day before by SMS at 10:00.",
    ]


SAID: list[tuple[dict[str, Any], str]] = [
    ({"discount_value": D("49.5")}, "INR 49.50 off"),
    ({"discount_value": D(50), "max_bill_amount": D(900)}, "INR 50 off, on bills up to INR 900"),
    ({"is_multiple_use_allowed": True}, "each code several times, by each customer once"),
    (
        {
            "is_multiple_use_allowed": True,
            "same_user_multiple_redeem": True,
            "any_user": True,
            "redemption_per_coupon_max_limit": 3,
        },
        "each code up to 3 times; anybody may use a coupon",
    ),
    (
        {"expiry_strategy_type": ExpiryStrategy.DAYS, "expiry_strategy_value": 30},
        "for 30 days after it was given, and no longer than",
    ),
    ({"expiry_strategy_type": ExpiryStrategy.MONTHS_END, "expiry_strategy_value": 0}, "end of the month in which it was given"),
    ({"valid_till_date": date(9999, 12, 31)}, "without an end"),
    ({"valid_till_date": date(2131, 3, 10)}, "without an end (10 March 2131)"),
    ({"valid_till_date_time": datetime(2031, 4, 30, 18)}, "until 30 April 2031, 18:00"),  # noqa: DTZ001 - a local time
    (
        {"redemption_valid_from": date(2031, 4, 1), "redemption_valid_after_days": 1},
        "from 1 April 2031, from 1 day after it was given",
    ),
]


@pytest.mark.parametrize(("fields", "words"), SAID)
def test_in_one_line(fields: dict[str, Any], words: str) -> None:
    assert words in in_one_line(terms(**fields), "INR")


def test_differences_are_told_field_by_field() -> None:
    before = terms(discount_type="PERC", discount_value=D(10), max_redeem=-1)
    after = terms(discount_type="ABS", discount_value=D(50), max_redeem=100, redemption_range='{"dow":[1]}', any_user=True)
    assert [(each.label, each.before, each.after) for each in differences(before, after, "INR")] == [
        ("Kind of discount", "a percentage", "an amount"),
        ("Discount", "10", "50"),
        ("Days and hours", "any time", "Mondays"),
        ("Redemptions in all", "no limit", "100"),
        ("Anybody may use a coupon", "no", "yes"),
    ]
    assert differences(before, before, "INR") == []


def test_refusals_name_fields_as_people_know_them() -> None:
    assert in_labels("maxBillAmount must not be below minBillAmount") == "“Largest bill” must not be below “Smallest bill”"
    assert field_named("maxBillAmount must not be below minBillAmount") == "maxBillAmount"
    assert field_named("Expected `int`, got `str` - at `$.maxCreate`") == "maxCreate"
    assert field_named("nothing of the kind") == ""


COSTS: list[tuple[dict[str, Any], int | None, int | None]] = [
    ({"discount_value": D(50)}, 100, 5_000),
    ({"discount_value": D(50), "max_redeem": 10}, 100, 500),
    ({"discount_value": D(50), "max_redeem": 10}, None, 500),
    ({"discount_value": D(50)}, None, None),
    ({"discount_type": "PERC", "discount_value": D(10)}, 100, None),
    ({"discount_type": "PERC", "discount_value": D(10), "discount_upto": D(30)}, 100, 3_000),
    ({"discount_type": "PERC", "discount_value": D(10), "max_bill_amount": D(1000)}, 100, 10_000),
    ({"discount_type": "PERC", "discount_value": D(10), "max_bill_amount": D(100), "discount_upto": D(30)}, 100, 1_000),
    ({"discount_type": "PERC", "discount_value": D(0)}, None, 0),
    ({"discount_value": D(50), "is_multiple_use_allowed": True}, 100, 5_000),
    ({"discount_value": D(50), "is_multiple_use_allowed": True, "same_user_multiple_redeem": True}, 100, None),
    (
        {"discount_value": D(50), "is_multiple_use_allowed": True, "any_user": True, "redemption_per_coupon_max_limit": 3},
        100,
        15_000,
    ),
    ({"discount_value": D(50), "client_handling_type": Handling.SHARED, "any_user": True}, 100, None),
    ({"discount_value": D(50), "client_handling_type": Handling.SHARED}, 100, 5_000),
]


@pytest.mark.parametrize(("fields", "coupons", "cost"), COSTS)
def test_the_worst_case(fields: dict[str, Any], coupons: int | None, cost: int | None) -> None:
    assert worst_case(terms(**fields), coupons).total == cost
