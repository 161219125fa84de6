"""What every verb has in common while a batch is folded: state and plan so far, and how to undo the request at hand."""

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from couponry.core import idempotency
from couponry.core.commands import Issue, Redeem
from couponry.core.model import Customer, Identifier, Org
from couponry.core.plan import Answer, IssueAnswer, Kept, Outcome, Plan, failure
from couponry.core.rules.customer import consistent, found
from couponry.core.state import State, StoredAnswer
from couponry.core.status import Code


class Fold:
    """State and plan, changed only through `put` and the plan's lists, so that a refused request leaves no trace."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.plan = Plan(state.now_ms)
        self._rows = self.plan.undoable()
        self._rows_kept = [0] * len(self._rows)
        self._undo: list[tuple[dict[Any, Any], Any, Any]] = []

    def matched(self, identifiers: Iterable[Identifier]) -> list[Customer | None]:
        """The customers that identifiers resolve to, None for one that resolves to nobody."""
        return [self.state.customers.get(identifier) for identifier in identifiers]

    def one_customer(self, identifiers: Iterable[Identifier]) -> Customer | Code:
        """The one usable customer that all the identifiers mean: 721, then 701."""
        matched = self.matched(identifiers)
        refused = consistent(matched) or found(matched)
        if refused:
            return refused
        assert matched[0] is not None, "found says so"
        return matched[0]

    def put(self, table: dict[Any, Any], key: object, value: object) -> None:
        """Set an entry of the state until the request is taken back."""
        self._undo.append((table, key, table.get(key)))
        table[key] = value

    def keep(self) -> None:
        """The request at hand is done: later ones see it."""
        self._undo.clear()
        self._rows_kept = [len(rows) for rows in self._rows]

    def take_back(self) -> None:
        """Leave neither a count nor a row of the request at hand."""
        for table, key, before in reversed(self._undo):
            if before is None:
                del table[key]
            else:
                table[key] = before
        self._undo.clear()
        for rows, kept in zip(self._rows, self._rows_kept, strict=True):
            del rows[kept:]

    def once(self, org: Org, command: Redeem | Issue, digest: str | None, judge: Callable[[], Answer | IssueAnswer]) -> Outcome:
        """The first answer if this request was answered before, else judge it, and keep the answer under its key (README 10)."""
        stored = self.state.answers.get(digest) if digest else None
        if stored and idempotency.still_counts(stored, command, org, self.state.now_ms, self.state.reversed_ids):
            if stored.fingerprint != idempotency.request_fingerprint(command):
                return failure(command, Code.INVALID_INPUT)
            return Outcome(self._as_known(stored.answer, command), replayed="true" if command.key else "derived")
        answer = judge()
        is_kept = not answer.status.is_service_failure if command.key else answer.status is Code.PROCESSED
        if digest and is_kept:
            is_stored = stored is not None and stored.is_stored
            fingerprint = idempotency.request_fingerprint(command)
            kept = idempotency.impersonal(answer)
            self.plan.kept.append(Kept(digest, fingerprint, kept, replaces=is_stored))
            self.state.answers[digest] = StoredAnswer(fingerprint, self.state.now_ms, kept, is_stored)
        return Outcome(answer)

    def _as_known(self, answer: Answer | IssueAnswer, command: Redeem | Issue) -> Answer | IssueAnswer:
        """An answer with its customer as known by now; with none, if the identifiers no longer mean who it was."""
        if answer.customer is None:
            return answer
        was_id = answer.customer.id
        matched = self.matched(command.customer or ())
        return replace(answer, customer=next((each for each in matched if each and each.id == was_id and not each.gone), None))
