"""A file that lists customers, looked at when it comes in: its columns, its rows, and whether the first of them name anybody."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from msgspec import Struct
from sqlalchemy import BigInteger, select

from couponry.core.audience import ListKind
from couponry.core.identifiers import normal_identifier
from couponry.core.limits import AUDIENCE_ROWS_LOOKED_UP
from couponry.core.model import Org
from couponry.store import schema as t
from couponry.store.bulk.customers import customer_ids
from couponry.store.bulk.files import without_apostrophe
from couponry.store.bulk.rows import FileUnusable, RowReader, is_text
from couponry.store.engine import ReadTransaction
from couponry.store.statements import org_parameter

COLUMNS: Final = {
    "mobile": "mobile",
    "email": "email",
    "externalId": "external_id",
    "cardnumber": "card_number",
    "cardExternalId": "card_external_id",
    "id": "id",
}
"""What customers are listed by, and where we keep it."""


class Look(Struct, frozen=True):
    """What a file holds: the name of the column, how many rows there are, and what the first of them say in it."""

    header: str
    rows: int
    values: Sequence[str]


def look_at(path: Path, org: Org, kind: ListKind, column: int) -> Look | str:
    """Read the whole file in constant memory; a sentence for one that lists nobody."""
    try:
        with path.open("rb") as file:
            rows = iter(RowReader(file))
            header = next(rows, None)
            if header is None or header.problem or column >= len(header.cells):
                return "The file has no such column; its first line must name the columns."
            first = [row.cells[column] for row in islice(rows, AUDIENCE_ROWS_LOOKED_UP) if len(row.cells) > column]
            count = len(first) + sum(1 for _ in rows)
    except FileUnusable as error:
        return f"The file cannot be read: {error}."
    texts = [without_apostrophe(text) for text in first if is_text(text)]
    named = [normal_identifier(kind, text, org.country_code, org.settings.mobile_digits) for text in texts]
    return Look(header.cells[column], count, [each[1] for each in named if each]) if count else "The file lists nobody."


def known_of(tx: ReadTransaction, org_id: int, kind: ListKind, values: Sequence[str]) -> int:
    """How many different customers these values name. One statement."""
    wanted = sorted(set(values))
    if kind != "id":
        return len(set(customer_ids(tx, org_id, COLUMNS[kind], wanted).values()))
    keys = tx.dialect.keys("wanted", BigInteger())
    found = select(t.customer.c.id).select_from(keys.probing(t.customer, "id"))
    found = found.where(t.customer.c.merged_into_id.is_(None), t.customer.c.deleted_ms.is_(None))
    return len(tx.rows(found, {org_parameter().key: org_id, **keys.bound([(int(value),) for value in wanted])}))
