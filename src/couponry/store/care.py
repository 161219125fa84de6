"""One customer and one coupon as an agent looks at them: page by page, each in a number of statements that is always the same.

A customer's coupons and redemptions are listed in the order of their index: series by series, the newest series first, and in
each the newest first. Whoever has no more than a page sees all of it, which can then be put in any order.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import BigInteger, Select, String, func, literal, select, tuple_, union_all

from couponry.core import care
from couponry.core.care import CouponState
from couponry.core.deliveries import Delivery
from couponry.core.limits import CONSOLE_PAGE_ROWS, COUPONS_WALKED_MAX, GOODWILL_SERIES_WALKED_MAX, MONEY_SCALE
from couponry.core.model import Coupon, Customer, Org, Place, Standing
from couponry.core.series import Scope, Series
from couponry.core.terms_words import Names
from couponry.store import schema as t
from couponry.store.engine import ReadTransaction
from couponry.store.places import sites
from couponry.store.redemption_reads import customers_by_id
from couponry.store.rows import COUPON_COLUMNS, coupon_from_row, series_from_text
from couponry.store.timeline import messages_about

_NOWHERE: Final[Mapping[str, list[int]]] = MappingProxyType({})
_NAMED: Final = {"TILL": t.till, "STORE": t.store, "ZONE": t.zone, "CONCEPT": t.concept}


class Head(Struct, frozen=True):
    """What a coupon's series is now. `series` is None where its terms cannot be used (788); `halted_by` names its campaign."""

    id: int
    code: str
    series: Series | None
    halted_by: str


class HeldCoupon(Struct, frozen=True):
    """A coupon in a list."""

    coupon: Coupon
    head: Head
    state: CouponState
    expires_ms: int | None


class CouponFile(Struct, frozen=True):
    """All facts of one coupon. `uses_left` is -1 when nothing limits it; `names` are those of the places that its terms name."""

    coupon: Coupon
    created_ms: int
    revoked_ms: int | None
    details: str | None
    issued_at: str
    head: Head
    customer: Customer | None
    state: CouponState
    uses_left: int
    expires_ms: int | None
    names: Names


class DoneUse(Struct, frozen=True):
    """A redemption in a customer's list."""

    id: int
    coupon_id: int
    code: str
    series_id: int
    series_code: str
    redeemed_ms: int
    transaction_number: str
    amount: Decimal | None
    store: str
    till: str
    reversed_ms: int | None
    reason: str


class Share(Struct, frozen=True):
    """What a customer has had of one series, beside what they may have."""

    head: Head
    standing: Standing


class Listed(Struct, frozen=True):
    """Rows of one kind, and the id before which to go on; None once there are no more."""

    rows: list[Any]
    next_id: int | None


def coupon_file(tx: ReadTransaction, org_id: int, coupon_id: int, now_ms: int) -> CouponFile | None:
    """One coupon; six statements, one for what there is not."""
    coupon = t.coupon.c
    by_till = (t.till.c.org_id == coupon.org_id) & (t.till.c.id == coupon.issued_till_id)
    in_store = (t.store.c.org_id == t.till.c.org_id) & (t.store.c.id == t.till.c.store_id)
    source = t.coupon.outerjoin(t.till, by_till).outerjoin(t.store, in_store)
    more = (coupon.created_ms, coupon.issue_details, t.till.c.code.label("till_code"), t.store.c.name.label("store_name"))
    found = select(*COUPON_COLUMNS, *more).select_from(source).where(coupon.org_id == org_id, coupon.id == coupon_id)
    for row in tx.rows(found, {}):
        one = coupon_from_row(row)
        head = heads(tx, org_id, [one.series_id], now_ms)[one.series_id]
        holder_id = one.customer_id or 0
        standing = _standings(tx, org_id, holder_id, [one.series_id]).get(one.series_id, Standing())
        by_customer = _uses_by(tx, org_id, one, holder_id)
        state = care.state_of(one, head.series, standing, now_ms, by_customer=by_customer)
        left = 0 if one.is_revoked or head.series is None else care.uses_left(one, head.series, standing, by_customer=by_customer)
        return CouponFile(
            one,
            row.created_ms,
            row.revoked_ms,
            row.issue_details,
            f"{row.store_name}, till {row.till_code}" if row.till_code else "",
            head,
            customers_by_id(tx, org_id, [holder_id]).get(holder_id),
            state,
            left,
            care.expires_ms(one, head.series) if head.series else None,
            names_in(tx, org_id, head.series),
        )
    return None


def coupons_of(
    tx: ReadTransaction, org_id: int, customer_id: int, now_ms: int, *, state: str = "", before_id: int | None = None
) -> Listed:
    """A customer's coupons in a state, or all: among so many that a page may look through. Four statements at most."""
    coupon = t.coupon.c
    of_customer = (coupon.org_id == org_id) & (coupon.customer_id == customer_id)
    order = (coupon.series_id, coupon.issued_ms, coupon.id)
    wanted = select(*COUPON_COLUMNS).where(of_customer)
    if before_id is not None:
        last = tx.rows(select(*order).where(of_customer, coupon.id == before_id), {})
        wanted = wanted.where(tuple_(*order) < tuple_(*last[0])) if last else wanted
    most = COUPONS_WALKED_MAX if state else CONSOLE_PAGE_ROWS + 1
    walked = [coupon_from_row(row) for row in tx.rows(wanted.order_by(*(one.desc() for one in order)).limit(most), {})]
    known = heads(tx, org_id, {one.series_id for one in walked}, now_ms)
    standings = _standings(tx, org_id, customer_id, known)
    rows: list[HeldCoupon] = []
    for one in walked:
        head = known[one.series_id]
        is_in = care.state_of(one, head.series, standings.get(one.series_id, Standing()), now_ms)
        if state and is_in != state:
            continue
        if len(rows) == CONSOLE_PAGE_ROWS:
            return Listed(rows, rows[-1].coupon.id)
        rows.append(HeldCoupon(one, head, is_in, care.expires_ms(one, head.series) if head.series else None))
    return Listed(rows, walked[-1].id if state and len(walked) == most else None)


def uses_of(tx: ReadTransaction, org_id: int, customer_id: int, *, before_id: int | None = None) -> Listed:
    """A customer's redemptions, reversed ones too. Two statements at most."""
    done = t.redemption.c
    of_customer = (done.org_id == org_id) & (done.customer_id == customer_id)
    order = (done.series_id, done.customer_use_number)
    source = t.redemption
    for table, named in (
        (t.coupon, done.coupon_id),
        (t.series, done.series_id),
        (t.till, done.till_id),
        (t.store, done.store_id),
    ):
        source = source.outerjoin(table, (table.c.org_id == done.org_id) & (table.c.id == named))  # type: ignore[assignment] # joins are FROM clauses
    named_by = (t.coupon.c.code, done.series_id, t.series.c.code_key)
    shop = (t.store.c.name.label("store_name"), t.till.c.code.label("till_code"))
    own = (done.redeemed_ms, done.transaction_number, done.amount, *shop, done.reversed_ms, done.reversal_reason)
    wanted = select(done.id, done.coupon_id, *named_by, *own).select_from(source).where(of_customer)
    if before_id is not None:
        last = tx.rows(select(*order).where(of_customer, done.id == before_id), {})
        wanted = wanted.where(tuple_(*order) < tuple_(*last[0])) if last else wanted
    rows = tx.rows(wanted.order_by(*(one.desc() for one in order)).limit(CONSOLE_PAGE_ROWS + 1), {})
    return _listed([_use(row) for row in rows])


def messages_of(tx: ReadTransaction, org_id: int, customer_id: int, *, before_id: int | None = None) -> Listed:
    """What a customer was sent about their coupons of the newest series, newest first. Two statements."""
    coupon = t.coupon.c
    order = (coupon.series_id.desc(), coupon.issued_ms.desc(), coupon.id.desc())
    held = select(coupon.id).where(coupon.org_id == org_id, coupon.customer_id == customer_id)
    ids = [row.id for row in tx.rows(held.order_by(*order).limit(COUPONS_WALKED_MAX), {})]
    rows: list[Delivery] = messages_about(tx, org_id, ids, limit=CONSOLE_PAGE_ROWS + 1, before_id=before_id)
    return _listed(rows)


def shares_of(tx: ReadTransaction, org_id: int, customer_id: int, now_ms: int, *, before_id: int | None = None) -> Listed:
    """What a customer has had of each series, newest series first. Two statements."""
    row = t.customer_series.c
    wanted = select(row.series_id, row.redeemed, row.uses, row.last_redeemed_ms, row.issued, row.last_issued_ms)
    wanted = wanted.where(row.org_id == org_id, row.customer_id == customer_id)
    if before_id is not None:
        wanted = wanted.where(row.series_id < before_id)
    rows = tx.rows(wanted.order_by(row.series_id.desc()).limit(CONSOLE_PAGE_ROWS + 1), {})
    known = heads(tx, org_id, [each.series_id for each in rows], now_ms)
    shares = [
        Share(known[series_id], Standing(redeemed, uses, last_ms, is_stored=True, issued=issued, last_issued_ms=last_issued_ms))
        for series_id, redeemed, uses, last_ms, issued, last_issued_ms in rows
    ]
    is_more = len(shares) > CONSOLE_PAGE_ROWS
    return Listed(shares[:CONSOLE_PAGE_ROWS], shares[CONSOLE_PAGE_ROWS - 1].head.id if is_more else None)


def heads(tx: ReadTransaction, org_id: int, series_ids: Iterable[int], now_ms: int) -> dict[int, Head]:
    """What these series are now. One statement."""
    keys, series, version, campaign = tx.dialect.keys("ids", BigInteger()), t.series.c, t.series_version.c, t.campaign.c
    is_current = (version.org_id == series.org_id) & (version.series_id == series.id) & (version.version == series.version)
    in_campaign = (campaign.org_id == series.org_id) & (campaign.id == series.campaign_id)
    source = keys.probing(t.series, "id").join(t.series_version, is_current).outerjoin(t.campaign, in_campaign)
    of_campaign = (campaign.name, campaign.state, campaign.ends_ms)
    found = select(series.id, series.code_key, series.version, version.terms, *of_campaign).select_from(source)
    rows = tx.rows(found, {"org": org_id, **keys.bound([(one,) for one in sorted(set(series_ids))])})
    return {row.id: _head(row, now_ms) for row in rows}


def goodwill_series(tx: ReadTransaction, org_id: int, now_ms: int) -> list[Head]:
    """Live series of the type GOODWILL, newest first, among the newest that there are. Two statements."""
    series, version = t.series.c, t.series_version.c
    newest = select(series.id, series.version).where(series.org_id == org_id)
    newest_ones = newest.order_by(series.id.desc()).limit(GOODWILL_SERIES_WALKED_MAX).subquery("newest")
    is_current = (version.org_id == org_id) & (version.series_id == newest_ones.c.id) & (version.version == newest_ones.c.version)
    is_goodwill = version.terms.contains('"seriesType":"GOODWILL"')
    suited = select(newest_ones.c.id).select_from(newest_ones.join(t.series_version, is_current)).where(is_goodwill)
    ids = [row.id for row in tx.rows(suited.order_by(newest_ones.c.id.desc()).limit(CONSOLE_PAGE_ROWS), {})]
    found = heads(tx, org_id, ids, now_ms)
    return [
        head
        for head in (found[series_id] for series_id in ids)
        if head.series and not head.halted_by and not head.series.terms.external_issual and now_ms <= head.series.expires_ms
    ]


def names_in(tx: ReadTransaction, org_id: int, series: Series | None, more: Mapping[str, list[int]] = _NOWHERE) -> Names:
    """What the places are called that a series may be redeemed at, so many of each kind as a page shows. One statement."""
    scope = series.scope if series else Scope()
    listed = {"TILL": scope.tills, "STORE": scope.stores, "ZONE": scope.zones, "CONCEPT": scope.concepts}
    arms: list[Select[Any]] = []
    bound: dict[str, object] = {"org": org_id}
    for kind, table in _NAMED.items():
        keys = tx.dialect.keys(f"k_{kind.lower()}", BigInteger())
        wanted = {*sorted(listed[kind])[:CONSOLE_PAGE_ROWS], *more.get(kind, ())}
        bound |= keys.bound([(each,) for each in sorted(wanted)])
        arms.append(select(literal(kind, String).label("kind"), table.c.id, table.c.name).select_from(keys.probing(table, "id")))
    return {(row.kind, row.id): row.name for row in tx.rows(union_all(*arms), bound)}


def desk(tx: ReadTransaction, org: Org) -> Place | None:
    """The till that actions in the console are recorded for: the org's first active one; None when it has none."""
    till, store = t.till.c, t.store.c
    in_store = (store.org_id == till.org_id) & (store.id == till.store_id)
    first = select(till.id, till.store_id).join_from(t.till, t.store, in_store)
    first = first.where(till.org_id == org.id, till.is_active, store.is_active).order_by(till.id).limit(1)
    for till_id, store_id in tx.rows(first, {}):
        return sites(tx, org, [store_id])[store_id].place(till_id)
    return None


def _head(row: Any, now_ms: int) -> Head:  # noqa: ANN401 - a row of `heads`
    is_over = row.ends_ms is not None and row.ends_ms < now_ms
    is_halted = row.state is not None and (row.state != "ACTIVE" or is_over)
    return Head(row.id, row.code_key, series_from_text(row.id, row.version, row.terms), row.name if is_halted else "")


def _uses_by(tx: ReadTransaction, org_id: int, coupon: Coupon, customer_id: int) -> int:
    """How often a customer has redeemed a coupon: among its own uses, or, of a code with very many, among the customer's."""
    done, keys = t.redemption.c, tx.dialect.keys("triples", BigInteger(), BigInteger(), BigInteger())
    is_crowded = coupon.uses > COUPONS_WALKED_MAX
    index = "uq_redemption_customer_use" if is_crowded else "uq_redemption_use"
    source = keys.probing(t.redemption, "coupon_id", "customer_id", "series_id", index=index)
    found = select(func.count()).select_from(source).where(done.reversed_ms.is_(None))
    return int(tx.rows(found, {"org": org_id, **keys.bound([(coupon.id, customer_id, coupon.series_id)])})[0][0])


def _standings(tx: ReadTransaction, org_id: int, customer_id: int, series_ids: Collection[int]) -> dict[int, Standing]:
    keys, row = tx.dialect.keys("pairs", BigInteger(), BigInteger()), t.customer_series.c
    found = select(row.series_id, row.redeemed).select_from(keys.probing(t.customer_series, "customer_id", "series_id"))
    pairs = [(customer_id, series_id) for series_id in sorted(series_ids)]
    return {series_id: Standing(redeemed=many) for series_id, many in tx.rows(found, {"org": org_id, **keys.bound(pairs)})}


def _use(row: Any) -> DoneUse:  # noqa: ANN401 - a row of `uses_of`
    return DoneUse(
        row.id,
        row.coupon_id,
        row.code,
        row.series_id,
        row.code_key,
        row.redeemed_ms,
        row.transaction_number,
        None if row.amount is None else Decimal(row.amount) / MONEY_SCALE,
        row.store_name or "",
        row.till_code or "",
        row.reversed_ms,
        row.reversal_reason or "",
    )


def _listed(rows: Sequence[Any]) -> Listed:
    is_more = len(rows) > CONSOLE_PAGE_ROWS
    return Listed(list(rows[:CONSOLE_PAGE_ROWS]), rows[CONSOLE_PAGE_ROWS - 1].id if is_more else None)
