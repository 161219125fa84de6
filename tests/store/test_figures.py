"""Figures are what happened: kept by tills and jobs, filled in for what is older, and read by key."""

from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from alembic import command
from sqlalchemy import event, text

from couponry.core.figures import Period
from couponry.core.model import AfterReversal, ExpiryStrategy
from couponry.core.series import Series
from couponry.core.status import Code
from couponry.store import doctor, figures, migrate
from couponry.store.engine import Database
from couponry.store.figures import Figures, Funnel
from tests.core.world import DAY_MS, NOW, ORG, coupon, place, redeem, series
from tests.ledger.desk import in_one_batch
from tests.ledger.orders import amend, issue, reverse, revoke
from tests.ledger.rows import count_days, open_shop, run_sql
from tests.store.test_migrations import revisions
from tests.store.test_statements import is_walk

TODAY = date(2031, 3, 10)
DAY = Period(TODAY, TODAY)
WEEK = Period(TODAY - timedelta(6), TODAY)
FIFTEEN: dict[str, Any] = {"discount_type": "PERC", "discount_value": Decimal(15), "discount_upto": Decimal(200)}


@pytest.fixture
def shop(database: Database) -> Database:
    open_shop(
        database,
        series(1, **FIFTEEN, reversal_policy={"CHARGEBACK": AfterReversal("consumed")}),
        series(2, discount_value=Decimal(50)),
        series(3),
        *(coupon(number, f"A{number}", series_id=1) for number in range(1, 6)),
        coupon(9, "B", series_id=2),
    )
    count_days(database)
    return database


def redeemed(shop: Database, *codes: str, now_ms: int = NOW, **fields: Any) -> list[int]:
    """Each on a bill of its own."""
    asked = [redeem(code, transaction_number=f"T{code}", **fields) for code in codes]
    answers = [outcome.answer for outcome in in_one_batch(shop, *asked, now_ms=now_ms)]
    return [item.redemption_id for answer in answers for item in answer.items]  # type: ignore[union-attr] # redeems


def on(shop: Database, period: Period = DAY, **of: int) -> Figures:
    with shop.reading() as tx:
        return figures.total(figures.by_day(tx, ORG, period, **of), period)


def test_what_tills_do_is_counted(shop: Database) -> None:
    first, second, _ = redeemed(shop, "A1", "A2", "B", place=place(store_id=21))
    redeemed(shop, "A3", "NOSUCH", amount=Decimal(100), place=place(store_id=22))
    assert on(shop) == Figures(redeemed=4, refused=1, discount=Decimal(200 + 200 + 50 + 15))
    assert on(shop, series_id=1) == Figures(redeemed=3, discount=Decimal(415))
    assert on(shop, store_id=22) == Figures(redeemed=1, refused=1, discount=Decimal(15))
    # A day later one of them is undone, and another too, whose use stays consumed.
    (later,) = in_one_batch(shop, reverse(first), now_ms=NOW + DAY_MS)
    assert later.answer.status is Code.PROCESSED
    in_one_batch(shop, reverse(second, reason="CHARGEBACK"), now_ms=NOW + DAY_MS)
    tomorrow = Period(TODAY + timedelta(1), TODAY + timedelta(1))
    assert on(shop, tomorrow, store_id=21) == Figures(reversed=1, discount=Decimal(-200))
    with shop.reading() as tx:
        ever = figures.by_store(tx, ORG, 1)
        assert ever == {21: Figures(redeemed=2, reversed=1, discount=Decimal(200)), 22: Figures(redeemed=1, discount=Decimal(15))}
        assert figures.per_series(tx, ORG, DAY).keys() == {1, 2}
        assert figures.per_store(tx, ORG, DAY).keys() == {21, 22}
        assert figures.refusals(tx, ORG) == {"UNKNOWN_COUPON": 1}
        assert figures.refusals(tx, ORG, series_id=1) == {}
    assert of_days(shop) == []


def of_days(shop: Database) -> list[doctor.Difference]:
    """What the doctor finds wrong with the figures; other counters are none of this page's business."""
    return [one for one in doctor.check(shop).differences if one.counter.startswith("daily")]


def test_issued_and_revoked(shop: Database) -> None:
    in_one_batch(shop, issue(3), issue(3, customer=(("id", "2"),)), revoke("A5", series_id=1))
    assert on(shop) == Figures(issued=2, revoked=1)
    with shop.reading() as tx:
        assert figures.per_store(tx, ORG, DAY) == {21: Figures(issued=2)}
    assert of_days(shop) == []


def test_another_bill_changes_no_discount(shop: Database) -> None:
    (made,) = redeemed(shop, "A1")
    in_one_batch(shop, amend(made, amount=Decimal(10)))
    in_one_batch(shop, reverse(made))
    assert on(shop) == Figures(redeemed=1, reversed=1)
    assert of_days(shop) == []


def test_processes_count_in_rows_of_their_own(shop: Database) -> None:
    redeemed(shop, "A1")
    run_sql(shop, "UPDATE daily_figure SET stripe = 7", "UPDATE daily_refusal SET stripe = 7")
    redeemed(shop, "A2")
    assert on(shop).redeemed == 2
    assert of_days(shop) == []


@pytest.mark.parametrize(
    ("terms", "issued_ago", "redeemed_of_them", "expired"),
    [
        ({"valid_till_date": date(2031, 4, 1)}, 40, 0, 0),
        ({"valid_till_date": date(2031, 3, 9)}, 40, 0, 5),
        ({"valid_till_date": date(2031, 3, 9)}, 40, 2, 3),
        ({"expiry_strategy_type": ExpiryStrategy.DAYS, "expiry_strategy_value": 10}, 11, 1, 4),
        ({"expiry_strategy_type": ExpiryStrategy.DAYS, "expiry_strategy_value": 10}, 10, 0, 0),
        ({"expiry_strategy_type": ExpiryStrategy.MONTHS_END, "expiry_strategy_value": 0}, 10, 0, 5),  # 28 February
        ({"expiry_strategy_type": ExpiryStrategy.MONTHS_END, "expiry_strategy_value": 1}, 10, 0, 0),
    ],
)
def test_how_far_coupons_came(
    database: Database, terms: dict[str, Any], issued_ago: int, redeemed_of_them: int, expired: int
) -> None:
    one: Series = series(1, **{"valid_till_date": date(2099, 1, 1), **terms})
    held = [coupon(number, f"A{number}", series_id=1, issued_ms=NOW - issued_ago * DAY_MS) for number in range(1, 6)]
    open_shop(database, one, *held)
    run_sql(database, "UPDATE series_counter SET issued = 5, uploaded = 7")
    count_days(database)
    codes = [f"A{number}" for number in range(1, 1 + redeemed_of_them)]
    if codes:
        redeemed(database, *codes, now_ms=NOW - (issued_ago - 1) * DAY_MS)
    with database.reading() as tx:
        found = figures.funnel(tx, ORG, one, NOW)
    assert found == Funnel(7, 5, redeemed_of_them, 0, 0, expired)


HISTORY = """
INSERT INTO org (id, name, time_zone, currency, country_code, settings, version, created_ms)
VALUES (7, 'Shop', 'Asia/Kolkata', 'INR', '91', '{{}}', 1, 0);
INSERT INTO store (org_id, id, code, name, is_active) VALUES (7, 21, 's', 's', true);
INSERT INTO till (org_id, id, code, name, store_id, password_hash, is_active) VALUES (7, 11, 't', 't', 21, '', true);
INSERT INTO series (org_id, id, code_key, version, created_ms) VALUES (7, 1, 'S', 2, 0);
INSERT INTO series_version (org_id, series_id, version, terms, created_ms) VALUES (7, 1, 1, '{terms}', 0);
INSERT INTO coupon (org_id, id, series_id, code, code_key, issued_ms, created_ms, redeemed, uses)
VALUES (7, 5, 1, 'A', 'A', {midnight} - 1, 0, 1, 2);
INSERT INTO redemption (org_id, id, coupon_id, use_number, series_id, series_version, customer_id, customer_use_number, till_id,
                        store_id, redeemed_ms, amount, transaction_number, request_id, reversed_ms)
VALUES (7, 1, 5, 1, 1, 1, 3, 1, 11, 21, {midnight}, 1000000, '', '', {midnight} + 1),
       (7, 2, 5, 2, 1, 1, 3, 2, 11, 21, {midnight} + 2, 2000000, '', '', NULL);
INSERT INTO refusal (org_id, id, status, code_sent, series_id, till_id, transaction_number, refused_ms, request_id)
VALUES (7, 1, 'SERIES_EXPIRED', 'A', 1, 11, '', {midnight}, ''), (7, 2, 'UNKNOWN_COUPON', 'X', NULL, 11, '', {midnight}, '')
"""


def test_what_is_older_than_the_figures_is_counted(database_url: str) -> None:
    """0008: discounts by the terms of their time, refusals at their tills' stores, all on the org's own days."""
    terms = '{"description":"x","seriesCode":"S","zone":"UTC","discountType":"PERC","discountValue":"15","discountUpto":"200"}'
    midnight = NOW - 12 * 3_600_000
    with closing(Database(database_url)) as database:
        with database.writing() as tx:
            command.upgrade(revisions(tx.connection), "0007")
            for statement in HISTORY.format(terms=terms, midnight=midnight).replace(":", r"\:").split(";"):
                tx.connection.execute(text(statement))
        migrate.upgrade(database)
        with database.reading() as tx:
            days = figures.by_day(tx, 7, WEEK)
            assert figures.per_store(tx, 7, WEEK) == {21: Figures(redeemed=2, reversed=1, refused=2, discount=Decimal(200))}
            assert figures.refusals(tx, 7, series_id=1) == {"SERIES_EXPIRED": 1}
        assert days == {
            TODAY - timedelta(1): Figures(issued=1),
            TODAY: Figures(redeemed=2, reversed=1, refused=2, discount=Decimal(200)),
        }
        assert of_days(database) == []


@pytest.fixture
def plans(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """The selects that are asked."""
    seen: list[tuple[str, Any]] = []

    def keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _is_many: bool) -> None:
        if "daily_" in statement:
            seen.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", keep)
    yield seen
    event.remove(database.engine, "before_cursor_execute", keep)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_figures_are_found_by_key(shop: Database, plans: list[tuple[str, Any]]) -> None:
    """Prevents a page that goes through all days there ever were."""
    with shop.reading() as tx:
        figures.by_day(tx, ORG, WEEK, series_id=1)
        figures.per_series(tx, ORG, WEEK)
        figures.per_store(tx, ORG, WEEK)
        figures.by_store(tx, ORG, 1)
        figures.refusals(tx, ORG, WEEK, series_id=1)
        asked = list(plans)
        for statement, parameters in asked:
            steps = [row.detail for row in tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            assert not any(map(is_walk, steps)), steps
            assert any("day" in step for step in steps), steps
    assert len(asked) == 5
