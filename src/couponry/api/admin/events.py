"""`GET /admin/v1/events`: what happened, to be followed without webhooks: page by page, or as server-sent events."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import falcon.asgi
import msgspec
from falcon.asgi import SSEvent
from msgspec import Raw, Struct

from couponry.api import times
from couponry.api.admin.queries import bad, is_number, text
from couponry.api.call import Call
from couponry.api.envelopes import ProblemDetails, admin_failure, problem
from couponry.api.operation import Operation, Parameter
from couponry.api.parts import Parts
from couponry.api.seats import org_of
from couponry.api.v2.replies import answered
from couponry.core.deliveries import EVENT_NAMES
from couponry.core.event_ids import event_id
from couponry.core.events import ISSUE_LIMIT
from couponry.core.limits import (
    EVENT_STREAM_MS_MAX,
    EVENT_STREAM_POLL_MS,
    EVENT_STREAM_SILENCE_MS,
    EVENT_STREAMS_MAX,
    EVENT_STREAMS_PER_ORG_MAX,
    PAGE_ITEMS,
    PAGE_ITEMS_MAX,
)
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.store.engine import ReadTransaction
from couponry.store.feed import Feed, FeedPage, Told, latest

PATH: Final = "/admin/v1/events"
NAMES: Final = (*EVENT_NAMES, ISSUE_LIMIT)
LATEST: Final = "latest"
_STREAM: Final = "text/event-stream"
_ENCODE: Final = msgspec.json.Encoder().encode


class EventShown(Struct, frozen=True, rename="camel"):
    """Something that happened. `payload` is what a webhook without enrichment is sent, null when nothing is left of it."""

    position: int
    event_id: str
    event_name: str
    created_at: str
    payload: Raw | None


class EventItem(Struct, frozen=True, rename="camel"):
    """The same, described."""

    position: int
    event_id: str
    event_name: str
    created_at: str
    payload: dict[str, Any] | None


class EventPage(Struct, frozen=True):
    """Events in the order in which they are told. `next` is where to go on, now or later; a page can be empty."""

    items: list[EventItem]
    next: str


class _Shown(Struct, frozen=True):
    items: list[EventShown]
    next: str


class _Wanted(Struct, frozen=True):
    """`after` is the position to start behind, None for the last that there is."""

    org: Org
    after: int | None
    limit: int
    names: frozenset[str]


OPERATIONS: Final = (
    Operation(
        PATH,
        "get",
        "What happened, oldest first. With `Accept: text/event-stream` as server-sent events, whose ids are cursors",
        EventPage,
        ProblemDetails,
        parameters=(
            Parameter("cursor", "query", f"`next` of the page before, or `{LATEST}`; from the oldest unless given"),
            Parameter("limit", "query", f"at most so many items, 1-{PAGE_ITEMS_MAX}; {PAGE_ITEMS} unless given"),
            Parameter("names", "query", f"comma list of events, all unless given: {', '.join(NAMES)}"),
        ),
        codes=(Code.INVALID_INPUT,),
        refusal_status=400,
    ),
)


def routes(parts: Parts) -> dict[str, object]:
    """The resource of this module."""
    return {PATH: EventsFeed(parts)}


class Seatings:
    """Who listens: a bounded number of streams for each org, and in all."""

    def __init__(self) -> None:
        self._of: Counter[int] = Counter()

    def is_full(self, org_id: int) -> bool:
        """Whether there is no place for one more."""
        return self._of[org_id] >= EVENT_STREAMS_PER_ORG_MAX or self._of.total() >= EVENT_STREAMS_MAX

    @contextmanager
    def seated(self, org_id: int) -> Iterator[bool]:
        """Take a place; whether there was one."""
        if self.is_full(org_id):
            yield False
            return
        self._of[org_id] += 1
        try:
            yield True
        finally:
            self._of[org_id] -= 1
            self._of += Counter()  # forgets those without any


class EventsFeed:
    """Events, by position."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._feed, self._seatings = parts, Feed(), Seatings()

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """A page, or a stream."""
        wanted = _wanted(req)
        if not isinstance(wanted, _Wanted):
            (problem(wanted) if isinstance(wanted, Problem) else admin_failure(wanted)).write(resp)
        elif _STREAM in req.header(b"accept"):
            self._open(wanted, resp)
        else:
            page = await self._parts.back_office.read(self._page(wanted))
            (admin_failure(page) if isinstance(page, Code) else answered(_listed(wanted.org, page))).write(resp)

    def _open(self, wanted: _Wanted, resp: falcon.asgi.Response) -> None:
        if self._seatings.is_full(wanted.org.id):
            admin_failure(Code.RATE_LIMITED).write(resp)
            return
        resp.set_header("Cache-Control", "no-store")
        resp.set_header("X-Accel-Buffering", "no")
        resp.sse = self._stream(wanted)

    async def _stream(self, wanted: _Wanted) -> AsyncIterator[SSEvent]:
        """Events as they come, a comment in long silence. It ends now and then, and when the server does: clients come back.

        The place is taken only here, since nobody would free it for a client that has gone before; so of many who come at once,
        some hear nothing, come back, and are told.
        """
        with self._seatings.seated(wanted.org.id) as is_seated:
            if not is_seated:
                return
            loop, silent_s = asyncio.get_running_loop(), 0.0
            ends_s = loop.time() + EVENT_STREAM_MS_MAX / 1000
            yield SSEvent(comment="welcome", retry=EVENT_STREAM_POLL_MS)
            while loop.time() < ends_s and self._parts.ledger.admission() is not Code.DRAINING:
                page = await self._parts.back_office.read(self._page(wanted))
                if isinstance(page, Code):
                    return
                for told in page.told:
                    shown = _ENCODE(_shown(wanted.org, told)).decode()
                    yield SSEvent(event_id=str(told.position), event=told.cause.event, text=shown)
                has_more = page.told or page.position != wanted.after
                wanted = msgspec.structs.replace(wanted, after=page.position)
                if has_more:
                    silent_s = 0.0
                    continue
                await asyncio.sleep(EVENT_STREAM_POLL_MS / 1000)
                silent_s += EVENT_STREAM_POLL_MS / 1000
                if silent_s * 1000 >= EVENT_STREAM_SILENCE_MS:
                    silent_s = 0.0
                    yield SSEvent(comment="still here")

    def _page(self, wanted: _Wanted) -> Callable[[ReadTransaction], FeedPage]:
        org_id, after, now_ms = wanted.org.id, wanted.after, self._parts.clock()

        def page(tx: ReadTransaction) -> FeedPage:
            if after is None:
                return FeedPage([], latest(tx, org_id))
            return self._feed.after(tx, org_id, after, wanted.names, wanted.limit, now_ms)

        return page


def _wanted(call: Call) -> _Wanted | Problem | Code:
    org, limit, sent = org_of(call), text(call, "limit") or str(PAGE_ITEMS), call.params.get("names", "")
    if isinstance(org, Code):
        return org
    cursor = call.header(b"last-event-id") or text(call, "cursor") or "0"
    if not is_number(limit) or not 0 < int(limit) <= PAGE_ITEMS_MAX:
        return bad(f"limit must be from 1 to {PAGE_ITEMS_MAX}")
    if cursor != LATEST and not is_number(cursor):
        return bad("cursor is of no page")
    listed = sent if isinstance(sent, list) else [sent]
    names = frozenset(name.strip() for each in listed for name in each.split(",") if name.strip())
    if names - {*NAMES}:
        return bad(f"names are of {', '.join(NAMES)}")
    return _Wanted(org, None if cursor == LATEST else int(cursor), int(limit), names or frozenset(NAMES))


def _listed(org: Org, page: FeedPage) -> _Shown:
    return _Shown([_shown(org, told) for told in page.told], str(page.position))


def _shown(org: Org, told: Told) -> EventShown:
    cause = told.cause
    return EventShown(
        position=told.position,
        event_id=event_id(org.id, cause.id),
        event_name=cause.event,
        created_at=times.shown(cause.created_ms, org.zone),
        payload=None if told.body is None else Raw(told.body.encode()),
    )
