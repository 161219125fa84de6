"""What V2 redeem endpoints answer: the structs that are sent, and that the OpenAPI document is made from (v2-coupon 0, 4-6).

A field that is UNSET is left out.
"""

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from couponry.api.envelopes import E


class CustomerIdentifier(Struct, frozen=True, gc=False):
    """One identifier that a customer has."""

    type: str
    value: str


class Profile(Struct, frozen=True, rename="camel"):
    """The one profile of a customer (INSTORE)."""

    first_name: str
    last_name: str
    fields: dict[str, Any]
    all_fields: dict[str, Any]
    identifiers: list[CustomerIdentifier]
    comm_channels: list[str]
    user_id: int
    account_id: str
    auto_update_time: str
    identifiers_all: list[CustomerIdentifier]


class CustomerBlock(Struct, frozen=True):
    """The customer of a response (v2-coupon 0)."""

    id: int
    profiles: list[Profile]


class ItemStatus(Struct, frozen=True, rename="camel"):
    """What became of one coupon, twice over, as old and new clients read it."""

    status_code: E
    warnings: list[E]
    warnings_as_status_code: list[E]
    message: str
    code: int
    success: bool


class RedeemedCoupon(Struct, frozen=True, rename="camel"):
    """One coupon of a redeem response. Value fields are there when the coupon was found."""

    redemption_id: str
    id: int
    warnings: list[E]
    appended_error_message: str
    code: str
    is_absolute: bool
    redemption_status: ItemStatus
    currency_input: bool | UnsetType = UNSET
    local_to_base_currency_exchange_rate: int | UnsetType = UNSET
    discount_code: str | UnsetType = UNSET
    series_code: int | UnsetType = UNSET
    coupon_value: float | UnsetType = UNSET
    discount_type: str | UnsetType = UNSET
    discount_value: int | float | UnsetType = UNSET
    discount_upto: int | float | UnsetType = UNSET


class RedeemResponse(Struct, frozen=True, rename="camel"):
    """Redeem: all coupons or none. `errors` only when the request as a whole was refused."""

    redemption: list[RedeemedCoupon]
    redemption_status: E
    customer: CustomerBlock | UnsetType = UNSET
    errors: list[E] | UnsetType = UNSET
    warnings: list[E] = []


class BulkItem(Struct, frozen=True, rename="camel"):
    """One coupon of a bulk redeem response; `entityId` is the coupon id."""

    entity_id: int
    result: RedeemedCoupon
    errors: list[E]


class BulkRedeemResponse(Struct, frozen=True, rename="camel"):
    """Bulk redeem: no partial success, so `failureCount` is 0 or `totalCount`."""

    response: list[BulkItem]
    total_count: int
    failure_count: int


class CouponSeries(Struct, frozen=True, rename="camel"):
    """The series of a coupon: from `description` on with `details=true`, from `brands` on with `details=extended`."""

    id: int
    description: str | UnsetType = UNSET
    discount_code: str | UnsetType = UNSET
    valid_till_date: str | UnsetType = UNSET
    valid_tilldate_format: str | UnsetType = UNSET
    is_valid_with_discounted_item: bool | UnsetType = UNSET
    is_update_product_data: bool | UnsetType = UNSET
    update_product_data: bool | UnsetType = UNSET
    info: str | UnsetType = UNSET
    max_redemptions_in_series_per_user: int | UnsetType = UNSET
    issue_to_loyalty: bool | UnsetType = UNSET
    discount_on: str | UnsetType = UNSET
    brands: list[int | str] | UnsetType = UNSET
    products: list[int | str] | UnsetType = UNSET
    categories: list[int | str] | UnsetType = UNSET
    entity_level_redemption_configs_values: list[str] | UnsetType = UNSET


class CheckedCoupon(Struct, frozen=True, rename="camel"):
    """One coupon of a redeemability response; `redemptionsLeft` is -1 when nothing limits it."""

    appended_error_message: str
    code: str
    is_absolute: bool
    is_redeemable: bool
    number_of_redemptions_by_user: int
    redemptions_left: int
    warnings: list[E]
    redemption_status: ItemStatus | UnsetType = UNSET
    discount_type: str | UnsetType = UNSET
    discount_value: int | float | UnsetType = UNSET
    discount_upto: int | float | UnsetType = UNSET
    coupon_series: CouponSeries | UnsetType = UNSET


class CheckResponse(Struct, frozen=True, rename="camel"):
    """Redeemability of a set of coupons, judged together."""

    redemption: list[CheckedCoupon]
    redemption_status: E
    customer: CustomerBlock | UnsetType = UNSET
    errors: list[E] | UnsetType = UNSET
    warnings: list[E] = []
