"""Bulk issue judges thousands at once as the ledger judges one after the other: tried on random people, standings and terms."""

from collections.abc import Sequence
from typing import Any, Final

from hypothesis import event, given
from hypothesis import strategies as st

from couponry.core.bulk_issue import Held, Person, Supply, judged
from couponry.core.decide import decide
from couponry.core.model import Coupon, Customer, Handling, Standing
from couponry.core.plan import IssueAnswer
from couponry.core.series import Series
from couponry.core.status import Code
from tests.core.world import DAY_MS, NOW, coupon, coupon_id, customer, issue, org, pool_coupon, series, state, told

pick = st.sampled_from
PEOPLE: Final = 6
DAYS_AGO: Final = pick([0, 1, 2, 182, 183, 184, -1])
TERMS: Final = st.fixed_dictionaries(
    {
        "client_handling_type": pick(list(Handling)),
        "is_multiple_vouchers_per_user_allowed": pick([True, True, False]),
        "max_vouchers_per_user": pick([-1, -1, 0, 1, 2, 3]),
        "min_days_between_vouchers": pick([-1, -1, -1, 0, 1, 2]),
        "mutual_exclusive_series_ids": pick(["[-1]", "[-1]", "[2]", "[2, 3]"]),
        "max_create": pick([-1, -1, 0, 3, 5, 8]),
        "has_audience": pick([False, False, True]),
        "issue_to_loyalty": pick([False, False, True]),
    }
)
PERSON: Final = st.fixed_dictionaries(
    {
        "is_loyalty": pick([True, True, False]),
        "fraud_status": pick([*["NONE"] * 9, "CONFIRMED", "MARKED"]),
        "status_label": pick([*["ACTIVE"] * 9, "SUSPENDED", "REDEMPTION_BLOCKED"]),
        "gone": pick([False] * 9 + [True]),
    }
)
STANDING: Final = st.tuples(pick([0, 1, 2, 3]), DAYS_AGO)
HISTORY: Final = st.fixed_dictionaries(
    {
        "is_member": st.booleans(),
        "standing": st.none() | STANDING,
        "holds_one": pick([False, False, True]),
        "received": st.none() | st.none() | DAYS_AGO,
    }
)


def naively(
    terms: Series, people: Sequence[Customer], histories: Sequence[dict[str, Any]], named: Sequence[int], codes: int, issued: int
) -> list[Code]:
    """One issue over the API after the other, each decided on its own."""
    handling = terms.terms.client_handling_type
    held: list[Coupon] = []
    pool = [pool_coupon(500 + at, f"P{at}") for at in range(codes)] if handling is Handling.UPLOADED else []
    live: dict[tuple[int, int], tuple[int, ...]] = {}
    for each, history in zip(people, histories, strict=True):
        if history["standing"] and history["holds_one"]:
            own = each.id if handling is Handling.SHARED else 0
            held.append(coupon(each.id, f"H{each.id}", customer_id=each.id, holder_id=own))
            live[each.id, 1] = (coupon_id(each.id),)
    world = state(
        [*held, *pool],
        [terms],
        people,
        fresh_codes={1: [f"FRESH{at}" for at in range(codes)]},
        pools={1: [each.id for each in pool]},
        live=live,
        standings={
            (each.id, 1): Standing(issued=history["standing"][0], last_issued_ms=NOW - history["standing"][1] * DAY_MS)
            for each, history in zip(people, histories, strict=True)
            if history["standing"]
        },
        received={
            (each.id, 2): NOW - history["received"] * DAY_MS
            for each, history in zip(people, histories, strict=True)
            if history["received"] is not None
        },
        audience={(1, each.id) for each, history in zip(people, histories, strict=True) if history["is_member"]},
        series_issued={1: issued},
    )
    commands = [issue(customer=(("mobile", people[at].mobile or ""),)) for at in named]
    return [told(IssueAnswer, decide(world, [command]).outcomes[0]).status for command in commands]


def at_once(
    terms: Series, people: Sequence[Customer], histories: Sequence[dict[str, Any]], named: Sequence[int], codes: int, issued: int
) -> list[Code]:
    """The same in bulk, in chunks that know what those before have given."""
    persons = [
        Person(each.id, each.is_loyalty, each.fraud_status, each.status_label, each.gone, is_reachable=True) for each in people
    ]
    pairs = [(each.id, history) for each, history in zip(people, histories, strict=True)]
    held = Held(
        frozenset(customer_id for customer_id, history in pairs if history["is_member"]) if terms.terms.has_audience else None,
        {
            customer_id: Standing(issued=history["standing"][0], last_issued_ms=NOW - history["standing"][1] * DAY_MS)
            for customer_id, history in pairs
            if history["standing"]
        },
        {customer_id for customer_id, history in pairs if history["standing"] and history["holds_one"]},
        {
            customer_id: NOW - history["received"] * DAY_MS
            for customer_id, history in pairs
            if history["received"] is not None and terms.exclusions
        },
    )
    found: list[Code | None] = []
    for part in (named[:5], named[5:]):
        given = found.count(None)
        cap = terms.terms.max_create
        left = len(named) if terms.terms.client_handling_type is Handling.SHARED else codes - given
        supply = Supply(None if cap < 0 else max(0, cap - issued - given), left)
        found += judged(org(), terms, NOW, [persons[at] for at in part], held, supply)
    return [code or Code.PROCESSED for code in found]


@given(
    terms=TERMS,
    people=st.lists(PERSON, min_size=PEOPLE, max_size=PEOPLE),
    histories=st.lists(HISTORY, min_size=PEOPLE, max_size=PEOPLE),
    named=st.lists(st.integers(0, PEOPLE - 1), max_size=15),
    codes=pick([0, 2, 5, 20]),
    issued=pick([0, 0, 2, 7]),
)
def test_as_one_by_one(
    terms: dict[str, Any],
    people: list[dict[str, Any]],
    histories: list[dict[str, Any]],
    named: list[int],
    codes: int,
    issued: int,
) -> None:
    one = series(1, generic_code="SHARED", **terms)
    persons = [customer(1 + at, **fields) for at, fields in enumerate(people)]
    told_each = naively(one, persons, histories, named, codes, issued)
    assert at_once(one, persons, histories, named, codes, issued) == told_each
    for code in {*told_each}:
        event(code.name)


def test_a_code_that_was_brought_for_two() -> None:
    """The first who may have it gets it; a refused row uses nothing up."""
    people = [Person(at, True, "CONFIRMED" if at == 1 else "NONE", "ACTIVE", False, True) for at in (1, 2, 3, 4)]
    found = judged(org(), series(1), NOW, people, Held(), Supply(None, 9), ["A", "A", "A", "B"])
    assert found == [Code.FRAUD_CUSTOMER_AT_ISSUE, None, Code.REPEATED_IN_REQUEST, None]
