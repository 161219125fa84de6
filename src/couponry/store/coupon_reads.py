"""Coupons as clients read them: by id, code or customer, with series, store and redemptions (v2-coupon 12-14).

What a customer holds is read as a few columns of every coupon; their statuses are decided from these, since the terms that
decide them are JSON. Only what is shown is then read in full. The number of statements is the same whatever the number of
coupons, and each finds its rows by key. Revoked coupons are read by none.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from msgspec import Struct
from sqlalchemy import BigInteger, Integer, Select, String, func, select

from couponry.core import holdings
from couponry.core.codes import code_key
from couponry.core.holdings import Condition, Held
from couponry.core.limits import COUPONS_LISTED_MAX, REDEMPTIONS_LISTED_MAX, SERIES_CACHE_MAX
from couponry.core.model import Place
from couponry.core.series import Series
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store.dialect import Dialect
from couponry.store.engine import ReadTransaction
from couponry.store.redemption_reads import redeemed_between
from couponry.store.rows import series_from_text
from couponry.store.selects import Keyed
from couponry.store.statements import Keys


class Shop(Struct, frozen=True, gc=False):
    """The store of an issue or a redemption."""

    id: int
    code: str
    name: str


class ReadRedemption(Struct, frozen=True, gc=False):
    """One use of a coupon; reversed at `reversed_ms`, if it was."""

    id: int
    redeemed_ms: int
    transaction_number: str
    shop: Shop
    reversed_ms: int | None


class ReadCoupon(Struct, frozen=True):
    """A coupon with its series. `till_id` and `shop` are where it was issued; an imported coupon was issued at neither.

    `redemptions` are the latest of all customers', newest first, and `redemptions_left` is the holder's; both only where a
    customer's coupons were asked for.
    """

    id: int
    series: Series
    code: str
    customer_id: int | None
    issued_ms: int | None
    expires_local: str | None
    redeemed: int
    details: str | None
    till_id: int | None
    shop: Shop | None
    redemptions: Sequence[ReadRedemption] = ()
    redemptions_left: int = -1
    uses: int = 0

    @property
    def last_ms(self) -> int:
        """Its exact expiry."""
        return holdings.last_ms(self.series, self.expires_local)


class Filters(Struct, frozen=True):
    """What a coupon must be one of, kind by kind; None where a kind was not asked for."""

    ids: tuple[int, ...] | None = None
    codes: tuple[str, ...] | None = None
    customer_ids: tuple[int, ...] | None = None


class Listing(Struct, frozen=True):
    """Which of a customer's coupons: those of any of the statuses (of all, if none is named), in an order of `holdings.ORDERS`.

    `times` are the first instant and the one after the last, between which the coupon was issued, or redeemed by the customer.
    Only unexpired coupons that one of `places` is in the scope of are meant, if there are any.
    """

    statuses: frozenset[str] = frozenset()
    is_ascending: bool = False
    limit: int = COUPONS_LISTED_MAX
    offset: int = 0
    order: str = "created_date"
    times: tuple[int, int] | None = None
    series_ids: frozenset[int] | None = None
    places: Sequence[Place] | None = None


class Page(Struct, frozen=True):
    """Coupons to show, of `total` that there are."""

    total: int
    coupons: list[ReadCoupon]


class _Row(NamedTuple):
    """A coupon in full, as `_coupons` selects it."""

    id: int
    series_id: int
    code: str
    customer_id: int | None
    issued_ms: int | None
    expires_local: str | None
    redeemed: int
    uses: int
    details: str | None
    till_id: int | None
    store_id: int | None
    store_code: str
    store_name: str


class _Selects:
    """The selects of one dialect, compiled once."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        is_live = t.coupon.c.revoked_ms.is_(None)
        ids = self._ids()
        self.by_id = self._keyed(_coupons(ids, "id").where(is_live), ids)
        codes = dialect.keys("codes", String(), BigInteger())
        self.by_code = self._keyed(_coupons(codes, "code_key", "holder_id", index="uq_coupon_code").where(is_live), codes)
        self.held = self._held()
        self.versions = self._versions()
        self.terms = self._terms()
        self.standings = self._standings()
        self.uses = self._uses()
        self.redemptions = self._redemptions()

    def _held(self) -> Keyed:
        """Every coupon of these customers, with the columns of `Held`."""
        keys, coupon = self._ids(), t.coupon.c
        source = keys.probing(t.coupon, "customer_id", index="ix_coupon_customer")
        light = (coupon.id, coupon.series_id, coupon.issued_ms, coupon.expires_local, coupon.redeemed, coupon.issued_till_id)
        return self._keyed(select(*light).select_from(source).where(coupon.revoked_ms.is_(None)), keys)

    def _versions(self) -> Keyed:
        keys = self._ids()
        return self._keyed(select(t.series.c.id, t.series.c.version).select_from(keys.probing(t.series, "id")), keys)

    def _terms(self) -> Keyed:
        keys, version = self._dialect.keys("versions", BigInteger(), Integer()), t.series_version.c
        source = keys.probing(t.series_version, "series_id", "version")
        return self._keyed(select(version.series_id, version.version, version.terms).select_from(source), keys)

    def _standings(self) -> Keyed:
        keys, standing = self._ids(), t.customer_series.c
        source = keys.probing(t.customer_series, "customer_id")
        return self._keyed(select(standing.series_id, standing.redeemed).select_from(source), keys)

    def _uses(self) -> Keyed:
        """How many active redemptions a customer has of each coupon."""
        keys, redemption = self._ids(), t.redemption.c
        source = keys.probing(t.redemption, "customer_id", index="uq_redemption_customer_use")
        found = select(redemption.coupon_id, func.count()).select_from(source).where(redemption.reversed_ms.is_(None))
        return self._keyed(found.group_by(redemption.coupon_id), keys)

    def _redemptions(self) -> Keyed:
        """Redemptions after a use of each coupon, since a public code has more than anybody reads."""
        keys, redemption = self._dialect.keys("uses", BigInteger(), Integer()), t.redemption.c
        in_store = (t.store.c.org_id == redemption.org_id) & (t.store.c.id == redemption.store_id)
        coupon = replace(keys, columns=keys.columns[:1])
        source = coupon.probing(t.redemption, "coupon_id", index="uq_redemption_use").join(t.store, in_store)
        columns = (redemption.coupon_id, redemption.use_number, redemption.id, redemption.redeemed_ms)
        more = (redemption.transaction_number, redemption.reversed_ms, t.store.c.id, t.store.c.code, t.store.c.name)
        found = select(*columns, *more).select_from(source)
        return self._keyed(found.where(redemption.use_number > keys.columns[1]), keys)

    def _ids(self) -> Keys:
        return self._dialect.keys("ids", BigInteger())

    def _keyed(self, found: Select[Any], keys: Keys) -> Keyed:
        return Keyed(self._dialect, found, keys)


def _coupons(keys: Keys, *names: str, index: str = "") -> Select[Any]:
    """Coupons in full, with the store that issued each."""
    coupon = t.coupon.c
    by_till = (t.till.c.org_id == coupon.org_id) & (t.till.c.id == coupon.issued_till_id)
    in_store = (t.store.c.org_id == t.till.c.org_id) & (t.store.c.id == t.till.c.store_id)
    source = keys.probing(t.coupon, *names, index=index).outerjoin(t.till, by_till).outerjoin(t.store, in_store)
    own = (coupon.id, coupon.series_id, coupon.code, coupon.customer_id, coupon.issued_ms, coupon.expires_local, coupon.redeemed)
    more = (coupon.uses, coupon.issue_details, coupon.issued_till_id, t.store.c.id, t.store.c.code, t.store.c.name)
    return select(*own, *more).select_from(source)


class CouponReads:
    """Reads of one database, with the terms that they have met; a version of terms never changes."""

    def __init__(self) -> None:
        self._selects: _Selects | None = None
        self._series: dict[tuple[int, int, int], Series] = {}

    def find(self, tx: ReadTransaction, org_id: int, filters: Filters) -> Page | Code:
        """The coupons that all filters mean: in the order of the ids or codes asked for, else the customers' newest first.

        A code that many customers share is its own row, and the own records of the customers asked for.
        """
        total, rows = self._named(tx, org_id, filters)
        series = self._series_of(tx, org_id, {row.series_id for row in rows})
        if series is None:
            return Code.SERIES_UNREADABLE
        return Page(total, [_coupon(row, series[row.series_id]) for row in rows])

    def held(self, tx: ReadTransaction, org_id: int, customer_id: int, asked: Listing, now_ms: int) -> Page | Code:
        """The coupons of a customer that a listing means, with the redemptions of each, whoever made them."""
        selects, customer = self._on(tx), [(customer_id,)]
        all_held = [Held(*row) for row in selects.held.rows(tx, org_id, customer)]
        series = self._series_of(tx, org_id, {held.series_id for held in all_held})
        if series is None:
            return Code.SERIES_UNREADABLE
        in_series: dict[int, int] = dict(selects.standings.rows(tx, org_id, customer))
        uses: dict[int, int] = dict(selects.uses.rows(tx, org_id, customer))
        dated = redeemed_between(tx, org_id, customer_id, *asked.times) if asked.times else frozenset()
        found = [
            (held, state)
            for held in all_held
            if holdings.means(
                asked.statuses,
                state := holdings.condition(
                    held,
                    series[held.series_id],
                    by_customer=uses.get(held.id, 0),
                    in_series=in_series.get(held.series_id, 0),
                    now_ms=now_ms,
                ),
            )
            and _is_asked(asked, held, state, series[held.series_id], dated)
        ]
        by = holdings.ORDERS[asked.order]
        found.sort(key=lambda pair: (by(pair[0], series[pair[0].series_id]), pair[0].id), reverse=not asked.is_ascending)
        left = {held.id: state.redemptions_left for held, state in found[asked.offset : asked.offset + asked.limit]}
        rows = self._by_id(tx, org_id, left)
        redemptions = self._redemptions_of(tx, org_id, rows)
        return Page(len(found), [_coupon(row, series[row.series_id], redemptions[row.id], left[row.id]) for row in rows])

    def _on(self, tx: ReadTransaction) -> _Selects:
        if self._selects is None:
            self._selects = _Selects(tx.dialect)
        return self._selects

    def _named(self, tx: ReadTransaction, org_id: int, filters: Filters) -> tuple[int, list[_Row]]:
        """How many coupons all filters mean, and those to show."""
        customers = filters.customer_ids or ()
        if filters.ids is not None:
            rows = self._by_id(tx, org_id, filters.ids)
        elif filters.codes is not None:
            rows = self._by_code(tx, org_id, filters.codes, (0, *customers))
        else:
            held = self._on(tx).held.rows(tx, org_id, [(customer_id,) for customer_id in sorted(set(customers))])
            newest = sorted((Held(*row) for row in held), key=lambda one: (one.issued_ms, one.id), reverse=True)
            return len(newest), self._by_id(tx, org_id, [one.id for one in newest[:COUPONS_LISTED_MAX]])
        if filters.codes is not None:
            keys = set(filters.codes)
            rows = [row for row in rows if code_key(row.code) in keys]
        if filters.customer_ids is not None:
            rows = [row for row in rows if row.customer_id in customers]
        return len(rows), rows

    def _by_id(self, tx: ReadTransaction, org_id: int, ids: Iterable[int]) -> list[_Row]:
        """In the order of the ids."""
        wanted = tuple(dict.fromkeys(ids))
        found = {row[0]: _Row(*row) for row in self._on(tx).by_id.rows(tx, org_id, [(coupon_id,) for coupon_id in wanted])}
        return [found[coupon_id] for coupon_id in wanted if coupon_id in found]

    def _by_code(self, tx: ReadTransaction, org_id: int, codes: Sequence[str], holder_ids: Sequence[int]) -> list[_Row]:
        """In the order of the code keys, then of the records."""
        place = {code: at for at, code in enumerate(dict.fromkeys(codes))}
        keys = sorted({(code, holder_id) for code in place for holder_id in holder_ids})
        rows = [_Row(*row) for row in self._on(tx).by_code.rows(tx, org_id, keys)]
        return sorted(rows, key=lambda row: (place[code_key(row.code)], row.id))

    def _redemptions_of(self, tx: ReadTransaction, org_id: int, rows: Sequence[_Row]) -> Mapping[int, list[ReadRedemption]]:
        """The latest redemptions of each coupon, newest first."""
        used = [(row.id, max(0, row.uses - REDEMPTIONS_LISTED_MAX)) for row in rows if row.uses]
        found: defaultdict[int, list[ReadRedemption]] = defaultdict(list)
        read = self._on(tx).redemptions.rows(tx, org_id, used)
        for coupon_id, _, redemption_id, redeemed_ms, number, reversed_ms, *shop in sorted(read, reverse=True):
            found[coupon_id].append(ReadRedemption(redemption_id, redeemed_ms, number, Shop(*shop), reversed_ms))
        return found

    def _series_of(self, tx: ReadTransaction, org_id: int, ids: Iterable[int]) -> dict[int, Series] | None:
        """Series by id under their current terms; None when some cannot be used (788)."""
        cache, wanted = self._series, sorted(ids)
        versions: dict[int, int] = dict(self._on(tx).versions.rows(tx, org_id, [(series_id,) for series_id in wanted]))
        found = {series_id: cache.get((org_id, series_id, version)) for series_id, version in versions.items()}
        missing = [(series_id, versions[series_id]) for series_id, series in found.items() if series is None]
        if len(cache) + len(missing) > SERIES_CACHE_MAX:
            cache.clear()
        for series_id, version, text in self._on(tx).terms.rows(tx, org_id, missing):
            series = found[series_id] = series_from_text(series_id, version, text)
            if series:
                cache[org_id, series_id, version] = series
        usable = {series_id: series for series_id, series in found.items() if series}
        return usable if len(usable) == len(wanted) else None


def _is_asked(asked: Listing, held: Held, state: Condition, series: Series, dated: Collection[int]) -> bool:
    """Whether the filters beside the statuses let a coupon through; `dated` were redeemed between the times asked for."""
    if asked.series_ids is not None and held.series_id not in asked.series_ids:
        return False
    if asked.times and not (asked.times[0] <= held.issued_ms < asked.times[1] or held.id in dated):
        return False
    return asked.places is None or (state.is_alive and any(series.scope.admits(place) for place in asked.places))


def _coupon(row: _Row, series: Series, redemptions: Sequence[ReadRedemption] = (), left: int = -1) -> ReadCoupon:
    shop = None if row.store_id is None else Shop(row.store_id, row.store_code, row.store_name)
    return ReadCoupon(
        id=row.id,
        series=series,
        code=row.code,
        customer_id=row.customer_id,
        issued_ms=row.issued_ms,
        expires_local=row.expires_local,
        redeemed=row.redeemed,
        details=row.details,
        till_id=row.till_id,
        shop=shop,
        redemptions=redemptions,
        redemptions_left=left,
        uses=row.uses,
    )
