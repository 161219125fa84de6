"""From issue answers to responses (v2-coupon 0-3)."""

from collections.abc import Sequence
from typing import Final
from zoneinfo import ZoneInfo

from couponry.api import times
from couponry.api.envelopes import E, error_of
from couponry.api.v2.issue_responses import (
    BulkIssueItem,
    BulkIssueResponse,
    CouponAndId,
    CouponConfig,
    IssuedResult,
    IssueMultipleResponse,
    IssueResponse,
)
from couponry.api.v2.render import customer_block, number
from couponry.api.v2.replies import status_of
from couponry.api.v2.requests import Id
from couponry.core.codes import CodeCase, shown
from couponry.core.expiry import coupon_last_ms, local_time
from couponry.core.plan import IssueAnswer, IssuedItem, SeriesOffer
from couponry.core.status import Code

_Values = tuple[str, int, str, str, str, str, str, float, float, str, str, int, int]
_INT64_MAX: Final = 2**63 - 1


def refusal_of(answer: IssueAnswer) -> Code | None:
    """Why an issue from one series gave nothing."""
    if not answer.items:
        return answer.status
    (item,) = answer.items
    return None if item.coupons else item.status


def issued(answer: IssueAnswer, zone: ZoneInfo, case: CodeCase) -> IssueResponse:
    """The response of a single issue that gave a coupon."""
    (item,) = answer.items
    return IssueResponse(
        *_values(item, zone, case),
        customer=customer_block(answer.customer, zone),
        warnings=[status_of(warning) for warning in item.warnings],
    )


def bulk_issued(answer: IssueAnswer, sent_ids: Sequence[Id], zone: ZoneInfo, case: CodeCase) -> BulkIssueResponse:
    """The response of a bulk issue, series by series."""
    items = [_bulk_item(item, sent, zone, case) for item, sent in zip(answer.items, sent_ids, strict=True)]
    return BulkIssueResponse(items, len(items), sum(item.result is None for item in items))


def several_issued(answer: IssueAnswer, count: int, zone: ZoneInfo, case: CodeCase) -> IssueMultipleResponse:
    """The response of an issue of several coupons that gave at least one."""
    (item,) = answer.items
    assert item.offer, "what was issued is worth something"
    failures = count - len(item.coupons)
    return IssueMultipleResponse(
        coupons=[CouponAndId(shown(coupon.code, case), coupon.coupon_id) for coupon in item.coupons],
        coupon_config=_config(item.offer),
        total_count=count,
        failure_count=failures,
        success_count=len(item.coupons),
        customer=customer_block(answer.customer, zone),
        errors=[_cut(item.cut, failures)] if item.cut else [],
        warnings=[status_of(warning) for warning in item.warnings],
    )


def _bulk_item(item: IssuedItem, sent: Id, zone: ZoneInfo, case: CodeCase) -> BulkIssueItem:
    entity_id = sent if isinstance(sent, int) and abs(sent) <= _INT64_MAX else item.series_id or -1
    if not item.coupons:
        return BulkIssueItem(entity_id, None, [_error(item.status, sent)], [])
    return BulkIssueItem(entity_id, IssuedResult(*_values(item, zone, case)), [], [status_of(each) for each in item.warnings])


def _values(item: IssuedItem, zone: ZoneInfo, case: CodeCase) -> _Values:
    """The fields of an issued coupon in their order."""
    offer, (coupon,) = item.offer, item.coupons
    assert offer, "what was issued is worth something"
    expires = local_time(coupon_last_ms(coupon.expires_local, ZoneInfo(offer.zone)) // 1000, zone)
    return (
        shown(coupon.code, case),
        offer.series_id,
        offer.description,
        offer.discount_code,
        times.midnight(expires, zone),
        times.with_offset(expires),
        offer.discount_type,
        float(offer.discount_value),
        float(offer.discount_upto),
        offer.discount_on,
        offer.info,
        coupon.redeemed,
        coupon.coupon_id,
    )


def _config(offer: SeriesOffer) -> CouponConfig:
    return CouponConfig(
        custom_property_map=offer.custom_properties,
        description=offer.description,
        discount_code=offer.discount_code,
        info=offer.info,
        discount_upto=number(offer.discount_upto),
        discount_value=number(offer.discount_value),
        discount_on=offer.discount_on,
        discount_type=offer.discount_type,
    )


def _error(code: Code, sent: Id) -> E:
    """Bulk issue names the series that it does not find (status-codes 2, 707)."""
    if code not in (Code.UNKNOWN_SERIES, Code.UNKNOWN_SERIES_NAMED):
        return error_of(code)
    return E(status=False, code=code.number, message=Code.UNKNOWN_SERIES_NAMED.message.replace("{x}", str(sent)))


def _cut(code: Code, failures: int) -> E:
    return E(status=False, code=code.number, message=code.message.replace("{n}", str(failures)))
