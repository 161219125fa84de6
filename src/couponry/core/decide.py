"""`decide(state, commands) -> Plan`: the fold over a batch.

Commands are judged in arrival order, and each sees the effects of those before it. Within a request each coupon sees the effects
of the coupons before it, so two codes cannot share the last use of a limit. A refused request is undone: it leaves an outcome and
a refusal trace, nothing else. A check goes the same way and is always undone, which is why it cannot disagree with a redeem.
"""

from collections.abc import Sequence
from typing import assert_never

from couponry.core import issuing, lifecycle, redeeming, resending
from couponry.core.commands import Amend, Check, Command, Issue, Redate, Redeem, Resend, Reverse, Revoke
from couponry.core.fold import Fold
from couponry.core.model import Org
from couponry.core.plan import Outcome, Plan, failure
from couponry.core.state import State
from couponry.core.status import Code


def decide(state: State, commands: Sequence[Command]) -> Plan:
    """Judge the commands of one org in order; `state` is left as it will be once the plan is written."""
    fold = Fold(state)
    for position, command in enumerate(commands):
        if state.org is None:
            fold.plan.outcomes.append(failure(command, Code.ORG_MISCONFIGURED))
        else:
            fold.plan.outcomes.append(_judged(fold, state.org, command, state.digests.get(position)))
    return fold.plan


def _judged(fold: Fold, org: Org, command: Command, digest: str | None) -> Outcome:
    match command:
        case Redeem():
            return redeeming.redeem(fold, org, command, digest)
        case Check():
            return redeeming.check(fold, org, command)
        case Resend():
            return Outcome(resending.resend(fold, org, command))
        case Issue():
            return issuing.issue(fold, org, command, digest)
        case Reverse():
            return Outcome(lifecycle.reverse(fold, command))
        case Revoke():
            return Outcome(lifecycle.revoke(fold, command))
        case Redate():
            return Outcome(lifecycle.redate(fold, command))
        case Amend():
            return Outcome(lifecycle.amend(fold, command))
        case _:
            assert_never(command)
