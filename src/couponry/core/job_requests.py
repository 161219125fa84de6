"""What was asked for when a job was made, as the job's row keeps it: JSON in camel case. Exports have `core.exporting`."""

from typing import Literal

from msgspec import Struct

from couponry.core.audience import Audience

Which = Literal["unredeemed", "unissued"]
"""Which coupons of a series: all that have no active redemption, those never issued among them; or those never issued alone."""


class IssueRequest(Struct, frozen=True, rename="camel"):
    """Issue `count` coupons of a series to each customer of the audience, or make so many unissued codes when there is none.

    `send` also puts the messages of the series into the outbox. `till_id` is the till that the issue is recorded for, if any.
    """

    audience: Audience | None
    count: int
    send: bool
    till_id: int | None = None


class RevokeRequest(Struct, frozen=True, rename="camel"):
    """Revoke coupons of a series, of the customers of the audience alone when there is one."""

    coupons: Which
    audience: Audience | None = None


class ExpiryRequest(Struct, frozen=True, rename="camel"):
    """Give coupons another expiry: a wall clock of the series' zone, `YYYY-MM-DDTHH:MM:SS`, as coupons keep it."""

    coupons: Which
    expires_local: str
    audience: Audience | None = None
