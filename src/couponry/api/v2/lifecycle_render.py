"""From lifecycle answers to responses (v2-coupon 7-10)."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from couponry.api import times
from couponry.api.v2.lifecycle_responses import (
    Expiries,
    ExpiryResponse,
    FailedCodes,
    Revocation,
    RevokedCode,
    RevokeResponse,
    UnprocessedCoupon,
    Update,
    UpdatedRedemption,
    UpdateResponse,
)
from couponry.api.v2.render import customer_block
from couponry.api.v2.replies import status_of
from couponry.core.codes import CodeCase, shown
from couponry.core.plan import AmendAnswer, AmendedItem, RedateAnswer, RevokeAnswer
from couponry.core.status import Code


def revoked(answer: RevokeAnswer, case: CodeCase) -> RevokeResponse:
    """What became of each coupon; the failed codes by what they failed for."""
    coupons = [
        RevokedCode(coupon.coupon_id, shown(coupon.code, case), -1 if coupon.customer_id is None else coupon.customer_id)
        for coupon in answer.revoked
    ]
    groups: dict[Code, list[str]] = {}
    for code, sent in answer.failed:
        groups.setdefault(code, []).append(shown(sent, case))
    failed = [FailedCodes(code.number, code.message, codes) for code, codes in groups.items()]
    return RevokeResponse(Revocation(len(coupons) + len(answer.failed), len(answer.failed), coupons, failed))


def redated(answer: RedateAnswer, sent: Sequence[tuple[str, int]], zone: ZoneInfo, case: CodeCase) -> ExpiryResponse:
    """Which coupons kept their expiry, and why."""
    unprocessed = [
        UnprocessedCoupon(times.shown(expires_ms, zone), shown(code, case), refused.number, refused.message)
        for refused, (code, expires_ms) in zip(answer.items, sent, strict=True)
        if refused
    ]
    total, failed = len(sent), len(unprocessed)
    return ExpiryResponse(Expiries(total, failed, total - failed, unprocessed, answer.customer_id, answer.series_id))


def amended(answer: AmendAnswer, zone: ZoneInfo) -> UpdateResponse:
    """What is recorded about each redemption now, and the customer if one was named."""
    items = [_updated(item) for item in answer.items]
    failed = sum(item.status is not Code.UPDATED for item in answer.items)
    update = Update(
        redemptions=items,
        user=customer_block(answer.customer, zone),
        status=status_of(answer.status),
        total_count=len(items),
        failed_count=failed,
    )
    return UpdateResponse(update)


def _updated(item: AmendedItem) -> UpdatedRedemption:
    """A bill amount or id that nobody told of is 0, as in the contract's example of a refused one."""
    return UpdatedRedemption(
        item.redemption_id,
        float(item.amount or 0),
        item.transaction_number,
        item.bill_id or 0,
        dict(item.custom_fields),
        status_of(item.status),
    )
