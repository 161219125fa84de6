"""What has become of the coupons that a customer holds: unexpired, redeemed, redeemable (v2-coupon 13, rules 4-5)."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from couponry.core import expiry
from couponry.core.model import ALWAYS, Terms
from couponry.core.series import Series

# Two days short of what a datetime can hold, so that every zone has it.
_LAST_DAY: Final = date(9999, 12, 29).toordinal()


class Held(Struct, frozen=True, gc=False):
    """What orders a customer's coupon and decides its status.

    `redeemed` counts active redemptions, whoever made them; `till_id` is where it was issued.
    """

    id: int
    series_id: int
    issued_ms: int
    expires_local: str | None
    redeemed: int
    till_id: int | None = None


class Condition(Struct, frozen=True, gc=False):
    """One coupon in its customer's hands at one instant. `redemptions_left` is -1 when nothing limits it."""

    is_alive: bool
    is_redeemed: bool
    redemptions_left: int


STATUSES: Final[Mapping[str, Callable[[Condition], bool]]] = MappingProxyType(
    {
        "ACTIVE": lambda it: it.is_alive,
        "UNEXPIRED": lambda it: it.is_alive,
        "EXPIRED": lambda it: not it.is_alive,
        "REDEEMED": lambda it: it.is_redeemed,
        "UNREDEEMED": lambda it: not it.is_redeemed,
        "ACTIVE_REDEEMED": lambda it: it.is_alive and it.is_redeemed,
        "ACTIVE_UNREDEEMED": lambda it: it.is_alive and not it.is_redeemed,
        "EXPIRED_REDEEMED": lambda it: not it.is_alive and it.is_redeemed,
        "EXPIRED_UNREDEEMED": lambda it: not (it.is_alive or it.is_redeemed),
        "REDEEMABLE": lambda it: it.is_alive and it.redemptions_left != 0,
    }
)
"""Which coupons each status means; several statuses are a union."""


ORDERS: Final[Mapping[str, Callable[[Held, Series], Decimal | int]]] = MappingProxyType(
    {
        "created_date": lambda held, _: held.issued_ms,
        "amount": lambda _, series: series.terms.discount_value,
        "created_by": lambda held, _: held.till_id or 0,
        "valid_till": lambda held, series: last_ms(series, held.expires_local),
    }
)
"""What a customer's coupons may be ordered by, then by their ids."""


def last_ms(series: Series, expires_local: str | None) -> int:
    """The coupon's own last millisecond, as it is shown: one without an expiry of its own follows its series."""
    return series.expires_ms if expires_local is None else expiry.coupon_last_ms(expires_local, series.zone)


def condition(held: Held, series: Series, *, by_customer: int, in_series: int, now_ms: int) -> Condition:
    """Alive while neither the coupon nor its series has expired (C7, C8); a paused campaign is not a matter of expiry."""
    return Condition(
        is_alive=now_ms <= min(series.expires_ms, last_ms(series, held.expires_local)),
        is_redeemed=held.redeemed > 0,
        redemptions_left=redemptions_left(series.terms, redeemed=held.redeemed, by_customer=by_customer, in_series=in_series),
    )


def means(statuses: frozenset[str], found: Condition) -> bool:
    """Whether a coupon is of any of the statuses; all coupons are meant where none is named."""
    return not statuses or any(STATUSES[name](found) for name in statuses)


def redemptions_left(terms: Terms, *, redeemed: int, by_customer: int, in_series: int) -> int:
    """How often a customer may still redeem a coupon: the least of L1-L4, never L5; -1 when none applies (rules 5).

    Of the active redemptions, `redeemed` are the coupon's, `by_customer` those of them by the customer, and `in_series` the
    customer's in the whole series.
    """
    left: list[int] = []
    if not terms.is_multiple_use_allowed:
        left.append(1 - redeemed)
    if not terms.same_user_multiple_redeem:
        left.append(1 - by_customer)
    if terms.redemption_per_coupon_max_limit > 0:
        left.append(terms.redemption_per_coupon_max_limit - redeemed)
    if terms.max_redemptions_in_series_per_user >= 0:
        left.append(terms.max_redemptions_in_series_per_user - in_series)
    return max(0, min(left)) if left else -1


def active_from_ms(terms: Terms, issued_ms: int, zone: ZoneInfo) -> int:
    """The issue, or the later start of redemption by `redemptionValidFrom` and `redemptionValidAfterDays` (rules 7)."""
    days = [terms.redemption_valid_from.toordinal()] if terms.redemption_valid_from > ALWAYS else []
    if terms.redemption_valid_after_days > 0:
        days.append(expiry.local_time(issued_ms // 1000, zone).toordinal() + terms.redemption_valid_after_days)
    starts = (datetime.combine(date.fromordinal(min(day, _LAST_DAY)), time(), zone) for day in days)
    return max(issued_ms, *(int(start.timestamp()) * 1000 for start in starts), issued_ms)
