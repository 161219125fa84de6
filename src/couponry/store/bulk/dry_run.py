"""What an uploaded file of coupons would come to, before anything is written: its first rows judged as far as they can be alone.

Limits for each customer are judged only when the coupons are issued.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct
from sqlalchemy import BigInteger, Text, select

from couponry.core.codes import code_key
from couponry.core.limits import DRY_RUN_EXAMPLES_MAX, DRY_RUN_ROWS_MAX
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.core.registration import ATTRIBUTES
from couponry.core.status import Code
from couponry.core.upload_kinds import DUPLICATE, FileKind, UploadRequest, row_problem
from couponry.store import schema as t
from couponry.store.bulk.pool import keys_in_use
from couponry.store.bulk.rows import FileUnusable
from couponry.store.bulk.upload_file import Entry, UploadFile
from couponry.store.engine import ReadTransaction

_UNKNOWN: Final = row_problem(Code.CUSTOMER_NOT_FOUND)


class Sample(Struct, frozen=True):
    """The first rows of a file that came in, and how many it has in all. `name_kind` is what its rows name customers by."""

    kind: FileKind
    name_kind: str
    entries: Sequence[Entry]
    rows: int


class Example(Struct, frozen=True):
    """A row that would fail: its number, counted from the first below the header, its cells, and why."""

    row: int
    cells: Sequence[str]
    problem: Problem


class DryRun(Struct, frozen=True):
    """Of `looked` rows, how many would be taken; the others by the number of what they fail with."""

    kind: FileKind
    rows: int
    looked: int
    ok: int
    by_code: dict[str, int]
    examples: list[Example]


def sampled(path: Path, org: Org, request: UploadRequest) -> Sample | Problem:
    """Read the file's beginning; a Problem when it is no use as a whole."""
    try:
        file = UploadFile(path, request)
        page = file.page(org, 0, DRY_RUN_ROWS_MAX, 0)
        rows = len(page.entries) if page.is_last else file.count()
    except FileUnusable as error:
        return Problem(Code.MALFORMED.number, str(error))
    return Sample(file.kind, file.name_kind, page.entries, rows)


def dry_run(tx: ReadTransaction, org_id: int, series_id: int, sample: Sample) -> DryRun:
    """Judge the rows. Two statements at most."""
    problems = [entry.problem for entry in sample.entries]
    keys = [code_key(entry.code) if entry.code else "" for entry in sample.entries]
    taken = keys_in_use(tx, org_id, series_id, [key for key in keys if key])
    known = _customers(tx, org_id, sample)
    for at, (entry, key) in enumerate(zip(sample.entries, keys, strict=True)):
        if problems[at]:
            continue
        if entry.name is not None and str(entry.name) not in known:
            problems[at] = _UNKNOWN
        elif key in taken:
            problems[at] = DUPLICATE
        elif key:
            taken.add(key)
    failed = [Example(at, sample.entries[at - 1].cells, each) for at, each in enumerate(problems, 1) if each]
    by_code = Counter(str(each.problem.code) for each in failed)
    looked = len(sample.entries)
    return DryRun(sample.kind, sample.rows, looked, looked - len(failed), dict(by_code), failed[:DRY_RUN_EXAMPLES_MAX])


def _customers(tx: ReadTransaction, org_id: int, sample: Sample) -> set[str]:
    """Which of those that the rows name the org knows, and are not merged away or deleted."""
    names = sorted({entry.name for entry in sample.entries if entry.name is not None}, key=str)
    if not names:
        return set()
    column = ATTRIBUTES.get(sample.name_kind, "id")
    keys = tx.dialect.keys("names", BigInteger() if column == "id" else Text())
    probed = keys.probing(t.customer, column, index="" if column == "id" else f"uq_customer_{column}")
    customer = t.customer.c
    found = select(customer[column]).select_from(probed).where(customer.merged_into_id.is_(None), customer.deleted_ms.is_(None))
    return {str(row[0]) for row in tx.rows(found, {"org": org_id, **keys.bound([(name,) for name in names])})}
