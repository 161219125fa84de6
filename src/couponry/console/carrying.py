"""What is done once a second person has approved it: each kind of approval has a carrier (`console.carriers` lists them)."""

from typing import Protocol

from msgspec import Struct

from couponry.console.parts import ConsoleParts
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.store.approvals import Approval
from couponry.store.audit import Actor
from couponry.store.engine import WriteTransaction


class Carried(Struct, frozen=True):
    """Where to go on to (a path below the console), and what to say there."""

    path: str
    notice: str


class Carrier(Protocol):
    """Does what was approved, in whichever of two ways fits.

    What is rows (a job) is written by `carry_out`, in the transaction that decides: all of it or nothing. What goes through the
    ledger cannot be in that transaction: `carry_out` answers None, and `follow_up` is called once the decision is committed.
    """

    def carry_out(self, tx: WriteTransaction, actor: Actor, approval: Approval) -> Carried | Problem | None:
        """Do it here, `actor` being who approves. A Problem undoes what was written, and the approval stays undecided."""

    async def follow_up(self, parts: ConsoleParts, actor: Actor, approval: Approval) -> Carried | Problem | Code:
        """Do it after the decision, under the idempotency key `approval.key`.

        It is called again when it was refused or never heard of, and must not do it twice.
        """
