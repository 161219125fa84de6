"""Dead letters: what could not be delivered for good, to be looked at and sent again."""

from collections.abc import Mapping
from functools import partial
from typing import Final

import falcon.asgi
from msgspec import Struct

from couponry.console.gate import Resource
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit, number_of
from couponry.core.deliveries import Channel, Delivery, TargetCount, Webhook
from couponry.core.limits import CONSOLE_PAGE_ROWS
from couponry.core.problem import Problem
from couponry.core.roles import Permission
from couponry.core.status import Code
from couponry.store import audit, delivery_log
from couponry.store.chunks import walked
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.webhooks import list_webhooks

CHANNELS: Final[Mapping[int, str]] = {channel.value: f"{channel.name.replace('_', ' ').lower()}" for channel in Channel}


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The list, one again, and all of a target again."""
    return {
        "/dead-letters": Letters(parts, pages),
        "/dead-letters/replay": ReplayTarget(parts, pages),
        "/dead-letters/{letter_id}/replay": ReplayOne(parts, pages),
    }


class Found(Struct, frozen=True):
    """A page of letters, and what waits and has failed at each target."""

    letters: list[Delivery]
    counts: list[TargetCount]
    names: Mapping[int, str]


def names_of(webhooks: list[Webhook]) -> dict[int, str]:
    """What each target is called."""
    return {**CHANNELS, **{webhook.id: webhook.name for webhook in webhooks}}


class Letters:
    """What could not be delivered."""

    NEEDS, NEEDS_TO_POST = Permission.SEE_OPERATIONS, Permission.OPERATE

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """A page of them, and how each target is doing; three statements."""
        found = await self._parts.back_office.read(partial(_found, visit))
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
            return
        rows = found.letters[:CONSOLE_PAGE_ROWS]
        older = rows[-1].id if len(found.letters) > CONSOLE_PAGE_ROWS else None
        counts = [each for each in found.counts if each.waiting or each.failed]
        self._pages.show(
            visit,
            resp,
            "operations/letters.html",
            letters=rows,
            older=older,
            counts=counts,
            names=found.names,
        )


class ReplayOne:
    """One of them."""

    NEEDS, NEEDS_TO_POST = Permission.SEE_OPERATIONS, Permission.OPERATE

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, letter_id: str) -> None:
        """Try it again."""
        number = number_of(letter_id)
        done = Problem("unknown", "") if number is None else await self._parts.back_office.write(partial(_again, visit, number))
        if isinstance(done, Code):
            self._pages.failed(visit, resp, done)
        elif done is None:
            self._pages.go(visit, resp, "/dead-letters", "It is on its way again.")
        elif done.code == "unknown":
            self._pages.missing(visit, resp, "delivery")
        else:
            self._pages.problem(visit, resp, 409, "It has not failed", f"Nothing to send again: {done.text}.")


class ReplayTarget:
    """All of a target."""

    NEEDS, NEEDS_TO_POST = Permission.SEE_OPERATIONS, Permission.OPERATE

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """Try them again, oldest first, for as long as a person may wait."""
        office, text = self._parts.back_office, visit.form.text("target")
        target_id = -(number_of(text[1:]) or 0) if text.startswith("-") else number_of(text)
        noted = await office.write(
            lambda tx: audit.record(tx, visit.actor(), "asked: replay all", ("target", target_id), after={"target": target_id})
        )
        if isinstance(noted, Code) or target_id is None:
            self._pages.missing(visit, resp, "target")
            return
        done = await walked(
            office,
            lambda tx, after_id: delivery_log.replay_all(tx, visit.org_id, target_id, visit.now_ms, after_id=after_id),
        )
        if isinstance(done, Code):
            self._pages.failed(visit, resp, done)
            return
        more = "" if done.next_id is None else " There are more: press once more."
        self._pages.go(visit, resp, "/dead-letters", f"{done.done} are on their way again.{more}")


def _found(visit: Visit, tx: ReadTransaction) -> Found:
    webhooks = list_webhooks(tx, visit.org_id)
    names = names_of(webhooks)
    letters = delivery_log.dead_letters(tx, visit.org_id, limit=CONSOLE_PAGE_ROWS + 1, before_id=visit.number("before"))
    return Found(letters, delivery_log.target_counts(tx, visit.org_id, list(names)), names)


def _again(visit: Visit, letter_id: int, tx: WriteTransaction) -> Problem | None:
    problem = delivery_log.replay(tx, visit.org_id, letter_id, visit.now_ms)
    if problem is None:
        audit.record(tx, visit.actor(), "replay delivery", ("delivery", letter_id))
    return problem
