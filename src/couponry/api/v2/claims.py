"""From a request to a command: the second half of the gate and the request's shape (status-codes 4).

In order: body size, JSON syntax, batch limit, attribution, org configuration, shape, amount. The first that fails is the answer.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from msgspec import Struct

from couponry.api import times
from couponry.api.attribution import Attribution
from couponry.api.call import Call
from couponry.api.seats import Seat, Seats
from couponry.api.v2 import requests
from couponry.core import idempotency
from couponry.core.codes import CodeCase
from couponry.core.commands import Check, IdempotencyKey, Item, Redeem
from couponry.core.limits import IDEMPOTENCY_KEY_CHARS_MAX, REDEEM_ITEMS_MAX
from couponry.core.model import Identifier, Org
from couponry.core.status import Code
from couponry.core.validation import Vault

_KEY_BYTES: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-"
_DIALLING_DIGITS_MAX: Final = 4
_CASES: Final[dict[str, CodeCase]] = {"UPPER": "UPPER", "LOWER": "LOWER", "AS_IT_IS": "AS_IT_IS"}
_QUERY_IDENTIFIERS: Final = ("id", "mobile", "email", "externalId", "cardnumber")


B = TypeVar("B")


class Asked(Struct, frozen=True):
    """A command that may go to the ledger, and how its answer is to be shown."""

    command: Redeem | Check
    org: Org
    case: CodeCase


class Claims:
    """Makes commands of redeem, bulk redeem and redeemability requests."""

    def __init__(self, attribution: Attribution, vault: Vault) -> None:
        self._seats = Seats(attribution)
        self._vault = vault

    async def from_body(self, call: Call, *, is_check: bool = False) -> Asked | Code:
        """From a redeem body."""
        taken = await take(call, self._seats, requests.DECODE_REDEEM, _excess)
        if isinstance(taken, Code):
            return taken
        raw, body, seat = taken
        items = requests.items_of(body, partial(self._vault.mac, seat.org.id))
        return items if isinstance(items, Code) else _from_body(call, seat, raw, body, items, is_check=is_check)

    async def from_query(self, call: Call) -> Asked | Code:
        """From the query of a redeemability request."""
        if len(listed(call, "code")) > REDEEM_ITEMS_MAX:
            return Code.INVALID_INPUT
        seat = await self._seats.of(call)
        if isinstance(seat, Code):
            return seat
        items = query_items(call, partial(self._vault.mac, seat.org.id))
        return items if isinstance(items, Code) else _from_query(call, seat, items)


async def take(
    call: Call, seats: Seats, decode: Callable[[bytes], B], excess: Callable[[B], Code | None]
) -> tuple[bytes, B, Seat] | Code:
    """The body as sent and decoded, and the seat. `excess` says what a batch limit is exceeded with."""
    raw = await call.body()
    if isinstance(raw, Code):
        return raw
    body = requests.decoded(raw, decode)
    if body is Code.MALFORMED:
        return body
    over = None if isinstance(body, Code) else excess(body)
    if over:
        return over
    seat = await seats.of(call)
    if isinstance(seat, Code):
        return seat
    return body if isinstance(body, Code) else (raw, body, seat)


def _excess(body: requests.RedeemBody) -> Code | None:
    return Code.INVALID_INPUT if len(body.redemption_request_list or ()) > REDEEM_ITEMS_MAX else None


def _from_body(
    call: Call, seat: Seat, raw: bytes, body: requests.RedeemBody, items: tuple[Item, ...], *, is_check: bool
) -> Asked | Code:
    org, place = seat.org, seat.till.place
    at_ms = _instant(body.redemption_time, org.zone)
    key = idempotency_key(call, raw)
    if isinstance(at_ms, Code) or isinstance(key, Code) or not requests.is_transaction_number(body.transaction_number):
        return Code.INVALID_INPUT
    amount = requests.amount_of(body.bill_amount)
    if isinstance(amount, Code):
        return amount
    customer = customer_of(call, org, body.user)
    claim = (org.id, place, customer, items, amount, body.transaction_number, at_ms, call.request_id)
    return Asked(Check(*claim) if is_check else Redeem(*claim, key), org, code_case(call))


def _from_query(call: Call, seat: Seat, items: tuple[Item, ...]) -> Asked | Code:
    org = seat.org
    at_ms = _instant(one(call, "redemptionTime"), org.zone)
    number = one(call, "transactionNumber")
    if isinstance(at_ms, Code) or not requests.is_transaction_number(number):
        return Code.INVALID_INPUT
    amount_text = one(call, "billAmount")
    amount: Decimal | Code | None = requests.amount_from_text(amount_text) if amount_text else None
    if isinstance(amount, Code):
        return amount
    sent = tuple((kind, one(call, kind)) for kind in _QUERY_IDENTIFIERS)
    customer = requests.normal_identifiers(sent, country_code(call, org), org.settings.mobile_digits)
    command = Check(org.id, seat.till.place, customer, items, amount, number, at_ms, call.request_id)
    return Asked(command, org, code_case(call))


def query_items(call: Call, mac: Callable[[str], str], ids_name: str = "couponId") -> tuple[Item, ...] | Code:
    """Codes, comma-separated, else coupon ids; over 100 are 629. Neither is 781 for the request (corrections 5)."""
    validation_mac = mac(one(call, "validation_code") or one(call, "validationCode") or "")
    by_missed_call = (one(call, "validation_type") or one(call, "validationType") or "").upper() == "MISSED_CALL"
    codes, ids = call.params.get("code"), call.params.get(ids_name)
    if codes is not None:
        return tuple(Item(code, None, validation_mac, by_missed_call) for code in _split(codes))
    if not ids:
        return Code.IDENTIFIER_MISSING
    items = []
    for text in _split(ids):
        coupon_id = requests.coupon_id_of(text)
        if isinstance(coupon_id, Code):
            return coupon_id
        items.append(Item(None, coupon_id, validation_mac, by_missed_call))
    return tuple(items) if len(items) <= REDEEM_ITEMS_MAX else Code.INVALID_INPUT


def code_case(call: Call) -> CodeCase:
    """How codes are shown (README 7); both spellings of the parameter, and any case of its value."""
    if not call.query_string:
        return "UPPER"
    wanted = one(call, "coupon_code_case") or one(call, "couponCodeCase") or ""
    return _CASES.get(wanted.upper(), "UPPER")


def flag(call: Call, *names: str) -> bool | Code:
    """A boolean query parameter under any of its spellings; absent or empty is false."""
    for name in names:
        match (one(call, name) or "").lower():
            case "true" | "1":
                return True
            case "" | "false" | "0":
                continue
            case _:
                return Code.INVALID_INPUT
    return False


def country_code(call: Call, org: Org) -> str:
    """The dialling code put before national mobiles: the request's own, else the org's (README 2.3)."""
    sent = call.raw_header(b"x-cap-client-countrycode")
    if not sent:
        return org.country_code
    digits = sent.strip().lstrip(b"+")
    return digits.decode() if digits.isdigit() and len(digits) <= _DIALLING_DIGITS_MAX else org.country_code


def customer_of(call: Call, org: Org, body: requests.CustomerBody | None) -> tuple[Identifier, ...]:
    """The identifiers of a customer block; none without one."""
    return requests.identifiers_of(body, country_code(call, org), org.settings.mobile_digits)


def idempotency_key(call: Call, raw: bytes) -> IdempotencyKey | Code | None:
    """The explicit key of a request (README 10); 629 for one that is none."""
    sent = call.raw_header(b"idempotency-key") or call.raw_header(b"x-cap-idempotency-key")
    if not sent:
        return None
    if len(sent) > IDEMPOTENCY_KEY_CHARS_MAX or sent.translate(None, _KEY_BYTES):
        return Code.INVALID_INPUT
    digest = idempotency.explicit_digest(call.principal.scope, sent.decode())
    return IdempotencyKey(digest, idempotency.fingerprint_of(call.path.encode(), raw))


def _instant(text: str | None, zone: ZoneInfo) -> int | Code | None:
    if not text:
        return None
    at_ms = times.instant_ms(text, zone)
    return Code.INVALID_INPUT if at_ms is None else at_ms


def one(call: Call, name: str) -> str | None:
    """A query parameter; of several with one name, the first."""
    value = call.params.get(name)
    return value[0] if isinstance(value, list) else value


def listed(call: Call, name: str) -> list[str]:
    """The entries of a comma list in the query, also of one sent several times; none when it is absent."""
    value = call.params.get(name)
    return [] if value is None else _split(value)


def _split(value: str | Sequence[str]) -> list[str]:
    return (value if isinstance(value, str) else ",".join(value)).split(",")
