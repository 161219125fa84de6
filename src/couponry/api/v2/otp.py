"""`/v2/otp`: validation codes and missed calls (supporting APIs 5). A redeem uses them up in the ledger."""

from functools import partial
from typing import Final, NamedTuple

import falcon.asgi

from couponry.api import times
from couponry.api.call import Call, Reply
from couponry.api.envelopes import v2_failure
from couponry.api.parts import Parts
from couponry.api.seats import Seats, org_of
from couponry.api.v2 import otp_wire as wire
from couponry.api.v2.claims import one, take
from couponry.api.v2.customers import replied
from couponry.api.v2.customers_wire import identifier_of
from couponry.api.v2.otp_described import OPERATIONS
from couponry.api.v2.replies import answered
from couponry.api.v2.requests import Id, text_of
from couponry.core.limits import MINUTE_MS
from couponry.core.model import Identifier, Org
from couponry.core.status import Code
from couponry.core.validation import COUPON, day_of
from couponry.store import validation

__all__ = ["OPERATIONS", "routes"]

_THRESHOLD_DIGITS_MAX: Final = 9


def routes(parts: Parts) -> dict[str, object]:
    """The resources of this module."""
    return {
        "/v2/otp": Codes(parts),
        "/v2/otp/generate": Generate(parts),
        "/v2/otp/validate": Validate(parts),
        "/v2/otp/missedCall": MissedCalls(parts),
    }


class Asked(NamedTuple):
    """Whom a request is about, and for which action."""

    customer: Identifier
    action: str


class Generate:
    """Send a code."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._seats = parts, Seats(parts.attribution)

    async def on_post(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Make a code; it leaves with the message."""
        taken = await take(req, self._seats, wire.DECODE_GENERATE, _no_limit)
        if isinstance(taken, Code):
            v2_failure(taken).write(resp)
            return
        _, body, seat = taken
        now_ms = self._parts.clock()
        done = await self._generate(req, seat.org, body, now_ms)
        if done is Code.RATE_LIMITED:
            _enough_for_today(seat.org, now_ms).write(resp)
            return
        replied(done, wire.Created).write(resp)

    async def _generate(self, call: Call, org: Org, body: wire.GenerateBody, now_ms: int) -> int | Code:
        asked = _asked(call, org, body.action, body.entity_type, body.entity_value)
        if isinstance(asked, Code):
            return asked
        message = wire.message_of(call, org, body, asked.customer)
        if isinstance(message, Code):
            return message
        validity_ms = org.settings.otp_validity_minutes * MINUTE_MS
        wanted = validation.Wanted(asked.customer, asked.action, validity_ms, message, call.request_id)
        code = self._parts.new_validation_code()
        act = partial(validation.generate, org_id=org.id, zone=org.zone, wanted=wanted, code=code)
        return await self._parts.back_office.write(partial(act, vault=self._parts.vault, now_ms=now_ms))


class Validate:
    """Try a code."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._seats = parts, Seats(parts.attribution)

    async def on_post(self, req: Call, resp: falcon.asgi.Response) -> None:
        """Whether it is right. A COUPON code is not used up by it."""
        replied(await self._validate(req), wire.Validated).write(resp)

    async def _validate(self, call: Call) -> bool | Code:
        taken = await take(call, self._seats, wire.DECODE_VALIDATE, _no_limit)
        if isinstance(taken, Code):
            return taken
        _, body, seat = taken
        asked = _asked(call, seat.org, body.action, body.entity_type, body.entity_value)
        if isinstance(asked, Code):
            return asked
        mac = self._parts.vault.mac(seat.org.id, text_of(body.code) if body.code is not None else "")
        if not mac:
            return Code.CODE_MISSING
        now_ms = self._parts.clock()
        act = partial(
            validation.validate, org_id=seat.org.id, customer=asked.customer, scope=asked.action, mac=mac, now_ms=now_ms
        )
        return await self._parts.back_office.write(act)


class Codes:
    """Read a code, which is as good as writing: whoever knows it can redeem with it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def on_get(self, req: Call, resp: falcon.asgi.Response) -> None:
        """The newest usable code of a customer."""
        org = req.principal.access_refusal(req.path, is_write=True) or org_of(req)
        found = org if isinstance(org, Code) else await self._read(req, org)
        (v2_failure(found) if isinstance(found, Code) else answered(found)).write(resp)

    async def _read(self, call: Call, org: Org) -> wire.OtpShown | Code:
        action = wire.action_of(one(call, "scope") or COUPON)
        if isinstance(action, Code):
            return action
        customer, minutes = _named(call, org), _whole(one(call, "threshold"))
        if isinstance(customer, Code) or isinstance(minutes, Code):
            return customer if isinstance(customer, Code) else Code.INVALID_INPUT
        now_ms = self._parts.clock()
        since_ms = 0 if minutes is None else max(0, now_ms - minutes * MINUTE_MS)
        find = partial(validation.latest, org_id=org.id, customer=customer, scope=action, since_ms=since_ms, now_ms=now_ms)
        found = await self._parts.back_office.read(find)
        if isinstance(found, Code):
            return found
        code = self._parts.vault.open(org.id, found.id, found.sealed)
        if code is None:
            return Code.NO_VALID_CODE
        return wire.OtpShown(org.id, found.customer_id, code, times.shown(found.expires_ms, org.zone))


class MissedCalls:
    """Note a missed call."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._seats = parts, Seats(parts.attribution)

    async def on_post(self, req: Call, resp: falcon.asgi.Response) -> None:
        """What an operator's telephone system reports (rules 10)."""
        replied(await self._note(req), wire.Created).write(resp)

    async def _note(self, call: Call) -> int | Code:
        taken = await take(call, self._seats, wire.DECODE_MISSED_CALL, _no_limit)
        if isinstance(taken, Code):
            return taken
        _, body, seat = taken
        customer = wire.entity_of(call, seat.org, "MOBILE", body.mobile)
        if isinstance(customer, Code):
            return customer
        act = partial(validation.called, org_id=seat.org.id, mobile=customer[1], now_ms=self._parts.clock())
        return await self._parts.back_office.write(act)


def _asked(call: Call, org: Org, action: str, kind: str, value: Id) -> Asked | Code:
    """600, 601, 602 in this order."""
    known = wire.action_of(action)
    if isinstance(known, Code):
        return known
    customer = wire.entity_of(call, org, kind, value)
    return customer if isinstance(customer, Code) else Asked(customer, known)


def _named(call: Call, org: Org) -> Identifier | Code:
    """Whom a read is about: `mobile`, `email`, or `identifierName` with `identifierValue` (corrections 3)."""
    for name in ("mobile", "email"):
        value = one(call, name)
        if value:
            return wire.entity_of(call, org, name, value)
    found = identifier_of(call, org, one(call, "identifierName"), one(call, "identifierValue"))
    return Code.INVALID_ENTITY_VALUE if isinstance(found, Code) else found


def _whole(text: str | None) -> int | Code | None:
    """A number of minutes; None when none is given."""
    if not text:
        return None
    is_number = text.isascii() and text.isdigit() and len(text) <= _THRESHOLD_DIGITS_MAX
    return int(text) if is_number else Code.INVALID_INPUT


def _enough_for_today(org: Org, now_ms: int) -> Reply:
    """429 until the org's next day."""
    refused = v2_failure(Code.RATE_LIMITED)
    wait_ms = day_of(now_ms, org.zone)[1] - now_ms
    return Reply(refused.status, refused.body, {"Retry-After": str(-(-wait_ms // 1000))})


def _no_limit(_body: object) -> None:
    """These bodies hold nothing that a batch limit counts."""
