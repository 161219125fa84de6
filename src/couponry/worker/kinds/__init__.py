"""What each kind of job does."""

from collections.abc import Mapping

from couponry.core.jobs import JobKind
from couponry.worker.code_block import OpenSeries
from couponry.worker.kinds.export import ExportWork
from couponry.worker.kinds.issue import IssueWork
from couponry.worker.kinds.lifecycle import LifecycleWork
from couponry.worker.kinds.redeemed import RedeemedWork
from couponry.worker.kinds.upload import UploadWork
from couponry.worker.work import Desk, Work


def works(desk: Desk) -> Mapping[JobKind, Work]:
    """The work of every kind."""
    lifecycle = LifecycleWork(desk)
    open_series = OpenSeries(desk.database, desk.secret)
    return {
        JobKind.EXPORT: ExportWork(desk),
        JobKind.ISSUE: IssueWork(desk, open_series),
        JobKind.REVOKE: lifecycle,
        JobKind.EXPIRY: lifecycle,
        JobKind.UPLOAD: UploadWork(desk, open_series),
        JobKind.REDEEMED_UPLOAD: RedeemedWork(desk),
    }
