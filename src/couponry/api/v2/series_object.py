"""The series object of v2-coupon 11.1, field by field in the wire's order, and the two forms in which coupon reads hold it."""

from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from couponry.api import times
from couponry.api.v2.render import number
from couponry.core.expiry import local_time
from couponry.core.model import AfterReversal, ExpiryReminder, ExpiryStrategy, Handling, OrgEntity, Product, TargetUser, Terms
from couponry.store.offers import Offered

NO_ID: Final = -1


class SeriesObject(Struct, frozen=True, kw_only=True, rename="camel"):
    """A series on the wire. What is UNSET is left out, since it was not set.

    `mutualExclusiveSeriesIds`, `storeIdsJson`, `redeemAtStore` and `redemptionRange` are JSON text, as it was received.
    """

    custom_property_map: dict[str, str] | UnsetType = UNSET
    id: int
    org_id: int
    description: str
    discount_code: str
    valid_till_date: str
    valid_till_date_time: str
    valid_days_from_creation: int
    expiry_strategy_value: int
    max_create: int
    max_redeem: int
    is_transferrable: bool
    any_user: bool
    same_user_multiple_redeem: bool
    is_referral_existing_users_allowed: bool
    is_multiple_use_allowed: bool
    is_validation_required: bool
    is_valid_with_discounted_item: bool
    created_by: int
    num_issued: int
    num_redeemed: int
    created_on: str
    last_used: str
    series_code: str
    sms_template: str
    is_sms_disabled: bool = field(name="isSMSDisabled")
    info: str
    is_multiple_vouchers_per_user_allowed: bool
    do_not_resend_existing_voucher: bool
    mutual_exclusive_series_ids: str
    store_ids_json: str
    is_dvs_enabled: bool
    dvs_expiry_date: str
    priority: int
    short_sms_template: str = field(name="shortSMSTemplate")
    max_vouchers_per_user: int
    min_days_between_vouchers: int
    max_referrals_per_referee: int
    discount_upto: int | float
    discount_value: int | float
    dvs_items: str
    redemption_range: str
    min_bill_amount: int | float
    max_bill_amount: int | float
    redeem_at_store: str
    campaign_id: int
    tag: str
    max_redemptions_in_series_per_user: int
    min_days_between_redemption: int
    redemption_valid_from: str
    source_org_id: int
    issue_to_loyalty: bool
    redeem_store_type: str
    offline_redeem_type: bool
    is_old_flow_enabled: bool
    is_pre_redeem_event_required: bool
    product_info: tuple[Product, ...] | UnsetType = UNSET
    terms_and_conditions: str
    signal_redemption_event: bool
    sync_to_client: bool
    show_pin_code: bool
    redemption_org_entity_details: tuple[OrgEntity, ...] | UnsetType = UNSET
    target_user_details: TargetUser | UnsetType = UNSET
    num_uploaded_non_issued: int
    num_uploaded_total: int
    redemption_valid_after_days: int
    owned_by: str
    owner_id: int
    owner_validity: int
    alpha_numeric: bool
    unambiguous_code: bool | UnsetType = UNSET
    short_code_length: int
    random_code_length: int
    fixed_expiry_date: int
    num_total: int
    latest_issual_time: int
    latest_redemption_time: int
    resend_message_enabled: bool
    redemption_per_coupon_max_limit: int | UnsetType = UNSET
    generic_code: str | UnsetType = UNSET
    coupon_prefix: str | UnsetType = UNSET
    is_prefix_enabled: bool
    coupon_suffix: str | UnsetType = UNSET
    is_suffix_enabled: bool
    org_prefix_override: bool
    org_suffix_override: bool
    reversal_policy: dict[str, AfterReversal] | UnsetType = UNSET
    expiry_reminders: tuple[ExpiryReminder, ...] | UnsetType = UNSET
    issue_limit_threshold: int | UnsetType = UNSET
    purpose: str | UnsetType = UNSET
    metadata: str | UnsetType = UNSET
    series_type: str
    client_handling_type: Handling
    expiry_strategy_type: ExpiryStrategy
    discount_on: str
    discount_type: str
    external_issual: bool
    update_product_data: bool


_ONLY_WHEN_SET: Final = frozenset(one.name for one in msgspec.structs.fields(SeriesObject) if one.default is UNSET)
_WIRE_NAMES: Final = {one.name: one.encode_name for one in msgspec.structs.fields(SeriesObject)}
_ECHOED: Final = tuple(
    one.name for one in msgspec.structs.fields(Terms) if one.name in _WIRE_NAMES and one.name not in _ONLY_WHEN_SET
)
_AMOUNTS: Final = ("discount_upto", "discount_value", "min_bill_amount", "max_bill_amount")


def series_object(row: Offered, zone: ZoneInfo, *, unlimited_total: int = 0) -> SeriesObject:
    """A series in the server zone. `numTotal` is its `maxCreate`, or `unlimited_total` where nothing limits it."""
    terms, counts = row.series.terms, row.counts
    expires = expiry_in(row, zone)
    midnight = expires.replace(hour=0, minute=0, second=0, fold=0)
    created_on = local_time(row.created_ms // 1000, zone).date()
    fields: dict[str, Any] = {name: getattr(terms, name) for name in _ECHOED}
    fields |= {name: getattr(terms, name) for name in _ONLY_WHEN_SET if getattr(terms, name)}
    fields |= {name: number(getattr(terms, name)) for name in _AMOUNTS}
    fields |= {
        "id": row.series.id,
        "org_id": row.org_id,
        "valid_till_date": times.with_offset(midnight),
        "valid_till_date_time": times.with_offset(expires),
        "fixed_expiry_date": int(midnight.timestamp()) * 1000,
        "created_by": row.created_by or NO_ID,
        "created_on": times.shown(row.created_ms, zone),
        "last_used": times.shown(max(row.created_ms, counts.last_issued_ms, counts.last_redeemed_ms), zone),
        "dvs_expiry_date": _midnight(terms.dvs_expiry_date or created_on, zone),
        "redemption_valid_from": _midnight(terms.redemption_valid_from, zone),
        "campaign_id": row.campaign_id or terms.campaign_id,
        "num_issued": counts.issued,
        "num_redeemed": counts.redeemed,
        "num_uploaded_total": counts.uploaded,
        "num_uploaded_non_issued": row.never_issued,
        "num_total": terms.max_create if terms.max_create >= 0 else unlimited_total,
        "latest_issual_time": counts.last_issued_ms,
        "latest_redemption_time": counts.last_redeemed_ms,
    }
    fields["redemption_per_coupon_max_limit"] = limit if (limit := terms.redemption_per_coupon_max_limit) > 0 else UNSET
    fields["issue_limit_threshold"] = UNSET if terms.issue_limit_threshold < 0 else terms.issue_limit_threshold
    return SeriesObject(**fields)


def series_fields(row: Offered, zone: ZoneInfo, *, unlimited_total: int = 0) -> dict[str, Any]:
    """The same as what JSON holds, by wire name and in the wire's order, for objects that hold a part of it."""
    made = series_object(row, zone, unlimited_total=unlimited_total)
    values = ((wire, getattr(made, name)) for name, wire in _WIRE_NAMES.items())
    return {wire: value for wire, value in values if value is not UNSET}


def expiry_in(row: Offered, zone: ZoneInfo) -> datetime:
    """The last second of a series, on the wall clock of `zone`; where it comes twice the later one, as redemption has it."""
    series = row.series
    last = max((series.expires_local.replace(tzinfo=series.zone, fold=fold) for fold in (0, 1)), key=datetime.timestamp)
    return last if series.zone.key == zone.key else local_time(int(last.timestamp()), zone)


def _midnight(day: date, zone: ZoneInfo) -> str:
    return times.with_offset(datetime(day.year, day.month, day.day, tzinfo=zone))
