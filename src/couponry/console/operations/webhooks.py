"""Webhooks: whom the organisation tells what happens, what they were sent, and sending it again."""

from collections.abc import Mapping
from functools import partial
from typing import Final

import falcon.asgi
from msgspec import Struct
from wtforms import BooleanField, Form, IntegerField, StringField, TextAreaField
from wtforms.validators import InputRequired, NumberRange, Optional

from couponry.console.fields import Choices
from couponry.console.gate import Resource
from couponry.console.operations.secret_once import shown_once
from couponry.console.pages import Pages
from couponry.console.parts import ConsoleParts
from couponry.console.visit import Visit
from couponry.core.deliveries import TargetCount, Webhook
from couponry.core.events import Enrichment
from couponry.core.limits import (
    CONSOLE_PAGE_ROWS,
    WEBHOOK_CONNECTIONS,
    WEBHOOK_CONNECTIONS_MAX,
    WEBHOOK_SLA_S,
    WEBHOOK_SLA_S_MAX,
)
from couponry.core.problem import Problem
from couponry.core.roles import Permission
from couponry.core.status import Code
from couponry.core.webhook_drafts import NAMES, Draft, draft_problem, headers_problem
from couponry.outbound.targets import url_problem
from couponry.store import audit, delivery_log, pings, webhooks
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.target_log import Log, sent_to

_TELLS: Final = {
    Enrichment.TILL: "the till",
    Enrichment.STORE: "the store",
    Enrichment.CUSTOMER: "the customer's identifiers",
    Enrichment.CARDS: "card numbers",
}


def routes(parts: ConsoleParts, pages: Pages) -> Mapping[str, Resource]:
    """The list, one with its log, and what is done with it."""
    return {
        "/webhooks": Webhooks(parts, pages),
        "/webhooks/{wire_id}": OneWebhook(parts, pages),
        "/webhooks/{wire_id}/{act}": WebhookActs(parts, pages),
    }


class WebhookForm(Form):
    """A webhook as a person describes it."""

    name = StringField("Name", [InputRequired()], description="Which system is told.")
    url = StringField("Address", [InputRequired()], description="Events are posted there, by HTTPS at best.")
    event_names = Choices("Events", {name: name for name in NAMES}, [InputRequired()])
    enrichments = Choices("Tell also", {each.value: text for each, text in _TELLS.items()})
    headers = TextAreaField(
        "Headers",
        [Optional()],
        description="One a line: Authorization: Bearer …. They are never shown again; nothing typed leaves them as they are.",
    )
    connections_max = IntegerField(
        "Connections",
        [InputRequired(), NumberRange(1, WEBHOOK_CONNECTIONS_MAX)],
        default=WEBHOOK_CONNECTIONS,
        description="How many requests at a time it can take.",
    )
    sla_s = IntegerField(
        "Seconds until late",
        [InputRequired(), NumberRange(1, WEBHOOK_SLA_S_MAX)],
        default=WEBHOOK_SLA_S,
        description="Deliveries that take longer are marked as late.",
    )
    is_active = BooleanField("Active", default=True, description="One that is not active is told nothing.")


class Shown(Struct, frozen=True):
    """Webhooks, and what waits and has failed at each."""

    webhooks: list[Webhook]
    counts: Mapping[int, TargetCount]
    log: Log | None = None


class Webhooks:
    """All of them; a new one."""

    NEEDS, NEEDS_TO_POST = Permission.SEE_OPERATIONS, Permission.OPERATE

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """The list."""
        await self._show(visit, resp, WebhookForm())

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response) -> None:
        """Make one; its secret is shown this once."""
        form = WebhookForm(visit.form)
        draft = _drafted(form, self._parts)
        made = await self._parts.back_office.write(partial(_make, visit, self._parts, draft)) if draft else None
        if isinstance(made, Code):
            self._pages.failed(visit, resp, made)
        elif isinstance(made, Webhook):
            secret = self._parts.signer.secret_of_webhook(visit.org_id, made.id, made.secret_number)
            shown_once(self._pages, visit, resp, f"Webhook {made.name}", {"Secret": secret}, f"/webhooks/{made.wire_id}")
        else:
            form.name.errors = [*form.name.errors, *([made.text] if made else [])]
            await self._show(visit, resp, form, 422)

    async def _show(self, visit: Visit, resp: falcon.asgi.Response, form: WebhookForm, status: int = 200) -> None:
        found = await self._parts.back_office.read(partial(_all, visit.org_id))
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
            return
        self._pages.show(visit, resp, "operations/webhooks.html", status=status, found=found, form=form)


class OneWebhook:
    """One, with what it was sent."""

    NEEDS, NEEDS_TO_POST = Permission.SEE_OPERATIONS, Permission.OPERATE

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_get(self, visit: Visit, resp: falcon.asgi.Response, wire_id: str) -> None:
        """Show it."""
        await self._show(visit, resp, wire_id, None)

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, wire_id: str) -> None:
        """Change it."""
        form = WebhookForm(visit.form)
        draft = _drafted(form, self._parts)
        done = await self._parts.back_office.write(partial(_change, visit, self._parts, wire_id, draft)) if draft else None
        if isinstance(done, Code):
            self._pages.failed(visit, resp, done)
        elif isinstance(done, Webhook):
            self._pages.go(visit, resp, f"/webhooks/{wire_id}", "The webhook is changed.")
        else:
            form.name.errors = [*form.name.errors, *([done.text] if done else [])]
            await self._show(visit, resp, wire_id, form, 422)

    async def _show(
        self, visit: Visit, resp: falcon.asgi.Response, wire_id: str, form: WebhookForm | None, status: int = 200
    ) -> None:
        found = await self._parts.back_office.read(partial(_one, visit, wire_id))
        if isinstance(found, Code):
            self._pages.failed(visit, resp, found)
        elif found is None:
            self._pages.missing(visit, resp, "webhook")
        else:
            (webhook,) = found.webhooks
            filled = form or WebhookForm(obj=webhook, headers="")
            self._pages.show(visit, resp, "operations/webhook.html", status=status, webhook=webhook, found=found, form=filled)


class WebhookActs:
    """Test, rotate the secret, send again, remove."""

    NEEDS, NEEDS_TO_POST = Permission.SEE_OPERATIONS, Permission.OPERATE

    def __init__(self, parts: ConsoleParts, pages: Pages) -> None:
        self._parts, self._pages = parts, pages

    async def on_post(self, visit: Visit, resp: falcon.asgi.Response, wire_id: str, act: str) -> None:
        """Do it."""
        if act not in _ACTS:
            self._pages.missing(visit, resp)
            return
        done = await self._parts.back_office.write(partial(_act, visit, wire_id, act))
        if isinstance(done, Code):
            self._pages.failed(visit, resp, done)
        elif isinstance(done, Problem) and done.code == webhooks.UNKNOWN:
            self._pages.missing(visit, resp, "webhook")
        elif isinstance(done, Problem):
            self._pages.problem(visit, resp, 409, "That cannot be done now", f"{done.text.capitalize()}.")
        elif act == "rotate":
            secret = self._parts.signer.secret_of_webhook(visit.org_id, done.id, done.secret_number)
            shown_once(self._pages, visit, resp, "New secret", {"Secret": secret}, f"/webhooks/{wire_id}")
        else:
            self._pages.go(visit, resp, "/webhooks" if act == "remove" else f"/webhooks/{wire_id}", _ACTS[act])


_ACTS: Final[Mapping[str, str]] = {
    "ping": "A test event is on its way.",
    "rotate": "",
    "replay": "What had failed is on its way again.",
    "remove": "The webhook is removed; what waited for it is given up.",
}


def _act(visit: Visit, wire_id: str, act: str, tx: WriteTransaction) -> Webhook | Problem:
    there = webhooks.read_webhook(tx, visit.org_id, wire_id)
    if there is None:
        return Problem(webhooks.UNKNOWN, "there is no such webhook")
    done: object = there
    if act == "ping":
        done = pings.ping(tx, visit.org_id, wire_id, request_id=visit.request_id, now_ms=visit.now_ms)
    elif act == "rotate":
        done = webhooks.rotate_secret(tx, visit.org_id, wire_id, till_id=None, now_ms=visit.now_ms)
    elif act == "replay":
        delivery_log.replay_all(tx, visit.org_id, there.id, visit.now_ms)
    else:
        done = webhooks.delete_webhook(tx, visit.org_id, wire_id)
    if isinstance(done, Problem):
        return done
    audit.record(tx, visit.actor(), f"{act} webhook", ("webhook", wire_id), before={"name": there.name, "url": there.url})
    return done if isinstance(done, Webhook) else there


def _all(org_id: int, tx: ReadTransaction) -> Shown:
    found = webhooks.list_webhooks(tx, org_id)
    counts = delivery_log.target_counts(tx, org_id, [each.id for each in found])
    return Shown(found, {each.target_id: each for each in counts})


def _one(visit: Visit, wire_id: str, tx: ReadTransaction) -> Shown | None:
    webhook = webhooks.read_webhook(tx, visit.org_id, wire_id)
    if webhook is None:
        return None
    counts = delivery_log.target_counts(tx, visit.org_id, [webhook.id])
    log = sent_to(tx, visit.org_id, webhook.id, limit=CONSOLE_PAGE_ROWS, before_id=visit.number("before"))
    return Shown([webhook], {each.target_id: each for each in counts}, log)


def _drafted(form: WebhookForm, parts: ConsoleParts) -> Draft | None:
    """What the form asks for; None with the errors in the form."""
    if not form.validate():
        return None
    headers = _headers(form.headers.data or "")
    draft = Draft(
        name=(form.name.data or "").strip(),
        url=(form.url.data or "").strip(),
        event_names=frozenset(form.event_names.data or ()),
        headers=headers or {},
        connections_max=form.connections_max.data or 0,
        sla_s=form.sla_s.data or 0,
        enrichments=frozenset(form.enrichments.data or ()),
        is_active=bool(form.is_active.data),
    )
    for field, wrong in (
        (form.url, url_problem(draft.url, parts.allowed_networks)),
        (form.headers, "each line is NAME: VALUE" if headers is None else headers_problem(draft.headers)),
        (form.name, draft_problem(draft)),
    ):
        if wrong:
            field.errors = [*field.errors, wrong]
    return None if form.errors else draft


def _headers(text: str) -> dict[str, str] | None:
    """Lines of `NAME: VALUE`; None when one is none."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not all(":" in line for line in lines):
        return None
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _make(visit: Visit, parts: ConsoleParts, draft: Draft, tx: WriteTransaction) -> Webhook | Problem:
    made = webhooks.create_webhook(
        tx, visit.org_id, draft, parts.new_webhook_names(), parts.vault, till_id=None, now_ms=visit.now_ms
    )
    if isinstance(made, Webhook):
        audit.record(tx, visit.actor(), "create webhook", ("webhook", made.wire_id), after=_noted(made))
    return made


def _change(visit: Visit, parts: ConsoleParts, wire_id: str, draft: Draft, tx: WriteTransaction) -> Webhook | Problem:
    """Headers stay as they are when none are typed in."""
    there = webhooks.read_webhook(tx, visit.org_id, wire_id)
    if there is None:
        return Problem(webhooks.UNKNOWN, "there is no such webhook")
    kept = draft.headers or webhooks.opened(there, visit.org_id, parts.vault) or {}
    wanted = Draft(**{name: getattr(draft, name) for name in Draft.__struct_fields__} | {"headers": kept})
    changed = webhooks.update_webhook(tx, visit.org_id, wire_id, wanted, parts.vault, till_id=None, now_ms=visit.now_ms)
    if isinstance(changed, Webhook):
        audit.record(tx, visit.actor(), "change webhook", ("webhook", wire_id), before=_noted(there), after=_noted(changed))
    return changed


def _noted(webhook: Webhook) -> dict[str, object]:
    """For the audit log: no headers, which may hold secrets."""
    return {
        "name": webhook.name,
        "url": webhook.url,
        "events": sorted(webhook.event_names),
        "active": webhook.is_active,
        "connections": webhook.connections_max,
    }
