"""What a refused redemption means in plain words, and what to do about it: one sentence for whoever made the series, and one for
whoever speaks to the customer.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from couponry.core.status import SERVICE_FAILURES, Code


class Advice(Struct, frozen=True):
    """`meaning` says what happened, `for_marketer` what to change if it happens too often, `for_agent` the next step now."""

    meaning: str
    for_marketer: str
    for_agent: str


_IT_PASSES: Final = Advice(
    "The service could not decide just then; nothing was redeemed.",
    "Nothing in the series is wrong. If it keeps happening, ask whoever runs the server to look at its log.",
    "Ask the store to try again now; the coupon is unchanged.",
)
_TILL_ASKS_WRONGLY: Final = Advice(
    "The till sent a request that cannot be read.",
    "Nothing in the series is wrong. Ask whoever looks after the tills to check what they send.",
    "Ask the store to type the coupon again; if it fails again, report the till and the time.",
)
_TILL_MAY_NOT: Final = Advice(
    "The till is not allowed to ask, or signed in wrongly.",
    "Nothing in the series is wrong. Have the till's credential checked under Operations, Credentials.",
    "Ask the store to use another till, and report this one.",
)
_UNKNOWN_CODE: Final = Advice(
    "No coupon has this code.",
    "Look for a misprint in the message or on the leaflet; codes that people confuse become rarer with unambiguous characters.",
    "Have the code read out letter by letter, or find the coupon by the customer's mobile.",
)
_NOT_YET_ISSUED: Final = Advice(
    "The coupon has not been issued to anybody.",
    "Issue codes before you give them out, or open the series to any customer.",
    "Find the customer's own coupon by mobile; a code from the pool cannot be used before it is issued.",
)
_USED_UP: Final = Advice(
    "The code was redeemed as often as it may be by all customers together.",
    "Raise the limit per coupon if the budget allows it.",
    "Tell the customer that this code is used up, and look whether another coupon of theirs is still good.",
)
_USED_BY_THEM: Final = Advice(
    "This customer has redeemed this coupon already.",
    "Let one customer redeem a coupon several times if that was meant.",
    "Show the customer when and where they redeemed it; reactivate it if that purchase was cancelled.",
)
_OTHERS: Final = Advice(
    "Another coupon of the same purchase was refused, so none was redeemed.",
    "Look at the refusals of the other coupon; this series did not refuse.",
    "Find which coupon of the purchase was refused, take it out, and have the rest redeemed again.",
)
_VALIDATION: Final = Advice(
    "The series asks for a code sent to the customer's phone, and none was given.",
    "Tell stores to ask for the code, or switch validation off for the series.",
    "Ask the store to have the code sent to the customer and to type it in.",
)

ADVICE: Final[Mapping[Code, Advice]] = MappingProxyType(
    {
        Code.UNAUTHENTICATED: _TILL_MAY_NOT,
        Code.ACCESS_DENIED: _TILL_MAY_NOT,
        Code.AUTHORISATION_UNAVAILABLE: _IT_PASSES,
        Code.RATE_LIMITED: Advice(
            "The till asked too often within a minute.",
            "Nothing in the series is wrong. If tills are many behind one credential, have its limit raised.",
            "Ask the store to wait a minute and to try again.",
        ),
        Code.UNKNOWN_RESOURCE: _TILL_ASKS_WRONGLY,
        Code.WRONG_METHOD: _TILL_ASKS_WRONGLY,
        Code.UNSUPPORTED_MEDIA_TYPE: _TILL_ASKS_WRONGLY,
        Code.BODY_TOO_LARGE: _TILL_ASKS_WRONGLY,
        Code.MALFORMED: _TILL_ASKS_WRONGLY,
        Code.BATCH_LIMIT_EXCEEDED: _TILL_ASKS_WRONGLY,
        Code.LOOKUP_TYPE_MISSING: _TILL_ASKS_WRONGLY,
        Code.UNKNOWN_ATTRIBUTION: Advice(
            "The till is unknown or switched off.",
            "Nothing in the series is wrong. Have the till looked at under Operations, Stores and tills.",
            "Ask the store to use another till, and report this one.",
        ),
        Code.INVALID_INPUT: _TILL_ASKS_WRONGLY,
        Code.IDENTIFIER_MISSING: Advice(
            "The till sent no coupon code.",
            "Nothing in the series is wrong. Ask whoever looks after the tills to check what they send.",
            "Ask the store to type the code in again.",
        ),
        Code.REPEATED_IN_REQUEST: Advice(
            "The same coupon was given twice in one purchase.",
            "Nothing to change: a coupon counts once for each purchase.",
            "Ask the store to enter the coupon once.",
        ),
        Code.VERSION_UNSUPPORTED: _TILL_ASKS_WRONGLY,
        Code.OPERATION_UNSUPPORTED: _TILL_ASKS_WRONGLY,
        Code.INVALID_TEST_STATUS: _TILL_ASKS_WRONGLY,
        Code.INVALID_ORG_ID: _TILL_MAY_NOT,
        Code.PROCESSING_ERROR: _IT_PASSES,
        Code.INVALID_CUSTOMER: Advice(
            "The customer was not named, or by identifiers of different people, or is deleted or merged away.",
            "Nothing in the series is wrong. If it happens at one store, have its staff take the customer's mobile.",
            "Find the customer by mobile and give the store the one identifier that is theirs.",
        ),
        Code.CUSTOMER_NOT_FOUND: Advice(
            "No customer has this mobile, e-mail or id.",
            "Have stores register customers before they redeem.",
            "Check the mobile with the customer; if they are new, have the store register them first.",
        ),
        Code.FRAUD_CUSTOMER: Advice(
            "The customer is marked as fraudulent.",
            "Nothing in the series is wrong; the org's settings say which fraud marks block.",
            "Do not promise a redemption; pass the customer on to whoever clears fraud marks.",
        ),
        Code.CUSTOMER_BLOCKED: Advice(
            "The customer's status blocks coupons.",
            "Nothing in the series is wrong; the customer's status label blocks issue and redemption.",
            "Look at the customer's status label and pass them on to whoever may change it.",
        ),
        Code.INVALID_CODE: Advice(
            "What was typed cannot be a coupon code.",
            "If it happens often, print the code as a QR code, or shorter.",
            "Have the code typed again: letters, digits, - and _ only, 40 at most.",
        ),
        Code.UNKNOWN_COUPON: _UNKNOWN_CODE,
        Code.UNKNOWN_COUPON_CHECKED: _UNKNOWN_CODE,
        Code.INVALID_ORGANIZATION: Advice(
            "The coupon belongs to another company.",
            "Nothing to change: another company's coupons are never taken.",
            "Tell the customer that this coupon is not one of ours.",
        ),
        Code.SERIES_UNREADABLE: Advice(
            "The stored terms of the series cannot be used.",
            "Open the series, correct its terms and save it again; until then nobody can redeem.",
            "Tell the customer that the offer is being repaired, and report the series.",
        ),
        Code.TEST_COUPON: Advice(
            "The coupon is of a test series, which never redeems.",
            "If customers have it, issue coupons of a real series instead, and revoke these.",
            "Tell the customer that it was a test, and issue a goodwill coupon if your rules allow it.",
        ),
        Code.REVOKED: Advice(
            "The coupon was revoked.",
            "If it was revoked by mistake, issue another one.",
            "Tell the customer why it was revoked (the timeline says it); issue another one if that was a mistake.",
        ),
        Code.SERIES_EXPIRED: Advice(
            "The series has expired, or its campaign has ended or is paused.",
            "Resume the campaign, or set a later expiry; remind holders earlier next time.",
            "Tell the customer that the offer is over; issue a goodwill coupon if your rules allow it.",
        ),
        Code.COUPON_EXPIRED: Advice(
            "The coupon itself has expired.",
            "Give coupons longer to live, or remind their holders before they expire.",
            "Extend the coupon's expiry if your rules allow it.",
        ),
        Code.NOT_ISSUED_TO_CUSTOMER: Advice(
            "The coupon belongs to somebody else.",
            "Open the series to any customer if coupons may be passed on.",
            "Find the caller's own coupon by mobile; this one is somebody else's.",
        ),
        Code.NOT_ISSUED: _NOT_YET_ISSUED,
        Code.NOT_MEANT_FOR_CUSTOMER: Advice(
            "The customer is not among those that the series is for.",
            "Look whether the audience or the customer conditions are narrower than you meant.",
            "Tell the customer that the offer is for others, and look for a coupon that is theirs.",
        ),
        Code.INVALID_STORE: Advice(
            "The store or till is not one that the series may be redeemed at.",
            "Add the store to the series if it takes part; if not, name the stores in the message.",
            "Tell the customer where the coupon is good; the coupon page lists the stores.",
        ),
        Code.NOT_STARTED: Advice(
            "It is too early: the series has not begun, or the coupon is too new.",
            "Begin earlier, or say in the message from when the coupon is good.",
            "Tell the customer from which day the coupon is good.",
        ),
        Code.OUTSIDE_WINDOW: Advice(
            "It was outside the hours or days on which the series may be redeemed.",
            "Widen the hours or days, or name them in the message.",
            "Tell the customer on which days and hours the coupon is good.",
        ),
        Code.TRANSACTION_NUMBER_NEEDED: Advice(
            "The till sent no bill number, which the org demands.",
            "Have tills send the bill number, or switch the demand off in the org's settings.",
            "Ask the store to enter the bill number and to try again.",
        ),
        Code.INVALID_AMOUNT: Advice(
            "The bill is below or above what the series allows, or the till sent none.",
            "Look whether the minimum bill fits what customers spend, and name it in the message.",
            "Tell the customer which bill the coupon needs.",
        ),
        Code.ALREADY_USED: Advice(
            "The coupon was redeemed already, and is good for one use.",
            "Nothing to change, unless a coupon was to be good for several uses.",
            "Show the customer when and where it was redeemed; reactivate it if that purchase was cancelled.",
        ),
        Code.ALREADY_USED_BY_CUSTOMER: _USED_BY_THEM,
        Code.USED_BY_ASKER: _USED_BY_THEM,
        Code.CODE_LIMIT_REACHED: _USED_UP,
        Code.CODE_LIMIT_REACHED_V11: _USED_UP,
        Code.CUSTOMER_LIMIT_REACHED: Advice(
            "The customer has redeemed as often in this series as one customer may.",
            "Raise the limit per customer if regulars should redeem more often.",
            "Tell the customer that they have had all of this offer.",
        ),
        Code.TOO_SOON: Advice(
            "The customer's last redemption in this series is too recent.",
            "Shorten the days between redemptions if regulars run into it.",
            "Tell the customer from which day they can redeem again.",
        ),
        Code.SERIES_LIMIT_REACHED: Advice(
            "The series has been redeemed as often as it may be by everybody together.",
            "Raise the limit of redemptions if the budget allows it, or end the campaign.",
            "Tell the customer that the offer is used up; issue a goodwill coupon if your rules allow it.",
        ),
        Code.VALIDATION_REQUIRED: _VALIDATION,
        Code.NO_MISSED_CALL: Advice(
            "The series asks for a missed call from the customer, and none came.",
            "Tell stores how customers confirm, or switch validation off for the series.",
            "Ask the customer to ring the number from their registered mobile, and the store to try again.",
        ),
        Code.INVALID_VALIDATION_CODE: Advice(
            "The code sent to the customer's phone was wrong, too old or used.",
            "If it happens often, let such codes live longer in the org's settings.",
            "Ask the store to have a new code sent and to type that one in.",
        ),
        Code.PRE_REDEEM_REFUSED: Advice(
            "The company's own system was asked before the redemption, and said no or did not answer.",
            "Ask whoever runs that system; if it need not be asked, switch that off for the series.",
            "Ask the store to try again once; if it fails again, report the coupon and the time.",
        ),
        Code.OTHER_COUPON_FAILED: _OTHERS,
        Code.ALL_FAILED: _OTHERS,
        Code.BATCH_REFUSED: _OTHERS,
        Code.DRAINING: _IT_PASSES,
    }
    | {code: _IT_PASSES for code in SERVICE_FAILURES if code is not Code.SERIES_UNREADABLE}
)
"""Every code that a redemption, or a check of one, can be refused with."""


def advice(code: Code) -> Advice:
    """What it means and what to do; a code that no redemption is refused with says what it says."""
    return ADVICE.get(code) or Advice(f"{code.message}.", "Nothing to change in the series.", "Report the coupon and the time.")
