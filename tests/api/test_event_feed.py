"""The live feed: `GET /admin/v1/events`, page by page and as server-sent events."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import pytest

from couponry.core.event_ids import outbox_id
from couponry.core.limits import EVENT_STREAMS_PER_ORG_MAX
from couponry.store.feed import Feed
from tests.api.admins import Admin
from tests.api.shop import Front, Shop
from tests.api.telling import tell
from tests.store.outboxes import statements

PATH: Final = "/events"
ISSUE: Final = {"seriesId": 0, "mobile": "919812300002"}


@pytest.fixture
def admin(shop: Shop, front: Front) -> Admin:
    return Admin(shop, front)


def page(admin: Admin, **query: Any) -> dict[str, Any]:
    answer = admin.ask("GET", PATH, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def redeem(shop: Shop, front: Front, count: int = 1) -> list[str]:
    """Redeem coupons, and have it told; the ids of the redemptions."""
    ids = [front.redeem(shop.coupon()).json()["redemption"][0]["redemptionId"] for _ in range(count)]
    tell(shop)
    return ids


def test_what_a_webhook_would_be_sent(shop: Shop, front: Front, admin: Admin) -> None:
    assert page(admin) == {"items": [], "next": "0"}
    (redemption_id,) = redeem(shop, front)
    found = page(admin)
    (item,) = found["items"]
    assert list(item) == ["position", "eventId", "eventName", "createdAt", "payload"]
    assert (item["position"], item["eventName"], item["createdAt"]) == (1, "CouponRedeem", "2031-03-10T18:20:00+05:30")
    assert found["next"] == "1"
    assert outbox_id(shop.org_id, item["eventId"])
    payload = item["payload"]
    assert (payload["eventId"], payload["eventName"]) == (item["eventId"], "CouponRedeem")
    assert payload["data"]["coupon"]["redemptionId"] == int(redemption_id)
    assert payload["data"]["addedBy"] == {"id": shop.till_id}


def test_whoever_goes_on_misses_nothing(shop: Shop, front: Front, admin: Admin) -> None:
    redeem(shop, front, 3)
    first = page(admin, limit=2)
    assert [item["position"] for item in first["items"]] == [1, 2]
    second = page(admin, limit=2, cursor=first["next"])
    assert [item["position"] for item in second["items"]] == [3]
    last = page(admin, cursor="latest")
    assert last == {"items": [], "next": second["next"]}
    front.redeem(shop.coupon())
    assert page(admin, cursor=last["next"]) == last, "what has no position yet is not told"
    tell(shop)
    assert [item["position"] for item in page(admin, cursor=last["next"])["items"]] == [4]


def test_names(shop: Shop, front: Front, admin: Admin) -> None:
    (redemption_id,) = redeem(shop, front)
    front.ask("POST", "/v2/coupon/reactivate", json={"redemptionIds": [int(redemption_id)]})
    tell(shop)
    assert [item["eventName"] for item in page(admin)["items"]] == ["CouponRedeem", "CouponReactivate"]
    assert [item["eventName"] for item in page(admin, names="CouponReactivate, CouponIssue")["items"]] == ["CouponReactivate"]
    assert page(admin, names="CouponIssue") == {"items": [], "next": "2"}


def test_what_means_nothing(admin: Admin) -> None:
    for query in (
        {"cursor": "x"},
        {"cursor": "-1"},
        {"cursor": "9" * 40},
        {"limit": "0"},
        {"limit": "501"},
        {"names": "Nothing"},
    ):
        answer = admin.ask("GET", PATH, params=query)
        assert (answer.status_code, answer.json()["code"]) == (400, 629), query


def test_another_org_sees_nothing(shop: Shop, front: Front, admin: Admin) -> None:
    redeem(shop, front)
    with shop.database.reading() as tx:
        assert Feed().after(tx, shop.org_id + 1, 0, {"CouponRedeem"}, 10, shop.clock.ms).told == []
    assert len(page(admin)["items"]) == 1


def test_statements_do_not_depend_on_how_much_happened(shop: Shop, front: Front) -> None:
    """Prevents the statement per event."""
    feed, seen = Feed(), []
    for count in (1, 4):
        redeem(shop, front, count)
        with shop.database.reading() as tx:
            feed.after(tx, shop.org_id, 0, {"CouponRedeem"}, 100, shop.clock.ms)  # terms are met
        with statements(shop.database) as asked, shop.database.reading() as tx:
            feed.after(tx, shop.org_id, 0, {"CouponRedeem"}, 100, shop.clock.ms)
        seen.append(len(asked))
    assert seen == [6, 6]


class Listener:
    """Whoever listens, on the application's own loop. It goes once it has heard so many events."""

    def __init__(self, front: Front, admin: Admin, events: int, headers: Mapping[str, str], query: str = "") -> None:
        self._front, self._events, self.heard = front, events, b""
        self.status, self.began = 0, asyncio.Event()
        sent = {"accept": "text/event-stream", **{name.lower(): value for name, value in admin.headers.items()}, **headers}
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/admin/v1/events",
            "raw_path": b"/admin/v1/events",
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
            "client": ("203.0.113.7", 1),
            "server": ("shop.test", 80),
            "state": {},
        }

    async def listen(self) -> None:
        gone = asyncio.Event()
        asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

        async def receive() -> Mapping[str, Any]:
            first = next(asked, None)
            if first is None:
                await gone.wait()
            return first or {"type": "http.disconnect"}

        async def send(message: Mapping[str, Any]) -> None:
            self.status = message.get("status", self.status)
            self.heard += message.get("body", b"")
            if self.heard:
                self.began.set()
            if self.heard.count(b"\nid: ") + self.heard.count(b"\n\nevent: ") >= 2 * self._events:
                gone.set()
            await asyncio.sleep(0)

        await self._front.app(self._scope, receive, send)

    @property
    def events(self) -> list[tuple[str, str, Any]]:
        """Id, name and data of each."""
        blocks = [block.split("\n") for block in self.heard.decode().split("\n\n") if "data: " in block]
        lines = [dict(line.split(": ", 1) for line in block) for block in blocks]
        return [(each["id"], each["event"], msgspec.json.decode(each["data"])) for each in lines]


def test_a_stream(shop: Shop, front: Front, admin: Admin) -> None:
    redeem(shop, front, 3)
    listener = Listener(front, admin, 2, {"last-event-id": "1"})
    front.run(asyncio.wait_for(listener.listen(), 20))
    assert (listener.status, [event[:2] for event in listener.events]) == (200, [("2", "CouponRedeem"), ("3", "CouponRedeem")])
    assert [event[2] for event in listener.events] == page(admin, cursor=1)["items"]
    assert listener.heard.startswith(b": welcome\nretry: ")


def test_streams_are_few_and_make_room(shop: Shop, front: Front, admin: Admin) -> None:
    async def crowd() -> int:
        waiting = [Listener(front, admin, 1, {}, "cursor=latest") for _ in range(EVENT_STREAMS_PER_ORG_MAX)]
        tasks = [asyncio.create_task(each.listen()) for each in waiting]
        for each in waiting:
            await each.began.wait()
        turned_away = Listener(front, admin, 0, {})
        await turned_away.listen()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return turned_away.status

    redeem(shop, front)
    assert front.run(crowd()) == 429
    listener = Listener(front, admin, 1, {})
    front.run(asyncio.wait_for(listener.listen(), 20))
    assert listener.status == 200


def test_streams_that_begin_at_once_are_no_more(shop: Shop, front: Front, admin: Admin) -> None:
    """All were let in before the first of them had its place."""

    async def burst() -> list[bool]:
        crowd = [Listener(front, admin, 1, {}, "cursor=latest") for _ in range(EVENT_STREAMS_PER_ORG_MAX + 3)]
        tasks = [asyncio.create_task(each.listen()) for each in crowd]
        _, waiting = await asyncio.wait(tasks, timeout=1)
        assert {each.status for each in crowd} == {200}
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return [each.began.is_set() for each in crowd]

    redeem(shop, front)
    assert sum(front.run(burst())) == EVENT_STREAMS_PER_ORG_MAX


def test_streams_end_with_the_server(shop: Shop, admin: Admin) -> None:
    """A stream that went on would hold up the drain until it is killed."""
    with shop.front() as leaving:
        listener = Listener(leaving, admin, 99, {})
        ledger = leaving.app._router.find("/readyz")[0]._ledger  # type: ignore[index,union-attr] # it was found

        async def drained() -> None:
            task = asyncio.create_task(listener.listen())
            await listener.began.wait()
            await ledger.drain()
            await asyncio.wait_for(task, 5)

        leaving.run(drained())
    assert listener.status == 200
