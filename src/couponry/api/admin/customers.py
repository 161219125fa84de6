"""`/admin/v1/customers`: fraud and status, merging, forgetting (rules 11)."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

import falcon.asgi
import msgspec
from msgspec import UNSET, Struct, UnsetType

from couponry.api import times
from couponry.api.call import Call, Reply
from couponry.api.envelopes import ProblemDetails, admin_failure, problem
from couponry.api.operation import Operation, Parameter
from couponry.api.parts import Parts
from couponry.api.seats import org_of
from couponry.api.v2.replies import answered
from couponry.api.v2.requests import Id, coupon_id_of, decoded, id_of
from couponry.core.deliveries import Channel
from couponry.core.limits import MERGE_MS_MAX, MERGE_PAUSE_MS
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.store import customers, merge
from couponry.store.back_office import BackOffice
from couponry.store.customers import CustomerRecord
from couponry.store.engine import WriteTransaction

PATH: Final = "/admin/v1/customers/{customer_id}"
_STATUS_OF: Final[dict[int | str, int]] = {"unknown": 404, "gone": 409, 8015: 404, 8069: 409}
_OF_TWO: Final = [(404, "unknown"), (409, "gone"), (400, "invalid")]
_BLOCKED: Final = frozenset({Code.TIMED_OUT, Code.CONFLICT})

B = TypeVar("B")
Found = CustomerRecord | Problem | Code
Act = Callable[[WriteTransaction], Found]


class StandingBody(Struct, rename="camel"):
    """What to change of a customer's standing."""

    fraud_status: str | None = None
    status_label: str | None = None


class MergeBody(Struct, rename="camel"):
    """Into whom."""

    into_id: Id = None


class SubscriptionsBody(Struct, rename="upper", forbid_unknown_fields=True):
    """By which channels the customer wants messages; what is left out stays as it is."""

    sms: bool | UnsetType = UNSET
    email: bool | UnsetType = UNSET


class Subscriptions(Struct, frozen=True, rename="upper"):
    """By which channels the customer wants messages."""

    sms: bool
    email: bool


class CustomerShown(Struct, frozen=True, rename="camel"):
    """A customer as the back office sees one, also one who is gone."""

    id: int
    first_name: str
    last_name: str
    mobile: str | None
    email: str | None
    external_id: str | None
    card_number: str | None
    card_external_id: str | None
    is_loyalty: bool
    fraud_status: str
    status_label: str
    status_reason: str
    transaction_count: int
    registered_on: str
    updated_on: str
    merged_into_id: int | None
    deleted_on: str | None
    fields: dict[str, Any]
    extended_fields: dict[str, Any]
    subscriptions: Subscriptions


_ID: Final = Parameter("customer_id", "path", "the customer's id")
_DECODE_STANDING: Final = msgspec.json.Decoder(StandingBody).decode
_DECODE_SUBSCRIPTIONS: Final = msgspec.json.Decoder(SubscriptionsBody).decode
_DECODE_MERGE: Final = msgspec.json.Decoder(MergeBody).decode
_GONE: Final = (Code.NO_SUCH_CUSTOMER, Code.CUSTOMER_DELETED, Code.CUSTOMER_MERGED)


def _operation(path: str, method: str, summary: str, body: object = None, *codes: Code) -> Operation:
    other = [(_STATUS_OF[code.number], f"{code.number} {code.message}") for code in codes if code.number in _STATUS_OF]
    return Operation(
        path,
        method,
        summary,
        CustomerShown,
        ProblemDetails,
        body,
        (_ID,),
        codes=[code for code in codes if code.number not in _STATUS_OF],
        refusals=other + (_OF_TWO if body is MergeBody else []),
        refusal_status=400,
    )


OPERATIONS: Final = (
    _operation(PATH, "get", "A customer, also one who is gone", None, Code.NO_SUCH_CUSTOMER),
    _operation(
        PATH,
        "patch",
        "Set a customer's fraud status and status label",
        StandingBody,
        *_GONE,
        Code.UNKNOWN_STATUS_LABEL,
        Code.INVALID_INPUT,
    ),
    _operation(
        f"{PATH}/subscriptions",
        "put",
        "Set by which channels a customer wants messages",
        SubscriptionsBody,
        *_GONE,
        Code.INVALID_INPUT,
    ),
    _operation(
        f"{PATH}/merge", "post", "Give all that is the customer's to another; answers the other", MergeBody, Code.INVALID_INPUT
    ),
    _operation(f"{PATH}/delete", "post", "Forget who the customer is", None, Code.NO_SUCH_CUSTOMER),
)


def routes(parts: Parts) -> dict[str, object]:
    """The resources of this module."""
    return {
        PATH: Customer(parts),
        f"{PATH}/subscriptions": Subscribing(parts),
        f"{PATH}/merge": Merge(parts),
        f"{PATH}/delete": Delete(parts),
    }


class Customer:
    """One customer."""

    def __init__(self, parts: Parts) -> None:
        self._office, self._clock = parts.back_office, parts.clock

    async def on_get(self, req: Call, resp: falcon.asgi.Response, customer_id: str) -> None:
        """Read."""
        org, number = org_of(req), _number(customer_id)
        if isinstance(org, Code) or isinstance(number, Code):
            admin_failure(org if isinstance(org, Code) else Code.MALFORMED).write(resp)
            return
        found = await self._office.read(partial(customers.any_customer, org_id=org.id, kind="id", value=str(number)))
        _replied(found, org).write(resp)

    async def on_patch(self, req: Call, resp: falcon.asgi.Response, customer_id: str) -> None:
        """Set fraud status and status label."""
        sent = await _sent(req, customer_id, _DECODE_STANDING)
        if isinstance(sent, Code):
            admin_failure(sent).write(resp)
            return
        org, number, body = sent
        fraud_status, label = body.fraud_status, body.status_label
        act = partial(
            customers.set_status,
            org_id=org.id,
            customer_id=number,
            now_ms=self._clock(),
            label=label.strip() if label is not None else None,
            fraud_status=fraud_status.strip().upper() if fraud_status is not None else None,
        )
        _replied(await self._office.write(_showing(act, org, number)), org).write(resp)


class Subscribing:
    """By which channels."""

    def __init__(self, parts: Parts) -> None:
        self._office, self._clock = parts.back_office, parts.clock

    async def on_put(self, req: Call, resp: falcon.asgi.Response, customer_id: str) -> None:
        """Set by which channels the customer wants messages."""
        sent = await _sent(req, customer_id, _DECODE_SUBSCRIPTIONS)
        if isinstance(sent, Code):
            admin_failure(sent).write(resp)
            return
        org, number, body = sent
        wanted = {Channel.SMS: body.sms, Channel.EMAIL: body.email}
        act = partial(
            customers.set_subscriptions,
            org_id=org.id,
            customer_id=number,
            now_ms=self._clock(),
            wanted={channel: is_wanted for channel, is_wanted in wanted.items() if isinstance(is_wanted, bool)},
        )
        _replied(await self._office.write(_showing(act, org, number)), org).write(resp)


class Merge:
    """Merge."""

    def __init__(self, parts: Parts) -> None:
        self._office, self._clock = parts.back_office, parts.clock

    async def on_post(self, req: Call, resp: falcon.asgi.Response, customer_id: str) -> None:
        """Give all that is the customer's to another."""
        sent = await _sent(req, customer_id, _DECODE_MERGE)
        if isinstance(sent, Code):
            admin_failure(sent).write(resp)
            return
        org, number, body = sent
        into_id = id_of(body.into_id)
        if into_id is None:
            problem(Problem("invalid", "intoId is missing")).write(resp)
            return
        act = partial(merge.merge, org_id=org.id, victim_id=number, survivor_id=into_id, now_ms=self._clock())
        _replied(await _persistent(self._office, _showing(act, org, into_id)), org).write(resp)


class Delete:
    """Forget."""

    def __init__(self, parts: Parts) -> None:
        self._office, self._clock = parts.back_office, parts.clock

    async def on_post(self, req: Call, resp: falcon.asgi.Response, customer_id: str) -> None:
        """Forget who the customer is, after a PII delete request."""
        org, number = org_of(req), _number(customer_id)
        if isinstance(org, Code) or isinstance(number, Code):
            admin_failure(org if isinstance(org, Code) else Code.MALFORMED).write(resp)
            return
        act = partial(customers.delete, org_id=org.id, customer_id=number, now_ms=self._clock())
        _replied(await self._office.write(_showing(act, org, number)), org).write(resp)


def _showing(act: Callable[[WriteTransaction], object], org: Org, customer_id: int) -> Act:
    """What the act makes of the customer, unless it is refused."""

    def acting(tx: WriteTransaction) -> Found:
        done = act(tx)
        return done if isinstance(done, Code | Problem) else customers.any_customer(tx, org.id, "id", str(customer_id))

    return acting


async def _persistent(office: BackOffice, act: Act) -> Found:
    """Try until nothing stands in the way: what gives way to redemptions has to come again."""
    now = asyncio.get_running_loop().time
    deadline_s = now() + MERGE_MS_MAX / 1000
    done = await office.write(act)
    while isinstance(done, Code) and done in _BLOCKED and now() < deadline_s:
        await asyncio.sleep(MERGE_PAUSE_MS / 1000)
        done = await office.write(act)
    return done


async def _sent(call: Call, customer_id: str, decode: Callable[[bytes], B]) -> tuple[Org, int, B] | Code:
    """The org, the customer's number, and the body."""
    raw = await call.body()
    body = raw if isinstance(raw, Code) else decoded(raw, decode)
    if isinstance(body, Code):
        return body
    org, number = org_of(call), _number(customer_id)
    if isinstance(org, Code) or isinstance(number, Code):
        return org if isinstance(org, Code) else Code.MALFORMED
    return org, number, body


def _number(customer_id: str) -> int | Code:
    found = coupon_id_of(customer_id)
    return found if isinstance(found, int) else Code.MALFORMED


def _replied(found: Found, org: Org) -> Reply:
    if isinstance(found, Code) and found.number not in _STATUS_OF:
        return admin_failure(found)
    if isinstance(found, Code):
        found = Problem(found.number, found.message)
    if isinstance(found, Problem):
        return problem(found, _STATUS_OF.get(found.code, 400))
    return answered(_shown(found, org))


def _shown(record: CustomerRecord, org: Org) -> CustomerShown:
    who = record.customer
    return CustomerShown(
        id=who.id,
        first_name=who.first_name,
        last_name=who.last_name,
        mobile=who.mobile,
        email=who.email,
        external_id=who.external_id,
        card_number=who.card_number,
        card_external_id=who.card_external_id,
        is_loyalty=who.is_loyalty,
        fraud_status=who.fraud_status,
        status_label=who.status_label,
        status_reason=record.status_reason,
        transaction_count=who.transaction_count,
        registered_on=times.shown(who.registered_ms, org.zone),
        updated_on=times.shown(who.updated_ms, org.zone),
        merged_into_id=record.merged_into_id,
        deleted_on=times.shown(record.deleted_ms, org.zone) if record.deleted_ms is not None else None,
        fields=who.custom_fields,
        extended_fields=record.extended_fields,
        subscriptions=Subscriptions(*(channel.name not in who.unsubscribed for channel in (Channel.SMS, Channel.EMAIL))),
    )
