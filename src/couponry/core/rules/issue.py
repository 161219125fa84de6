"""Issue: J1-J10 in the contract's order (status-codes 4). J0 is the request's shape, J11 the taking of a code.

A guard reads facts and answers one code or None. `SERIES_GUARDS`, `customer_refusal` and `COUPON_GUARDS` are the order.
"""

from collections.abc import Callable
from datetime import date

from msgspec import Struct

from couponry.core import expiry
from couponry.core.commands import Issue
from couponry.core.limits import EXCLUSION_DAYS
from couponry.core.model import Customer, Handling, Org, Standing
from couponry.core.rules.customer import consistent, found
from couponry.core.series import Series
from couponry.core.status import Code


class Offering(Struct, frozen=True, gc=False):
    """A series that a coupon is asked of: what J2-J3 may read. `form` and `source_is_known` are as `Issue` has them."""

    series: Series
    is_halted: bool
    now_ms: int
    form: str = "one"
    source_is_known: bool = True


class Receipt(Struct, frozen=True, gc=False):
    """One coupon of a series about to come into one customer's hands: all that J5-J10 may read.

    `holds_one` tells of a live coupon of the series, `excluded_ms` when the customer last received one of an exclusive series.
    """

    org: Org
    customer: Customer
    series: Series
    is_in_audience: bool
    standing: Standing
    holds_one: bool
    excluded_ms: int | None
    series_issued: int
    now_ms: int

    def local_date(self, instant_ms: int) -> date:
        """The org's calendar date at an instant; calendar arithmetic is in the server zone (rules)."""
        return expiry.local_time(instant_ms // 1000, self.org.zone).date()


# The series: J2-J3. (J1, an unknown series, and 788, unreadable terms, leave nothing to read.)


def issued_here(offering: Offering) -> Code | None:
    """J2: the series is not external, and a bulk issue names a known source."""
    is_wrong = offering.series.terms.external_issual or not offering.source_is_known
    return Code.WRONG_SOURCE if is_wrong else None


def series_alive(offering: Offering) -> Code | None:
    """J3: the series has not expired, and its campaign has neither ended nor been paused; 713 for several."""
    if not offering.is_halted and offering.now_ms <= offering.series.expires_ms:
        return None
    return Code.COUPON_EXPIRED if offering.form == "several" else Code.SERIES_EXPIRED


# The customer: J4.


def customer_refusal(org: Org, matched: list[Customer | None]) -> Code | None:
    """J4 in order: 721, 701, 750, 742."""
    return consistent(matched) or found(matched) or not_fraudulent(org, matched) or label_allows(org, matched)


def not_fraudulent(org: Org, matched: list[Customer | None]) -> Code | None:
    """J4: the fraud status is not in the org's blocking set (rules 11)."""
    if any(customer and customer.fraud_status in org.settings.blocking_fraud_statuses for customer in matched):
        return Code.FRAUD_CUSTOMER_AT_ISSUE
    return None


def label_allows(org: Org, matched: list[Customer | None]) -> Code | None:
    """J4: the status label carries no block of issue (rules 11)."""
    if any(customer and customer.status_label in org.issue_blocking_labels for customer in matched):
        return Code.CUSTOMER_BLOCKED
    return None


# The coupon: J5-J10.


def meant_for_customer(receipt: Receipt) -> Code | None:
    """J5: the customer is in the series' audience, and a loyalty customer where the series asks for one (rules 2, 8)."""
    terms = receipt.series.terms
    is_outside = (terms.has_audience and not receipt.is_in_audience) or (
        terms.issue_to_loyalty and not receipt.customer.is_loyalty
    )
    return Code.NOT_MEANT_FOR_CUSTOMER if is_outside else None


def not_excluded(receipt: Receipt) -> Code | None:
    """J6: no coupon of a mutually exclusive series in the last 183 days (rules 6)."""
    if receipt.excluded_ms is None:
        return None
    age = receipt.local_date(receipt.now_ms) - receipt.local_date(receipt.excluded_ms)
    return Code.EXCLUDED if age.days <= EXCLUSION_DAYS else None


def holds_none(receipt: Receipt) -> Code | None:
    """J7: the customer holds no live coupon of the series, unless there may be several; of a shared code there is ever one."""
    return Code.HOLDS_A_COUPON if receipt.holds_one and not may_hold_several(receipt.series) else None


def customer_limit_left(receipt: Receipt) -> Code | None:
    """J8: `maxVouchersPerUser`, revoked ones not counted."""
    most = receipt.series.terms.max_vouchers_per_user
    return Code.CUSTOMER_HAS_ENOUGH if 0 <= most <= receipt.standing.issued else None


def gap_kept(receipt: Receipt) -> Code | None:
    """J9: `minDaysBetweenVouchers` days since the customer's last issue in the series."""
    least, last_ms = receipt.series.terms.min_days_between_vouchers, receipt.standing.last_issued_ms
    if least <= 0 or last_ms is None:
        return None
    gap = receipt.local_date(receipt.now_ms) - receipt.local_date(last_ms)
    return Code.ISSUED_TOO_SOON if gap.days < least else None


def series_limit_left(receipt: Receipt) -> Code | None:
    """J10: `maxCreate`."""
    most = receipt.series.terms.max_create
    return Code.SERIES_LIMIT_REACHED if 0 <= most <= receipt.series_issued else None


SERIES_GUARDS: tuple[Callable[[Offering], Code | None], ...] = (issued_here, series_alive)
COUPON_GUARDS: tuple[Callable[[Receipt], Code | None], ...] = (
    meant_for_customer,
    not_excluded,
    holds_none,
    customer_limit_left,
    gap_kept,
    series_limit_left,
)


def series_refusal(offering: Offering) -> Code | None:
    """The first of J2-J3 that fails."""
    return next((code for guard in SERIES_GUARDS if (code := guard(offering))), None)


def refusal(receipt: Receipt) -> Code | None:
    """The first of J5-J10 that fails."""
    for guard in COUPON_GUARDS:
        code = guard(receipt)
        if code is not None:
            return code
    return None


def may_hold_several(series: Series) -> bool:
    """Whether a customer may hold several coupons of the series; of a shared code there is one record each (rules 3)."""
    return series.terms.is_multiple_vouchers_per_user_allowed and series.terms.client_handling_type is not Handling.SHARED


def is_sent_again(code: Code, series: Series, command: Issue) -> bool:
    """Whether a customer who holds a coupon gets that one again instead of a refusal (rules 6), where resending is allowed."""
    terms = series.terms
    is_allowed = not terms.do_not_resend_existing_voucher and terms.resend_message_enabled
    return code is Code.HOLDS_A_COUPON and is_allowed and command.form != "several"


def cut_by(code: Code, series: Series) -> Code:
    """Why an issue of several stopped early (status-codes 3)."""
    match code:
        case Code.HOLDS_A_COUPON:
            is_shared = series.terms.client_handling_type is Handling.SHARED
            return Code.ONE_SHARED_CODE if is_shared else Code.ONE_PER_CUSTOMER
        case Code.SERIES_LIMIT_REACHED:
            return Code.CUT_BY_SERIES
        case Code.CUSTOMER_HAS_ENOUGH:
            return Code.CUT_BY_CUSTOMER
        case Code.NO_CODE_LEFT if series.terms.client_handling_type is Handling.UPLOADED:
            return Code.CUT_BY_POOL
        case _:
            return Code.CUT
