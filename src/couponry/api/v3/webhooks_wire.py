"""What requests about webhooks hold, and what is answered (events 3). Enrichment, secret and redelivery are ours."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

from msgspec import UNSET, Struct, UnsetType

from couponry.api.admin.queries import bad
from couponry.core.deliveries import Webhook
from couponry.core.events import Enrichment
from couponry.core.limits import WEBHOOK_CONNECTIONS, WEBHOOK_CONNECTIONS_MAX, WEBHOOK_SLA_S
from couponry.core.problem import Problem
from couponry.core.webhook_drafts import NAMES, Draft, draft_problem, headers_problem
from couponry.outbound.addresses import Network
from couponry.outbound.targets import url_problem

MASK: Final = "***"


class EnrichmentBody(Struct, rename="camel"):
    """What events show beside the usual; what is left out is off."""

    till: bool = False
    store: bool = False
    customer_identifiers: bool = False
    card_numbers: bool = False

    @property
    def names(self) -> frozenset[str]:
        wanted = zip((self.till, self.store, self.customer_identifiers, self.card_numbers), Enrichment, strict=True)
        return frozenset(name.value for is_wanted, name in wanted if is_wanted)


class WebhookBody(Struct, rename="camel"):
    """A webhook as somebody wants it. A change leaves what it does not name as it is."""

    name: str | UnsetType = UNSET
    web_hook_url: str | UnsetType = UNSET
    event_names: list[str] | UnsetType = UNSET
    web_hook_headers: dict[str, str] | UnsetType | None = UNSET
    web_hook_type: str | None = None
    method_type: str | None = None
    max_allowed_connections: int | float | UnsetType | None = UNSET
    sla_in_seconds: int | UnsetType | None = UNSET
    active: bool | UnsetType | None = UNSET
    enrichment: EnrichmentBody | UnsetType | None = UNSET


class TillShown(Struct, frozen=True):
    """Who did it."""

    id: int | None
    code: str = ""
    description: str = ""
    name: str = ""
    type: Literal["TILL"] = "TILL"


class Attributed(Struct, frozen=True, rename="camel"):
    """Who made a webhook, and who changed it last."""

    created_on: str
    last_updated_on: str
    last_updated_by: TillShown
    created_by: TillShown


class WebhookShown(Struct, frozen=True, rename="camel", kw_only=True):
    """A webhook. `secret` is told when it is made, and never again; headers are masked for those who may only read."""

    attribution: Attributed
    web_hook_id: str
    name: str
    event_names: list[str]
    web_hook_url: str
    web_hook_type: Literal["HTTP"] = "HTTP"
    method_type: Literal["POST"] = "POST"
    web_hook_headers: dict[str, str] | None
    no_of_retry_attempts: int = 0
    max_allowed_connections: int
    active: bool
    sla_in_seconds: int
    consumer_group_id: str
    enrichment: EnrichmentBody
    secret: str | UnsetType = UNSET


class EventMeta(Struct, frozen=True, rename="camel"):
    """An event that webhooks may name."""

    active: bool
    event_name: str


class Deleted(Struct, frozen=True, rename="camel"):
    """The webhook that is gone."""

    web_hook_id: str


class SecretShown(Struct, frozen=True, rename="camel"):
    """A new secret; the one before signs beside it for a day."""

    web_hook_id: str
    secret: str


class Pinged(Struct, frozen=True, rename="camel"):
    """The event that was made for a test: look it up in the event log."""

    event_id: str


class One(Struct, frozen=True):
    """A webhook in a v3 envelope."""

    data: WebhookShown
    errors: None = None


class Several(Struct, frozen=True):
    """All of an org."""

    data: list[WebhookShown]
    errors: None = None


class MetaData(Struct, frozen=True):
    """All events."""

    data: list[EventMeta]
    errors: None = None


class Gone(Struct, frozen=True):
    """The answer to a deletion."""

    data: Deleted
    errors: None = None


class NewSecret(Struct, frozen=True):
    """The answer to a rotation."""

    data: SecretShown
    errors: None = None


class PingSent(Struct, frozen=True):
    """The answer to a ping."""

    data: Pinged
    errors: None = None


def drafted(body: WebhookBody, allowed: Sequence[Network], there: Draft | None = None) -> Draft | Problem:
    """What a body asks for, over what is there; 629 with the first thing that is wrong."""
    draft = _filled(body, there)
    if isinstance(draft, Problem):
        return draft
    if (body.web_hook_type or "HTTP", body.method_type or "POST") != ("HTTP", "POST"):
        return bad("webHookType is HTTP, methodType is POST")
    wrong = draft_problem(draft) or url_problem(draft.url, allowed) or headers_problem(draft.headers)
    return bad(wrong) if wrong else draft


def _filled(body: WebhookBody, there: Draft | None) -> Draft | Problem:
    """The draft; a null means what a new webhook has."""
    if there is None and (body.name is UNSET or body.web_hook_url is UNSET or body.event_names is UNSET):
        return bad("name, webHookUrl and eventNames are needed")
    draft = there or Draft(
        name="",
        url="",
        event_names=frozenset(),
        headers={},
        connections_max=WEBHOOK_CONNECTIONS,
        sla_s=WEBHOOK_SLA_S,
    )
    connections, sla_s, enrichment = body.max_allowed_connections, body.sla_in_seconds, body.enrichment
    if connections is not UNSET:
        connections = WEBHOOK_CONNECTIONS if connections is None else _truncated(connections)
    if sla_s is not UNSET:
        sla_s = WEBHOOK_SLA_S if sla_s is None else sla_s
    return Draft(
        name=draft.name if body.name is UNSET else body.name.strip(),
        url=draft.url if body.web_hook_url is UNSET else body.web_hook_url.strip(),
        event_names=draft.event_names if body.event_names is UNSET else frozenset(body.event_names),
        headers=draft.headers if body.web_hook_headers is UNSET else body.web_hook_headers or {},
        connections_max=draft.connections_max if connections is UNSET else connections,
        sla_s=draft.sla_s if sla_s is UNSET else sla_s,
        is_active=draft.is_active if body.active is UNSET else body.active is not False,
        enrichments=draft.enrichments if enrichment is UNSET else enrichment.names if enrichment else frozenset(),
    )


def _truncated(connections: float) -> int:
    """Without its fraction (events 3); what is far too much stays too much."""
    return int(max(-1, min(connections, WEBHOOK_CONNECTIONS_MAX + 1)))


def shown(
    webhook: Webhook, headers: Mapping[str, str] | None, tills: Mapping[int, TillShown], secret: str | UnsetType = UNSET
) -> WebhookShown:
    """A webhook as the contract prints it."""
    return WebhookShown(
        attribution=Attributed(
            created_on=instant(webhook.created_ms),
            last_updated_on=instant(webhook.updated_ms),
            last_updated_by=tills.get(webhook.updated_by or 0, TillShown(webhook.updated_by)),
            created_by=tills.get(webhook.created_by or 0, TillShown(webhook.created_by)),
        ),
        web_hook_id=webhook.wire_id,
        name=webhook.name,
        event_names=[name for name in NAMES if name in webhook.event_names],
        web_hook_url=webhook.url,
        web_hook_headers=None if headers is None else dict(headers),
        max_allowed_connections=webhook.connections_max,
        active=webhook.is_active,
        sla_in_seconds=webhook.sla_s,
        consumer_group_id=webhook.consumer_group_id,
        enrichment=EnrichmentBody(*(name.value in webhook.enrichments for name in Enrichment)),
        secret=secret,
    )


def instant(at_ms: int) -> str:
    """`2031-03-01T08:00:00.000+0000`, as v3 writes instants."""
    seconds, ms = divmod(at_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03}+0000"
