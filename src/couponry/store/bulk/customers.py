"""Customers in bulk. Codes are those of a registration (supporting APIs 1.1)."""

from collections.abc import Hashable, Sequence
from typing import Any, Final

from sqlalchemy import String, select

from couponry.core.dates import local_from_wire, ms_from_local
from couponry.core.limits import COUNT_MAX
from couponry.core.model import Org
from couponry.core.org_settings import FRAUD_STATUSES
from couponry.core.problem import Problem
from couponry.core.registration import ATTRIBUTES, checked_identifier, is_loyalty
from couponry.core.registration import taken as taken_code
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store import serials
from couponry.store.bulk import Cells
from couponry.store.bulk.inserts import insert_many
from couponry.store.engine import ReadTransaction, WriteTransaction
from couponry.store.statements import org_parameter

_COLUMNS: Final = (
    "first_name",
    "last_name",
    "mobile",
    "email",
    "external_id",
    "card_number",
    "card_external_id",
    "is_loyalty",
    "fraud_status",
    "status_label",
    "transaction_count",
    "registered_ms",
    "updated_ms",
    "id",
)
_FIRST_IDENTIFIER: Final = _COLUMNS.index("mobile")
_INVALID: Final = 629


class Customers:
    """`firstName, lastName, mobile, email, externalId, registeredOn, loyaltyType, fraudStatus, statusLabel, transactionCount`."""

    columns = frozenset(ATTRIBUTES) | {
        "firstName",
        "lastName",
        "registeredOn",
        "loyaltyType",
        "fraudStatus",
        "statusLabel",
        "transactionCount",
    }
    required: frozenset[str] = frozenset()
    tables = (t.customer,)

    def __init__(self, org: Org, labels: frozenset[str], now_ms: int) -> None:
        self.org, self.labels, self.now_ms = org, labels, now_ms

    def write(self, tx: WriteTransaction, rows: list[Cells], seen: set[Hashable]) -> list[Problem | None]:
        """Register each customer whose identifiers nobody has."""
        drafts = [self._draft(row) for row in rows]
        taken = self._taken(tx, [draft for draft in drafts if not isinstance(draft, Problem)]) | seen
        problems: list[Problem | None] = []
        new: list[tuple[Any, ...]] = []
        for draft in drafts:
            problem = draft if isinstance(draft, Problem) else _taken_problem(draft, taken)
            problems.append(problem)
            if not problem and not isinstance(draft, Problem):
                keys = _keys(draft)
                taken.update(keys)
                seen.update(keys)
                new.append(draft)
        if new:
            first = serials.reserve(tx, self.org.id, serials.CUSTOMER, len(new))
            insert_many(tx, t.customer, _COLUMNS, self.org.id, [(*draft, first + at) for at, draft in enumerate(new)])
        return problems

    def _draft(self, cells: Cells) -> tuple[Any, ...] | Problem:
        """The values of `_COLUMNS` without the id."""
        identifiers: list[str | None] = []
        for kind in ATTRIBUTES:
            text = _text(cells, kind)
            value = checked_identifier(kind, text, self.org.country_code, self.org.settings.mobile_digits) if text else None
            if isinstance(value, Code):
                return Problem(value.number, value.message)
            identifiers.append(value)
        if not any(identifiers):
            return Problem(Code.NO_IDENTIFIER.number, Code.NO_IDENTIFIER.message)
        label, fraud = _text(cells, "statusLabel").upper() or "ACTIVE", _text(cells, "fraudStatus").upper() or "NONE"
        if label not in self.labels:
            return Problem(_INVALID, "Invalid Input", f"unknown statusLabel {label}")
        if fraud not in FRAUD_STATUSES:
            return Problem(_INVALID, "Invalid Input", f"unknown fraudStatus {fraud}")
        loyalty = is_loyalty(_text(cells, "loyaltyType"))
        if loyalty is None:
            return Problem(_INVALID, "Invalid Input", "loyaltyType is neither loyalty nor non_loyalty")
        count = _text(cells, "transactionCount") or "0"
        if not (count.isascii() and count.isdigit() and len(count) <= len(str(COUNT_MAX)) and int(count) <= COUNT_MAX):
            return Problem(_INVALID, "Invalid Input", "transactionCount is no whole number")
        try:
            registered_ms = self._instant(_text(cells, "registeredOn"))
        except ValueError as error:
            return Problem(_INVALID, "Invalid Input", f"registeredOn is {error}")
        names = (_text(cells, "firstName"), _text(cells, "lastName"))
        return (*names, *identifiers, loyalty, fraud, label, int(count), registered_ms, self.now_ms)

    def _instant(self, text: str) -> int:
        return ms_from_local(local_from_wire(text, self.org.zone), self.org.zone) if text else self.now_ms

    def _taken(self, tx: ReadTransaction, drafts: Sequence[tuple[Any, ...]]) -> set[Hashable]:
        """Which of these identifiers customers have already."""
        found: set[Hashable] = set()
        for at, (kind, column) in enumerate(ATTRIBUTES.items(), _FIRST_IDENTIFIER):
            values = [draft[at] for draft in drafts if draft[at] is not None]
            found.update((kind, value) for value in customer_ids(tx, self.org.id, column, values, with_gone=True))
        return found


def customer_ids(
    tx: ReadTransaction, org_id: int, column: str, values: Sequence[str], *, with_gone: bool = False
) -> dict[str, int]:
    """The customers that have these values in an identifier column; with those merged away, whose identifiers are not free."""
    if not values:
        return {}
    keys = tx.dialect.keys("wanted", String())
    found = select(t.customer.c[column], t.customer.c.id).select_from(
        keys.probing(t.customer, column, index=f"uq_customer_{column}")
    )
    if not with_gone:
        found = found.where(t.customer.c.merged_into_id.is_(None), t.customer.c.deleted_ms.is_(None))
    rows = tx.rows(found, {org_parameter().key: org_id, **keys.bound([(value,) for value in values])})
    return {value: int(customer_id) for value, customer_id in rows}


def _taken_problem(draft: tuple[Any, ...], taken: set[Hashable]) -> Problem | None:
    refused = next((taken_code(kind) for kind, value in _keys(draft) if (kind, value) in taken), None)
    return Problem(refused.number, refused.message) if refused else None


def _keys(draft: tuple[Any, ...]) -> list[tuple[str, str]]:
    """The identifiers that a draft claims."""
    return [(kind, value) for at, kind in enumerate(ATTRIBUTES, _FIRST_IDENTIFIER) if (value := draft[at]) is not None]


def _text(cells: Cells, name: str) -> str:
    return str(cells.get(name, "")).strip()
