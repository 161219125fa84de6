"""What is known about a launch before it happens: whom it is for, when, and what there is of its series."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from couponry.core.expiry import coupon_expiry_local, local_time
from couponry.core.launching import For
from couponry.core.liability import most_coupons
from couponry.core.model import ALWAYS, Org, Terms
from couponry.core.problem import Problem
from couponry.core.series import Series


class Count(Struct, frozen=True):
    """How many customers an audience has: between two numbers, which are the same for an exact count."""

    low: int
    high: int

    @property
    def is_exact(self) -> bool:
        """Whether they were counted."""
        return self.low == self.high


class Facts(Struct, frozen=True, kw_only=True):
    """All that the check looks at. `launch_ms` is when coupons are to be issued; `ends_ms` the campaign's end, None for none.

    `people` is None where nobody is named. Of the series, `issued` and `codes_made` so far, and `pool` codes left (None where
    there is no pool). `unknown_places` are names of places in the terms that are no places of the org, of so many `places`.
    `clash` names a code of the terms that is taken.
    """

    org: Org
    series: Series
    is_new: bool
    launch_ms: int
    ends_ms: int | None
    whom: For
    count: int
    send: bool
    people: Count | None = None
    issued: int = 0
    codes_made: int = 0
    pool: int | None = None
    unknown_places: Sequence[str] = ()
    places: int = 0
    clash: str = ""
    refused: Problem | None = None

    @property
    def terms(self) -> Terms:
        """The series' terms."""
        return self.series.terms

    @property
    def zone(self) -> ZoneInfo:
        """Whose wall clock the series keeps."""
        return self.series.zone

    @property
    def day_of_launch(self) -> date:
        """The date of the launch there."""
        return local_time(self.launch_ms // 1000, self.zone).date()

    @property
    def new_coupons(self) -> int | None:
        """How many coupons the launch makes at most; None when nobody knows how many tills and shops will issue."""
        if self.whom in {"", "nobody"}:
            return None
        return self.count if self.people is None else self.people.high * self.count

    @property
    def coupons(self) -> int | None:
        """How many there are of the series in all, then."""
        return most_coupons(self.terms, self.issued, self.new_coupons)

    @property
    def expires(self) -> datetime:
        """When a coupon of the launch expires, by the series' wall clock."""
        own = coupon_expiry_local(self.terms, self.day_of_launch, self.series.expires_local)
        return self.series.expires_local if own is None else min(own, self.series.expires_local)

    @property
    def first_day(self) -> date:
        """The first day on which a coupon of the launch can be redeemed."""
        waits = self.day_of_launch + timedelta(days=max(0, self.terms.redemption_valid_after_days))
        return max(waits, self.terms.redemption_valid_from if self.terms.redemption_valid_from > ALWAYS else waits)
