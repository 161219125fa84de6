"""`/admin/v1/dead-letters`: what could not be delivered, and trying it again."""

import re
from collections.abc import Mapping
from typing import Final

import falcon.asgi
import msgspec
from msgspec import Struct

from couponry.api.admin.deliveries import CHANNELS, UNKNOWN, DeliveryShown, number_of, refused, shown
from couponry.api.admin.paging import PARAMETERS, Listed, Page, listed, page_of
from couponry.api.admin.queries import bad, text
from couponry.api.call import Call
from couponry.api.envelopes import ProblemDetails
from couponry.api.operation import Operation, Parameter
from couponry.api.parts import Parts
from couponry.api.seats import org_of
from couponry.api.v2.replies import answered
from couponry.api.v2.requests import decoded
from couponry.core.deliveries import Delivery, Webhook
from couponry.core.limits import CURSOR_MAX
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.store import delivery_log
from couponry.store.chunks import walked
from couponry.store.delivery_log import Chunk
from couponry.store.engine import ReadTransaction
from couponry.store.webhooks import list_webhooks, read_webhook

PATH: Final = "/admin/v1/dead-letters"
_REPLAY: Final = f"{PATH}/replay"
_ONE: Final = f"{PATH}/{{letter_id}}/replay"
_WIRE_ID: Final = re.compile("[0-9a-f]{24}")
_NO_TARGET: Final = f"target is a webHookId or one of {', '.join(CHANNELS)}"


class ReplayBody(Struct):
    """Which dead letters: all of a target, a `webHookId` or a channel. `cursor` goes on where an answer ended."""

    target: str
    cursor: int = 0


class Replayed(Struct, frozen=True):
    """How many are tried again. `next` is the cursor to ask with once more, null when those were all."""

    deliveries: int
    next: int | None = None


OPERATIONS: Final = (
    Operation(
        PATH,
        "get",
        "What could not be delivered, newest first",
        Listed[DeliveryShown],
        ProblemDetails,
        parameters=(Parameter("target", "query", f"at this target alone: {_NO_TARGET}"), *PARAMETERS),
        codes=(Code.INVALID_INPUT,),
        refusal_status=400,
        refusals=((404, "no such webhook"),),
    ),
    Operation(
        _ONE,
        "post",
        "Try a dead letter again: with the same eventId and body",
        Replayed,
        ProblemDetails,
        parameters=(Parameter("letter_id", "path", "id of the delivery"),),
        refusal_status=400,
        refusals=((404, "no such delivery"), (409, "it has not failed")),
    ),
    Operation(
        _REPLAY,
        "post",
        "Try all dead letters of a target again",
        Replayed,
        ProblemDetails,
        ReplayBody,
        codes=(Code.INVALID_INPUT,),
        refusal_status=400,
        refusals=((404, "no such webhook"),),
    ),
)
_DECODE: Final = msgspec.json.Decoder(ReplayBody).decode


def routes(parts: Parts) -> dict[str, object]:
    """All dead letters; one of them, and those of a target, again."""
    return {PATH: DeadLetters(parts), _REPLAY: ReplayOfTarget(parts), _ONE: Replay(parts)}


class _Found(Struct, frozen=True):
    letters: list[Delivery]
    webhooks: Mapping[int, Webhook]


class DeadLetters:
    """What could not be delivered."""

    def __init__(self, parts: Parts) -> None:
        self._office = parts.back_office

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """A page; two statements."""
        org, page, target = org_of(req), page_of(req), text(req, "target")
        if not isinstance(org, Org) or not isinstance(page, Page):
            refused(org, page).write(resp)
            return

        def find(tx: ReadTransaction) -> _Found | Problem:
            webhooks = {webhook.id: webhook for webhook in list_webhooks(tx, org.id)}
            target_id = _target_id(target, webhooks) if target else None
            if isinstance(target_id, Problem):
                return target_id
            wanted = {"limit": page.limit + 1, "before_id": page.before_id, "target_id": target_id}
            return _Found(delivery_log.dead_letters(tx, org.id, **wanted), webhooks)  # type: ignore[arg-type] # limit is an int

        found = await self._office.read(find)
        if not isinstance(found, _Found):
            refused(found).write(resp)
            return
        answered(listed(page, found.letters, lambda each: each.id, lambda each: shown(each, org, found.webhooks))).write(resp)


class Replay:
    """One of them."""

    def __init__(self, parts: Parts) -> None:
        self._office, self._clock = parts.back_office, parts.clock

    async def on_post(self, req: Call, resp: falcon.asgi.Response, letter_id: str) -> None:
        """Try it again."""
        org, number, now_ms = org_of(req), number_of(letter_id), self._clock()
        if not isinstance(org, Org) or not isinstance(number, int):
            refused(org, number).write(resp)
            return
        failed = await self._office.write(lambda tx: delivery_log.replay(tx, org.id, number, now_ms))
        (answered(Replayed(1)) if failed is None else refused(failed)).write(resp)


class ReplayOfTarget:
    """All of a target."""

    def __init__(self, parts: Parts) -> None:
        self._office, self._clock = parts.back_office, parts.clock

    async def on_post(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Try them again, oldest first."""
        org, raw = org_of(req), await req.body()
        body = raw if isinstance(raw, Code) else decoded(raw, _DECODE)
        if isinstance(body, ReplayBody) and not 0 <= body.cursor <= CURSOR_MAX:
            body = Code.INVALID_INPUT
        if not isinstance(org, Org) or not isinstance(body, ReplayBody):
            refused(org, body).write(resp)
            return
        done = await self._replayed(org.id, body)
        (answered(Replayed(*done)) if isinstance(done, Chunk) else refused(done)).write(resp)

    async def _replayed(self, org_id: int, body: ReplayBody) -> Chunk | Problem | Code:
        target, now_ms = body.target, self._clock()
        target_id = await self._office.read(lambda tx: _one_target(tx, org_id, target))
        if not isinstance(target_id, int) or isinstance(target_id, Code):
            return target_id
        return await walked(
            self._office,
            lambda tx, after_id: delivery_log.replay_all(tx, org_id, target_id, now_ms, after_id=after_id),
            body.cursor,
        )


def _one_target(tx: ReadTransaction, org_id: int, name: str) -> int | Problem:
    webhook = read_webhook(tx, org_id, name) if _WIRE_ID.fullmatch(name) else None
    return _target_id(name, {webhook.id: webhook} if webhook else {})


def _target_id(name: str, webhooks: Mapping[int, Webhook]) -> int | Problem:
    """The target of this name; 404 for a webhook that is not there, 629 for what is no name."""
    if name in CHANNELS:
        return CHANNELS[name].value
    found = next((webhook.id for webhook in webhooks.values() if webhook.wire_id == name), None)
    if found is None:
        return Problem(UNKNOWN, f"there is no webhook {name}") if _WIRE_ID.fullmatch(name) else bad(_NO_TARGET)
    return found
