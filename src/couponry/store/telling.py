"""All that bodies of events and texts of messages are made of, read for a batch of causes in a few statements, all by key."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, Integer, Select, select

from couponry.core.limits import MONEY_SCALE, SERIES_CACHE_MAX
from couponry.core.series import Series
from couponry.core.telling import Cause, Facts, ToldCoupon, ToldCustomer, ToldOtp, ToldRedemption, ToldTill
from couponry.core.validation import Message
from couponry.store import schema as t
from couponry.store.dialect import Dialect
from couponry.store.engine import ReadTransaction
from couponry.store.rows import CUSTOMER_COLUMNS, customer_from_row, series_from_text
from couponry.store.selects import Keyed
from couponry.store.statements import Keys, Row

_COUPON = tuple(t.coupon.c[name] for name in ToldCoupon.__struct_fields__)
_REDEMPTION = tuple(t.redemption.c[name] for name in ToldRedemption.__struct_fields__)
_AMOUNT = ToldRedemption.__struct_fields__.index("amount")
_TILL = (
    *(t.till.c.id, t.till.c.code, t.till.c.name, t.store.c.id, t.store.c.code, t.store.c.name),
    *(t.store.c.external_id, t.store.c.external_id_1, t.store.c.external_id_2),
)
_OTP = (t.otp.c.id, t.otp.c.customer_id, t.otp.c.sealed, t.otp.c.message, t.otp.c.expires_ms, t.otp.c.used_ms)

CAUSE_COLUMNS: Final = (
    *(t.outbox.c.id, t.outbox.c.event, t.outbox.c.subject_id, t.outbox.c.subject_ids, t.outbox.c.customer_id),
    *(t.outbox.c.request_id, t.outbox.c.created_ms, t.outbox.c.identified_by),
)


def cause_from_row(row: Row) -> Cause:
    """A cause of `CAUSE_COLUMNS`."""
    cause_id, event, subject_id, subject_ids, customer_id, request_id, created_ms, identified_by = row
    listed = msgspec.json.decode(subject_ids, type=tuple[int, ...]) if subject_ids else (subject_id,)
    kinds = frozenset(identified_by.split(",")) if identified_by else frozenset[str]()
    return Cause(cause_id, event, listed, customer_id, request_id, created_ms, kinds)


class _Selects:
    """The selects of one dialect, compiled once."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        keys = dialect.keys("ids", BigInteger())
        self.coupons = self._keyed(select(*_COUPON).select_from(keys.probing(t.coupon, "id")), keys)
        self.redemptions = self._keyed(select(*_REDEMPTION).select_from(keys.probing(t.redemption, "id")), keys)
        self.otps = self._keyed(select(*_OTP).select_from(keys.probing(t.otp, "id")), keys)
        self.versions = self._keyed(select(t.series.c.id, t.series.c.version).select_from(keys.probing(t.series, "id")), keys)
        in_store = (t.store.c.org_id == t.till.c.org_id) & (t.store.c.id == t.till.c.store_id)
        self.tills = self._keyed(select(*_TILL).select_from(keys.probing(t.till, "id").join(t.store, in_store)), keys)
        customer = (*CUSTOMER_COLUMNS, t.customer.c.unsubscribed)
        self.customers = self._keyed(select(*customer).select_from(keys.probing(t.customer, "id")), keys)
        versions, version = dialect.keys("versions", BigInteger(), Integer()), t.series_version.c
        source = versions.probing(t.series_version, "series_id", "version")
        self.terms = self._keyed(select(version.series_id, version.version, version.terms).select_from(source), versions)

    def _keyed(self, found: Select[Any], keys: Keys) -> Keyed:
        return Keyed(self._dialect, found, keys)


class FactReads:
    """Reads of one database, by any threads, with the terms that they have met; a version of terms never changes."""

    def __init__(self, dialect: Dialect) -> None:
        self._selects = _Selects(dialect)
        self._series: dict[tuple[int, int, int], Series] = {}

    def facts(self, tx: ReadTransaction, org_id: int, causes: Sequence[Cause], now_ms: int) -> Facts:
        """The facts about some causes; seven statements at most, fewer where there is nothing to ask."""
        ask = self._selects
        redemptions = {
            row[0]: _redemption(row) for row in _rows(ask.redemptions, tx, org_id, {each.redemption_id for each in causes})
        }
        coupon_ids = {coupon_id for cause in causes for coupon_id in cause.coupon_ids}
        coupon_ids.update(redemption.coupon_id for redemption in redemptions.values())
        coupons = {row[0]: ToldCoupon(*row) for row in _rows(ask.coupons, tx, org_id, coupon_ids)}
        told: list[ToldCoupon | ToldRedemption] = [*coupons.values(), *redemptions.values()]
        customer_ids = {cause.customer_id for cause in causes} | {each.customer_id for each in told}
        series_ids = {cause.series_id for cause in causes} | {each.series_id for each in told}
        till_ids = {coupon.issued_till_id for coupon in coupons.values()}
        till_ids.update(till_id for each in redemptions.values() for till_id in (each.till_id, each.reversed_till_id))
        return Facts(
            now_ms=now_ms,
            coupons=coupons,
            redemptions=redemptions,
            series=self._series_of(tx, org_id, series_ids),
            customers={row[0]: _customer(row) for row in _rows(ask.customers, tx, org_id, customer_ids)},
            tills={row[0]: ToldTill(*row) for row in _rows(ask.tills, tx, org_id, till_ids)},
            otps={row[0]: _otp(row) for row in _rows(ask.otps, tx, org_id, {cause.otp_id for cause in causes})},
        )

    def _series_of(self, tx: ReadTransaction, org_id: int, series_ids: Iterable[int | None]) -> Mapping[int, Series]:
        """Series under their current terms, those apart whose terms cannot be read."""
        cache = self._series
        versions: dict[int, int] = dict(_rows(self._selects.versions, tx, org_id, series_ids))
        known = {series_id: cache.get((org_id, series_id, version)) for series_id, version in versions.items()}
        missing = [(series_id, versions[series_id]) for series_id, series in known.items() if series is None]
        if len(cache) + len(missing) > SERIES_CACHE_MAX:
            cache.clear()
        for series_id, version, text in self._selects.terms.rows(tx, org_id, missing):
            if series := series_from_text(series_id, version, text):
                known[series_id] = cache[org_id, series_id, version] = series
        return {series_id: series for series_id, series in known.items() if series}


def _rows(asked: Keyed, tx: ReadTransaction, org_id: int, row_ids: Iterable[int | None]) -> list[Row]:
    return asked.rows(tx, org_id, [(row_id,) for row_id in sorted(row_id for row_id in row_ids if row_id is not None)])


def _redemption(row: Row) -> ToldRedemption:
    values: list[Any] = list(row)
    values[_AMOUNT] = None if row[_AMOUNT] is None else Decimal(row[_AMOUNT]) / MONEY_SCALE
    return ToldRedemption(*values)


def _customer(row: Row) -> ToldCustomer:
    return ToldCustomer(customer_from_row(row[:-1]), row[-1])


def _otp(row: Row) -> ToldOtp:
    otp_id, customer_id, sealed, message, expires_ms, used_ms = row
    return ToldOtp(otp_id, customer_id, sealed, msgspec.json.decode(message, type=Message), expires_ms, used_ms is not None)
