"""Load: everything that a batch may touch, in a number of statements that does not depend on the batch's size.

Order matters twice. Locks are taken in one order, each kind sorted by key, so that two batches cannot deadlock: redemptions,
coupons, pooled coupons (seldom waited for), the customers' counters, their validation codes and missed calls, the customers of
exclusive series, the series' counters. What customers hold is read after all that may have been waited for on their behalf.
And the answers given before are read after the locks, so a repeat that waited for the first sees it.
"""

from collections.abc import Iterator, Sequence

from couponry.core.commands import Command
from couponry.core.state import State
from couponry.store import batch_issue, batch_lifecycle, batch_validation
from couponry.store.batch import Batch, Versions
from couponry.store.batch_issue import Codes
from couponry.store.dialect import Dialect
from couponry.store.engine import ReadTransaction, Stage
from couponry.store.selects import Selects


class Loader:
    """The selects of one dialect, and the versions that were read before."""

    def __init__(self, dialect: Dialect) -> None:
        self.selects = Selects(dialect)
        self.versions = Versions()

    def load(
        self,
        tx: ReadTransaction,
        org_id: int,
        commands: Sequence[Command],
        *,
        now_ms: int,
        redemption_ids: Iterator[int],
        coupon_ids: Iterator[int],
        codes: Codes | None = None,
    ) -> State:
        """What `decide` needs for these commands of one org. In a write transaction, rows that limits depend on are locked.

        Without `codes`, no series can generate any.
        """
        batch = Batch(self.selects, self.versions, tx, org_id, commands)
        batch.state = state = State(now_ms, batch.org(), redemption_ids, coupon_ids)
        if state.org is None:
            return state
        tx.stage = Stage.CUSTOMERS
        batch.customers()
        tx.stage = Stage.COUPONS
        batch.heads()
        batch_lifecycle.redemptions(batch)
        batch_lifecycle.unredeemed(batch)
        batch.coupons(batch_lifecycle.coupon_ids(batch))
        batch_issue.pools(batch)
        batch_lifecycle.holders(batch)
        tx.stage = Stage.COUNTERS
        batch.standings()
        tx.stage = Stage.VALIDATION
        batch_validation.validations(batch, state.org)
        tx.stage = Stage.COUNTERS
        batch_issue.held(batch)
        tx.stage = Stage.COUPONS
        batch.uses()
        batch.series_counters()
        batch.members()
        batch_lifecycle.active(batch)
        if tx.is_writing:
            batch.given_answers(state.org)
        if codes:
            batch_issue.fresh_codes(batch, state.org, codes)
        return state
