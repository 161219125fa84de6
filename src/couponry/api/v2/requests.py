"""What V2 requests may hold, and how a redeem becomes a claim.

Decoding is strict about types (629) and lenient about the rest: unknown fields are ignored, ids may be digit strings, amounts
numeric strings. The result of every step is a value or the Code that refuses the request as a whole.
"""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct, field

from couponry.core.commands import Item
from couponry.core.identifiers import normal_identifier
from couponry.core.limits import (
    CUSTOM_FIELD_CHARS_MAX,
    CUSTOM_FIELDS_MAX,
    MONEY_MAX,
    REDEEM_ITEMS_MAX,
    TRANSACTION_NUMBER_CHARS_MAX,
)
from couponry.core.model import Identifier
from couponry.core.status import Code

Id = int | str | None
Scalar = str | int | float | bool | None
B = TypeVar("B")

_AMOUNT_CHARS_MAX: Final = 64
_ZERO: Final = Decimal(0)
_THOUSANDTH: Final = Decimal("0.001")
_INT64_MAX: Final = 2**63 - 1
_INT64_DIGITS: Final = 19


class ItemBody(Struct, rename="camel"):
    """One coupon, by code or id. The contract spells some fields both ways."""

    code: str | None = None
    id: Id = None
    validation_code: str | None = None
    validation_code_old: str | None = field(default=None, name="validation_code")
    validation_type: str | None = None
    validation_type_old: str | None = field(default=None, name="validation_type")
    custom_fields: dict[str, Scalar] | None = None


class CustomerBody(Struct, rename="camel"):
    """The customer block: at least one identifier that is not empty."""

    id: Id = None
    mobile: str | None = None
    email: str | None = None
    external_id: str | None = None
    cardnumber: str | None = None
    card_external_id: str | None = None


class RedeemBody(Struct, rename="camel"):
    """The body of redeem and bulk redeem. `billAmount` stays as it was written, since a float would change it."""

    redemption_request_list: list[ItemBody] | None = None
    code: str | None = None
    user: CustomerBody | None = None
    bill_amount: Annotated[Raw, Meta(extra_json_schema={"type": ["number", "string"], "minimum": 0})] = field(default_factory=Raw)
    transaction_number: str | None = None
    redemption_time: str | None = None


DECODE_REDEEM: Final = msgspec.json.Decoder(RedeemBody).decode
_DECODE_TEXT: Final = msgspec.json.Decoder(str).decode


def decoded(body: bytes, decode: Callable[[bytes], B]) -> B | Code:
    """400 for what is not JSON, 629 for JSON of other types than documented."""
    try:
        return decode(body)
    except msgspec.ValidationError:
        return Code.INVALID_INPUT if is_json(body) else Code.MALFORMED
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Code.MALFORMED


def is_json(body: bytes) -> bool:
    """Whether it can be parsed at all; a number out of any range still can."""
    try:
        msgspec.json.decode(body)
    except msgspec.ValidationError:
        return True
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def items_of(body: RedeemBody, mac: Callable[[str], str]) -> tuple[Item, ...] | Code:
    """1-100 coupons; a top-level code is a list of one. `mac` makes what a validation code is known by (`core.validation`)."""
    listed = body.redemption_request_list or ([ItemBody(code=body.code)] if body.code is not None else [])
    if not 0 < len(listed) <= REDEEM_ITEMS_MAX:
        return Code.INVALID_INPUT
    items = []
    for sent in listed:
        if sent.code is not None and sent.id is None and sent.custom_fields is None and not _has_validation(sent):
            items.append(Item(sent.code))
            continue
        item = _item(sent, mac)
        if isinstance(item, Code):
            return item
        items.append(item)
    return tuple(items)


def _has_validation(sent: ItemBody) -> bool:
    return bool(sent.validation_code or sent.validation_code_old or sent.validation_type or sent.validation_type_old)


def _item(sent: ItemBody, mac: Callable[[str], str]) -> Item | Code:
    coupon_id = coupon_id_of(sent.id)
    fields = custom_fields_of(sent.custom_fields)
    if isinstance(coupon_id, Code) or isinstance(fields, Code):
        return Code.INVALID_INPUT
    return Item(
        code=sent.code,
        coupon_id=coupon_id,
        validation_mac=mac(sent.validation_code or sent.validation_code_old or ""),
        by_missed_call=(sent.validation_type or sent.validation_type_old or "").strip().upper() == "MISSED_CALL",
        custom_fields=fields,
    )


def coupon_id_of(sent: Id) -> int | Code | None:
    """A coupon id from a number or a digit string; one that no database could hold is nobody's."""
    if sent is None or sent == "":
        return None
    if isinstance(sent, str):
        digits = sent.strip()
        if not (digits.isascii() and digits.isdigit()):
            return Code.INVALID_INPUT
        sent = int(digits) if len(digits) <= _INT64_DIGITS else 0
    return sent if 0 < sent <= _INT64_MAX else 0


def id_of(sent: Id) -> int | None:
    """An id where any text may stand: None when there is none, 0 for what cannot be one."""
    if isinstance(sent, str) and not sent.strip():
        return None
    found = coupon_id_of(sent)
    return 0 if isinstance(found, Code) else found


def custom_fields_of(sent: dict[str, Scalar] | None) -> tuple[tuple[str, str], ...] | Code:
    """Names and texts, as many and as long as are kept; 629 for more."""
    if not sent:
        return ()
    if len(sent) > CUSTOM_FIELDS_MAX:
        return Code.INVALID_INPUT
    fields = tuple((name, text_of(value)) for name, value in sent.items() if value is not None)
    is_bounded = all(max(len(name), len(text)) <= CUSTOM_FIELD_CHARS_MAX and "\0" not in name + text for name, text in fields)
    return fields if is_bounded else Code.INVALID_INPUT


def text_of(value: Scalar | Decimal) -> str:
    """A scalar as JSON writes it, without quotes."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def identifiers_of(body: CustomerBody | None, country_code: str, mobile_digits: int) -> tuple[Identifier, ...]:
    """The identifiers that are not empty, each in its normal form."""
    if body is None:
        return ()
    sent = (
        ("id", body.id),
        ("mobile", body.mobile),
        ("email", body.email),
        ("externalId", body.external_id),
        ("cardnumber", body.cardnumber),
        ("cardExternalId", body.card_external_id),
    )
    return normal_identifiers(sent, country_code, mobile_digits)


def normal_identifiers(sent: tuple[tuple[str, Id], ...], country_code: str, mobile_digits: int) -> tuple[Identifier, ...]:
    """(kind, value) pairs without the empty ones."""
    found = []
    for kind, value in sent:
        if value is None or value == "":
            continue
        text = value if isinstance(value, str) else str(value) if value.bit_length() <= _INT64_DIGITS * 4 else "0"
        identifier = normal_identifier(kind, text, country_code, mobile_digits)
        if identifier:
            found.append(identifier)
    return tuple(found)


def amount_of(raw: Raw) -> Decimal | Code:
    """A bill amount exactly as written: 733 when missing or no amount, 629 when no number or text at all."""
    written = bytes(raw)
    first = written[:1]
    if first == b'"':
        try:
            return amount_from_text(_DECODE_TEXT(raw))
        except ValueError:  # decoding the body looked past it, as past every value that stays raw
            return Code.INVALID_AMOUNT
    if first.isdigit() or first == b"-":
        return amount_from_text(written.decode())
    return Code.INVALID_AMOUNT if written in {b"", b"null"} else Code.INVALID_INPUT


def amount_from_text(text: str) -> Decimal | Code:
    """733 for what is not a number, negative, not finite or beyond any currency; thousandths are the finest that is kept."""
    if len(text) > _AMOUNT_CHARS_MAX or not text.isascii() or "_" in text:
        return Code.INVALID_AMOUNT
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return Code.INVALID_AMOUNT
    if not amount.is_finite() or not 0 <= amount <= MONEY_MAX:
        return Code.INVALID_AMOUNT
    return amount.quantize(_THOUSANDTH) if amount else _ZERO


def is_transaction_number(text: str | None) -> bool:
    """Whether it can be kept: bounded, and no NUL, which PostgreSQL has no place for."""
    return text is None or (len(text) <= TRANSACTION_NUMBER_CHARS_MAX and "\0" not in text)
