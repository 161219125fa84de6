"""Explain: every guard of a redemption in the contract's order, with what it looked at and what it said (status-codes 4).

The guards are those of `core/rules/redeem.py` themselves, asked about the same attempt, so an explanation cannot disagree with a
redeem. After the first refusal, which is what a redeem answers, the later guards are still asked: they tell support what else is
in the way.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from couponry.core.commands import Item, Redeem
from couponry.core.findings import CUSTOMER, FINDINGS, TILL, Facts, Finding, moment
from couponry.core.model import Coupon, Customer, Identifier, Org, Place, Standing
from couponry.core.rules import redeem as rules
from couponry.core.rules.customer import consistent, found
from couponry.core.series import Series
from couponry.core.status import Code


class Verdict(StrEnum):
    """What a guard said. One is not reached for want of what an earlier guard refused, not applicable if nothing was asked."""

    PASSED = "passed"
    REFUSED = "refused"
    NOT_REACHED = "notReached"
    NOT_APPLICABLE = "notApplicable"


class Asked(Struct, frozen=True):
    """A redemption of one coupon to explain, at the instant `now_ms`. `till_code` is empty when no till was named.

    `at_ms` is the redemption time that the till sent, or the same instant.
    """

    org: Org
    item: Item
    customer: tuple[Identifier, ...]
    till_code: str
    now_ms: int
    at_ms: int
    amount: Decimal | None = None
    transaction_number: str = ""


class Found(Struct, frozen=True):
    """What there was at that instant of what was asked about. `series` is None when its terms cannot be used (788).

    `place` is None for a till that is unknown. `made_ms` is when a coupon was made that did not exist yet.
    """

    customer: Customer | None = None
    place: Place | None = None
    is_till_active: bool = True
    coupon: Coupon | None = None
    made_ms: int | None = None
    series: Series | None = None
    is_halted: bool = False
    is_in_audience: bool = False
    standing: Standing = Standing()
    uses_by_customer: int = 0
    series_redeemed: int = 0


class Step(Struct, frozen=True, rename="camel"):
    """One guard: its place in the contract, what it looked at, and what it said. `code` and `message` are of a refusal."""

    rule: str
    name: str
    verdict: Verdict
    explanation: str
    inputs: dict[str, str] = {}
    code: int | None = None
    message: str | None = None
    is_after_refusal: bool = False


class Explanation(Struct, frozen=True):
    """All guards in order. `code` is what a redeem answers: the first refusal's, or 700."""

    code: Code
    refused_by: str | None
    steps: list[Step]


_Judged = tuple[str, str, Verdict, Code | None, Finding]
_NO_FACTS: Final[Facts] = {}


def explain(asked: Asked, world: Found) -> Explanation:
    """Ask every guard about what was found."""
    code, refused_by, steps = Code.PROCESSED, None, list[Step]()
    for rule, name, verdict, refusal, (facts, why) in _judged(asked, world):
        steps.append(
            Step(
                rule,
                name,
                verdict,
                _sentence(facts, why, refusal),
                facts,
                refusal.number if refusal else None,
                refusal.message if refusal else None,
                is_after_refusal=refused_by is not None,
            )
        )
        if refusal and refused_by is None:
            code, refused_by = refusal, rule
    return Explanation(code, refused_by, steps)


def _sentence(facts: Facts, why: str, refusal: Code | None) -> str:
    """`min bill 500; bill 430; short by 70: 733`."""
    text = "; ".join([*(f"{name} {value}" for name, value in facts.items()), *([why] if why else [])])
    return f"{text}: {refusal.number}" if refusal else text


def _judged(asked: Asked, world: Found) -> Iterator[_Judged]:
    yield _till(asked, world)
    yield from _customer(asked, world)
    yield from _coupon(asked, world)
    yield from _attempted(asked, world)


def _told(rule: str, name: str, refusal: Code | None, finding: Finding) -> _Judged:
    return rule, name, Verdict.REFUSED if refusal else Verdict.PASSED, refusal, finding


def _till(asked: Asked, world: Found) -> _Judged:
    """The request gate's part: whom the request is attributed to (91021)."""
    name = "attribution till"
    if not asked.till_code:
        return "till", name, Verdict.NOT_APPLICABLE, None, (_NO_FACTS, "no till was named")
    facts = {"till": asked.till_code}
    if world.place is None:
        return _told("till", name, Code.UNKNOWN_ATTRIBUTION, (facts, "no such till"))
    refusal = None if world.is_till_active else Code.UNKNOWN_ATTRIBUTION
    return _told("till", name, refusal, (facts, "the till, or its store, is not active" if refusal else ""))


def _customer(asked: Asked, world: Found) -> Iterator[_Judged]:
    """B1-B4."""
    org, person = asked.org, world.customer
    matched = [person for _ in asked.customer]
    named = {"identifiers": ", ".join(kind for kind, _ in asked.customer) or "none"}
    gone = "merged away or deleted" if person and person.gone else "no customer was named" if not matched else ""
    yield _told("B1", "customer usable", consistent(matched), (named, gone))
    yield _told("B2", "customer found", found(matched), ({"customer": str(person.id) if person else "unknown"}, ""))
    rest: tuple[tuple[str, str, Callable[[], Code | None], Callable[[Customer], Facts]], ...] = (
        (
            "B3",
            "fraud status",
            lambda: rules.not_fraudulent(org, matched),
            lambda one: {
                "fraud status": one.fraud_status,
                "blocking": ", ".join(sorted(org.settings.blocking_fraud_statuses)) or "none",
            },
        ),
        (
            "B4",
            "status label",
            lambda: rules.label_allows(org, matched),
            lambda one: {
                "status label": one.status_label,
                "blocking": ", ".join(sorted(org.redemption_blocking_labels)) or "none",
            },
        ),
    )
    for rule, name, guard, facts in rest:
        yield _told(rule, name, guard(), (facts(person), "")) if person else _not_reached(rule, name, CUSTOMER)


def _coupon(asked: Asked, world: Found) -> Iterator[_Judged]:
    """C1-C4: finding the coupon."""
    item, coupon = asked.item, world.coupon
    named = {"coupon id": str(item.coupon_id)} if item.code is None else {"code": item.code.strip()}
    malformed = rules.well_formed(item)
    yield _told("C1", "code syntax", malformed, (named, "not 1-40 of A-Z, 0-9, _ and -" if malformed else ""))
    missing = rules.exists(item, coupon, asked.org, is_check=False)
    is_elsewhere = missing is Code.INVALID_ORGANIZATION
    if coupon:
        known = {"coupon": str(coupon.id), "series": str(coupon.series_id)}
        whose = "the customer's own record of a shared code" if coupon.holder_id else ""
    else:
        known = named
        whose = "" if is_elsewhere else "no such coupon"
        if world.made_ms is not None:
            whose = f"made only at {moment(world.made_ms, asked.org.zone)}"
    yield _told("C2", "coupon exists", None if is_elsewhere else missing, (known, whose))
    if missing and not is_elsewhere:
        yield _not_reached("C3", "same org", "coupon")
    else:
        yield _told("C3", "same org", missing, (known, "an id of another org" if is_elsewhere else ""))
    if coupon is None:
        yield _not_reached("C4", "stored series readable", "coupon")
    else:
        terms = {"series": str(coupon.series_id)} | ({"terms version": str(world.series.version)} if world.series else {})
        unreadable = None if world.series else Code.SERIES_UNREADABLE
        yield _told("C4", "stored series readable", unreadable, (terms, "" if world.series else "its terms cannot be used"))


def _attempted(asked: Asked, world: Found) -> Iterator[_Judged]:
    """C5-C21."""
    attempt = _attempt(asked, world)
    for guard in rules.COUPON_GUARDS:
        told = FINDINGS[guard]
        if attempt is None:
            yield _not_reached(told.rule, told.name, "coupon" if world.coupon is None else "series")
        elif CUSTOMER in told.needs and world.customer is None:
            yield _not_reached(told.rule, told.name, CUSTOMER)
        elif TILL in told.needs and world.place is None:
            verdict = Verdict.NOT_REACHED if asked.till_code else Verdict.NOT_APPLICABLE
            yield told.rule, told.name, verdict, None, (_NO_FACTS, "no till to judge")
        else:
            refusal = guard(attempt)
            yield _told(told.rule, told.name, refusal, told.tell(attempt, refusal))


def _attempt(asked: Asked, world: Found) -> rules.Attempt | None:
    """What a redeem would have been judged by. Nobody at nowhere stands in for a customer or till that there is not.

    The pre-redeem hook is taken to have accepted: asking it is an effect.
    """
    if world.coupon is None or world.series is None:
        return None
    nowhere = Place(0, 0, frozenset(), frozenset(), asked.org.zone)
    claim = Redeem(
        org_id=asked.org.id,
        place=world.place or nowhere,
        customer=asked.customer,
        items=(asked.item,),
        amount=asked.amount,
        transaction_number=asked.transaction_number,
        at_ms=asked.at_ms,
        hook_accepted=True,
    )
    return rules.Attempt(
        claim=claim,
        item=asked.item,
        org=asked.org,
        customer=world.customer or Customer(0),
        coupon=world.coupon,
        series=world.series,
        is_halted=world.is_halted,
        is_in_audience=world.is_in_audience,
        standing=world.standing,
        uses_by_customer=world.uses_by_customer,
        series_redeemed=world.series_redeemed,
        now_ms=asked.now_ms,
        at_ms=asked.at_ms,
    )


def _not_reached(rule: str, name: str, wanting: str) -> _Judged:
    return rule, name, Verdict.NOT_REACHED, None, (_NO_FACTS, f"no {wanting} to judge")


def as_it_was(coupon: Coupon, then_ms: int, now_ms: int, revoked_ms: int | None) -> Coupon:
    """A coupon at a past instant, but for its counts: not yet in a customer's hands, not yet revoked.

    An issue dated ahead of now is a date that somebody gave the coupon, not something that happened later. An expiry that was
    changed since is not known as it was.
    """
    was_issued = coupon.issued_ms is None or coupon.issued_ms <= then_ms or coupon.issued_ms > now_ms
    return replace(
        coupon,
        customer_id=coupon.customer_id if was_issued else None,
        issued_ms=coupon.issued_ms if was_issued else None,
        is_revoked=revoked_ms is not None and revoked_ms <= then_ms,
    )
