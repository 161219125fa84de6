"""`POST /v3/webHooks/{webhook_id}/redeliver`: what a webhook was told in a time, once more; ours."""

from typing import Final

import falcon.asgi
import msgspec
from msgspec import Struct

from couponry.api.admin.queries import bad
from couponry.api.call import Call
from couponry.api.parts import Parts
from couponry.api.seats import org_of
from couponry.api.times import instant_ms
from couponry.api.v2.replies import answered
from couponry.api.v3.replies import refused
from couponry.api.v3.webhooks import taken, wire_id_of
from couponry.api.v3.webhooks_described import ID, REDELIVER, UNKNOWN_WEBHOOK, operation
from couponry.core.limits import CURSOR_MAX, INSTANT_MS_MAX
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.store.chunks import walked
from couponry.store.delivery_log import Chunk, send_again
from couponry.store.webhooks import UNKNOWN, read_webhook


class RangeBody(Struct, rename={"from_": "from"}):
    """A time, from one instant until before another: ISO-8601 or epoch milliseconds. `cursor` goes on where an answer ended."""

    from_: str | int
    to: str | int
    cursor: int = 0


class Redelivered(Struct, frozen=True):
    """How many events are sent again. `next` is the cursor to ask with once more, null when that was all."""

    events: int
    next: int | None


class SentAgain(Struct, frozen=True):
    """The same in a v3 envelope."""

    data: Redelivered
    errors: None = None


class _Range(Struct, frozen=True):
    from_ms: int
    until_ms: int
    after_id: int


OPERATIONS: Final = (
    operation(
        REDELIVER,
        "post",
        "Send a webhook again what it was sent, or could not be sent, in a time: same eventId, same body",
        SentAgain,
        RangeBody,
        parameters=(ID,),
        refusals=UNKNOWN_WEBHOOK,
    ),
)
_DECODE: Final = msgspec.json.Decoder(RangeBody).decode


def routes(parts: Parts) -> dict[str, object]:
    """The resource of this module."""
    return {REDELIVER: Redelivery(parts)}


class Redelivery:
    """What was sent, again."""

    def __init__(self, parts: Parts) -> None:
        self._office, self._clock = parts.back_office, parts.clock

    async def on_post(self, req: Call, resp: falcon.asgi.Response, webhook_id: str) -> None:
        """Set what there is back to waiting."""
        org, wire_id, body = org_of(req), wire_id_of(webhook_id), await taken(req, _DECODE)
        asked = _asked(body, org) if isinstance(body, RangeBody) and isinstance(org, Org) else body
        if not isinstance(org, Org) or not isinstance(wire_id, str) or not isinstance(asked, _Range):
            refused(org, wire_id, asked).write(resp)
            return
        sent = await self._sent(org.id, wire_id, asked)
        (answered(SentAgain(Redelivered(*sent))) if isinstance(sent, Chunk) else refused(sent)).write(resp)

    async def _sent(self, org_id: int, wire_id: str, asked: _Range) -> Chunk | Problem | Code:
        webhook = await self._office.read(lambda tx: read_webhook(tx, org_id, wire_id))
        if webhook is None or isinstance(webhook, Code):
            return webhook or Problem(UNKNOWN, f"there is no webhook {wire_id}")
        target_id, now_ms, span = webhook.id, self._clock(), (asked.from_ms, asked.until_ms)
        return await walked(
            self._office,
            lambda tx, after_id: send_again(tx, org_id, target_id, *span, now_ms, after_id=after_id),
            asked.after_id,
        )


def _asked(body: RangeBody, org: Org) -> _Range | Problem:
    from_ms, until_ms = (_instant(each, org) for each in (body.from_, body.to))
    if from_ms is None or until_ms is None:
        return bad("from and to are instants")
    if not 0 <= body.cursor <= CURSOR_MAX:
        return bad("cursor is of no answer")
    return _Range(from_ms, until_ms, body.cursor)


def _instant(sent: str | int, org: Org) -> int | None:
    if isinstance(sent, str):
        return instant_ms(sent, org.zone)
    return sent if 0 <= sent <= INSTANT_MS_MAX else None
