"""Redeem and redeemability: B1-B4 for the customer, C1-C21 for each coupon, in the contract's order (status-codes 4).

A guard reads facts and answers one code or None. `CUSTOMER_GUARDS` and `COUPON_GUARDS` are the order; nothing else is.
"""

from collections.abc import Callable
from datetime import date

from msgspec import Struct

from couponry.core import expiry, holdings
from couponry.core.codes import is_well_formed
from couponry.core.commands import Claim, Item, Redeem
from couponry.core.ids import is_coupon_id, org_of
from couponry.core.limits import HOUR_MS, MINUTE_MS, MONEY_MAX, REDEMPTION_AHEAD_MS_MAX
from couponry.core.model import ALWAYS, Coupon, Customer, Handling, Org, Standing
from couponry.core.rules.customer import consistent, found
from couponry.core.series import ANY_TIME, Series
from couponry.core.status import Code
from couponry.core.validation import MissedCall, ValidationCode, matching, oldest_call


class Attempt(Struct, frozen=True, gc=False):
    """One coupon, found, in one customer's hands at one till: all that its guards may read."""

    claim: Claim
    item: Item
    org: Org
    customer: Customer
    coupon: Coupon
    series: Series
    is_halted: bool
    is_in_audience: bool
    standing: Standing
    uses_by_customer: int
    series_redeemed: int
    now_ms: int
    at_ms: int
    validation_codes: tuple[ValidationCode, ...] = ()
    missed_calls: tuple[MissedCall, ...] = ()

    def local_date(self, instant_ms: int) -> date:
        """The org's calendar date at an instant; calendar arithmetic is in the server zone (rules)."""
        return expiry.local_time(instant_ms // 1000, self.org.zone).date()


Guard = Callable[[Attempt], Code | None]


# The customer block: B1-B4. `matched` are the customers that the identifiers resolve to, None for one that resolves to nobody.


def customer_refusal(org: Org, matched: list[Customer | None]) -> Code | None:
    """B1-B4 in order, for redemption."""
    return consistent(matched) or found(matched) or not_fraudulent(org, matched) or label_allows(org, matched)


def not_fraudulent(org: Org, matched: list[Customer | None]) -> Code | None:
    """B3: the fraud status is not in the org's blocking set (rules 11)."""
    if any(customer and customer.fraud_status in org.settings.blocking_fraud_statuses for customer in matched):
        return Code.FRAUD_CUSTOMER
    return None


def label_allows(org: Org, matched: list[Customer | None]) -> Code | None:
    """B4: the status label carries no block of redemption (rules 11)."""
    if any(customer and customer.status_label in org.redemption_blocking_labels for customer in matched):
        return Code.CUSTOMER_BLOCKED
    return None


# Finding the coupon: C1-C3, before there is an attempt. (C4, terms that cannot be read, leaves nothing to read them from.)


def well_formed(item: Item) -> Code | None:
    """C1: 1-40 characters of `[A-Za-z0-9_-]`; an id has no syntax."""
    return Code.INVALID_CODE if item.code is not None and not is_well_formed(item.code) else None


def exists(item: Item, coupon: Coupon | None, org: Org, *, is_check: bool) -> Code | None:
    """C2 and C3: the code exists in this org; an id that lies in another org's range is that org's."""
    if coupon is not None:
        return None
    if item.code is None and item.coupon_id is not None and is_coupon_id(item.coupon_id) and org_of(item.coupon_id) != org.id:
        return Code.INVALID_ORGANIZATION
    return Code.UNKNOWN_COUPON_CHECKED if is_check else Code.UNKNOWN_COUPON


# The attempt: C5-C21.


def not_a_test(attempt: Attempt) -> Code | None:
    """C5: coupons of a TEST series never redeem."""
    return Code.TEST_COUPON if attempt.series.terms.series_type == "TEST" else None


def not_revoked(attempt: Attempt) -> Code | None:
    """C6: the coupon is not revoked."""
    return Code.REVOKED if attempt.coupon.is_revoked else None


def series_alive(attempt: Attempt) -> Code | None:
    """C7: the series has not expired, and its campaign has neither ended nor been paused."""
    return Code.SERIES_EXPIRED if attempt.is_halted or attempt.at_ms > attempt.series.expires_ms else None


def coupon_alive(attempt: Attempt) -> Code | None:
    """C8: the coupon's own expiry has not passed; one without follows its series."""
    own = attempt.coupon.expires_local
    if own is None or attempt.at_ms <= expiry.coupon_last_ms(own, attempt.series.zone):
        return None
    return Code.COUPON_EXPIRED


def owned_by_customer(attempt: Attempt) -> Code | None:
    """C9: a coupon issued to someone may be redeemed by that customer only, unless the series is open to any user.

    An external code that nobody holds yet may be redeemed by any customer, whom it then belongs to (rules 3).
    """
    terms, owner_id = attempt.series.terms, attempt.coupon.customer_id
    if terms.any_user or owner_id == attempt.customer.id:
        return None
    if owner_id is not None:
        return Code.NOT_ISSUED_TO_CUSTOMER
    return None if terms.external_issual else Code.NOT_ISSUED


def meant_for_customer(attempt: Attempt) -> Code | None:
    """C10: the customer is in the series' audience (unless it is open to any user) and fits `targetUserDetails` (rules 8)."""
    terms, customer = attempt.series.terms, attempt.customer
    if terms.has_audience and not terms.any_user and not attempt.is_in_audience:
        return Code.NOT_MEANT_FOR_CUSTOMER
    target = terms.target_user_details
    if target is None:
        return None
    most_transactions = target.valid_max_user_transaction_limit
    if most_transactions >= 0 and customer.transaction_count > most_transactions:
        return Code.NOT_MEANT_FOR_CUSTOMER
    start_ms, end_ms = target.valid_user_registration_start_time, target.valid_user_registration_end_time
    if 0 < start_ms > customer.registered_ms or 0 < end_ms < customer.registered_ms:
        return Code.NOT_MEANT_FOR_CUSTOMER
    return None


def in_scope(attempt: Attempt) -> Code | None:
    """C11: the till, its store, or one of the zones or concepts above it is listed, or nothing is (rules 8)."""
    return None if attempt.series.scope.admits(attempt.claim.place) else Code.INVALID_STORE


def started(attempt: Attempt) -> Code | None:
    """C11a: not before `redemptionValidFrom`, nor before the issue date plus `redemptionValidAfterDays` (rules 7)."""
    terms, issued_ms = attempt.series.terms, attempt.coupon.issued_ms
    if terms.redemption_valid_from == ALWAYS and terms.redemption_valid_after_days <= 0 and attempt.at_ms > 24 * HOUR_MS:
        return None
    today = attempt.local_date(attempt.at_ms)
    if today < terms.redemption_valid_from:
        return Code.NOT_STARTED
    if issued_ms is None or terms.redemption_valid_after_days <= 0:
        return None
    days_since = (today - attempt.local_date(issued_ms)).days
    return Code.NOT_STARTED if days_since < terms.redemption_valid_after_days else None


def in_window(attempt: Attempt) -> Code | None:
    """C11b: inside `redemptionRange` by the store's clock, not before the issue (to the second), at most 24 h ahead (rules 7)."""
    issued_ms, at_ms = attempt.coupon.issued_ms, attempt.at_ms
    if issued_ms is not None and at_ms // 1000 < issued_ms // 1000:
        return Code.OUTSIDE_WINDOW
    if at_ms > attempt.now_ms + REDEMPTION_AHEAD_MS_MAX:
        return Code.OUTSIDE_WINDOW
    window = attempt.series.window
    if window == ANY_TIME or window.is_open(expiry.local_time(at_ms // 1000, attempt.claim.place.time_zone)):
        return None
    return Code.OUTSIDE_WINDOW


def transaction_number_given(attempt: Attempt) -> Code | None:
    """C12: the org may demand a transaction number; a check that sends none is not asked for it."""
    number = attempt.claim.transaction_number
    if not attempt.org.settings.transaction_number_required or (number is None and not isinstance(attempt.claim, Redeem)):
        return None
    return None if number and number.strip() else Code.TRANSACTION_NUMBER_NEEDED


def amount_in_range(attempt: Attempt) -> Code | None:
    """C13: the bill lies within `[minBillAmount, maxBillAmount]`; 0 and -1 as maximum mean none.

    A redeem without an amount (v1.1) fails only where the series restricts amounts; a check without one is not asked for it.
    """
    terms, amount = attempt.series.terms, attempt.claim.amount
    least, most = terms.min_bill_amount, terms.max_bill_amount if terms.max_bill_amount > 0 else MONEY_MAX
    if amount is None:
        is_restricted = least > 0 or most < MONEY_MAX
        return Code.INVALID_AMOUNT if is_restricted and isinstance(attempt.claim, Redeem) else None
    return None if least <= amount <= most else Code.INVALID_AMOUNT


def single_use_unused(attempt: Attempt) -> Code | None:
    """C14: without `isMultipleUseAllowed` a coupon redeems once."""
    if attempt.series.terms.is_multiple_use_allowed or attempt.coupon.redeemed == 0:
        return None
    return Code.ALREADY_USED


def new_to_customer(attempt: Attempt) -> Code | None:
    """C15: without `sameUserMultipleRedeem` a customer redeems the same coupon once."""
    if attempt.series.terms.same_user_multiple_redeem or attempt.uses_by_customer == 0:
        return None
    return Code.ALREADY_USED_BY_CUSTOMER


def code_limit_left(attempt: Attempt) -> Code | None:
    """C16: `redemptionPerCouponMaxLimit`, over all customers."""
    most = attempt.series.terms.redemption_per_coupon_max_limit
    return Code.CODE_LIMIT_REACHED if 0 < most <= attempt.coupon.redeemed else None


def customer_limit_left(attempt: Attempt) -> Code | None:
    """C17: `maxRedemptionsInSeriesPerUser`."""
    most = attempt.series.terms.max_redemptions_in_series_per_user
    return Code.CUSTOMER_LIMIT_REACHED if 0 <= most <= attempt.standing.redeemed else None


def gap_kept(attempt: Attempt) -> Code | None:
    """C18: `minDaysBetweenRedemption` days since the customer's last in the series; not asked of single-use series."""
    return Code.TOO_SOON if days_to_wait(attempt) > 0 else None


def days_to_wait(attempt: Attempt) -> int:
    """How many days are missing until C18 lets the customer redeem; none or fewer are missing when it does."""
    terms, last_ms = attempt.series.terms, attempt.standing.last_redeemed_ms
    if not terms.is_multiple_use_allowed or terms.min_days_between_redemption <= 0 or last_ms is None:
        return 0
    gap = attempt.local_date(attempt.at_ms) - attempt.local_date(last_ms)
    return terms.min_days_between_redemption - gap.days


def series_limit_left(attempt: Attempt) -> Code | None:
    """C19: `maxRedeem`."""
    most = attempt.series.terms.max_redeem
    return Code.SERIES_LIMIT_REACHED if 0 <= most <= attempt.series_redeemed else None


def validated(attempt: Attempt) -> Code | None:
    """C20: a series that requires validation needs a code sent to the customer, or a missed call from them (rules 10)."""
    if not attempt.series.terms.is_validation_required:
        return None
    if attempt.item.by_missed_call:
        return None if call_of(attempt) else Code.NO_MISSED_CALL
    if not attempt.item.validation_mac:
        return Code.VALIDATION_REQUIRED
    return None if code_of(attempt) else Code.INVALID_VALIDATION_CODE


def code_of(attempt: Attempt) -> ValidationCode | None:
    """The customer's code that was sent with the coupon."""
    return matching(attempt.validation_codes, attempt.item.validation_mac, attempt.now_ms)


def call_of(attempt: Attempt) -> MissedCall | None:
    """The customer's missed call that stands for a code."""
    return oldest_call(attempt.missed_calls, attempt.now_ms, attempt.org.settings.otp_validity_minutes * MINUTE_MS)


def hook_accepted(attempt: Attempt) -> Code | None:
    """C21: the pre-redeem hook, asked before the ledger, accepted; a check never asks it."""
    claim = attempt.claim
    if not attempt.series.terms.is_pre_redeem_event_required or not isinstance(claim, Redeem) or claim.hook_accepted:
        return None
    return Code.PRE_REDEEM_REFUSED


COUPON_GUARDS: tuple[Guard, ...] = (
    not_a_test,
    not_revoked,
    series_alive,
    coupon_alive,
    owned_by_customer,
    meant_for_customer,
    in_scope,
    started,
    in_window,
    transaction_number_given,
    amount_in_range,
    single_use_unused,
    new_to_customer,
    code_limit_left,
    customer_limit_left,
    gap_kept,
    series_limit_left,
    validated,
    hook_accepted,
)


def refusal(attempt: Attempt) -> Code | None:
    """The first of C5-C21 that fails."""
    for guard in COUPON_GUARDS:
        code = guard(attempt)
        if code is not None:
            return code
    return None


def warnings(attempt: Attempt) -> tuple[Code, ...]:
    """726 when a validation code was sent that the series does not ask for."""
    is_needless = bool(attempt.item.validation_mac) and not attempt.series.terms.is_validation_required
    return (Code.VALIDATION_NOT_REQUIRED,) if is_needless else ()


def redemptions_left(attempt: Attempt) -> int:
    """How often this customer may still redeem this coupon: the least of L1-L4, never L5; -1 when none applies (rules 5)."""
    return holdings.redemptions_left(
        attempt.series.terms,
        redeemed=attempt.coupon.redeemed,
        by_customer=attempt.uses_by_customer,
        in_series=attempt.standing.redeemed,
    )


def creates_own_record(attempt: Attempt) -> bool:
    """Whether a redeemer of a shared code whom it was never given gets a coupon record at redemption (rules 3)."""
    return attempt.series.terms.client_handling_type is Handling.SHARED and attempt.coupon.holder_id == 0


def binds_to_redeemer(attempt: Attempt) -> bool:
    """Whether an external code that nobody holds becomes the redeemer's (rules 3)."""
    return attempt.series.terms.external_issual and attempt.coupon.customer_id is None
