"""What a series offers, as v1.1 states it: texts without trailing zeros, dates without times (v1.1-coupon 1, 5)."""

from decimal import Decimal
from typing import Protocol

from couponry.api.v1_1.tree import Node
from couponry.api.v2.render import number


class Offered(Protocol):
    """Terms, or what an answer kept of them."""

    @property
    def description(self) -> str: ...

    @property
    def info(self) -> str: ...

    @property
    def discount_code(self) -> str: ...

    @property
    def discount_type(self) -> str: ...

    @property
    def discount_value(self) -> Decimal: ...

    @property
    def discount_upto(self) -> Decimal: ...

    @property
    def discount_on(self) -> str: ...


def offer_shown(offer: Offered, expires_local: str) -> dict[str, Node]:
    """The fields that a coupon and its `series_info` have in common. `expires_local` is a local date-time as ISO text."""
    return {
        "description": offer.description,
        "discount_code": offer.discount_code,
        "valid_till": expires_local.partition("T")[0],
        "discount_type": offer.discount_type,
        "discount_value": amount_shown(offer.discount_value),
        "discount_upto": amount_shown(offer.discount_upto),
        "discount_on": offer.discount_on,
        "detailed_info": offer.info,
    }


def amount_shown(amount: Decimal) -> str:
    """`15`, `12.5`."""
    return str(number(amount))
