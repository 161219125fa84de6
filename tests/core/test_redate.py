"""Another expiry for a coupon: a line per case, ending in the code of the coupon (v2-coupon 10, rules 4)."""

from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest

from couponry.core.decide import decide
from couponry.core.plan import Event, Plan, RedateAnswer
from couponry.core.status import Code
from tests.core.test_lifecycle_rules import EXPIRY, MONSOON, world
from tests.core.test_several_coupons import rows
from tests.core.world import (
    CODE,
    DAY_MS,
    MIRA,
    NOOR,
    NOW,
    ask,
    coupon,
    coupon_id,
    ms,
    redate,
    redeem,
    series,
    state,
    statuses,
    told,
)

OK: Final = Code.PROCESSED
APIA: Final = ZoneInfo("Pacific/Apia")
PAGO: Final = ZoneInfo("Pacific/Pago_Pago")
CAIRO: Final = ZoneInfo("Africa/Cairo")
PAST: Final = Code.EXPIRY_IN_PAST
BEYOND: Final = Code.EXPIRY_BEYOND_SERIES


def shown(plan: Plan) -> list[tuple[int, str]]:
    return [(found - coupon_id(0), expires) for found, expires in plan.redated]


REDATED: Final[list[tuple[str, str, Code | None, str]]] = [
    ("later", "2031-05-01 23:59:59", None, "2031-05-01T23:59:59"),
    ("an exact time", "2031-05-01 10:00:00", None, "2031-05-01T10:00:00"),
    ("the millisecond is not kept", "2031-05-01 10:00:00.750", None, "2031-05-01T10:00:00"),
    ("today", "2031-03-10 23:59:59", None, "2031-03-10T23:59:59"),
    ("this second", "2031-03-10 12:00:00", None, "2031-03-10T12:00:00"),
    ("a second ago", "2031-03-10 11:59:59", PAST, ""),
    ("before the issue", "2031-02-01 00:00", PAST, ""),
    ("the series' last second", "2031-12-31 23:59:59", None, "2031-12-31T23:59:59"),
    ("the series' last millisecond", "2031-12-31 23:59:59.999", None, "2031-12-31T23:59:59"),
    ("a second later", "2032-01-01 00:00:00", BEYOND, ""),
    ("a date with its offset", "2031-05-01T10:00:00Z", None, "2031-05-01T15:30:00"),
    ("the series' end, written elsewhere", "2031-12-31T18:29:59Z", None, "2031-12-31T23:59:59"),
    ("a second later, written elsewhere", "2031-12-31T18:30:00Z", BEYOND, ""),
]


@pytest.mark.parametrize("row", REDATED, ids=lambda row: row[0])
def test_redate(row: tuple[str, str, Code | None, str]) -> None:
    """A line per date: the code of the coupon, or the local time that it keeps."""
    _, when, refused, expires = row
    there = world()
    before = rows(there)
    plan = decide(there, [redate(("MIRAS", ms(when)), request_id="r-1")])
    answer = told(RedateAnswer, plan.outcomes[0])
    assert (answer.status, answer.items, answer.series_id, answer.customer_id) == (OK, (refused,), 1, -1)
    if refused:
        assert [*plan.redated, *plan.events] == []
        assert rows(there) == before
        return
    assert shown(plan) == [(1, expires)]
    assert plan.events == [Event("CouponExpiryChange", coupon_id(1), 1, "r-1")]
    assert there.coupons[coupon_id(1)].expires_local == expires


REDATED_CODES: Final[list[tuple[str, dict[str, Any], Code | None]]] = [
    ("MIRAS", {}, None),
    (" miras ", {}, None),
    ("POOL", {}, None),
    ("USED", {}, None),
    ("GONE", {}, Code.REVOKED),
    ("OTHER", {}, Code.EXPIRY_CODE_UNKNOWN),
    ("NOPE", {}, Code.EXPIRY_CODE_UNKNOWN),
    ("MIRAS", {"customer": (MIRA,)}, None),
    ("NOORS", {"customer": (MIRA,)}, Code.EXPIRY_CODE_UNKNOWN),
    (MONSOON, {"customer": (MIRA,), "series_id": 3}, None),
    (MONSOON, {"customer": (NOOR,), "series_id": 3}, Code.EXPIRY_CODE_UNKNOWN),
]


@pytest.mark.parametrize("row", REDATED_CODES, ids=lambda row: f"{row[0]} {row[1]}")
def test_redate_codes(row: tuple[str, dict[str, Any], Code | None]) -> None:
    code, fields, refused = row
    there = world()
    plan = decide(there, [redate((code, EXPIRY), **fields)])
    answer = told(RedateAnswer, plan.outcomes[0])
    assert answer.items == (refused,)
    assert answer.customer_id == (1 if fields.get("customer") == (MIRA,) else 2 if fields else -1)
    assert len(plan.redated) == int(not refused)
    assert there.coupons[coupon_id(7)].expires_local is None


def test_dates_are_judged_independently() -> None:
    there = world()
    dates = [("NOPE", EXPIRY), ("MIRAS", EXPIRY), ("NOORS", NOW - DAY_MS), ("POOL", ms("2040-01-01"))]
    answer = ask(RedateAnswer, there, redate(*dates))
    assert answer.items == (Code.EXPIRY_CODE_UNKNOWN, None, PAST, BEYOND)


def test_coupon_can_be_redated_again_and_again() -> None:
    """Earlier and later, also back to life; a redemption honours the second that was set (rules 4)."""
    there = state([coupon(expires_local="2031-03-09T23:59:59")])
    assert statuses(there, [redeem()]) == [Code.COUPON_EXPIRED]
    moments = ["2031-08-01 10:00", "2031-03-10 12:00:00", "2031-03-10 18:00", "2031-03-11 00:00"]
    assert statuses(there, [redate((CODE, ms(each))) for each in moments]) == [OK] * 4
    there.now_ms = ms("2031-03-11 00:00:00.999")
    checked = state([there.coupons[coupon_id(1)]], now_ms=there.now_ms)
    assert statuses(there, [redeem()]) == [OK]
    checked.now_ms += 1
    assert statuses(checked, [redeem()]) == [Code.COUPON_EXPIRED]


def test_issue_time_bounds_an_expiry() -> None:
    """690 is also a date before the issue, which only a clock that runs ahead can make later than now."""
    there = state([coupon(issued_ms=NOW + DAY_MS)])
    assert ask(RedateAnswer, there, redate((CODE, NOW + DAY_MS - 1000))).items == (PAST,)
    assert ask(RedateAnswer, there, redate((CODE, NOW + DAY_MS))).items == (None,)


@pytest.mark.parametrize(
    ("zone", "when", "expires"),
    [
        (APIA, "2031-05-01T10:59:59Z", "2031-05-01T23:59:59"),
        (APIA, "2031-05-01T11:00Z", "2031-05-02T00:00:00"),
        (PAGO, "2031-05-01T10:59:59Z", "2031-04-30T23:59:59"),
        (PAGO, "2031-05-01T11:00Z", "2031-05-01T00:00:00"),
        (CAIRO, "2031-10-30T21:59:59Z", "2031-10-30T23:59:59"),  # the later end of a day that ends twice
        (CAIRO, "2031-10-30T20:59:59Z", "2031-10-30T23:59:59"),  # the earlier one counts as the later
        (ZoneInfo("America/Sao_Paulo"), "2018-11-04T02:59:59Z", "2018-11-03T23:59:59"),
        (ZoneInfo("America/Sao_Paulo"), "2018-11-04T03:00:00Z", "2018-11-04T01:00:00"),  # no such day has a midnight
    ],
)
def test_redate_by_the_clock_of_the_series(zone: ZoneInfo, when: str, expires: str) -> None:
    there = state([coupon(issued_ms=0)], [series(zone=zone.key)], now_ms=ms("2018-01-01"))
    assert shown(decide(there, [redate((CODE, ms(when)))])) == [(1, expires)]


def test_series_without_an_end_bounds_only_what_no_calendar_holds() -> None:
    there = state([coupon()], [series(valid_till_date=None)])
    assert shown(decide(there, [redate((CODE, ms("2400-02-29 23:59:59")))])) == [(1, "2400-02-29T23:59:59")]
    assert ask(RedateAnswer, there, redate((CODE, 10**17))).items == (BEYOND,)
