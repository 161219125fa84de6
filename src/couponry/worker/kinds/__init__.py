"""What each kind of job does."""

from collections.abc import Mapping

from couponry.core.jobs import JobKind
from couponry.worker.kinds.issue import IssueWork
from couponry.worker.kinds.redeemed import RedeemedWork
from couponry.worker.work import Desk, Work


def works(desk: Desk) -> Mapping[JobKind, Work]:
    """The work of every kind."""
    return {JobKind.ISSUE: IssueWork(desk), JobKind.REDEEMED_UPLOAD: RedeemedWork(desk)}
