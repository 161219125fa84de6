"""What somebody knows by an id only: tills, for whoever shows who did something, and whether there is a coupon."""

from collections.abc import Collection, Mapping

from msgspec import Struct
from sqlalchemy import BigInteger, select

from couponry.store import schema as t
from couponry.store.engine import ReadTransaction


class NamedTill(Struct, frozen=True, gc=False):
    """What a till is called."""

    id: int
    code: str
    name: str


def named_tills(tx: ReadTransaction, org_id: int, till_ids: Collection[int]) -> Mapping[int, NamedTill]:
    """Those that are there; one statement."""
    keys = tx.dialect.keys("ids", BigInteger())
    found = select(t.till.c.id, t.till.c.code, t.till.c.name).select_from(keys.probing(t.till, "id"))
    rows = tx.rows(found, {"org": org_id, **keys.bound([(till_id,) for till_id in sorted(till_ids)])})
    return {row.id: NamedTill(row.id, row.code, row.name) for row in rows}


def has_coupon(tx: ReadTransaction, org_id: int, coupon_id: int) -> bool:
    """Whether there is a coupon of this id; one statement."""
    return bool(tx.rows(select(t.coupon.c.id).where(t.coupon.c.org_id == org_id, t.coupon.c.id == coupon_id), {}))
