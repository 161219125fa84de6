"""What reads of coupons answer (v2-coupon 12-14). A field that is UNSET is left out."""

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from couponry.api.envelopes import E
from couponry.api.v2.responses import ItemStatus


class IssualDetails(Struct, frozen=True, gc=False, rename="camel"):
    """What was said at the issue; empty where nothing was."""

    source_type: str = ""
    source_id: str = ""
    source_activity: str = ""
    notes: str = ""
    reason: str = ""


class CouponDetails(Struct, frozen=True, rename="camel"):
    """A coupon by id, code or customer."""

    code: str
    series_id: int
    description: str
    discount_code: str
    valid_till: str
    valid_till_date_time: str
    discount_type: str
    discount_value: float
    discount_upto: float
    discount_on: str
    detailed_info: str
    coupon_series: dict[str, Any] | UnsetType = UNSET
    coupon_issual_details: IssualDetails | UnsetType = UNSET


class CouponsResponse(Struct, frozen=True):
    """`GET /v2/coupon`; refused as a whole without any data."""

    data: list[CouponDetails]
    warnings: list[E] = []
    errors: list[E] = []


class StoreNamed(Struct, frozen=True, gc=False):
    """Where it happened."""

    code: str
    name: str


class CustomProperty(Struct, frozen=True, gc=False):
    """One of a series' custom properties."""

    name: str
    value: str


class RedemptionRead(Struct, frozen=True, gc=False, rename="camel"):
    """One redemption, with the last two fields once it is reversed."""

    id: int
    date: str
    transaction_number: str
    redeemed_at: StoreNamed
    is_reversed: bool | UnsetType = UNSET
    reversed_on: str | UnsetType = UNSET


class HeldCoupon(Struct, frozen=True, rename="camel"):
    """A coupon of the basic list."""

    code: str
    series_id: int
    description: str
    valid_till: str
    discount_type: str
    discount_value: float
    discount_upto: float
    redemption_count: int
    redemptions_left: int
    id: int
    created_date: str
    transaction_number: str
    redemptions: list[RedemptionRead]
    valid_till_date_time: str
    issued_at: StoreNamed | UnsetType = UNSET
    custom_property: list[CustomProperty] | UnsetType = UNSET
    reversed_redemptions: list[RedemptionRead] | UnsetType = UNSET


class CouponHolder(Struct, frozen=True):
    """The customer of the basic list, with a page of coupons."""

    firstname: str
    lastname: str
    id: int
    coupons: list[HeldCoupon]
    email: str | UnsetType = UNSET
    mobile: str | UnsetType = UNSET
    externalId: str | UnsetType = UNSET  # noqa: N815 - beside `firstname`, so no rule of naming covers both


class Pagination(Struct, frozen=True, gc=False):
    """`limit` and `offset` are strings, `total` counts what the statuses mean on all pages."""

    limit: str
    offset: str
    total: int


class HeldEntity(Struct, frozen=True):
    """The basic list."""

    pagination: Pagination
    customers: list[CouponHolder]


class HeldResponse(Struct, frozen=True):
    """`GET /v2/customers/coupons`."""

    entity: HeldEntity
    warnings: list[E] = []
    errors: list[E] = []
    success: bool = True


class IssuedAt(Struct, frozen=True, gc=False, rename="camel"):
    """The store of the issue as the detailed list has it."""

    id: int
    code: str
    name: str
    description: str = ""
    type: str = "STORE"
    admin_type: str = "GENERAL"
    is_org_unit: bool = False


class DetailedCoupon(Struct, frozen=True, kw_only=True, rename="camel"):
    """A coupon of the detailed list. `discountType` says whether the amount is absolute; `validTill` is exact here."""

    id: int
    series_id: int
    series: dict[str, Any]
    code: str
    description: str
    created_date: str
    valid_till: str
    is_redeemed: bool
    issued_to: int
    issued_by: int
    org_id: int
    ref_id: int = 0
    issued_at: IssuedAt | UnsetType = UNSET
    status: ItemStatus
    coupon_discount_type: str
    issued_on: str
    active_from: str
    redemptions_left: int
    coupon_status: ItemStatus
    redemption_info: list[RedemptionRead]
    reversed_redemption_info: list[RedemptionRead]
    discount_type: bool
    discount_value: int | float
    discount_value_as_double: float
    discount_upto: int | float
    trimmed_code: str
    redeemed: bool
    series_name: str


class DetailedResponse(Struct, frozen=True):
    """`GET /v2/customers/{customerId}/coupons`."""

    entity: list[DetailedCoupon]
    warnings: list[E] = []
    errors: list[E] = []
    success: bool = True


class HeldFailure(Struct, frozen=True):
    """A customer's coupons cannot be told."""

    errors: list[E]
    warnings: list[E] = []
    success: bool = False
