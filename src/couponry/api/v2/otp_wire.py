"""What requests about validation codes hold, and what is answered (supporting APIs 5)."""

import re
from typing import Final

import msgspec
from msgspec import Struct

from couponry.api.call import Call
from couponry.api.envelopes import E
from couponry.api.v2.claims import country_code
from couponry.api.v2.requests import Id, text_of
from couponry.core.limits import VALIDATION_CHANNELS_MAX, VALIDATION_TEMPLATE_CHARS_MAX
from couponry.core.model import Identifier, Org
from couponry.core.registration import checked_identifier
from couponry.core.status import Code
from couponry.core.validation import CHANNELS, DEFAULT_TEMPLATE, Channel, Message

_ACTION: Final = re.compile(r"[A-Z][A-Z0-9_]{0,31}", re.ASCII)
_ENTITY_KINDS: Final = {"MOBILE": "mobile", "EMAIL": "email"}


class ChannelBody(Struct):
    """Where a code is to be sent: SMS, MOBILE, PHONE, EMAIL or BOTH; to the customer's own address without a `value`."""

    type: str = ""
    value: Id = None


class EmailTemplate(Struct):
    """The words of an e-mail."""

    subject: str | None = None
    body: str | None = None


class GenerateBody(Struct, rename="camel"):
    """Send a code to a customer, for an action such as COUPON."""

    entity_type: str = ""
    entity_value: Id = None
    action: str = ""
    channels: list[ChannelBody] | None = None
    template: str | None = None
    email_template: EmailTemplate | None = None


class ValidateBody(Struct, rename="camel"):
    """A code that a customer says."""

    entity_type: str = ""
    entity_value: Id = None
    code: Id = None
    action: str = ""


class MissedCallBody(Struct):
    """Who called, as the operator's telephone system knows it."""

    mobile: Id = None


class Created(Struct, frozen=True, rename="camel"):
    """The id of what was made."""

    created_id: int
    warnings: list[E] = []


class Validated(Struct, frozen=True):
    """The code is right."""

    entity: bool
    warnings: list[E] = []


class OtpShown(Struct, frozen=True, rename="camel"):
    """A customer's newest usable code."""

    org_id: int
    user_id: int
    code: str
    valid_upto: str
    warnings: list[E] = []


DECODE_GENERATE: Final = msgspec.json.Decoder(GenerateBody).decode
DECODE_VALIDATE: Final = msgspec.json.Decoder(ValidateBody).decode
DECODE_MISSED_CALL: Final = msgspec.json.Decoder(MissedCallBody).decode


def action_of(text: str) -> str | Code:
    """What a code is for, in capitals; 600 for what is no name of an action."""
    action = text.strip().upper()
    return action if _ACTION.fullmatch(action) else Code.INVALID_ACTION


def entity_of(call: Call, org: Org, kind: str, value: Id) -> Identifier | Code:
    """Whom a code is for: 601, then 602 for a value that cannot be anybody's."""
    name = _ENTITY_KINDS.get(kind.strip().upper())
    if name is None:
        return Code.INVALID_ENTITY_TYPE
    found = _address(call, org, name, value)
    return (name, found) if found else Code.INVALID_ENTITY_VALUE


def message_of(call: Call, org: Org, body: GenerateBody, entity: Identifier) -> Message | Code:
    """How the code is to be told: 603 for a channel that does not exist, 629 for too many words."""
    sent = body.channels or [ChannelBody("EMAIL" if entity[0] == "email" else "SMS", entity[1])]
    if len(sent) > VALIDATION_CHANNELS_MAX:
        return Code.INVALID_CHANNEL
    channels: list[Channel] = []
    for one in sent:
        kinds = CHANNELS.get(one.type.strip().upper(), ())
        own = one.value is None or not text_of(one.value).strip()
        # A value for BOTH can be an address of one of them only; the other is the customer's own.
        found = [Channel(kind, "" if own else _address(call, org, kind, one.value)) for kind in kinds]
        if not kinds or not (own or any(channel.value for channel in found)):
            return Code.INVALID_CHANNEL
        channels += found
    words = body.email_template or EmailTemplate()
    texts = (body.template or DEFAULT_TEMPLATE, words.subject or "", words.body or "")
    if any(len(text) > VALIDATION_TEMPLATE_CHARS_MAX or "\0" in text for text in texts):
        return Code.INVALID_INPUT
    return Message(tuple(dict.fromkeys(channels)), *texts)


def _address(call: Call, org: Org, kind: str, value: Id) -> str:
    """A mobile or e-mail in its normal form; empty for what is none."""
    text = text_of(value) if value is not None else ""
    if kind == "mobile" and "@" in text:
        return ""
    found = checked_identifier(kind, text, country_code(call, org), org.settings.mobile_digits)
    return "" if isinstance(found, Code) else found
