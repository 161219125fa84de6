"""A command on its way through the ledger, and the future that its caller waits on."""

import math
from asyncio import AbstractEventLoop, Future
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

from couponry.core.commands import Command
from couponry.core.plan import Outcome
from couponry.store.written import Written


class LostCommit(NamedTuple):
    """A commit whose connection broke: a row that it wrote, if it happened, and then the outcome."""

    written: Written
    outcome: Outcome


@dataclass(slots=True, eq=False)
class Entry:
    """One command waiting for its outcome.

    Either its lane seals it, just before the commit, or the budget runs out and it is given up; the lock decides which, so a
    caller who was told 748 was not redeemed for. It stays sealed while its commit may have happened.
    """

    command: Command
    future: "Future[Outcome]"
    loop: AbstractEventLoop
    deadline_s: float
    patient_until_s: float = math.inf
    """When it has waited long enough for a lock, behind others' waits too."""
    is_given_up: bool = False
    is_sealed: bool = False
    lost: LostCommit | None = None
    lock: Lock = field(default_factory=Lock)

    def seal(self) -> bool:
        """From now on the outcome will be the lane's. False when the caller has been given up."""
        with self.lock:
            self.is_sealed = not self.is_given_up
            return self.is_sealed

    def unseal(self) -> None:
        """The commit did not happen: the budget counts again."""
        self.is_sealed = self.lost is not None

    def give_up(self) -> bool:
        """Stop waiting, unless the lane has sealed the outcome."""
        with self.lock:
            self.is_given_up = not self.is_sealed
            return self.is_given_up


def answer(answered: list[tuple[Entry, Outcome]]) -> None:
    """Resolve futures of one event loop, from a lane's thread, in one wake-up of the loop. A closed loop has nobody to answer."""
    loop = answered[0][0].loop
    if not loop.is_closed():
        loop.call_soon_threadsafe(_resolve, answered)


def _resolve(answered: list[tuple[Entry, Outcome]]) -> None:
    for entry, outcome in answered:
        if not entry.future.done():
            entry.future.set_result(outcome)
