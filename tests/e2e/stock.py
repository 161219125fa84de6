"""The shop that these tests sell from, made by the commands that an operator would use."""

from collections.abc import Iterator
from itertools import count
from typing import Any, Final

from tests.e2e.installation import Installation
from tests.e2e.wire import PASSWORD, TILL, Request, customer_id, redeem

ORG: Final = 1001
FIRST_SERIES: Final = 5001
CUSTOMERS: Final = 20
OPEN: Final = 60
QUEUE: Final = 150
ROUNDS: Final = 5
ROUND: Final = 150

USABLE_AGAIN: Final = {"isMultipleUseAllowed": "true", "sameUserMultipleRedeem": "true"}
SERIES: Final[tuple[dict[str, str], ...]] = (
    {"seriesCode": "ONCE"},
    {"seriesCode": "CAPPED", "anyUser": "true", "maxRedeem": "100"},
    {
        "seriesCode": "SHARED",
        "clientHandlingType": "GENERIC",
        "genericCode": "SHARED",
        "anyUser": "true",
        "maxRedemptionsInSeriesPerUser": "2",
        **USABLE_AGAIN,
    },
    {"seriesCode": "FEW", "anyUser": "true", "redemptionPerCouponMaxLimit": "5", **USABLE_AGAIN},
    {"seriesCode": "CROSS", "anyUser": "true"},
    {"seriesCode": "OPEN", "anyUser": "true", **USABLE_AGAIN},
    {"seriesCode": "GIVEN", "maxCreate": "100", "isMultipleVouchersPerUserAllowed": "true"},
    {"seriesCode": "QUEUE", "clientHandlingType": "DISC_CODE_PIN", "isMultipleVouchersPerUserAllowed": "true"},
    {"seriesCode": "SINGLE"},
    {"seriesCode": "BACK", "maxRedeem": "10"},
)


def stock(shop: Installation) -> None:
    """An org, a till, customers c00-c19, and coupons of every series."""
    made = shop.run("org", "create", "--name", "Shop", "--timezone", "Asia/Kolkata", "--currency", "INR")
    assert made == {"orgId": ORG}
    shop.run("till", "create", "--org", str(ORG), "--code", TILL, "--password", PASSWORD, "--store", "s1")
    shop.load("customers", ORG, [{"externalId": customer_id(number)} for number in range(CUSTOMERS)])
    usual = {"discountType": "ABS", "discountValue": "10", "clientHandlingType": "DISC_CODE"}
    shop.load("series", ORG, [{**usual, "description": one["seriesCode"], **one} for one in SERIES])
    codes: list[dict[str, Any]] = [coupon("ONCE", number, customerExternalId=customer_id(0)) for number in range(10)]
    for series, size in (("CAPPED", 500), ("FEW", 1), ("CROSS", ROUNDS * ROUND), ("OPEN", OPEN), ("QUEUE", QUEUE)):
        codes += [coupon(series, number) for number in range(size)]
    codes += [coupon("BACK", number, customerExternalId=customer_id(0)) for number in range(20)]
    shop.load("coupons", ORG, codes)


def coupon(series: str, number: int, **more: str) -> dict[str, str]:
    return {"seriesCode": series, "code": code(series, number), **more}


def series_id(series: str) -> int:
    """Series get their ids in the order of their making."""
    return FIRST_SERIES + [one["seriesCode"] for one in SERIES].index(series)


def code(series: str, number: int) -> str:
    return f"{series}-{number:03}"


def bills() -> Iterator[Request]:
    """Redemptions without end, each with a bill of its own: coupons and customers in turn."""
    for number in count():
        yield bill(number)


def bill(number: int) -> Request:
    """The redemption of that bill."""
    return redeem(code("OPEN", number % OPEN), customer=number % CUSTOMERS, number=f"B{number}")
