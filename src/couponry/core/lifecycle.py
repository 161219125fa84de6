"""What may happen to a coupon beside issue and redemption: reversal, revocation, another expiry (rules 9; v2-coupon 7-10)."""

from collections.abc import Iterable

from msgspec import UNSET
from msgspec.structs import replace

from couponry.core import expiry
from couponry.core.codes import code_key
from couponry.core.commands import Amend, Amendment, Redate, Reverse, Revoke, kinds
from couponry.core.fold import Fold
from couponry.core.limits import CUSTOM_FIELDS_MAX, REVOKE_COUPONS_MAX
from couponry.core.model import Coupon, Customer, Standing, StoredRedemption
from couponry.core.plan import (
    AmendAnswer,
    AmendedItem,
    Event,
    RedateAnswer,
    Reversal,
    ReverseAnswer,
    RevokeAnswer,
    RevokedCoupon,
)
from couponry.core.rules import lifecycle as rules
from couponry.core.series import Series
from couponry.core.status import Code


def reverse(fold: Fold, command: Reverse) -> ReverseAnswer:
    """Undo the redemptions, all or none; every limit they counted for is freed once."""
    state = fold.state
    for redemption_id in command.redemption_ids:
        if refused := rules.not_undone(state.redemptions.get(redemption_id)):
            return ReverseAnswer(refused)
    for redemption_id in command.redemption_ids:
        if refused := rules.not_revoked(state.coupons[state.redemptions[redemption_id].coupon_id]):
            return ReverseAnswer(refused)
    for redemption_id in dict.fromkeys(command.redemption_ids):
        redemption = state.redemptions[redemption_id]
        series = state.series[redemption.series_id]
        if series is None:
            fold.take_back()
            return ReverseAnswer(Code.SERIES_UNREADABLE)
        _reverse(fold, command, redemption, series)
    state.reversed_ids.update(command.redemption_ids)
    fold.keep()
    return ReverseAnswer(Code.PROCESSED)


def _reverse(fold: Fold, command: Reverse, redemption: StoredRedemption, series: Series) -> None:
    state, coupon = fold.state, fold.state.coupons[redemption.coupon_id]
    after = rules.after_reversal(series, command.reason)
    is_consumed = after.use == "consumed"
    fold.put(state.redemptions, redemption.id, replace(redemption, is_undone=True))
    key = (redemption.id, redemption.coupon_id, redemption.series_id, redemption.customer_id)
    of_redemption = redemption.store_id, redemption.discount
    fold.plan.reversals.append(Reversal(*key, command.place.till_id, command.reason, is_consumed, *of_redemption))
    fold.plan.events.append(Event("CouponReactivate", redemption.id, redemption.customer_id, command.request_id))
    if is_consumed:
        return
    _free(fold, redemption, coupon)
    if after.fresh_days is not None:
        expires_local = rules.fresh_expiry(coupon, series, after.fresh_days, state.now_ms)
        if expires_local:
            _set_expiry(fold, state.coupons[coupon.id], expires_local)


def _free(fold: Fold, redemption: StoredRedemption, coupon: Coupon) -> None:
    """Take the redemption out of every count."""
    state = fold.state
    holder, use = (redemption.customer_id, redemption.series_id), (redemption.coupon_id, redemption.customer_id)
    active = {found: at_ms for found, at_ms in state.active[holder].items() if found != redemption.id}
    standing = state.standings[holder]
    fold.put(state.active, holder, active)
    fold.put(state.coupons, coupon.id, replace(coupon, redeemed=coupon.redeemed - 1))
    owned = coupon.customer_id or 0, coupon.series_id
    if coupon.redeemed == 1 and coupon.id not in state.unredeemed.get(owned, (coupon.id,)):
        fold.put(state.unredeemed, owned, [*state.unredeemed[owned], coupon.id])
    last_ms = max(active.values(), default=None)
    fold.put(state.standings, holder, replace(standing, redeemed=standing.redeemed - 1, last_redeemed_ms=last_ms))
    if use in state.uses:
        fold.put(state.uses, use, state.uses[use] - 1)
    if redemption.series_id in state.series_redeemed:
        fold.put(state.series_redeemed, redemption.series_id, state.series_redeemed[redemption.series_id] - 1)


def revoke(fold: Fold, command: Revoke) -> RevokeAnswer:
    """The listed codes, each by itself, or all that the customer holds unredeemed of the series (v2-coupon 9)."""
    state = fold.state
    scope = _scope(fold, command.series_id, command.codes, command.customer)
    if isinstance(scope, Code):
        is_shared = scope is Code.EXPIRY_NEEDS_CUSTOMER
        return RevokeAnswer(Code.SHARED_CODE_NEEDS_CUSTOMER if is_shared else scope)
    series, customer = scope
    if not command.codes:
        assert series is not None, "the edge asks for codes, or a series and a customer"
        assert customer is not None, "the same"
        held = [state.coupons[coupon_id] for coupon_id in state.unredeemed.get((customer.id, series.id), ())]
        left = [coupon for coupon in held if not coupon.is_revoked and not coupon.redeemed]
        if len(held) > REVOKE_COUPONS_MAX:  # of those that were held; there may be more than were loaded, whatever became of some
            return RevokeAnswer(Code.BATCH_LIMIT_EXCEEDED)
        revoked = [_revoke(fold, command, coupon) for coupon in left]
        fold.keep()
        return RevokeAnswer(Code.PROCESSED, tuple(revoked))
    revoked, failed = [], []
    for code in command.codes:
        coupon = _named(fold, code, series, customer)
        refused = _revocation_refusal(fold, coupon, series)
        if coupon is None or refused:
            failed.append((refused or Code.NOT_IN_SERIES, code))
        else:
            revoked.append(_revoke(fold, command, coupon))
    fold.keep()
    return RevokeAnswer(Code.PROCESSED, tuple(revoked), tuple(failed))


def _revocation_refusal(fold: Fold, coupon: Coupon | None, series: Series | None) -> Code | None:
    if coupon is None or series is None:
        return Code.NOT_IN_SERIES
    owner_id = coupon.customer_id or 0
    by_owner = fold.state.uses.get((coupon.id, owner_id), 0)
    standing = fold.state.standings.get((owner_id, coupon.series_id)) or Standing()
    return rules.not_revoked(coupon) or rules.unredeemed(coupon, series, by_owner, standing.redeemed)


def _revoke(fold: Fold, command: Revoke, coupon: Coupon) -> RevokedCoupon:
    state, holder = fold.state, (coupon.customer_id or 0, coupon.series_id)
    fold.put(state.coupons, coupon.id, replace(coupon, is_revoked=True))
    fold.plan.revoked.append(coupon)
    fold.plan.events.append(Event("CouponRevoke", coupon.id, coupon.customer_id, command.request_id, (), kinds(command.customer)))
    standing = state.standings.get(holder)
    if standing and counts_as_issued(coupon):
        fold.put(state.standings, holder, replace(standing, issued=standing.issued - 1))
    return RevokedCoupon(coupon.id, coupon.code, coupon.customer_id)


def counts_as_issued(coupon: Coupon) -> bool:
    """Whether the coupon is one of its customer's issued ones: not in a pool, and not made or bound by redeeming."""
    return coupon.customer_id is not None and coupon.issued_ms is not None and not coupon.issued_by_redemption


def redate(fold: Fold, command: Redate) -> RedateAnswer:
    """Another expiry for each listed code, each by itself (v2-coupon 10)."""
    scope = _scope(fold, command.series_id, [code for code, _ in command.expiries], command.customer)
    if isinstance(scope, Code):
        return RedateAnswer(scope)
    series, customer = scope
    items = tuple(_redate(fold, command, code, expires_ms, series, customer) for code, expires_ms in command.expiries)
    fold.keep()
    series_id = series.id if series else -1
    return RedateAnswer(Code.PROCESSED, items, series_id, customer.id if customer else -1)


def _redate(
    fold: Fold, command: Redate, code: str, expires_ms: int, series: Series | None, customer: Customer | None
) -> Code | None:
    coupon = _named(fold, code, series, customer)
    if coupon is None or series is None:
        return Code.EXPIRY_CODE_UNKNOWN
    refused = rules.not_revoked(coupon) or rules.expiry_refusal(coupon, series, expires_ms, fold.state.now_ms)
    if refused:
        return refused
    _set_expiry(fold, coupon, expiry.local_time(expires_ms // 1000, series.zone).replace(tzinfo=None).isoformat())
    fold.plan.events.append(
        Event("CouponExpiryChange", coupon.id, coupon.customer_id, command.request_id, (), kinds(command.customer))
    )
    return None


def _set_expiry(fold: Fold, coupon: Coupon, expires_local: str) -> None:
    fold.put(fold.state.coupons, coupon.id, replace(coupon, expires_local=expires_local))
    fold.plan.redated.append((coupon.id, expires_local))


def _scope(
    fold: Fold, series_id: int | None, codes: Iterable[str], identifiers: tuple[tuple[str, str], ...] | None
) -> tuple[Series | None, Customer | None] | Code:
    """The series, given or that of the only code, and the customer if one was sent; or why the whole request is refused.

    695 stands for either verb's complaint that a shared code alone names nobody's coupon.
    """
    state = fold.state
    codes = list(codes)
    if series_id is None:
        row_id = state.coupon_ids.get((code_key(codes[0]), 0))
        series_id = state.coupons[row_id].series_id if row_id else None
    series: Series | None = None
    if series_id is not None:
        if refused := rules.series_refusal(series_id, state.series, state.halted, state.now_ms):
            return refused
        series = state.series[series_id]
    if series and codes and identifiers is None and rules.needs_customer(series):
        return Code.EXPIRY_NEEDS_CUSTOMER
    customer = None if identifiers is None else fold.one_customer(identifiers)
    return customer if isinstance(customer, Code) else (series, customer)


def _named(fold: Fold, code: str, series: Series | None, customer: Customer | None) -> Coupon | None:
    """The coupon of the series that a code means; the customer's, if one was sent."""
    state, key = fold.state, code_key(code)
    holder_id = customer.id if customer and series and rules.needs_customer(series) else 0
    coupon = state.coupons.get(state.coupon_ids.get((key, holder_id), 0))
    if coupon is None or series is None or coupon.series_id != series.id:
        return None
    return coupon if customer is None or coupon.customer_id == customer.id else None


def amend(fold: Fold, command: Amend) -> AmendAnswer:
    """What is recorded about the bill of each redemption, each by itself (v2-coupon 7)."""
    customer = None if command.customer is None else fold.one_customer(command.customer)
    if isinstance(customer, Code):
        return AmendAnswer(customer)
    items = tuple(_amend(fold, amendment, customer) for amendment in command.amendments)
    fold.keep()
    done = sum(item.status is Code.UPDATED for item in items)
    status = Code.UPDATED if done == len(items) else Code.PARTLY_UPDATED if done else Code.ALL_FAILED
    return AmendAnswer(status, items, customer)


def _amend(fold: Fold, sent: Amendment, customer: Customer | None) -> AmendedItem:
    before = fold.state.redemptions.get(sent.redemption_id)
    amount = None if sent.amount is UNSET else sent.amount
    if before is None or (customer and before.customer_id != customer.id):
        number, bill_id = sent.transaction_number or "", sent.bill_id or None
        return AmendedItem(Code.INVALID_REDEMPTION_IDS, sent.redemption_id, amount, number, bill_id, sent.custom_fields)
    after = replace(
        before,
        amount=before.amount if sent.amount is UNSET else sent.amount,
        transaction_number=before.transaction_number if sent.transaction_number is UNSET else sent.transaction_number,
        bill_id=before.bill_id if sent.bill_id is UNSET else sent.bill_id,
        custom_fields=before.custom_fields | dict(sent.custom_fields),
    )
    if len(after.custom_fields) > CUSTOM_FIELDS_MAX:
        return AmendedItem(
            Code.INVALID_INPUT, sent.redemption_id, amount, after.transaction_number, after.bill_id, sent.custom_fields
        )
    fold.put(fold.state.redemptions, after.id, after)
    fold.plan.amended.append(after)
    fields = tuple(after.custom_fields.items())
    return AmendedItem(Code.UPDATED, after.id, after.amount, after.transaction_number, after.bill_id, fields)
