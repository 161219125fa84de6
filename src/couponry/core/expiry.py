"""Expiry arithmetic (rules 4): an expiry is a local date-time and a zone, so a change of the zone's rules cannot shift it."""

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from couponry.core.model import ExpiryStrategy, Terms

_END_OF_DAY: Final = time(23, 59, 59)
_FAR: Final = datetime(9999, 12, 31, 23, 59, 59)  # noqa: DTZ001 - a local time by design
# Two days short of what a datetime can hold, so that every zone can show them.
_FIRST_S: Final = int(datetime(1, 1, 3, tzinfo=UTC).timestamp())
_LAST_S: Final = int(datetime(9999, 12, 29, tzinfo=UTC).timestamp())


@lru_cache(maxsize=65_536)
def local_time(at_s: int, zone: ZoneInfo) -> datetime:
    """The wall clock of `zone` at an instant given in seconds; what no calendar holds is its first or last day."""
    return datetime.fromtimestamp(min(max(at_s, _FIRST_S), _LAST_S), zone)


@lru_cache(maxsize=65_536)
def last_ms(local: datetime, zone: ZoneInfo) -> int:
    """The last millisecond of the second that a local date-time names: alive while `now <= last_ms`.

    Where clocks go back that second comes twice, and the later one counts: in Cairo a day's end can come twice.
    """
    if local.year >= _FAR.year:
        return int(local.replace(tzinfo=UTC).timestamp()) * 1000 + 999
    return max(int(local.replace(tzinfo=zone, fold=fold).timestamp()) for fold in (0, 1)) * 1000 + 999


@lru_cache(maxsize=65_536)
def coupon_last_ms(expires_local: str, zone: ZoneInfo) -> int:
    """The same for a coupon's own expiry, kept as ISO text."""
    return last_ms(datetime.fromisoformat(expires_local), zone)


def end_of_day(day: date) -> datetime:
    """23:59:59 of a local date."""
    return datetime.combine(day, _END_OF_DAY)


def days_after(day: date, days: int) -> date:
    """The date that many days later; the last that there is when there is none so late."""
    return date.fromordinal(min(day.toordinal() + days, date.max.toordinal()))


def series_expiry_local(terms: Terms, zone: ZoneInfo) -> datetime:
    """E: `ownerValidity`, else `validTillDateTime`, else the end of `validTillDate`, in the series' zone."""
    if terms.owner_validity > 0:
        return local_time(terms.owner_validity // 1000, zone).replace(tzinfo=None)
    if terms.valid_till_date_time is not None:
        return terms.valid_till_date_time.replace(tzinfo=None)
    return end_of_day(terms.valid_till_date) if terms.valid_till_date else _FAR


def coupon_expiry_local(terms: Terms, issued_on: date, series_expiry: datetime) -> datetime | None:
    """The expiry that a coupon issued on a local date keeps; None when it follows its series (rules 4)."""
    count = terms.expiry_strategy_value
    match terms.expiry_strategy_type:
        case ExpiryStrategy.SERIES_EXPIRY:
            return None
        case ExpiryStrategy.DAYS:
            days_left = (series_expiry.date() - issued_on).days
            return min(end_of_day(issued_on + timedelta(days=min(count, days_left))), series_expiry)
        case ExpiryStrategy.MONTHS_END:
            months_left = (series_expiry.year - issued_on.year) * 12 + series_expiry.month - issued_on.month
            return min(end_of_day(_month_end(issued_on, min(count, months_left))), series_expiry)


def new_coupon_expiry(terms: Terms, issued_on: date, series_expiry: datetime) -> str | None:
    """The same as ISO text, as a coupon's row keeps it."""
    expires = coupon_expiry_local(terms, issued_on, series_expiry)
    return expires.isoformat() if expires else None


def _month_end(day: date, months: int) -> date:
    years, month0 = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month0 + 1
    return date(year, month, monthrange(year, month)[1])
