"""What hooks are told, as JSON. Amounts are numbers, instants epoch milliseconds."""

from decimal import Decimal
from typing import Final

import msgspec
from msgspec import Struct

from couponry.core.commands import Claim, Redeem
from couponry.core.model import Customer, Place
from couponry.core.plan import CheckAnswer, ItemOutcome
from couponry.core.telling import Cause, Facts

SIDE_EFFECTS: Final = "SideEffects"
"""The cause of a hook's message about a redemption, for when it was not told at once."""

encode: Final = msgspec.json.Encoder(decimal_format="number").encode


class Till(Struct, frozen=True, rename="camel"):
    """Where it happens."""

    id: int
    store_id: int


class Person(Struct, frozen=True, rename="camel"):
    """Who shows the coupons."""

    id: int
    mobile: str | None
    email: str | None
    external_id: str | None


class Coupon(Struct, frozen=True, rename="camel"):
    """One coupon, its code as stored."""

    id: int
    code: str
    series_id: int


class Transaction(Struct, frozen=True):
    """The bill, as far as the till told of it."""

    number: str
    amount: Decimal | None


class PreRedeem(Struct, frozen=True, rename="camel", tag_field="event"):
    """May these coupons be redeemed together? Any 2xx is a yes."""

    org_id: int
    request_id: str
    till: Till
    customer: Person
    coupons: list[Coupon]
    bill_amount: Decimal | None
    transaction_number: str
    redemption_time: int | None


class SideEffects(Struct, frozen=True, rename="camel", tag_field="event"):
    """A coupon has been redeemed; what does the customer get for it?"""

    org_id: int
    request_id: str
    redemption_id: int
    till: Till
    customer: Person
    coupon: Coupon
    transaction: Transaction


def pre_redeem(command: Redeem, checked: CheckAnswer) -> bytes:
    """About a request all of whose coupons pass."""
    assert checked.customer, "coupons pass in a customer's hands"
    message = PreRedeem(
        org_id=command.org_id,
        request_id=command.request_id,
        till=_till(command.place),
        customer=_person(checked.customer),
        coupons=[_coupon(item.outcome) for item in checked.items],
        bill_amount=command.amount,
        transaction_number=command.transaction_number or "",
        redemption_time=command.at_ms,
    )
    return encode(message)


def side_effects(command: Claim, customer: Customer, item: ItemOutcome) -> bytes:
    """About one redemption."""
    message = SideEffects(
        org_id=command.org_id,
        request_id=command.request_id,
        redemption_id=item.redemption_id,
        till=_till(command.place),
        customer=_person(customer),
        coupon=_coupon(item),
        transaction=Transaction(command.transaction_number or "", command.amount),
    )
    return encode(message)


def side_effects_left(org_id: int, cause: Cause, facts: Facts) -> bytes | None:
    """The same from what is stored, when it is told later; None when nothing is left of it."""
    redemption = facts.redemptions.get(cause.subject_ids[0])
    coupon = facts.coupons.get(redemption.coupon_id) if redemption else None
    told = facts.customers.get(redemption.customer_id) if redemption else None
    if not (redemption and coupon and told):
        return None
    message = SideEffects(
        org_id=org_id,
        request_id=cause.request_id,
        redemption_id=redemption.id,
        till=Till(redemption.till_id, redemption.store_id),
        customer=_person(told.customer),
        coupon=Coupon(coupon.id, coupon.code, coupon.series_id),
        transaction=Transaction(redemption.transaction_number, redemption.amount),
    )
    return encode(message)


def _till(place: Place) -> Till:
    return Till(place.till_id, place.store_id)


def _person(customer: Customer) -> Person:
    return Person(customer.id, customer.mobile, customer.email, customer.external_id)


def _coupon(item: ItemOutcome) -> Coupon:
    assert item.offer, "what passes has a series"
    return Coupon(item.coupon_id, item.code_shown, item.offer.series_id)
