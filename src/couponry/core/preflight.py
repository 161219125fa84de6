"""The check before a launch: what cannot work, what will surprise somebody, and what it may cost. Pure; one function a finding.

What stops would be refused, or would reach nobody; what warns may be meant; what tells is good to know.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from couponry.core import tags
from couponry.core.expiry import last_ms, local_time
from couponry.core.generation import GUESSES_PER_HIT_MIN, UNCAPPED_CODES_EXPECTED, CodeShape, shape_of
from couponry.core.launch_facts import Facts
from couponry.core.launching import Step
from couponry.core.liability import (
    Liability,
    is_open_to_strangers,
    most_redemptions,
    uses_of_a_coupon,
    worst_case,
)
from couponry.core.model import ExpiryStrategy, Handling, Terms
from couponry.core.reminders import instant_ms
from couponry.core.second_person import needs_second_person
from couponry.core.terms_words import day, in_labels, money

_DAYS_LOOKED_AT: Final = 3_000
"""Longer than any day of a month takes to fall on any day of the week."""
_HOUR: Final = timedelta(hours=1)
_MILLION: Final = 1_000_000


class Severity(StrEnum):
    """How bad a finding is."""

    STOPS = "stops"
    WARNS = "warns"
    TELLS = "tells"


class Finding(Struct, frozen=True):
    """One sentence, what to do about it, and at which step."""

    severity: Severity
    text: str
    remedy: str
    step: Step


def findings(facts: Facts) -> list[Finding]:
    """Everything found, the worst first."""
    found = [finding for check in CHECKS for finding in check(facts)]
    order = list(Severity)
    return sorted(found, key=lambda finding: order.index(finding.severity))


def liability(facts: Facts) -> Liability:
    """The worst case of the whole series, with the coupons of this launch."""
    return worst_case(facts.terms, facts.coupons)


def needs_approval(facts: Facts) -> bool:
    """Whether a second person has to allow it."""
    return needs_second_person(liability(facts).total, facts.org.settings.launch_approval_above)


def times(facts: Facts) -> Iterator[Finding]:
    """Over before it begins."""
    if facts.ends_ms is not None and facts.ends_ms <= facts.launch_ms:
        yield _stops("The campaign is over before its launch.", "Let it end later, or launch it earlier.", "campaign")
    elif facts.ends_ms is not None and facts.ends_ms < last_ms(facts.expires, facts.zone):
        yield _warns(
            f"The campaign ends before its coupons expire on {day(facts.expires)}; from its end on, none can be redeemed.",
            "Let the series expire when the campaign ends, so that customers read the right date.",
            "campaign",
        )
    if facts.series.expires_ms < facts.launch_ms:
        yield _stops("The series has expired by the time of the launch.", "Give it a later last day.", "terms")


def starts(facts: Facts) -> Iterator[Finding]:
    """A first day after the last."""
    terms, expires = facts.terms, facts.expires.date()
    first = facts.first_day
    if first > expires and facts.series.expires_ms >= facts.launch_ms:
        why = "waits for its first day" if terms.redemption_valid_from > expires else "has to wait after its issue"
        yield _stops(
            f"A coupon {why} until {day(first)}, and expires on {day(expires)}: it can never be redeemed.",
            "Let it start earlier, or expire later.",
            "terms",
        )


def windows(facts: Facts) -> Iterator[Finding]:
    """Days and hours that never come."""
    first, last = facts.first_day, facts.expires
    if facts.ends_ms is not None:
        last = min(last, local_time(facts.ends_ms // 1000, facts.zone).replace(tzinfo=None))
    if first <= last.date() and not _opens(facts, first, last):
        yield _stops(
            f"Between {day(first)} and {day(last)} there is no moment at which the days and hours let a coupon be redeemed.",
            "Choose days and hours that come in that time.",
            "terms",
        )


def _opens(facts: Facts, first: date, last: datetime) -> bool:
    window, launched = facts.series.window, local_time(facts.launch_ms // 1000, facts.zone).replace(tzinfo=None)
    hours = sorted(window.hours) or range(24)
    for number in range(min((last.date() - first).days, _DAYS_LOOKED_AT) + 1):
        midnight = datetime.combine(first + timedelta(days=number), datetime.min.time())
        for hour in hours:
            opens = midnight + hour * _HOUR
            if window.is_open(opens) and opens + _HOUR > launched and opens <= last:
                return True
    return False


def closed(facts: Facts) -> Iterator[Finding]:
    """Limits of none."""
    terms = facts.terms
    for most, what in (
        (terms.max_create, "no coupon may ever be issued"),
        (terms.max_redeem, "no coupon may ever be redeemed"),
        (terms.max_vouchers_per_user, "no customer may have a coupon"),
        (terms.max_redemptions_in_series_per_user, "no customer may redeem one"),
    ):
        if most == 0:
            yield _stops(f"A limit is 0: {what}.", "Raise the limit, or leave it empty for none.", "terms")
    if terms.discount_value == 0:
        yield _warns("The discount is 0.", "Say how much a coupon takes off, unless your till decides that.", "terms")


def limits(facts: Facts) -> Iterator[Finding]:
    """Limits that can never be reached, since another is below them."""
    terms = facts.terms
    possible = most_redemptions(_without_cap(terms), facts.coupons)
    if possible is not None and possible < terms.max_redeem:
        yield _tells(
            f"The limit of {terms.max_redeem:,} redemptions can never be reached: there can be {possible:,} at most.",
            "Lower it, or leave it empty, so that nobody counts on it.",
            "terms",
        )
    for most, whole, what in (
        (terms.max_redemptions_in_series_per_user, terms.max_redeem, "redemptions by one customer than in all"),
        (terms.redemption_per_coupon_max_limit, terms.max_redeem, "uses of one coupon than redemptions in all"),
        (terms.max_vouchers_per_user, terms.max_create, "coupons for one customer than in all"),
    ):
        if 0 < whole < most:
            yield _warns(f"The terms allow more {what}.", "Lower the limit for one, or raise the one for all.", "terms")
    for is_idle, what in _idle(terms):
        if is_idle:
            yield _tells(f"{what} has no effect.", "Switch it off, or let a coupon work several times.", "terms")


def _idle(terms: Terms) -> Sequence[tuple[bool, str]]:
    once = not terms.is_multiple_use_allowed
    return (
        (once and terms.redemption_per_coupon_max_limit > 1, "A coupon works once, so the limit on its uses"),
        (once and terms.same_user_multiple_redeem, "A coupon works once, so that a customer may use it again"),
        (once and terms.min_days_between_redemption > 0, "A coupon works once, so the days between two redemptions"),
        (terms.discount_type == "ABS" and terms.discount_upto > 0, "The discount is an amount, so its ceiling"),
    )


def _without_cap(terms: Terms) -> Terms:
    return replace(terms, max_redeem=-1)


def guesses(facts: Facts) -> Iterator[Finding]:
    """Codes that somebody can guess, or that run out."""
    terms = facts.terms
    if terms.client_handling_type is not Handling.GENERATED or terms.external_issual:
        return
    shape = shape_of(terms, facts.org.settings)
    wanted = facts.coupons if facts.coupons is not None else max(facts.issued, UNCAPPED_CODES_EXPECTED)
    if facts.new_coupons is not None and facts.codes_made + facts.new_coupons > shape.capacity:
        yield _stops(
            f"There are {shape.capacity:,} codes of this length, too few for the launch.", "Make the codes longer.", "terms"
        )
    elif wanted * GUESSES_PER_HIT_MIN > shape.capacity:
        yield _warns(
            f"With {wanted:,} codes in use, {hits_per_million(shape, wanted):,.0f} of a million guesses hit one.",
            f"Make the codes longer than {shape.length}, or let letters stand in them.",
            "terms",
        )


def hits_per_million(shape: CodeShape, codes: int) -> float:
    """How many of a million random guesses hit a code in use."""
    return _MILLION * min(1, codes / shape.capacity)


def reminders(facts: Facts) -> Iterator[Finding]:
    """Reminders whose time is past when they are due, or comes after the expiry."""
    if facts.terms.is_sms_disabled:
        return
    expires = facts.expires
    for each in facts.terms.expiry_reminders:
        at_ms = instant_ms(expires.date() - timedelta(days=each.days_before), each.time_of_day, facts.org.zone)
        what = f"The reminder {each.days_before} days before, at {each.time_of_day},"
        if at_ms <= facts.launch_ms:
            yield _warns(
                f"{what} is due before the launch: it is not sent for these coupons.",
                "Remind later, or let coupons live longer.",
                "terms",
            )
        elif at_ms > last_ms(expires, facts.zone):
            yield _warns(f"{what} comes after the coupon has expired.", "Remind earlier in the day, or a day before.", "terms")


def places(facts: Facts) -> Iterator[Finding]:
    """Places that are nobody's."""
    if not facts.unknown_places:
        return
    named = ", ".join(facts.unknown_places[:5])
    more = f" and {len(facts.unknown_places) - 5} more" if len(facts.unknown_places) > 5 else ""  # noqa: PLR2004 - as many as are named
    if len(facts.unknown_places) >= facts.places:
        yield _stops(
            f"None of the places is yours ({named}{more}): no till can redeem a coupon.", "Choose stores that there are.", "terms"
        )
    else:
        yield _warns(f"These places match nothing: {named}{more}.", "Correct or remove them.", "terms")


def audience(facts: Facts) -> Iterator[Finding]:
    """Nobody there, or not enough for them."""
    terms, people = facts.terms, facts.people
    if not facts.whom:
        yield _stops("Nobody is chosen yet.", "Say whom the coupons are for.", "audience")
    if people is not None and people.high == 0:
        yield _stops("The audience is empty.", "Choose customers that there are.", "audience")
    if people is None or people.high == 0:
        return
    wanted = people.high * facts.count
    left = None if terms.max_create < 0 else max(0, terms.max_create - facts.issued)
    if left is not None and left < wanted:
        yield _warns(
            f"The series has {left:,} coupons left, and {wanted:,} are wanted: some customers get none.",
            "Raise the limit on coupons in all, or choose fewer customers.",
            "terms",
        )
    several = terms.is_multiple_vouchers_per_user_allowed and terms.client_handling_type is not Handling.SHARED
    if facts.count > 1 and not several:
        yield _warns(
            f"Each customer is to get {facts.count:,} coupons, and may hold one: they get one.",
            "Allow several coupons at a time, or issue one.",
            "audience",
        )


def pool(facts: Facts) -> Iterator[Finding]:
    """Uploaded codes that do not suffice."""
    if facts.terms.client_handling_type is not Handling.UPLOADED or facts.whom in {"", "nobody"}:
        return
    left, wanted = facts.pool or 0, facts.new_coupons or 0
    if left == 0:
        remedy = "Launch without an audience first, upload the codes to the series, then issue them in a second launch."
        yield _stops("The series has no uploaded codes to give.", remedy, "audience")
    elif left < wanted:
        yield _warns(
            f"There are {left:,} uploaded codes, and {wanted:,} are wanted: some customers get none.",
            "Upload more codes before the launch.",
            "terms",
        )


def messages(facts: Facts) -> Iterator[Finding]:
    """Messages that nobody gets, or that say too little."""
    terms, settings = facts.terms, facts.org.settings
    if not facts.send:
        if facts.people is not None:
            yield _tells("No message is sent: customers do not hear of their coupon.", "Switch messages on.", "message")
        return
    if terms.is_sms_disabled:
        yield _warns("Messages of the series are switched off, so none is sent.", "Switch them on.", "message")
        return
    for remark in tags.remarks(terms):
        text = in_labels(remark)
        yield _warns(f"{text[0].upper()}{text[1:]}.", "Correct the template.", "message")
    missing = [name for name, url in (("SMS", settings.sms_url), ("e-mails", settings.email_url)) if not url]
    if missing:
        yield _warns(
            f"There is no gateway for {' and '.join(missing)}: these messages stay in the mailbox here.",
            "Let an admin set the gateway in the settings.",
            "message",
        )


def money_at_stake(facts: Facts) -> Iterator[Finding]:
    """What it may cost."""
    worst, currency = liability(facts), facts.org.currency
    second = " A second person has to approve the launch." if needs_approval(facts) else ""
    if worst.total is not None:
        yield _tells(_cost(worst, worst.total, currency) + second, "Lower the discount or the limits to risk less.", "terms")
        return
    if worst.each is None:
        text = "Nothing limits what one redemption takes off: the larger the bill, the larger the discount."
        remedy = "Give the percentage a ceiling (at most), or set a largest bill."
    else:
        open_to = "anybody can use the shared code" if is_open_to_strangers(facts.terms) else "nothing limits how often"
        each = money(worst.each, currency)
        text = f"Nothing limits what it may cost in all: {open_to}, and each redemption takes off up to {each}."
        remedy = "Set a limit on redemptions in all."
    yield _warns(text + second, remedy, "terms")


def _cost(worst: Liability, total: Decimal, currency: str) -> str:
    each = money(worst.each or Decimal(0), currency)
    return f"At worst it costs {money(total, currency)}: {worst.redemptions or 0:,} redemptions of up to {each}."


def refused(facts: Facts) -> Iterator[Finding]:
    """What the launch would be refused for."""
    if facts.clash:
        yield _stops(f"{facts.clash} is taken.", "Choose another.", "terms")
    if facts.refused is not None:
        yield _stops(f"{in_labels(facts.refused.text)} ({facts.refused.code}).", "Change that, and check again.", "terms")


def life(facts: Facts) -> Iterator[Finding]:
    """Coupons that expire the day they are given."""
    terms = facts.terms
    if terms.expiry_strategy_type is ExpiryStrategy.DAYS and terms.expiry_strategy_value == 0:
        yield _warns("A coupon expires on the day on which it is given.", "Let it live for some days.", "terms")
    if uses_of_a_coupon(terms) is None and terms.any_user:
        yield _warns("Anybody may use a coupon as often as they like.", "Set a limit on the uses of one coupon.", "terms")


CHECKS: Final[Sequence[Callable[[Facts], Iterator[Finding]]]] = (
    *(refused, times, starts, windows, closed, audience, pool, places, limits, guesses, life, reminders, messages),
    money_at_stake,
)


def _stops(text: str, remedy: str, step: Step) -> Finding:
    return Finding(Severity.STOPS, text, remedy, step)


def _warns(text: str, remedy: str, step: Step) -> Finding:
    return Finding(Severity.WARNS, text, remedy, step)


def _tells(text: str, remedy: str, step: Step) -> Finding:
    return Finding(Severity.TELLS, text, remedy, step)
