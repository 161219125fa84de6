"""From outcomes to V2 responses: values, texts and constants exactly as the contract prints them (v2-coupon 0, 4-6)."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import UNSET, UnsetType

from couponry.api import times
from couponry.api.envelopes import E, error_of
from couponry.api.v2.responses import (
    BulkItem,
    BulkRedeemResponse,
    CheckedCoupon,
    CheckResponse,
    CouponSeries,
    CustomerBlock,
    CustomerIdentifier,
    ItemStatus,
    Profile,
    RedeemedCoupon,
    RedeemResponse,
)
from couponry.core.codes import CodeCase, shown
from couponry.core.commands import Item
from couponry.core.model import Customer, Terms
from couponry.core.plan import Answer, CheckAnswer, CheckedItem, ItemOutcome, Offer
from couponry.core.series import Series
from couponry.core.status import Code

Details = Literal["", "true", "extended"]

_PASSED = (Code.PROCESSED, Code.REDEEMABLE)


def redeemed(answer: Answer, sent: Sequence[Item], zone: ZoneInfo, case: CodeCase) -> RedeemResponse:
    """The response of a redeem that was judged coupon by coupon."""
    return RedeemResponse(
        redemption=[_coupon(outcome, item, case) for outcome, item in zip(answer.items, sent, strict=True)],
        redemption_status=_status(answer.status, sent),
        customer=customer_block(answer.customer, zone),
    )


def bulk_redeemed(outcomes: Sequence[ItemOutcome], sent: Sequence[Item], case: CodeCase) -> BulkRedeemResponse:
    """The response of a bulk redeem, or of its check."""
    items = [_bulk_item(outcome, item, case) for outcome, item in zip(outcomes, sent, strict=True)]
    return BulkRedeemResponse(items, len(items), sum(bool(item.errors) for item in items))


def checked(answer: CheckAnswer, sent: Sequence[Item], zone: ZoneInfo, case: CodeCase, details: Details) -> CheckResponse:
    """The response of a redeemability request that was judged coupon by coupon."""
    return CheckResponse(
        redemption=[_checked_coupon(found, item, zone, case, details) for found, item in zip(answer.items, sent, strict=True)],
        redemption_status=_status(answer.status, sent),
        customer=customer_block(answer.customer, zone),
    )


def refused(code: Code) -> RedeemResponse:
    """The response to a redeem or redeemability request that was refused as a whole."""
    return RedeemResponse(redemption=[], redemption_status=error_of(code), errors=[error_of(code)])


def _bulk_item(outcome: ItemOutcome, item: Item, case: CodeCase) -> BulkItem:
    errors = [] if outcome.status in _PASSED else [_error(outcome.status, item)]
    return BulkItem(outcome.coupon_id, _coupon(outcome, item, case), errors)


def _coupon(outcome: ItemOutcome, item: Item, case: CodeCase) -> RedeemedCoupon:
    status, offer = outcome.status, outcome.offer
    item_status = _item_status(status, outcome.warnings) if _is_fixed(status) else _status_of(_error(status, item), [])
    head = (
        str(outcome.redemption_id),
        outcome.coupon_id,
        item_status.warnings,
        "" if status in _PASSED else item_status.message,
        shown(outcome.code_shown, case),
        offer is not None and offer.discount_type == "ABS",
        item_status,
    )
    if offer is None:
        return RedeemedCoupon(*head)
    value, upto = _numbers(offer)
    return RedeemedCoupon(
        *head, False, 0, offer.discount_code, offer.series_id, float(offer.discount_value), offer.discount_type, value, upto
    )


def _checked_coupon(found: CheckedItem, item: Item, zone: ZoneInfo, case: CodeCase, details: Details) -> CheckedCoupon:
    outcome = found.outcome
    status, offer = outcome.status, outcome.offer
    item_status = _item_status(status, outcome.warnings) if _is_fixed(status) else _status_of(_error(status, item), [])
    is_redeemable = status is Code.REDEEMABLE
    value, upto = _numbers(offer) if offer and details else (UNSET, UNSET)
    return CheckedCoupon(
        appended_error_message="" if is_redeemable else item_status.message,
        code=shown(outcome.code_shown, case),
        is_absolute=offer is not None and offer.discount_type == "ABS",
        is_redeemable=is_redeemable,
        number_of_redemptions_by_user=found.redeemed_by_customer,
        redemptions_left=found.redemptions_left,
        warnings=item_status.warnings,
        redemption_status=UNSET if is_redeemable else item_status,
        discount_type=offer.discount_type if offer and details else UNSET,
        discount_value=value,
        discount_upto=upto,
        coupon_series=_series(found.series, zone, details),
    )


def _is_fixed(status: Code) -> bool:
    """Whether the message is the same for every coupon."""
    return status is not Code.UNKNOWN_COUPON_CHECKED


def _error(status: Code, item: Item) -> E:
    if _is_fixed(status):
        return error_of(status)
    sent = item.code if item.code is not None else str(item.coupon_id)
    return E(status=False, code=status.number, message=status.message.replace("{x}", sent))


def _status(status: Code, sent: Sequence[Item]) -> E:
    """The status of the whole request; of one coupon, that coupon's own."""
    if status in _PASSED:
        return E(status=True, code=status.number, message=status.message)
    return _error(status, sent[0])


@cache
def _item_status(status: Code, warnings: tuple[Code, ...]) -> ItemStatus:
    own = E(status=status in _PASSED, code=status.number, message=status.message)
    return _status_of(own, [error_of(warning) for warning in warnings])


def _status_of(own: E, warnings: list[E]) -> ItemStatus:
    return ItemStatus(own, warnings, warnings, own.message, own.code, own.status)


def _numbers(offer: Offer) -> tuple[int | float, int | float]:
    return number(offer.discount_value), number(offer.discount_upto)


def number(value: Decimal) -> int | float:
    """A whole number as an integer: `15`, `12.5`."""
    whole = int(value)
    return whole if whole == value else float(value)


def customer_block(customer: Customer | None, zone: ZoneInfo) -> CustomerBlock | UnsetType:
    """The customer of a response; left out where nobody was found."""
    if customer is None:
        return UNSET
    known = (("email", customer.email), ("externalId", customer.external_id), ("mobile", customer.mobile))
    identifiers = [CustomerIdentifier(kind, value) for kind, value in known if value]
    profile = Profile(
        first_name=customer.first_name,
        last_name=customer.last_name,
        fields=customer.custom_fields,
        all_fields=customer.custom_fields,
        identifiers=identifiers,
        comm_channels=[],
        user_id=customer.id,
        account_id="",
        auto_update_time=times.shown(customer.updated_ms, zone),
        identifiers_all=identifiers,
    )
    return CustomerBlock(customer.id, [profile])


def _series(series: Series | None, zone: ZoneInfo, details: Details) -> CouponSeries | UnsetType:
    if series is None or not details:
        return UNSET
    if details == "extended":
        brands, products, categories = (products_of(series.terms, kind) for kind in ("BRAND", "SKU", "CATEGORY"))
        return CouponSeries(
            series.id,
            brands=brands,
            products=products,
            categories=categories,
            entity_level_redemption_configs_values=[],
        )
    return _series_details(series.id, series.terms, series.expires_local, zone)


def _series_details(series_id: int, terms: Terms, expires_local: datetime, zone: ZoneInfo) -> CouponSeries:
    return CouponSeries(
        id=series_id,
        description=terms.description,
        discount_code=terms.discount_code,
        valid_till_date=times.midnight(expires_local, zone),
        valid_tilldate_format=expires_local.date().isoformat(),
        is_valid_with_discounted_item=terms.is_valid_with_discounted_item,
        is_update_product_data=terms.update_product_data,
        update_product_data=terms.update_product_data,
        info=terms.info,
        max_redemptions_in_series_per_user=terms.max_redemptions_in_series_per_user,
        issue_to_loyalty=terms.issue_to_loyalty,
        discount_on=terms.discount_on,
    )


def products_of(terms: Terms, kind: str) -> list[int | str]:
    """The ids and codes that the terms name of one kind of product."""
    return [
        entry
        for product in terms.product_info
        if product.product_type == kind
        for entry in (*(product.product_ids or ()), *(product.product_codes or ()))
    ]
