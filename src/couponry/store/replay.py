"""What-if: a series' recorded redemptions, handed to the core in order and in chunks, to be judged under other terms.

One consistent view. Each chunk costs the same number of statements, each of which finds its rows by key; what is held in memory
are counts, at most a few for each of a bounded number of redemptions.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, Integer, bindparam, func, or_, select

from couponry.core.limits import HOUR_MS, MONEY_SCALE, REPLAY_CHUNK_ROWS, REPLAYED_REDEMPTIONS_MAX
from couponry.core.model import Coupon, Customer, Org, Place
from couponry.core.problem import Problem
from couponry.core.series import Series
from couponry.core.status import Code
from couponry.core.what_if import Before, Past, Replay, changed_series
from couponry.store import schema as t
from couponry.store.engine import ReadTransaction
from couponry.store.history import redeemed_at
from couponry.store.places import Site, sites
from couponry.store.rows import COUPON_COLUMNS, CUSTOMER_COLUMNS, coupon_from_row, customer_from_row, series_from_text
from couponry.store.statements import Keys, org_parameter

_DAY_MS: Final = 24 * HOUR_MS


class Supposed(Struct, frozen=True):
    """What if these fields had been as given, in the last days."""

    org: Org
    series_id: int
    fields: Mapping[str, Any]
    days: int
    now_ms: int


class Replayed(Struct, frozen=True):
    """What became of the redemptions since `starts_ms`, up to and with `ends_ms`; `is_cut` when there were more after that."""

    replay: Replay
    starts_ms: int
    ends_ms: int
    is_cut: bool


def replayed(
    tx: ReadTransaction,
    supposed: Supposed,
    *,
    chunk_rows: int = REPLAY_CHUNK_ROWS,
    redemptions_max: int = REPLAYED_REDEMPTIONS_MAX,
) -> Replayed | Problem | Code:
    """Replay a series' last days: 755 for an unknown series, 788 for unusable terms, else what the fields are refused for."""
    series = _current(tx, supposed.org.id, supposed.series_id)
    if series is None or isinstance(series, Code):
        return series or Problem(755, "invalid coupon series id")
    changed = changed_series(series, supposed.fields, supposed.now_ms)
    if isinstance(changed, Problem):
        return changed
    is_redated = changed is not None and changed.terms.expiry_strategy_value != series.terms.expiry_strategy_value
    starts_ms = supposed.now_ms - supposed.days * _DAY_MS
    redeemed_before = redeemed_at(tx, supposed.org.id, series.id, starts_ms - 1)
    replay = Replay(supposed.org, changed, starts_ms, redeemed_before, is_redated=is_redated)
    return _Reader(tx, supposed, replay, starts_ms, chunk_rows).read(redemptions_max)


def _current(tx: ReadTransaction, org_id: int, series_id: int) -> Series | Code | None:
    series, version = t.series.c, t.series_version.c
    is_current = (version.org_id == series.org_id) & (version.series_id == series.id) & (version.version == series.version)
    found = select(series.version, version.terms).join_from(t.series, t.series_version, is_current)
    rows = tx.rows(found.where(series.org_id == org_parameter(), series.id == bindparam("id")), {"org": org_id, "id": series_id})
    return (series_from_text(series_id, *rows[0]) or Code.SERIES_UNREADABLE) if rows else None


class _Reader:
    """Reads the window chunk by chunk, each after the last redemption of the one before."""

    def __init__(self, tx: ReadTransaction, supposed: Supposed, replay: Replay, starts_ms: int, chunk_rows: int) -> None:
        self.tx = tx
        self.org = supposed.org
        self.series_id = supposed.series_id
        self.now_ms = supposed.now_ms
        self.replay = replay
        self.starts_ms = starts_ms
        self.chunk_rows = chunk_rows
        self.reversed_until_ms = starts_ms - 1
        self.versions: dict[int, Series | None] = {}
        self.sites: dict[int, Site] = {}
        self._ids = tx.dialect.keys("ids", BigInteger())

    def read(self, redemptions_max: int) -> Replayed:
        """Judge until the window or the bound ends."""
        after = (self.starts_ms, 0)
        while rows := self._chunk(after, min(self.chunk_rows, redemptions_max - self.replay.redemptions)):
            self._judge(rows)
            after = (rows[-1].redeemed_ms, rows[-1].id)
            if self.replay.redemptions >= redemptions_max:
                return Replayed(self.replay, self.starts_ms, after[0], is_cut=bool(self._chunk(after, 1)))
        return Replayed(self.replay, self.starts_ms, self.now_ms, is_cut=False)

    def _rows(self, found: Any, **parameters: object) -> list[Any]:  # noqa: ANN401 - any select
        return self.tx.rows(found, {"org": self.org.id, "series": self.series_id, **parameters})

    def _keyed(self, found: Any, ids: set[int], **parameters: object) -> list[Any]:  # noqa: ANN401 - any select
        return self._rows(found, **self._ids.bound([(each,) for each in sorted(ids)]), **parameters)

    def _chunk(self, after: tuple[int, int], most: int) -> list[Any]:
        redemption = t.redemption.c
        after_ms, after_id = after
        columns = (
            *(redemption.id, redemption.coupon_id, redemption.customer_id, redemption.series_version, redemption.till_id),
            *(redemption.store_id, redemption.redeemed_ms, redemption.reversed_ms, redemption.amount),
        )
        found = (
            select(*columns)
            .where(
                self._of_series(),
                redemption.redeemed_ms >= after_ms,
                or_(redemption.redeemed_ms > after_ms, redemption.id > after_id),
            )
            .order_by(redemption.redeemed_ms, redemption.id)
            .limit(most)
        )
        return self._rows(found)

    def _of_series(self) -> ColumnElement[bool]:
        return (t.redemption.c.org_id == org_parameter()) & (t.redemption.c.series_id == bindparam("series"))

    def _judge(self, rows: Sequence[Any]) -> None:
        coupons = self._coupons({row.coupon_id for row in rows})
        customer_ids = {row.customer_id for row in rows}
        customers, audience = self._customers(customer_ids), self._audience(customer_ids)
        self._read_versions({row.series_version for row in rows})
        self._read_sites({row.store_id for row in rows})
        self._count_before(set(coupons), customer_ids)
        undone = self._reversals(rows[-1].redeemed_ms)
        at = 0
        for row in rows:
            first = at
            while at < len(undone) and undone[at] <= row.redeemed_ms:
                at += 1
            self.replay.series_reversed(at - first)
            self.replay.judge(
                Past(
                    row.id,
                    coupons[row.coupon_id],
                    customers.get(row.customer_id) or Customer(row.customer_id),
                    self._place(row.till_id, row.store_id),
                    row.redeemed_ms,
                    row.reversed_ms,
                    None if row.amount is None else Decimal(row.amount) / MONEY_SCALE,
                    row.customer_id in audience,
                    self.versions.get(row.series_version),
                )
            )
        self.replay.series_reversed(len(undone) - at)

    def _coupons(self, ids: set[int]) -> dict[int, Coupon]:
        found = select(*COUPON_COLUMNS).select_from(self._ids.probing(t.coupon, "id"))
        return {row.id: coupon_from_row(row) for row in self._keyed(found, ids)}

    def _customers(self, ids: set[int]) -> dict[int, Customer]:
        found = select(*CUSTOMER_COLUMNS).select_from(self._ids.probing(t.customer, "id"))
        return {row.id: customer_from_row(row) for row in self._keyed(found, ids)}

    def _audience(self, ids: set[int]) -> set[int]:
        source = self._ids.probing(t.series_audience, "customer_id")
        found = select(t.series_audience.c.customer_id).select_from(source)
        return {row.customer_id for row in self._keyed(found.where(t.series_audience.c.series_id == bindparam("series")), ids)}

    def _read_versions(self, numbers: set[int]) -> None:
        """The terms that these redemptions were decided under; a series has few versions."""
        keys = self.tx.dialect.keys("versions", Integer())
        source = keys.probing(t.series_version, "version")
        found = select(t.series_version.c.version, t.series_version.c.terms).select_from(source)
        wanted = keys.bound([(number,) for number in sorted(numbers - self.versions.keys())])
        for number, text in self._rows(found.where(t.series_version.c.series_id == bindparam("series")), **wanted):
            self.versions[number] = series_from_text(self.series_id, number, text)

    def _read_sites(self, store_ids: set[int]) -> None:
        self.sites |= sites(self.tx, self.org, store_ids - self.sites.keys())

    def _place(self, till_id: int, store_id: int) -> Place:
        site = self.sites.get(store_id)
        return site.place(till_id) if site else Place(till_id, store_id, frozenset(), frozenset(), self.org.zone)

    def _count_before(self, coupon_ids: set[int], customer_ids: set[int]) -> None:
        """What counted when the window began, for coupons and customers that were not met before."""
        redemption = t.redemption.c
        new_coupons, new_customers = self.replay.unseen_coupons(coupon_ids), self.replay.unseen_customers(customer_ids)
        of_coupons: dict[int, list[Before]] = defaultdict(list)
        by_coupon = self._before(self._ids, (redemption.coupon_id,), index="uq_redemption_use")
        for row in self._keyed(by_coupon, new_coupons, starts_ms=self.starts_ms):
            of_coupons[row.coupon_id].append(Before(row.made, row.last_ms, row.reversed_ms))
        for coupon_id in new_coupons:
            self.replay.coupon_before(coupon_id, *of_coupons[coupon_id])
        of_customers: dict[int, dict[int, list[Before]]] = defaultdict(lambda: defaultdict(list))
        by_customer = self._before(self._ids, (redemption.customer_id, redemption.coupon_id), index="uq_redemption_customer_use")
        for row in self._keyed(by_customer, new_customers, starts_ms=self.starts_ms):
            of_customers[row.customer_id][row.coupon_id].append(Before(row.made, row.last_ms, row.reversed_ms))
        for customer_id in new_customers:
            self.replay.customer_before(customer_id, of_customers[customer_id])

    def _before(self, keys: Keys, by: tuple[ColumnElement[Any], ...], index: str) -> Any:  # noqa: ANN401 - a select
        """Redemptions before the window that counted at its beginning, by key and by when they were reversed."""
        redemption = t.redemption.c
        source = keys.probing(t.redemption, by[0].key or "", index=index)
        still = or_(redemption.reversed_ms.is_(None), redemption.reversed_ms >= bindparam("starts_ms"))
        return (
            select(*by, redemption.reversed_ms, func.count().label("made"), func.max(redemption.redeemed_ms).label("last_ms"))
            .select_from(source)
            .where(redemption.series_id == bindparam("series"), redemption.redeemed_ms < bindparam("starts_ms"), still)
            .group_by(*by, redemption.reversed_ms)
        )

    def _reversals(self, until_ms: int) -> list[int]:
        """When redemptions from before the window were reversed, since the last chunk."""
        redemption = t.redemption.c
        found = (
            select(redemption.reversed_ms)
            .where(
                self._of_series(),
                redemption.reversed_ms.is_not(None),
                redemption.reversed_ms > bindparam("after_ms"),
                redemption.reversed_ms <= bindparam("until_ms"),
                redemption.redeemed_ms < bindparam("starts_ms"),
            )
            .order_by(redemption.reversed_ms)
        )
        rows = self._rows(found, after_ms=self.reversed_until_ms, until_ms=until_ms, starts_ms=self.starts_ms)
        self.reversed_until_ms = until_ms
        return [row.reversed_ms for row in rows]
