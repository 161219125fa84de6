"""What an issue gives: a fresh code, the oldest of the pool, or a record of the shared code; its expiry; who is told."""

from datetime import date
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest

from couponry.core.decide import decide
from couponry.core.model import ExpiryStrategy, Handling, Standing
from couponry.core.plan import Event, IssueAnswer, Plan
from couponry.core.state import State
from couponry.core.status import Code
from tests.core.test_several_coupons import rows
from tests.core.world import (
    CODE,
    MIRA,
    NOOR,
    NOW,
    ask,
    coupon,
    coupon_id,
    customer,
    issue,
    ms,
    org,
    pool_coupon,
    redeem,
    series,
    state,
    statuses,
    told,
)

OK: Final = Code.PROCESSED
NONE_LEFT: Final = Code.NO_CODE_LEFT
POOL: Final[dict[str, Any]] = {"client_handling_type": Handling.UPLOADED, "is_multiple_vouchers_per_user_allowed": True}
SHARED: Final[dict[str, Any]] = {"client_handling_type": Handling.SHARED, "generic_code": "Monsoon"}


def fresh(*codes: str, **terms: Any) -> State:
    """A series that makes these codes next."""
    return state([], [series(**terms)], fresh_codes={1: list(codes)})


def pool(*coupons: str, **terms: Any) -> State:
    """A series with these uploaded codes, the oldest first."""
    found = [pool_coupon(serial, code) for serial, code in enumerate(coupons, 1)]
    return state(found, [series(**POOL | terms)], pools={1: [each.id for each in found]})


def codes(plan: Plan) -> list[str]:
    """The codes that each issue of the batch put into a customer's hands."""
    answers = [told(IssueAnswer, outcome) for outcome in plan.outcomes]
    return [each.code for answer in answers for item in answer.items for each in item.coupons]


# Generated codes.


def test_generated_coupon() -> None:
    world = fresh("FRESH1", "FRESH2")
    plan = decide(world, [issue(details='{"notes":"birthday"}', request_id="r-1")])
    (given,) = plan.new_coupons
    new = given.coupon
    assert (new.series_id, new.code, new.holder_id, new.customer_id, new.issued_ms) == (1, "FRESH1", 0, 1, NOW)
    assert (new.expires_local, new.redeemed, new.uses, new.is_revoked, new.issued_by_redemption) == (None, 0, 0, False, False)
    assert (given.till_id, given.details) == (11, '{"notes":"birthday"}')
    (item,) = told(IssueAnswer, plan.outcomes[0]).items
    assert [(each.coupon_id, each.code, each.expires_local, each.redeemed) for each in item.coupons] == [
        (new.id, "FRESH1", "2031-12-31T23:59:59", 0)
    ]
    assert not plan.given_coupons
    assert not plan.refusals


def test_answer_says_what_it_is_worth() -> None:
    world = fresh("FRESH1", info="15 percent", discount_code="MON15", custom_property_map={"colour": "red"})
    answer = ask(IssueAnswer, world, issue())
    offer = answer.items[0].offer
    assert offer is not None
    assert (offer.series_id, offer.description, offer.info, offer.discount_code) == (1, "Monsoon", "15 percent", "MON15")
    assert (offer.discount_on, offer.custom_properties) == ("BILL", {"colour": "red"})
    assert answer.customer == customer(1)


def test_no_code_is_given_twice_in_a_batch() -> None:
    world = fresh("FRESH1", "FRESH2")
    plan = decide(world, [issue(customer=(MIRA,)), issue(customer=(NOOR,)), issue(customer=(("id", "1"),))])
    assert [outcome.answer.status for outcome in plan.outcomes] == [OK, OK, Code.HOLDS_A_COUPON]
    assert codes(plan) == ["FRESH1", "FRESH2"]
    assert len({given.coupon.id for given in plan.new_coupons}) == 2


# The pool.


def test_pool_gives_the_oldest_first() -> None:
    world = pool("A", "B", "C")
    plan = decide(world, [issue(customer=(NOOR,)), issue(), issue(), issue()])
    assert [outcome.answer.status for outcome in plan.outcomes] == [OK, OK, OK, NONE_LEFT]
    assert codes(plan) == ["A", "B", "C"]
    given = [each.coupon for each in plan.given_coupons]
    assert [(each.id, each.customer_id, each.issued_ms) for each in given] == [
        (coupon_id(1), 2, NOW),
        (coupon_id(2), 1, NOW),
        (coupon_id(3), 1, NOW),
    ]
    assert not plan.new_coupons
    assert [world.coupons[each.id] for each in given] == given


@pytest.mark.parametrize("taken", [{"redeemed": 1}, {"is_revoked": True}, {"customer_id": 2, "issued_ms": NOW}], ids=str)
def test_pool_passes_over_what_somebody_has_used(taken: dict[str, Any]) -> None:
    """Prevents an issue of a code that an earlier request of the batch has redeemed, revoked or issued."""
    world = pool("A", "B")
    world.coupons[coupon_id(1)] = pool_coupon(1, "A", **taken)
    assert codes(decide(world, [issue()])) == ["B"]
    assert statuses(world, [issue()]) == [NONE_LEFT]


def test_bearer_code_redeemed_earlier_in_the_batch_is_not_issued() -> None:
    world = pool("A", "B", any_user=True)
    plan = decide(world, [redeem("A", customer=(NOOR,)), issue(), issue()])
    assert [outcome.answer.status for outcome in plan.outcomes] == [OK, OK, NONE_LEFT]
    assert [each.coupon.code for each in plan.given_coupons] == ["B"]


def test_issued_pool_code_is_the_customers_at_once() -> None:
    world = pool("A")
    plan = decide(world, [redeem("A"), issue(), redeem("A", customer=(NOOR,)), redeem("A", transaction_number="2")])
    assert [outcome.answer.status for outcome in plan.outcomes] == [Code.NOT_ISSUED, OK, Code.NOT_ISSUED_TO_CUSTOMER, OK]


def test_pool_code_keeps_the_expiry_that_it_was_given() -> None:
    world = pool("A", "B", expiry_strategy_type="DAYS", expiry_strategy_value=2)
    world.coupons[coupon_id(1)] = pool_coupon(1, "A", expires_local="2031-05-01T10:00:00")
    plan = decide(world, [issue(), issue()])
    assert [each.coupon.expires_local for each in plan.given_coupons] == ["2031-05-01T10:00:00", "2031-03-12T23:59:59"]


# The shared code.


def test_shared_code_is_a_record_for_each_customer() -> None:
    world = state([pool_coupon(code="Monsoon")], [series(**SHARED)])
    plan = decide(world, [issue(), issue(customer=(NOOR,)), issue()])
    assert [outcome.answer.status for outcome in plan.outcomes] == [OK, OK, Code.HOLDS_A_COUPON]
    new = [each.coupon for each in plan.new_coupons]
    assert [(each.code, each.holder_id, each.customer_id) for each in new] == [("Monsoon", 1, 1), ("Monsoon", 2, 2)]
    assert [each.issued_by_redemption for each in new] == [False, False]
    assert world.coupon_ids == {("MONSOON", 0): coupon_id(1), ("MONSOON", 1): new[0].id, ("MONSOON", 2): new[1].id}
    assert world.coupons[coupon_id(1)].customer_id is None


def test_shared_code_can_be_redeemed_once_issued() -> None:
    world = state([pool_coupon(code="Monsoon")], [series(**SHARED)])
    plan = decide(world, [redeem("MONSOON"), issue(), redeem("monsoon", transaction_number="2")])
    assert [outcome.answer.status for outcome in plan.outcomes] == [Code.NOT_ISSUED, OK, OK]
    assert [each.coupon_id for each in plan.redemptions] == [plan.new_coupons[0].coupon.id]


def test_record_made_by_redeeming_is_the_one_record() -> None:
    """Prevents two records of one code for one customer, of which the second could not even be written."""
    world = state([pool_coupon(code="Monsoon")], [series(**SHARED, any_user=True)])
    plan = decide(world, [redeem("Monsoon"), issue()])
    assert [outcome.answer.status for outcome in plan.outcomes] == [OK, Code.HOLDS_A_COUPON]
    assert len(plan.new_coupons) == 1


def test_record_made_by_redeeming_excludes_other_series() -> None:
    """What is loaded in the next batch holds in this one: the customer has received a coupon."""
    both = [series(1, mutual_exclusive_series_ids="[2]"), series(2, **SHARED, any_user=True)]
    world = state([pool_coupon(code="Monsoon", series_id=2)], both, fresh_codes={1: ["FRESH1"]})
    assert statuses(world, [redeem("Monsoon"), issue()]) == [OK, Code.EXCLUDED]


def test_shared_series_without_its_code_issues_nothing() -> None:
    assert statuses(state([], [series(client_handling_type=Handling.SHARED)]), [issue()]) == [NONE_LEFT]


# What is counted.


def test_issue_counts() -> None:
    world = fresh("FRESH1")
    world.series_issued = {1: 4}
    world.standings = {(1, 1): Standing(2, 3, NOW - 1, is_stored=True, issued=7, last_issued_ms=NOW - 9)}
    plan = decide(world, [issue()])
    new = plan.new_coupons[0].coupon
    assert world.series_issued == {1: 5}
    assert world.standings == {(1, 1): Standing(2, 3, NOW - 1, is_stored=True, issued=8, last_issued_ms=NOW)}
    assert (world.live, world.received) == ({(1, 1): (new.id,)}, {(1, 1): NOW})
    assert world.coupons == {new.id: new}


def test_last_issue_never_moves_back() -> None:
    """Another process's clock may be ahead of ours; the gap counts from the later one."""
    world = fresh("FRESH1")
    world.standings = {(1, 1): Standing(issued=1, last_issued_ms=NOW + 5, is_stored=True)}
    decide(world, [issue()])
    assert world.standings[1, 1].last_issued_ms == NOW + 5


@pytest.mark.parametrize("code", ["FRESH1", None])
def test_refused_issue_leaves_a_trace_and_nothing_else(code: str | None) -> None:
    world = fresh(*[code] if code else [], max_create=0)
    before = rows(world)
    plan = decide(world, [issue(request_id="r-1")])
    assert rows(world) == before
    assert [*plan.new_coupons, *plan.given_coupons, *plan.events, *plan.kept] == []
    (refusal,) = plan.refusals
    assert (refusal.status, refusal.series_id, refusal.customer_id) == (Code.SERIES_LIMIT_REACHED, 1, 1)
    assert (refusal.till_id, refusal.request_id, refusal.code_sent, refusal.coupon_id) == (11, "r-1", "", None)


# Expiry (rules 4): by the org's calendar, capped by the series.

ZONES: Final = [
    # Zone, now, and the local date there.
    ("Asia/Kolkata", "2031-03-10T06:30Z", "2031-03-10"),
    ("Pacific/Apia", "2031-03-10T10:59:59Z", "2031-03-10"),
    ("Pacific/Apia", "2031-03-10T11:00Z", "2031-03-11"),
    ("Etc/GMT-13", "2031-03-10T11:00Z", "2031-03-11"),
    ("Pacific/Pago_Pago", "2031-03-10T10:59:59Z", "2031-03-09"),
    ("Pacific/Pago_Pago", "2031-03-10T11:00Z", "2031-03-10"),
    ("America/Sao_Paulo", "2018-11-04T02:59:59Z", "2018-11-03"),
    ("America/Sao_Paulo", "2018-11-04T03:00Z", "2018-11-04"),  # a day that begins at one o'clock
    ("Africa/Cairo", "2031-10-30T20:59:59Z", "2031-10-30"),
    ("Africa/Cairo", "2031-10-30T21:30Z", "2031-10-30"),  # the hour before midnight, once more
    ("Africa/Cairo", "2031-10-30T22:00Z", "2031-10-31"),
]


@pytest.mark.parametrize(("zone", "now", "day"), ZONES)
@pytest.mark.parametrize("handling", list(Handling), ids=str)
def test_expiry_counts_from_the_local_date(zone: str, now: str, day: str, handling: Handling) -> None:
    """DAYS 0 is today wherever the org is; and it is alive to the end of that day, and no longer."""
    fields: dict[str, Any] = {"client_handling_type": handling, "generic_code": CODE, "zone": zone}
    fields |= {"valid_till_date": date(2040, 1, 1), "expiry_strategy_type": ExpiryStrategy.DAYS, "expiry_strategy_value": 0}
    here = ZoneInfo(zone)
    world = state([pool_coupon()], [series(**fields)], now_ms=ms(now), org=org(zone=here))
    world.pools, world.fresh_codes = {1: [coupon_id(1)]}, {1: ["FRESH1"]}
    plan = decide(world, [issue()])
    (given,) = (*plan.new_coupons, *plan.given_coupons)
    assert given.coupon.expires_local == f"{day}T23:59:59"
    world.coupon_ids[given.coupon.code, 0] = given.coupon.id
    assert statuses(world, [redeem(given.coupon.code)]) == [OK]


@pytest.mark.parametrize(
    ("strategy", "count", "until", "expires"),
    [
        ("DAYS", 0, date(2031, 12, 31), "2031-03-10T23:59:59"),
        ("DAYS", 1, date(2031, 12, 31), "2031-03-11T23:59:59"),
        ("DAYS", 30, date(2031, 12, 31), "2031-04-09T23:59:59"),
        ("DAYS", 30, date(2031, 3, 20), "2031-03-20T23:59:59"),
        ("DAYS", 30, date(2031, 3, 10), "2031-03-10T23:59:59"),
        ("MONTHS_END", 0, date(2031, 12, 31), "2031-03-31T23:59:59"),
        ("MONTHS_END", 1, date(2031, 12, 31), "2031-04-30T23:59:59"),
        ("MONTHS_END", 11, date(2032, 12, 31), "2032-02-29T23:59:59"),
        ("MONTHS_END", 11, date(2031, 12, 31), "2031-12-31T23:59:59"),
        ("SERIES_EXPIRY", 1, date(2031, 12, 31), None),
    ],
)
def test_expiry_by_strategy(strategy: str, count: int, until: date, expires: str | None) -> None:
    """What is kept, and what is answered: a coupon that follows its series shows the series' own."""
    world = fresh("FRESH1", expiry_strategy_type=ExpiryStrategy(strategy), expiry_strategy_value=count, valid_till_date=until)
    plan = decide(world, [issue()])
    assert plan.new_coupons[0].coupon.expires_local == expires
    (item,) = told(IssueAnswer, plan.outcomes[0]).items
    assert item.coupons[0].expires_local == expires or f"{until}T23:59:59"


def test_expiry_is_capped_by_the_campaigns_end() -> None:
    world = fresh("FRESH1", owner_validity=ms("2031-03-12 10:00"), expiry_strategy_type="DAYS", expiry_strategy_value=30)
    assert decide(world, [issue()]).new_coupons[0].coupon.expires_local == "2031-03-12T10:00:00"


# Who is told (J13).

ISSUED: Final = "CouponIssue"
MESSAGE: Final = "IssueMessage"


@pytest.mark.parametrize(
    ("terms", "person", "names", "warnings"),
    [
        ({}, {}, [ISSUED, MESSAGE], ()),
        ({}, {"mobile": None, "email": "mira@example.com"}, [ISSUED, MESSAGE], ()),
        ({}, {"mobile": None}, [ISSUED], (Code.NOT_COMMUNICATED,)),
        ({"is_sms_disabled": True}, {}, [ISSUED], ()),
        ({"is_sms_disabled": True}, {"mobile": None}, [ISSUED], ()),
    ],
)
def test_who_is_told(terms: dict[str, Any], person: dict[str, Any], names: list[str], warnings: tuple[Code, ...]) -> None:
    world = state([], [series(**terms)], [customer(1, **person)], fresh_codes={1: ["FRESH1"]})
    plan = decide(world, [issue(customer=(("id", "1"),), request_id="r-1")])
    new = plan.new_coupons[0].coupon
    assert plan.events == [Event(name, new.id, 1, "r-1") for name in names]
    (item,) = told(IssueAnswer, plan.outcomes[0]).items
    assert item.warnings == warnings


def test_several_coupons_are_one_event_and_one_message() -> None:
    world = fresh("FRESH1", "FRESH2", "FRESH3", is_multiple_vouchers_per_user_allowed=True)
    plan = decide(world, [issue(form="several", count=3)])
    ids = tuple(each.coupon.id for each in plan.new_coupons)
    assert [(each.name, each.subject_id, each.subject_ids) for each in plan.events] == [
        (ISSUED, ids[0], ids),
        (MESSAGE, ids[0], ids),
    ]


def test_coupon_sent_again_is_a_message_and_no_issue() -> None:
    world = state([coupon()], [series(do_not_resend_existing_voucher=False)], live={(1, 1): (coupon_id(1),)})
    before = rows(world)
    plan = decide(world, [issue()])
    assert [(each.name, each.subject_id) for each in plan.events] == [("ResendMessage", coupon_id(1))]
    assert [*plan.new_coupons, *plan.given_coupons, *plan.refusals] == []
    assert rows(world) == before


@pytest.mark.parametrize("record", [{"redeemed": 1, "uses": 1}, {"expires_local": "2031-03-09T23:59:59"}])
def test_record_that_is_of_no_use_is_not_sent_again(record: dict[str, Any]) -> None:
    """Of a shared code there is one record, so nothing can be issued; but a used coupon in the post helps nobody."""
    own = coupon(2, "Monsoon", holder_id=1, **record)
    again = series(**SHARED, do_not_resend_existing_voucher=False)
    world = state([pool_coupon(code="Monsoon"), own], [again], live={(1, 1): (own.id,)})
    assert statuses(world, [issue()]) == [Code.HOLDS_A_COUPON]


def test_nothing_is_sent_again_where_resending_is_off() -> None:
    again = series(do_not_resend_existing_voucher=False, resend_message_enabled=False)
    assert statuses(state([coupon()], [again], live={(1, 1): (coupon_id(1),)}), [issue()]) == [Code.HOLDS_A_COUPON]


def test_newest_of_several_is_sent_again() -> None:
    """A series that allowed several once may have left its customers more than one."""
    held = [coupon(serial, f"OLD{serial}") for serial in (3, 2, 5)]
    world = state(held, [series(do_not_resend_existing_voucher=False)], live={(1, 1): tuple(each.id for each in held)})
    assert codes(decide(world, [issue()])) == ["OLD5"]
