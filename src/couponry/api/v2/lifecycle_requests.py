"""From a lifecycle request to a command: what its body may hold, and what its first fault is (v2-coupon 7-10)."""

import re
from decimal import Decimal
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from couponry.api import times
from couponry.api.attribution import Attribution
from couponry.api.call import Call
from couponry.api.seats import Seat, Seats
from couponry.api.v2 import claims, requests
from couponry.api.v2.requests import CustomerBody, Id, Scalar
from couponry.core.codes import code_key
from couponry.core.commands import Amend, Amendment, Redate, Reverse, Revoke
from couponry.core.limits import AMEND_ITEMS_MAX, REDATE_CODES_MAX, REVERSE_IDS_MAX, REVOKE_CODES_MAX
from couponry.core.model import REVERSAL_REASONS, Identifier
from couponry.core.status import Code

_EPOCH_MS: Final = re.compile(r"-?[0-9]{1,18}")
_DATE_CHARS: Final = 10


class ReactivateBody(Struct, rename="camel"):
    """Redemptions to undo, all or none, and why: one of the reasons that a series may treat each in its own way."""

    redemption_ids: list[Id] | None = None
    reason: str | None = None


class RevokeBody(Struct, rename="camel"):
    """Coupons to take out of circulation: a customer's, or those with these codes, or both."""

    coupon_series_id: Id = None
    customer: CustomerBody | None = None
    coupon_codes: list[str] | None = None


class NewExpiryBody(Struct, rename="camel"):
    """A coupon and its new expiry: ISO-8601, a date (its end), or epoch milliseconds."""

    coupon_code: str | None = None
    expiry_date: Id = None


class ExpiryBody(Struct, rename="camel"):
    """Coupons of a series with their new expiries."""

    coupon_series_id: Id = None
    customer: CustomerBody | None = None
    coupon_codes: list[NewExpiryBody] | None = None


class RedemptionBody(Struct, rename="camel"):
    """What to change about one redemption; what is not sent stays."""

    redemption_id: Id = None
    bill_amount: Annotated[Raw, Meta(extra_json_schema={"type": ["number", "string"], "minimum": 0})] = field(default_factory=Raw)
    transaction_number: str | None = None
    bill_id: Id = None
    custom_fields: dict[str, Scalar] | None = None


class UpdateBody(Struct, rename="camel"):
    """Redemptions to update; with `user`, only that customer's."""

    redemptions: list[RedemptionBody] | None = None
    user: CustomerBody | None = None


_DECODE_REACTIVATE: Final = msgspec.json.Decoder(ReactivateBody).decode
_DECODE_REVOKE: Final = msgspec.json.Decoder(RevokeBody).decode
_DECODE_EXPIRY: Final = msgspec.json.Decoder(ExpiryBody).decode
_DECODE_UPDATE: Final = msgspec.json.Decoder(UpdateBody).decode


class Petitions:
    """Makes commands of the four kinds of lifecycle requests; with each comes the seat that it is shown for."""

    def __init__(self, attribution: Attribution) -> None:
        self._seats = Seats(attribution)

    async def reactivate(self, call: Call) -> Reverse | Code:
        """Redemptions to undo, each once."""
        taken = await claims.take(call, self._seats, _DECODE_REACTIVATE, _too_many_ids)
        if isinstance(taken, Code):
            return taken
        _, body, seat = taken
        ids = [requests.id_of(sent) for sent in body.redemption_ids or ()]
        found = tuple(dict.fromkeys(each for each in ids if each is not None))
        if not ids or None in ids:
            return Code.REDEMPTION_ID_MISSING
        reason = reason_of(body.reason)
        if isinstance(reason, Code):
            return reason
        return Reverse(seat.org.id, seat.till.place, found, reason, call.request_id)

    async def revoke(self, call: Call) -> Revoke | Code:
        """Coupons to revoke. A code twice is once."""
        taken = await claims.take(call, self._seats, _DECODE_REVOKE, _too_many_codes)
        if isinstance(taken, Code):
            return taken
        _, body, seat = taken
        first: dict[str, str] = {}
        for code in body.coupon_codes or ():
            first.setdefault(code_key(code), code)
        codes = tuple(first.values())
        customer = _customer(call, seat, body.customer)
        if not codes and not customer:
            return Code.REVOKE_TARGET_MISSING
        series_id = requests.id_of(body.coupon_series_id)
        if series_id is None and len(codes) != 1:
            return Code.INVALID_SERIES_ID
        return Revoke(seat.org.id, seat.till.place, customer, series_id, codes, call.request_id)

    async def expiry(self, call: Call) -> tuple[Redate, ZoneInfo] | Code:
        """New expiries. Of several for one code the last counts."""
        taken = await claims.take(call, self._seats, _DECODE_EXPIRY, _too_many_expiries)
        if isinstance(taken, Code):
            return taken
        _, body, seat = taken
        listed = body.coupon_codes or []
        series_id = requests.id_of(body.coupon_series_id)
        if series_id is None and len(listed) != 1:
            return Code.EXPIRY_SERIES_MISSING
        expiries: dict[str, tuple[str, int]] = {}
        for sent in listed:
            expires_ms = expiry_ms(sent.expiry_date, seat.zone)
            if not (sent.coupon_code or "").strip() or expires_ms is None:
                return Code.EXPIRY_MISSING
            expiries[code_key(sent.coupon_code or "")] = (sent.coupon_code or "", expires_ms)
        if not expiries:
            return Code.EXPIRY_MISSING
        customer = _customer(call, seat, body.customer)
        place = seat.till.place
        return Redate(seat.org.id, place, customer, series_id, tuple(expiries.values()), call.request_id), seat.zone

    async def update(self, call: Call) -> tuple[Amend, ZoneInfo] | Code:
        """What to change about redemptions."""
        taken = await claims.take(call, self._seats, _DECODE_UPDATE, _too_many_redemptions)
        if isinstance(taken, Code):
            return taken
        _, body, seat = taken
        amendments = []
        for sent in body.redemptions or ():
            amendment = _amendment(sent)
            if isinstance(amendment, Code):
                return amendment
            amendments.append(amendment)
        if not amendments:
            return Code.REDEMPTION_ID_MISSING
        customer = _customer(call, seat, body.user)
        return Amend(seat.org.id, seat.till.place, customer, tuple(amendments), call.request_id), seat.zone


def _too_many_ids(body: ReactivateBody) -> Code | None:
    return Code.BATCH_LIMIT_EXCEEDED if len(body.redemption_ids or ()) > REVERSE_IDS_MAX else None


def _too_many_codes(body: RevokeBody) -> Code | None:
    return Code.BATCH_LIMIT_EXCEEDED if len(body.coupon_codes or ()) > REVOKE_CODES_MAX else None


def _too_many_expiries(body: ExpiryBody) -> Code | None:
    return Code.BATCH_LIMIT_EXCEEDED if len(body.coupon_codes or ()) > REDATE_CODES_MAX else None


def _too_many_redemptions(body: UpdateBody) -> Code | None:
    return Code.BATCH_LIMIT_EXCEEDED if len(body.redemptions or ()) > AMEND_ITEMS_MAX else None


def _customer(call: Call, seat: Seat, body: CustomerBody | None) -> tuple[Identifier, ...] | None:
    """None when no customer was sent; an empty block is one without identifiers (721), lest it widen what is asked for."""
    return None if body is None else claims.customer_of(call, seat.org, body)


def reason_of(sent: str | None) -> str | Code:
    """Why a redemption is undone, in any case; empty when nothing is said."""
    reason = (sent or "").strip().upper()
    return reason if not reason or reason in REVERSAL_REASONS else Code.INVALID_INPUT


def expiry_ms(sent: Id, zone: ZoneInfo) -> int | None:
    """The instant of a new expiry: a date alone is its last second in the server zone. None for what is no date."""
    if isinstance(sent, int):
        return times.bounded(sent)
    text = (sent or "").strip()
    if _EPOCH_MS.fullmatch(text):
        return times.bounded(int(text))
    return times.instant_ms(f"{text} 23:59:59" if len(text) == _DATE_CHARS else text, zone)


def _amendment(sent: RedemptionBody) -> Amendment | Code:
    redemption_id = requests.id_of(sent.redemption_id)
    if redemption_id is None:
        return Code.REDEMPTION_ID_MISSING
    amount: Decimal | Code | UnsetType = UNSET
    if bytes(sent.bill_amount) not in (b"", b"null"):
        amount = requests.amount_of(sent.bill_amount)
    bill_id = requests.id_of(sent.bill_id)
    fields = requests.custom_fields_of(sent.custom_fields)
    number = sent.transaction_number
    if isinstance(amount, Code):
        return amount
    if bill_id == 0 or isinstance(fields, Code) or not requests.is_transaction_number(number):
        return Code.INVALID_INPUT
    return Amendment(
        redemption_id,
        amount,
        UNSET if number is None else number,
        UNSET if bill_id is None else bill_id,
        fields,
    )
