"""The past as explain sees it is the past as it was: every answer that the ledger gave is explained by the same code."""

from random import Random
from typing import Any

import pytest
from sqlalchemy import event

from couponry.core.explain import explain
from couponry.core.status import Code
from couponry.store.engine import Database
from couponry.store.history import Look, Question, look
from couponry.store.refusals import Wanted, page
from couponry.store.replay import Replayed, Supposed, replayed
from tests.ledger.desk import Desk
from tests.store.played import SERIES, Fact, History
from tests.store.test_statements import is_walk

STEPS = 60


def question(history: History, fact: Fact, at_ms: int) -> Question:
    return Question(
        org=history.org(),
        name=fact.code.lower(),
        customer=(("id", str(fact.customer_id)),),
        till_code=fact.till,
        asked_ms=history.now_ms,
        now_ms=at_ms,
        at_ms=fact.at_ms,
        amount=fact.amount,
    )


def explained(history: History, fact: Fact, at_ms: int) -> Code:
    with history.database.reading() as tx:
        found = look(tx, question(history, fact, at_ms))
    assert isinstance(found, Look)
    return explain(found.asked, found.world).code


@pytest.mark.parametrize("seed", range(6))
def test_the_past_is_explained_as_it_was_answered(database: Database, seed: int) -> None:
    """At the instant of a refusal, and a moment before a success, which is no longer new a moment later."""
    with Desk(database.url) as desk:
        history = History(database, desk, Random(seed))
        history.open()
        history.play(STEPS)
        told = [
            (fact, explained(history, fact, fact.at_ms - 1 if fact.status is Code.PROCESSED else fact.at_ms))
            for fact in history.facts
        ]
    assert [code for _, code in told] == [fact.status for fact, _ in told]
    assert len({fact.status for fact, _ in told}) > 4
    assert sum(fact.status is Code.PROCESSED for fact, _ in told) > 4


@pytest.mark.parametrize("seed", range(3))
def test_the_present_is_explained_as_it_will_be_answered(database: Database, seed: int) -> None:
    """Explained first, then redeemed."""
    with Desk(database.url) as desk:
        history = History(database, desk, Random(seed))
        history.open()
        for _ in range(STEPS // 3):
            history.play(2)
            till, command = history.command()
            assert command.items[0].code
            assert command.amount is not None
            fact = Fact(
                command.items[0].code, int(command.customer[0][1]), till, command.amount, history.now_ms, Code.PROCESSED, 0
            )
            expected = explained(history, fact, history.now_ms)
            assert desk.answer(command).items[0].status is expected


def test_statements_do_not_depend_on_the_data(database: Database) -> None:
    """Prevents the statement per row; a long history costs what a short one does."""
    counts: set[int] = set()
    with Desk(database.url) as desk:
        history = History(database, desk, Random(1))
        history.open()
        statements: list[str] = []
        event.listen(database.engine, "before_cursor_execute", lambda _c, _u, statement, *_: statements.append(statement))
        for _ in range(3):
            history.play(STEPS)
            fact = history.facts[0]
            before = question(history, fact, fact.at_ms)
            statements.clear()
            with database.reading() as tx:
                found = look(tx, before)
            assert isinstance(found, Look)
            assert found.world.coupon
            counts.add(len([statement for statement in statements if not statement.startswith("BEGIN")]))
    assert counts == {14}


def test_orgs_are_kept_apart(database: Database) -> None:
    """Two orgs with the same codes, customers and ids: one's history is nothing to the other."""
    with Desk(database.url) as desk:
        ours, theirs = (History(database, desk, Random(1), org_id) for org_id in (1, 2))
        ours.open()
        theirs.open()
        ours.play(STEPS)
    used = next(fact for fact in ours.facts if fact.status is Code.PROCESSED)
    unused = Fact("A1", 1, "t11", used.amount, ours.now_ms, Code.PROCESSED, 0)
    with database.reading() as tx:
        found = look(tx, question(theirs, unused, ours.now_ms))
        assert isinstance(found, Look)
        assert (found.world.standing.redeemed, found.world.series_redeemed) == (0, 0)
        assert found.world.coupon
        assert found.world.coupon.redeemed == 0
        assert page(tx, Wanted(2, "", (), "", None, 500)).refusals == []
        assert page(tx, Wanted(1, "", (), "", None, 500)).refusals
        for series_id in SERIES:
            told = replayed(tx, Supposed(theirs.org(), series_id, {}, 366, ours.now_ms))
            assert isinstance(told, Replayed)
            assert told.replay.redemptions == 0


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_sqlite_looks_every_row_up_by_its_key(database: Database) -> None:
    """Prevents a plan that walks through an org's rows, for want of statistics."""
    statements: dict[str, Any] = {}
    with Desk(database.url) as desk:
        history = History(database, desk, Random(1))
        history.open()
        history.play(STEPS)
    event.listen(
        database.engine,
        "before_cursor_execute",
        lambda _c, _u, statement, parameters, *_: statements.setdefault(statement, parameters),
    )
    known = (
        ("mobile", "919812300001"),
        ("externalId", "E"),
        ("email", "e"),
        ("cardnumber", "1"),
        ("cardExternalId", "1"),
        ("id", "1"),
    )
    with database.reading() as tx:
        for fact in history.facts[:20]:
            look(tx, question(history, fact, fact.at_ms))
            look(tx, question(history, fact, history.now_ms))
        shown = look(tx, question(history, history.facts[0], history.now_ms))
        assert isinstance(shown, Look)
        assert shown.world.coupon
        by_id = Question(history.org(), str(shown.world.coupon.id), known, "t11", 9, 9, 9)
        look(tx, by_id)
        for series_id in SERIES:
            replayed(tx, Supposed(history.org(), series_id, {"minBillAmount": 60}, 366, history.now_ms))
        for name, customer, till in (("A1", known, ""), ("NOSUCH", (), "t11"), ("", (), "")):
            page(tx, Wanted(1, name, customer, till, None, 2))
            page(tx, Wanted(1, name, customer, till, 2**53, 500))
    plans: dict[str, list[str]] = {}
    with database.reading() as tx:
        for statement, parameters in list(statements.items()):
            if statement.startswith(("SELECT", "WITH")):
                found = tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans[statement] = [row.detail for row in found]
    assert len(plans) > 20
    # A chain of zones or concepts is a result and not a table; a page of all refusals walks
    # the newest of them, by their key. An org's labels are few.
    own = (
        "SCAN chain",
        "SEARCH refusal USING PRIMARY KEY (org_id=? AND id<?)",
        "SEARCH status_label",
    )
    walks = {text: [step for step in steps if is_walk(step) and not step.startswith(own)] for text, steps in plans.items()}
    assert not {text: steps for text, steps in walks.items() if steps}
    indexes = (
        "ix_redemption_series",
        "ix_redemption_reversed",
        "ix_refusal_coupon",
        "uq_redemption_use",
        "uq_redemption_customer_use",
    )
    used = " ".join(step for steps in plans.values() for step in steps)
    assert [index for index in indexes if index not in used] == []
