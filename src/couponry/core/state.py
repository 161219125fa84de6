"""Everything that a batch may touch, prefetched: the only world that rules see."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from msgspec import Struct

from couponry.core.model import Coupon, Customer, Identifier, Org, Standing, StoredRedemption
from couponry.core.plan import Answer, IssueAnswer
from couponry.core.series import Series
from couponry.core.validation import MissedCall, ValidationCode


@dataclass(slots=True)
class State:
    """One org's rows for one batch. `decide` folds over it and leaves the rows as the batch would.

    `coupon_ids` maps (code key, holder) to a coupon; holder 0 is the code's own row. `series` maps an id to None when the stored
    terms cannot be used (788). `halted` are series whose campaign has ended or is paused. `digests` are the idempotency keys that
    commands of the batch were looked up under, by their place in the batch.

    For issue: `live` are the last coupons that a customer holds of a series, unredeemed and unexpired when they were loaded, one
    more than the batch may use up; `received` is when one was last issued. `pools` are coupons that nobody has yet, oldest first,
    `fresh_codes` codes that nobody knows yet, `taken` is how many of either are used. For lifecycle: `active` are the latest
    active redemptions, id to instant, of a customer in a series, one more than are to be reversed; `unredeemed` is what a
    customer holds of a series, up to one more than may be revoked.

    `validation_codes` and `missed_calls` are what a customer has not used yet, loaded where a coupon asks for it.
    """

    now_ms: int
    org: Org | None
    redemption_ids: Iterator[int]
    new_coupon_ids: Iterator[int]
    customers: dict[Identifier, Customer] = field(default_factory=dict)
    coupons: dict[int, Coupon] = field(default_factory=dict)
    coupon_ids: dict[tuple[str, int], int] = field(default_factory=dict)
    series: dict[int, Series | None] = field(default_factory=dict)
    halted: set[int] = field(default_factory=set)
    audience: set[tuple[int, int]] = field(default_factory=set)
    standings: dict[tuple[int, int], Standing] = field(default_factory=dict)
    uses: dict[tuple[int, int], int] = field(default_factory=dict)
    series_redeemed: dict[int, int] = field(default_factory=dict)
    series_issued: dict[int, int] = field(default_factory=dict)
    live: dict[tuple[int, int], tuple[int, ...]] = field(default_factory=dict)
    received: dict[tuple[int, int], int] = field(default_factory=dict)
    pools: dict[int, list[int]] = field(default_factory=dict)
    fresh_codes: dict[int, list[str]] = field(default_factory=dict)
    taken: dict[int, int] = field(default_factory=dict)
    redemptions: dict[int, StoredRedemption] = field(default_factory=dict)
    active: dict[tuple[int, int], dict[int, int]] = field(default_factory=dict)
    unredeemed: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    answers: dict[str, "StoredAnswer"] = field(default_factory=dict)
    reversed_ids: set[int] = field(default_factory=set)
    validation_codes: dict[int, tuple[ValidationCode, ...]] = field(default_factory=dict)
    missed_calls: dict[int, tuple[MissedCall, ...]] = field(default_factory=dict)
    digests: dict[int, str] = field(default_factory=dict)


class StoredAnswer(Struct, frozen=True, gc=False):
    """An answer given before, under an idempotency key; `is_stored` tells those of earlier batches from those of this one."""

    fingerprint: bytes
    created_ms: int
    answer: Answer | IssueAnswer
    is_stored: bool
