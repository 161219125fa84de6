"""Issue: coupons into one customer's hands, from whichever source the series' codes have (status-codes 4, J1-J13; rules 3, 6)."""

from msgspec.structs import replace

from couponry.core import expiry, holdings
from couponry.core.codes import code_key
from couponry.core.commands import Issue, kinds
from couponry.core.fold import Fold
from couponry.core.model import Coupon, Customer, Handling, Org, Standing
from couponry.core.plan import Event, IssueAnswer, IssuedCoupon, IssuedItem, NewCoupon, Outcome, Refusal, SeriesOffer
from couponry.core.rules import issue as rules
from couponry.core.rules.customer import consistent, found
from couponry.core.rules.sending import unsendable
from couponry.core.series import Series
from couponry.core.status import Code


def issue(fold: Fold, org: Org, command: Issue, digest: str | None) -> Outcome:
    """Each series by itself; a repeat gets the first answer."""
    return fold.once(org, command, digest, lambda: _judge(fold, org, command))


def _judge(fold: Fold, org: Org, command: Issue) -> IssueAnswer:
    matched = fold.matched(command.customer)
    unknown = consistent(matched) or found(matched)
    if command.form == "each" and unknown:
        return IssueAnswer(unknown)
    items = tuple(_item(fold, org, command, series_id, matched) for series_id in command.series_ids)
    broken = next((item.status for item in items if item.status.is_service_failure), None)
    if broken:
        fold.take_back()
        return IssueAnswer(broken)
    fold.keep()
    customer = None if unknown else matched[0]
    fold.plan.refusals.extend(_trace(command, item, customer) for item in items if not item.coupons)
    if command.form == "each":
        return IssueAnswer(Code.PROCESSED, items, customer)
    (item,) = items
    return IssueAnswer(item.status, items if item.coupons else (), customer)


def _item(fold: Fold, org: Org, command: Issue, series_id: int, matched: list[Customer | None]) -> IssuedItem:
    """The series first, then the customer, then each coupon, until the first that fails."""
    state = fold.state
    if series_id not in state.series:
        return IssuedItem(Code.UNKNOWN_SERIES if command.form != "each" else Code.UNKNOWN_SERIES_NAMED, series_id)
    series = state.series[series_id]
    if series is None:
        return IssuedItem(Code.SERIES_UNREADABLE if command.source_is_known else Code.WRONG_SOURCE, series_id)
    offering = rules.Offering(series, series_id in state.halted, state.now_ms, command.form, command.source_is_known)
    refused = rules.series_refusal(offering) or rules.customer_refusal(org, matched)
    if refused:
        return IssuedItem(refused, series_id)
    customer = matched[0]
    assert customer is not None, "J4 says so"
    coupons: list[Coupon] = []
    code: Code | None = None
    for _ in range(command.count):
        coupon = _take(fold, org, command, customer, series)
        if isinstance(coupon, Code):
            code = coupon
            break
        coupons.append(coupon)
    return _told(fold, org, command, customer, series, coupons, code)


def _told(
    fold: Fold, org: Org, command: Issue, customer: Customer, series: Series, coupons: list[Coupon], refused: Code | None
) -> IssuedItem:
    """The item's answer, and what others are to be told of it; J13's refusals, which leave nothing of the request."""
    again = _sent_again(fold, command, customer, series, refused) if refused and not coupons else None
    if (coupons or again) and (unsendable := _unsendable(org, command, customer, series)):
        return IssuedItem(unsendable, series.id)
    if again:
        return _issued(series, [again], None, (Code.RESENT, *_message(fold, "ResendMessage", command, customer, series, [again])))
    if refused and not coupons:
        is_own_cut = command.form == "several" and refused is Code.CUSTOMER_HAS_ENOUGH
        return IssuedItem(Code.CUT_BY_CUSTOMER if is_own_cut else refused, series.id)
    ids = tuple(coupon.id for coupon in coupons)
    fold.plan.events.append(
        Event("CouponIssue", ids[0], customer.id, command.request_id, ids if len(ids) > 1 else (), kinds(command.customer))
    )
    warnings = _message(fold, "IssueMessage", command, customer, series, coupons)
    return _issued(series, coupons, rules.cut_by(refused, series) if refused else None, warnings)


def _unsendable(org: Org, command: Issue, customer: Customer, series: Series) -> Code | None:
    terms = series.terms
    if terms.is_sms_disabled:
        return None
    return unsendable(org, command, customer.channel, (terms.sms_template, terms.short_sms_template))


def _message(
    fold: Fold, name: str, command: Issue, customer: Customer, series: Series, coupons: list[Coupon]
) -> tuple[Code, ...]:
    """J13: one message about these coupons for the outbox; a warning when there is nowhere to send it."""
    if series.terms.is_sms_disabled:
        return ()
    if customer.channel is None:
        return (Code.NOT_COMMUNICATED,)
    ids = tuple(coupon.id for coupon in coupons)
    fold.plan.events.append(Event(name, ids[0], customer.id, command.request_id, ids if len(ids) > 1 else ()))
    return ()


def _take(fold: Fold, org: Org, command: Issue, customer: Customer, series: Series) -> Coupon | Code:
    """One more coupon of the series in the customer's hands, or the code of J5-J11 that refuses it."""
    state, key = fold.state, (customer.id, series.id)
    standing = state.standings.get(key) or Standing()
    receipt = rules.Receipt(
        org=org,
        customer=customer,
        series=series,
        is_in_audience=(series.id, customer.id) in state.audience,
        standing=standing,
        holds_one=not rules.may_hold_several(series) and bool(_live(fold, customer, series)),
        excluded_ms=_excluded_ms(fold, customer, series),
        series_issued=state.series_issued.get(series.id, 0),
        now_ms=state.now_ms,
    )
    coupon = rules.refusal(receipt) or _from_source(fold, command, customer, series, receipt)
    if isinstance(coupon, Code):
        return coupon
    fold.put(state.coupons, coupon.id, coupon)
    last_ms = max(standing.last_issued_ms or 0, state.now_ms)  # another process's clock may be ahead
    fold.put(state.standings, key, replace(standing, issued=standing.issued + 1, last_issued_ms=last_ms))
    if not rules.may_hold_several(series):
        fold.put(state.live, key, (*state.live.get(key, ()), coupon.id))
    fold.put(state.received, key, state.now_ms)
    if key in state.unredeemed:
        fold.put(state.unredeemed, key, [*state.unredeemed[key], coupon.id])
    fold.put(state.series_issued, series.id, receipt.series_issued + 1)
    return coupon


def _live(fold: Fold, customer: Customer, series: Series) -> list[Coupon]:
    """The customer's coupons of the series that J7 is about; an own record of a shared code whatever became of it (rules 3)."""
    state = fold.state
    held = [state.coupons[coupon_id] for coupon_id in state.live.get((customer.id, series.id), ())]
    return [coupon for coupon in held if not coupon.is_revoked and (coupon.holder_id or not coupon.redeemed)]


def _sent_again(fold: Fold, command: Issue, customer: Customer, series: Series, refused: Code) -> Coupon | None:
    """The coupon that the customer gets again instead of a refusal; a used or expired record of a shared code is none."""
    if not rules.is_sent_again(refused, series, command):
        return None
    again = max(_live(fold, customer, series), key=lambda coupon: (coupon.issued_ms or 0, coupon.id))
    is_alive = holdings.last_ms(series, again.expires_local) >= fold.state.now_ms
    return again if is_alive and not again.redeemed else None


def _excluded_ms(fold: Fold, customer: Customer, series: Series) -> int | None:
    """When the customer last received a coupon of a series that excludes this one."""
    times = (fold.state.received.get((customer.id, excluded)) for excluded in series.exclusions)
    return max((at_ms for at_ms in times if at_ms), default=None)


def _from_source(fold: Fold, command: Issue, customer: Customer, series: Series, receipt: rules.Receipt) -> Coupon | Code:
    """J11: a fresh code, the oldest of the pool, or a record of the shared code of the customer's own (rules 3)."""
    state, terms = fold.state, series.terms
    expires_local = expiry.new_coupon_expiry(terms, receipt.local_date(state.now_ms), series.expires_local)
    if terms.client_handling_type is Handling.UPLOADED:
        pooled = _next_of_pool(fold, series)
        if pooled is None:
            return Code.NO_CODE_LEFT
        given = replace(
            pooled, customer_id=customer.id, issued_ms=state.now_ms, expires_local=pooled.expires_local or expires_local
        )
        fold.plan.given_coupons.append(NewCoupon(given, command.place.till_id, command.details, command.place.store_id))
        return given
    is_shared = terms.client_handling_type is Handling.SHARED
    code = terms.generic_code if is_shared else _next_code(fold, series)
    if code is None:
        return Code.NO_CODE_LEFT
    new = Coupon(
        id=next(state.new_coupon_ids),
        series_id=series.id,
        code=code,
        holder_id=customer.id if is_shared else 0,
        customer_id=customer.id,
        issued_ms=state.now_ms,
        expires_local=expires_local,
    )
    if is_shared:
        fold.put(state.coupon_ids, (code_key(code), customer.id), new.id)
    fold.plan.new_coupons.append(NewCoupon(new, command.place.till_id, command.details, command.place.store_id))
    return new


def _next_of_pool(fold: Fold, series: Series) -> Coupon | None:
    """The oldest code that nobody has: neither given out nor redeemed by its bearer, also not earlier in this batch."""
    state = fold.state
    pool = state.pools.get(series.id, [])
    for taken in range(state.taken.get(series.id, 0), len(pool)):
        coupon = state.coupons[pool[taken]]
        fold.put(state.taken, series.id, taken + 1)
        if coupon.issued_ms is None and not coupon.redeemed and not coupon.is_revoked:
            return coupon
    return None


def _next_code(fold: Fold, series: Series) -> str | None:
    state = fold.state
    taken, codes = state.taken.get(series.id, 0), state.fresh_codes.get(series.id, [])
    if taken >= len(codes):
        return None
    fold.put(state.taken, series.id, taken + 1)
    return codes[taken]


def _issued(series: Series, coupons: list[Coupon], cut: Code | None, warnings: tuple[Code, ...]) -> IssuedItem:
    terms, series_expiry = series.terms, series.expires_local.isoformat()
    offer = SeriesOffer(
        series.id,
        terms.description,
        terms.info,
        terms.discount_code,
        terms.discount_type,
        terms.discount_value,
        terms.discount_upto,
        terms.discount_on,
        terms.custom_property_map,
        series_expiry,
        terms.zone,
    )
    issued = tuple(
        IssuedCoupon(coupon.id, coupon.code, coupon.expires_local or series_expiry, coupon.redeemed) for coupon in coupons
    )
    return IssuedItem(Code.PROCESSED, series.id, offer, issued, cut, warnings)


def _trace(command: Issue, item: IssuedItem, customer: Customer | None) -> Refusal:
    return Refusal(
        status=item.status,
        code_sent="",
        coupon_id=None,
        series_id=item.series_id if item.offer or item.status not in (Code.UNKNOWN_SERIES, Code.UNKNOWN_SERIES_NAMED) else None,
        customer_id=customer.id if customer else None,
        till_id=command.place.till_id,
        transaction_number="",
        amount=None,
        at_ms=None,
        request_id=command.request_id,
        store_id=command.place.store_id,
    )
