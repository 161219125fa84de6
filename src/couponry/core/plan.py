"""What a batch decided: an outcome for every command, and the rows to write. Counters are sums over these rows."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, assert_never

from msgspec import Struct

from couponry.core.commands import Amend, Check, Command, Issue, Redate, Redeem, Resend, Reverse, Revoke
from couponry.core.model import Coupon, Customer, Redemption, StoredRedemption
from couponry.core.series import Series
from couponry.core.status import Code


class Offer(Struct, frozen=True, gc=False, array_like=True):
    """What a coupon is worth, as a response states it."""

    series_id: int
    discount_code: str
    discount_type: str
    discount_value: Decimal
    discount_upto: Decimal


class ItemOutcome(Struct, frozen=True, array_like=True):
    """What became of one coupon of a request. `code_shown` is the stored code, or the sent one when the coupon is unknown.

    `days_left` is how many days are missing where the gap was not kept (738).
    """

    status: Code
    code_shown: str
    coupon_id: int = -1
    redemption_id: int = -1
    offer: Offer | None = None
    warnings: tuple[Code, ...] = ()
    days_left: int = 0


class Answer(Struct, frozen=True, array_like=True, tag="redeem"):
    """What became of a redeem request; without items the request as a whole was refused or could not be decided."""

    status: Code
    items: tuple[ItemOutcome, ...] = ()
    customer: Customer | None = None


class CheckedItem(Struct, frozen=True):
    """What a check found out about one coupon; `redemptions_left` is -1 when nothing limits it."""

    outcome: ItemOutcome
    redemptions_left: int = 0
    redeemed_by_customer: int = 0
    series: Series | None = None


class CheckAnswer(Struct, frozen=True):
    """What became of a redeemability request."""

    status: Code
    items: tuple[CheckedItem, ...] = ()
    customer: Customer | None = None


class SeriesOffer(Struct, frozen=True, array_like=True):
    """What the coupons of a series are worth, as issue answers state it. `expires_local` is the series' own expiry in `zone`."""

    series_id: int
    description: str
    info: str
    discount_code: str
    discount_type: str
    discount_value: Decimal
    discount_upto: Decimal
    discount_on: str
    custom_properties: dict[str, str]
    expires_local: str = ""
    zone: str = "UTC"


class IssuedCoupon(Struct, frozen=True, array_like=True):
    """A coupon in a customer's hands. `expires_local` is its exact expiry by the wall clock of its series, ISO without offset."""

    coupon_id: int
    code: str
    expires_local: str
    redeemed: int = 0


class IssuedItem(Struct, frozen=True, array_like=True):
    """What became of one series of an issue.

    Refused, it has a code and no coupons. `cut` is why there are fewer coupons than were asked for (5001-5006).
    """

    status: Code
    series_id: int
    offer: SeriesOffer | None = None
    coupons: tuple[IssuedCoupon, ...] = ()
    cut: Code | None = None
    warnings: tuple[Code, ...] = ()


class IssueAnswer(Struct, frozen=True, array_like=True, tag="issue"):
    """What became of an issue; without items the request as a whole was refused or could not be decided."""

    status: Code
    items: tuple[IssuedItem, ...] = ()
    customer: Customer | None = None


class ResendAnswer(Struct, frozen=True):
    """What became of a resend: RESENT, or why nothing is sent; without an id, the coupon is unknown."""

    status: Code
    coupon_id: int = -1
    code_shown: str = ""


class ReverseAnswer(Struct, frozen=True):
    """What became of a reactivation: PROCESSED, or why nothing was reversed."""

    status: Code


class RevokedCoupon(Struct, frozen=True):
    """A coupon out of circulation; `customer_id` is None for one that nobody had."""

    coupon_id: int
    code: str
    customer_id: int | None


class RevokeAnswer(Struct, frozen=True):
    """What became of a revocation: PROCESSED, or why the request as a whole was refused; `failed` are codes as sent."""

    status: Code
    revoked: tuple[RevokedCoupon, ...] = ()
    failed: tuple[tuple[Code, str], ...] = ()


class RedateAnswer(Struct, frozen=True):
    """What became of a change of expiries: PROCESSED, or why all of it was refused; and for each coupon its code, or None."""

    status: Code
    items: tuple[Code | None, ...] = ()
    series_id: int = -1
    customer_id: int = -1


class AmendedItem(Struct, frozen=True):
    """What became of one redemption, and what is recorded about it now; a refused one shows what was sent."""

    status: Code
    redemption_id: int
    amount: Decimal | None = None
    transaction_number: str = ""
    bill_id: int | None = None
    custom_fields: tuple[tuple[str, str], ...] = ()


class AmendAnswer(Struct, frozen=True):
    """What became of an update of redemptions: UPDATED, PARTLY_UPDATED, ALL_FAILED, or why the request as a whole was refused."""

    status: Code
    items: tuple[AmendedItem, ...] = ()
    customer: Customer | None = None


AnyAnswer = Answer | CheckAnswer | ResendAnswer | IssueAnswer | ReverseAnswer | RevokeAnswer | RedateAnswer | AmendAnswer


class Outcome(Struct, frozen=True):
    """The answer to one command, and whether it had been given before (README 10)."""

    answer: AnyAnswer
    replayed: Literal["", "true", "derived"] = ""


def failure(command: Command, code: Code, customer: Customer | None = None) -> Outcome:
    """The outcome of a command that was refused, or failed, as a whole."""
    match command:
        case Redeem():
            return Outcome(Answer(code, (), customer))
        case Check():
            return Outcome(CheckAnswer(code, (), customer))
        case Resend():
            return Outcome(ResendAnswer(code))
        case Issue():
            return Outcome(IssueAnswer(code, (), customer))
        case Reverse():
            return Outcome(ReverseAnswer(code))
        case Revoke():
            return Outcome(RevokeAnswer(code))
        case Redate():
            return Outcome(RedateAnswer(code))
        case Amend():
            return Outcome(AmendAnswer(code, (), customer))
        case _:
            assert_never(command)


class Kept(Struct, frozen=True, gc=False):
    """An answer to keep under an idempotency key; `replaces` a stored one that no longer counts."""

    digest: str
    fingerprint: bytes
    answer: Answer | IssueAnswer
    replaces: bool


class NewCoupon(Struct, frozen=True, gc=False):
    """A coupon that comes into a customer's hands at a till; `details` is an issue's metadata as JSON text."""

    coupon: Coupon
    till_id: int
    details: str | None = None
    store_id: int | None = None


class Reversal(Struct, frozen=True, gc=False):
    """A redemption that is undone. One whose use `is_consumed` keeps counting, but cannot be undone again.

    `store_id` is where it was redeemed, and `discount` what it gave.
    """

    redemption_id: int
    coupon_id: int
    series_id: int
    customer_id: int
    till_id: int
    reason: str
    is_consumed: bool
    store_id: int = 0
    discount: Decimal = Decimal(0)


class Event(Struct, frozen=True, gc=False):
    """What is to be told to others; `subject_ids` when it is about several coupons, `subject_id` being the first.

    `identified_by` lists the kinds of identifiers that its request named the customer by, which events show (events 1).
    """

    name: str
    subject_id: int
    customer_id: int | None
    request_id: str
    subject_ids: tuple[int, ...] = ()
    identified_by: str = ""


class Refusal(Struct, frozen=True, gc=False):
    """The trace of one refused coupon, or of a request refused as a whole: for support, never for a counter."""

    status: Code
    code_sent: str
    coupon_id: int | None
    series_id: int | None
    customer_id: int | None
    till_id: int
    transaction_number: str
    amount: Decimal | None
    at_ms: int | None
    request_id: str
    store_id: int


@dataclass(slots=True)
class Plan:
    """The rows that make the outcomes true; they are written in one transaction, or not at all.

    `given_coupons` are rows that exist already and come into a customer's hands. Revocations and expiries are by coupon id.
    `codes_used` and `wrong_tries` are ids of validation codes, `calls_used` of missed calls; a wrong try outlives its refusal.
    """

    now_ms: int
    outcomes: list[Outcome] = field(default_factory=list)
    redemptions: list[Redemption] = field(default_factory=list)
    reversals: list[Reversal] = field(default_factory=list)
    amended: list[StoredRedemption] = field(default_factory=list)
    new_coupons: list[NewCoupon] = field(default_factory=list)
    given_coupons: list[NewCoupon] = field(default_factory=list)
    revoked: list[Coupon] = field(default_factory=list)
    redated: list[tuple[int, str]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    codes_used: list[int] = field(default_factory=list)
    calls_used: list[int] = field(default_factory=list)
    wrong_tries: list[int] = field(default_factory=list)

    def undoable(self) -> tuple[list[Any], ...]:
        """The rows that a refused request must not leave behind."""
        return (
            *(self.redemptions, self.reversals, self.amended, self.new_coupons, self.given_coupons),
            *(self.revoked, self.redated, self.events),
        )
