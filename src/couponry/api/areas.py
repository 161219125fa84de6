"""The modules of endpoints, each with its routes and with what it says of itself."""

from collections.abc import Sequence
from typing import Final, Protocol

from couponry.api.admin import (
    campaigns,
    dead_letters,
    deliveries,
    events,
    explain,
    jobs,
    mailbox,
    refusals,
    reverse,
    uploads,
    what_if,
)
from couponry.api.admin import customers as admin_customers
from couponry.api.operation import Operation
from couponry.api.parts import Parts
from couponry.api.upload import coupons as coupon_uploads
from couponry.api.upload import files as upload_files
from couponry.api.upload import redeemed as redeemed_uploads
from couponry.api.v1_1 import customer_coupons as v11_customer_coupons
from couponry.api.v1_1 import customer_redemptions as v11_customer_redemptions
from couponry.api.v1_1 import customers as v11_customers
from couponry.api.v1_1 import get as v11_get
from couponry.api.v1_1 import isredeemable as v11_isredeemable
from couponry.api.v1_1 import issue as v11_issue
from couponry.api.v1_1 import organization as v11_organization
from couponry.api.v1_1 import redeem as v11_redeem
from couponry.api.v1_1 import resend as v11_resend
from couponry.api.v1_1 import series as v11_series
from couponry.api.v2 import coupon_reads, customers, issue, lifecycle, otp, redeem, series, tills, transactions
from couponry.api.v3 import event_log, redelivery, webhooks


class Area(Protocol):
    """A module of endpoints."""

    @property
    def OPERATIONS(self) -> Sequence[Operation]:  # noqa: N802 - a constant of the module
        """What it says of itself."""

    def routes(self, parts: Parts) -> dict[str, object]:
        """Its Falcon resources by path."""


AREAS: Final[tuple[Area, ...]] = (
    redeem,
    issue,
    lifecycle,
    series,
    campaigns,
    reverse,
    explain,
    refusals,
    what_if,
    coupon_reads,
    customers,
    transactions,
    otp,
    v11_redeem,
    v11_isredeemable,
    v11_issue,
    v11_get,
    v11_resend,
    v11_series,
    v11_customer_coupons,
    v11_customer_redemptions,
    v11_customers,
    v11_organization,
    tills,
    admin_customers,
    jobs,
    uploads,
    coupon_uploads,
    redeemed_uploads,
    upload_files,
    webhooks,
    redelivery,
    event_log,
    events,
    dead_letters,
    deliveries,
    mailbox,
)
