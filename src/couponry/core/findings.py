"""What each guard of a redemption looked at, in plain words: facts by name, and what follows from them.

One function per guard of `core/rules/redeem.py`. What it said is handed in; a finding only tells why.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from couponry.core import expiry
from couponry.core.limits import HOUR_MS, MONEY_MAX, REDEMPTION_AHEAD_MS_MAX
from couponry.core.model import ALWAYS
from couponry.core.rules import redeem as rules
from couponry.core.rules.redeem import Attempt, Guard
from couponry.core.status import Code

Facts = dict[str, str]
Finding = tuple[Facts, str]
CUSTOMER: Final = "customer"
TILL: Final = "till"


class Told(NamedTuple):
    """A guard's place in the contract, its name, how to tell of it, and whom it asks about."""

    rule: str
    name: str
    tell: Callable[[Attempt, Code | None], Finding]
    needs: frozenset[str] = frozenset()


def moment(at_ms: int | None, zone: ZoneInfo) -> str:
    """An instant by the wall clock of a zone, with its offset."""
    return "never" if at_ms is None else expiry.local_time(at_ms // 1000, zone).isoformat(sep=" ")


def money(amount: Decimal) -> str:
    """Without needless zeros, and never in powers of ten."""
    return f"{amount.normalize():f}"


def _yes(value: object) -> str:
    return "yes" if value else "no"


def _limit(most: int) -> str:
    return "none" if most < 0 else str(most)


def _listed(ids: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(ids))) or "none"


def _test(attempt: Attempt, refused: Code | None) -> Finding:
    return {"series type": attempt.series.terms.series_type}, "coupons of a test series never redeem" if refused else ""


def _revoked(attempt: Attempt, refused: Code | None) -> Finding:
    return {"revoked": _yes(attempt.coupon.is_revoked)}, "out of circulation for good" if refused else ""


def _series_alive(attempt: Attempt, refused: Code | None) -> Finding:
    zone = attempt.org.zone
    facts = {
        "series expires": moment(attempt.series.expires_ms, zone),
        "redeemed at": moment(attempt.at_ms, zone),
        "campaign": "ended or paused" if attempt.is_halted else "running or none",
    }
    return facts, ("its campaign is not running" if attempt.is_halted else "the series has expired") if refused else ""


def _coupon_alive(attempt: Attempt, refused: Code | None) -> Finding:
    own = attempt.coupon.expires_local
    if own is None:
        return {"coupon expires": "with its series"}, ""
    expires = moment(expiry.coupon_last_ms(own, attempt.series.zone), attempt.org.zone)
    facts = {"coupon expires": expires, "redeemed at": moment(attempt.at_ms, attempt.org.zone)}
    return facts, "the coupon has expired" if refused else ""


def _owned(attempt: Attempt, refused: Code | None) -> Finding:
    terms, owner_id = attempt.series.terms, attempt.coupon.customer_id
    facts = {
        "issued to": "nobody" if owner_id is None else f"customer {owner_id}",
        "shown by": f"customer {attempt.customer.id}",
        "any user": _yes(terms.any_user),
        "external": _yes(terms.external_issual),
    }
    return facts, ("never issued" if owner_id is None else "somebody else's coupon") if refused else ""


def _meant(attempt: Attempt, refused: Code | None) -> Finding:
    terms, customer, zone = attempt.series.terms, attempt.customer, attempt.org.zone
    facts = {"audience": "everybody"}
    if terms.has_audience:
        facts = {"audience": "restricted", "in audience": _yes(attempt.is_in_audience), "any user": _yes(terms.any_user)}
    target = terms.target_user_details
    if target and target.valid_max_user_transaction_limit >= 0:
        facts |= {
            "most transactions": str(target.valid_max_user_transaction_limit),
            "transactions": str(customer.transaction_count),
        }
    start_ms, end_ms = (target.valid_user_registration_start_time, target.valid_user_registration_end_time) if target else (0, 0)
    if start_ms > 0:
        facts["registered from"] = moment(start_ms, zone)
    if end_ms > 0:
        facts["registered until"] = moment(end_ms, zone)
    if start_ms > 0 or end_ms > 0:
        facts["registered"] = moment(customer.registered_ms, zone)
    return facts, "not whom the series is for" if refused else ""


def _scope(attempt: Attempt, refused: Code | None) -> Finding:
    scope, place = attempt.series.scope, attempt.claim.place
    if scope.is_everywhere:
        return {"redeemable": "everywhere"}, ""
    facts = {
        "redeemable at tills": _listed(scope.tills),
        "stores": _listed(scope.stores),
        "zones": _listed(scope.zones),
        "concepts": _listed(scope.concepts),
        "asked at till": str(place.till_id),
        "of store": str(place.store_id),
        "in zones": _listed(place.zone_ids),
        "of concepts": _listed(place.concept_ids),
    }
    return facts, "the till is in none of them" if refused else ""


def _started(attempt: Attempt, refused: Code | None) -> Finding:
    terms, issued_ms, today = attempt.series.terms, attempt.coupon.issued_ms, attempt.local_date(attempt.at_ms)
    facts: Facts = {}
    if terms.redemption_valid_from != ALWAYS:
        facts["valid from"] = terms.redemption_valid_from.isoformat()
    waited = None
    if terms.redemption_valid_after_days > 0:
        facts["days after issue"] = str(terms.redemption_valid_after_days)
        if issued_ms is not None:
            facts["issued on"] = attempt.local_date(issued_ms).isoformat()
            waited = (today - attempt.local_date(issued_ms)).days
    facts["redeemed on"] = today.isoformat()
    if not refused:
        return facts, "" if len(facts) > 1 else "no start is set"
    if today < terms.redemption_valid_from:
        return facts, f"{(terms.redemption_valid_from - today).days} days too early"
    return facts, f"{terms.redemption_valid_after_days - (waited or 0)} days too early"


def _window(attempt: Attempt, refused: Code | None) -> Finding:
    zone, at_ms, issued_ms = attempt.claim.place.time_zone, attempt.at_ms, attempt.coupon.issued_ms
    local = expiry.local_time(at_ms // 1000, zone)
    facts = {
        "redemption range": attempt.series.terms.redemption_range,
        "store's clock": f"{local.isoformat(sep=' ')} (day of week {local.isoweekday() % 7})",
        "issued": moment(issued_ms, zone),
    }
    if not refused:
        return facts, ""
    if issued_ms is not None and at_ms // 1000 < issued_ms // 1000:
        return facts, "before the coupon's issue"
    if at_ms > attempt.now_ms + REDEMPTION_AHEAD_MS_MAX:
        return facts, f"more than {REDEMPTION_AHEAD_MS_MAX // HOUR_MS} hours ahead"
    return facts, "outside the range"


def _number(attempt: Attempt, refused: Code | None) -> Finding:
    facts = {
        "org demands a number": _yes(attempt.org.settings.transaction_number_required),
        "transaction number": (attempt.claim.transaction_number or "").strip() or "not given",
    }
    return facts, "a number is needed" if refused else ""


def _amount(attempt: Attempt, refused: Code | None) -> Finding:
    terms, amount = attempt.series.terms, attempt.claim.amount
    least, most = terms.min_bill_amount, terms.max_bill_amount
    facts: Facts = {}
    if least > 0:
        facts["min bill"] = money(least)
    if 0 < most < MONEY_MAX:
        facts["max bill"] = money(most)
    is_restricted = bool(facts)
    facts["bill"] = "not given" if amount is None else money(amount)
    if not refused:
        return facts, "" if is_restricted else "any bill will do"
    if amount is None:
        return facts, "a bill is needed"
    return facts, f"short by {money(least - amount)}" if amount < least else f"over by {money(amount - most)}"


def _single_use(attempt: Attempt, refused: Code | None) -> Finding:
    facts = {"multiple use": _yes(attempt.series.terms.is_multiple_use_allowed), "redeemed": str(attempt.coupon.redeemed)}
    return facts, "used already" if refused else ""


def _new_to_customer(attempt: Attempt, refused: Code | None) -> Finding:
    facts = {
        "same user again": _yes(attempt.series.terms.same_user_multiple_redeem),
        "redeemed by customer": str(attempt.uses_by_customer),
    }
    return facts, "used by this customer already" if refused else ""


def _code_limit(attempt: Attempt, refused: Code | None) -> Finding:
    most = attempt.series.terms.redemption_per_coupon_max_limit
    facts = {"limit per coupon": _limit(most if most > 0 else -1), "redeemed": str(attempt.coupon.redeemed)}
    return facts, "none left" if refused else ""


def _customer_limit(attempt: Attempt, refused: Code | None) -> Finding:
    most = attempt.series.terms.max_redemptions_in_series_per_user
    facts = {"limit per customer in series": _limit(most), "redeemed by customer in series": str(attempt.standing.redeemed)}
    return facts, "none left" if refused else ""


def _gap(attempt: Attempt, refused: Code | None) -> Finding:
    terms, last_ms = attempt.series.terms, attempt.standing.last_redeemed_ms
    if not terms.is_multiple_use_allowed or terms.min_days_between_redemption <= 0:
        return {"days between redemptions": "any"}, ""
    facts = {"days between redemptions": str(terms.min_days_between_redemption)}
    if last_ms is None:
        return facts | {"last redeemed": "never"}, ""
    today, last = attempt.local_date(attempt.at_ms), attempt.local_date(last_ms)
    facts |= {"last redeemed on": last.isoformat(), "redeemed on": today.isoformat()}
    return facts, f"{terms.min_days_between_redemption - (today - last).days} days too soon" if refused else ""


def _series_limit(attempt: Attempt, refused: Code | None) -> Finding:
    most = attempt.series.terms.max_redeem
    return {"series cap": _limit(most), "redeemed in series": str(attempt.series_redeemed)}, "none left" if refused else ""


def _validated(attempt: Attempt, refused: Code | None) -> Finding:
    facts = {
        "validation required": _yes(attempt.series.terms.is_validation_required),
        "validation code": "given" if attempt.item.validation_mac else "not given",
    }
    return facts, "the customer has to be validated" if refused else ""


def _hook(attempt: Attempt, refused: Code | None) -> Finding:
    if not attempt.series.terms.is_pre_redeem_event_required:
        return {"hook asked before": "no"}, ""
    return {"hook asked before": "yes"}, "refused by the hook" if refused else "taken to have accepted: only a redemption asks it"


_OF_CUSTOMER: Final = frozenset({CUSTOMER})

FINDINGS: Final[Mapping[Guard, Told]] = MappingProxyType(
    {
        rules.not_a_test: Told("C5", "not a test series", _test),
        rules.not_revoked: Told("C6", "not revoked", _revoked),
        rules.series_alive: Told("C7", "series alive", _series_alive),
        rules.coupon_alive: Told("C8", "coupon alive", _coupon_alive),
        rules.owned_by_customer: Told("C9", "ownership", _owned, _OF_CUSTOMER),
        rules.meant_for_customer: Told("C10", "audience and target user", _meant, _OF_CUSTOMER),
        rules.in_scope: Told("C11", "store scope", _scope, frozenset({TILL})),
        rules.started: Told("C11a", "start of redemption", _started),
        rules.in_window: Told("C11b", "window of redemption", _window),
        rules.transaction_number_given: Told("C12", "transaction number", _number),
        rules.amount_in_range: Told("C13", "bill amount", _amount),
        rules.single_use_unused: Told("C14", "single use", _single_use),
        rules.new_to_customer: Told("C15", "same user again", _new_to_customer, _OF_CUSTOMER),
        rules.code_limit_left: Told("C16", "limit per coupon", _code_limit),
        rules.customer_limit_left: Told("C17", "limit per customer in series", _customer_limit, _OF_CUSTOMER),
        rules.gap_kept: Told("C18", "days between redemptions", _gap, _OF_CUSTOMER),
        rules.series_limit_left: Told("C19", "series cap", _series_limit),
        rules.validated: Told("C20", "validation", _validated),
        rules.hook_accepted: Told("C21", "pre-redeem hook", _hook),
    }
)
"""Exhaustive, by test: a guard without a finding cannot be explained."""
