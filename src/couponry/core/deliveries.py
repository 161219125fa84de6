"""What is on its way to somebody outside: events to webhooks, messages to customers (events 1-5)."""

from enum import IntEnum, StrEnum
from typing import Final

from msgspec import Struct

from couponry.core.limits import SECRET_KEPT_MS


class Channel(IntEnum):
    """Targets that are no webhook; their numbers stand where a webhook's id would."""

    SMS = -1
    EMAIL = -2
    SIDE_EFFECTS = -3
    CONTACTS = -4
    """E-mails to the org's own contacts."""
    OTP_SMS = -6
    OTP_EMAIL = -7
    """Validation codes: somebody waits for them, and a campaign's messages must not be in their way."""
    UNTOLD = -5
    """Nowhere: dead letters of causes that nothing could be made of."""

    @property
    def is_sms(self) -> bool:
        """Whether what goes there is the text of an SMS."""
        return self in {Channel.SMS, Channel.OTP_SMS}


class DeliveryState(StrEnum):
    """Where a delivery stands. A failed one is a dead letter; a skipped one was not to be sent."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"
    SKIPPED = "skipped"


class Webhook(Struct, frozen=True, kw_only=True):
    """A receiver of events. `wire_id` is what the API calls it; `headers` are sealed (`store.webhooks.opened`).

    `enrichments` name what its events show beside the usual (events 1). `sla_s` only flags late deliveries. `created_by` and
    `updated_by` are tills.
    """

    id: int
    wire_id: str
    name: str
    url: str
    event_names: frozenset[str]
    headers: bytes
    enrichments: frozenset[str]
    connections_max: int
    sla_s: int
    is_active: bool
    consumer_group_id: str
    secret_number: int
    rotated_ms: int | None
    created_ms: int
    created_by: int | None
    updated_ms: int
    updated_by: int | None

    def secret_numbers(self, now_ms: int) -> tuple[int, ...]:
        """The secrets that sign, newest first: after a rotation the one before counts for a while."""
        is_kept = self.rotated_ms is not None and now_ms - self.rotated_ms < SECRET_KEPT_MS
        return (self.secret_number, self.secret_number - 1) if is_kept else (self.secret_number,)


class NewDelivery(Struct, frozen=True, kw_only=True):
    """A delivery to be. `body` is what is sent, `address` whom a message goes to; `problem` why one is skipped.

    Those of one customer at one target keep their order: one that waits for its `next_ms` holds up those after it. What must
    not be held up, such as a validation code, goes out without a `customer_id`. From `expires_ms` on it is not sent any more.
    """

    outbox_id: int
    event: str
    target_id: int
    customer_id: int | None
    body: str
    request_id: str
    ref_id: str
    coupon_id: int | None = None
    address: str | None = None
    state: DeliveryState = DeliveryState.WAITING
    next_ms: int = 0
    expires_ms: int | None = None
    problem: str = ""


class Due(Struct, frozen=True, kw_only=True):
    """A delivery whose time has come. `customer_id` is 0 for what is about nobody in particular, which keeps no order.

    `since_ms` is since when it is tried: what is replayed, or sent again, is tried anew, however long ago it was made; such an
    `is_repeat` keeps its order among other repeats alone. From `expires_ms` on it is of no use.
    """

    id: int
    outbox_id: int
    event: str
    target_id: int
    customer_id: int
    address: str | None
    body: str
    attempts: int
    created_ms: int
    since_ms: int
    is_repeat: bool = False
    expires_ms: int | None = None


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of an attempt. `again_ms` is when to try again, None for never.

    With `is_put_off` or `is_unwanted` nothing was tried.
    """

    due: Due
    is_delivered: bool
    begun_ms: int
    done_ms: int
    http_status: int | None = None
    problem: str = ""
    again_ms: int | None = None
    is_put_off: bool = False
    is_unwanted: bool = False


class Delivery(Struct, frozen=True, kw_only=True):
    """A delivery as the log shows it. `happened_ms` is when its cause was committed, `created_ms` when it was made of it.

    `begun_ms`, `http_status`, `took_ms` and `problem` are of the last attempt; `done_ms` is None while it waits.
    """

    id: int
    outbox_id: int
    event: str
    target_id: int
    customer_id: int | None
    coupon_id: int | None
    address: str | None
    body: str
    state: DeliveryState
    attempts: int
    next_ms: int
    created_ms: int
    begun_ms: int | None
    done_ms: int | None
    http_status: int | None
    took_ms: int | None
    problem: str
    request_id: str
    ref_id: str
    happened_ms: int


class TargetCount(Struct, frozen=True):
    """What waits for a target, and what has failed there: counted up to a bound. `oldest_ms` is when the oldest was made."""

    target_id: int
    waiting: int
    oldest_ms: int | None
    failed: int


EVENT_NAMES: Final = ("CouponIssue", "CouponRedeem", "CouponReactivate", "CouponRevoke", "CouponExpiryChange")
"""Events that webhooks may name; `CouponIssueLimit` beside them tells that a series' issue limit is near."""
