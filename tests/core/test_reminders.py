"""When reminders are due: by wall clocks that skip hours and show some twice."""

from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from couponry.core import reminders
from couponry.core.limits import REMINDERS_SETTLED_MS
from couponry.core.messages import REMINDERS
from couponry.core.model import ExpiryReminder, Handling, Terms
from couponry.core.reminders import Watched, instant_ms, issues_left, offer_expires, walks, watched
from couponry.core.series import series_from_terms

UTC = ZoneInfo("UTC")


def utc(text: str) -> int:
    return int(datetime.fromisoformat(f"{text}Z").timestamp() * 1000)


def terms(zone: str, till: str, *listed: tuple[int, str], **changed: object) -> Terms:
    like = Terms(
        description="Monsoon 15",
        series_code="MON",
        zone=zone,
        discount_value=Decimal(15),
        valid_till_date=date.fromisoformat(till),
        client_handling_type=Handling.GENERATED,
        expiry_reminders=tuple(ExpiryReminder(days, "SMS", at) for days, at in listed),
    )
    return replace(like, **changed)


def series(zone: str, till: str, *listed: tuple[int, str], **changed: object) -> Watched:
    return watched(series_from_terms(5001, 1, terms(zone, till, *listed, **changed)), 0)


@pytest.mark.parametrize(
    ("zone", "day", "time_of_day", "expected"),
    [
        ("Asia/Kolkata", "2031-04-27", "10:00", "2031-04-27T04:30:00"),
        ("America/New_York", "2031-03-09", "02:30", "2031-03-09T07:30:00"),  # skipped: 03:30 EDT
        ("America/New_York", "2031-11-02", "01:30", "2031-11-02T05:30:00"),  # twice: the first
        ("Europe/Berlin", "2031-10-26", "02:30", "2031-10-26T00:30:00"),
        ("Africa/Cairo", "2031-04-25", "00:30", "2031-04-24T22:30:00"),  # the day begins at 01:00
        ("America/Nuuk", "2031-03-29", "23:30", "2031-03-30T01:30:00"),  # the day ends at 23:00: 00:30 of the next
        ("America/Sao_Paulo", "2018-02-17", "23:30", "2018-02-18T01:30:00"),
        ("Pacific/Apia", "2011-12-30", "10:00", "2011-12-30T20:00:00"),  # a day that never was
    ],
)
def test_instants(zone: str, day: str, time_of_day: str, expected: str) -> None:
    assert instant_ms(date.fromisoformat(day), time_of_day, ZoneInfo(zone)) == utc(expected)


@pytest.mark.parametrize(
    ("zone", "now", "expected"),
    [
        ("UTC", "2031-04-27T09:59:59", ["2031-04-26"]),
        ("UTC", "2031-04-27T10:00:00", ["2031-04-27"]),
        ("UTC", "2031-04-27T23:59:00", ["2031-04-27"]),
        ("UTC", "2031-04-28T00:00:00", ["2031-04-27"]),
        ("UTC", "2031-04-28T09:59:59", ["2031-04-27"]),
        ("UTC", "2031-04-28T10:00:00", ["2031-04-28"]),  # other coupons than yesterday
        ("Asia/Kolkata", "2031-04-27T04:29:00", ["2031-04-26"]),
        ("Asia/Kolkata", "2031-04-27T04:30:00", ["2031-04-27"]),
        ("Asia/Kolkata", "2031-04-27T18:30:00", ["2031-04-27"]),  # midnight
        ("Pacific/Apia", "2011-12-30T19:59:00", ["2011-12-29"]),
        ("Pacific/Apia", "2011-12-30T20:00:00", ["2011-12-30", "2011-12-31"]),
    ],
)
def test_walks_of_a_day(zone: str, now: str, expected: list[str]) -> None:
    found = walks(series("UTC", "2035-01-01", (3, "10:00")), ZoneInfo(zone), utc(now) + REMINDERS_SETTLED_MS)
    assert [walk.day for walk in found] == expected


@pytest.mark.parametrize(
    ("time_of_day", "now", "expected"),
    [
        ("23:30", "2031-03-30T00:59:59", ["2031-03-28"]),  # 22:59:59 on Saturday, the last second of it
        ("23:30", "2031-03-30T01:29:00", ["2031-03-28"]),  # 00:29 on Sunday
        ("23:30", "2031-03-30T01:31:00", ["2031-03-29"]),
        ("23:30", "2031-03-31T00:31:00", ["2031-03-29", "2031-03-30"]),
        ("22:30", "2031-03-30T01:31:00", ["2031-03-29"]),
    ],
)
def test_an_evening_that_clocks_skip(time_of_day: str, now: str, expected: list[str]) -> None:
    """Nuuk goes from 23:00 to midnight: Saturday's reminder goes out in Sunday's first hour, before Sunday's own."""
    found = walks(series("America/Nuuk", "2035-01-01", (0, time_of_day)), ZoneInfo("America/Nuuk"), utc(now))
    assert [walk.day for walk in found] == expected


def test_an_hour_that_comes_twice_is_one() -> None:
    zone, offer = ZoneInfo("America/New_York"), series("America/New_York", "2035-01-01", (1, "01:30"))
    first, again = (walks(offer, zone, utc(f"2031-11-02T{hour}:31:00")) for hour in ("05", "06"))
    assert first == again
    assert [(walk.day, walk.at_ms) for walk in first] == [("2031-11-02", utc("2031-11-02T05:30:00"))]


def test_which_coupons_are_meant() -> None:
    offer = series("UTC", "2031-04-30", (3, "10:00"), (0, "08:00"))
    walk, _ = walks(offer, UTC, utc("2031-04-27T12:00:00"))
    assert (walk.topic, walk.cause, walk.day, walk.expires_on, walk.follows) == (
        *("3 SMS", "ReminderSms", "2031-04-27", "2031-04-30"),
        True,
    )
    assert [(walk.topic, walk.expires_on, walk.follows) for walk in walks(offer, UTC, utc("2031-04-28T12:00:00"))] == [
        ("3 SMS", "2031-05-01", False),
        ("0 SMS", "2031-04-28", False),
    ]
    assert walks(offer, UTC, utc("2031-05-01T10:00:00")) == []
    assert set(reminders.CAUSES.values()) == set(REMINDERS)


def test_a_series_without_messages_reminds_nobody() -> None:
    assert series("UTC", "2031-04-30", (3, "10:00"), is_sms_disabled=True).reminders == ()


@pytest.mark.parametrize(
    ("cap", "threshold", "issued", "told_at", "left"),
    [
        (100, 10, 89, -1, None),
        (100, 10, 90, -1, 10),
        (100, 10, 100, -1, 0),
        (100, 10, 95, 90, None),
        (200, 10, 189, 95, None),  # the limit was raised
        (200, 10, 190, 95, 10),
        (102, 10, 97, 95, None),  # by too little to leave the threshold
        (100, 2, 98, 90, 2),  # a lower threshold is another one
        (100, 50, 95, 90, None),
        (90, 10, 95, 90, None),
        (5, 10, 0, -1, None),
        (5, 10, 1, -1, 4),
        (0, 10, 0, -1, None),
        (-1, 10, 95, -1, None),
        (100, -1, 100, -1, None),
        (100, 0, 99, -1, None),
        (100, 0, 100, -1, 0),
    ],
)
def test_limits_are_told_once_per_crossing(cap: int, threshold: int, issued: int, told_at: int, left: int | None) -> None:
    offer = series("UTC", "2031-04-30", max_create=cap, issue_limit_threshold=threshold)
    assert issues_left(offer, issued, told_at) == left


@pytest.mark.parametrize(
    ("days", "now", "created", "expected"),
    [
        (3, "2031-04-27T09:59:00", "2031-01-01T00:00:00", False),
        (3, "2031-04-27T10:00:00", "2031-01-01T00:00:00", True),
        (3, "2031-04-30T23:59:59", "2031-01-01T00:00:00", True),
        (3, "2031-05-01T00:00:00", "2031-01-01T00:00:00", False),
        (3, "2031-04-28T12:00:00", "2031-04-28T11:00:00", False),
        (0, "2031-04-30T12:00:00", "2031-01-01T00:00:00", False),
    ],
)
def test_offers_that_expire(days: int, now: str, created: str, *, expected: bool) -> None:
    assert offer_expires(series("UTC", "2031-04-30"), UTC, days, utc(created), utc(now)) is expected
