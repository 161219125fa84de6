"""The closed table of status codes, in the precedence order of a redeem: of two rules that fail, the one listed first is the
answer. What only other operations answer follows, each in its own order.

Several codes share a number with another text, so a member's value is `number text`: unique, and stable enough to be stored
with an idempotent answer. `docs/CODES.md` is generated from this table.
"""

from enum import Enum
from typing import Final, Self

_TRY_AGAIN: Final = "Coupon processing failed, Please try again later"
_MISCONFIGURED: Final = "Invalid configuration. Please report to capillary support"
_V11: Final = "v1.1"


class Code(Enum):
    """One status: its wire number, its exact V2 message, where and when it is answered, and the topic it waits for.

    Where: the endpoint keys of status-codes (I issue, M issue multiple, R redeem, Q redeemability, U update and A reactivate a
    redemption, K revoke, X expiry, S series, G coupon, N resend, V customer coupons, F upload, * any), and C customers, T their
    transactions, O validation codes, E entities of an org. A code without a topic can be answered today.
    """

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
    DRAINING = 790, _TRY_AGAIN, "*", "the instance is shutting down"
    OVERLOADED = 789, _TRY_AGAIN, "*", "the admission queue is full"
    MALFORMED = (
        400,
        "Input is invalid, Please check request parameters or input xml/json",
        "*",
        "unparsable body, bad path parameter, unknown LOOKUP-TYPE",
    )
    BATCH_LIMIT_EXCEEDED = 1060, "Batch limit size exceeded", "*", "more entries than the operation takes"
    LOOKUP_TYPE_MISSING = 1061, "X-CAP-API-ATTRIBUTION-LOOKUP-TYPE header is missing", "*", "LOOKUP without LOOKUP-TYPE"
    UNKNOWN_ATTRIBUTION = 91021, "Invalid attribution TILL passed.", "*", "the attribution or look-up value names no active till"
    ORG_MISCONFIGURED = 795, f"{_MISCONFIGURED}.", "*", "the org's time zone or currency is unknown"

    # The request's own shape (redeem and redeemability).
    INVALID_INPUT = (
        629,
        "Invalid Input",
        "R Q G V",
        "empty list, over 100 codes, unparsable time or query value, wrong JSON type, idempotency key reused with another body",
    )
    KEY_IN_PROGRESS = 796, _TRY_AGAIN, "I R", "the first request with this idempotency key is still running"
    IDENTIFIER_MISSING = 781, "Either coupon ID or coupon code is missing", "R Q G N", "an item, or a check, without code and id"
    REPEATED_IN_REQUEST = 747, "Multiple redemption not allowed", "R Q", "a coupon twice in one request; all of them fail"

    # The customer: B1-B4.
    INVALID_CUSTOMER = (
        721,
        "Invalid customer",
        "I M R Q N K X V",
        "B1: no identifier, identifiers of different customers, or a customer deleted or merged away",
    )
    CUSTOMER_NOT_FOUND = (
        701,
        "The customer could not be found. Please check mobile, email, external id passed",
        "I M R Q N K X V U",
        "B2: a well-formed identifier matches no customer of the org",
    )
    FRAUD_CUSTOMER = 740, "Fraud customer", "R Q", "B3: fraud status in the org's blocking set"
    CUSTOMER_BLOCKED = 742, "Coupon issue and redemption blocked for customer", "I M R Q N", "B4: blocked by its status label"

    # The coupon: C1-C21.
    INVALID_CODE = 702, "Coupon code is invalid", "R Q N", "C1: empty, over 40 characters, or an illegal character"
    UNKNOWN_COUPON = 719, "Coupon code does not exist", "R N", "C2: no such code or id in the org"
    UNKNOWN_COUPON_CHECKED = 780, "Coupon not found Identifier: {x}. Coupon isRedeem failed", "Q", "C2: as 719"
    INVALID_ORGANIZATION = 715, "Invalid organization", "R Q", "C3: addressed by an id that another org's coupons have"
    SERIES_UNREADABLE = 788, _MISCONFIGURED, "*", "C4: the stored series terms cannot be used"
    TEST_COUPON = 720, "Coupon is a test Coupon. Cannot be redeemed", "R Q", "C5: series type TEST"
    REVOKED = 660, "Coupon code has been revoked", "R Q A X N", "C6: the coupon is revoked"
    SERIES_EXPIRED = 712, "Coupon Series / Campaign has expired", "R Q I K X N", "C7: series expired, campaign ended or paused"
    COUPON_EXPIRED = 713, "Coupon has expired", "R Q N M", "C8: the coupon's own expiry has passed"
    NOT_ISSUED_TO_CUSTOMER = 703, "Coupon not issued to this customer", "R Q N", "C9: issued to another, series not for any user"
    NOT_ISSUED = 723, "Coupon not issued to this customer", "R Q N", "C9: issued to nobody, series not for any user"
    NOT_MEANT_FOR_CUSTOMER = (
        710,
        "Coupon is not meant for this customer",
        "I R Q",
        "C10: not in the audience, or targetUserDetails",
    )
    INVALID_STORE = 735, "Invalid store", "R Q", "C11: the till is outside the series' redemption scope"
    NOT_STARTED = 729, "Invalid redemption range For coupon series", "R Q", "C11a: too early, also since the issue"
    OUTSIDE_WINDOW = 739, "Allowed redemption date is invalid", "R Q", "C11b: redemptionRange, before issue, over 24 h ahead"
    TRANSACTION_NUMBER_NEEDED = 718, "Transaction number needed for redemption", "R Q", "C12: the org demands one"
    INVALID_AMOUNT = 733, "Invalid transaction amount", "R Q", "missing or not a number; C13: outside the series' bill range"
    ALREADY_USED = 711, "Coupon is already used", "R Q", "C14: single-use coupon with an active redemption"
    ALREADY_USED_BY_CUSTOMER = 716, "Cannot redeem same Coupon multiple times", "R Q", "C15: this customer used this coupon"
    CODE_LIMIT_REACHED = 736, "Allowed redemption consumed", "R Q", "C16: redemptionPerCouponMaxLimit reached"
    CODE_LIMIT_REACHED_V11 = 696, "Redemption per coupon code limit has reached max limit", "R Q", "C16 in v1.1"
    CUSTOMER_LIMIT_REACHED = 728, "Maximum number of redemptions reached", "R Q", "C17: maxRedemptionsInSeriesPerUser reached"
    TOO_SOON = 738, "Allowed redemption gap is invalid", "R Q", "C18: fewer than minDaysBetweenRedemption days since the last one"
    SERIES_LIMIT_REACHED = 714, "Campaign over, it was first come first serve", "R Q I", "C19: maxRedeem reached"
    VALIDATION_REQUIRED = 725, "Validation required", "R Q", "C20: no validation code and no missed call given"
    NO_MISSED_CALL = 732, "No Missed call received from the customer", "R Q", "C20: validation by missed call, no unused call"
    INVALID_VALIDATION_CODE = (
        705,
        "Both coupon code and the validation code are invalid",
        "R Q",
        "C20: the code is wrong, expired or used",
    )
    PRE_REDEEM_REFUSED = 683, "Voucher Redemption event failed", "R", "C21: the pre-redeem hook refused or could not be reached"

    # The commit: C22, and what can fail on the way to it.
    CONFLICT = 791, _TRY_AGAIN, "*", "serialization or deadlock retries exhausted"
    TIMED_OUT = 787, _TRY_AGAIN, "*", "a lock or statement timeout"
    CUSTOMER_BUSY = (
        521,
        "Another action is running for the same customer",
        "*",
        "the customer's counters stayed locked (HTTP 521)",
    )
    DATABASE_UNREACHABLE = 786, _TRY_AGAIN, "*", "the database cannot be reached"
    CUSTOMERS_UNAVAILABLE = 792, _TRY_AGAIN, "*", "the customer store cannot be read"
    ENTITIES_UNAVAILABLE = 797, _TRY_AGAIN, "*", "the store and till hierarchy cannot be read"
    VALIDATION_UNAVAILABLE = 798, _TRY_AGAIN, "R Q", "C20: validation codes cannot be read"
    OUTBOX_UNAVAILABLE = 793, _TRY_AGAIN, "I R", "the event outbox cannot be written in the same transaction"
    DEADLINE_EXCEEDED = 748, "Coupon service timed out", "*", "the request budget ran out"
    UNKNOWN_ERROR = 730, "Unknown error", "*", "an unhandled exception: a bug"

    # What several coupons in one request make of it.
    OTHER_COUPON_FAILED = (
        749,
        "Coupon Redeem/isRedeem failed because of failure on other coupons in the batch",
        "R Q",
        "passed, but another did not",
    )
    ALL_FAILED = 500, "All requests have failed due to errors", "R Q U", "two or more coupons, every one failed a rule of its own"
    BATCH_REFUSED = 759, "Coupon redemption failed", "R", "two or more coupons, refused, at least one is 749"

    # Success and warnings.
    PROCESSED = 700, "Coupon processing successful", "I R G", "the item succeeded"
    REDEEMABLE = 700, "Coupon isRedeem successful", "Q", "the item is redeemable"
    VALIDATION_NOT_REQUIRED = 726, "Validation not required", "R Q", "warning: a validation code for a series that needs none"

    # Issue: J0-J13, and what cuts an issue of several short (logged as warnings 679, 626, 621, 702, 678).
    SERIES_ID_MISSING = 746, "Please provide series id", "I S", "J0: no series id"
    SERIES_ID_MISSING_FOR_SEVERAL = 756, "seriesId is mandatory to set", "M", "J0: no series id"
    COUNT_TOO_SMALL = 756, "count should be greater than 0", "M", "J0: count below 1"
    COUNT_TOO_LARGE = 677, "Invalid coupon count. Minimum 1 and Maximum 500.", "M", "J0: count over 500"
    UNKNOWN_SERIES = 707, "Coupon Series ID is invalid", "I M", "J1: no such series in the org"
    UNKNOWN_SERIES_NAMED = 707, "Coupon Series ID = {x} is invalid", "I", "J1 in bulk issue and v1.1"
    WRONG_SOURCE = 777, "coupon source not valid for issue coupon", "I M", "J2: an external series, or an unknown source"
    FRAUD_CUSTOMER_AT_ISSUE = (
        750,
        "Operation not allowed. Not allowed - customer is marked as fraud.",
        "I M N",
        "J4: fraud status in the org's blocking set",
    )
    EXCLUDED = 709, "Coupon processing failed: mutually exclusive coupon already issued", "I M", "J6"
    HOLDS_A_COUPON = 709, "Coupon processing failed: user already has a coupon", "I M", "J7: and must not get it again"
    CUSTOMER_HAS_ENOUGH = 709, "Coupon processing failed: max coupon per user exceeded", "I M", "J8: maxVouchersPerUser"
    ISSUED_TOO_SOON = 709, "Coupon processing failed: minimum days between coupons not elapsed", "I M", "J9"
    NO_CODE_LEFT = 722, "Unable to create coupon", "I M F", "J11: the pool is empty, or 20 codes in a row were taken"
    ONE_PER_CUSTOMER = (
        5004,
        "Issue only one coupon. Since isAllowMultipleVouchersPerUser=false.",
        "M",
        "the first is issued, more are not allowed",
    )
    ONE_SHARED_CODE = (
        5004,
        "Cannot issue more than one GENERIC coupon code.",
        "M",
        "the first is issued, more make no sense",
    )
    CUT_BY_SERIES = 5001, "max create for series exceeded", "M", "maxCreate cuts the batch"
    CUT_BY_CUSTOMER = 5002, "max coupon per user exceeded", "M", "maxVouchersPerUser cuts the batch"
    CUT_BY_POOL = 5005, "coupon queue is empty for series", "M", "the uploaded pool cuts the batch"
    CUT = 5006, "Unable to issue {n} coupons", "M", "anything else cuts the batch"
    DELIVERY_MISCONFIGURED = (
        799,
        _MISCONFIGURED,
        "I M N",
        "J13: sending synchronously, a template has an unknown tag, or no gateway",
    )
    GATEWAY_UNREACHABLE = 794, _TRY_AGAIN, "I M N", "J13: sending synchronously, the gateway cannot be reached"
    NOT_COMMUNICATED = 724, "Unable to communicate information to customer", "I", "warning: issued, but nobody to tell"
    RESENT = 700, "Coupon resent successfully", "I N V", "resent, or the existing coupon issued again"

    # Series.
    FIELD_MISSING = 403, "Field {x} is mandatory.", "S", "a mandatory field is missing"
    SERIES_CODE_TAKEN = 751, "coupon series with same series code is already present", "S", "on create, ignoring case"
    SERIES_CODE_OF_ANOTHER = 752, "coupon series with same series code is already present", "S", "on update"
    SERIES_CODE_EMPTY = 753, "series code cannot be empty", "S", "seriesCode present but blank"
    SHARED_CODE_EMPTY = 754, "generic cannot be empty for series type GENERIC", "S", "genericCode missing or blank"
    INVALID_SERIES_ID = 755, "invalid coupon series id", "S K X", "unknown series id"
    INVALID_EXCLUSIONS = (
        756,
        "invalid value for mutually exclusive config series",
        "S",
        "mutualExclusiveSeriesIds is no JSON list of integers, or names the series itself",
    )
    INVALID_SERIES_FIELD = 744, "Couldn't save coupon series fields", "S", "a field out of range, unknown or unparsable"
    SERIES_FIELDS_SAVED = (
        745,
        "Saved coupon series fields successfully",
        "S",
        "warning: only customPropertyMap was updated; or saved, with a remark",
    )

    # Reactivate and update a redemption, revoke, change an expiry, read.
    REDEMPTION_ID_MISSING = 661, "No Redemption id passed", "A U", "no ids, or an item without one"
    INVALID_REDEMPTION_IDS = (
        510,
        "Invalid Redemption ids present",
        "A U",
        "unknown in the org, or already reversed (A)",
    )
    UPDATED = 761, "Coupon redemption update successful", "U", "the item was updated, or all were"
    PARTLY_UPDATED = 762, "Coupon redemption update partially successful", "U", "some items failed"
    REVOKE_TARGET_MISSING = 756, "CouponCode/s or customer info is mandatory", "K", "neither codes nor a customer"
    SHARED_CODE_NEEDS_CUSTOMER = (
        108,
        "Unsupported coupons series config with client handling type GENERIC",
        "K",
        "codes of a GENERIC series without a customer",
    )
    NOT_IN_SERIES = 682, "Coupon not found ", "K", "the code is not in the series"
    REDEEMED = 405, "Coupon code redeemed", "K", "a listed code that is redeemed, with nothing left"
    EXPIRY_SERIES_MISSING = 756, "coupon seriesid is mandatory", "X", "no series id"
    EXPIRY_MISSING = 756, "Atleast one coupon code and expiry date info is mandatory", "X", "no code or no date"
    EXPIRY_NEEDS_CUSTOMER = (
        695,
        "User Id is mandatory for common coupon to change expiry",
        "X",
        "a GENERIC series without a customer",
    )
    EXPIRY_CODE_UNKNOWN = 633, "invalid coupon code", "X", "not in the series, or the customer holds none"
    EXPIRY_IN_PAST = 690, "Expiry date is past date", "X", "before the issue or before now"
    EXPIRY_BEYOND_SERIES = (
        691,
        "coupon code expiry date cannot be set beyond series expiry",
        "X",
        "after the series' expiry",
    )
    FILTERS_MISSING = 1000, "Filters not provided", "G", "none of issuedToIds, couponIds, couponCodes"
    SUCCESS = 200, "Success", "V", "status of a detailed customer coupon; any v1.1 request that went well"

    # Customers and their transactions (supporting APIs 2, 7). The coupon endpoints say 701 and 721 of the same things.
    UNKNOWN_SOURCE = 8011, "Invalid source passed", "C T", "a source that is not in the list of v2-coupon 2"
    INVALID_IDENTIFIER = (
        8013,
        "Invalid identifier passed",
        "C T",
        "an unknown kind, or a value that cannot be anybody's",
    )
    NO_SUCH_CUSTOMER = 8015, "No customer found with the given identifier", "C T", "nobody in the org has the identifier or id"
    CUSTOMER_DELETED = 8015, "Customer is deleted after PII delete request", "C T", "the id of somebody who was deleted"
    CUSTOMER_MERGED = 8069, "Customer is merged into another account", "C T", "the customer was merged away"
    NO_IDENTIFIER = (
        1007,
        "Unable to register customer. No valid primary identifier mobile number, email ID, or external ID passed.",
        "C",
        "nothing to know the customer by",
    )
    INVALID_MOBILE = 1001, "Unable to register. Invalid mobile number.", "C", "a mobile of fewer than 4 or more than 15 digits"
    INVALID_EMAIL = 1002, "Unable to register. Invalid email id.", "C", "not an e-mail address"
    INVALID_EXTERNAL_ID = 1003, "Unable to register. Invalid external id.", "C", "an external id or card of over 255 characters"
    ALREADY_REGISTERED = (
        1014,
        "Customer is registered already.",
        "C",
        "all identifiers are one customer's; or a card is another's",
    )
    EMAIL_TAKEN = 1016, "Unable to register. Email provided already exists for some other user.", "C", "the e-mail is another's"
    MOBILE_TAKEN = (
        1032,
        "Unable to register. Mobile number provided already exists for some other user.",
        "C",
        "the mobile is another's",
    )
    EXTERNAL_ID_TAKEN = (
        1033,
        "Unable to register. External id provided already exists for some other user.",
        "C",
        "the external id is another's",
    )
    UNKNOWN_STATUS_LABEL = 629, "Invalid status label", "C", "a label that the org does not have"
    UNKNOWN_REDEMPTION = 640, "Invalid coupon redemption ids present", "T", "a listed redemption is not in the org"
    REDEMPTION_OF_ANOTHER = (
        642,
        "Coupon redemptions of another customer present",
        "T",
        "a listed redemption is somebody else's",
    )

    # Validation codes (supporting APIs 5).
    INVALID_ACTION = 600, "Invalid action", "O", "no action, or none that could be one"
    INVALID_ENTITY_TYPE = 601, "Invalid entity type", "O", "neither MOBILE nor EMAIL"
    INVALID_ENTITY_VALUE = 602, "Invalid entity value", "O", "no value, or one that cannot be anybody's"
    INVALID_CHANNEL = 603, "Invalid channel", "O", "an unknown channel, an address that is none, or more than 5"
    CODE_MISSING = 604, "Code is missing", "O", "nothing to validate"
    CODE_NOT_VALID = 605, "Invalid or expired code", "O", "wrong, expired, used, or burnt by 5 wrong tries"
    CODE_NOT_SENDABLE = 606, "Unable to generate code", "O", "no such customer, or no address to send it to"
    NO_VALID_CODE = 9001, "No valid code found", "O", "the customer has no usable code of this scope"

    # v1.1 and resend.
    VERSION_UNSUPPORTED = 402, "Version not supported", "*", "a v1 path of which only v1.1 is served"
    OPERATION_UNSUPPORTED = 406, "Operation not supported", "*", "an operation of a resource that is not the coupon server's"
    PROCESSING_ERROR = 407, "Unknown error while processing", "*", "an unhandled exception in v1.1 (HTTP 500)"
    INVALID_TEST_STATUS = 1062, "Invalid test/control status", "*", "an unknown test or control status", _V11
    INVALID_ORG_ID = 1064, "Invalid organization id", "*", "an org id that is not the credential's", _V11
    SOME_FAILED = 201, "Some requests have failed due to errors", "I R", "some items succeeded, some failed"
    USED_BY_ASKER = 706, "Cannot redeem same voucher multiple times", "Q", "C14, C15: the asking customer is who used it"
    NOT_FOUND_BY_GET = 705, "Both coupon code and validation code are invalid", "G", "no such code or id"
    NOT_RESENT = 709, "Coupon processing failed", "N", "redeemed out, expired or unissued; or resend is off"
    SMS_FAILED = 704, "Error in sending coupon through SMS", "N", "the gateway refused, or there is no mobile"
    SERIES_FETCHED = 700, "Coupon series fetched successfully", "S", "the item was found"
    COUPONS_RETRIEVED = 1000, "Issued coupons retrieved successfully", "V", "item status of the customer"
    CUSTOMER_REGISTERED = 1000, "Customer registration successful", "C", "item status of a customer who was registered"
    CUSTOMER_RETRIEVED = 1000, "Customer successfully retrieved", "C", "item status of a customer who was found"
    CUSTOMER_UPDATED = 1000, "Customer updated successfully", "C", "item status of a customer who was changed"
    ENTITIES_FOUND = 3200, "Entity search successful", "E", "item status of a store, till, zone or concept"
    ENTITIES_NOT_FOUND = 3202, "Organization entities not found", "E", "the org has none such"
    NO_SUCH_CUSTOMER_V11 = (
        1012,
        "Cannot find customer with the provided mobile number/external ID/e-mail ID.",
        "C V",
        "nobody in the org has the identifier",
    )
    SIDE_EFFECTS_QUEUED = (
        687,
        "Points activities are queued and will be updated later",
        "R",
        "warning: redeemed, the side-effects hook queued or could not be reached",
    )

    # Uploads.
    REDEMPTION_IMPORTED = 731, "Coupon redemption successful", "F", "status of an imported row"

    @property
    def v11_message(self) -> str:
        """The text that v1.1 has for it, where it has its own."""
        match self:
            case Code.RESENT:
                return "Coupon Resent"
            case Code.UNAUTHENTICATED:
                return "Please check your username/password or authentication token"
            case _ if self.message == _TRY_AGAIN:
                return "Unable to process coupon. Please try again later"
            case _ if self.message.startswith(_MISCONFIGURED):
                return "Configuration is invalid. Please report to Capillary Support"
            case _:
                return self.message

    @property
    def is_service_failure(self) -> bool:
        """Whether the service, not a rule, prevented a decision: nothing was done, nothing is stored, HTTP 5xx."""
        return self in SERVICE_FAILURES

    @property
    def is_retryable(self) -> bool:
        """Whether the same request may succeed a moment later, which `Retry-After: 1` says."""
        return self in SERVICE_FAILURES and self not in _BROKEN_UNTIL_REPAIRED


_BROKEN_UNTIL_REPAIRED = frozenset(
    {Code.UNKNOWN_ERROR, Code.SERIES_UNREADABLE, Code.ORG_MISCONFIGURED, Code.DELIVERY_MISCONFIGURED}
)
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
    Code.VALIDATION_UNAVAILABLE,
    Code.OUTBOX_UNAVAILABLE,
    Code.GATEWAY_UNREACHABLE,
    Code.DEADLINE_EXCEEDED,
}
