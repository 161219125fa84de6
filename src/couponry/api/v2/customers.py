"""`/v2/customers`: register, read, change, and the status label (supporting APIs 2)."""

from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

import falcon.asgi
from msgspec import Struct

from couponry.api.call import Call, Reply
from couponry.api.envelopes import v2_failure
from couponry.api.parts import Parts
from couponry.api.seats import Seats, org_of
from couponry.api.v2 import customers_wire as wire
from couponry.api.v2.claims import one, take
from couponry.api.v2.customers_described import OPERATIONS
from couponry.api.v2.replies import answered
from couponry.api.v2.requests import coupon_id_of
from couponry.core.limits import STATUS_REASON_CHARS_MAX
from couponry.core.model import Identifier, Org
from couponry.core.sources import is_source
from couponry.core.status import Code
from couponry.store import customers
from couponry.store.back_office import BackOffice
from couponry.store.customers import CustomerRecord

__all__ = ["OPERATIONS", "routes"]

T = TypeVar("T")
_SOURCE: Final = "source"


def routes(parts: Parts) -> dict[str, object]:
    """The resources of this module."""
    return {
        "/v2/customers": Registrations(parts),
        "/v2/customers/{customer_id}": Customer(parts),
        "/v2/customers/{customer_id}/status": Status(parts),
        "/v2/customers/lookup": Lookup(parts, _found),
        "/v2/customers/lookup/customerDetails": Lookup(parts, wire.shown),
    }


class Registrations:
    """Register."""

    def __init__(self, parts: Parts) -> None:
        self._seats, self._office, self._clock = Seats(parts.attribution), parts.back_office, parts.clock

    async def on_post(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Register a customer."""
        done = await self._register(req)
        replied(done, wire.CustomerCreated).write(resp)

    async def _register(self, call: Call) -> int | Code:
        taken = await take(call, self._seats, wire.DECODE_REGISTRATION, _no_limit)
        if isinstance(taken, Code):
            return taken
        _, body, seat = taken
        new = wire.registration_of(call, seat.org, body)
        if isinstance(new, Code):
            return new
        if not new.identifiers:
            return Code.NO_IDENTIFIER
        act = partial(customers.register, org_id=seat.org.id, new=new, till_id=seat.till.place.till_id, now_ms=self._clock())
        return await self._office.write(act)


class Customer:
    """One customer by id."""

    def __init__(self, parts: Parts) -> None:
        self._seats, self._office, self._clock = Seats(parts.attribution), parts.back_office, parts.clock

    async def on_get(self, req: Call, resp: falcon.asgi.Response, customer_id: str) -> None:
        """Read."""
        number = id_of(customer_id)
        asked = number if isinstance(number, Code) else ("id", str(number))
        (await read(req, self._office, asked, wire.shown)).write(resp)

    async def on_put(self, req: Call, resp: falcon.asgi.Response, customer_id: str) -> None:
        """Change names, fields, loyalty type and identifiers."""
        replied(await self._change(req, customer_id), wire.CustomerCreated).write(resp)

    async def _change(self, call: Call, customer_id: str) -> int | Code:
        taken = await take(call, self._seats, wire.DECODE_REGISTRATION, _no_limit)
        number = id_of(customer_id)
        if isinstance(taken, Code) or isinstance(number, Code):
            return taken if isinstance(taken, Code) else Code.MALFORMED
        _, body, seat = taken
        changes = wire.registration_of(call, seat.org, body)
        if isinstance(changes, Code):
            return changes
        act = partial(
            customers.change,
            org_id=seat.org.id,
            customer_id=number,
            changes=changes,
            till_id=seat.till.place.till_id,
            now_ms=self._clock(),
        )
        return await self._office.write(act)


class Status:
    """A customer's status label."""

    def __init__(self, parts: Parts) -> None:
        self._seats, self._office, self._clock = Seats(parts.attribution), parts.back_office, parts.clock

    async def on_put(self, req: Call, resp: falcon.asgi.Response, customer_id: str) -> None:
        """Set it, with the reason."""
        replied(await self._set(req, customer_id), wire.CustomerCreated).write(resp)

    async def _set(self, call: Call, customer_id: str) -> int | Code:
        taken = await take(call, self._seats, wire.DECODE_STATUS, _no_limit)
        number = id_of(customer_id)
        if isinstance(taken, Code) or isinstance(number, Code):
            return taken if isinstance(taken, Code) else Code.MALFORMED
        _, body, seat = taken
        if not is_source(one(call, _SOURCE)):
            return Code.UNKNOWN_SOURCE
        if len(body.reason or "") > STATUS_REASON_CHARS_MAX or "\0" in (body.reason or ""):
            return Code.INVALID_INPUT
        act = partial(
            customers.set_status,
            org_id=seat.org.id,
            customer_id=number,
            now_ms=self._clock(),
            label=body.label.strip(),
            reason=body.reason,
            till_id=seat.till.place.till_id,
        )
        return await self._office.write(act)


class Lookup:
    """A customer by an identifier; `show` says how much of it."""

    def __init__(self, parts: Parts, show: Callable[[CustomerRecord, Org], Struct]) -> None:
        self._office, self._show = parts.back_office, show

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Find."""
        org = org_of(req)
        name, value = one(req, "identifierName"), one(req, "identifierValue")
        asked = org if isinstance(org, Code) else wire.identifier_of(req, org, name, value)
        (await read(req, self._office, asked, self._show)).write(resp)


async def read(call: Call, office: BackOffice, asked: Identifier | Code, show: Callable[[CustomerRecord, Org], Struct]) -> Reply:
    """Show whom a request is about: 795, 8011, what is wrong with the identifier, 8015, 8069."""
    org = org_of(call)
    if isinstance(org, Code):
        return v2_failure(org)
    if not is_source(one(call, _SOURCE)):
        return v2_failure(Code.UNKNOWN_SOURCE)
    if isinstance(asked, Code):
        return v2_failure(asked)
    kind, value = asked
    found = await office.read(partial(customers.read_customer, org_id=org.id, kind=kind, value=value))
    return replied(found, lambda record: show(record, org))


def replied(done: T | Code, show: Callable[[T], Struct]) -> Reply:
    """An answer, or the failure of the request as a whole."""
    return v2_failure(done) if isinstance(done, Code) else answered(show(done))


def id_of(text: str) -> int | Code:
    """The id in a path; 400 for what is no number."""
    found = coupon_id_of(text)
    return found if isinstance(found, int) else Code.MALFORMED


def _found(record: CustomerRecord, org: Org) -> wire.CustomerFound:
    return wire.CustomerFound(record.customer.id)


def _no_limit(_body: object) -> None:
    """These bodies hold nothing that a batch limit counts."""
