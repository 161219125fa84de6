"""`/v3/webHooks`: whom an org tells what happens (events 3), with secrets, tests and redelivery of ours."""

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import falcon.asgi
import msgspec
from msgspec import UNSET, Struct, UnsetType

from couponry.api.admin.queries import bad
from couponry.api.call import Call, Reply
from couponry.api.parts import Parts
from couponry.api.seats import Seat, Seats, org_of
from couponry.api.v2.replies import answered
from couponry.api.v2.requests import is_json
from couponry.api.v3 import webhooks_described
from couponry.api.v3.replies import refused
from couponry.api.v3.webhooks_described import META, ONE, PATH, PING, ROTATE
from couponry.api.v3.webhooks_wire import (
    MASK,
    Deleted,
    EventMeta,
    Gone,
    MetaData,
    NewSecret,
    One,
    Pinged,
    PingSent,
    SecretShown,
    Several,
    TillShown,
    WebhookBody,
    WebhookShown,
    drafted,
    shown,
)
from couponry.core.deliveries import Webhook
from couponry.core.event_ids import event_id
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.core.webhook_drafts import NAMES, Draft
from couponry.store import pings, webhooks
from couponry.store.directory import Grant
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.known import named_tills
from couponry.store.webhooks import UNKNOWN

OPERATIONS: Final = webhooks_described.OPERATIONS
_WIRE_ID: Final = re.compile("[0-9a-f]{24}")
_DECODE: Final = msgspec.json.Decoder(WebhookBody).decode
B = TypeVar("B")


class _Found(Struct, frozen=True):
    """A webhook with its headers as they are sent, None where they cannot be opened."""

    webhook: Webhook
    headers: dict[str, str] | None


def routes(parts: Parts) -> dict[str, object]:
    """All webhooks, one of them, what is done with it, and the events there are."""
    return {
        PATH: Webhooks(parts),
        META: EventMetaData(),
        ONE: OneWebhook(parts),
        ROTATE: Rotation(parts),
        PING: Ping(parts),
    }


class Webhooks:
    """Create and list."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._seats = parts, Seats(parts.attribution)

    async def on_post(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Create; the answer holds the secret."""
        seat, body = await self._seats.of(req), await taken(req, _DECODE)
        draft = drafted(body, self._parts.allowed_networks) if isinstance(body, WebhookBody) else body
        if not isinstance(seat, Seat) or not isinstance(draft, Draft):
            refused(seat, draft).write(resp)
            return
        (await self._made(seat, draft)).write(resp)
        resp.set_header("Cache-Control", "no-store")

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """List, oldest first."""
        org, vault = org_of(req), self._parts.vault
        if isinstance(org, Code):
            refused(org).write(resp)
            return
        is_writer = req.principal.identity.config_access >= Grant.WRITE

        def listed(tx: ReadTransaction) -> list[WebhookShown]:
            found = [_Found(each, webhooks.opened(each, org.id, vault)) for each in webhooks.list_webhooks(tx, org.id)]
            return _described(tx, org.id, found if is_writer else [*map(_masked, found)])

        there = await self._parts.back_office.read(listed)
        (refused(there) if isinstance(there, Code) else answered(Several(there))).write(resp)

    async def _made(self, seat: Seat, draft: Draft) -> Reply:
        org_id, names, vault = seat.org.id, self._parts.new_webhook_names(), self._parts.vault
        now_ms = self._parts.clock()

        def make(tx: WriteTransaction) -> WebhookShown | Problem:
            made = webhooks.create_webhook(tx, org_id, draft, names, vault, till_id=seat.till.place.till_id, now_ms=now_ms)
            if isinstance(made, Problem):
                return made
            secret = self._parts.signer.secret_of_webhook(org_id, made.id, made.secret_number)
            return _described(tx, org_id, [_Found(made, dict(draft.headers))], secret)[0]

        return _one(await self._parts.back_office.write(make))


class OneWebhook:
    """Change and delete."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._seats = parts, Seats(parts.attribution)

    async def on_put(self, req: Call, resp: falcon.asgi.Response, webhook_id: str) -> None:
        """Change what the body names."""
        seat, wire_id, body = await self._seats.of(req), wire_id_of(webhook_id), await taken(req, _DECODE)
        if not isinstance(seat, Seat) or not isinstance(wire_id, str) or not isinstance(body, WebhookBody):
            refused(seat, wire_id, body).write(resp)
            return
        parts, org_id = self._parts, seat.org.id
        done: dict[str, int] = {"till_id": seat.till.place.till_id, "now_ms": parts.clock()}

        def change(tx: WriteTransaction) -> WebhookShown | Problem:
            draft = _over(tx, org_id, wire_id, body, parts)
            if isinstance(draft, Problem):
                return draft
            changed = webhooks.update_webhook(tx, org_id, wire_id, draft, parts.vault, **done)
            found = changed if isinstance(changed, Problem) else _Found(changed, dict(draft.headers))
            return found if isinstance(found, Problem) else _described(tx, org_id, [found])[0]

        _one(await parts.back_office.write(change)).write(resp)

    async def on_delete(self, req: Call, resp: falcon.asgi.Response, webhook_id: str) -> None:
        """Send it nothing any more."""
        org, wire_id = org_of(req), wire_id_of(webhook_id)
        if not isinstance(org, Org) or not isinstance(wire_id, str):
            refused(org, wire_id).write(resp)
            return
        gone = await self._parts.back_office.write(lambda tx: webhooks.delete_webhook(tx, org.id, wire_id))
        (answered(Gone(Deleted(wire_id))) if isinstance(gone, Webhook) else refused(gone)).write(resp)


class Rotation:
    """Another secret."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._seats = parts, Seats(parts.attribution)

    async def on_post(self, req: Call, resp: falcon.asgi.Response, webhook_id: str) -> None:
        """Sign with a new secret, and for a while with the one before."""
        seat, wire_id = await self._seats.of(req), wire_id_of(webhook_id)
        if not isinstance(seat, Seat) or not isinstance(wire_id, str):
            refused(seat, wire_id).write(resp)
            return
        org_id, till_id, now_ms = seat.org.id, seat.till.place.till_id, self._parts.clock()
        found = await self._parts.back_office.write(
            lambda tx: webhooks.rotate_secret(tx, org_id, wire_id, till_id=till_id, now_ms=now_ms)
        )
        if not isinstance(found, Webhook):
            refused(found).write(resp)
            return
        secret = self._parts.signer.secret_of_webhook(org_id, found.id, found.secret_number)
        answered(NewSecret(SecretShown(wire_id, secret))).write(resp)
        resp.set_header("Cache-Control", "no-store")


class Ping:
    """A test."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def on_post(self, req: Call, resp: falcon.asgi.Response, webhook_id: str) -> None:
        """Put an event into the outbox that this webhook alone is told of, whatever it names."""
        org, wire_id = org_of(req), wire_id_of(webhook_id)
        if not isinstance(org, Org) or not isinstance(wire_id, str):
            refused(org, wire_id).write(resp)
            return
        now_ms = self._parts.clock()
        made = await self._parts.back_office.write(
            lambda tx: pings.ping(tx, org.id, wire_id, request_id=req.request_id, now_ms=now_ms)
        )
        (answered(PingSent(Pinged(event_id(org.id, made)))) if isinstance(made, int) else refused(made)).write(resp)


class EventMetaData:
    """The events that webhooks may name."""

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """All of them."""
        answered(MetaData([EventMeta(active=True, event_name=name) for name in NAMES])).write(resp)


async def taken(call: Call, decode: Callable[[bytes], B]) -> B | Problem | Code:
    """What a body holds: 400 for what is no JSON, 629 for what has other types than described."""
    raw = await call.body()
    if isinstance(raw, Code):
        return raw
    try:
        return decode(raw)
    except msgspec.ValidationError as error:
        return bad(str(error)) if is_json(raw) else Code.MALFORMED
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Code.MALFORMED


def wire_id_of(text: str) -> str | Problem:
    """The id in the path, if it can be one."""
    return text if _WIRE_ID.fullmatch(text) else Problem(UNKNOWN, "there is no such webhook")


def _over(tx: ReadTransaction, org_id: int, wire_id: str, body: WebhookBody, parts: Parts) -> Draft | Problem:
    """What is there, with what the body says instead."""
    webhook = webhooks.read_webhook(tx, org_id, wire_id)
    if webhook is None:
        return Problem(UNKNOWN, f"there is no webhook {wire_id}")
    headers = webhooks.opened(webhook, org_id, parts.vault)
    if headers is None and body.web_hook_headers is UNSET:
        return bad("the webHookHeaders cannot be read any more: send them again")
    draft = Draft(
        name=webhook.name,
        url=webhook.url,
        event_names=webhook.event_names,
        headers=headers or {},
        connections_max=webhook.connections_max,
        sla_s=webhook.sla_s,
        enrichments=webhook.enrichments,
        is_active=webhook.is_active,
    )
    return drafted(body, parts.allowed_networks, draft)


def _described(tx: ReadTransaction, org_id: int, found: Sequence[_Found], secret: str | UnsetType = UNSET) -> list[WebhookShown]:
    """With who made and changed them; one statement."""
    done_by = {till_id for each in found for till_id in (each.webhook.created_by, each.webhook.updated_by) if till_id}
    tills = {each.id: TillShown(each.id, each.code, "", each.name) for each in named_tills(tx, org_id, done_by).values()}
    return [shown(each.webhook, each.headers, tills, secret) for each in found]


def _masked(found: _Found) -> _Found:
    return _Found(found.webhook, dict.fromkeys(found.headers or (), MASK))


def _one(made: WebhookShown | Problem | Code) -> Reply:
    return answered(One(made)) if isinstance(made, WebhookShown) else refused(made)
