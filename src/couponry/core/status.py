"""The closed table of status codes, in precedence order: of two rules that fail, the one listed first is the answer.

Several codes share a number with another text, so a member's value is `number text`: unique, and stable enough to be stored
with an idempotent answer. `docs/CODES.md` is generated from this table.
"""

from enum import Enum
from typing import Self


class Code(Enum):
    """One status: its wire number, its exact V2 message, where and when it is answered, and the later topic it waits for."""

    number: int
    message: str
    on: str
    when: str
    topic: str

    def __new__(cls, number: int, message: str, on: str, when: str, topic: str = "") -> Self:
        """Make a member whose value is the stable text that stored answers keep."""
        member = object.__new__(cls)
        member._value_ = f"{number} {message}"
        member.number, member.message, member.on, member.when, member.topic = number, message, on, when, topic
        return member

    # The request gate (status-codes 4), in the order in which it is passed.
    UNAUTHENTICATED = 401, "Authentication failed", "*", "no, wrong or expired credential"
    ACCESS_DENIED = 4000, "Not authorized. Access is denied!", "*", "the access group does not grant this resource (HTTP 403)"
    AUTHORISATION_UNAVAILABLE = 4001, "Authorization status unavailable!", "*", "the access-group store cannot be read (HTTP 503)"
    RATE_LIMITED = 429, "Rate limit exceeded", "*", "more requests in the minute than the limit set for the credential"
    UNKNOWN_RESOURCE = 404, "Incorrect resource", "*", "unknown path"
    WRONG_METHOD = 405, "Incorrect HTTP Method", "*", "known path, other method"
    UNSUPPORTED_MEDIA_TYPE = 415, "Unsupported media type", "*", "a V2 body that is not JSON"
    BODY_TOO_LARGE = 413, "Request body too large", "*", "body over 1 MiB"
    DRAINING = 790, "Coupon processing failed, Please try again later", "*", "the instance is shutting down"
    OVERLOADED = 789, "Coupon processing failed, Please try again later", "*", "the admission queue is full"
    MALFORMED = (
        400,
        "Input is invalid, Please check request parameters or input xml/json",
        "*",
        "unparsable body, bad path parameter, unknown LOOKUP-TYPE",
    )
    BATCH_LIMIT_EXCEEDED = 1060, "Batch limit size exceeded", "*", "more entries than the batch limit of the operation"
    LOOKUP_TYPE_MISSING = 1061, "X-CAP-API-ATTRIBUTION-LOOKUP-TYPE header is missing", "*", "LOOKUP without LOOKUP-TYPE"
    UNKNOWN_ATTRIBUTION = (
        91021,
        "Invalid attribution TILL passed.",
        "*",
        "the attribution entity or look-up value names no active till",
    )
    ORG_MISCONFIGURED = (
        795,
        "Invalid configuration. Please report to capillary support.",
        "*",
        "the org's time zone or currency is unknown",
    )

    # The request's own shape (redeem and redeemability).
    INVALID_INPUT = (
        629,
        "Invalid Input",
        "R Q",
        "empty list, over 100 codes, unparsable redemptionTime, wrong JSON type, idempotency key reused with another body",
    )
    KEY_IN_PROGRESS = (
        796,
        "Coupon processing failed, Please try again later",
        "I R",
        "the first request with this idempotency key is still running",
    )
    IDENTIFIER_MISSING = (
        781,
        "Either coupon ID or coupon code is missing",
        "R Q G N",
        "an item with neither code nor id; redeemability without a code",
    )
    REPEATED_IN_REQUEST = (
        747,
        "Multiple redemption not allowed",
        "R Q",
        "the same coupon twice in one request; all its occurrences fail",
    )

    # The customer: B1-B4.
    INVALID_CUSTOMER = (
        721,
        "Invalid customer",
        "I M R Q N K X",
        "B1: no identifier, identifiers of different customers, or a customer deleted or merged away",
    )
    CUSTOMER_NOT_FOUND = (
        701,
        "The customer could not be found. Please check mobile, email, external id passed",
        "I M R Q N K X V U",
        "B2: a well-formed identifier matches no customer of the org",
    )
    FRAUD_CUSTOMER = 740, "Fraud customer", "R Q", "B3: fraud status in the org's blocking set"
    CUSTOMER_BLOCKED = (
        742,
        "Coupon issue and redemption blocked for customer",
        "I M R Q N",
        "B4: the status label blocks the operation",
    )

    # The coupon: C1-C21.
    INVALID_CODE = 702, "Coupon code is invalid", "R Q N", "C1: empty, over 40 characters, or an illegal character"
    UNKNOWN_COUPON = 719, "Coupon code does not exist", "R N", "C2: no such code or id in the org"
    UNKNOWN_COUPON_CHECKED = (
        780,
        "Coupon not found Identifier: {x}. Coupon isRedeem failed",
        "Q",
        "C2: as 719, with the code as sent",
    )
    INVALID_ORGANIZATION = 715, "Invalid organization", "R Q", "C3: addressed by an id that another org's coupons have"
    SERIES_UNREADABLE = (
        788,
        "Invalid configuration. Please report to capillary support",
        "*",
        "C4: the stored series terms cannot be used",
    )
    TEST_COUPON = 720, "Coupon is a test Coupon. Cannot be redeemed", "R Q", "C5: series type TEST"
    REVOKED = 660, "Coupon code has been revoked", "R Q A X N", "C6: the coupon is revoked"
    SERIES_EXPIRED = (
        712,
        "Coupon Series / Campaign has expired",
        "R Q I K X N",
        "C7: the series has expired, or its campaign has ended or is paused",
    )
    COUPON_EXPIRED = 713, "Coupon has expired", "R Q N", "C8: the coupon's own expiry has passed"
    NOT_ISSUED_TO_CUSTOMER = (
        703,
        "Coupon not issued to this customer",
        "R Q N",
        "C9: issued to another customer, series not open to any user",
    )
    NOT_ISSUED = 723, "Coupon not issued to this customer", "R Q N", "C9: issued to nobody, series not open to any user"
    NOT_MEANT_FOR_CUSTOMER = (
        710,
        "Coupon is not meant for this customer",
        "I R Q",
        "C10: outside the audience, or fails targetUserDetails",
    )
    INVALID_STORE = 735, "Invalid store", "R Q", "C11: the till is outside the series' redemption scope"
    NOT_STARTED = (
        729,
        "Invalid redemption range For coupon series",
        "R Q",
        "C11a: before redemptionValidFrom, or too few days since issue",
    )
    OUTSIDE_WINDOW = (
        739,
        "Allowed redemption date is invalid",
        "R Q",
        "C11b: outside redemptionRange, before the issue, or over 24 h ahead",
    )
    TRANSACTION_NUMBER_NEEDED = (
        718,
        "Transaction number needed for redemption",
        "R Q",
        "C12: the org demands a number and there is none",
    )
    INVALID_AMOUNT = (
        733,
        "Invalid transaction amount",
        "R Q",
        "missing, not a number or negative (request level); C13: outside the series' bill range",
    )
    ALREADY_USED = 711, "Coupon is already used", "R Q", "C14: single-use coupon with an active redemption"
    ALREADY_USED_BY_CUSTOMER = (
        716,
        "Cannot redeem same Coupon multiple times",
        "R Q",
        "C15: this customer already redeemed this coupon",
    )
    CODE_LIMIT_REACHED = 736, "Allowed redemption consumed", "R Q", "C16: redemptionPerCouponMaxLimit reached"
    CUSTOMER_LIMIT_REACHED = 728, "Maximum number of redemptions reached", "R Q", "C17: maxRedemptionsInSeriesPerUser reached"
    TOO_SOON = 738, "Allowed redemption gap is invalid", "R Q", "C18: fewer than minDaysBetweenRedemption days since the last one"
    SERIES_LIMIT_REACHED = 714, "Campaign over, it was first come first serve", "R Q I", "C19: maxRedeem reached"
    VALIDATION_REQUIRED = 725, "Validation required", "R Q", "C20: no validation code and no missed call given"
    NO_MISSED_CALL = 732, "No Missed call received from the customer", "R Q", "C20: validation by missed call, no unused call"
    INVALID_VALIDATION_CODE = (
        705,
        "Both coupon code and the validation code are invalid",
        "R Q",
        "C20: the validation code is wrong, expired or used",
    )
    PRE_REDEEM_REFUSED = 683, "Voucher Redemption event failed", "R", "C21: the pre-redeem hook refused or could not be reached"

    # The commit: C22, and what can fail on the way to it.
    CONFLICT = 791, "Coupon processing failed, Please try again later", "*", "serialization or deadlock retries exhausted"
    TIMED_OUT = 787, "Coupon processing failed, Please try again later", "*", "a lock or statement timeout"
    CUSTOMER_BUSY = (
        521,
        "Another action is running for the same customer",
        "*",
        "the customer's counters stayed locked for 5 s (HTTP 521)",
    )
    DATABASE_UNREACHABLE = 786, "Coupon processing failed, Please try again later", "*", "the database cannot be reached"
    CUSTOMERS_UNAVAILABLE = 792, "Coupon processing failed, Please try again later", "*", "the customer store cannot be read"
    ENTITIES_UNAVAILABLE = (
        797,
        "Coupon processing failed, Please try again later",
        "*",
        "the store and till hierarchy cannot be read",
    )
    OUTBOX_UNAVAILABLE = (
        793,
        "Coupon processing failed, Please try again later",
        "I R",
        "the event outbox cannot be written in the same transaction",
    )
    DEADLINE_EXCEEDED = 748, "Coupon service timed out", "*", "the request budget ran out"
    UNKNOWN_ERROR = 730, "Unknown error", "*", "an unhandled exception: a bug"

    # What several coupons in one request make of it.
    OTHER_COUPON_FAILED = (
        749,
        "Coupon Redeem/isRedeem failed because of failure on other coupons in the batch",
        "R Q",
        "passed its own rules, but another coupon of the request failed",
    )
    ALL_FAILED = 500, "All requests have failed due to errors", "R Q U", "two or more coupons, every one failed a rule of its own"
    BATCH_REFUSED = 759, "Coupon redemption failed", "R", "two or more coupons, refused, at least one is 749"

    # Success and warnings.
    PROCESSED = 700, "Coupon processing successful", "I R G", "the item succeeded"
    REDEEMABLE = 700, "Coupon isRedeem successful", "Q", "the item is redeemable"
    VALIDATION_NOT_REQUIRED = (
        726,
        "Validation not required",
        "R Q",
        "warning: a validation code was sent for a series that needs none",
    )

    @property
    def is_service_failure(self) -> bool:
        """Whether the service, not a rule, prevented a decision: nothing was done, nothing is stored, HTTP 5xx."""
        return self in SERVICE_FAILURES

    @property
    def is_retryable(self) -> bool:
        """Whether the same request may succeed a moment later, which `Retry-After: 1` says."""
        return self in SERVICE_FAILURES and self not in _BROKEN_UNTIL_REPAIRED


_BROKEN_UNTIL_REPAIRED = frozenset({Code.UNKNOWN_ERROR, Code.SERIES_UNREADABLE, Code.ORG_MISCONFIGURED})
SERVICE_FAILURES = _BROKEN_UNTIL_REPAIRED | {
    Code.DRAINING,
    Code.OVERLOADED,
    Code.KEY_IN_PROGRESS,
    Code.CONFLICT,
    Code.TIMED_OUT,
    Code.CUSTOMER_BUSY,
    Code.DATABASE_UNREACHABLE,
    Code.CUSTOMERS_UNAVAILABLE,
    Code.ENTITIES_UNAVAILABLE,
    Code.OUTBOX_UNAVAILABLE,
    Code.DEADLINE_EXCEEDED,
}
