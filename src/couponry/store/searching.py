"""What a search box's text leads to: customers, coupons and bills of one org, each kind by its index.

How many statements it takes depends on the text alone, never on what there is: an id of another org costs what an unknown
one does.
"""

from decimal import Decimal
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import FromClause, Select, func, literal, literal_column, or_, select, true, union_all

from couponry.core.limits import HITS_MAX, MONEY_SCALE, TILLS_FOUND_MAX
from couponry.core.model import Customer
from couponry.core.searching import Sought
from couponry.store import schema as t
from couponry.store.engine import ReadTransaction
from couponry.store.rows import CUSTOMER_COLUMNS, customer_from_row
from couponry.store.selects import IDENTIFIERS
from couponry.store.statements import Probe, Row

_HAS_BILL: Final = t.redemption.c.transaction_number != literal_column("''")  # spelt out, or the partial index is not used


class FoundCoupon(Struct, frozen=True, gc=False):
    """A coupon; of a code that many share, the code itself."""

    id: int
    code: str
    series_id: int
    series_code: str
    customer_id: int | None
    issued_ms: int | None
    is_revoked: bool


class FoundBill(Struct, frozen=True, gc=False):
    """One coupon that was redeemed for a bill."""

    redemption_id: int
    coupon_id: int
    code: str
    transaction_number: str
    redeemed_ms: int
    is_reversed: bool
    amount: Decimal | None
    store_name: str


class FoundTill(Struct, frozen=True, gc=False):
    """A till by what people call it."""

    code: str
    name: str
    store_code: str
    store_name: str
    is_active: bool


class Hits(Struct, frozen=True):
    """What was found, by kind; of each kind only so many (`HITS_MAX`)."""

    customers: list[Customer]
    coupons: list[FoundCoupon]
    bills: list[FoundBill]

    @property
    def paths(self) -> list[str]:
        """The pages that they lead to, each once."""
        found = [f"/care/customers/{one.id}" for one in self.customers]
        found += [f"/care/coupons/{coupon_id}" for coupon_id in self.coupon_ids]
        return list(dict.fromkeys(found))

    @property
    def coupon_ids(self) -> list[int]:
        """The coupons found, also by their bills."""
        return [*(one.id for one in self.coupons), *(one.coupon_id for one in self.bills)]


def find(tx: ReadTransaction, org_id: int, what: Sought) -> Hits:
    """All that a text may mean; at most three statements."""
    return Hits(_customers(tx, org_id, what), _coupons(tx, org_id, what), _bills(tx, org_id, what))


def tills_named(tx: ReadTransaction, org_id: int, text: str) -> list[FoundTill]:
    """Tills whose code or name, or whose store's, has this text; the one of exactly this code first. An org has few tills."""
    till, store, like = t.till.c, t.store.c, text.lower()
    in_store = (store.org_id == till.org_id) & (store.id == till.store_id)
    is_active = (till.is_active & store.is_active).label("is_active")
    named = (till.code, till.name, store.code, store.name)
    is_named = or_(*(func.lower(column).contains(like, autoescape=True) for column in named))
    found = select(*named, is_active).join_from(t.till, t.store, in_store).where(till.org_id == org_id, is_named)
    rows = tx.rows(found.order_by(till.code != text, till.id).limit(TILLS_FOUND_MAX), {})
    return [FoundTill(code, name, store_code, store_name, bool(active)) for code, name, store_code, store_name, active in rows]


def _customers(tx: ReadTransaction, org_id: int, what: Sought) -> list[Customer]:
    if not what.identifiers:
        return []
    arms = [
        select(literal(at).label("at"), *CUSTOMER_COLUMNS).where(
            t.customer.c.org_id == org_id, IDENTIFIERS[kind] == (int(value) if kind == "id" else value)
        )
        for at, (kind, value) in enumerate(what.identifiers)
    ]
    rows = sorted(tx.rows(union_all(*arms), {}), key=lambda row: int(row[0]))
    return list({row[1]: customer_from_row(row[1:]) for row in rows}.values())


def _coupons(tx: ReadTransaction, org_id: int, what: Sought) -> list[FoundCoupon]:
    """By code those that have, or had, it; not everybody's own records of a shared one, which their holders lead to."""
    coupon = t.coupon.c
    arms: list[Select[Any]] = []
    if what.code_key is not None:
        coded = _found_coupons(org_id).where(coupon.code_key == what.code_key, coupon.holder_id == 0)
        arms.append(select(coded.order_by(coupon.revision.desc()).limit(HITS_MAX).subquery("coded")))
    if what.coupon_id is not None:
        arms.append(select(_found_coupons(org_id).where(coupon.id == what.coupon_id).subquery("named")))
    if not arms:
        return []
    rows = {row.id: row for row in tx.rows(union_all(*arms), {})}
    found = [_coupon(row) for row in rows.values()]
    return sorted(found, key=lambda one: (one.is_revoked, -one.id))[:HITS_MAX]


def _coupon(row: Any) -> FoundCoupon:  # noqa: ANN401 - a row of `_found_coupons`
    coupon_id, code, series_id, series_code, customer_id, issued_ms, revoked_ms = row
    return FoundCoupon(coupon_id, code, series_id, series_code or "", customer_id, issued_ms, revoked_ms is not None)


def _found_coupons(org_id: int) -> Select[Any]:
    coupon, series = t.coupon.c, t.series.c
    in_series = (series.org_id == coupon.org_id) & (series.id == coupon.series_id)
    columns = (coupon.id, coupon.code, coupon.series_id, series.code_key.label("series_code"), coupon.customer_id)
    found = select(*columns, coupon.issued_ms, coupon.revoked_ms)
    return found.select_from(t.coupon.outerjoin(t.series, in_series)).where(coupon.org_id == org_id)


def _bills(tx: ReadTransaction, org_id: int, what: Sought) -> list[FoundBill]:
    """By the bill's number, or by a redemption's own id."""
    done = t.redemption.c
    arms: list[Select[Any]] = []
    if what.transaction_number is not None:
        numbered = _redemptions(org_id, _by_bill()).where(_HAS_BILL, done.transaction_number == what.transaction_number)
        arms.append(select(numbered.order_by(done.id.desc()).limit(HITS_MAX).subquery("numbered")))
    if what.redemption_id is not None:
        arms.append(select(_redemptions(org_id, t.redemption).where(done.id == what.redemption_id).subquery("named")))
    if not arms:
        return []
    rows = tx.read(tx.dialect.read(union_all(*arms)), {})  # on the driver: SQLAlchemy takes a table alone for a cartesian product
    return [_bill(row) for row in sorted(set(rows), reverse=True)][:HITS_MAX]


def _by_bill() -> Probe:
    """Redemptions by their bills' index: to have them in order, SQLite would rather walk through all of an org's."""
    probe = Probe(select(literal_column("1")).subquery("one"), t.redemption, true())
    probe.index, probe.is_alone = "ix_redemption_bill", True
    return probe


def _redemptions(org_id: int, source: FromClause) -> Select[Any]:
    done = t.redemption.c
    of_coupon = (t.coupon.c.org_id == done.org_id) & (t.coupon.c.id == done.coupon_id)
    at_store = (t.store.c.org_id == done.org_id) & (t.store.c.id == done.store_id)
    own = (done.id, done.coupon_id, t.coupon.c.code, done.transaction_number, done.redeemed_ms, done.reversed_ms, done.amount)
    joined = source.outerjoin(t.coupon, of_coupon).outerjoin(t.store, at_store)
    return select(*own, t.store.c.name).select_from(joined).where(done.org_id == org_id)


def _bill(row: Row) -> FoundBill:
    redemption_id, coupon_id, code, number, redeemed_ms, reversed_ms, amount, store_name = row
    money = None if amount is None else Decimal(amount) / MONEY_SCALE
    return FoundBill(redemption_id, coupon_id, code, number, redeemed_ms, reversed_ms is not None, money, store_name or "")
