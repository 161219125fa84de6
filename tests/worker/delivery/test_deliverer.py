"""The deliverer as a worker runs it: in its thread, from the outbox to the receiver."""

import time
from collections.abc import Collection
from contextlib import closing
from dataclasses import replace

import pytest

from couponry.store.engine import Database
from couponry.store.presence import Ownership
from couponry.worker.delivery import deliverer as module
from couponry.worker.delivery.deliverer import Deliverer
from couponry.worker.delivery.org import OrgDelivery
from tests.api.shop import Shop
from tests.receiver import Receiver
from tests.store.outboxes import cause, happen
from tests.worker.delivery.post import Post


def test_what_happens_is_delivered_until_it_is_stopped(shop: Shop) -> None:
    with closing(Database(shop.database.url, is_keyed=True)) as keyed, Receiver() as receiver:
        post = Post(shop, database=keyed)
        post.webhook(receiver.url)
        deliverer = Deliverer(post.parts)
        deliverer.start()
        happened = [cause(serial, at_ms=shop.clock(), org_id=shop.org_id, customer_id=None) for serial in range(1, 31)]
        happen(shop.database, *happened[:10])
        receiver.await_arrivals(10)
        happen(shop.database, *happened[10:20])
        receiver.await_arrivals(20)
        began_s = time.monotonic()
        deliverer.stop()
        assert time.monotonic() - began_s < 5
        assert [state for (state,) in post.rows("state")] == ["delivered"] * 20
        happen(shop.database, *happened[20:])
        again = Deliverer(post.parts)
        again.start()
        receiver.await_arrivals(30)
        again.stop()
        assert len({sent.headers["webhook-id"] for sent in receiver.sent}) == 30


def test_stopping_before_anything_happened(shop: Shop) -> None:
    deliverer = Deliverer(Post(shop).parts)
    deliverer.start()
    deliverer.stop()
    assert not deliverer._thread.is_alive()


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_backlog_leaves_time_to_those_who_write(shop: Shop) -> None:
    """Prevents tills that wait for the database while a million messages are made. SQLite knows who wrote just before."""
    with closing(Database(shop.database.url, is_keyed=True, has_one_writer=True)) as keyed:
        post = Post(shop, database=keyed)
        happen(shop.database, *(cause(n, at_ms=shop.clock() + n, org_id=shop.org_id) for n in range(1, 1601)))
        serials = iter(range(2001, 2100))

        async def look(org: OrgDelivery) -> None:
            assert await org.turn() == 0
            for _ in range(2):
                happen(shop.database, cause(next(serials), at_ms=shop.clock() + 999, org_id=shop.org_id))
                assert (await org.turn() or 0) > 0
            assert await org.turn() == 0

        post.run(look)


class Breaking(Ownership):
    """Does something that nobody has thought of, the first times."""

    times = 2

    def take(self, org_ids: Collection[int]) -> frozenset[int]:
        if self.times:
            self.times -= 1
            raise ZeroDivisionError
        return super().take(org_ids)


def test_what_breaks_it_does_not_end_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents the worker that looks healthy and delivers nothing."""
    monkeypatch.setattr(module, "DELIVERER_AGAIN_MS", 20)
    with Receiver() as receiver:
        post = Post(shop)
        post.put(post.webhook(receiver.url).id, None)
        deliverer = Deliverer(replace(post.parts, ownership=Breaking(shop.database)))
        deliverer.start()
        receiver.await_arrivals(1)
        deliverer.stop()
    assert not deliverer._thread.is_alive()
    assert post.rows("state") == [("delivered",)]


def test_stopping_while_it_is_broken(shop: Shop) -> None:
    deliverer = Deliverer(replace(Post(shop).parts, ownership=Breaking(shop.database)))
    deliverer.start()
    time.sleep(0.1)
    deliverer.stop()
    assert not deliverer._thread.is_alive()
