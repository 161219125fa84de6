"""What the ledger says to an agent who wanted to do something for a customer: what it means, and what to do instead."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from couponry.core.advice import ADVICE
from couponry.core.status import SERVICE_FAILURES, Code

_AGAIN: Final = "Nothing was changed. Please try again; if it keeps happening, tell whoever runs the server."
_HAS_ONE: Final = (
    "The customer holds an unused coupon of this series, and may not have another. Look at that one, or choose another series."
)

WORDS: Final[Mapping[Code, str]] = MappingProxyType(
    {
        Code.NOT_RESENT: "There is nothing left to redeem, it was never issued, or the series lets no message be sent again.",
        Code.SMS_FAILED: "There is no mobile to send to, or the customer wants no SMS. Read the code to them instead.",
        Code.REVOKED: "The coupon was revoked, for good. Issue another one if that was a mistake.",
        Code.REDEEMED: "The coupon is used up, so there is nothing left to revoke.",
        Code.NOT_IN_SERIES: "The coupon is not in this series any more. Look it up again.",
        Code.INVALID_REDEMPTION_IDS: "That redemption was reversed before, so nothing was changed.",
        Code.EXPIRY_IN_PAST: "That day has passed, or lies before the coupon's issue. Choose a later day.",
        Code.EXPIRY_BEYOND_SERIES: "The series ends before that day. Choose an earlier day, or have the series extended first.",
        Code.EXPIRY_CODE_UNKNOWN: "The coupon is not the customer's any more. Look it up again.",
        Code.EXPIRY_NEEDS_CUSTOMER: "Many customers share this code. Open the customer's own record of it, and act there.",
        Code.SHARED_CODE_NEEDS_CUSTOMER: "Many customers share this code. Open the customer's own record of it, and act there.",
        Code.SERIES_EXPIRED: "The series has expired, or its campaign is paused or has ended. Choose a series that runs.",
        Code.HOLDS_A_COUPON: _HAS_ONE,
        Code.CUSTOMER_HAS_ENOUGH: "The customer has had as many coupons of this series as one may have. Choose another series.",
        Code.ISSUED_TOO_SOON: "The customer had a coupon of this series too recently. Choose another series, or wait.",
        Code.EXCLUDED: "The customer has had a coupon of a series that excludes this one. Choose another series.",
        Code.NOT_MEANT_FOR_CUSTOMER: "The customer is not among those that the series is for. Choose another series.",
        Code.SERIES_LIMIT_REACHED: "All coupons of the series have been issued. Choose another series.",
        Code.NO_CODE_LEFT: "The series has no code left. Choose another series, and tell whoever made it.",
        Code.WRONG_SOURCE: "Codes of this series are issued elsewhere. Choose another series.",
        Code.UNKNOWN_SERIES: "There is no such series any more. Choose another one.",
        Code.FRAUD_CUSTOMER_AT_ISSUE: "The customer is marked as fraudulent. Pass them on to whoever clears fraud marks.",
        Code.CUSTOMER_BLOCKED: "The customer's status blocks coupons. Pass them on to whoever may change the status.",
        Code.INVALID_CUSTOMER: "The customer's record is deleted or merged into another. Find the one they have now.",
        Code.DELIVERY_MISCONFIGURED: "No gateway is set up for messages, so nothing was sent. Read the code out instead.",
        Code.GATEWAY_UNREACHABLE: "The message gateway cannot be reached, so nothing was done. Try again in a minute.",
    }
    | {code: _AGAIN for code in SERVICE_FAILURES if code not in {Code.DELIVERY_MISCONFIGURED, Code.GATEWAY_UNREACHABLE}}
)


def why_not(code: Code) -> str:
    """Why the ledger did not do it, and the next step."""
    if code in WORDS:
        return WORDS[code]
    known = ADVICE.get(code)
    return f"{known.meaning} {known.for_agent}" if known else f"{code.message}. Nothing was changed."
