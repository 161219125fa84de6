"""What exports read, page by page (`core.exporting`).

A page walks on by a key, and looks at a bounded number of rows whatever it is to find, so no statement takes long: coupons by
their ids, in one series by the series' index; redemptions by their ids, in one series by time; refusals by their ids. A
campaign's series are walked one after the other, but its refusals at once: no index has them by series. Each page is one
consistent view. Keys only ever grow along a walk, and no row's key changes, so no row comes twice.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct
from sqlalchemy import BigInteger, Column, ColumnElement, FromClause, Select, Table, Tuple, bindparam, select, tuple_

from couponry.core.expiry import coupon_last_ms
from couponry.core.exporting import ExportRequest, What
from couponry.core.limits import EXPORT_KEYS_PER_ROW, SERIES_CACHE_MAX, SERIES_READ_AT_ONCE_MAX
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store.dialect import Dialect
from couponry.store.engine import ReadTransaction
from couponry.store.rows import series_from_text
from couponry.store.statements import Read, Row, org_parameter

Columns = Mapping[str, Sequence[Any]]
"""The rows of a page, column by column, by the names of `COLUMNS`; instants in milliseconds, money in thousandths."""

_FIRST: Final = -(2**62)
_LAST: Final = 2**62
_CUSTOMER: Final = (t.customer.c.external_id, t.customer.c.mobile, t.customer.c.email)
_COUPON: Final = t.coupon.c
_OF_COUPONS: Final = (
    *(_COUPON.id, _COUPON.series_id, _COUPON.code, _COUPON.customer_id, _COUPON.issued_ms, _COUPON.issue_details),
    *(_COUPON.expires_local, _COUPON.revoked_ms, _COUPON.redeemed, _COUPON.created_ms),
    *(_COUPON.issued_till_id.label("till_id"), *_CUSTOMER),
)
_REDEMPTION: Final = t.redemption.c
_OF_REDEMPTIONS: Final = (
    *(_REDEMPTION.id, _REDEMPTION.coupon_id, _REDEMPTION.series_id, _REDEMPTION.customer_id, _REDEMPTION.till_id),
    *(_REDEMPTION.store_id, _REDEMPTION.redeemed_ms, _REDEMPTION.transaction_number, _REDEMPTION.amount, _REDEMPTION.bill_id),
    *(_REDEMPTION.custom_fields, _REDEMPTION.reversed_ms, _REDEMPTION.reversal_reason, _COUPON.code, *_CUSTOMER),
)
_REFUSAL: Final = t.refusal.c
_OF_REFUSALS: Final = (
    *(_REFUSAL.id, _REFUSAL.status, _REFUSAL.code_sent.label("code"), _REFUSAL.coupon_id, _REFUSAL.series_id),
    *(_REFUSAL.customer_id, _REFUSAL.till_id, _REFUSAL.transaction_number, _REFUSAL.amount, _REFUSAL.evaluated_ms),
    *(_REFUSAL.refused_ms, _REFUSAL.request_id, *_CUSTOMER),
)
_TABLES: Final = {
    What.COUPONS: t.coupon,
    What.ISSUES: t.coupon,
    What.REDEMPTIONS: t.redemption,
    What.REFUSALS: t.refusal,
}
_SELECTED: Final[Mapping[What, tuple[ColumnElement[Any], ...]]] = MappingProxyType(
    {
        What.COUPONS: _OF_COUPONS,
        What.ISSUES: _OF_COUPONS,
        What.REDEMPTIONS: _OF_REDEMPTIONS,
        What.REFUSALS: _OF_REFUSALS,
    }
)
_TIMES: Final = {
    What.COUPONS: t.coupon.c.created_ms,
    What.ISSUES: t.coupon.c.issued_ms,
    What.REDEMPTIONS: t.redemption.c.redeemed_ms,
    What.REFUSALS: t.refusal.c.refused_ms,
}


class Place(Struct, frozen=True):
    """Where a walk goes on: after this key, in this series or the first one after it; an empty key is its beginning."""

    series_id: int = 0
    key: tuple[int, ...] = ()


class Page(Struct, frozen=True):
    """Some rows, and where to go on; None when there is nothing more. `looked` is how many rows were looked at for them."""

    columns: Columns
    rows: int
    next: Place | None
    looked: int = 0


class _Known(Struct, frozen=True):
    """What an export needs of a version of a series; no zone if its terms are unusable (788)."""

    code: str
    last_ms: int | None
    zone: ZoneInfo | None


def zone_of(tx: ReadTransaction, org_id: int) -> ZoneInfo | None:
    """The org's zone, in which its exports show times; None if it is unusable (795)."""
    rows = tx.rows(select(t.org.c.time_zone).where(t.org.c.id == org_id), {})
    try:
        return ZoneInfo(rows[0].time_zone)
    except (ValueError, ZoneInfoNotFoundError, OSError):
        return None


class Exports:
    """Reads pages. Statements are compiled once, terms are parsed once."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._reads: dict[tuple[object, ...], Read] = {}
        self._known: dict[tuple[int, int, int], _Known | None] = {}

    def page(self, tx: ReadTransaction, org_id: int, request: ExportRequest, place: Place, rows_max: int) -> Page:
        """The next page of at most so many rows. How many statements it takes, the request says and how many series are new."""
        if request.campaign_id is not None and request.what is not What.REFUSALS:
            found = _series_from(tx, org_id, request.campaign_id, place.series_id)
            if found is None:
                return Page(self._columns(tx, org_id, request, []), 0, None)
            place = place if found == place.series_id else Place(found)
        elif request.series_id is not None:
            place = Place(request.series_id, place.key)
        rows, reached = self._walked(tx, org_id, request, place, rows_max)
        if reached is not None:
            following: Place | None = Place(place.series_id, reached)
        else:
            following = Place(place.series_id + 1) if request.campaign_id is not None and place.series_id else None
        looked = len(rows) if reached is None else rows_max
        return Page(self._columns(tx, org_id, request, rows), len(rows), following, looked)

    def _walked(
        self, tx: ReadTransaction, org_id: int, request: ExportRequest, place: Place, rows_max: int
    ) -> tuple[list[Row], tuple[int, ...] | None]:
        """Rows, and the key up to which all are looked at; None if there are no more keys."""
        walk = _Walk(request, is_in_series=bool(place.series_id) and request.what is not What.REFUSALS)
        parameters: dict[str, Any] = {
            "org": org_id,
            "series": request.series_id if request.what is What.REFUSALS else place.series_id,
            "campaign": request.campaign_id,
            "from": request.from_ms,
            "to": request.to_ms,
            "rows_max": rows_max,
            "walked": (rows_max * EXPORT_KEYS_PER_ROW if walk.is_filtered else rows_max) - 1,
            **walk.bound("after", place.key or walk.first),
        }
        ends = tx.read(self._read("end", walk), parameters)
        last = tuple(ends[0]) if ends else (_LAST,) * len(walk.key)
        rows = tx.read(self._read("rows", walk), parameters | walk.bound("last", last))
        if walk.is_filtered and len(rows) == rows_max:
            names = [column.name for column in _SELECTED[request.what]]
            return rows, tuple(rows[-1][names.index(column.name)] for column in walk.key)
        return rows, last if ends else None

    def _read(self, name: Literal["end", "rows"], walk: "_Walk") -> Read:
        key = (name, *walk.kind)
        if key not in self._reads:
            self._reads[key] = self._dialect.read(walk.end() if name == "end" else walk.rows())
        return self._reads[key]

    def _columns(self, tx: ReadTransaction, org_id: int, request: ExportRequest, rows: list[Row]) -> Columns:
        names = [column.name for column in _SELECTED[request.what]]
        columns: dict[str, Sequence[Any]] = dict(zip(names, zip(*rows, strict=True) if rows else [()] * len(names), strict=True))
        series_ids, till_ids = columns["series_id"], columns["till_id"]
        series = self._series(tx, org_id, set(series_ids))
        tills = self._about(tx, org_id, t.till, (t.till.c.code, t.till.c.store_id), set(till_ids))
        stores_of_tills = {till_id: store_id for till_id, (_, store_id) in tills.items()}
        store_ids = columns["store_id"] if "store_id" in columns else list(map(stores_of_tills.get, till_ids))
        stores = self._about(tx, org_id, t.store, (t.store.c.code, t.store.c.name), set(store_ids))
        shared = {
            "code": columns["code"],
            "couponId": columns.get("coupon_id", columns["id"]),
            "seriesId": series_ids,
            "seriesCode": _named(series_ids, {series_id: known.code for series_id, known in series.items()}),
            "customerId": columns["customer_id"],
            "customerExternalId": columns["external_id"],
            "customerMobile": columns["mobile"],
            "customerEmail": columns["email"],
            "storeCode": _named(store_ids, {store_id: code for store_id, (code, _) in stores.items()}),
            "storeName": _named(store_ids, {store_id: name for store_id, (_, name) in stores.items()}),
            "tillCode": _named(till_ids, {till_id: code for till_id, (code, _) in tills.items()}),
        }
        match request.what:
            case What.COUPONS | What.ISSUES:
                return shared | _of_coupons(columns, series)
            case What.REDEMPTIONS:
                return shared | _of_redemptions(columns)
            case What.REFUSALS:
                return shared | _of_refusals(columns)

    def _about(
        self, tx: ReadTransaction, org_id: int, table: Table, columns: tuple[Column[Any], ...], wanted: Collection[int | None]
    ) -> dict[int, Row]:
        """Rows of a table by id."""
        keys = self._dialect.keys("ids", BigInteger())
        read = self._reads.get((table.name,))
        if read is None:
            read = self._dialect.read(select(table.c.id, *columns).select_from(keys.probing(table, "id")))
            self._reads[table.name,] = read
        ids = sorted(one for one in wanted if one is not None)
        return {row[0]: row[1:] for row in tx.read(read, {"org": org_id, **keys.bound([(one,) for one in ids])})}

    def _series(self, tx: ReadTransaction, org_id: int, wanted: Collection[int]) -> dict[int, _Known]:
        """The current versions of these series; terms are read for those that were not met before."""
        versions = self._about(tx, org_id, t.series, (t.series.c.version, t.series.c.code_key), wanted)
        if len(self._known) > SERIES_CACHE_MAX:
            self._known.clear()
        new = [(key, version) for key, (version, _) in versions.items() if (org_id, key, version) not in self._known]
        keys = self._dialect.keys("versions", BigInteger(), BigInteger())
        version = t.series_version
        found = select(version.c.series_id, version.c.version, version.c.terms)
        found = found.select_from(keys.probing(version, "series_id", "version"))
        for at in range(0, len(new), SERIES_READ_AT_ONCE_MAX):
            some = new[at : at + SERIES_READ_AT_ONCE_MAX]
            for series_id, number, terms in tx.rows(found, {"org": org_id, **keys.bound(some)}):
                self._known[org_id, series_id, number] = _known(series_id, number, terms)
        usable = {key: self._known.get((org_id, key, number)) for key, (number, _) in versions.items()}
        return {key: usable[key] or _Known(code, None, None) for key, (_, code) in versions.items()}


class _Walk:
    """The two selects of a walk: where the keys to look at end, and what is wanted of them. `kind` tells them from others."""

    def __init__(self, request: ExportRequest, *, is_in_series: bool) -> None:
        self.what = request.what
        self.table = table = _TABLES[request.what]
        is_by_time = is_in_series and request.what is What.REDEMPTIONS
        self.key: tuple[Column[Any], ...] = (table.c.redeemed_ms, table.c.id) if is_by_time else (table.c.id,)
        first_ms = _FIRST if request.from_ms is None else request.from_ms
        self.first: tuple[int, ...] = (first_ms, _FIRST) if is_by_time else (_FIRST,)
        self._within: list[ColumnElement[bool]] = [table.c.org_id == org_parameter()]
        if is_in_series:
            self._within.append(table.c.series_id == bindparam("series"))
        if is_by_time and request.to_ms is not None:
            self._within.append(_TIMES[request.what] < bindparam("to"))
        self._conditions = list(_conditions(request, is_by_time=is_by_time))
        self.is_filtered = bool(self._conditions)
        filters = (request.series_id, request.campaign_id, request.from_ms, request.to_ms)
        self.kind = (request.what, is_in_series, *(one is None for one in filters))

    def bound(self, name: str, key: Sequence[int]) -> dict[str, int]:
        """A key as parameters."""
        return {f"{name}_{at}": value for at, value in enumerate(key)}

    def end(self) -> Select[Any]:
        """The last of so many keys; nothing if fewer are left."""
        after = tuple_(*self.key) > self._parameters("after")
        return select(*self.key).where(*self._within, after).order_by(*self.key).offset(bindparam("walked")).limit(1)

    def rows(self) -> Select[Any]:
        """What is wanted up to there, in the order of the key."""
        key = tuple_(*self.key)
        between = (key > self._parameters("after"), key <= self._parameters("last"))
        found = select(*_SELECTED[self.what]).select_from(_joined(self.what)).where(*self._within, *between, *self._conditions)
        return found.order_by(*self.key).limit(bindparam("rows_max"))

    def _parameters(self, name: str) -> Tuple:
        return tuple_(*(bindparam(f"{name}_{at}", type_=BigInteger) for at in range(len(self.key))))


def _conditions(request: ExportRequest, *, is_by_time: bool) -> Iterator[ColumnElement[bool]]:
    """What a row of the walk must meet."""
    at, refusal = _TIMES[request.what], t.refusal.c
    if request.from_ms is not None and not is_by_time:
        yield at >= bindparam("from")
    if request.to_ms is not None and not is_by_time:
        yield at < bindparam("to")
    if request.what is What.ISSUES:
        yield t.coupon.c.issued_ms.is_not(None)
        yield t.coupon.c.issued_by_redemption.is_(False)
    if request.what is What.REFUSALS and request.series_id is not None:
        yield refusal.series_id == bindparam("series")
    if request.what is What.REFUSALS and request.campaign_id is not None:
        series = t.series.c
        # A value, not a join: for each refusal its series is looked up, and never all series of the campaign.
        named = select(series.campaign_id).where(series.org_id == org_parameter(), series.id == refusal.series_id)
        yield named.scalar_subquery() == bindparam("campaign")


def _joined(what: What) -> FromClause:
    """Left joins: the walk comes first, whatever the planner thinks."""
    table: FromClause = _TABLES[what]
    if what is What.REDEMPTIONS:
        is_coupon = (t.coupon.c.org_id == org_parameter()) & (t.coupon.c.id == t.redemption.c.coupon_id)
        table = table.outerjoin(t.coupon, is_coupon)
    customer = t.customer.c
    return table.outerjoin(t.customer, (customer.org_id == org_parameter()) & (customer.id == _TABLES[what].c.customer_id))


def _series_from(tx: ReadTransaction, org_id: int, campaign_id: int, series_id: int) -> int | None:
    """The first series of a campaign with this id or a greater one; a campaign has few."""
    series = t.series.c
    found = select(series.id).where(series.org_id == org_id, series.campaign_id == campaign_id, series.id >= series_id)
    rows = tx.rows(found.order_by(series.id).limit(1), {})
    return rows[0].id if rows else None


def _known(series_id: int, version: int, terms: str) -> _Known | None:
    series = series_from_text(series_id, version, terms)
    return _Known(series.terms.series_code, series.expires_ms, series.zone) if series else None


def _named(ids: Sequence[int | None], names: Mapping[int, str]) -> list[str | None]:
    return list(map(names.get, ids))  # type: ignore[arg-type] # None is nobody's key


def _of_coupons(columns: Columns, series: Mapping[int, _Known]) -> dict[str, Sequence[Any]]:
    in_hand = list(zip(columns["series_id"], columns["expires_local"], strict=True))
    expiries = {key: _last_ms(series.get(key[0]), key[1]) for key in set(in_hand)}
    states = zip(columns["revoked_ms"], columns["issued_ms"], strict=True)
    return {
        "state": ["REVOKED" if revoked else "UNISSUED" if issued is None else "ISSUED" for revoked, issued in states],
        "createdOn": columns["created_ms"],
        "issuedOn": columns["issued_ms"],
        "validTillDateTime": [expiries[key] for key in in_hand],
        "revokedOn": columns["revoked_ms"],
        "redemptionCount": columns["redeemed"],
        "couponIssualDetails": columns["issue_details"],
    }


def _last_ms(known: _Known | None, expires_local: str | None) -> int | None:
    """The coupon's own expiry, or its series'."""
    if known is None or known.zone is None:
        return None
    return known.last_ms if expires_local is None else coupon_last_ms(expires_local, known.zone)


def _of_redemptions(columns: Columns) -> dict[str, Sequence[Any]]:
    return {
        "redemptionId": columns["id"],
        "redeemedOn": columns["redeemed_ms"],
        "billNumber": columns["transaction_number"],
        "billAmount": columns["amount"],
        "billId": columns["bill_id"],
        "customFields": columns["custom_fields"],
        "reversedOn": columns["reversed_ms"],
        "reversalReason": columns["reversal_reason"],
    }


def _of_refusals(columns: Columns) -> dict[str, Sequence[Any]]:
    status = {name: Code[name] for name in set(columns["status"])}
    return {
        "refusalId": columns["id"],
        "refusedOn": columns["refused_ms"],
        "errorCode": [status[name].number for name in columns["status"]],
        "errorMessage": [
            status[name].message.replace("{x}", sent) for name, sent in zip(columns["status"], columns["code"], strict=True)
        ],
        "billNumber": columns["transaction_number"],
        "billAmount": columns["amount"],
        "evaluatedOn": columns["evaluated_ms"],
        "requestId": columns["request_id"],
    }
