"""What happened, with all that others may be told about it: plain data, which bodies of events and texts of messages are made of.

A batch is read at once (`store.telling`); whoever makes deliveries of it finds everything here by id. It is as it was when it was
read, soon after it happened: a coupon that was re-dated meanwhile shows its new expiry.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import IntEnum
from typing import Final

from msgspec import Struct

from couponry.core import ids
from couponry.core.model import Customer
from couponry.core.series import Series
from couponry.core.validation import Message

OTP_MESSAGE: Final = "OtpMessage"
"""The one cause whose subject only its name tells: a validation code."""


class Rank(IntEnum):
    """What is told before what, whenever it happened: causes of one rank are told in the order of their times.

    One customer's order across ranks is not kept, so nothing may be `LATER` that changes what is known of a coupon: it is the
    issue of a bulk job, or a message that nobody waits for.
    """

    AT_ONCE = 0
    USUAL = 1
    LATER = 2


class Cause(Struct, frozen=True, gc=False):
    """A row of the outbox: something that happened, or that a customer is to be told.

    `subject_ids` are all that it is about, one or several: coupons, a redemption, a validation code, or a series.
    `identified_by` are the kinds of identifiers that a request named its customer by.
    """

    id: int
    event: str
    subject_ids: tuple[int, ...]
    customer_id: int | None
    request_id: str
    created_ms: int
    identified_by: frozenset[str] = frozenset()

    @property
    def coupon_ids(self) -> tuple[int, ...]:
        """Its subjects where they are coupons."""
        return self.subject_ids if self.event != OTP_MESSAGE and ids.is_coupon_id(self.subject_ids[0]) else ()

    @property
    def redemption_id(self) -> int | None:
        """Its subject where it is a redemption."""
        first = self.subject_ids[0]
        is_one = self.event != OTP_MESSAGE and not ids.is_coupon_id(first) and ids.org_of(first)
        return first if is_one else None

    @property
    def otp_id(self) -> int | None:
        """Its subject where it is a validation code."""
        return self.subject_ids[0] if self.event == OTP_MESSAGE else None

    @property
    def series_id(self) -> int | None:
        """Its subject where it is a series; that of coupons is in the facts."""
        first = self.subject_ids[0]
        return first if self.event != OTP_MESSAGE and not ids.org_of(first) else None


class ToldCoupon(Struct, frozen=True, gc=False):
    """A coupon. `customer_id` is whose it is now, `expires_local` its own expiry by its series' wall clock, if any."""

    id: int
    series_id: int
    code: str
    customer_id: int | None
    issued_ms: int | None
    expires_local: str | None
    issued_till_id: int | None
    revoked_ms: int | None
    redeemed: int


class ToldRedemption(Struct, frozen=True, gc=False):
    """A redemption, and its reversal if there was one. An empty transaction number is none."""

    id: int
    coupon_id: int
    series_id: int
    customer_id: int
    till_id: int
    store_id: int
    redeemed_ms: int
    amount: Decimal | None
    transaction_number: str
    bill_id: int | None
    reversed_ms: int | None
    reversed_till_id: int | None
    reversal_reason: str | None


class ToldCustomer(Struct, frozen=True, gc=False):
    """A customer with what they want no messages by, as the row has it; who is `gone` is sent nothing."""

    customer: Customer
    unsubscribed: str | None


class ToldTill(Struct, frozen=True, gc=False):
    """A till and its store; external ids are the store's."""

    id: int
    code: str
    name: str
    store_id: int
    store_code: str
    store_name: str
    external_id: str | None
    external_id_1: str | None
    external_id_2: str | None


class ToldOtp(Struct, frozen=True, gc=False):
    """A validation code, sealed under its id (`core.validation.Vault`), and how it is told."""

    id: int
    customer_id: int
    sealed: bytes
    message: Message
    expires_ms: int
    is_used: bool


class Facts(Struct, frozen=True):
    """Everything about a batch of causes, by id. What was deleted meanwhile, or cannot be read, is missing.

    `now_ms` is when the batch is told. Tills are those of issues, redemptions and reversals; series are under their current
    terms; customers are those of the causes, of the coupons and of the redemptions.
    """

    now_ms: int
    coupons: Mapping[int, ToldCoupon]
    redemptions: Mapping[int, ToldRedemption]
    series: Mapping[int, Series]
    customers: Mapping[int, ToldCustomer]
    tills: Mapping[int, ToldTill]
    otps: Mapping[int, ToldOtp]

    def coupons_of(self, cause: Cause) -> Sequence[ToldCoupon]:
        """The coupons that a cause is about, a redemption's too, in its order."""
        redemption = self.redemptions.get(cause.redemption_id or 0)
        wanted = (redemption.coupon_id,) if redemption else cause.coupon_ids
        return [self.coupons[coupon_id] for coupon_id in wanted if coupon_id in self.coupons]
