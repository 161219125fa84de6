"""From coupons as they were read to V2 responses: names, types and constants as the contract prints them (v2-coupon 12-14)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET

from couponry.api import times
from couponry.api.envelopes import E
from couponry.api.v2.coupon_reads_query import HeldAsked
from couponry.api.v2.coupon_reads_responses import (
    CouponDetails,
    CouponHolder,
    CustomProperty,
    DetailedCoupon,
    HeldCoupon,
    IssualDetails,
    IssuedAt,
    RedemptionRead,
    StoreNamed,
)
from couponry.api.v2.render import number, products_of
from couponry.api.v2.responses import ItemStatus
from couponry.api.v2.series_object import NO_ID, expiry_in, series_fields
from couponry.core.codes import CodeCase, shown
from couponry.core.expiry import local_time
from couponry.core.holdings import active_from_ms
from couponry.core.model import Customer, OrgEntity
from couponry.core.status import Code
from couponry.store.coupon_reads import ReadCoupon, ReadRedemption, Shop
from couponry.store.offers import Offered

_WITHOUT_BILL: Final = "0"
# What the detailed list leaves out of the series object (v2-coupon 14).
_NOT_DETAILED: Final = frozenset(
    {
        "customPropertyMap",
        "productInfo",
        "redemptionOrgEntityDetails",
        "targetUserDetails",
        *("numUploadedNonIssued", "numUploadedTotal", "redemptionValidAfterDays", "ownedBy", "ownerId", "ownerValidity"),
        *("alphaNumeric", "unambiguousCode", "shortCodeLength", "randomCodeLength", "fixedExpiryDate", "numTotal"),
        *("latestIssualTime", "latestRedemptionTime", "resendMessageEnabled", "redemptionPerCouponMaxLimit"),
        *("couponPrefix", "isPrefixEnabled", "couponSuffix", "isSuffixEnabled", "orgPrefixOverride", "orgSuffixOverride"),
    }
)
_ENTITY_LISTS: Final = (("concepts", "CONCEPT"), ("zones", "ZONE"), ("stores", "STORE"), ("tills", "TILL"))


def series_in_coupon(row: Offered, zone: ZoneInfo) -> dict[str, Any]:
    """`couponSeries` of `GET /v2/coupon`: the series object with `redemptionRange` as an object, and its last day."""
    fields = series_fields(row, zone)
    window = msgspec.json.decode(row.series.terms.redemption_range)
    return fields | {"redemptionRange": window, "validTillISODate": expiry_in(row, zone).date().isoformat()}


def series_in_detail(row: Offered, zone: ZoneInfo) -> dict[str, Any]:
    """`series` of the detailed list: a part of the series object, and what else it has of the terms."""
    terms = row.series.terms
    kept = {name: value for name, value in series_fields(row, zone).items() if name not in _NOT_DETAILED}
    scope = {name: _entities(terms.redemption_org_entity_details, kind) for name, kind in _ENTITY_LISTS}
    created_on = local_time(row.created_ms // 1000, zone).date()
    return kept | {
        "brands": products_of(terms, "BRAND"),
        "products": products_of(terms, "SKU"),
        "categories": products_of(terms, "CATEGORY"),
        "validRedemptionOrgEntityDetails": scope,
        "entityLevelRedemptionConfigsValues": [],
        "validTilldateFormat": expiry_in(row, zone).date().isoformat(),
        "redemptionValidFromFormat": terms.redemption_valid_from.isoformat(),
        "dvsExpiryDateFormat": (terms.dvs_expiry_date or created_on).isoformat(),
        "isUpdateProductData": terms.update_product_data,
        "updateProductData": terms.update_product_data,
    }


def coupon_details(
    coupon: ReadCoupon, zone: ZoneInfo, case: CodeCase, series: Mapping[int, dict[str, Any]], *, with_details: bool
) -> CouponDetails:
    """A coupon of `GET /v2/coupon`; its series where series were asked for."""
    terms, expires = coupon.series.terms, _expires(coupon, zone)
    details = msgspec.json.decode(coupon.details, type=IssualDetails) if coupon.details else IssualDetails()
    return CouponDetails(
        code=shown(coupon.code, case),
        series_id=coupon.series.id,
        description=terms.description,
        discount_code=terms.discount_code,
        valid_till=times.midnight(expires, zone),
        valid_till_date_time=times.with_offset(expires),
        discount_type=terms.discount_type,
        discount_value=float(terms.discount_value),
        discount_upto=float(terms.discount_upto),
        discount_on=terms.discount_on,
        detailed_info=terms.info,
        coupon_series=series.get(coupon.series.id, UNSET),
        coupon_issual_details=details if with_details else UNSET,
    )


def holder(customer: Customer, coupons: Sequence[ReadCoupon], asked: HeldAsked) -> CouponHolder:
    """The customer of the basic list; an identifier that the customer does not have is left out."""
    return CouponHolder(
        firstname=customer.first_name,
        lastname=customer.last_name,
        id=customer.id,
        coupons=[_held(coupon, asked) for coupon in coupons],
        email=customer.email or UNSET,
        mobile=customer.mobile or UNSET,
        externalId=customer.external_id or UNSET,
    )


def _held(coupon: ReadCoupon, asked: HeldAsked) -> HeldCoupon:
    zone, terms = asked.org.zone, coupon.series.terms
    expires = _expires(coupon, zone)
    properties = [CustomProperty(name, value) for name, value in terms.custom_property_map.items()]
    return HeldCoupon(
        code=shown(coupon.code, asked.case),
        series_id=coupon.series.id,
        description=terms.description,
        valid_till=times.midnight(expires, zone),
        discount_type=terms.discount_type,
        discount_value=float(terms.discount_value),
        discount_upto=float(terms.discount_upto),
        redemption_count=coupon.redeemed,
        redemptions_left=coupon.redemptions_left,
        id=coupon.id,
        created_date=times.shown(coupon.issued_ms or 0, zone),
        transaction_number=_WITHOUT_BILL,
        redemptions=_redemptions(coupon, zone, is_reversed=False),
        valid_till_date_time=times.with_offset(expires),
        issued_at=_store(coupon.shop) if coupon.shop else UNSET,
        custom_property=properties or UNSET,
        reversed_redemptions=_redemptions(coupon, zone, is_reversed=True) if asked.with_reversed else UNSET,
    )


def detailed(coupon: ReadCoupon, customer: Customer, asked: HeldAsked, series: Mapping[int, dict[str, Any]]) -> DetailedCoupon:
    """A coupon of the detailed list."""
    zone, terms = asked.org.zone, coupon.series.terms
    issued_ms, code = coupon.issued_ms or 0, shown(coupon.code, asked.case)
    issued_on, is_redeemed, shop = times.shown(issued_ms, zone), coupon.redeemed > 0, coupon.shop
    return DetailedCoupon(
        id=coupon.id,
        series_id=coupon.series.id,
        series=series[coupon.series.id],
        code=code,
        description=terms.description,
        created_date=issued_on,
        valid_till=times.with_offset(_expires(coupon, zone)),
        is_redeemed=is_redeemed,
        issued_to=customer.id,
        issued_by=coupon.till_id or NO_ID,
        org_id=asked.org.id,
        issued_at=IssuedAt(shop.id, shop.code, shop.name) if shop else UNSET,
        status=_constant(Code.RESENT),
        coupon_discount_type=terms.discount_type,
        issued_on=issued_on,
        active_from=times.shown(active_from_ms(terms, issued_ms, zone), zone),
        redemptions_left=coupon.redemptions_left,
        coupon_status=_constant(Code.SUCCESS),
        redemption_info=_redemptions(coupon, zone, is_reversed=False),
        reversed_redemption_info=_redemptions(coupon, zone, is_reversed=True),
        discount_type=terms.discount_type == "ABS",
        discount_value=number(terms.discount_value),
        discount_value_as_double=float(terms.discount_value),
        discount_upto=number(terms.discount_upto),
        trimmed_code=code,
        redeemed=is_redeemed,
        series_name=terms.description,
    )


@cache
def _constant(code: Code) -> ItemStatus:
    """A status that says the same of every coupon, in the older wording (status-codes 1)."""
    own = E(status=True, code=code.number, message=code.v11_message)
    return ItemStatus(own, [], [], own.message, own.code, own.status)


def _expires(coupon: ReadCoupon, zone: ZoneInfo) -> datetime:
    """The coupon's last second by the server's clock, the later one of a second that comes twice."""
    return local_time(coupon.last_ms // 1000, zone)


def _redemptions(coupon: ReadCoupon, zone: ZoneInfo, *, is_reversed: bool) -> list[RedemptionRead]:
    return [_redemption(one, zone) for one in coupon.redemptions if (one.reversed_ms is not None) is is_reversed]


def _redemption(one: ReadRedemption, zone: ZoneInfo) -> RedemptionRead:
    return RedemptionRead(
        id=one.id,
        date=times.shown(one.redeemed_ms, zone),
        transaction_number=one.transaction_number,
        redeemed_at=_store(one.shop),
        is_reversed=UNSET if one.reversed_ms is None else True,
        reversed_on=UNSET if one.reversed_ms is None else times.shown(one.reversed_ms, zone),
    )


def _store(shop: Shop) -> StoreNamed:
    return StoreNamed(shop.code, shop.name)


def _entities(listed: Sequence[OrgEntity], kind: str) -> list[int]:
    return [entity.org_entity_id for entity in listed if entity.redemption_org_entity_type == kind]
