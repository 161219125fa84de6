"""The customer operations as the OpenAPI document describes them."""

from typing import Final

from couponry.api.operation import GATE_HEADERS, Operation, Parameter
from couponry.api.v2.customers_wire import CustomerCreated, CustomerFound, CustomerRead, RegistrationBody, StatusBody
from couponry.core.registration import ATTRIBUTES
from couponry.core.sources import SOURCES
from couponry.core.status import Code

_ID: Final = Parameter("customer_id", "path", "the customer's id")
_SOURCE: Final = Parameter("source", "query", "where the customer is known; INSTORE unless given", sorted(SOURCES))
_LOOKUP: Final = (
    _SOURCE,
    Parameter("identifierName", "query", "the kind of identifier", (*ATTRIBUTES, "id"), is_required=True),
    Parameter("identifierValue", "query", "its value; a mobile with or without country code", is_required=True),
)
_GONE: Final = (Code.NO_SUCH_CUSTOMER, Code.CUSTOMER_DELETED, Code.CUSTOMER_MERGED)
_READ: Final = (Code.UNKNOWN_SOURCE, *_GONE)
_VALUES: Final = (
    Code.UNKNOWN_SOURCE,
    Code.INVALID_IDENTIFIER,
    Code.INVALID_MOBILE,
    Code.INVALID_EMAIL,
    Code.INVALID_EXTERNAL_ID,
    Code.INVALID_INPUT,
    Code.ALREADY_REGISTERED,
    Code.EMAIL_TAKEN,
    Code.MOBILE_TAKEN,
    Code.EXTERNAL_ID_TAKEN,
)


def _operation(path: str, method: str, summary: str, response: object, codes: tuple[Code, ...], **more: object) -> Operation:
    return Operation(path, method, summary, response, codes=codes, refusal_status=400, **more)  # type: ignore[arg-type] # fields of an Operation


OPERATIONS: Final = (
    _operation(
        "/v2/customers",
        "post",
        "Register a customer",
        CustomerCreated,
        (*_VALUES, Code.NO_IDENTIFIER, Code.CUSTOMER_MERGED),
        body=RegistrationBody,
        parameters=(_SOURCE, *GATE_HEADERS),
    ),
    _operation(
        "/v2/customers/{customer_id}", "get", "Read a customer", CustomerRead, _READ, parameters=(_ID, _SOURCE, *GATE_HEADERS)
    ),
    _operation(
        "/v2/customers/{customer_id}",
        "put",
        "Change a customer: only what is sent",
        CustomerCreated,
        (*_VALUES, *_GONE),
        body=RegistrationBody,
        parameters=(_ID, _SOURCE, *GATE_HEADERS),
    ),
    _operation(
        "/v2/customers/{customer_id}/status",
        "put",
        "Set a customer's status label",
        CustomerCreated,
        (*_READ, Code.UNKNOWN_STATUS_LABEL, Code.INVALID_INPUT),
        body=StatusBody,
        parameters=(_ID, _SOURCE, *GATE_HEADERS),
    ),
    _operation(
        "/v2/customers/lookup",
        "get",
        "A customer's id by an identifier",
        CustomerFound,
        (*_READ, Code.INVALID_IDENTIFIER),
        parameters=(*_LOOKUP, *GATE_HEADERS),
    ),
    _operation(
        "/v2/customers/lookup/customerDetails",
        "get",
        "Read a customer by an identifier",
        CustomerRead,
        (*_READ, Code.INVALID_IDENTIFIER),
        parameters=(*_LOOKUP, *GATE_HEADERS),
    ),
)
