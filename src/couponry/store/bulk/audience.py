"""Whom a job is for, read from the database a window of customers at a time (`core.audience`).

A window is so many customers by their ids; those of them who are meant are its rows. So a segment that next to nobody belongs to
costs many short statements, and never a long one.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, exists, func, select

from couponry.core.audience import Segment
from couponry.core.bulk_issue import Person
from couponry.core.limits import AUDIENCE_COUNTED_AT_ONCE
from couponry.store import schema as t
from couponry.store.bulk.issuing import PERSON_COLUMNS
from couponry.store.engine import Database, ReadTransaction

_customer: Final = t.customer.c


def people_after(
    tx: ReadTransaction, org_id: int, after_id: int, most: int, segment: Segment | None
) -> tuple[list[Person], int | None]:
    """Whom the next window of `most` customers holds of the segment (None: of all), and where it ends; None after the last."""
    of_org = _customer.org_id == org_id
    if segment is None:
        everybody = select(*PERSON_COLUMNS).where(of_org, _customer.id > after_id).order_by(_customer.id).limit(most)
        people = [Person._make(row) for row in tx.rows(everybody, {})]
        after = people[-1].customer_id if len(people) == most else None
        return [person for person in people if not person.is_gone], after
    ids = select(_customer.id).where(of_org, _customer.id > after_id).order_by(_customer.id)
    last = tx.rows(ids.limit(1).offset(most - 1), {})
    window = [of_org, _customer.id > after_id, *([_customer.id <= last[0].id] if last else [])]
    wanted = select(*PERSON_COLUMNS).where(*window, *conditions(org_id, segment)).order_by(_customer.id)
    return [Person._make(row) for row in tx.rows(wanted, {})], last[0].id if last else None


def audience_size(database: Database, org_id: int, segment: Segment | None) -> int:
    """How many customers there are now, or in the segment. Counted in parts, each in a transaction of its own."""
    of_org = _customer.org_id == org_id
    with database.reading() as tx:  # in one statement, SQLite would look at every customer
        ((first,),) = tx.rows(select(func.min(_customer.id)).where(of_org), {})
        ((last,),) = tx.rows(select(func.max(_customer.id)).where(of_org), {})
    if first is None:
        return 0
    counted = 0
    for start in range(first, last + 1, AUDIENCE_COUNTED_AT_ONCE):
        part = _customer.id.between(start, start + AUDIENCE_COUNTED_AT_ONCE - 1)
        with database.reading() as tx:
            ((count,),) = tx.rows(select(func.count()).where(of_org, part, *conditions(org_id, segment)), {})
        counted += count
    return counted


def conditions(org_id: int, segment: Segment | None) -> Sequence[ColumnElement[bool]]:
    """Which customers are meant: those there are, and of them those of the segment."""
    found: list[ColumnElement[bool]] = [_customer.merged_into_id.is_(None), _customer.deleted_ms.is_(None)]
    if segment is None:
        return found
    if segment.loyalty_type is not None:
        found.append(_customer.is_loyalty == (segment.loyalty_type == "loyalty"))
    for column, least, most in (
        (_customer.registered_ms, segment.registered_from, segment.registered_to),
        (_customer.transaction_count, segment.min_transactions, segment.max_transactions),
    ):
        found += [] if least is None else [column >= least]
        found += [] if most is None else [column <= most]
    if segment.status_labels:
        found.append(_customer.status_label.in_(segment.status_labels))
    if segment.store_ids:
        till = t.till.c
        there = (till.org_id == org_id, till.id == _customer.registered_till_id, till.store_id.in_(segment.store_ids))
        found.append(exists().where(*there))
    if segment.redeemed_series_ids:
        found.append(_redeemed(org_id, segment.redeemed_series_ids))
    if segment.not_redeemed_series_ids:
        found.append(~_redeemed(org_id, segment.not_redeemed_series_ids))
    return found


def _redeemed(org_id: int, series_ids: Sequence[int]) -> ColumnElement[bool]:
    standing = t.customer_series.c
    theirs: tuple[Any, ...] = (standing.org_id == org_id, standing.customer_id == _customer.id)
    return exists().where(*theirs, standing.series_id.in_(series_ids), standing.redeemed > 0)
