"""What the issue endpoints answer (v2-coupon 0-3)."""

from msgspec import UNSET, Struct, UnsetType

from couponry.api.envelopes import E
from couponry.api.v2.responses import CustomerBlock


class IssuedResult(Struct, frozen=True, rename="camel"):
    """A coupon in a customer's hands. `validTill` is the midnight of its last day, `validTillDateTime` its exact expiry."""

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
    redemption_count: int
    id: int


class IssueResponse(IssuedResult, frozen=True, rename="camel"):
    """The coupon of a single issue, with its customer."""

    customer: CustomerBlock | UnsetType = UNSET
    warnings: list[E] = []


class BulkIssueItem(Struct, frozen=True, rename="camel"):
    """What became of one series; `entityId` is its id."""

    entity_id: int
    result: IssuedResult | None
    errors: list[E]
    warnings: list[E]


class BulkIssueResponse(Struct, frozen=True, rename="camel"):
    """What became of each series, in the order of the request."""

    response: list[BulkIssueItem]
    total_count: int
    failure_count: int


class CouponAndId(Struct, frozen=True, rename="camel", gc=False):
    """One of several coupons."""

    code: str
    coupon_id: int


class CouponConfig(Struct, frozen=True, rename="camel"):
    """What several coupons have in common. All that has a default is a constant, as in every public sample."""

    custom_property_map: dict[str, str]
    description: str
    discount_code: str
    info: str
    discount_upto: int | float
    discount_value: int | float
    discount_on: str
    discount_type: str
    id: int = 0
    issue_to_loyalty: bool = False
    num_uploaded_non_issued: int = 0
    num_uploaded_total: int = 0
    redemption_valid_after_days: int = 0
    owner_id: int = 0
    owner_validity: int = 0
    alpha_numeric: bool = False
    short_code_length: int = 0
    random_code_length: int = 0
    fixed_expiry_date: int = 0
    num_total: int = 0
    latest_issual_time: int = 0
    latest_redemption_time: int = 0
    external_issual: bool = False
    update_product_data: bool = False


class IssueMultipleResponse(Struct, frozen=True, rename="camel", kw_only=True):
    """Several coupons of one series; `errors` says why there are fewer than were asked for."""

    coupons: list[CouponAndId]
    coupon_config: CouponConfig
    total_count: int
    failure_count: int
    success_count: int
    customer: CustomerBlock | UnsetType = UNSET
    errors: list[E]
    warnings: list[E]


class BareErrors(Struct, frozen=True):
    """An issue of several coupons of which none was issued."""

    errors: list[E]
