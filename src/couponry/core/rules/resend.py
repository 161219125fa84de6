"""Resend: the message about a coupon goes out again, to whom redemption would let have it (v1.1-coupon 2, status-codes N).

The customer is judged as at an issue, the coupon by redemption's own guards, then by what only a resend asks.
"""

from collections.abc import Callable
from typing import Final

from couponry.core import holdings
from couponry.core.deliveries import Channel
from couponry.core.rules.redeem import Attempt, coupon_alive, not_revoked, owned_by_customer, series_alive
from couponry.core.status import Code


def worth_sending(attempt: Attempt) -> Code | None:
    """709: the coupon was issued, something is left to redeem, and the series lets messages be sent again."""
    coupon, terms = attempt.coupon, attempt.series.terms
    in_series, by_customer = attempt.standing.redeemed, attempt.uses_by_customer
    left = holdings.redemptions_left(terms, redeemed=coupon.redeemed, by_customer=by_customer, in_series=in_series)
    return None if coupon.issued_ms is not None and left and terms.resend_message_enabled else Code.NOT_RESENT


def reachable(attempt: Attempt) -> Code | None:
    """704: there is a mobile to send to, and nobody unsubscribed from SMS; nothing else is resent to (events 5)."""
    return None if attempt.customer.channel is Channel.SMS else Code.SMS_FAILED


GUARDS: Final[tuple[Callable[[Attempt], Code | None], ...]] = (
    not_revoked,
    owned_by_customer,
    series_alive,
    coupon_alive,
    worth_sending,
    reachable,
)


def refusal(attempt: Attempt) -> Code | None:
    """The first guard that fails."""
    return next((code for guard in GUARDS if (code := guard(attempt))), None)
