"""Who is meant: the part of the customer block that every operation judges alike (status-codes 4, B1-B2 and J4).

`matched` are the customers that the identifiers resolve to, None for one that resolves to nobody.
"""

from couponry.core.model import Customer
from couponry.core.status import Code


def consistent(matched: list[Customer | None]) -> Code | None:
    """B1, J4: there is an identifier, all of them mean one customer, and that customer still exists."""
    known = {customer.id: customer for customer in matched if customer}
    if not matched or len(known) > 1 or any(customer.gone for customer in known.values()):
        return Code.INVALID_CUSTOMER
    return None


def found(matched: list[Customer | None]) -> Code | None:
    """B2, J4: every identifier matches a customer of the org."""
    return Code.CUSTOMER_NOT_FOUND if None in matched else None
