"""The check before a launch: a line for each thing that may be wrong, and the one sentence that says so."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from couponry.core.launch_facts import Count, Facts
from couponry.core.model import ExpiryReminder, ExpiryStrategy, Handling, OrgEntity
from couponry.core.preflight import Finding, Severity, findings, needs_approval
from couponry.core.problem import Problem
from tests.core.world import NOW, ms, org, series

STOPS, WARNS, TELLS = Severity.STOPS, Severity.WARNS, Severity.TELLS
D = Decimal
SOUND = {
    "discount_type": "PERC",
    "discount_value": D(15),
    "discount_upto": D(200),
    "random_code_length": 10,
    "sms_template": "{{voucher_code}}",
}


def facts(terms: dict[str, Any] | None = None, settings: dict[str, Any] | None = None, **changed: Any) -> Facts:
    """A launch with which nothing is wrong, to a hundred customers, but for these."""
    gateways = {"sms_url": "json://gateway", "email_url": "mailto://gateway", "launch_approval_above": 20_000}
    usual = {
        "org": org(**{**gateways, **(settings or {})}),
        "series": series(**{**SOUND, **(terms or {})}),
        "is_new": True,
        "launch_ms": NOW,
        "ends_ms": None,
        "whom": "everyone",
        "count": 1,
        "send": True,
        "people": Count(100, 100),
    }
    return Facts(**{**usual, **changed})


def found(given: Facts) -> list[tuple[Severity, str]]:
    return [(each.severity, each.text) for each in findings(given)]


def test_nothing_is_wrong_but_what_it_costs() -> None:
    assert findings(facts()) == [
        Finding(
            TELLS,
            "At worst it costs INR 20,000: 100 redemptions of up to INR 200.",
            "Lower the discount or the limits to risk less.",
            "terms",
        )
    ]


SAID: dict[str, tuple[Facts, Severity, str]] = {
    "over before launch": (facts(ends_ms=NOW), STOPS, "The campaign is over before its launch."),
    "ends before coupons do": (
        facts(ends_ms=ms("2031-06-01")),
        WARNS,
        "The campaign ends before its coupons expire on 31 December 2031; from its end on, none can be redeemed.",
    ),
    "expired": (facts(launch_ms=ms("2032-01-01")), STOPS, "The series has expired by the time of the launch."),
    "starts after it ends": (
        facts({"redemption_valid_from": date(2032, 1, 1)}),
        STOPS,
        "A coupon waits for its first day until 1 January 2032, and expires on 31 December 2031: it can never be redeemed.",
    ),
    "waits longer than it lives": (
        facts({"redemption_valid_after_days": 10, "expiry_strategy_type": ExpiryStrategy.DAYS, "expiry_strategy_value": 7}),
        STOPS,
        "A coupon has to wait after its issue until 20 March 2031, and expires on 17 March 2031: it can never be redeemed.",
    ),
    "no such day in its life": (
        facts(
            {
                "redemption_range": '{"dow":[0]}',
                "expiry_strategy_type": ExpiryStrategy.DAYS,
                "expiry_strategy_value": 5,
            }
        ),
        STOPS,
        "Between 10 March 2031 and 15 March 2031 there is no moment at which the days and hours let a coupon be redeemed.",
    ),
    "no such hour before the campaign ends": (
        facts({"redemption_range": '{"hours":[9,10]}'}, ends_ms=ms("2031-03-11 08:00")),
        STOPS,
        "Between 10 March 2031 and 11 March 2031 there is no moment at which the days and hours let a coupon be redeemed.",
    ),
    "redeemed by nobody": (facts({"max_redeem": 0}), STOPS, "A limit is 0: no coupon may ever be redeemed."),
    "issued to nobody": (facts({"max_create": 0}), STOPS, "A limit is 0: no coupon may ever be issued."),
    "no discount": (facts({"discount_value": D(0)}), WARNS, "The discount is 0."),
    "never reached": (
        facts({"max_redeem": 5000}),
        TELLS,
        "The limit of 5,000 redemptions can never be reached: there can be 100 at most.",
    ),
    "one may redeem more than all": (
        facts({"max_redeem": 50, "max_redemptions_in_series_per_user": 60}),
        WARNS,
        "The terms allow more redemptions by one customer than in all.",
    ),
    "uses that cannot be": (
        facts({"same_user_multiple_redeem": True}),
        TELLS,
        "A coupon works once, so that a customer may use it again has no effect.",
    ),
    "ceiling of an amount": (facts({"discount_type": "ABS"}), TELLS, "The discount is an amount, so its ceiling has no effect."),
    "guessed": (
        facts({"random_code_length": 4, "alpha_numeric": False}),
        WARNS,
        "With 100 codes in use, 10,000 of a million guesses hit one.",
    ),
    "run out": (
        facts({"random_code_length": 4, "alpha_numeric": False}, people=Count(20_000, 20_000)),
        STOPS,
        "There are 10,000 codes of this length, too few for the launch.",
    ),
    "reminded before the launch": (
        facts(
            {
                "expiry_reminders": (ExpiryReminder(10, "SMS", "10:00"),),
                "expiry_strategy_type": ExpiryStrategy.DAYS,
                "expiry_strategy_value": 7,
            }
        ),
        WARNS,
        "The reminder 10 days before, at 10:00, is due before the launch: it is not sent for these coupons.",
    ),
    "reminded after the expiry": (
        facts(
            {"expiry_reminders": (ExpiryReminder(0, "SMS", "18:00"),), "valid_till_date_time": datetime(2031, 12, 31, 12)}  # noqa: DTZ001 - a local time
        ),
        WARNS,
        "The reminder 0 days before, at 18:00, comes after the coupon has expired.",
    ),
    "nowhere": (
        facts({"redemption_org_entity_details": (OrgEntity("STORE", 9),)}, unknown_places=["store 9"], places=1),
        STOPS,
        "None of the places is yours (store 9): no till can redeem a coupon.",
    ),
    "partly nowhere": (facts(unknown_places=["store 9"], places=2), WARNS, "These places match nothing: store 9."),
    "nobody chosen": (facts(whom="", people=None), STOPS, "Nobody is chosen yet."),
    "nobody there": (facts(people=Count(0, 0)), STOPS, "The audience is empty."),
    "too few coupons": (
        facts({"max_create": 60}, issued=10),
        WARNS,
        "The series has 50 coupons left, and 100 are wanted: some customers get none.",
    ),
    "several for who may hold one": (
        facts(count=2),
        WARNS,
        "Each customer is to get 2 coupons, and may hold one: they get one.",
    ),
    "empty pool": (
        facts({"client_handling_type": Handling.UPLOADED}, pool=0),
        STOPS,
        "The series has no uploaded codes to give.",
    ),
    "small pool": (
        facts({"client_handling_type": Handling.UPLOADED}, pool=60),
        WARNS,
        "There are 60 uploaded codes, and 100 are wanted: some customers get none.",
    ),
    "told nothing": (facts(send=False), TELLS, "No message is sent: customers do not hear of their coupon."),
    "messages off": (
        facts({"is_sms_disabled": True}),
        WARNS,
        "Messages of the series are switched off, so none is sent.",
    ),
    "no gateway": (
        facts(settings={"sms_url": ""}),
        WARNS,
        "There is no gateway for SMS: these messages stay in the mailbox here.",
    ),
    "message without the code": (
        facts({"sms_template": "Hello"}),
        WARNS,
        "“Message” does not name the code: {{voucher}}.",
    ),
    "percentage without a ceiling": (
        facts({"discount_upto": D(0)}),
        WARNS,
        (
            "Nothing limits what one redemption takes off: the larger the bill, the larger the discount."
            " A second person has to approve the launch."
        ),
    ),
    "shared with everybody": (
        facts({"client_handling_type": Handling.SHARED, "generic_code": "WELCOME", "any_user": True}),
        WARNS,
        (
            "Nothing limits what it may cost in all: anybody can use the shared code, "
            "and each redemption takes off up to INR 200. A second person has to approve the launch."
        ),
    ),
    "taken": (facts(clash="The series code MON"), STOPS, "The series code MON is taken."),
    "refused": (
        facts(refused=Problem(719, "No", "randomCodeLength is too short")),
        STOPS,
        "No: “Length of a code” is too short (719).",
    ),
    "dies at once": (
        facts({"expiry_strategy_type": ExpiryStrategy.DAYS, "expiry_strategy_value": 0}),
        WARNS,
        "A coupon expires on the day on which it is given.",
    ),
}


@pytest.mark.parametrize("case", SAID)
def test_says(case: str) -> None:
    given, severity, text = SAID[case]
    assert (severity, text) in found(given)


def test_the_worst_comes_first() -> None:
    severities = [each.severity for each in findings(facts({"discount_value": D(0), "max_create": 0}, whom="", people=None))]
    assert severities == sorted(severities, key=list(Severity).index)


@pytest.mark.parametrize("range_", ['{"dom":[31],"dow":[0]}', '{"dow":[1],"hours":[12]}', '{"dow":[1],"hours":[23]}'])
def test_a_window_that_opens_is_not_complained_of(range_: str) -> None:
    given = facts({"redemption_range": range_, "valid_till_date": date(2040, 1, 1)})
    assert not any(each.severity is STOPS for each in findings(given))


@pytest.mark.parametrize(("above", "needed"), [(-1, False), (0, True), (19_999, True), (20_000, False)])
def test_a_second_person_is_needed_above_the_limit(above: int, needed: bool) -> None:
    assert needs_approval(facts(settings={"launch_approval_above": above})) is needed
