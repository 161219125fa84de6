"""Revoke, and change expiries, by the thousand: coupons of one series, found by id or by whose they are.

What is found is looked at again under its lock, so that a redemption that came first keeps its coupon, and one that comes later
finds it revoked. Locks are the ledger's, in the ledger's order (`store.load`): coupons, then the customers' counters.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import BigInteger, Integer

from couponry.core.bulk_lifecycle import changes, is_meant
from couponry.core.job_requests import Which
from couponry.core.lifecycle import counts_as_issued
from couponry.core.model import Coupon
from couponry.core.rules import lifecycle as rules
from couponry.core.series import Series
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store import serials
from couponry.store.bulk.inserts import insert_many
from couponry.store.dialect import Dialect
from couponry.store.engine import ReadTransaction, Stage, WriteTransaction
from couponry.store.rows import COUPON_COLUMNS, coupon_from_row, customer_from_row, series_from_text
from couponry.store.selects import Keyed, Selects
from couponry.store.statements import org_parameter

_EVENT: Final = ("id", "event", "subject_id", "customer_id", "request_id", "created_ms")


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
        self._of_series = self._found(("series_id",), "ix_coupon_series")
        self._of_pool = self._found(("series_id",), "ix_coupon_pool", is_unissued=True)
        self._of_customers = self._found(("series_id", "customer_id"), "ix_coupon_customer")
        self._revocations = dialect.update(t.coupon, key=("id",), added=(), assigned=("revoked_ms", "revision"))
        self._expiries = dialect.update(t.coupon, key=("id",), added=(), assigned=("expires_local",))
        self._standings = dialect.update(t.customer_series, key=("customer_id", "series_id"), added=("issued",), assigned=())

    def series(self, tx: ReadTransaction, org_id: int, series_id: int, now_ms: int) -> Series | Code:
        """The series by its current terms, or why no coupon of it may be touched: 755, 788, 712. Two statements."""
        known: dict[int, Series | None] = {}
        halted: set[int] = set()
        for _, version, state, ends_ms in self._selects.heads.rows(tx, org_id, [(series_id,)]):
            ((*_, text),) = self._selects.terms.rows(tx, org_id, [(series_id, version)])
            known[series_id] = series_from_text(series_id, version, text)
            if state and (state != "ACTIVE" or (ends_ms or now_ms) < now_ms):
                halted.add(series_id)
        return rules.series_refusal(series_id, known, halted, now_ms) or known[series_id] or Code.SERIES_UNREADABLE

    def walk(self, tx: ReadTransaction, lot: Lot, after_id: int, most: int) -> list[Coupon]:
        """The next coupons of the series by id; of those never issued, where only these are meant."""
        found = self._of_pool if lot.which == "unissued" else self._of_series
        rows = found.first_rows(tx, lot.org_id, [(lot.series.id, after_id, most)])
        return [coupon_from_row(row) for row in rows]

    def held(self, tx: ReadTransaction, lot: Lot, customers: Mapping[int, int], most: int) -> dict[int, list[Coupon]]:
        """Each customer's next coupons of the series, by id, after the id that is given for the customer."""
        keys = [(lot.series.id, customer_id, after_id, most) for customer_id, after_id in sorted(customers.items())]
        found: dict[int, list[Coupon]] = {}
        for coupon in map(coupon_from_row, self._of_customers.first_rows(tx, lot.org_id, keys)):
            found.setdefault(coupon.customer_id or 0, []).append(coupon)
        return found

    def customers(self, tx: ReadTransaction, org_id: int, kind: str, values: set[str]) -> dict[str, int]:
        """The customers whom these normal identifiers of one kind mean, but for those merged away or deleted."""
        rows = self._selects.customers(tx, org_id, {kind: values}) if values else []
        found = ((value, customer_from_row(row)) for _, value, *row in rows)
        return {value: customer.id for value, customer in found if not customer.gone}

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

    def _found(self, names: Sequence[str], index: str, *, is_unissued: bool = False) -> Keyed:
        """The coupons whose columns have these values, after an id; up to a number."""
        keys, coupon = self._dialect.keys("places", *(BigInteger() for _ in names), BigInteger(), Integer()), t.coupon.c
        *values, after_id, most = keys.columns
        wanted = (coupon.org_id == org_parameter()) & (coupon.id > after_id)
        for name, value in zip(names, values, strict=True):
            wanted &= coupon[name] == value
        if is_unissued:
            wanted &= coupon.issued_ms.is_(None) & coupon.revoked_ms.is_(None)
        return Keyed(self._dialect, self._dialect.first_of_each(keys, COUPON_COLUMNS, wanted, most, index=index), keys)


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
