"""What v1.1 customer requests hold, and how a customer is shown (supporting APIs 1, corrections 2)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from couponry.api import times
from couponry.api.call import Call
from couponry.api.v1_1 import bodies, shown, statuses
from couponry.api.v1_1.bodies import CustomerBody, Nothing, Text
from couponry.api.v1_1.redeem import FieldBody, FieldsBody
from couponry.api.v1_1.tree import NOTHING, Entries, Listed, Node
from couponry.api.v2 import claims, requests
from couponry.core.limits import NAME_CHARS_MAX
from couponry.core.model import Identifier, Org
from couponry.core.registration import Registration, checked_identifier, is_loyalty
from couponry.core.sources import DEFAULT_SOURCE, is_source
from couponry.core.status import Code
from couponry.store.customers import CustomerRecord

_NONE: Final = Entries((), is_always_list=True)


class RegisteredBody(CustomerBody):
    """A customer to register or to change. What a coupon server has no place for, such as subscriptions, is passed over."""

    firstname: Text = None
    lastname: Text = None
    registered_on: Text = None
    type: Text = None
    source: Text = None
    custom_fields: FieldsBody | list[FieldBody] | Nothing = None
    extended_fields: FieldsBody | list[FieldBody] | Nothing = None


class RegistrationBody(Struct):
    """What `root` holds."""

    customer: RegisteredBody | list[RegisteredBody] | Nothing = None


def identifiers_of(call: Call, org: Org, body: RegisteredBody) -> dict[str, str] | Code:
    """Normal values by kind, the customer's own id apart; 1001, 1002, 1003 for what cannot be one."""
    kinds, found = dict(bodies.IDENTIFIERS), {}
    for name, sent in body.sent():
        text = bodies.text_of(sent)
        if name == "id" or not text.strip():
            continue
        value = checked_identifier(kinds[name], text, claims.country_code(call, org), org.settings.mobile_digits)
        if isinstance(value, Code):
            return value
        found[kinds[name]] = value
    return found


def registration_of(call: Call, org: Org, body: RegisteredBody) -> Registration | Code:
    """What is to be registered or changed: 8011, then 1001, 1002, 1003, then 629."""
    if not is_source(bodies.text_of(body.source) or None):
        return Code.UNKNOWN_SOURCE
    identifiers = identifiers_of(call, org, body)
    if isinstance(identifiers, Code):
        return identifiers
    kind, joined = bodies.text_of(body.type), bodies.text_of(body.registered_on)
    belongs = is_loyalty(kind) if kind else None
    joined_ms = times.local_ms(joined, org.zone) if joined else None
    names = [None if sent is None else bodies.text_of(sent) for sent in (body.firstname, body.lastname)]
    fields, extended = _fields(body.custom_fields), _fields(body.extended_fields)
    is_named = all(name is None or (len(name) <= NAME_CHARS_MAX and "\0" not in name) for name in names)
    if not is_named or (joined and joined_ms is None) or (kind and belongs is None):
        return Code.INVALID_INPUT
    if isinstance(fields, Code) or isinstance(extended, Code):
        return Code.INVALID_INPUT
    return Registration(
        identifiers=identifiers,
        first_name=names[0],
        last_name=names[1],
        is_loyalty=belongs,
        registered_ms=joined_ms,
        fields=fields,
        extended_fields=extended,
    )


def _fields(sent: FieldsBody | list[FieldBody] | Nothing) -> dict[str, str | None] | Code:
    """Names and texts; one without a value is taken away."""
    listed = sent if isinstance(sent, list) else bodies.entries_of(sent.field) if sent else []
    named = {bodies.text_of(one.name): one.value for one in listed if bodies.text_of(one.name)}
    kept = requests.custom_fields_of({name: bodies.text_of(value) for name, value in named.items()})
    return kept if isinstance(kept, Code) else {name: value or None for name, value in kept}


def wanted_of(call: Call, org: Org) -> list[tuple[str, str, Identifier | None]]:
    """(name, value as sent, identifier) for each customer that a query names; None for what can be nobody's."""
    found: list[tuple[str, str, Identifier | None]] = []
    for name, kind in bodies.IDENTIFIERS:
        for text in shown.words(call, name):
            if kind == "id":
                value: str | Code = str(requests.id_of(text) or 0)
            else:
                value = checked_identifier(kind, text, claims.country_code(call, org), org.settings.mobile_digits)
            found.append((name, text, None if isinstance(value, Code) else (kind, value)))
    return found


def registered(record: CustomerRecord, org: Org, code: Code) -> Node:
    """A customer that was registered or changed."""
    return {
        "user_id": str(record.customer.id),
        **_known(record, org),
        "fraud_status": record.customer.fraud_status,
        **_more(record),
        "subscriptions": {"subscription": _NONE},
        "side_effects": {"effect": _NONE},
        "item_status": {**statuses.item_status(code), "warnings": {"warning": _NONE}},
    }


def read(record: CustomerRecord, org: Org, stores: Mapping[str, Node], coupons: Sequence[Node], *, with_user_id: bool) -> Node:
    """A customer as it is read, with a page of coupons."""
    till = record.registered_by
    return {
        **({"user_id": str(record.customer.id)} if with_user_id else {}),
        **_known(record, org),
        "identifiers": NOTHING,
        "registered_by": till.code if till else "",
        "registered_store": stores.get(till.code if till else "", shown.place("", "")),
        "registered_till": shown.place(till.code, till.name or till.code) if till else shown.place("", ""),
        "fraud_details": {"status": record.customer.fraud_status, "marked_by": NOTHING, "modified_on": NOTHING},
        **_more(record),
        "transactions": {"transaction": _NONE},
        "coupons": Listed(coupons, "coupon"),
        "notes": NOTHING,
        "item_status": {**statuses.item_status(Code.CUSTOMER_RETRIEVED), "warnings": NOTHING},
    }


def refused(body: RegisteredBody, code: Code) -> Node:
    """A customer who was not registered or changed, as sent."""
    return {
        **bodies.customer_shown(None, body.sent()),
        "firstname": bodies.text_of(body.firstname),
        "lastname": bodies.text_of(body.lastname),
        "item_status": statuses.item_status(code),
    }


def _known(record: CustomerRecord, org: Org) -> dict[str, Node]:
    """Who it is. This service has no points ledger: points and purchases are always none."""
    customer = record.customer
    return {
        "firstname": customer.first_name,
        "lastname": customer.last_name,
        "mobile": customer.mobile or "",
        "email": customer.email or "",
        "external_id": customer.external_id or "",
        "lifetime_points": "0",
        "loyalty_points": "0",
        "lifetime_purchases": "0",
        "current_slab": "",
        "registered_on": shown.instant(customer.registered_ms, org.zone),
        "updated_on": shown.instant(customer.updated_ms, org.zone),
        "type": "LOYALTY" if customer.is_loyalty else "NON_LOYALTY",
        "source": DEFAULT_SOURCE.lower(),
    }


def _more(record: CustomerRecord) -> dict[str, Node]:
    return {"custom_fields": _listed(record.customer.custom_fields), "extended_fields": _listed(record.extended_fields)}


def _listed(fields: Mapping[str, Any]) -> Node:
    entries = [{"name": name, "value": bodies.text_of(value)} for name, value in fields.items()]
    return {"field": Entries(entries, is_always_list=True)}
