"""Who is told of a cause: every webhook that names it, and whom a message is for (events 1, 5)."""

from collections.abc import Sequence

from msgspec.structs import replace

from couponry.core import hook_messages
from couponry.core.deliveries import Channel, DeliveryState, NewDelivery, Webhook
from couponry.core.events import PING, Events, told_alone
from couponry.core.messages import Messages
from couponry.core.model import Org
from couponry.core.telling import Cause, Facts
from couponry.core.validation import Vault


class FanOut:
    """Makes the deliveries of causes, in their order. `single_coupon_only`: redeem requests of several coupons are no events, in
    any org (`eventsSingleCouponOnly` says it for one).
    """

    def __init__(self, vault: Vault, *, single_coupon_only: bool) -> None:
        self._vault = vault
        self._single_coupon_only = single_coupon_only

    def __call__(self, org: Org, causes: Sequence[Cause], facts: Facts, webhooks: Sequence[Webhook]) -> list[NewDelivery]:
        events, messages = Events(org.id, facts), Messages(org, facts, self._vault)
        is_single = self._single_coupon_only or org.settings.events_single_coupon_only
        alone = told_alone(causes) if is_single else None
        receivers: dict[str, list[Webhook]] = {}
        for webhook in webhooks:
            for name in webhook.event_names if webhook.is_active else ():
                receivers.setdefault(name, []).append(webhook)
        made: list[NewDelivery] = []
        for cause in causes:
            ref_id = events.ref_id(cause)
            if alone is None or cause.event != "CouponRedeem" or cause.id in alone:
                pinged = [each for each in webhooks if cause.event == PING and each.id in cause.subject_ids]
                made += _to_webhooks(cause, ref_id, events, pinged or receivers.get(cause.event, ()))
            if cause.event == hook_messages.SIDE_EFFECTS:
                made += _to_hook(org, cause, ref_id, facts)
            made += messages.deliveries(cause, ref_id)
        return made


def _to_webhooks(cause: Cause, ref_id: str, events: Events, webhooks: Sequence[Webhook]) -> list[NewDelivery]:
    """One for each webhook; those that are shown the same get the same."""
    bodies: dict[frozenset[str], str | None] = {}
    made = []
    for webhook in webhooks:
        if webhook.enrichments not in bodies:
            bodies[webhook.enrichments] = events.body(cause, webhook.enrichments)
        if body := bodies[webhook.enrichments]:
            made.append(_delivery(cause, ref_id, webhook.id, body))
    return made


def _to_hook(org: Org, cause: Cause, ref_id: str, facts: Facts) -> list[NewDelivery]:
    body = hook_messages.side_effects_left(org.id, cause, facts)
    if body is None:
        return []
    delivery = _delivery(cause, ref_id, Channel.SIDE_EFFECTS, body.decode())
    if not org.settings.side_effects_hook_url:
        delivery = replace(delivery, state=DeliveryState.SKIPPED, problem="there is no hook")
    return [delivery]


def _delivery(cause: Cause, ref_id: str, target_id: int, body: str) -> NewDelivery:
    return NewDelivery(
        outbox_id=cause.id,
        event=cause.event,
        target_id=target_id,
        customer_id=cause.customer_id,
        body=body,
        request_id=cause.request_id,
        ref_id=ref_id,
    )
