"""An explanation for whoever is on the phone: what stood in the way, what was looked at, and what to do next. No bare numbers."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

from msgspec import Struct

from couponry.core.advice import advice
from couponry.core.explain import Asked, Explanation, Found, Step, Verdict
from couponry.core.findings import money
from couponry.core.terms_words import NO_NAMES, Names, listing

_LISTED_MAX: Final = 10
_MONEY: Final = frozenset({"min bill", "max bill", "bill"})
_PLAIN: Final[Mapping[str, str]] = {
    "min bill": "smallest bill",
    "max bill": "largest bill",
    "any user": "open to anybody",
    "external": "issued elsewhere",
    "multiple use": "works several times",
    "same user again": "the same customer may use it again",
    "redeemed": "times redeemed",
    "blocking": "what blocks",
    "identifiers": "named by",
}
_VERDICTS: Final[Mapping[Verdict, str]] = {
    Verdict.PASSED: "Passed",
    Verdict.REFUSED: "Failed",
    Verdict.NOT_REACHED: "Could not be asked",
    Verdict.NOT_APPLICABLE: "Not asked",
}


class Line(Struct, frozen=True):
    """One guard in words. `is_first` marks the refusal that the till was told."""

    name: str
    verdict: str
    tone: str
    why: str
    looked_at: str
    is_first: bool


class Answer(Struct, frozen=True):
    """The answer, in the order in which it is said. Without a refusal there is nothing in the way."""

    is_redeemable: bool
    headline: str
    why: str
    looked_at: str
    next_step: str
    lines: list[Line]


def in_words(explanation: Explanation, asked: Asked, found: Found, names: Names = NO_NAMES) -> Answer:
    """What an agent tells the caller."""
    lines = [_line(step, explanation, asked, found, names) for step in explanation.steps]
    first = next((line for line in lines if line.is_first), None)
    if first is None:
        unasked = [line.name for line in lines if line.tone != "good"]
        rest = f" Not asked was: {listing(unasked)}." if unasked else ""
        return Answer(True, "Nothing stands in the way: it can be redeemed.", "", "", f"Ask the store to try again.{rest}", lines)
    advised = advice(explanation.code)
    return Answer(False, advised.meaning, first.why, first.looked_at, advised.for_agent, lines)


def _line(step: Step, explanation: Explanation, asked: Asked, found: Found, names: Names) -> Line:
    is_first = step.verdict is Verdict.REFUSED and not step.is_after_refusal
    is_refused = step.verdict is Verdict.REFUSED
    facts = _places(found, names) if step.rule == "C11" and found.series and not found.series.scope.is_everywhere else None
    looked_at = "; ".join(facts or [_fact(name, value, asked.org.currency) for name, value in step.inputs.items()])
    return Line(
        name=f"{step.name[0].upper()}{step.name[1:]}",
        verdict=_VERDICTS[step.verdict],
        tone="bad" if is_refused else "good" if step.verdict is Verdict.PASSED else "calm",
        why=_why(step, asked.org.currency),
        looked_at=f"{looked_at[0].upper()}{looked_at[1:]}" if looked_at else "",
        is_first=is_first and step.rule == explanation.refused_by,
    )


def _why(step: Step, currency: str) -> str:
    """What follows from the facts: what the explanation says after them, without the code's number."""
    facts = "; ".join(f"{name} {value}" for name, value in step.inputs.items())
    why = step.explanation.removeprefix(facts).removeprefix("; ")
    if step.code is not None:
        why = why.removesuffix(f": {step.code}")
    for start in ("short by ", "over by "):
        if why.startswith(start):
            why = f"{start}{_money(why.removeprefix(start), currency)}"
    return f"{why[0].upper()}{why[1:]}." if why else ""


def _fact(name: str, value: str, currency: str) -> str:
    shown = _money(value, currency) if name in _MONEY else value
    return f"{_PLAIN.get(name, name)}: {shown}"


def _money(text: str, currency: str) -> str:
    try:
        return f"{currency} {money(Decimal(text))}"
    except InvalidOperation:
        return text


def _places(found: Found, names: Names) -> list[str]:
    """Where the series may be redeemed, and where it was asked, by what people call the places."""
    assert found.series, "somebody looked"
    scope, place = found.series.scope, found.place
    kinds = (("TILL", scope.tills), ("STORE", scope.stores), ("ZONE", scope.zones), ("CONCEPT", scope.concepts))
    listed = [f"{kind.lower()}s {_named(kind, ids, names)}" for kind, ids in kinds if _known(kind, ids, names)]
    facts = [f"redeemable at {' or '.join(listed)}" if listed else "redeemable at places that are not there any more"]
    if place is not None:
        facts.append(
            f"asked at {names.get(('TILL', place.till_id), 'a till')} of {names.get(('STORE', place.store_id), 'a store')}"
        )
    return facts


def _known(kind: str, ids: frozenset[int], names: Names) -> Sequence[str]:
    return [names[kind, each] for each in sorted(ids) if (kind, each) in names]


def _named(kind: str, ids: frozenset[int], names: Names) -> str:
    known = _known(kind, ids, names)
    more = f" and {len(ids) - _LISTED_MAX} more" if len(ids) > _LISTED_MAX else ""
    return ", ".join(known[:_LISTED_MAX]) + more
