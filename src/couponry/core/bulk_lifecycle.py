"""Which coupons of a series a job revokes or gives another expiry: by the rules of either verb (rules 4 and 9), but never one
with an active redemption, though the API would revoke it while redemptions are left.
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from couponry.core import expiry, holdings
from couponry.core.job_requests import Which
from couponry.core.model import Coupon
from couponry.core.rules import lifecycle as rules
from couponry.core.series import Series
from couponry.core.status import Code


def is_meant(coupon: Coupon, series: Series, which: Which) -> bool:
    """Whether a job is about the coupon. The own row of a shared code is nobody's coupon (108, 695)."""
    if coupon.is_revoked or coupon.redeemed or (which == "unissued" and coupon.issued_ms is not None):
        return False
    return bool(coupon.holder_id) or not rules.needs_customer(series)


def new_expiry(expires_local: str, series: Series, now_ms: int) -> str | Code:
    """The expiry to give: what was asked for, not after the series' (691); a second that has just passed for any in the past."""
    wanted = datetime.fromisoformat(expires_local)
    last_ms = expiry.last_ms(wanted, series.zone)
    if last_ms > series.expires_ms:
        return Code.EXPIRY_BEYOND_SERIES
    return just_past(now_ms, series.zone) if last_ms < now_ms else wanted.isoformat()


def just_past(now_ms: int, zone: ZoneInfo) -> str:
    """A local second that does not come any more: of one that comes twice, where clocks go back, the later counts."""
    local = expiry.local_time(now_ms // 1000 - 1, zone).replace(tzinfo=None)
    to_come_ms = expiry.last_ms(local, zone) - now_ms
    return (local - timedelta(seconds=to_come_ms // 1000 + 1) if to_come_ms >= 0 else local).isoformat()


def changes(coupon: Coupon, series: Series, expires_local: str, now_ms: int) -> bool:
    """Whether the expiry is another one for the coupon: not what it has, no second death, not before its issue (690)."""
    last_ms = expiry.coupon_last_ms(expires_local, series.zone)
    if last_ms < now_ms:
        return holdings.last_ms(series, coupon.expires_local) >= now_ms
    return coupon.expires_local != expires_local and last_ms >= (coupon.issued_ms or 0)
