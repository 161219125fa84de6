"""C20, and what becomes of validation codes and missed calls (rules 10)."""

from collections.abc import Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponry.core.commands import Item
from couponry.core.decide import decide
from couponry.core.model import Customer
from couponry.core.plan import Answer, Plan
from couponry.core.state import State
from couponry.core.status import Code
from couponry.core.validation import Channel, Message, MissedCall, ValidationCode, Vault, addressed, day_of
from tests.core.scene import Scene
from tests.core.world import NOW, check, coupon, customer, key, ms, redeem, series, state, told

OK: Final = Code.PROCESSED
WRONG: Final = Code.INVALID_VALIDATION_CODE
MINUTE: Final = 60_000
STRICT: Final[dict[str, Any]] = {"is_validation_required": True}
VAULT: Final = Vault(b"only for this test")


def code(serial: int = 1, mac: str = "right", *, expires_ms: int = NOW + 1, wrong_tries: int = 0) -> ValidationCode:
    return ValidationCode(serial, mac, expires_ms, wrong_tries)


def codes(*listed: ValidationCode, of: int = 1) -> dict[str, Any]:
    return {"validation_codes": {of: listed}}


def calls(*called_ms: int, of: int = 1) -> dict[str, Any]:
    return {"missed_calls": {of: tuple(MissedCall(serial, at) for serial, at in enumerate(called_ms, 1))}}


RIGHT: Final = {"validation_mac": "right"}
CALLED: Final = {"by_missed_call": True}


@pytest.mark.parametrize(
    ("item", "known", "expected"),
    [
        ({}, codes(code()), Code.VALIDATION_REQUIRED),
        (RIGHT, codes(code()), OK),
        (RIGHT, codes(), WRONG),
        (RIGHT, codes(code(mac="other")), WRONG),
        (RIGHT, codes(code(mac="other"), code(2)), OK),
        (RIGHT, codes(code(), of=2), WRONG),
        (RIGHT, codes(code(expires_ms=NOW)), WRONG),
        (RIGHT, codes(code(wrong_tries=4)), OK),
        (RIGHT, codes(code(wrong_tries=5)), WRONG),
        (CALLED, calls(), Code.NO_MISSED_CALL),
        (CALLED, codes(code()), Code.NO_MISSED_CALL),
        (CALLED, calls(NOW), OK),
        (CALLED, calls(NOW, of=2), Code.NO_MISSED_CALL),
        (CALLED, calls(NOW - 15 * MINUTE + 1), OK),
        (CALLED, calls(NOW - 15 * MINUTE), Code.NO_MISSED_CALL),
        (CALLED | RIGHT, codes(code()), Code.NO_MISSED_CALL),
        (RIGHT, calls(NOW), WRONG),
    ],
)
def test_rule(item: dict[str, Any], known: dict[str, Any], expected: Code) -> None:
    scene = Scene(terms=STRICT, item=item, state=known)
    assert scene.code("redeem") is expected
    assert scene.code("check") is (Code.REDEEMABLE if expected is OK else expected)


def test_period_of_missed_calls_is_the_orgs() -> None:
    scene = Scene(terms=STRICT, item=CALLED, state=calls(NOW - 20 * MINUTE), settings={"otp_validity_minutes": 30})
    assert scene.code("redeem") is OK


def test_redemption_time_does_not_bring_a_code_back() -> None:
    """The code is judged by the clock, as what it is for happens now."""
    scene = Scene(terms=STRICT, item=RIGHT, state=codes(code(expires_ms=NOW)), claim={"at_ms": NOW - MINUTE})
    assert scene.code("redeem") is WRONG


def strict_world(known: dict[str, Any]) -> State:
    """Mira's coupons A, B and C of a series that requires validation, D of one that does not."""
    shown = [coupon(serial, name) for serial, name in enumerate("ABC", 1)]
    return state([*shown, coupon(4, "D", series_id=2)], [series(1, **STRICT), series(2)], **known)


def shown(*named: str, mac: str = "right", **fields: Any) -> tuple[Item, ...]:
    return tuple(Item(code=each, validation_mac=mac, **fields) for each in named)


def ask(world: State, *requests: tuple[Item, ...]) -> Plan:
    """One batch: a redeem of each."""
    return decide(world, [redeem(items=items, transaction_number="") for items in requests])


def statuses(plan: Plan) -> list[Code]:
    return [outcome.answer.status for outcome in plan.outcomes]


def test_items_of_one_request_share_a_code() -> None:
    plan = ask(strict_world(codes(code())), shown("A", "B", "D"))
    assert statuses(plan) == [OK]
    assert (plan.codes_used, plan.wrong_tries) == ([1], [])
    assert len(plan.redemptions) == 3


def test_items_of_one_request_share_a_call() -> None:
    plan = ask(strict_world(calls(NOW - 2, NOW - 1)), shown("A", "B", mac="", by_missed_call=True))
    assert (statuses(plan), plan.calls_used) == ([OK], [1])


def test_next_request_of_the_batch_finds_it_used() -> None:
    plan = ask(strict_world(codes(code())), shown("A"), shown("B"))
    assert statuses(plan) == [OK, WRONG]
    assert plan.codes_used == [1]
    calling: dict[str, Any] = {"mac": "", "by_missed_call": True}
    plan = ask(strict_world(calls(NOW)), shown("A", **calling), shown("B", **calling))
    assert statuses(plan) == [OK, Code.NO_MISSED_CALL]


def test_refused_request_uses_nothing_up() -> None:
    """The other coupon does not exist, so that the validated one is 749, and its code good for another request."""
    plan = ask(strict_world(codes(code())), shown("A", "NOSUCH"), shown("A"))
    assert statuses(plan) == [Code.BATCH_REFUSED, OK]
    assert plan.codes_used == [1]


def test_code_for_a_series_that_needs_none_is_kept() -> None:
    """726, and it is not used up."""
    plan = ask(strict_world(codes(code())), shown("D"))
    assert (statuses(plan), plan.codes_used, plan.wrong_tries) == ([OK], [], [])
    answer = told(Answer, plan.outcomes[0])
    assert answer.items[0].warnings == (Code.VALIDATION_NOT_REQUIRED,)


def test_wrong_tries_count_although_refused() -> None:
    """Each try counts on every code that might have been meant; five burn it, also within a batch."""
    world = strict_world(codes(code(1), code(2, "other", wrong_tries=1), code(3, "old", wrong_tries=5)))
    plan = ask(world, *[shown("A", mac=f"no{number}") for number in range(5)], shown("A"))
    assert statuses(plan) == [WRONG] * 6
    assert sorted(plan.wrong_tries) == [1] * 5 + [2] * 4
    assert plan.codes_used == []


def test_one_request_cannot_try_many_codes() -> None:
    """The same wrong code for two coupons is one try; different ones are as many, and burn the code on the way."""
    world = state([coupon(serial, f"X{serial}") for serial in range(10)], [series(1, **STRICT)], **codes(code(wrong_tries=3)))
    plan = ask(world, shown("X1", "X2", mac="no"), shown("X1"))
    assert (statuses(plan), plan.wrong_tries) == ([Code.ALL_FAILED, OK], [1])
    world = state([coupon(serial, f"X{serial}") for serial in range(10)], [series(1, **STRICT)], **codes(code()))
    guesses = [*(f"no{number}" for number in range(5)), "right"]
    items = tuple(Item(code=f"X{number}", validation_mac=mac) for number, mac in enumerate(guesses))
    plan = ask(world, items)
    assert (statuses(plan), plan.wrong_tries) == ([Code.ALL_FAILED], [1] * 5)


def test_check_leaves_no_trace() -> None:
    for mac in ("right", "wrong"):
        scene = Scene(terms=STRICT, item={"validation_mac": mac}, state=codes(code()))
        world = scene.world()
        before = dict(world.validation_codes)
        plan = decide(world, [check(items=(Item(code="H4TQ9ZKM", validation_mac=mac),))])
        assert world.validation_codes == before
        assert (plan.codes_used, plan.calls_used, plan.wrong_tries) == ([], [], [])


@pytest.mark.parametrize("request_fields", [{"key": key()}, {"transaction_number": "B-1"}])
def test_repeat_gets_the_first_answer(request_fields: dict[str, Any]) -> None:
    world = strict_world(codes(code()))
    world.digests = {0: "digest", 1: "digest"}
    asked = redeem(items=shown("A"), **{"transaction_number": "", **request_fields})
    plan = decide(world, [asked, asked])
    assert statuses(plan) == [OK, OK]
    assert plan.outcomes[1].replayed
    assert plan.codes_used == [1]


def test_mac_depends_on_org_code_and_secret() -> None:
    macs = {VAULT.mac(1, "123456"), VAULT.mac(2, "123456"), VAULT.mac(1, "123457"), Vault(b"another").mac(1, "123456")}
    assert len(macs) == 4
    assert VAULT.mac(1, " 123456 ") == VAULT.mac(1, "123456")
    assert VAULT.mac(1, " ") == VAULT.mac(1, "") == ""
    assert len(VAULT.mac(1, "\ud800 \0")) == 32


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 2**20), st.integers(1, 2**62))
def test_sealed_code_opens_in_its_row_only(text: str, org_id: int, code_id: int) -> None:
    sealed = VAULT.seal(org_id, code_id, text)
    assert VAULT.open(org_id, code_id, sealed) == text
    assert VAULT.open(org_id, code_id + 1, sealed) is None
    assert VAULT.open(org_id + 1, code_id, sealed) is None
    assert VAULT.open(org_id, code_id, sealed[:-1] + bytes([sealed[-1] ^ 1])) is None


@pytest.mark.parametrize(
    ("zone", "at", "began", "ends"),
    [
        ("Asia/Kolkata", "2031-03-10 00:00:00", "2031-03-10 00:00:00", "2031-03-11 00:00:00"),
        ("Asia/Kolkata", "2031-03-10 23:59:59", "2031-03-10 00:00:00", "2031-03-11 00:00:00"),
        ("Europe/Berlin", "2031-03-30 12:00:00", "2031-03-30 00:00:00", "2031-03-31 00:00:00"),  # 23 hours
    ],
)
def test_day(zone: str, at: str, began: str, ends: str) -> None:
    where = ZoneInfo(zone)
    assert day_of(ms(at, where), where) == (ms(began, where), ms(ends, where))


@pytest.mark.parametrize(
    ("channels", "person", "expected"),
    [
        ([("mobile", "")], customer(1), [("mobile", "919812300001")]),
        ([("mobile", ""), ("mobile", "919812300001")], customer(1), [("mobile", "919812300001")]),
        ([("mobile", ""), ("email", "")], customer(1), [("mobile", "919812300001")]),
        ([("email", "")], customer(1), None),
        ([("email", "a@b.c")], customer(1), [("email", "a@b.c")]),
        ([], customer(1), None),
    ],
)
def test_addresses(channels: Sequence[tuple[str, str]], person: Customer, expected: Sequence[tuple[str, str]] | None) -> None:
    made = addressed(Message(tuple(Channel(*each) for each in channels)), person)
    assert (made and [(each.kind, each.value) for each in made.channels]) == expected
