"""What Member Care says of one coupon and one customer: its state, what stands in their way, what a coupon may cost."""

from decimal import Decimal
from typing import Literal

from couponry.core import holdings
from couponry.core.limits import MONEY_MAX
from couponry.core.model import Coupon, Customer, Org, Standing, Terms
from couponry.core.series import Series

CouponState = Literal["live", "used", "expired", "revoked", "unissued", "unreadable"]


def state_of(
    coupon: Coupon, series: Series | None, standing: Standing, now_ms: int, *, by_customer: int | None = None
) -> CouponState:
    """The one word for a coupon in its customer's hands. Where both are true, used is said rather than expired."""
    if coupon.is_revoked:
        return "revoked"
    if series is None:
        return "unreadable"
    if uses_left(coupon, series, standing, by_customer=by_customer) == 0:
        return "used"
    if now_ms > expires_ms(coupon, series):
        return "expired"
    return "live" if coupon.issued_ms is not None or series.terms.any_user else "unissued"


def uses_left(coupon: Coupon, series: Series, standing: Standing, *, by_customer: int | None = None) -> int:
    """How often its customer may still redeem it; -1 when nothing limits it. `by_customer` are their uses, else all."""
    used = coupon.redeemed if by_customer is None else by_customer
    return holdings.redemptions_left(series.terms, redeemed=coupon.redeemed, by_customer=used, in_series=standing.redeemed)


def expires_ms(coupon: Coupon, series: Series) -> int:
    """The last millisecond at which it may be redeemed: its own, or its series' if that is earlier."""
    return min(series.expires_ms, holdings.last_ms(series, coupon.expires_local))


def blocks(customer: Customer, org: Org) -> list[str]:
    """What about the customer stands in the way of coupons, in words."""
    found = []
    if customer.gone:
        found.append("This record is deleted or merged into another: nothing can be issued to it or redeemed by it.")
    if customer.fraud_status in org.settings.blocking_fraud_statuses:
        found.append(f"The fraud status {customer.fraud_status} blocks issue and redemption.")
    what = [
        name
        for name, labels in (("issue", org.issue_blocking_labels), ("redemption", org.redemption_blocking_labels))
        if customer.status_label in labels
    ]
    if what:
        found.append(f"The status {customer.status_label} blocks {' and '.join(what)}.")
    return found


def unreachable(customer: Customer) -> str:
    """Why no message reaches the customer; empty when one does."""
    if customer.channel:
        return ""
    if not (customer.mobile or customer.email):
        return "There is neither a mobile nor an e-mail to send to."
    return f"The customer wants no {'SMS' if customer.mobile else 'e-mail'}."


def worst_case(terms: Terms) -> Decimal | None:
    """The most that one coupon of these terms can cost, all its uses together; None where nothing bounds it."""
    uses = 1
    if terms.is_multiple_use_allowed:
        limits = [most for most in (terms.redemption_per_coupon_max_limit, terms.max_redemptions_in_series_per_user) if most > 0]
        limits += [1] if not terms.same_user_multiple_redeem else []
        if not limits:
            return None
        uses = min(limits)
    if terms.discount_type == "ABS":
        return terms.discount_value * uses
    if terms.discount_upto > 0:
        return terms.discount_upto * uses
    return terms.max_bill_amount * terms.discount_value / 100 * uses if 0 < terms.max_bill_amount < MONEY_MAX else None
