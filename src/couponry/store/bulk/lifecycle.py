"""Revoke, and change expiries, by the thousand: coupons of one series, found by id or by whose they are.

What is found is looked at again under its lock, so that a redemption that came first keeps its coupon, and one that comes later
finds it revoked. Locks are the ledger's, in the ledger's order (`store.load`): coupons, then the customers' counters.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import BigInteger, Integer, tuple_

from couponry.core.bulk_lifecycle import changes, is_meant
from couponry.core.figures import Tally
from couponry.core.job_requests import Which
from couponry.core.lifecycle import counts_as_issued
from couponry.core.model import Coupon
from couponry.core.registration import ATTRIBUTES
from couponry.core.rules import lifecycle as rules
from couponry.core.series import Series
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store import serials
from couponry.store.bulk.inserts import insert_many
from couponry.store.counting import Counting, zone_of
from couponry.store.dialect import Dialect
from couponry.store.engine import ReadTransaction, Stage, WriteTransaction
from couponry.store.rows import COUPON_COLUMNS, coupon_from_row
from couponry.store.selects import Keyed, Selects
from couponry.store.statements import org_parameter

_COLUMNS: Final = {**ATTRIBUTES, "id": "id"}
_EVENT: Final = ("id", "event", "subject_id", "customer_id", "request_id", "created_ms")


Place = tuple[int, int]
"""When a coupon was issued, and its id."""
START: Final[Place] = (0, 0)


class Lot(NamedTuple):
    """The coupons that a job is about."""

    org_id: int
    series: Series
    which: Which


class Occasion(NamedTuple):
    """When something is done, and the request that it is told of under."""

    now_ms: int
    request_id: str


class BulkLifecycle:
    """The statements of one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._selects = Selects(dialect)
        self._of_series = self._in_series(is_unissued=False)
        self._of_pool = self._in_series(is_unissued=True)
        self._of_customers = self._in_hand()
        self._customers: dict[str, Keyed] = {}
        self._revocations = dialect.update(t.coupon, key=("id",), added=(), assigned=("revoked_ms", "revision"))
        self._expiries = dialect.update(t.coupon, key=("id",), added=(), assigned=("expires_local",))
        self._standings = dialect.update(t.customer_series, key=("customer_id", "series_id"), added=("issued",), assigned=())
        self._counting = Counting(dialect)

    def series(self, tx: ReadTransaction, org_id: int, series_id: int, now_ms: int) -> Series | Code:
        """The series by its current terms, or why no coupon of it may be touched: 755, 788, 712. Two statements."""
        series, is_halted = self._selects.series_now(tx, org_id, series_id, now_ms) or (None, None)
        known = {} if is_halted is None else {series_id: series}
        halted = {series_id} if is_halted else set()
        return rules.series_refusal(series_id, known, halted, now_ms) or series or Code.SERIES_UNREADABLE

    def walk(self, tx: ReadTransaction, lot: Lot, after_id: int, most: int) -> list[Coupon]:
        """The next coupons of the series by id; of those never issued, where only these are meant."""
        found = self._of_pool if lot.which == "unissued" else self._of_series
        rows = found.first_rows(tx, lot.org_id, [(lot.series.id, after_id, most)])
        return [coupon_from_row(row) for row in rows]

    def held(self, tx: ReadTransaction, lot: Lot, customers: Mapping[int, Place], most: int) -> dict[int, list[Coupon]]:
        """The next coupons of the series that each customer has, in the order of their issue, after a place given for each."""
        keys = [(lot.series.id, customer_id, *place, most) for customer_id, place in sorted(customers.items())]
        found: dict[int, list[Coupon]] = {}
        for coupon in map(coupon_from_row, self._of_customers.first_rows(tx, lot.org_id, keys)):
            found.setdefault(coupon.customer_id or 0, []).append(coupon)
        return {customer_id: sorted(coupons, key=place_of) for customer_id, coupons in found.items()}

    def customers(self, tx: ReadTransaction, org_id: int, kind: str, values: Collection[str]) -> dict[str, int]:
        """The customers whom these normal identifiers of one kind mean, but for those merged away or deleted."""
        keyed = self._customers.get(kind)
        if keyed is None:
            keyed = self._customers[kind] = self._known_by(kind)
        wanted = sorted((int(value),) if kind == "id" else (value,) for value in values)
        return {str(row[-1]): row[0] for row in keyed.rows(tx, org_id, wanted)}

    def revoke(self, tx: WriteTransaction, lot: Lot, ids: Sequence[int], occasion: Occasion) -> int:
        """Revoke those of these coupons that are meant still. How many there were."""
        coupons = self._locked(tx, lot, ids, lambda coupon: is_meant(coupon, lot.series, lot.which))
        held = Counter(coupon.customer_id for coupon in coupons if counts_as_issued(coupon))
        pairs = [(customer_id, lot.series.id) for customer_id in sorted(filter(None, held))]
        tx.stage = Stage.COUNTERS
        if self._dialect.locks_rows:
            self._selects.locked_standings.rows(tx, lot.org_id, pairs)
        tx.stage = Stage.COUPONS
        tx.write(self._revocations, lot.org_id, [(occasion.now_ms, coupon.id, coupon.id) for coupon in coupons])
        tx.stage = Stage.COUNTERS
        tx.write(self._standings, lot.org_id, [(-held[customer_id], customer_id, series_id) for customer_id, series_id in pairs])
        _tell(tx, lot.org_id, "CouponRevoke", coupons, occasion)
        if had := sum(coupon.issued_ms is not None for coupon in coupons):
            tally = Tally(zone_of(tx, lot.org_id))
            tally.count("revoked", occasion.now_ms, lot.series.id, None, had)
            self._counting.add(tx, lot.org_id, tally)
        return len(coupons)

    def redate(self, tx: WriteTransaction, lot: Lot, ids: Sequence[int], expires_local: str, occasion: Occasion) -> int:
        """Give this expiry to those of these coupons that are meant still, and have another. How many there were."""

        def is_redated(coupon: Coupon) -> bool:
            is_another = changes(coupon, lot.series, expires_local, occasion.now_ms)
            return is_another and is_meant(coupon, lot.series, lot.which)

        coupons = self._locked(tx, lot, ids, is_redated)
        tx.write(self._expiries, lot.org_id, [(expires_local, coupon.id) for coupon in coupons])
        _tell(tx, lot.org_id, "CouponExpiryChange", coupons, occasion)
        return len(coupons)

    def _locked(self, tx: WriteTransaction, lot: Lot, ids: Sequence[int], is_wanted: Callable[[Coupon], bool]) -> list[Coupon]:
        """Lock coupons by id, and take those that are wanted as they are now."""
        tx.stage = Stage.COUPONS
        rows = self._selects.locked_coupons.rows(tx, lot.org_id, [(coupon_id,) for coupon_id in sorted(ids)])
        return [coupon for coupon in map(coupon_from_row, rows) if is_wanted(coupon)]

    def _in_series(self, *, is_unissued: bool) -> Keyed:
        """The coupons of a series after an id; up to a number."""
        keys, coupon = self._dialect.keys("places", BigInteger(), BigInteger(), Integer()), t.coupon.c
        series_id, after_id, most = keys.columns
        wanted = (coupon.org_id == org_parameter()) & (coupon.series_id == series_id) & (coupon.id > after_id)
        index = "ix_coupon_series"
        if is_unissued:
            wanted, index = wanted & coupon.issued_ms.is_(None) & coupon.revoked_ms.is_(None), "ix_coupon_pool"
        return Keyed(self._dialect, self._dialect.first_of_each(keys, COUPON_COLUMNS, wanted, most, index=index), keys)

    def _known_by(self, kind: str) -> Keyed:
        """Each by itself: a planner without statistics would go through the org's customers for all."""
        column = t.customer.c[_COLUMNS[kind]]
        keys, is_id = self._dialect.keys("names", column.type), kind == "id"
        is_there = t.customer.c.merged_into_id.is_(None) & t.customer.c.deleted_ms.is_(None)
        wanted = (t.customer.c.org_id == org_parameter()) & (column == keys.columns[0]) & is_there
        index = "" if is_id else f"uq_customer_{column.name}"
        columns = dict.fromkeys((t.customer.c.id, column))
        return Keyed(self._dialect, self._dialect.first_of_each(keys, tuple(columns), wanted, 1, index=index), keys)

    def _in_hand(self) -> Keyed:
        """The coupons of a series in customers' hands, after a place; up to a number for each.

        By their issue, as the index has them: by id, a planner without statistics would go through the series for each customer.
        """
        keys, coupon = self._dialect.keys("holders", *(BigInteger() for _ in range(4)), Integer()), t.coupon.c
        series_id, customer_id, after_ms, after_id, most = keys.columns
        of_whom = (coupon.org_id == org_parameter()) & (coupon.customer_id == customer_id) & (coupon.series_id == series_id)
        order = (coupon.issued_ms, coupon.id)
        wanted = of_whom & (tuple_(*order) > tuple_(after_ms, after_id))
        found = self._dialect.first_of_each(keys, COUPON_COLUMNS, wanted, most, index="ix_coupon_customer", order=order)
        return Keyed(self._dialect, found, keys)


def place_of(coupon: Coupon) -> Place:
    """Where a coupon stands among those of its customer."""
    return coupon.issued_ms or 0, coupon.id


def _tell(tx: WriteTransaction, org_id: int, event: str, coupons: Sequence[Coupon], occasion: Occasion) -> None:
    """One event for each coupon, as the ledger's verbs write them."""
    if not coupons:
        return
    tx.stage = Stage.OUTBOX
    first = serials.reserve(tx, org_id, serials.OUTBOX, len(coupons))
    rows = [
        (event_id, event, coupon.id, coupon.customer_id, occasion.request_id, occasion.now_ms)
        for event_id, coupon in enumerate(coupons, first)
    ]
    insert_many(tx, t.outbox, _EVENT, org_id, rows)
