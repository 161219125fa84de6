"""Reverse, revoke, change an expiry: one guard per rule (status-codes 2, rules 9), each series and customer judged alike."""

from couponry.core import expiry, holdings
from couponry.core.model import AfterReversal, Coupon, Handling, StoredRedemption
from couponry.core.series import Series
from couponry.core.status import Code

RETURNS = AfterReversal()
"""What becomes of a use when no reason is given, or the series says nothing about it."""


def series_refusal(series_id: int, known: dict[int, Series | None], halted: set[int], now_ms: int) -> Code | None:
    """755, 788, 712: the series exists, its terms can be read, and it has neither expired nor been halted."""
    if series_id not in known:
        return Code.INVALID_SERIES_ID
    series = known[series_id]
    if series is None:
        return Code.SERIES_UNREADABLE
    return Code.SERIES_EXPIRED if series_id in halted or now_ms > series.expires_ms else None


def not_undone(redemption: StoredRedemption | None) -> Code | None:
    """510: the redemption is known, and has not been reversed before."""
    return Code.INVALID_REDEMPTION_IDS if redemption is None or redemption.is_undone else None


def not_revoked(coupon: Coupon) -> Code | None:
    """660: a revoked coupon can be neither reversed, nor revoked again, nor re-dated."""
    return Code.REVOKED if coupon.is_revoked else None


def unredeemed(coupon: Coupon, series: Series, by_owner: int, owner_redeemed: int) -> Code | None:
    """405: nothing of the coupon has been redeemed, or its owner may redeem it again."""
    if not coupon.redeemed:
        return None
    left = holdings.redemptions_left(series.terms, redeemed=coupon.redeemed, by_customer=by_owner, in_series=owner_redeemed)
    return None if left else Code.REDEEMED


def expiry_refusal(coupon: Coupon, series: Series, expires_ms: int, now_ms: int) -> Code | None:
    """690, 691: the new expiry is neither past, nor before the issue, nor after the series' expiry."""
    last_ms = expires_ms // 1000 * 1000 + 999
    if last_ms < now_ms or (coupon.issued_ms is not None and last_ms < coupon.issued_ms):
        return Code.EXPIRY_IN_PAST
    return Code.EXPIRY_BEYOND_SERIES if last_ms > series.expires_ms else None


def needs_customer(series: Series) -> bool:
    """108, 695: whether a code alone does not say whose coupon is meant."""
    return series.terms.client_handling_type is Handling.SHARED


def after_reversal(series: Series, reason: str) -> AfterReversal:
    """What the series says of a use that is reversed for this reason."""
    return series.terms.reversal_policy.get(reason, RETURNS)


def fresh_expiry(coupon: Coupon, series: Series, days: int, now_ms: int) -> str | None:
    """The expiry of a coupon that comes back with days to live: never earlier than its own, never beyond its series'.

    None when it keeps following its series.
    """
    if coupon.expires_local is None:
        return None
    today = expiry.local_time(now_ms // 1000, series.zone).date()
    days_left = max((series.expires_local.date() - today).days, 0)
    fresh = min(expiry.end_of_day(expiry.days_after(today, min(days, days_left))), series.expires_local).isoformat()
    return max(fresh, coupon.expires_local)
