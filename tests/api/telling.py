"""What the worker does between a request and its deliveries, done by hand."""

from typing import Any

from couponry.core.deliveries import Outcome
from couponry.core.fan_out import FanOut
from couponry.core.validation import Vault
from couponry.store.deliveries import Deliveries
from couponry.store.sequencing import Sequencer
from tests.api.shop import Shop


def tell(shop: Shop, org_id: int = 0) -> None:
    """Give what happened its positions and its deliveries."""
    fan_out = FanOut(Vault(b"only for this test"), single_coupon_only=False)
    sequencer = Sequencer(shop.database, fan_out, shop.clock)
    while not sequencer.step(org_id or shop.org_id).is_all:
        pass


def attempt(shop: Shop, target_id: int, *, took_ms: int = 195, **outcome: Any) -> int:
    """Try what is due at a target; how many those were. It is delivered with 200, unless an outcome says otherwise."""
    deliveries, now_ms = Deliveries(shop.database.dialect), shop.clock.ms
    usual = {"is_delivered": True, "http_status": 200, "begun_ms": now_ms, "done_ms": now_ms + took_ms}
    with shop.database.writing() as tx:
        due = deliveries.due(tx, shop.org_id, target_id, now_ms, 1000)
        deliveries.record(tx, shop.org_id, [Outcome(due=each, **{**usual, **outcome}) for each in due])
    shop.clock.ms += took_ms
    return len(due)
