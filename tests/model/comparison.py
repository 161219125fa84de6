"""What the ledger told against what the auditor says was due."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import event

from couponry.core.plan import AmendAnswer, Answer, IssueAnswer, Outcome, RedateAnswer, ReverseAnswer, RevokeAnswer
from tests.model.facts import Given


def compare(outcome: Outcome, due: Any) -> None:
    """What was told, and what the auditor says was due: by numbers."""
    match outcome.answer:
        case Answer(status, items):
            told, replayed = due
            assert (status.number, [item.status.number for item in items], outcome.replayed) == (
                told.status,
                told.items,
                replayed,
            )
        case IssueAnswer():
            compare_issue(outcome.answer, due)
        case ReverseAnswer(status):
            assert status.number == due
        case RevokeAnswer(status) if status.number != 700:
            assert status.number == due
        case RevokeAnswer(_, revoked, failed):
            assert Counter([700] * len(revoked) + [code.number for code, _ in failed]) == Counter(due)
        case RedateAnswer(status) if status.number != 700:
            assert status.number == due
        case RedateAnswer(_, items):
            assert [700 if code is None else code.number for code in items] == due
        case AmendAnswer(_, items):
            assert [item.status.number for item in items] == due
        case _:
            pytest.fail("checks are compared apart")
    event(f"{type(outcome.answer).__name__} {outcome.answer.status.number} {outcome.replayed}")


def compare_issue(answer: IssueAnswer, due: int | list[Given]) -> None:
    """And the codes, which the auditor learns from what is told."""
    if isinstance(due, int):
        assert (answer.status.number, answer.items) == (due, ())
        return
    if len(due) == 1 and due[0].status != 700 and not answer.items:
        assert answer.status.number == due[0].status
        return
    assert len(answer.items) == len(due)
    for item, given in zip(answer.items, due, strict=True):
        assert (item.status.number, len(item.coupons)) == (given.status, len(given.coupons)), given
        assert (item.cut.number if item.cut else None) == given.cut
        assert any(code.name == "RESENT" for code in item.warnings) == given.is_sent_again
        for told, coupon in zip(item.coupons, given.coupons, strict=True):
            coupon.code = coupon.code or told.code
            assert told.code == coupon.code
