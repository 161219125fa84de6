"""Expiry arithmetic (rules 4): strategies, zones, and the last second."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponry.core.expiry import coupon_expiry_local, coupon_last_ms, end_of_day, last_ms, local_time, series_expiry_local
from couponry.core.model import ExpiryStrategy
from couponry.core.status import Code
from tests.core.scene import Scene
from tests.core.world import ZONE, ms, series, terms

FAR: Final = datetime(2099, 12, 31, 23, 59, 59)  # noqa: DTZ001 - local, as every expiry here
SAMOA: Final = ZoneInfo("Pacific/Pago_Pago")  # UTC-11
TONGA: Final = ZoneInfo("Pacific/Tongatapu")  # UTC+13
BERLIN: Final = ZoneInfo("Europe/Berlin")
CAIRO: Final = ZoneInfo("Africa/Cairo")
APIA: Final = ZoneInfo("Pacific/Apia")  # UTC+13
SAO_PAULO: Final = ZoneInfo("America/Sao_Paulo")


@pytest.mark.parametrize(
    ("strategy", "count", "issued", "until", "expires"),
    [
        # The contract's own checks.
        ("DAYS", 0, "2031-11-12", "2099-12-31T23:59:59", "2031-11-12T23:59:59"),
        ("DAYS", 1, "2031-11-12", "2099-12-31T23:59:59", "2031-11-13T23:59:59"),
        ("MONTHS_END", 0, "2031-11-12", "2099-12-31T23:59:59", "2031-11-30T23:59:59"),
        ("MONTHS_END", 1, "2031-11-12", "2099-12-31T23:59:59", "2031-12-31T23:59:59"),
        ("DAYS", 200, "2019-10-31", "2099-12-31T23:59:59", "2020-05-18T23:59:59"),
        # Leap days and month ends.
        ("DAYS", 1, "2032-02-28", "2099-12-31T23:59:59", "2032-02-29T23:59:59"),
        ("DAYS", 1, "2031-02-28", "2099-12-31T23:59:59", "2031-03-01T23:59:59"),
        ("DAYS", 366, "2032-02-29", "2099-12-31T23:59:59", "2033-03-01T23:59:59"),
        ("MONTHS_END", 1, "2032-01-31", "2099-12-31T23:59:59", "2032-02-29T23:59:59"),
        ("MONTHS_END", 1, "2031-01-31", "2099-12-31T23:59:59", "2031-02-28T23:59:59"),
        ("MONTHS_END", 1, "2031-12-01", "2099-12-31T23:59:59", "2032-01-31T23:59:59"),
        ("MONTHS_END", 13, "2031-12-31", "2099-12-31T23:59:59", "2033-01-31T23:59:59"),
        ("MONTHS_END", 2, "2032-02-29", "2099-12-31T23:59:59", "2032-04-30T23:59:59"),
        ("DAYS", 1, "2031-12-31", "2099-12-31T23:59:59", "2032-01-01T23:59:59"),
        # Never beyond the series, to the second.
        ("DAYS", 5, "2031-11-12", "2031-11-15T23:59:59", "2031-11-15T23:59:59"),
        ("DAYS", 3, "2031-11-12", "2031-11-15T10:00:00", "2031-11-15T10:00:00"),
        ("DAYS", 2, "2031-11-12", "2031-11-15T10:00:00", "2031-11-14T23:59:59"),
        ("MONTHS_END", 0, "2031-11-12", "2031-11-15T10:00:00", "2031-11-15T10:00:00"),
        # Counts that leave the calendar.
        ("DAYS", 2**31 - 1, "2031-11-12", "2099-12-31T23:59:59", "2099-12-31T23:59:59"),
        ("MONTHS_END", 2**31 - 1, "2031-11-12", "9999-12-31T23:59:59", "9999-12-31T23:59:59"),
    ],
)
def test_strategy(strategy: str, count: int, issued: str, until: str, expires: str) -> None:
    given_terms = terms(expiry_strategy_type=ExpiryStrategy(strategy), expiry_strategy_value=count)
    found = coupon_expiry_local(given_terms, date.fromisoformat(issued), datetime.fromisoformat(until))
    assert found == datetime.fromisoformat(expires)


def test_series_expiry_strategy_follows_the_series() -> None:
    assert coupon_expiry_local(terms(), date(2031, 1, 1), FAR) is None


@pytest.mark.parametrize(
    ("fields", "zone", "expires"),
    [
        ({"valid_till_date": date(2031, 4, 30)}, ZONE, "2031-04-30T23:59:59"),
        ({"valid_till_date": None}, ZONE, "9999-12-31T23:59:59"),
        ({"valid_till_date_time": datetime(2031, 4, 30, 18, 0)}, ZONE, "2031-04-30T18:00:00"),  # noqa: DTZ001 - local
        ({"owner_validity": ms("2031-05-01 10:00")}, ZONE, "2031-05-01T10:00:00"),
        ({"owner_validity": ms("2031-05-01 10:00", SAMOA)}, SAMOA, "2031-05-01T10:00:00"),
        ({"owner_validity": ms("2031-05-01 10:00", APIA)}, APIA, "2031-05-01T10:00:00"),
        ({"owner_validity": ms("2018-02-18T01:59:59Z")}, SAO_PAULO, "2018-02-17T23:59:59"),  # the first of two midnights
        ({"owner_validity": 0, "valid_till_date": date(2032, 2, 29)}, ZONE, "2032-02-29T23:59:59"),
        # The campaign's end wins over the exact time, and that over the date.
        ({"owner_validity": ms("2031-05-01 10:00"), "valid_till_date_time": FAR}, ZONE, "2031-05-01T10:00:00"),
    ],
)
def test_series_expiry(fields: dict[str, Any], zone: ZoneInfo, expires: str) -> None:
    assert series_expiry_local(terms(**fields), zone) == datetime.fromisoformat(expires)


@pytest.mark.parametrize(
    ("local", "zone", "instant"),
    [
        ("2031-03-10T23:59:59", "UTC", "2031-03-10T23:59:59.999Z"),
        ("2031-03-10T23:59:59", "Asia/Kolkata", "2031-03-10T18:29:59.999Z"),
        ("2031-03-10T23:59:59", "Pacific/Tongatapu", "2031-03-10T10:59:59.999Z"),
        ("2031-03-10T23:59:59", "Pacific/Pago_Pago", "2031-03-11T10:59:59.999Z"),
        # Summer and winter time.
        ("2031-03-29T23:59:59", "Europe/Berlin", "2031-03-29T22:59:59.999Z"),
        ("2031-03-30T23:59:59", "Europe/Berlin", "2031-03-30T21:59:59.999Z"),
        ("2031-10-26T23:59:59", "Europe/Berlin", "2031-10-26T22:59:59.999Z"),
        ("2031-10-26T02:30:00", "Europe/Berlin", "2031-10-26T01:30:00.999Z"),  # comes twice: the later one
        ("2031-03-30T02:30:00", "Europe/Berlin", "2031-03-30T01:30:00.999Z"),  # never comes: by the clock before
        ("2031-10-30T23:59:59", "Africa/Cairo", "2031-10-30T21:59:59.999Z"),  # a day's end that comes twice
        ("2031-04-24T23:59:59", "Africa/Cairo", "2031-04-24T21:59:59.999Z"),  # the clock goes from midnight to one
        ("2031-04-25T00:30:00", "Africa/Cairo", "2031-04-24T22:30:00.999Z"),  # never comes
        ("2018-11-03T23:59:59", "America/Sao_Paulo", "2018-11-04T02:59:59.999Z"),  # so it does here
        ("2018-11-04T00:30:00", "America/Sao_Paulo", "2018-11-04T03:30:00.999Z"),
        ("2018-02-17T23:59:59", "America/Sao_Paulo", "2018-02-18T02:59:59.999Z"),  # and back: twice
        ("2031-03-10T23:59:59", "Pacific/Apia", "2031-03-10T10:59:59.999Z"),
        ("2011-12-29T23:59:59", "Pacific/Apia", "2011-12-30T09:59:59.999Z"),  # the day before one that was left out
        ("2031-03-10T23:59:59", "Etc/GMT-13", "2031-03-10T10:59:59.999Z"),
        ("9999-12-31T23:59:59", "Pacific/Pago_Pago", "9999-12-31T23:59:59.999Z"),  # no later instant can be written
    ],
)
def test_last_instant(local: str, zone: str, instant: str) -> None:
    assert last_ms(datetime.fromisoformat(local), ZoneInfo(zone)) == ms(instant)
    assert coupon_last_ms(local, ZoneInfo(zone)) == ms(instant)


# Leap days, month ends, and the days on which one of the zones sets its clock.
DAYS: Final = [
    *(date(2031, 2, 28), date(2032, 2, 29), date(2031, 3, 30), date(2031, 4, 24), date(2031, 10, 30), date(2031, 12, 31)),
    *(date(2018, 2, 17), date(2018, 11, 3)),
]


@pytest.mark.parametrize("zone", [TONGA, APIA, SAMOA, BERLIN, CAIRO, SAO_PAULO], ids=str)
@pytest.mark.parametrize("day", DAYS, ids=str)
def test_alive_to_the_last_second_of_the_day(zone: ZoneInfo, day: date) -> None:
    """C7 and C8 on both sides of midnight, wherever the series is: the org's and the store's zones do not matter."""
    over = last_ms(end_of_day(day), zone) + 1
    assert local_time(over // 1000, zone).date() == day + timedelta(days=1)
    by_series = Scene(terms={"valid_till_date": day, "zone": zone.key}, coupon={"issued_ms": 0})
    by_coupon = Scene(
        terms={"zone": zone.key, "valid_till_date": date(2040, 1, 1)},
        coupon={"issued_ms": 0, "expires_local": f"{day}T23:59:59"},
    )
    for scene, expired in ((by_series, Code.SERIES_EXPIRED), (by_coupon, Code.COUPON_EXPIRED)):
        assert (scene | Scene(state={"now_ms": over - 1})).code("redeem") is Code.PROCESSED
        assert (scene | Scene(state={"now_ms": over})).code("redeem") is expired


def test_expiry_is_judged_at_the_redemption_time() -> None:
    scene = Scene(terms={"valid_till_date": date(2031, 3, 9)})
    assert scene.code("redeem") is Code.SERIES_EXPIRED
    assert (scene | Scene(claim={"at_ms": ms("2031-03-09 23:59:59")})).code("redeem") is Code.PROCESSED
    later = Scene(terms={"valid_till_date": date(2031, 3, 10)}, claim={"at_ms": ms("2031-03-11 00:00")})
    assert later.code("redeem") is Code.SERIES_EXPIRED


def test_series_keeps_its_own_zone() -> None:
    """Prevents an expiry that moves when an org moves: the local date stays, in the zone that it was written in."""
    here = series(zone="Pacific/Pago_Pago", valid_till_date=date(2031, 3, 10))
    assert here.expires_ms == ms("2031-03-11T10:59:59.999Z")
    assert here.expires_local == datetime.fromisoformat("2031-03-10T23:59:59")


@given(st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1)), st.sampled_from([TONGA, APIA, SAMOA, BERLIN, CAIRO, SAO_PAULO]))  # noqa: DTZ001 - in UTC
def test_expiry_set_as_an_instant_lasts_as_long(moment: datetime, zone: ZoneInfo) -> None:
    """An instant that is kept as a local time (v2-coupon 10) is that instant again; in an hour that comes twice, the later."""
    at_s = int(moment.replace(tzinfo=UTC).timestamp())
    last = last_ms(local_time(at_s, zone).replace(tzinfo=None), zone)
    assert last - at_s * 1000 - 999 in (0, 3600 * 1000)


@given(st.integers(-(2**62), 2**62), st.sampled_from([TONGA, SAMOA, BERLIN, ZONE]))
def test_every_instant_has_a_wall_clock(at_s: int, zone: ZoneInfo) -> None:
    """Prevents an exception, hence an incident, for a redemption time that no calendar holds."""
    shown = local_time(at_s, zone)
    if abs(at_s) < 10**10:
        assert shown == datetime.fromtimestamp(at_s, UTC)


@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)), st.integers(0, 5000), st.sampled_from(["DAYS", "MONTHS_END"]))
def test_coupon_never_outlives_its_series(issued: date, count: int, strategy: str) -> None:
    given_terms = terms(expiry_strategy_type=ExpiryStrategy(strategy), expiry_strategy_value=count)
    until = datetime.combine(issued, datetime.min.time()) + timedelta(days=700, hours=5)
    found = coupon_expiry_local(given_terms, issued, until)
    assert found is not None
    assert issued <= found.date()
    assert found <= until
