"""A lane by what its target answers, which here is said at once."""

import asyncio
from collections.abc import Callable, Sequence

from couponry.core.deliveries import Due
from couponry.core.limits import FAILURES_BEFORE_PROBE, HOUR_MS
from couponry.worker.delivery.attempts import DELIVERED, Attempt
from couponry.worker.delivery.lane import Health, Lane
from couponry.worker.delivery.org import LaneRows, Store
from tests.api.shop import Shop
from tests.worker.delivery.post import Post

HOOK = 5


class Place:
    """A target of the test's own, and what it was sent."""

    connections = 4
    kept_ms = 1_000_000

    def __init__(self, answer: Callable[[Due], Attempt]) -> None:
        self.answer = answer
        self.sent: list[int] = []

    async def prepare(self, dues: Sequence[Due]) -> None:
        """Nothing."""

    async def send(self, due: Due) -> Attempt:
        self.sent.append(due.id)
        return self.answer(due)

    async def told(self, dues: Sequence[Due]) -> None: ...

    def close(self) -> None: ...


def run(post: Post, place: Place, health: Health, target_id: int = HOOK) -> None:
    shop = post.shop
    rows = LaneRows(Store(shop.database, asyncio.to_thread), shop.org_id, target_id)
    asyncio.run(Lane(rows, place, health, shop.clock, lambda: 0.5).run())


def test_what_is_put_off_is_no_failure_and_holds_back_its_customer_alone(shop: Shop) -> None:
    post, health = Post(shop), Health()
    opens_ms = shop.clock() + HOUR_MS
    first, behind, other, nobodys, *more = post.put(HOOK, 7, 7, 8, None, *[None] * FAILURES_BEFORE_PROBE)
    put_off = {first, nobodys, *more}
    place = Place(lambda due: Attempt(is_delivered=False, put_off_to_ms=opens_ms) if due.id in put_off else DELIVERED)
    run(post, place, health)
    assert sorted(place.sent) == sorted({*put_off, other})
    came = {row[0]: row[1:] for row in post.rows("id", "state", "attempts", "next_ms")}
    assert came.pop(other) == ("delivered", 1, shop.clock())
    assert set(came) == put_off | {behind}
    assert set(came.values()) == {("waiting", 0, opens_ms)}
    assert health == Health()
    shop.clock.ms = opens_ms
    place.answer = lambda _: DELIVERED
    run(post, place, health)
    assert place.sent.index(behind) > len(put_off)
    assert {state for (state,) in post.rows("state")} == {"delivered"}


def test_what_is_unwanted_is_skipped_and_says_nothing_of_the_target(shop: Shop) -> None:
    post, health = Post(shop), Health(failures=FAILURES_BEFORE_PROBE - 1)
    unwanted, behind = post.put(HOOK, 7, 7)
    place = Place(lambda due: Attempt(is_delivered=False, is_unwanted=due.id == unwanted, problem="gone"))
    run(post, place, health)
    assert post.rows("state", "attempts", "problem") == [("skipped", 0, "gone"), ("failed", 1, "")]
    place.answer = lambda _: Attempt(is_delivered=False, is_unwanted=True)
    post.put(HOOK, 7)
    health.failures = FAILURES_BEFORE_PROBE - 1
    run(post, place, health)
    assert health == Health(failures=FAILURES_BEFORE_PROBE - 1)
    assert behind in place.sent
