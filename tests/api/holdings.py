"""Ids of what a shop holds, and a past that no endpoint makes."""

from typing import Any

from sqlalchemy import Table, select, update

from couponry.core.codes import code_key
from couponry.store import schema as t
from tests.api.shop import Shop


def coupon_id(shop: Shop, code: str) -> int:
    """The id of the coupon that was last made with this code."""
    return _newest(shop, t.coupon, code_key=code_key(code))


def series_id(shop: Shop, code: str) -> int:
    return _newest(shop, t.series, code_key=code_key(code))


def customer_id(shop: Shop, mobile: str) -> int:
    return _newest(shop, t.customer, mobile=mobile)


def give(shop: Shop, code: str, **columns: Any) -> None:
    """Say at which till a coupon was issued, unless told otherwise."""
    shop.change(t.coupon, coupon_id(shop, code), **{"issued_till_id": shop.till_id, **columns})


def reverse(shop: Shop, redemption_id: int, at_ms: int) -> None:
    """Take a redemption back, with the counts of its coupon and its customer."""
    shop.change(t.redemption, redemption_id, reversed_ms=at_ms, reversed_till_id=shop.till_id)
    done = t.redemption.c
    with shop.database.writing() as tx:
        (row,) = tx.rows(select(t.redemption).where(done.org_id == shop.org_id, done.id == redemption_id), {})
        fewer = {"redeemed": t.coupon.c.redeemed - 1}
        tx.connection.execute(update(t.coupon).where(t.coupon.c.id == row.coupon_id).values(fewer))
        standing = t.customer_series.c
        same = (standing.customer_id == row.customer_id) & (standing.series_id == row.series_id)
        tx.connection.execute(update(t.customer_series).where(same).values(redeemed=standing.redeemed - 1))


def _newest(shop: Shop, table: Table, **values: Any) -> int:
    same = [table.c[name] == value for name, value in values.items()]
    with shop.database.reading() as tx:
        found = tx.rows(select(table.c.id).where(table.c.org_id == shop.org_id, *same).order_by(table.c.id), {})
    newest: int = found[-1].id
    return newest
