"""One, each, several: what an issue of several coupons makes of the single ones; and repeats (v2-coupon 1-3, status-codes 3)."""

from typing import Any, Final

import pytest

from couponry.core.decide import decide
from couponry.core.model import Handling, Standing
from couponry.core.plan import IssueAnswer, IssuedItem, Plan
from couponry.core.state import State
from couponry.core.status import Code
from tests.core.test_several_coupons import rows
from tests.core.world import (
    DAY_MS,
    MIRA,
    NOBODY,
    NOOR,
    NOW,
    ask,
    coupon,
    coupon_id,
    customer,
    issue,
    key,
    pool_coupon,
    series,
    state,
    told,
)

OK: Final = Code.PROCESSED
SEVERAL: Final[dict[str, Any]] = {"is_multiple_vouchers_per_user_allowed": True}
ONE_ONLY: Final[dict[str, Any]] = {"is_multiple_vouchers_per_user_allowed": False}
RESENT: Final[dict[str, Any]] = ONE_ONLY | {"do_not_resend_existing_voucher": False}


def answered(plan: Plan) -> IssueAnswer:
    (outcome,) = plan.outcomes
    return told(IssueAnswer, outcome)


def given(item: IssuedItem) -> list[str]:
    return [each.code for each in item.coupons]


# Each: one of each series, independently of the others.


def each_world() -> State:
    """Series 1 and 2 issue, 3 is over, of 4 Mira holds one, 5 sends that one again."""
    all_series = [
        series(1, **SEVERAL),
        series(2, **SEVERAL),
        series(3, max_create=0),
        series(4),
        series(5, do_not_resend_existing_voucher=False),
    ]
    held = [coupon(4, "HELD4", series_id=4), coupon(5, "HELD5", series_id=5)]
    live = {(1, 4): (coupon_id(4),), (1, 5): (coupon_id(5),)}
    fresh = {1: ["A1", "A2"], 2: ["B1"]}
    return state(held, all_series, live=live, fresh_codes=fresh)


EACH: Final[list[tuple[tuple[int, ...], list[tuple[Code, list[str]]]]]] = [
    ((1,), [(OK, ["A1"])]),
    ((1, 2), [(OK, ["A1"]), (OK, ["B1"])]),
    ((2, 1), [(OK, ["B1"]), (OK, ["A1"])]),
    ((1, 1), [(OK, ["A1"]), (OK, ["A2"])]),
    ((1, 1, 1), [(OK, ["A1"]), (OK, ["A2"]), (Code.NO_CODE_LEFT, [])]),
    ((9, 1), [(Code.UNKNOWN_SERIES_NAMED, []), (OK, ["A1"])]),
    ((3, 1, 3), [(Code.SERIES_LIMIT_REACHED, []), (OK, ["A1"]), (Code.SERIES_LIMIT_REACHED, [])]),
    ((4, 5, 1), [(Code.HOLDS_A_COUPON, []), (OK, ["HELD5"]), (OK, ["A1"])]),
    ((9,), [(Code.UNKNOWN_SERIES_NAMED, [])]),
]


@pytest.mark.parametrize("row", EACH, ids=lambda row: str(row[0]))
def test_each(row: tuple[tuple[int, ...], list[tuple[Code, list[str]]]]) -> None:
    """A line per request: which series, and what became of each, in the request's order."""
    series_ids, expected = row
    plan = decide(each_world(), [issue(*series_ids, form="each")])
    answer = answered(plan)
    assert answer.status is OK
    assert [item.series_id for item in answer.items] == list(series_ids)
    assert [(item.status, given(item)) for item in answer.items] == expected
    assert [each.status for each in plan.refusals] == [code for code, _ in expected if code is not OK]
    assert [each.coupon.code for each in plan.new_coupons] == [code for _, codes in expected for code in codes if code != "HELD5"]


def test_series_twice_where_one_is_allowed() -> None:
    """Duplicates issue twice (v2-coupon 2): the second finds the first in the customer's hands."""
    world = state([], [series(1)], fresh_codes={1: ["A1", "A2"]})
    assert [item.status for item in ask(IssueAnswer, world, issue(1, 1, form="each")).items] == [OK, Code.HOLDS_A_COUPON]
    again = state([], [series(1, do_not_resend_existing_voucher=False)], fresh_codes={1: ["A1", "A2"]})
    plan = decide(again, [issue(1, 1, form="each")])
    assert [(given(item), item.warnings) for item in answered(plan).items] == [(["A1"], ()), (["A1"], (Code.RESENT,))]
    assert len(plan.new_coupons) == 1


def test_series_of_one_request_exclude_each_other() -> None:
    exclusive = [series(1, mutual_exclusive_series_ids="[2]"), series(2, mutual_exclusive_series_ids="[1]")]
    fresh = {1: ["A1"], 2: ["B1"]}
    for series_ids in ((1, 2), (2, 1)):
        answer = ask(IssueAnswer, state([], exclusive, fresh_codes=fresh), issue(*series_ids, form="each"))
        assert [item.status for item in answer.items] == [OK, Code.EXCLUDED]


@pytest.mark.parametrize(
    ("identifiers", "code"),
    [((), Code.INVALID_CUSTOMER), ((("id", "1"), NOOR), Code.INVALID_CUSTOMER), ((NOBODY,), Code.CUSTOMER_NOT_FOUND)],
)
@pytest.mark.parametrize("series_ids", [(1, 2), (9, 1)], ids=str)
def test_unknown_customer_fails_the_whole_request(
    identifiers: tuple[tuple[str, str], ...], code: Code, series_ids: tuple[int, ...]
) -> None:
    plan = decide(each_world(), [issue(*series_ids, form="each", customer=identifiers)])
    assert (answered(plan).status, answered(plan).items, answered(plan).customer) == (code, (), None)
    assert [*plan.new_coupons, *plan.events] == []


def test_blocked_customer_fails_each_series_by_itself() -> None:
    """750 and 742 come after what a series says of itself (J1-J4)."""
    world = each_world()
    world.customers[MIRA] = customer(1, status_label="SUSPENDED")
    answer = ask(IssueAnswer, world, issue(9, 1, form="each"))
    assert [item.status for item in answer.items] == [Code.UNKNOWN_SERIES_NAMED, Code.CUSTOMER_BLOCKED]


@pytest.mark.parametrize("series_ids", [(1, 2, 5), (2, 1), (1, 4, 2)], ids=str)
def test_unreadable_series_fails_the_whole_request(series_ids: tuple[int, ...]) -> None:
    """788 is nobody's refusal: nothing is issued, nothing traced, no code used up, and the next request finds all as it was."""
    torn = each_world()
    torn.series[2] = torn.series[5] = None
    before = rows(torn)
    plan = decide(torn, [issue(*series_ids, form="each", key=key())])
    assert (answered(plan).status, answered(plan).items) == (Code.SERIES_UNREADABLE, ())
    assert [*plan.new_coupons, *plan.given_coupons, *plan.events, *plan.refusals, *plan.kept] == []
    assert rows(torn) == before
    assert [given(item) for item in ask(IssueAnswer, torn, issue(1, form="each")).items] == [["A1"]]


# Several: as many of one series as may be.


def several_world(handling: str = "DISC_CODE", codes: int = 4, **terms: Any) -> State:
    """A series that has so many codes left; and of another kind, the shared code."""
    fields: dict[str, Any] = SEVERAL | {"client_handling_type": Handling(handling), "generic_code": "MONSOON"} | terms
    found = [pool_coupon(serial, f"P{serial}") for serial in range(1, codes + 1)]
    fresh = [f"F{serial}" for serial in range(1, codes + 1)]
    return state(found, [series(**fields)], pools={1: [each.id for each in found]}, fresh_codes={1: fresh})


CUT: Final[list[tuple[str, dict[str, Any], int, int, Code | None]]] = [
    ("all of them", {}, 4, 4, None),
    ("one", {}, 1, 1, None),
    ("all of the pool", {"handling": "DISC_CODE_PIN"}, 4, 4, None),
    ("one of the shared code", {"handling": "GENERIC"}, 1, 1, None),
    ("one only allowed", ONE_ONLY, 3, 1, Code.ONE_PER_CUSTOMER),
    ("one only allowed, of a pool", ONE_ONLY | {"handling": "DISC_CODE_PIN"}, 3, 1, Code.ONE_PER_CUSTOMER),
    ("one only, resending or not", RESENT, 3, 1, Code.ONE_PER_CUSTOMER),
    ("a shared code", {"handling": "GENERIC"}, 2, 1, Code.ONE_SHARED_CODE),
    ("the series' cap", {"max_create": 3}, 4, 3, Code.CUT_BY_SERIES),
    ("the series' cap, just enough", {"max_create": 4}, 4, 4, None),
    ("the customer's limit", {"max_vouchers_per_user": 2}, 4, 2, Code.CUT_BY_CUSTOMER),
    ("the customer's limit, just enough", {"max_vouchers_per_user": 4}, 4, 4, None),
    ("the customer's limit before the series' cap", {"max_vouchers_per_user": 2, "max_create": 2}, 4, 2, Code.CUT_BY_CUSTOMER),
    ("the pool", {"handling": "DISC_CODE_PIN"}, 5, 4, Code.CUT_BY_POOL),
    ("the series' cap before the pool", {"handling": "DISC_CODE_PIN", "max_create": 4}, 5, 4, Code.CUT_BY_SERIES),
    ("no more codes", {}, 5, 4, Code.CUT),
    ("days between coupons", {"min_days_between_vouchers": 1}, 4, 1, Code.CUT),
]


@pytest.mark.parametrize("row", CUT, ids=lambda row: row[0])
def test_cut(row: tuple[str, dict[str, Any], int, int, Code | None]) -> None:
    """A line per request: what the series has, how many are asked for, how many are issued, and why there are fewer."""
    _, fields, count, made, cut = row
    plan = decide(several_world(**fields), [issue(form="several", count=count)])
    answer = answered(plan)
    (item,) = answer.items
    assert (answer.status, item.status, len(item.coupons), item.cut) == (OK, OK, made, cut)
    assert len(plan.new_coupons) + len(plan.given_coupons) == made
    assert not plan.refusals


NONE_ISSUED: Final[list[tuple[str, dict[str, Any], Code]]] = [
    ("holds one", ONE_ONLY, Code.HOLDS_A_COUPON),
    ("holds one, which is not resent", RESENT, Code.HOLDS_A_COUPON),
    ("holds the shared code", {"handling": "GENERIC"}, Code.HOLDS_A_COUPON),
    ("the series' cap", {"max_create": 0}, Code.SERIES_LIMIT_REACHED),
    ("the customer's limit", {"max_vouchers_per_user": 1}, Code.CUT_BY_CUSTOMER),
    ("days between coupons", {"min_days_between_vouchers": 2}, Code.ISSUED_TOO_SOON),
    ("the pool", {"handling": "DISC_CODE_PIN", "codes": 0}, Code.NO_CODE_LEFT),
    ("no more codes", {"codes": 0}, Code.NO_CODE_LEFT),
]


@pytest.mark.parametrize("row", NONE_ISSUED, ids=lambda row: row[0])
@pytest.mark.parametrize("count", [1, 3])
def test_none_issued(row: tuple[str, dict[str, Any], Code], count: int) -> None:
    """Then there is one code, and no item (status-codes 3, last column)."""
    _, fields, code = row
    world = several_world(**fields)
    world.coupons[coupon_id(99)] = coupon(99, "HELD", holder_id=int(fields.get("handling") == "GENERIC"))
    world.live = {(1, 1): (coupon_id(99),)}
    world.standings = {(1, 1): Standing(issued=1, last_issued_ms=NOW - DAY_MS)}
    plan = decide(world, [issue(form="several", count=count)])
    assert (answered(plan).status, answered(plan).items) == (code, ())
    assert answered(plan).customer == customer(1)
    assert [each.status for each in plan.refusals] == [code]
    assert [*plan.new_coupons, *plan.given_coupons, *plan.events] == []


def test_five_hundred() -> None:
    plan = decide(several_world(codes=501), [issue(form="several", count=500)])
    (item,) = answered(plan).items
    assert (len(item.coupons), item.cut) == (500, None)
    assert len({each.coupon_id for each in item.coupons}) == len({each.code for each in item.coupons}) == 500


# Repeats (README 10): an issue has the explicit key alone.


def with_key(world: State, *commands: Any, now_ms: int = NOW) -> Plan:
    """One batch, looked up under the commands' keys."""
    world.now_ms = now_ms
    world.digests = {place: each.key.digest for place, each in enumerate(commands) if each.key}
    return decide(world, commands)


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "in two"])
@pytest.mark.parametrize("fields", [{}, {"form": "each"}, {"form": "several", "count": 2}], ids=["one", "each", "several"])
def test_repeat_gets_the_first_answer(fields: dict[str, Any], *, together: bool) -> None:
    world = several_world()
    command = issue(key=key(), **fields)
    plans = [with_key(world, command, command)] if together else [with_key(world, command) for _ in range(2)]
    first, second = (outcome for plan in plans for outcome in plan.outcomes)
    assert (first.answer, first.replayed, second.replayed) == (second.answer, "", "true")
    assert sum(len(plan.new_coupons) for plan in plans) == command.count
    assert sum(len(plan.kept) for plan in plans) == 1


def test_refusal_is_repeated_under_a_key() -> None:
    world = several_world(max_create=0)
    plans = [with_key(world, issue(key=key())) for _ in range(2)]
    assert [(plan.outcomes[0].answer.status, plan.outcomes[0].replayed) for plan in plans] == [
        (Code.SERIES_LIMIT_REACHED, ""),
        (Code.SERIES_LIMIT_REACHED, "true"),
    ]
    assert [len(plan.refusals) for plan in plans] == [1, 0]


def test_key_with_another_body_is_refused() -> None:
    plan = with_key(several_world(), issue(key=key()), issue(key=key(body="other")))
    assert [outcome.answer.status for outcome in plan.outcomes] == [OK, Code.INVALID_INPUT]
    assert len(plan.new_coupons) == 1


@pytest.mark.parametrize(("hours", "made"), [(24, 1), (25, 2)])
def test_key_counts_for_a_day(hours: int, made: int) -> None:
    world = several_world()
    plans = [with_key(world, issue(key=key()), now_ms=NOW + passed * 3_600_000) for passed in (0, hours)]
    assert sum(len(plan.new_coupons) for plan in plans) == made


def test_issue_without_a_key_is_never_a_repeat() -> None:
    plan = with_key(several_world(), issue(), issue())
    assert [outcome.replayed for outcome in plan.outcomes] == ["", ""]
    assert (len(plan.new_coupons), plan.kept) == (2, [])


def test_service_failure_is_not_kept() -> None:
    world = several_world()
    world.series[1], usable = None, world.series[1]
    assert with_key(world, issue(key=key())).kept == []
    world.series[1] = usable
    assert [outcome.answer.status for outcome in with_key(world, issue(key=key())).outcomes] == [OK]
