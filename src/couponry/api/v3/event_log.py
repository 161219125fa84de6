"""`/v3/webHooks/eventLog`: what became of an event (events 4), delivery by delivery."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import falcon.asgi
from msgspec import Struct, field

from couponry.api.admin.queries import text
from couponry.api.call import Call
from couponry.api.operation import Operation, Parameter
from couponry.api.parts import Parts
from couponry.api.seats import org_of
from couponry.api.v2.replies import answered
from couponry.api.v3.replies import refused
from couponry.api.v3.webhooks_described import PATH as WEBHOOKS
from couponry.api.v3.webhooks_described import operation
from couponry.api.v3.webhooks_wire import instant
from couponry.core.deliveries import Delivery, DeliveryState, Webhook
from couponry.core.event_ids import event_id, outbox_id
from couponry.core.limits import REQUEST_ID_CHARS_MAX
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.store import delivery_log
from couponry.store.engine import ReadTransaction
from couponry.store.webhooks import UNKNOWN, list_webhooks

PATH: Final = f"{WEBHOOKS}/eventLog"
_BY_EVENT: Final = f"{PATH}/{{event_id}}"
_BY_REQUEST: Final = f"{PATH}/requestId/{{request_id}}"
_BY_REF: Final = f"{PATH}/refId/{{ref_id}}"
_REQUEST_ID: Final = re.compile(rf"[A-Za-z0-9._-]{{1,{REQUEST_ID_CHARS_MAX}}}")
_REF_ID: Final = re.compile("[0-9_:]{1,100}")
_SECOND_MS: Final = 1000

Search = Callable[[ReadTransaction], list[Delivery]]


class ConsumerResponse(Struct, frozen=True):
    """What the receiver answered, in what time (ms). No status where it gave none."""

    webhook_http_status: float | None = field(name="webhookHttpStatus")
    time_taken: float


class Logged(Struct, frozen=True, rename="camel"):
    """One event on its way to one webhook. `status` and `attempts` are ours; `problem` is why it was not delivered."""

    ref_id: str
    request_id: str
    event_name: str
    event_id: str
    consumer_group_id: str | None
    event_ingestion_timestamp: str
    event_start_timestamp: str
    event_end_timestamp: str | None
    sla_breach_timestamp: str | None
    consumer_response: ConsumerResponse | None
    status: DeliveryState
    attempts: int
    problem: str


class LoggedOne(Struct, frozen=True):
    """One event."""

    data: Logged
    errors: None = None


class LoggedSeveral(Struct, frozen=True):
    """Several, in the order in which they happened."""

    data: list[Logged]
    errors: None = None


_GROUP: Final = Parameter("consumerGroupId", "query", "on its way to this webhook alone")
OPERATIONS: Final[tuple[Operation, ...]] = (
    operation(
        _BY_EVENT,
        "get",
        "What became of an event; where several webhooks are told, at the oldest of them",
        LoggedOne,
        parameters=(Parameter("event_id", "path", "`eventId`", is_name=True), _GROUP),
        codes=(),
        refusals=((404, "404 no webhook is told of such an event, or not yet"),),
    ),
    operation(
        _BY_REQUEST,
        "get",
        "What became of the events of a request",
        LoggedSeveral,
        parameters=(Parameter("request_id", "path", "`X-Cap-Requestid` of its answer", is_name=True), _GROUP),
        codes=(),
    ),
    operation(
        _BY_REF,
        "get",
        "What became of the events about something",
        LoggedSeveral,
        parameters=(Parameter("ref_id", "path", "`refId`", is_name=True), _GROUP),
        codes=(),
    ),
)


def routes(parts: Parts) -> dict[str, object]:
    """By event, by request, by reference."""
    return {_BY_EVENT: OneEvent(parts), _BY_REQUEST: EventsOfRequest(parts), _BY_REF: EventsOfRef(parts)}


class _Log:
    """Looks things up."""

    def __init__(self, parts: Parts) -> None:
        self._office, self._clock = parts.back_office, parts.clock

    async def found(self, call: Call, search: Callable[[int], Search | None]) -> list[Logged] | Code:
        """The deliveries to webhooks that a search finds; two statements."""
        org, group, now_ms = org_of(call), text(call, "consumerGroupId"), self._clock()
        if isinstance(org, Code):
            return org
        look = search(org.id)
        return await self._office.read(partial(_logged, org.id, look, group, now_ms)) if look else []


class OneEvent(_Log):
    """By the event's id."""

    async def on_get(self, req: Call, resp: falcon.asgi.Response, event_id: str) -> None:
        """Look it up."""

        def search(org_id: int) -> Search | None:
            found = outbox_id(org_id, event_id)
            return None if found is None else lambda tx: delivery_log.of_cause(tx, org_id, found)

        logged = await self.found(req, search)
        if isinstance(logged, Code) or not logged:
            refused(logged, Problem(UNKNOWN, "no webhook is told of such an event")).write(resp)
            return
        answered(LoggedOne(logged[0])).write(resp)


class EventsOfRequest(_Log):
    """By the request that they were caused by."""

    async def on_get(self, req: Call, resp: falcon.asgi.Response, request_id: str) -> None:
        """Look them up."""

        def search(org_id: int) -> Search | None:
            is_one = _REQUEST_ID.fullmatch(request_id)
            return (lambda tx: delivery_log.of_request(tx, org_id, request_id)) if is_one else None

        logged = await self.found(req, search)
        (refused(logged) if isinstance(logged, Code) else answered(LoggedSeveral(logged))).write(resp)


class EventsOfRef(_Log):
    """By what they are about."""

    async def on_get(self, req: Call, resp: falcon.asgi.Response, ref_id: str) -> None:
        """Look them up."""

        def search(org_id: int) -> Search | None:
            return (lambda tx: delivery_log.of_ref(tx, org_id, ref_id)) if _REF_ID.fullmatch(ref_id) else None

        logged = await self.found(req, search)
        (refused(logged) if isinstance(logged, Code) else answered(LoggedSeveral(logged))).write(resp)


def _logged(org_id: int, look: Search, group: str, now_ms: int, tx: ReadTransaction) -> list[Logged]:
    deliveries: Sequence[Delivery] = look(tx)
    by_id: Mapping[int, Webhook] = {webhook.id: webhook for webhook in list_webhooks(tx, org_id)}
    told = ((each, by_id.get(each.target_id)) for each in deliveries if each.target_id > 0)
    return [
        _shown(org_id, each, webhook, now_ms)
        for each, webhook in told
        if not group or (webhook and webhook.consumer_group_id == group)
    ]


def _shown(org_id: int, each: Delivery, webhook: Webhook | None, now_ms: int) -> Logged:
    late_ms = each.happened_ms + webhook.sla_s * _SECOND_MS if webhook else None
    is_late = late_ms is not None and (now_ms if each.done_ms is None else each.done_ms) > late_ms
    response = None
    if each.state is not DeliveryState.WAITING:
        status = None if each.http_status is None else float(each.http_status)
        response = ConsumerResponse(status, float(each.took_ms or 0))
    return Logged(
        ref_id=each.ref_id,
        request_id=each.request_id,
        event_name=each.event,
        event_id=event_id(org_id, each.outbox_id),
        consumer_group_id=webhook.consumer_group_id if webhook else None,
        event_ingestion_timestamp=instant(each.happened_ms),
        event_start_timestamp=instant(each.created_ms if each.begun_ms is None else each.begun_ms),
        event_end_timestamp=None if each.done_ms is None else instant(each.done_ms),
        sla_breach_timestamp=instant(late_ms) if is_late and late_ms is not None else None,
        consumer_response=response,
        status=each.state,
        attempts=each.attempts,
        problem=each.problem,
    )
