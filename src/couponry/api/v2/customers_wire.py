"""What customer requests hold, and what is answered (supporting APIs 2).

A customer has one profile, whatever the source: names and fields are those of the first profile sent, identifiers of all.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct, field

from couponry.api import times
from couponry.api.call import Call
from couponry.api.envelopes import E
from couponry.api.v2.claims import country_code, one
from couponry.api.v2.requests import Id, Scalar, coupon_id_of, custom_fields_of, text_of
from couponry.api.v2.responses import CustomerIdentifier
from couponry.core.limits import NAME_CHARS_MAX
from couponry.core.model import Customer, Org
from couponry.core.registration import ATTRIBUTES, Registration, checked_identifier, is_loyalty
from couponry.core.sources import DEFAULT_SOURCE, is_source
from couponry.core.status import Code
from couponry.store.customers import CustomerRecord, NamedTill

_KINDS: Final = {kind.lower(): kind for kind in (*ATTRIBUTES, "id")}
_SHOWN: Final = ("email", "externalId", "mobile", "cardnumber", "cardExternalId")


class RegisteredIdentifier(Struct):
    """An identifier that a customer is to have."""

    type: str = ""
    value: Id = None


class RegisteredProfile(Struct, rename="camel"):
    """Who it is, as a source knows it."""

    first_name: str | None = None
    last_name: str | None = None
    identifiers: list[RegisteredIdentifier] | None = None
    fields: dict[str, Scalar] | None = None
    source: str | None = None
    registered_on: str | None = None


class RegistrationDate(Struct, rename="camel"):
    """When somebody joined, as loyalty clients send it."""

    create_date: str | None = None


class RegisteredLoyalty(Struct, rename="camel"):
    """Whether the customer takes part in the loyalty programme."""

    loyalty_type: str | None = None
    attribution: RegistrationDate | None = field(default=None, name="attributionV2")


class RegistrationBody(Struct, rename="camel"):
    """The body of a registration, and of an update, which changes what is sent."""

    profiles: list[RegisteredProfile] | None = None
    loyalty_info: RegisteredLoyalty | None = None
    extended_fields: dict[str, Scalar] | None = None
    registered_on: str | None = None


class StatusBody(Struct):
    """The body of a status change."""

    label: str = ""
    reason: str | None = None


class CustomerCreated(Struct, frozen=True, rename="camel"):
    """The customer that was registered or changed."""

    created_id: int
    warnings: list[E] = []
    side_effects: list[dict[str, str]] = []


class CustomerFound(Struct, frozen=True):
    """The customer's id."""

    entity: int
    warnings: list[E] = []


class CustomerAttribution(Struct, frozen=True, rename="camel"):
    """Which till registered and changed the customer, and when; an unknown till is empty."""

    create_date: str
    created_by: dict[str, str]
    modified_by: dict[str, str]
    modified_date: str


class CustomerProfile(Struct, frozen=True, rename="camel"):
    """The one profile of a customer."""

    first_name: str
    last_name: str
    attribution: CustomerAttribution
    fields: dict[str, Any]
    identifiers: list[CustomerIdentifier]
    comm_channels: list[str]
    source: str
    user_id: int
    account_id: str
    conflicting_profile_list: list[str]
    auto_update_time: str
    identifiers_all: list[CustomerIdentifier]


class CustomerLoyalty(Struct, frozen=True, rename="camel"):
    """`loyalty` or `non_loyalty`."""

    loyalty_type: str


class CustomerRead(Struct, frozen=True, rename="camel"):
    """A customer."""

    id: int
    profiles: list[CustomerProfile]
    loyalty_info: CustomerLoyalty
    extended_fields: dict[str, Any]
    warnings: list[E] = []


DECODE_REGISTRATION: Final = msgspec.json.Decoder(RegistrationBody).decode
DECODE_STATUS: Final = msgspec.json.Decoder(StatusBody).decode


def registration_of(call: Call, org: Org, body: RegistrationBody) -> Registration | Code:
    """What is to be registered or changed: 8011, then 8013, 1001, 1002, 1003, then 629."""
    profiles = body.profiles or [RegisteredProfile()]
    if not all(is_source(source) for source in (one(call, "source"), *(profile.source for profile in profiles))):
        return Code.UNKNOWN_SOURCE
    identifiers = _identifiers(call, org, profiles)
    if isinstance(identifiers, Code):
        return identifiers
    profile, loyalty = profiles[0], body.loyalty_info or RegisteredLoyalty()
    joined = body.registered_on or profile.registered_on or (loyalty.attribution.create_date if loyalty.attribution else None)
    joined_ms = times.instant_ms(joined, org.zone) if joined else None
    type_sent = loyalty.loyalty_type
    belongs = is_loyalty(type_sent) if type_sent is not None else None
    fields, extended = _fields(profile.fields), _fields(body.extended_fields)
    is_sound = _is_name(profile.first_name) and _is_name(profile.last_name)
    if not is_sound or (joined and joined_ms is None) or (type_sent is not None and belongs is None):
        return Code.INVALID_INPUT
    if isinstance(fields, Code) or isinstance(extended, Code):
        return Code.INVALID_INPUT
    return Registration(
        identifiers=identifiers,
        first_name=profile.first_name,
        last_name=profile.last_name,
        is_loyalty=belongs,
        registered_ms=joined_ms,
        fields=fields,
        extended_fields=extended,
    )


def _identifiers(call: Call, org: Org, profiles: list[RegisteredProfile]) -> dict[str, str] | Code:
    """Normal values by kind. Blank ones count as not sent; two of one kind are 8013."""
    found: dict[str, str] = {}
    for sent in (sent for profile in profiles for sent in profile.identifiers or ()):
        text = text_of(sent.value) if sent.value is not None else ""
        kind = _KINDS.get(sent.type.strip().lower())
        if not text.strip():
            continue
        if kind is None or kind == "id":
            return Code.INVALID_IDENTIFIER
        value = checked_identifier(kind, text, country_code(call, org), org.settings.mobile_digits)
        if isinstance(value, Code):
            return value
        if found.setdefault(kind, value) != value:
            return Code.INVALID_IDENTIFIER
    return found


def identifier_of(call: Call, org: Org, name: str | None, value: Id) -> tuple[str, str] | Code:
    """Whom a request is about: an identifier by its name and value; 8013 for what cannot be anybody's."""
    kind = _KINDS.get((name or "").strip().lower())
    text = text_of(value).strip() if value is not None else ""
    if kind is None or not text:
        return Code.INVALID_IDENTIFIER
    if kind == "id":
        customer_id = coupon_id_of(text)
        return Code.INVALID_IDENTIFIER if isinstance(customer_id, Code) else (kind, str(customer_id))
    found = checked_identifier(kind, text, country_code(call, org), org.settings.mobile_digits)
    return Code.INVALID_IDENTIFIER if isinstance(found, Code) else (kind, found)


def _fields(sent: dict[str, Scalar] | None) -> dict[str, str | None] | Code:
    kept = custom_fields_of(sent)
    return kept if isinstance(kept, Code) else dict.fromkeys(sent or ()) | dict(kept)


def _is_name(text: str | None) -> bool:
    return text is None or (len(text) <= NAME_CHARS_MAX and "\0" not in text)


def shown(record: CustomerRecord, org: Org) -> CustomerRead:
    """A customer as V2 shows one."""
    customer = record.customer
    identifiers = _shown_identifiers(customer)
    updated = times.shown(customer.updated_ms, org.zone)
    attribution = CustomerAttribution(
        times.shown(customer.registered_ms, org.zone), _till(record.registered_by), _till(record.updated_by), updated
    )
    profile = CustomerProfile(
        first_name=customer.first_name,
        last_name=customer.last_name,
        attribution=attribution,
        fields=customer.custom_fields,
        identifiers=identifiers,
        comm_channels=[],
        source=DEFAULT_SOURCE,
        user_id=customer.id,
        account_id="",
        conflicting_profile_list=[],
        auto_update_time=updated,
        identifiers_all=identifiers,
    )
    loyalty = CustomerLoyalty("loyalty" if customer.is_loyalty else "non_loyalty")
    return CustomerRead(customer.id, [profile], loyalty, record.extended_fields)


def _shown_identifiers(customer: Customer) -> list[CustomerIdentifier]:
    known = ((kind, getattr(customer, ATTRIBUTES[kind])) for kind in _SHOWN)
    return [CustomerIdentifier(kind, value) for kind, value in known if value]


def _till(till: NamedTill | None) -> dict[str, str]:
    return {"code": till.code, "description": "", "name": till.name, "type": "TILL"} if till else {}
