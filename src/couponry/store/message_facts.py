"""What messages that are about to be sent stand on by now, read for a batch of them, all by key."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, select

from couponry.core.deliveries import Due
from couponry.core.model import Org
from couponry.core.telling import Cause, Facts
from couponry.store import schema as t
from couponry.store.dialect import Dialect
from couponry.store.engine import ReadTransaction
from couponry.store.registry import read_org
from couponry.store.selects import Keyed
from couponry.store.telling import CAUSE_COLUMNS, FactReads, cause_from_row


class Known(NamedTuple):
    """The org, None if it cannot be read; causes by their ids, without those that are forgotten; and the facts about them."""

    org: Org | None
    causes: Mapping[int, Cause]
    facts: Facts


class MessageFacts:
    """Reads of one database, by any threads."""

    def __init__(self, dialect: Dialect) -> None:
        keys = dialect.keys("ids", BigInteger())
        self._causes = Keyed(dialect, select(*CAUSE_COLUMNS).select_from(keys.probing(t.outbox, "id")), keys)
        self._facts = FactReads(dialect)

    def read(self, tx: ReadTransaction, org_id: int, dues: Sequence[Due], now_ms: int) -> Known:
        """What is known of some messages; ten statements at most."""
        org = read_org(tx, org_id)
        rows = self._causes.rows(tx, org_id, [(outbox_id,) for outbox_id in sorted({due.outbox_id for due in dues})])
        causes = {cause.id: cause for cause in map(cause_from_row, rows)}
        # A cause that is forgotten leaves its message and that one's customer.
        orphans = [
            Cause(due.outbox_id, due.event, (0,), due.customer_id, "", due.created_ms)
            for due in dues
            if due.outbox_id not in causes and due.customer_id
        ]
        facts = self._facts.facts(tx, org_id, [*causes.values(), *orphans], now_ms)
        return Known(org if isinstance(org, Org) else None, causes, facts)
