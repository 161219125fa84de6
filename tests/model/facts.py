"""What the auditor writes down: coupons, redemptions, and what was told about them. Plain data, and none of our code."""

from dataclasses import dataclass, field
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Kolkata")
DAY_MS = 24 * 3600 * 1000


@dataclass(eq=False)
class Coupon:
    """One coupon. `record` is the customer whose own record of a shared code it is, else 0; `last_ms` its own last instant."""

    code: str
    series: int
    record: int = 0
    owner: int | None = None
    issued_ms: int | None = None
    by_issue: bool = True
    last_ms: int | None = None
    is_revoked: bool = False


@dataclass
class Fact:
    """One redemption. `record` tells apart the customers' own records of a shared code."""

    code: str
    record: int
    customer: int
    series: int
    at_ms: int
    is_reversed: bool = False
    is_consumed: bool = False
    coupon: Coupon = field(compare=False, repr=False, kw_only=True)

    @property
    def is_undone(self) -> bool:
        return self.is_reversed or self.is_consumed


@dataclass
class Told:
    """What a request was answered: the whole's number, each item's, and what it redeemed."""

    status: int
    items: list[int] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)


@dataclass
class Given:
    """What an issue of one series was answered: coupons, whose codes the issuer tells, and why there are not more of them."""

    status: int
    coupons: list[Coupon] = field(default_factory=list)
    cut: int | None = None
    is_sent_again: bool = False


@dataclass
class Remembered:
    """An answer under an idempotency key: what it was for, and when."""

    what: object
    at_ms: int
    told: Told


def date_of(instant_ms: int) -> date:
    return datetime.fromtimestamp(instant_ms / 1000, ZONE).date()


def end_of(day: date) -> int:
    """The last millisecond of a day."""
    return round(datetime.combine(day, time(23, 59, 59), ZONE).timestamp()) * 1000 + 999
