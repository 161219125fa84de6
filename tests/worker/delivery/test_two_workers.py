"""Two deliverers on one PostgreSQL: an org is one's at a time, and whatever becomes of them, all that happened is told."""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import select, text

from couponry.core.event_ids import event_id
from couponry.store import schema as t
from couponry.store.engine import Database
from couponry.store.presence import OWNED, Ownership
from couponry.worker.delivery import deliverer as module
from couponry.worker.delivery.deliverer import Deliverer
from tests.api.shop import Shop
from tests.core.world import redemption_id
from tests.receiver import Receiver
from tests.store.outboxes import cause, happen
from tests.worker.delivery.post import Post

OWNERS = text("""
    SELECT objid, pid FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
    WHERE locktype = 'advisory' AND classid = :kind AND granted AND datname = current_database()
""")
CUSTOMERS = 4


class Two:
    """Two deliverers, each with sessions of its own, and what happens meanwhile."""

    def __init__(self, shop: Shop, first: Database, second: Database) -> None:
        self.shop = shop
        self.deliverers = [
            Deliverer(replace(Post(shop).parts, database=each, ownership=Ownership(Database(shop.database.url, connections=1))))
            for each in (first, second)
        ]
        self.happened = 0

    def happen(self, count: int) -> None:
        """So many causes more, each a moment after the one before."""
        first = self.happened + 1
        self.happened += count
        at_ms, org_id = self.shop.clock(), self.shop.org_id
        serials = range(first, self.happened + 1)
        happen(self.shop.database, *(cause(n, at_ms=at_ms + n, org_id=org_id, customer_id=n % CUSTOMERS + 1) for n in serials))

    def owners(self) -> Counter[int]:
        with self.shop.database.reading() as tx:
            return Counter(dict(tx.rows(OWNERS, {"kind": OWNED})))

    def lose(self) -> None:
        """Whoever owns the org loses the session that says so."""
        pid = self.owners()[self.shop.org_id]
        with self.shop.database.writing() as tx:
            tx.connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        until(lambda: self.owners()[self.shop.org_id] not in {0, pid})


def until(is_so: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < ends_s
        time.sleep(0.01)


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_what_happens_is_told_whoever_owns_the_org(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ORGS_LISTED_MS", 30)
    url = shop.database.url
    with (
        closing(Database(url, is_keyed=True)) as one,
        closing(Database(url, is_keyed=True)) as other,
        Receiver() as receiver,
    ):
        Post(shop).webhook(receiver.url)
        two = Two(shop, one, other)
        first, second = two.deliverers
        first.start()
        two.happen(40)
        receiver.await_arrivals(20)
        second.start()
        for _ in range(2):
            two.happen(40)
            two.lose()
        two.happen(40)
        first.stop()
        until(lambda: two.owners()[shop.org_id] > 0)
        two.happen(40)
        sent_by = Counter[str]()

        def is_all() -> bool:
            sent_by.update(sent.headers["webhook-id"] for sent in receiver.sent[sent_by.total() :])
            return len(sent_by) >= two.happened

        until(is_all)
        second.stop()
    assert set(sent_by) == {event_id(shop.org_id, redemption_id(n)) for n in range(1, two.happened + 1)}
    with shop.database.reading() as tx:
        positions = [row.position for row in tx.rows(select(t.outbox.c.position).order_by(t.outbox.c.position), {})]
        made = [row.outbox_id for row in tx.rows(select(t.delivery.c.outbox_id), {})]
    assert positions == list(range(1, two.happened + 1))
    assert len(made) == len(set(made)) == two.happened
    assert not two.owners()
    assert_in_order(shop, receiver, two.happened)


def assert_in_order(shop: Shop, receiver: Receiver, count: int) -> None:
    """The events of each customer came first in the order in which they happened."""
    places = {event_id(shop.org_id, redemption_id(n)): n for n in range(1, count + 1)}
    came = list(dict.fromkeys(places[sent.headers["webhook-id"]] for sent in receiver.sent))
    for customer in range(CUSTOMERS):
        theirs = [n for n in came if n % CUSTOMERS == customer]
        assert theirs == sorted(theirs)
