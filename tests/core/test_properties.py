"""What holds in every world and for every batch, whatever the terms: tried on random ones, against a naive auditor."""

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from hypothesis import event, given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from couponry.core.commands import Amendment, Check, Command, Issue, Item, Redeem, Reverse
from couponry.core.decide import decide
from couponry.core.model import AfterReversal, ExpiryStrategy, Handling
from couponry.core.plan import Answer, CheckAnswer, Outcome
from couponry.core.series import Series
from couponry.core.status import Code
from tests.core.books import Books
from tests.core.lane_order import batches, resolved
from tests.core.test_several_coupons import codes, rows
from tests.core.world import (
    DAY_MS,
    MIRA,
    NOBODY,
    NOOR,
    NOW,
    amend,
    check,
    coupon,
    coupon_id,
    customer,
    issue,
    key,
    place,
    pool_coupon,
    redate,
    redeem,
    reverse,
    revoke,
    series,
    told,
)

pick = st.sampled_from
CODES: Final = ("A", "B", "C", "D", "E")
LIMIT: Final = pick([-1, 1, 2, 3])

# Most worlds let most coupons through, so that limits are met; one in a few has something in the way.
OBSTACLE: Final = pick(
    [
        *[{}] * 12,
        {"min_bill_amount": Decimal(100)},
        {"redemption_valid_after_days": 11},
        {"redemption_range": '{"hours":[0,12],"dow":[1,2]}'},
        {"store_ids_json": "[21]"},
        {"is_validation_required": True},
        {"is_pre_redeem_event_required": True},
        {"series_type": "TEST"},
    ]
)
TERMS: Final = st.builds(
    lambda obstacle, **terms: terms | obstacle,
    OBSTACLE,
    client_handling_type=pick(list(Handling)),
    any_user=pick([True, True, False]),
    external_issual=pick([False, False, False, True]),
    is_multiple_use_allowed=pick([True, True, False]),
    same_user_multiple_redeem=pick([True, True, False]),
    redemption_per_coupon_max_limit=LIMIT,
    max_redemptions_in_series_per_user=LIMIT,
    reversal_policy=pick(
        [
            {},
            {},
            {"RETURNED": AfterReversal("consumed")},
            {"RETURNED": AfterReversal("returns", 0), "CANCELLED": AfterReversal("returns", 2)},
        ]
    ),
    max_create=pick([-1, -1, 3, 5]),
    max_vouchers_per_user=pick([-1, -1, 1, 2]),
    is_multiple_vouchers_per_user_allowed=pick([True, True, False]),
    do_not_resend_existing_voucher=pick([True, False]),
    min_days_between_vouchers=pick([-1, -1, -1, 1]),
    mutual_exclusive_series_ids=pick(["[-1]", "[-1]", "[-1]", "[1, 2]"]),
    max_redeem=LIMIT,
    min_days_between_redemption=pick([0, 0, 1]),
    expiry_strategy_type=pick(list(ExpiryStrategy)),
)
HELD: Final = st.builds(
    lambda obstacle, **fields: fields | obstacle,
    pick([*[{}] * 12, {"is_revoked": True}, {"expires_local": "2031-03-09T23:59:59"}, {"expires_local": "2031-03-10T23:59:59"}]),
    series_id=pick([1, 1, 2]),
    customer_id=pick([None, 1, 2]),
)
CODE: Final = pick([*CODES, "SHARED1", "SHARED2", *(f"#{place}" for place in range(9))])
"""A code that may have been there from the start, or that of the coupon in this place now."""
NAMED: Final = st.builds(Item, code=CODE)
ODDLY_NAMED: Final = st.builds(
    Item,
    code=pick(["a", " b ", "UNKNOWN", "no code", None, None, None]),
    coupon_id=pick([coupon_id(1), coupon_id(101), coupon_id(9), coupon_id(1_000_000), None]),
    validation_mac=pick(["", "123456"]),
)
ITEM: Final = NAMED | NAMED | NAMED | ODDLY_NAMED
REQUEST: Final = st.builds(
    lambda obstacle, **request: request | obstacle,
    pick(
        [
            *[{}] * 14,
            {"customer": (MIRA, ("id", "1"))},
            {"customer": (MIRA, NOOR)},
            {"customer": (NOBODY,)},
            {"customer": ()},
            {"amount": Decimal(50)},
            {"at_ms": NOW + DAY_MS},
            {"at_ms": NOW - 11 * DAY_MS},
            {"place": place(12, 22)},
        ]
    ),
    customer=pick([(MIRA,), (NOOR,)]),
    items=(st.lists(ITEM, min_size=1, max_size=1) | st.lists(ITEM, min_size=2, max_size=4)).map(tuple),
    transaction_number=pick(["", "", "", "INV-1", "INV-2"]),
)
KEY: Final = pick([None, None, None, None, None, key("k1"), key("k2"), key("k1", "another body")])
REDEEM: Final = st.builds(lambda request, **more: redeem(**request, **more), REQUEST, key=KEY, hook_accepted=pick([True, False]))
CLAIM: Final[st.SearchStrategy[Redeem | Check]] = REDEEM | REDEEM | REDEEM | REQUEST.map(lambda request: check(**request))

WHOM: Final = pick([(MIRA,), (NOOR,)])
ANYBODY: Final = pick([None, None, (MIRA,), (NOOR,), (NOBODY,)])
SERIES_ID: Final = pick([*[1, 2] * 6, 9])
ISSUE: Final = st.builds(
    lambda series_ids, shape, **fields: issue(*series_ids[: 1 if shape["form"] != "each" else 3], **shape, **fields),
    st.lists(SERIES_ID, min_size=1, max_size=3),
    pick([{"form": "one"}, {"form": "one"}, {"form": "each"}, {"form": "several", "count": 3}]),
    customer=WHOM,
    key=pick([None, None, None, key("i1"), key("i2"), key("i1", "another body")]),
)
PLACE: Final = st.integers(0, 9)
REVERSE: Final = st.builds(
    lambda places, reason: reverse(*places, reason=reason),
    st.lists(PLACE, min_size=1, max_size=3),
    pick(["", "RETURNED", "CANCELLED", "CHARGEBACK"]),
)
REVOKE: Final = st.builds(
    lambda codes, **fields: revoke(*codes, **fields),
    st.lists(CODE, min_size=1, max_size=2),
    customer=ANYBODY,
    series_id=SERIES_ID,
) | st.builds(revoke, customer=WHOM, series_id=SERIES_ID)
REDATE: Final = st.builds(
    lambda code, days, **fields: redate((code, NOW + days * DAY_MS), **fields),
    CODE,
    pick([-1, 0, 1, 3, 30, 900]),
    customer=ANYBODY,
    series_id=SERIES_ID,
)
AMEND: Final = st.builds(
    lambda place, amount, whom: amend(Amendment(place, amount=amount), customer=whom), PLACE, pick([Decimal(1), UNSET]), ANYBODY
)
COMMAND: Final[st.SearchStrategy[Command]] = st.one_of(CLAIM, CLAIM, CLAIM, ISSUE, ISSUE, REVERSE, REVERSE, REVOKE, REDATE, AMEND)
BATCH: Final = st.lists(COMMAND, min_size=2, max_size=8).map(lambda commands: batches(commands)[0])
COMMANDS: Final = st.lists(COMMAND, min_size=2, max_size=8)
# Between two batches time passes, and some redemption may be reversed.
STEPS: Final = st.lists(
    st.tuples(COMMANDS, pick([0, 0, DAY_MS // 2, DAY_MS]), st.none() | st.integers(0, 9)), min_size=1, max_size=3
)


@st.composite
def all_books(draw: st.DrawFn) -> Books:
    """Two series with any terms, up to five codes, two customers, and a little history."""
    all_series = [drawn_series(serial, draw(TERMS)) for serial in (1, 2)]
    shared = {each.id for each in all_series if each.terms.client_handling_type is Handling.SHARED}
    coupons = [pool_coupon(50 + serial, f"SHARED{serial}", series_id=serial) for serial in shared]
    for serial, code in enumerate(CODES[: draw(st.integers(2, 5))], 1):
        fields = draw(HELD)
        series_id, holder = fields["series_id"], fields["customer_id"]
        if holder is None or series_id in shared:
            coupons.append(pool_coupon(serial, code, series_id=series_id))
        if holder is not None:
            own = 100 + serial if series_id in shared else serial
            coupons.append(coupon(own, code, holder_id=holder if series_id in shared else 0, **fields))
    books = Books(all_series, [customer(1), customer(2)], {each.id: each for each in coupons})
    advance(books, draw(STEPS))
    return books


def drawn_series(serial: int, fields: dict[str, Any]) -> Series:
    any_user = fields["any_user"] and not fields["external_issual"]
    return series(serial, **fields | {"any_user": any_user, "generic_code": f"SHARED{serial}"})


def advance(books: Books, steps: list[tuple[list[Command], int, int | None]], look: Callable[[], None] = lambda: None) -> None:
    for commands, passes_ms, reversal in steps:
        for batch in batches(commands):
            books.batch(resolved(books, batch))
            look()
        books.now_ms += passes_ms
        if reversal is not None:
            books.reverse(reversal)


@given(all_books(), STEPS)
def test_no_cap_is_ever_exceeded(books: Books, steps: list[tuple[list[Command], int, int | None]]) -> None:
    books.audit()
    advance(books, steps, books.audit)
    event(f"{min(len(books.redemptions), 5)} redemptions")


AS_CHECKED: Final = {
    Code.PROCESSED: Code.REDEEMABLE,
    Code.UNKNOWN_COUPON: Code.UNKNOWN_COUPON_CHECKED,
    Code.BATCH_REFUSED: Code.OTHER_COUPON_FAILED,
}


@given(all_books(), REQUEST)
def test_check_agrees_with_redeem(books: Books, request: dict[str, Any]) -> None:
    """A check says what a redeem would be answered now (the hook apart), and how often is left is true."""
    request |= {"transaction_number": "never used before"}
    checked, redeeming = check(**request), redeem(**request, hook_accepted=True)
    (asked, redeemed, after) = books.outcomes(resolved(books, [checked, redeeming, checked]))
    assert isinstance(asked.answer, CheckAnswer)
    assert isinstance(redeemed.answer, Answer)
    assert isinstance(after.answer, CheckAnswer)
    told = [redeemed.answer.status, *(each.status for each in redeemed.answer.items)]
    assert [asked.answer.status, *(each.outcome.status for each in asked.answer.items)] == [
        AS_CHECKED.get(code, code) for code in told
    ]
    for before, each in zip(asked.answer.items, redeemed.answer.items, strict=True):
        assert (before.outcome.code_shown, before.outcome.offer) == (each.code_shown, each.offer)
        assert before.outcome.warnings == each.warnings
    if redeemed.answer.status is Code.PROCESSED:
        for before, now in zip(asked.answer.items, after.answer.items, strict=True):
            assert now.redeemed_by_customer == before.redeemed_by_customer + 1
            if before.redemptions_left < 0:
                assert now.redemptions_left < 0
            elif len(asked.answer.items) == 1:
                assert now.redemptions_left == before.redemptions_left - 1
    event(redeemed.answer.status.name)


@given(all_books(), BATCH)
def test_batch_is_the_sum_of_its_commands(books: Books, commands: list[Command]) -> None:
    """Prevents an answer that depends on who else was waiting. The auditor recounts between the single ones."""
    commands = resolved(books, commands)
    one_by_one = books.copy()
    together = books.outcomes(commands)
    event(f"{sum(map(is_redeemed, together))} redeemed")
    apart = [outcome for command in commands for outcome in one_by_one.outcomes([command])]
    assert together == apart
    assert books == one_by_one


@given(all_books(), BATCH)
def test_same_input_same_output(books: Books, commands: list[Command]) -> None:
    commands = resolved(books, commands)
    once, again = books.state(commands), books.copy().state(commands)
    assert decide(once, commands) == decide(again, commands)
    assert rows(once) == rows(again)


@given(all_books(), BATCH, st.booleans())
def test_state_after_a_batch_is_the_state_of_its_rows(books: Books, commands: list[Command], recount: bool) -> None:
    """Prevents a fold that drifts from what is written: what `decide` leaves is what would be loaded next."""
    commands = resolved(books, commands)
    state = books.state(commands)
    plan = decide(state, commands)
    books.write(plan)
    loaded = books.state(commands)
    names = ("coupons", "reversed_ids", "active")
    assert {name: rows(state)[name] for name in names} == {name: rows(loaded)[name] for name in names}
    # What the batch itself has made is nobody's to name yet: generated codes, and redemptions.
    assert {of: loaded.coupon_ids[of] for of in state.coupon_ids} == state.coupon_ids
    assert {of: loaded.redemptions[of] for of in state.redemptions} == state.redemptions
    for name in ("series_redeemed", "series_issued", "uses"):
        assert +Counter(rows(state)[name]) == Counter(rows(loaded)[name])
    stored = {of: replace(each, is_stored=True) for of, each in state.standings.items()}
    assert stored == loaded.standings
    free = {series_id: codes[state.taken.get(series_id, 0) :] for series_id, codes in state.fresh_codes.items()}
    assert {of: codes for of, codes in free.items() if of in generated(books)} == {
        of: codes for of, codes in loaded.fresh_codes.items() if of in generated(books)
    }
    assert {of: (each.fingerprint, each.answer) for of, each in state.answers.items()} == {
        of: (each.fingerprint, each.answer) for of, each in loaded.answers.items()
    }


def generated(books: Books) -> set[int]:
    return {each.id for each in books.series if each.terms.client_handling_type is Handling.GENERATED}


@given(all_books(), BATCH)
def test_repeat_changes_nothing(books: Books, commands: list[Command]) -> None:
    """Whatever a key was answered, it is answered again, and neither rows nor counters move."""
    commands = [
        replace(command, key=key(f"key {place}"))
        for place, command in enumerate(resolved(books, commands))
        if isinstance(command, Redeem | Issue)
    ]
    first = books.outcomes(commands)
    state = books.state(commands)
    before = rows(state)
    plan = decide(state, commands)
    assert [*plan.undoable()] == [[]] * len(plan.undoable())
    assert (plan.kept, plan.refusals) == ([], [])
    assert rows(state) == before
    assert [outcome.answer for outcome in plan.outcomes] == [outcome.answer for outcome in first]
    assert all(outcome.replayed == "true" for outcome in plan.outcomes)


@given(all_books(), CLAIM)
def test_all_or_nothing(books: Books, claim: Redeem | Check) -> None:
    """A request redeems every coupon, or leaves nothing but its answer and a trace for each coupon that failed by itself."""
    (command,) = resolved(books, [claim])
    state = books.state([command])
    before = rows(state)
    plan = decide(state, [command])
    (outcome,) = plan.outcomes
    if is_redeemed(outcome):
        items = told(Answer, outcome).items
        assert [each.coupon_id for each in plan.redemptions] == [each.coupon_id for each in items]
        assert [each.id for each in plan.redemptions] == [each.redemption_id for each in items]
        assert not plan.refusals
        return
    assert [*plan.redemptions, *plan.new_coupons, *plan.given_coupons, *plan.events] == []
    after = rows(state)
    assert {**after, "answers": before["answers"]} == before
    if isinstance(command, Check):
        assert (plan.kept, plan.refusals) == ([], [])
    elif not outcome.replayed and codes(outcome.answer):
        failed = [code for code in codes(outcome.answer) if code is not Code.OTHER_COUPON_FAILED]
        assert [refusal.status for refusal in plan.refusals] == failed


@given(all_books(), st.lists(REVERSE, min_size=1, max_size=3))
def test_reversal_is_all_or_nothing(books: Books, commands: list[Command]) -> None:
    """Each redemption at most once; what is refused frees nothing, what is done frees what the redemptions held."""
    commands = resolved(books, commands)
    state = books.state(commands)
    plan = decide(state, commands)
    done = [command for command, outcome in zip(commands, plan.outcomes, strict=True) if is_done(outcome)]
    assert [each.redemption_id for each in plan.reversals] == [
        each for command in done if isinstance(command, Reverse) for each in dict.fromkeys(command.redemption_ids)
    ]
    freed = sum(not each.is_consumed for each in plan.reversals)
    redeemed_before = len(books.active())
    books.write(plan)
    assert len(books.active()) == redeemed_before - freed == sum(each.redeemed for each in state.coupons.values())
    event(f"{freed} freed")


def is_done(outcome: Outcome) -> bool:
    return outcome.answer.status is Code.PROCESSED and not outcome.replayed


def is_redeemed(outcome: Outcome) -> bool:
    return isinstance(outcome.answer, Answer) and is_done(outcome)
