"""What the side-effects hook has still to be told: written with the redemption, found and taken away by key."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event

from couponry.core.plan import Answer
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store import side_effects
from couponry.store.engine import Database, WriteTransaction
from tests.core.world import CODE, ORG, redeem
from tests.ledger.desk import Desk
from tests.ledger.rows import open_shop, rows, run_sql


@pytest.fixture
def desk(database: Database) -> Any:
    with Desk(database.url) as open_desk:
        yield open_desk


def told(database: Database) -> list[tuple[str, int]]:
    return sorted((row["event"], row["subject_id"]) for row in rows(database, t.outbox))


def test_row_is_written_with_the_redemption(desk: Desk, database: Database) -> None:
    open_shop(database)
    answer = desk.answer(redeem(has_side_effects=True))
    assert isinstance(answer, Answer)
    (item,) = answer.items
    assert told(database) == [("CouponRedeem", item.redemption_id), ("SideEffects", item.redemption_id)]


def test_only_when_asked_for_and_redeemed(desk: Desk, database: Database) -> None:
    open_shop(database)
    assert desk.answer(redeem(CODE, "NOSUCH", has_side_effects=True)).status is Code.BATCH_REFUSED
    assert not told(database)
    assert desk.answer(redeem()).status is Code.PROCESSED
    assert [name for name, _ in told(database)] == ["CouponRedeem"]


def test_no_redemption_without_the_row(desk: Desk, database: Database) -> None:
    """What cannot be written to be told is not redeemed (793)."""
    open_shop(database)
    if database.is_sqlite:
        run_sql(
            database,
            "CREATE TRIGGER no_effects BEFORE INSERT ON outbox WHEN NEW.event = 'SideEffects' "
            "BEGIN SELECT RAISE(ABORT, 'no'); END",
        )
    else:
        run_sql(database, "ALTER TABLE outbox ADD CONSTRAINT no_effects CHECK (event <> 'SideEffects')")
    assert desk.answer(redeem(has_side_effects=True)).status.is_service_failure
    assert not rows(database, t.redemption)
    assert not told(database)


def test_forgotten_by_redemption_and_org(desk: Desk, database: Database) -> None:
    open_shop(database)
    (item,) = desk.answer(redeem(has_side_effects=True)).items
    redemption_id = item.redemption_id
    with database.writing() as tx:
        assert side_effects.waiting(tx, org_id=ORG, redemption_ids=[1, redemption_id])
        assert not side_effects.waiting(tx, org_id=ORG, redemption_ids=[1])
        assert not side_effects.waiting(tx, org_id=ORG + 1, redemption_ids=[redemption_id])
        side_effects.forget(tx, org_id=ORG + 1, redemption_ids=[redemption_id])
        side_effects.forget(tx, org_id=ORG, redemption_ids=[1])
        assert side_effects.waiting(tx, org_id=ORG, redemption_ids=[redemption_id])
        side_effects.forget(tx, org_id=ORG, redemption_ids=[redemption_id])
        assert not side_effects.waiting(tx, org_id=ORG, redemption_ids=[redemption_id])
    assert told(database) == [("CouponRedeem", redemption_id)]


@pytest.mark.parametrize("number", [1, 100])
def test_two_statements_by_key(desk: Desk, database: Database, number: int) -> None:
    open_shop(database)
    (item,) = desk.answer(redeem(has_side_effects=True)).items
    ids = range(item.redemption_id, item.redemption_id + number)
    seen = statements_of(database, partial(side_effects.forget, org_id=ORG, redemption_ids=ids))
    assert len(seen) == 2
    if database.is_sqlite:
        with database.reading() as tx:
            plans = [
                [row.detail for row in tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
                for statement, parameters in seen
            ]
        assert "SEARCH outbox USING INDEX ix_outbox_side_effects (org_id=? AND subject_id=?)" in plans[0]
        assert plans[1] == ["SEARCH outbox USING PRIMARY KEY (org_id=? AND id=?)"]


def statements_of(database: Database, work: Callable[[WriteTransaction], object]) -> Sequence[tuple[str, Any]]:
    seen: list[tuple[str, Any]] = []

    def keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _is_many: bool) -> None:
        if not statement.startswith("BEGIN"):
            seen.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", keep)
    with database.writing() as tx:
        seen.clear()
        work(tx)
        found = list(seen)
    event.remove(database.engine, "before_cursor_execute", keep)
    return found
