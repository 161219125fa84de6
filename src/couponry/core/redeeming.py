"""Redeem, and check: each coupon of a request in turn, all of them or none (status-codes 4)."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from couponry.core import expiry
from couponry.core.codes import code_key
from couponry.core.commands import Check, Claim, Item, Redeem, kinds
from couponry.core.figures import discount_given
from couponry.core.fold import Fold
from couponry.core.model import Coupon, Customer, Org, Redemption, Standing
from couponry.core.plan import Answer, CheckAnswer, CheckedItem, Event, ItemOutcome, NewCoupon, Offer, Outcome, Refusal
from couponry.core.rules import redeem as rules
from couponry.core.series import Series
from couponry.core.status import Code


class _Judged(NamedTuple):
    """One coupon of a request with its verdict, and the attempt behind it if the coupon was found."""

    outcome: ItemOutcome
    attempt: rules.Attempt | None


def redeem(fold: Fold, org: Org, command: Redeem, digest: str | None) -> Outcome:
    """All the coupons or none; a repeat gets the first answer."""
    return fold.once(org, command, digest, lambda: _judge_redeem(fold, org, command))


def check(fold: Fold, org: Org, command: Check) -> Outcome:
    """Judge as a redeem would, then undo."""
    customer, refused = _customer(fold, org, command)
    judged = _judge_items(fold, org, command, customer, refused)
    if refused and not judged:
        return Outcome(CheckAnswer(refused, (), customer))
    fold.take_back()
    status, outcomes = _verdict(judged, passed=Code.REDEEMABLE, mixed=Code.OTHER_COUPON_FAILED)
    if status.is_service_failure:
        return Outcome(CheckAnswer(status))
    items = tuple(_checked(outcome, found.attempt) for outcome, found in zip(outcomes, judged, strict=True))
    return Outcome(CheckAnswer(status, items, customer))


def _judge_redeem(fold: Fold, org: Org, command: Redeem) -> Answer:
    customer, refused = _customer(fold, org, command)
    judged = _judge_items(fold, org, command, customer, refused)
    if refused and not judged:
        fold.plan.refusals.append(_trace(command, refused, customer))
        return Answer(refused, (), customer)
    status, outcomes = _verdict(judged, passed=Code.PROCESSED, mixed=Code.BATCH_REFUSED)
    if status is Code.PROCESSED:
        _use_validations(fold, [found.attempt for found in judged if found.attempt])
        fold.keep()
        return Answer(status, outcomes, customer)
    fold.take_back()
    if status.is_service_failure:
        return Answer(status)
    own = (found for outcome, found in zip(outcomes, judged, strict=True) if outcome.status is not Code.OTHER_COUPON_FAILED)
    fold.plan.refusals.extend(_trace(command, found.outcome.status, customer, found) for found in own)
    return Answer(status, outcomes, customer)


def _customer(fold: Fold, org: Org, claim: Claim) -> tuple[Customer | None, Code | None]:
    """The redeemer, and the code of B1-B4 if one refuses; a refused customer is still named if known."""
    matched = fold.matched(claim.customer)
    refused = rules.customer_refusal(org, matched)
    is_one = refused not in (Code.INVALID_CUSTOMER, Code.CUSTOMER_NOT_FOUND)
    return (matched[0] if is_one else None), refused


def _judge_items(fold: Fold, org: Org, claim: Claim, customer: Customer | None, refused: Code | None) -> list[_Judged]:
    """Each item's shape before the customer, the customer before each coupon; nothing if the customer alone is at fault."""
    assert claim.items, "a request without coupons is refused at the edge (629)"
    coupons = [find(fold, item, customer) for item in claim.items]
    misshapen = _misshapen(claim.items, coupons)
    is_refused = customer is None or refused is not None
    if is_refused and not any(misshapen):
        return []
    judged: list[_Judged] = []
    wrong_macs: set[str] = set()
    for item, coupon, fault in zip(claim.items, coupons, misshapen, strict=True):
        if customer is None or is_refused or fault:
            series = fold.state.series[coupon.series_id] if coupon else None
            judged.append(_Judged(_outcome(fault or Code.OTHER_COUPON_FAILED, item, coupon, series), None))
        else:
            judged.append(_judge_item(fold, org, claim, item, customer, coupon))
        is_wrong = judged[-1].outcome.status is Code.INVALID_VALIDATION_CODE
        if is_wrong and customer and item.validation_mac not in wrong_macs and not isinstance(claim, Check):
            wrong_macs.add(item.validation_mac)
            _count_wrong_try(fold, customer)
    return judged


def _count_wrong_try(fold: Fold, customer: Customer) -> None:
    """Each code that might have been meant has a try less; a code that several coupons were shown with is one try.

    It is counted at once and never taken back, or one request could try a hundred codes.
    """
    state = fold.state
    known = state.validation_codes.get(customer.id, ())
    fold.plan.wrong_tries += [code.id for code in known if code.is_usable(state.now_ms)]
    state.validation_codes[customer.id] = tuple(
        replace(code, wrong_tries=code.wrong_tries + 1) if code.is_usable(state.now_ms) else code for code in known
    )


def _use_validations(fold: Fold, attempts: list[rules.Attempt]) -> None:
    """What a redemption that goes through was validated with is used up, however many coupons it was for (rules 10)."""
    asked = [attempt for attempt in attempts if attempt.series.terms.is_validation_required]
    if not asked:
        return
    state, plan, customer_id = fold.state, fold.plan, asked[0].customer.id
    calls = {call.id for attempt in asked if attempt.item.by_missed_call and (call := rules.call_of(attempt))}
    codes = {code.id for attempt in asked if not attempt.item.by_missed_call and (code := rules.code_of(attempt))}
    plan.codes_used += sorted(codes)
    plan.calls_used += sorted(calls)
    left = tuple(code for code in state.validation_codes.get(customer_id, ()) if code.id not in codes)
    state.validation_codes[customer_id] = left
    state.missed_calls[customer_id] = tuple(call for call in state.missed_calls.get(customer_id, ()) if call.id not in calls)


def _judge_item(fold: Fold, org: Org, claim: Claim, item: Item, customer: Customer, coupon: Coupon | None) -> _Judged:
    is_check = isinstance(claim, Check)
    status = rules.well_formed(item) or rules.exists(item, coupon, org, is_check=is_check)
    if coupon is None or status:
        return _Judged(_outcome(status or Code.UNKNOWN_COUPON, item, None), None)
    series = fold.state.series[coupon.series_id]
    if series is None:
        return _Judged(_outcome(Code.SERIES_UNREADABLE, item, coupon), None)
    attempt = attempt_of(fold, org, claim, item, customer, coupon, series)
    refused = rules.refusal(attempt)
    if refused:
        return _Judged(_refused(refused, attempt), attempt)
    redemption = take(fold, attempt)
    passed = Code.REDEEMABLE if is_check else Code.PROCESSED
    coupon_id, redemption_id = (coupon.id, -1) if is_check else (redemption.coupon_id, redemption.id)
    return _Judged(
        ItemOutcome(passed, coupon.code, coupon_id, redemption_id, _offer(series), rules.warnings(attempt)),
        attempt,
    )


def find(fold: Fold, item: Item, customer: Customer | None) -> Coupon | None:
    """By code or id. What names a shared code means the customer's own record of it, if there is one.

    The id of somebody else's record of a code open to any user names the code; otherwise it is somebody else's coupon (C9).
    """
    state = fold.state
    by_id = state.coupons.get(item.coupon_id or 0) if item.code is None else None
    if by_id and by_id.holder_id and not _is_open(fold, by_id):
        return by_id
    key = code_key(item.code if item.code is not None else by_id.code if by_id else "")
    own_id = state.coupon_ids.get((key, customer.id)) if customer else None
    if own_id:
        return state.coupons[own_id]
    is_named_by_code = item.code is not None or (by_id is not None and by_id.holder_id)
    coupon_id = state.coupon_ids.get((key, 0)) if is_named_by_code else None
    return state.coupons[coupon_id] if coupon_id else by_id


def _is_open(fold: Fold, coupon: Coupon) -> bool:
    series = fold.state.series[coupon.series_id]
    return series is not None and series.terms.any_user


def attempt_of(
    fold: Fold, org: Org, claim: Claim, item: Item, customer: Customer, coupon: Coupon, series: Series
) -> rules.Attempt:
    """What guards may read of one coupon in one customer's hands."""
    state = fold.state
    return rules.Attempt(
        claim=claim,
        item=item,
        org=org,
        customer=customer,
        coupon=coupon,
        series=series,
        is_halted=series.id in state.halted,
        is_in_audience=(series.id, customer.id) in state.audience,
        standing=state.standings.get((customer.id, series.id)) or Standing(),
        uses_by_customer=state.uses.get((coupon.id, customer.id), 0),
        series_redeemed=state.series_redeemed.get(series.id, 0),
        now_ms=state.now_ms,
        at_ms=state.now_ms if claim.at_ms is None else claim.at_ms,
        validation_codes=state.validation_codes.get(customer.id, ()),
        missed_calls=state.missed_calls.get(customer.id, ()),
    )


def take(fold: Fold, attempt: rules.Attempt) -> Redemption:
    """Count one redemption in the state and plan its rows."""
    state, claim, customer, series = fold.state, attempt.claim, attempt.customer, attempt.series
    coupon = _held(fold, attempt)
    fold.put(state.coupons, coupon.id, replace(coupon, redeemed=coupon.redeemed + 1, uses=coupon.uses + 1))
    standing = attempt.standing
    fold.put(
        state.standings,
        (customer.id, series.id),
        replace(
            standing,
            redeemed=standing.redeemed + 1,
            uses=standing.uses + 1,
            last_redeemed_ms=max(standing.last_redeemed_ms or 0, state.now_ms),
        ),
    )
    fold.put(state.uses, (coupon.id, customer.id), attempt.uses_by_customer + 1)
    fold.put(state.series_redeemed, series.id, attempt.series_redeemed + 1)
    redemption = Redemption(
        id=next(state.redemption_ids),
        coupon_id=coupon.id,
        use_number=coupon.uses + 1,
        customer_use_number=standing.uses + 1,
        series_id=series.id,
        series_version=series.version,
        customer_id=customer.id,
        till_id=claim.place.till_id,
        store_id=claim.place.store_id,
        redeemed_ms=state.now_ms,
        amount=claim.amount,
        transaction_number=claim.transaction_number or "",
        custom_fields=attempt.item.custom_fields,
        request_id=claim.request_id,
        discount=discount_given(series.terms, claim.amount),
    )
    fold.plan.redemptions.append(redemption)
    fold.plan.events.append(Event("CouponRedeem", redemption.id, customer.id, claim.request_id, (), kinds(claim.customer)))
    if isinstance(claim, Redeem) and claim.has_side_effects:
        fold.plan.events.append(Event("SideEffects", redemption.id, customer.id, claim.request_id))
    if (customer.id, series.id) in state.active:
        active = state.active[customer.id, series.id]
        fold.put(state.active, (customer.id, series.id), active | {redemption.id: state.now_ms})
    return redemption


def _held(fold: Fold, attempt: rules.Attempt) -> Coupon:
    """The coupon as the redeemer holds it: a record of their own for a shared code, bound for an external one (rules 3)."""
    state, coupon, customer, series = fold.state, attempt.coupon, attempt.customer, attempt.series
    if rules.creates_own_record(attempt):
        own = Coupon(
            id=next(state.new_coupon_ids),
            series_id=series.id,
            code=coupon.code,
            holder_id=customer.id,
            customer_id=customer.id,
            issued_ms=state.now_ms,
            expires_local=_expiry_now(fold, attempt),
            issued_by_redemption=True,
        )
        fold.put(state.coupon_ids, (code_key(coupon.code), customer.id), own.id)
        fold.put(state.live, (customer.id, series.id), (own.id,))
        fold.put(state.received, (customer.id, series.id), state.now_ms)
        fold.plan.new_coupons.append(NewCoupon(own, attempt.claim.place.till_id))
        return own
    if rules.binds_to_redeemer(attempt):
        expires_local = coupon.expires_local or _expiry_now(fold, attempt)
        bound = replace(
            coupon, customer_id=customer.id, issued_ms=state.now_ms, expires_local=expires_local, issued_by_redemption=True
        )
        fold.put(state.received, (customer.id, series.id), state.now_ms)
        fold.plan.given_coupons.append(NewCoupon(bound, attempt.claim.place.till_id))
        return bound
    return coupon


def _expiry_now(fold: Fold, attempt: rules.Attempt) -> str | None:
    """The expiry of a coupon that is the customer's from today; None when it follows its series."""
    series = attempt.series
    return expiry.new_coupon_expiry(series.terms, attempt.local_date(fold.state.now_ms), series.expires_local)


def _verdict(judged: list[_Judged], *, passed: Code, mixed: Code) -> tuple[Code, tuple[ItemOutcome, ...]]:
    """The request's code, and each item's once the others are known: all pass, or none does (status-codes 4)."""
    outcomes = tuple([found.outcome for found in judged])
    if len(outcomes) == 1:
        return outcomes[0].status, outcomes
    broken = next((outcome.status for outcome in outcomes if outcome.status.is_service_failure), None)
    if broken:
        return broken, outcomes
    if all(outcome.status is passed for outcome in outcomes):
        return passed, outcomes
    if not any(outcome.status in (passed, Code.OTHER_COUPON_FAILED) for outcome in outcomes):
        return Code.ALL_FAILED, outcomes
    return mixed, tuple(
        _spoilt(found.outcome, found.attempt.coupon.id) if found.attempt and found.outcome.status is passed else found.outcome
        for found in judged
    )


def _spoilt(outcome: ItemOutcome, coupon_id: int) -> ItemOutcome:
    """A coupon that passed while another did not: it was neither redeemed, nor did it become a record of its own."""
    return replace(outcome, status=Code.OTHER_COUPON_FAILED, redemption_id=-1, coupon_id=coupon_id)


def _misshapen(items: Sequence[Item], coupons: list[Coupon | None]) -> list[Code | None]:
    """What is wrong with the request's own shape, item by item: 781, 747 (status-codes 4)."""
    if len(items) == 1:
        return [Code.IDENTIFIER_MISSING if items[0].code is None and items[0].coupon_id is None else None]
    times_named = Counter(map(_named, items, coupons))
    return [
        Code.IDENTIFIER_MISSING
        if item.code is None and item.coupon_id is None
        else Code.REPEATED_IN_REQUEST
        if (name := _named(item, coupon)) and times_named[name] > 1
        else None
        for item, coupon in zip(items, coupons, strict=True)
    ]


def _named(item: Item, coupon: Coupon | None) -> int | str | None:
    """What an item names, alike for all its spellings; None when it names nothing."""
    if coupon is not None:
        return coupon.id
    return item.coupon_id if item.code is None else code_key(item.code)


def _outcome(status: Code, item: Item, coupon: Coupon | None, series: Series | None = None) -> ItemOutcome:
    code_shown = coupon.code if coupon else (item.code or "").strip()
    return ItemOutcome(status, code_shown, coupon.id if coupon else -1, -1, _offer(series) if series else None)


def _refused(status: Code, attempt: rules.Attempt) -> ItemOutcome:
    outcome = _outcome(status, attempt.item, attempt.coupon, attempt.series)
    return replace(outcome, days_left=rules.days_to_wait(attempt)) if status is Code.TOO_SOON else outcome


def _offer(series: Series) -> Offer:
    terms = series.terms
    return Offer(series.id, terms.discount_code, terms.discount_type, terms.discount_value, terms.discount_upto)


def _checked(outcome: ItemOutcome, attempt: rules.Attempt | None) -> CheckedItem:
    if attempt is None:
        return CheckedItem(outcome)
    return CheckedItem(outcome, rules.redemptions_left(attempt), attempt.uses_by_customer, attempt.series)


def _trace(command: Redeem, status: Code, customer: Customer | None, found: _Judged | None = None) -> Refusal:
    outcome = found.outcome if found else None
    return Refusal(
        status=status,
        code_sent=outcome.code_shown if outcome else ((command.items[0].code or "").strip() if command.items else ""),
        coupon_id=outcome.coupon_id if outcome and outcome.coupon_id > 0 else None,
        series_id=outcome.offer.series_id if outcome and outcome.offer else None,
        customer_id=customer.id if customer else None,
        till_id=command.place.till_id,
        transaction_number=command.transaction_number or "",
        amount=command.amount,
        at_ms=command.at_ms,
        request_id=command.request_id,
        store_id=command.place.store_id,
    )
