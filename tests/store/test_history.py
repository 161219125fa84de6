"""The past as explain sees it is the past as it was: every answer that the ledger gave is explained by the same code."""

from random import Random

import pytest
from sqlalchemy import event

from couponry.core.explain import explain
from couponry.core.status import Code
from couponry.store.engine import Database
from couponry.store.history import Look, Question, look
from tests.ledger.desk import Desk
from tests.store.played import Fact, History

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
