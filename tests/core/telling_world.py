"""The contract's own examples (events 1) as facts; ids are ours, since they name their org."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from couponry.core import ids
from couponry.core.model import Customer, Handling, Org, Terms
from couponry.core.org_settings import OrgSettings
from couponry.core.series import series_from_terms
from couponry.core.telling import Cause, Facts, ToldCoupon, ToldCustomer, ToldRedemption, ToldTill

ORG: Final = 1001
SERIES: Final = 5001
TILL: Final = 4001
CUSTOMER: Final = 90210
COUPON, SECOND, REDEEMED = (ids.first_id(ids.COUPON, ORG, serial) for serial in (700130, 700131, 700123))
REDEMPTION, OUTBOX = (ids.first_id(ids.REDEMPTION, ORG, serial) for serial in (880001, 31))
NOW: Final = 1_930_125_600_741  # 2031-03-01 10:00:00 UTC


def org(zone: str = "UTC", **settings: Any) -> Org:
    return Org(ORG, ZoneInfo(zone), "INR", "91", OrgSettings(**settings), frozenset(), frozenset())


def terms(**changed: Any) -> Terms:
    like = Terms(
        description="Monsoon 15",
        series_code="MON",
        zone="UTC",
        discount_code="MON15",
        discount_type="PERC",
        discount_value=Decimal("15.000"),
        valid_till_date=datetime(2031, 4, 30).date(),  # noqa: DTZ001 - a local date
        client_handling_type=Handling.GENERATED,
        sms_template="Hi {{first_name}}, use {{voucher}} before {{voucher_expiry_date}}",
    )
    return replace(like, **changed)


def coupon(coupon_id: int, code: str, **changed: Any) -> ToldCoupon:
    like = ToldCoupon(coupon_id, SERIES, code, CUSTOMER, 1_930_125_600_741, None, TILL, None, 0)
    return replace(like, **changed)


def customer(**changed: Any) -> Customer:
    known = {"mobile": "919812300001", "email": "mira@example.com", "external_id": "CRM-77", "card_number": "C-1"}
    return Customer(**{"id": CUSTOMER, "first_name": "Mira", "last_name": "Rao", **known, **changed})


def facts(*, terms_: Terms | None = None, customer_: Customer | None = None, **changed: Any) -> Facts:
    like = Facts(
        now_ms=NOW,
        coupons={
            each.id: each
            for each in (
                coupon(COUPON, "3084110052"),
                coupon(SECOND, "5686110077"),
                coupon(REDEEMED, "H4TQ9ZKM", redeemed=1),
            )
        },
        redemptions={
            REDEMPTION: ToldRedemption(
                *(REDEMPTION, REDEEMED, SERIES, CUSTOMER, TILL, 310, 1_930_913_400_351, None, "INV-5510", None, None, None, None)
            )
        },
        series={SERIES: series_from_terms(SERIES, 1, terms_ or terms())},
        customers={CUSTOMER: ToldCustomer(customer_ or customer(), None)},
        tills={TILL: ToldTill(TILL, "blr01.t1", "Till 1", 310, "blr01", "Bengaluru 1", "X310", None, None)},
        otps={},
    )
    return replace(like, **changed)


def cause(event: str, *subject_ids: int, **changed: Any) -> Cause:
    return replace(Cause(OUTBOX, event, subject_ids, CUSTOMER, "5670FF17B7D58", NOW), **changed)
