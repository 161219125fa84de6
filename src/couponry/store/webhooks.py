"""Webhooks of an org: whom it tells what happens (events 3)."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import Select, delete, insert, select, update

from couponry.core.deliveries import Webhook
from couponry.core.limits import WEBHOOKS_MAX
from couponry.core.problem import Problem
from couponry.core.validation import Vault
from couponry.core.webhook_drafts import Draft
from couponry.store import schema as t
from couponry.store import serials
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.statements import Row

UNKNOWN: Final = "unknown"
NAME_TAKEN: Final = "name_taken"
TOO_MANY: Final = "too_many"
_COLUMNS: Final = tuple(t.webhook.c[name] for name in Webhook.__struct_fields__)
_LISTS: Final = ("event_names", "enrichments")


class Names(Struct, frozen=True):
    """What nobody chooses, made at random: 24 hexadecimal digits, and a UUID."""

    wire_id: str
    consumer_group_id: str


def list_webhooks(tx: ReadTransaction, org_id: int) -> list[Webhook]:
    """All of an org, oldest first. One statement."""
    return _read(tx, select(*_COLUMNS).where(t.webhook.c.org_id == org_id))


def active_webhooks(tx: ReadTransaction, org_id: int) -> list[Webhook]:
    """Those that are sent anything. One statement."""
    return [webhook for webhook in list_webhooks(tx, org_id) if webhook.is_active]


def read_webhook(tx: ReadTransaction, org_id: int, wire_id: str) -> Webhook | None:
    """One, by what the API calls it. One statement."""
    webhook = t.webhook.c
    found = _read(tx, select(*_COLUMNS).where(webhook.org_id == org_id, webhook.wire_id == wire_id))
    return found[0] if found else None


def opened(webhook: Webhook, org_id: int, vault: Vault) -> dict[str, str] | None:
    """Its headers; None when they were sealed with another secret."""
    text = vault.open(org_id, _seal_id(webhook.id), webhook.headers)
    return None if text is None else msgspec.json.decode(text, type=dict[str, str])


def create_webhook(
    tx: WriteTransaction, org_id: int, draft: Draft, names: Names, vault: Vault, *, till_id: int | None, now_ms: int
) -> Webhook | Problem:
    """A new webhook; NAME_TAKEN, TOO_MANY. Of two of one name at once, the second is a conflict, and is tried again."""
    there = list_webhooks(tx, org_id)
    if any(webhook.name == draft.name for webhook in there):
        return _taken(draft)
    if len(there) >= WEBHOOKS_MAX:
        return Problem(TOO_MANY, f"an org has at most {WEBHOOKS_MAX} webhooks")
    webhook_id = serials.reserve(tx, org_id, serials.WEBHOOK)
    made = {"created_ms": now_ms, "created_by": till_id, "secret_number": 1, "rotated_ms": None}
    named = {"id": webhook_id, "wire_id": names.wire_id, "consumer_group_id": names.consumer_group_id}
    values = made | named | _values(org_id, webhook_id, draft, vault, till_id, now_ms)
    tx.connection.execute(insert(t.webhook).values(org_id=org_id, **values))
    return _webhook(tuple(values[column.name] for column in _COLUMNS))


def update_webhook(
    tx: WriteTransaction, org_id: int, wire_id: str, draft: Draft, vault: Vault, *, till_id: int | None, now_ms: int
) -> Webhook | Problem:
    """All that a draft says, instead of what was; UNKNOWN, NAME_TAKEN. What waits for it already stays as it is."""
    there = {webhook.wire_id: webhook for webhook in _locked(tx, org_id)}
    webhook = there.pop(wire_id, None)
    if webhook is None:
        return _unknown(wire_id)
    if any(other.name == draft.name for other in there.values()):
        return _taken(draft)
    return _set(tx, org_id, webhook, _values(org_id, webhook.id, draft, vault, till_id, now_ms))


def rotate_secret(tx: WriteTransaction, org_id: int, wire_id: str, *, till_id: int | None, now_ms: int) -> Webhook | Problem:
    """Sign with a new secret from now on, and for a while with the one before; UNKNOWN."""
    webhook = next((each for each in _locked(tx, org_id) if each.wire_id == wire_id), None)
    if webhook is None:
        return _unknown(wire_id)
    next_number = {"secret_number": webhook.secret_number + 1, "rotated_ms": now_ms}
    return _set(tx, org_id, webhook, {**next_number, "updated_ms": now_ms, "updated_by": till_id})


def delete_webhook(tx: WriteTransaction, org_id: int, wire_id: str) -> Webhook | Problem:
    """Send it nothing any more: what waits for it is given up by the worker (`store.deliveries.abandon`). UNKNOWN."""
    webhook = read_webhook(tx, org_id, wire_id)
    if webhook is None:
        return _unknown(wire_id)
    tx.connection.execute(delete(t.webhook).where(t.webhook.c.org_id == org_id, t.webhook.c.id == webhook.id))
    return webhook


def _values(org_id: int, webhook_id: int, draft: Draft, vault: Vault, till_id: int | None, now_ms: int) -> dict[str, Any]:
    headers = msgspec.json.encode(dict(draft.headers)).decode()
    return {
        "name": draft.name,
        "url": draft.url,
        "event_names": _text(draft.event_names),
        "headers": vault.seal(org_id, _seal_id(webhook_id), headers),
        "enrichments": _text(draft.enrichments),
        "connections_max": draft.connections_max,
        "sla_s": draft.sla_s,
        "is_active": draft.is_active,
        "updated_ms": now_ms,
        "updated_by": till_id,
    }


def _seal_id(webhook_id: int) -> int:
    """The vault tells rows apart by number; those of validation codes are positive."""
    return -webhook_id


def _set(tx: WriteTransaction, org_id: int, webhook: Webhook, values: Mapping[str, Any]) -> Webhook:
    same = (t.webhook.c.org_id == org_id, t.webhook.c.id == webhook.id)
    tx.connection.execute(update(t.webhook).where(*same).values(values))
    changed = {name: frozenset(msgspec.json.decode(value)) if name in _LISTS else value for name, value in values.items()}
    return msgspec.structs.replace(webhook, **changed)


def _read(tx: ReadTransaction, wanted: Select[Any]) -> list[Webhook]:
    return [_webhook(row) for row in tx.rows(wanted.order_by(t.webhook.c.id), {})]


def _locked(tx: WriteTransaction, org_id: int) -> list[Webhook]:
    """Two who rotate a secret at once must not both make the same one."""
    wanted = select(*_COLUMNS).where(t.webhook.c.org_id == org_id).order_by(t.webhook.c.id)
    return [_webhook(row) for row in tx.rows(tx.dialect.locked(wanted, t.webhook), {})]


def _webhook(row: Row) -> Webhook:
    values = dict(zip((column.name for column in _COLUMNS), row, strict=True))
    return Webhook(**values | {name: frozenset(msgspec.json.decode(values[name])) for name in _LISTS})


def _text(names: frozenset[str]) -> str:
    return msgspec.json.encode(sorted(names)).decode()


def _taken(draft: Draft) -> Problem:
    return Problem(NAME_TAKEN, f"there is a webhook named {draft.name}")


def _unknown(wire_id: str) -> Problem:
    return Problem(UNKNOWN, f"there is no webhook {wire_id}")
