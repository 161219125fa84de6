"""What a redemption gives, on which day something happens, and how it is summed up."""

from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from couponry.core.figures import FIGURES, Grain, Period, Tally, day_of, discount_given
from tests.core.world import ZONE, ms, terms

FIFTEEN: dict[str, Any] = {"discount_type": "PERC", "discount_value": Decimal(15)}
FIFTY: dict[str, Any] = {"discount_type": "ABS", "discount_value": Decimal(50)}


@pytest.mark.parametrize(
    ("fields", "amount", "given"),
    [
        (FIFTY, "1800", "50"),
        (FIFTY, "20", "20"),  # never more than the bill
        (FIFTY, None, "50"),
        (FIFTY | {"discount_upto": Decimal(10)}, "1800", "50"),  # a limit of percentages
        (FIFTEEN, "1800", "270"),
        (FIFTEEN | {"discount_upto": Decimal(200)}, "1800", "200"),
        (FIFTEEN | {"discount_upto": Decimal(200)}, "99.99", "14.998"),  # no thousandth too many
        (FIFTEEN, None, "0"),
        (FIFTEEN, "0", "0"),
        ({"discount_type": "PERC", "discount_value": Decimal(150)}, "100", "100"),
    ],
)
def test_discount_given(fields: dict[str, Any], amount: str | None, given: str) -> None:
    assert discount_given(terms(**fields), amount and Decimal(amount)) == Decimal(given)  # type: ignore[arg-type] # never empty


@pytest.mark.parametrize(
    ("zone", "local", "day"),
    [
        ("Asia/Kolkata", "2031-03-09 23:59:59", date(2031, 3, 9)),
        ("Asia/Kolkata", "2031-03-10 00:00:00", date(2031, 3, 10)),
        ("Asia/Kathmandu", "2031-03-09 23:59:59", date(2031, 3, 9)),  # 5:45 from Greenwich
        ("Asia/Kathmandu", "2031-03-10 00:00:00", date(2031, 3, 10)),
        ("America/New_York", "2031-11-02 00:30:00", date(2031, 11, 2)),  # clocks go back this night
        ("America/New_York", "2031-11-02 23:59:00", date(2031, 11, 2)),
        ("UTC", "1969-12-31 23:59:59", date(1969, 12, 31)),
    ],
)
def test_day_of_an_instant(zone: str, local: str, day: date) -> None:
    assert day_of(ms(local, ZoneInfo(zone)), ZoneInfo(zone)) == day.toordinal()


def test_a_tally_is_a_cube() -> None:
    """A transaction adds to each sum once, whatever happened in it."""
    tally, at_ms = Tally(ZONE), ms("2031-03-10 12:00:00")
    for store_id in (21, 21, 22):
        tally.count("redeemed", at_ms, 1, store_id)
        tally.count("discount", at_ms, 1, store_id, 50_000)
    tally.count("issued", at_ms, 2)
    tally.count("reversed", at_ms, 3)
    tally.count("reversed", at_ms, 3, None, -1)
    tally.refuse(at_ms, None, 21, "UNKNOWN_COUPON")
    tally.refuse(at_ms, 1, None, "SERIES_EXPIRED", 2)
    day = date(2031, 3, 10).toordinal()
    assert {key: {name: n for name, n in zip(FIGURES, counts, strict=True) if n} for key, counts in tally.figures().items()} == {
        Grain(0, 1, 21): {"redeemed": 2, "discount": 100_000},
        Grain(0, 1, 22): {"redeemed": 1, "discount": 50_000},
        Grain(day, 0, 0): {"issued": 1, "redeemed": 3, "refused": 3, "discount": 150_000},
        Grain(day, 0, 21): {"redeemed": 2, "refused": 1, "discount": 100_000},
        Grain(day, 0, 22): {"redeemed": 1, "discount": 50_000},
        Grain(day, 1, 0): {"redeemed": 3, "refused": 2, "discount": 150_000},
        Grain(day, 2, 0): {"issued": 1},
    }
    assert list(tally.figures()) == sorted(tally.figures())
    assert tally.refusals() == {
        (day, 0, "SERIES_EXPIRED"): 2,
        (day, 0, "UNKNOWN_COUPON"): 1,
        (day, 1, "SERIES_EXPIRED"): 2,
    }
    assert not Tally(ZONE).figures()
    assert not Tally(ZONE).refusals()


def test_the_period_before() -> None:
    period = Period(date(2031, 3, 1), date(2031, 3, 10))
    assert (period.days, period.before) == (10, Period(date(2031, 2, 19), date(2031, 2, 28)))
    assert (period.listed[0], period.listed[-1], len(period.listed)) == (period.first, period.last, 10)
