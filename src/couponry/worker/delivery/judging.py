"""What is known of messages just before they are sent: after a night, an outage or a replay, some are not wanted any more."""

from collections.abc import Callable, Sequence

from couponry.core.deliveries import Channel, Due
from couponry.core.messages import unwanted
from couponry.store.dialect import Dialect
from couponry.store.message_facts import MessageFacts
from couponry.worker.delivery.messages import Judged
from couponry.worker.delivery.org import Store


class MessageJudge:
    """Judges what lanes have fetched. `clock` is epoch milliseconds."""

    def __init__(self, store: Store, dialect: Dialect, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock
        self._reads = MessageFacts(dialect)

    async def __call__(self, org_id: int, dues: Sequence[Due]) -> Judged:
        """One read, whatever their number. Raises StoreError."""
        now_ms = self._clock()
        org, causes, facts = await self._store.read(lambda tx: self._reads.read(tx, org_id, dues, now_ms))
        found = {
            due.id: unwanted(due.event, due.customer_id, Channel(due.target_id), causes.get(due.outbox_id), facts) for due in dues
        }
        return Judged(org, {due_id: why for due_id, why in found.items() if why})
