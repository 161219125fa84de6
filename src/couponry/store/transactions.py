"""Bills that a till reports: how many a customer has, and which redemptions each was paid with (supporting APIs 7)."""

from collections.abc import Collection

from sqlalchemy import BigInteger, case, func, select, update

from couponry.core.limits import COUNT_MAX
from couponry.core.model import Identifier
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store import serials
from couponry.store.customers import locked, read_customer
from couponry.store.engine import WriteTransaction
from couponry.store.statements import org_parameter


def record(
    tx: WriteTransaction, org_id: int, customer: Identifier, redemption_ids: Collection[int], bill_number: str
) -> int | Code:
    """The new bill's id. Redemptions get it and its number unless they have some; all of them must be the customer's.

    The customer's row is locked first, so that of a bill and a merge one comes wholly after the other.
    """
    found = read_customer(tx, org_id, *customer)
    if isinstance(found, Code):
        return found
    row = locked(tx, org_id, found.customer.id)
    if isinstance(row, Code):
        return row
    refused = _refusal(tx, org_id, row.id, redemption_ids)
    if refused:
        return refused
    bill_id = serials.reserve(tx, org_id, serials.TRANSACTION)
    redemption, customer_columns = t.redemption.c, t.customer.c
    tx.connection.execute(
        update(t.redemption)
        .where(redemption.org_id == org_id, redemption.id.in_(redemption_ids))
        .values(
            bill_id=func.coalesce(redemption.bill_id, bill_id),
            transaction_number=case((redemption.transaction_number == "", bill_number), else_=redemption.transaction_number),
        )
    )
    count = customer_columns.transaction_count
    tx.connection.execute(
        update(t.customer)
        .where(customer_columns.org_id == org_id, customer_columns.id == row.id)
        .values(transaction_count=case((count < COUNT_MAX, count + 1), else_=count))
    )
    return bill_id


def _refusal(tx: WriteTransaction, org_id: int, customer_id: int, redemption_ids: Collection[int]) -> Code | None:
    """640 for an unknown redemption, 642 for somebody else's. The rows stay locked."""
    keys = tx.dialect.keys("wanted", BigInteger())
    wanted = select(t.redemption.c.customer_id).select_from(keys.probing(t.redemption, "id")).order_by(t.redemption.c.id)
    parameters = {org_parameter().key: org_id, **keys.bound([(redemption_id,) for redemption_id in redemption_ids])}
    owners = [owner for (owner,) in tx.rows(tx.dialect.locked(wanted, t.redemption), parameters)]
    if len(owners) < len(redemption_ids):
        return Code.UNKNOWN_REDEMPTION
    return Code.REDEMPTION_OF_ANOTHER if set(owners) - {customer_id} else None
