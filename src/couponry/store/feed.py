"""What happened, in the order in which it is told: the live feed, read by position (`store.sequencing`).

Positions only grow, so that whoever has read up to one will never miss what comes below it.
"""

from collections.abc import Collection, Sequence

from msgspec import Struct
from sqlalchemy import func, select

from couponry.core.events import Events
from couponry.core.limits import COUPONS_TOLD_AT_ONCE, EVENTS_WALKED_MAX
from couponry.core.telling import Cause
from couponry.store import schema as t
from couponry.store.engine import ReadTransaction
from couponry.store.statements import org_parameter
from couponry.store.telling import CAUSE_COLUMNS, FactReads, cause_from_row


class Told(Struct, frozen=True):
    """Something that happened. `body` is the event as JSON, None where nothing is left of what it is about."""

    position: int
    cause: Cause
    body: str | None


class FeedPage(Struct, frozen=True):
    """What was found, and the position up to which was looked."""

    told: Sequence[Told]
    position: int


class Feed:
    """Reads of one database, by any threads."""

    def __init__(self) -> None:
        self._known: FactReads | None = None

    def after(self, tx: ReadTransaction, org_id: int, position: int, names: Collection[str], limit: int, now_ms: int) -> FeedPage:
        """The next events of these names, among so many rows that a page may look at. Nine statements at most."""
        row = t.outbox.c
        walked = select(row.position, *CAUSE_COLUMNS).where(row.org_id == org_parameter(), row.position > position)
        rows = tx.rows(walked.order_by(row.position).limit(EVENTS_WALKED_MAX), {"org": org_id})
        causes: list[tuple[int, Cause]] = []
        subjects = 0
        for found in rows:
            at, *about = found
            cause = cause_from_row(tuple(about))
            if cause.event in names:
                subjects += len(cause.subject_ids)
                if len(causes) == limit or (causes and subjects > COUPONS_TOLD_AT_ONCE):
                    break
                causes.append((at, cause))
            position = at
        events = Events(org_id, self._facts(tx).facts(tx, org_id, [cause for _, cause in causes], now_ms)) if causes else None
        return FeedPage([Told(at, cause, events.body(cause)) for at, cause in causes] if events else [], position)

    def _facts(self, tx: ReadTransaction) -> FactReads:
        self._known = self._known or FactReads(tx.dialect)
        return self._known


def latest(tx: ReadTransaction, org_id: int) -> int:
    """The last position that was given, 0 before the first. One statement."""
    row = t.outbox.c
    last = select(func.max(row.position)).where(row.org_id == org_parameter(), row.position > 0)
    ((position,),) = tx.rows(last, {"org": org_id})
    return position or 0
