"""The deliverer as a worker runs it: in its thread, from the outbox to the receiver."""

import time
from contextlib import closing

from couponry.store.engine import Database
from couponry.worker.delivery.deliverer import Deliverer
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
