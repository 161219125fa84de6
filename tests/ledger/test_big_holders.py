"""A customer with far more coupons of one series than usual: what a batch loads of them, and that it decides the same."""

from collections.abc import Sequence
from itertools import count

import pytest

from couponry.core.commands import Command
from couponry.core.plan import IssueAnswer
from couponry.core.state import State
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store.engine import Database
from couponry.store.load import Loader
from tests.core.world import CODE, NOW, ORG, coupon, coupon_id, items, redeem, series
from tests.ledger.desk import in_one_batch
from tests.ledger.orders import issue, reverse, revoke
from tests.ledger.rows import count_issued, miscounts, open_shop, rows

MANY = 60
LAST = MANY // 2
"""Issued last, and neither the first nor the last by its id."""


@pytest.fixture
def shop(database: Database) -> Database:
    """Mira's live coupons of series 1, which sends one again; series 2 excludes it; series 3 has a gap."""
    open_shop(
        database,
        series(1, do_not_resend_existing_voucher=False),
        series(2, mutual_exclusive_series_ids="[1]"),
        series(3, is_multiple_use_allowed=True, same_user_multiple_redeem=True),
        *(coupon(at, f"C{at}", issued_ms=NOW - abs(LAST - at) - 1) for at in range(1, MANY + 1)),
        coupon(MANY + 1, CODE, series_id=3),
    )
    count_issued(database)
    return database


def loaded(database: Database, *commands: Command) -> State:
    with database.writing() as tx:
        return Loader(tx.dialect).load(tx, ORG, commands, now_ms=NOW, redemption_ids=count(1), coupon_ids=count(10**6))


def issued(database: Database, *commands: Command) -> Sequence[tuple[Code, list[int]]]:
    answers = [outcome.answer for outcome in in_one_batch(database, *commands)]
    return [
        (answer.status, [each.coupon_id for item in answer.items for each in item.coupons])
        for answer in answers
        if isinstance(answer, IssueAnswer)
    ]


def test_as_much_is_loaded_as_the_batch_can_use_up(shop: Database) -> None:
    """Prevents a write lane that reads a hundred thousand coupons to learn that there is one."""
    assert loaded(shop, issue(1)).live == {(1, 1): (coupon_id(LAST),)}
    state = loaded(shop, issue(1), redeem("C1", "C2"), revoke("C3"))
    assert len(state.live[1, 1]) == 4
    assert loaded(shop, issue(2)).received == {(1, 1): NOW - 1}


def test_coupon_issued_last_is_sent_again_unless_the_batch_used_it(shop: Database) -> None:
    """However many of the last ones are redeemed or revoked before: the next one is found."""
    assert issued(shop, issue(1)) == [(Code.PROCESSED, [coupon_id(LAST)])]
    near = [f"C{at}" for at in (LAST, LAST + 1, LAST - 1, LAST + 2)]
    told = issued(shop, redeem(*near[:2], transaction_number="1"), revoke(*near[2:]), issue(1))
    assert told == [(Code.PROCESSED, [coupon_id(LAST - 2)])]
    assert miscounts(shop) == []


def test_latest_redemption_that_is_left_sets_the_gap(shop: Database) -> None:
    for bill in range(6):
        in_one_batch(shop, redeem(items=items(CODE), transaction_number=f"bill {bill}"), now_ms=NOW + bill)
    made = {row["id"]: row["redeemed_ms"] for row in rows(shop, t.redemption)}
    first, *_, third, second, last = made
    state = loaded(shop, reverse(last))
    assert state.active == {(1, 3): {each: made[each] for each in (second, last)}}
    assert [told.answer.status for told in in_one_batch(shop, reverse(last, first), reverse(second))] == [Code.PROCESSED] * 2
    (standing,) = (row for row in rows(shop, t.customer_series) if row["series_id"] == 3)
    assert standing["last_redeemed_ms"] == made[third]
    assert miscounts(shop) == []


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_sqlite_reads_the_last_issued_in_the_order_of_the_index(shop: Database) -> None:
    """Prevents a sort of everything that a customer holds."""
    with shop.reading() as tx:
        loader = Loader(tx.dialect)
        for keyed, key in ((loader.selects.live_coupons, (1, 1, "", 1)), (loader.selects.received, (1, 1))):
            bound = {**keyed.read.constants, **keyed.keys.bound([key]), "org": ORG, "most": 1}
            arguments = tuple(bound[name] for name in keyed.read.names)
            plan = tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {keyed.read.sql}", arguments).all()
            within = [row.detail for row in plan if row.parent]
            assert any("ix_coupon_customer (org_id=? AND customer_id=? AND series_id=?)" in step for step in within), plan
            assert not any("ORDER BY" in step for step in within), plan
