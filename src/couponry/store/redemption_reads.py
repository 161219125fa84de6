"""Redemptions as v1.1 clients read them (v1.1-coupon 4, 7, 8). Reversed ones are told by `coupon_reads` only.

A customer's redemptions are found by the customer's index and ordered then: a customer has few.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import BigInteger, Integer, Select, select

from couponry.core.limits import REDEMPTIONS_LISTED_MAX
from couponry.core.model import Customer
from couponry.store import schema as t
from couponry.store.engine import ReadTransaction
from couponry.store.rows import CUSTOMER_COLUMNS, customer_from_row

_BY_CUSTOMER: Final = "uq_redemption_customer_use"


class Use(Struct, frozen=True, gc=False):
    """An active redemption, with its coupon, its till and its store by what clients call them."""

    id: int
    coupon_id: int
    series_id: int
    customer_id: int
    redeemed_ms: int
    transaction_number: str
    bill_id: int | None
    code: str
    till_code: str
    store_code: str
    store_name: str


class UseListing(Struct, frozen=True):
    """Which of a customer's redemptions: ids from `first_id` to `last_id`, made in `times` (the second is no longer part of
    them), at one store; by time, or by id.
    """

    limit: int
    times: tuple[int, int] | None = None
    first_id: int | None = None
    last_id: int | None = None
    store_id: int | None = None
    is_by_id: bool = False
    is_ascending: bool = False


def list_uses(tx: ReadTransaction, org_id: int, customer_id: int, asked: UseListing) -> list[Use]:
    """A customer's active redemptions. One statement."""
    done = t.redemption.c
    found = _of_customer(tx, asked.times)
    if asked.first_id is not None:
        found = found.where(done.id >= asked.first_id)
    if asked.last_id is not None:
        found = found.where(done.id <= asked.last_id)
    if asked.store_id is not None:
        found = found.where(done.store_id == asked.store_id)
    order = (done.id,) if asked.is_by_id else (done.redeemed_ms, done.id)
    ordered = found.order_by(*(column if asked.is_ascending else column.desc() for column in order)).limit(asked.limit)
    return [Use(*row) for row in tx.rows(ordered, _bound(tx, org_id, "ids", [(customer_id,)]))]


def redeemed_between(tx: ReadTransaction, org_id: int, customer_id: int, first_ms: int, end_ms: int) -> frozenset[int]:
    """The coupons that a customer redeemed then."""
    found = _of_customer(tx, (first_ms, end_ms)).with_only_columns(t.redemption.c.coupon_id, maintain_column_froms=True)
    return frozenset(row[0] for row in tx.rows(found, _bound(tx, org_id, "ids", [(customer_id,)])))


def latest_uses(tx: ReadTransaction, org_id: int, coupons: Collection[tuple[int, int]]) -> dict[int, Use]:
    """The latest active redemption of each coupon, by coupon id; of (id, uses ever made) only the last uses are looked at."""
    keys, done = tx.dialect.keys("uses", BigInteger(), Integer()), t.redemption.c
    coupon = keys.columns[0]
    source = keys.probing(t.redemption, "coupon_id", index="uq_redemption_use")
    found = _uses(source).where(done.use_number > keys.columns[1], done.reversed_ms.is_(None), done.coupon_id == coupon)
    wanted = [(coupon_id, max(0, uses - REDEMPTIONS_LISTED_MAX)) for coupon_id, uses in coupons if uses]
    if not wanted:
        return {}
    rows = tx.rows(found.order_by(done.use_number), {"org": org_id, **keys.bound(wanted)})
    return {row.coupon_id: Use(*row) for row in rows}


def customers_by_id(tx: ReadTransaction, org_id: int, ids: Collection[int]) -> dict[int, Customer]:
    """Whoever coupons and redemptions belong to, gone or not. One statement."""
    keys = tx.dialect.keys("ids", BigInteger())
    found = select(*CUSTOMER_COLUMNS).select_from(keys.probing(t.customer, "id"))
    rows = tx.rows(found, {"org": org_id, **keys.bound([(one,) for one in sorted(ids)])})
    return {customer.id: customer for customer in map(customer_from_row, rows)}


def _of_customer(tx: ReadTransaction, times: tuple[int, int] | None) -> Select[Any]:
    done = t.redemption.c
    found = _uses(tx.dialect.keys("ids", BigInteger()).probing(t.redemption, "customer_id", index=_BY_CUSTOMER))
    found = found.where(done.reversed_ms.is_(None))
    return found.where(done.redeemed_ms >= times[0], done.redeemed_ms < times[1]) if times else found


def _uses(source: Any) -> Select[Any]:  # noqa: ANN401 - keys joined to redemptions
    """The columns of `Use`."""
    done = t.redemption.c
    for table, named in ((t.coupon, done.coupon_id), (t.till, done.till_id), (t.store, done.store_id)):
        source = source.join(table, (table.c.org_id == done.org_id) & (table.c.id == named))
    own = (done.id, done.coupon_id, done.series_id, done.customer_id, done.redeemed_ms, done.transaction_number, done.bill_id)
    return select(*own, t.coupon.c.code, t.till.c.code, t.store.c.code, t.store.c.name).select_from(source)


def _bound(tx: ReadTransaction, org_id: int, name: str, keys: Sequence[tuple[int, ...]]) -> dict[str, object]:
    return {"org": org_id, **tx.dialect.keys(name, BigInteger()).bound(keys)}
