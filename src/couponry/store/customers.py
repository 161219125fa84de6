"""Customers one by one: found, registered, changed, blocked, forgotten (supporting APIs 2, rules 11).

Whoever changes a customer locks its row, and nothing before it; locks of the ledger come earlier (`store.merge`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import String, insert, literal, select, union_all, update

from couponry.core.deliveries import Channel
from couponry.core.limits import CUSTOM_FIELDS_MAX
from couponry.core.model import Customer, Identifier
from couponry.core.org_settings import FRAUD_STATUSES
from couponry.core.registration import ATTRIBUTES, Registration, taken
from couponry.core.rules.customer import consistent, found
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store import serials
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.erasure import addresses_of_codes, erase, withhold
from couponry.store.registry import status_labels
from couponry.store.rows import CUSTOMER_COLUMNS, customer_from_row

_COLUMNS: Final = {"id": t.customer.c.id} | {kind: t.customer.c[name] for kind, name in ATTRIBUTES.items()}
_NAMES: Final = [column.name for column in CUSTOMER_COLUMNS]
_WIDTH: Final = len(_NAMES)
_MERGED: Final = _NAMES.index("merged_into_id")
_DELETED: Final = _NAMES.index("deleted_ms")
_BY: Final = t.till.alias("by_till")
_LAST_BY: Final = t.till.alias("last_by_till")
_RECORD: Final = (
    *CUSTOMER_COLUMNS,
    t.customer.c.extended_fields,
    t.customer.c.status_reason,
    _BY.c.code,
    _BY.c.name,
    _LAST_BY.c.code,
    _LAST_BY.c.name,
)
_FORGOTTEN: Final = {
    **dict.fromkeys(ATTRIBUTES.values()),
    "first_name": "",
    "last_name": "",
    "custom_fields": None,
    "extended_fields": None,
    "status_reason": None,
}
_ADDRESSES: Final = {t.otp: {"entity_value": "", "message": '{"channels":[]}'}, t.missed_call: {"mobile": ""}}
"""What else tells how to reach somebody: where validation codes were sent to, and where missed calls came from."""


class NamedTill(Struct, frozen=True, gc=False):
    """A till as a customer's record names it."""

    code: str
    name: str


class CustomerRecord(Struct, frozen=True):
    """A customer with what only its own record shows. The tills are None where none is known, as after an import."""

    customer: Customer
    extended_fields: dict[str, Any]
    status_reason: str
    registered_by: NamedTill | None
    updated_by: NamedTill | None
    merged_into_id: int | None
    deleted_ms: int | None

    @property
    def gone_code(self) -> Code | None:
        """Why the customer is nobody any more: 8015 once deleted, 8069 once merged away."""
        return _gone(self.merged_into_id, self.deleted_ms)


def find_customer(tx: ReadTransaction, org_id: int, identifiers: Sequence[Identifier]) -> Customer | Code:
    """The one customer whom a coupon endpoint's customer block means: 721, then 701 (status-codes 4, B1-B2). One statement."""
    matched = _matched(tx, org_id, identifiers)
    customers = [customer_from_row(matched[kind]) if kind in matched else None for kind, _ in identifiers]
    refused = consistent(customers) or found(customers)
    if refused:
        return refused
    assert customers[0], "what is found is there"
    return customers[0]


def read_customer(tx: ReadTransaction, org_id: int, kind: str, value: str) -> CustomerRecord | Code:
    """The record behind an identifier or `id`: 8015, 8069. One statement."""
    record = any_customer(tx, org_id, kind, value)
    return record if isinstance(record, Code) else record.gone_code or record


def any_customer(tx: ReadTransaction, org_id: int, kind: str, value: str) -> CustomerRecord | Code:
    """The same, also of somebody who is gone."""
    source = t.customer
    for till, column in ((_BY, t.customer.c.registered_till_id), (_LAST_BY, t.customer.c.updated_till_id)):
        source = source.outerjoin(till, (till.c.org_id == t.customer.c.org_id) & (till.c.id == column))  # type: ignore[assignment] # joins are FROM clauses
    wanted = select(*_RECORD).select_from(source).where(t.customer.c.org_id == org_id, _COLUMNS[kind] == _typed(kind, value))
    rows = tx.rows(wanted, {})
    if not rows:
        return Code.NO_SUCH_CUSTOMER
    row = rows[0]
    extended, reason, by_code, by_name, last_code, last_name = row[_WIDTH:]
    return CustomerRecord(
        customer_from_row(row[:_WIDTH]),
        msgspec.json.decode(extended) if extended else {},
        reason or "",
        NamedTill(by_code, by_name) if by_code else None,
        NamedTill(last_code, last_name) if last_code else None,
        row[_MERGED],
        row[_DELETED],
    )


def register(tx: WriteTransaction, org_id: int, new: Registration, till_id: int, now_ms: int) -> int | Code:
    """A new customer's id; 1014, 1016, 1032, 1033 or 8069 when somebody has the identifiers.

    Two at once meet at the unique indexes: the second is a conflict, is tried again, and finds the first.
    """
    matched = _matched(tx, org_id, tuple(new.identifiers.items()))
    if matched:
        return _owned(new.identifiers, matched)
    customer_id = serials.reserve(tx, org_id, serials.CUSTOMER)
    usual = {"first_name": "", "last_name": "", "is_loyalty": True, "fraud_status": "NONE", "status_label": "ACTIVE"}
    times = {"registered_ms": now_ms, "updated_ms": now_ms, "registered_till_id": till_id}
    fields = {"custom_fields": _merged("{}", new.fields), "extended_fields": _merged("{}", new.extended_fields)}
    row = {"org_id": org_id, "id": customer_id, "transaction_count": 0, **usual, **times, **fields, **new.values()}
    tx.connection.execute(insert(t.customer).values(row))
    return customer_id


def change(tx: WriteTransaction, org_id: int, customer_id: int, changes: Registration, till_id: int, now_ms: int) -> int | Code:
    """Names, fields, loyalty type, and identifiers: another value replaces the one of its kind. The id, or why not."""
    row = locked(tx, org_id, customer_id)
    if isinstance(row, Code):
        return row
    matched = _matched(tx, org_id, tuple(changes.identifiers.items()))
    for kind, owner in matched.items():
        if owner[0] != customer_id:
            return taken(kind)
    fields = _merged(row.custom_fields, changes.fields)
    extended = _merged(row.extended_fields, changes.extended_fields)
    if any(text and len(msgspec.json.decode(text)) > CUSTOM_FIELDS_MAX for text in (fields, extended)):
        return Code.INVALID_INPUT
    return _set(tx, org_id, customer_id, now_ms, till_id, custom_fields=fields, extended_fields=extended, **changes.values())


def set_status(
    tx: WriteTransaction,
    org_id: int,
    customer_id: int,
    now_ms: int,
    *,
    label: str | None = None,
    reason: str | None = None,
    fraud_status: str | None = None,
    till_id: int | None = None,
) -> int | Code:
    """Change the status label, and the fraud status (rules 11). None leaves a value as it is."""
    values: dict[str, object] = {}
    if fraud_status is not None:
        if fraud_status not in FRAUD_STATUSES:
            return Code.INVALID_INPUT
        values["fraud_status"] = fraud_status
    if label is not None:
        known = {name.upper(): name for name in status_labels(tx, org_id)}
        if label.upper() not in known:
            return Code.UNKNOWN_STATUS_LABEL
        values |= {"status_label": known[label.upper()], "status_reason": reason}
    row = locked(tx, org_id, customer_id)
    return row if isinstance(row, Code) else _set(tx, org_id, customer_id, now_ms, till_id, **values)


def set_subscriptions(
    tx: WriteTransaction, org_id: int, customer_id: int, now_ms: int, *, wanted: Mapping[Channel, bool]
) -> int | Code:
    """Change by which channels the customer wants messages; one that is not named stays as it is."""
    row = locked(tx, org_id, customer_id)
    if isinstance(row, Code):
        return row
    before = frozenset(row.unsubscribed.split(",")) if row.unsubscribed else frozenset()
    asked = {channel.name for channel in wanted}
    unwanted = (before - asked) | {channel.name for channel, is_wanted in wanted.items() if not is_wanted}
    for channel in [channel for channel, is_wanted in wanted.items() if not is_wanted]:
        withhold(tx, org_id, customer_id, [channel], f"unsubscribed from {channel.name}", now_ms)
    return _set(tx, org_id, customer_id, now_ms, None, unsubscribed=",".join(sorted(unwanted)) or None)


def delete(tx: WriteTransaction, org_id: int, customer_id: int, now_ms: int) -> int | Code:
    """Forget who it was, after a PII delete request: names, identifiers and fields, also of somebody who was merged away; and of
    messages, to whom they went and what they said.

    What the customer did stays, under a number that is nobody's any more.
    """
    row = locked(tx, org_id, customer_id, is_gone_too=True)
    if isinstance(row, Code):
        return row
    addresses = {row.mobile, row.email, *addresses_of_codes(tx, org_id, customer_id)} - {None, ""}
    erase(tx, org_id, customer_id, addresses, now_ms)
    for table, blank in _ADDRESSES.items():
        tx.connection.execute(update(table).where(table.c.org_id == org_id, table.c.customer_id == customer_id).values(blank))
    return _set(tx, org_id, customer_id, now_ms, None, deleted_ms=row.deleted_ms or now_ms, **_FORGOTTEN)


def locked(tx: WriteTransaction, org_id: int, customer_id: int, *, is_gone_too: bool = False) -> Any:  # noqa: ANN401 - a row of the table, or a Code
    """A customer's row, locked against other changes; 8015 or 8069 instead."""
    wanted = select(t.customer).where(t.customer.c.org_id == org_id, t.customer.c.id == customer_id)
    rows = tx.rows(tx.dialect.locked(wanted, t.customer), {})
    if not rows:
        return Code.NO_SUCH_CUSTOMER
    gone = None if is_gone_too else _gone(rows[0].merged_into_id, rows[0].deleted_ms)
    return gone or rows[0]


def _set(tx: WriteTransaction, org_id: int, customer_id: int, now_ms: int, till_id: int | None, **values: object) -> int:
    same = (t.customer.c.org_id == org_id, t.customer.c.id == customer_id)
    tx.connection.execute(update(t.customer).where(*same).values(updated_ms=now_ms, updated_till_id=till_id, **values))
    return customer_id


def _matched(tx: ReadTransaction, org_id: int, identifiers: Sequence[Identifier]) -> dict[str, Sequence[Any]]:
    """The rows of `CUSTOMER_COLUMNS` that identifiers of several kinds lead to, by kind."""
    if not identifiers:
        return {}
    of_org = select(*CUSTOMER_COLUMNS).where(t.customer.c.org_id == org_id)
    arms = [
        of_org.add_columns(literal(kind, String).label("kind")).where(_COLUMNS[kind] == _typed(kind, value))
        for kind, value in identifiers
    ]
    return {row.kind: row for row in tx.rows(union_all(*arms), {})}


def _owned(identifiers: Mapping[str, str], matched: Mapping[str, Sequence[Any]]) -> Code:
    """Whoever has all of these is registered; else the first that is taken."""
    owners = {row[0] for row in matched.values()}
    if len(matched) < len(identifiers) or len(owners) > 1:
        return taken(next(kind for kind in identifiers if kind in matched))
    (row, *_) = matched.values()
    return _gone(row[_MERGED], row[_DELETED]) or Code.ALREADY_REGISTERED


def _gone(merged_into_id: int | None, deleted_ms: int | None) -> Code | None:
    if deleted_ms is not None:
        return Code.CUSTOMER_DELETED
    return Code.CUSTOMER_MERGED if merged_into_id is not None else None


def _merged(stored: str | None, changes: Mapping[str, str | None]) -> str | None:
    """Fields with changes, as they are stored; those changed to None are gone."""
    fields = (msgspec.json.decode(stored) if stored else {}) | dict(changes)
    kept = {name: value for name, value in fields.items() if value is not None}
    return msgspec.json.encode(kept).decode() if kept else None


def _typed(kind: str, value: str) -> str | int:
    return int(value) if kind == "id" else value
