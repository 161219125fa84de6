"""`GET /admin/v1/coupons/{coupon_id}/deliveries`: what was sent about a coupon; and deliveries as the admin API shows them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

import falcon.asgi
from msgspec import Struct

from couponry.api import times
from couponry.api.admin.paging import PARAMETERS, Listed, Page, listed, page_of
from couponry.api.call import Call, Reply
from couponry.api.envelopes import ProblemDetails, admin_failure, problem
from couponry.api.operation import Operation, Parameter
from couponry.api.parts import Parts
from couponry.api.seats import org_of
from couponry.api.v2.replies import answered
from couponry.api.v2.requests import coupon_id_of
from couponry.core import ids
from couponry.core.deliveries import Channel, Delivery, DeliveryState, Webhook
from couponry.core.event_ids import event_id
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.core.segments import Segments, segments
from couponry.core.status import Code
from couponry.store.delivery_log import of_coupon
from couponry.store.engine import ReadTransaction
from couponry.store.known import has_coupon

PATH: Final = "/admin/v1/coupons/{coupon_id}/deliveries"
UNKNOWN: Final = "unknown"
_HTTP_STATUS: Final[Mapping[int | str, int]] = MappingProxyType({UNKNOWN: 404, "state": 409})
Status = Literal["queued", "sent", "failed", "skipped"]
_STATUS: Final[Mapping[DeliveryState, Status]] = MappingProxyType(
    {
        DeliveryState.WAITING: "queued",
        DeliveryState.DELIVERED: "sent",
        DeliveryState.FAILED: "failed",
        DeliveryState.SKIPPED: "skipped",
    }
)
CHANNELS: Final[Mapping[str, Channel]] = MappingProxyType(
    {
        "sms": Channel.SMS,
        "email": Channel.EMAIL,
        "otpSms": Channel.OTP_SMS,
        "otpEmail": Channel.OTP_EMAIL,
        "sideEffects": Channel.SIDE_EFFECTS,
        "contacts": Channel.CONTACTS,
        "untold": Channel.UNTOLD,
    }
)
"""Targets that are no webhook. What nothing could be made of is `untold`."""


class DeliveryShown(Struct, frozen=True, rename="camel"):
    """A delivery. `target` is a `webHookId` or a channel, null for a webhook that is gone; `to` is whom a message goes to.

    `problem` says why it failed, was not sent, or has to be tried again. `sms` says how an SMS is sent, unless it is sealed.
    """

    id: int
    event: str
    event_id: str
    target: str | None
    to: str | None
    customer_id: int | None
    coupon_id: int | None
    status: Status
    problem: str
    http_status: int | None
    attempts: int
    happened_at: str
    tried_at: str | None
    done_at: str | None
    next_at: str | None
    sms: Segments | None
    request_id: str
    ref_id: str


OPERATIONS: Final = (
    Operation(
        PATH,
        "get",
        "Messages about a coupon, newest first: queued, sent, failed, or skipped with the reason",
        Listed[DeliveryShown],
        ProblemDetails,
        parameters=(Parameter("coupon_id", "path", "id of the coupon"), *PARAMETERS),
        codes=(Code.INVALID_INPUT,),
        refusal_status=400,
        refusals=((404, "no such coupon"),),
    ),
)


def routes(parts: Parts) -> dict[str, object]:
    """The resource of this module."""
    return {PATH: CouponDeliveries(parts)}


class CouponDeliveries:
    """What was sent about a coupon."""

    def __init__(self, parts: Parts) -> None:
        self._office = parts.back_office

    async def on_get(self, req: Call, resp: falcon.asgi.Response, coupon_id: str) -> None:
        """A page of messages; two statements at most."""
        org, page, number = org_of(req), page_of(req), number_of(coupon_id)
        if not isinstance(org, Org) or not isinstance(page, Page) or not isinstance(number, int):
            refused(org, page, number).write(resp)
            return

        def sent(tx: ReadTransaction) -> list[Delivery] | Problem:
            is_ours = ids.org_of(number) == org.id and has_coupon(tx, org.id, number)
            if not is_ours:
                return Problem(UNKNOWN, f"there is no coupon {number}")
            return of_coupon(tx, org.id, number, limit=page.limit + 1, before_id=page.before_id)

        found = await self._office.read(sent)
        if not isinstance(found, list):
            refused(found).write(resp)
            return
        answered(listed(page, found, lambda each: each.id, lambda each: shown(each, org, {}))).write(resp)


def shown(each: Delivery, org: Org, webhooks: Mapping[int, Webhook]) -> DeliveryShown:
    """A delivery as the admin API shows it."""

    def at(ms: int | None) -> str | None:
        return None if ms is None else times.shown(ms, org.zone)

    return DeliveryShown(
        id=each.id,
        event=each.event,
        event_id=event_id(org.id, each.outbox_id),
        target=target_of(each.target_id, webhooks),
        to=each.address,
        customer_id=each.customer_id,
        coupon_id=each.coupon_id,
        status=status_of(each),
        problem=each.problem,
        http_status=each.http_status,
        attempts=each.attempts,
        happened_at=times.shown(each.happened_ms, org.zone),
        tried_at=at(each.begun_ms),
        done_at=at(each.done_ms),
        next_at=at(each.next_ms) if each.state is DeliveryState.WAITING else None,
        sms=sms_of(each.target_id, each.body if each.target_id != Channel.OTP_SMS else None),
        request_id=each.request_id,
        ref_id=each.ref_id,
    )


def sms_of(target_id: int, text: str | None) -> Segments | None:
    """In how many parts a text is sent as an SMS."""
    return segments(text) if text and target_id in (Channel.SMS, Channel.OTP_SMS) else None


def status_of(each: Delivery) -> Status:
    """Where it stands, in the words of the API."""
    return _STATUS[each.state]


def target_of(target_id: int, webhooks: Mapping[int, Webhook]) -> str | None:
    """What the API calls a target."""
    if target_id > 0:
        return webhooks[target_id].wire_id if target_id in webhooks else None
    return next(name for name, channel in CHANNELS.items() if channel == target_id)


def number_of(sent: str) -> int | Code:
    """The id in the path; 400 for what is no number, as of other admin ids."""
    found = coupon_id_of(sent)
    return found if isinstance(found, int) else Code.MALFORMED


def refused(*found: object) -> Reply:
    """The first refusal among what was found: 404 for what is not there, 409 for what is not in that state."""
    why = next(one for one in found if isinstance(one, Problem | Code))
    return admin_failure(why) if isinstance(why, Code) else problem(why, _HTTP_STATUS.get(why.code, 400))
