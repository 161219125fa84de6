"""The selects of a load, compiled once per dialect. Each takes one org and one list of keys, whatever the batch's size."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, Integer, Select, SelectBase, String, cast, func, literal, select, union_all

from couponry.store import schema as t
from couponry.store.dialect import Dialect, Keys, Read, Row, org_parameter
from couponry.store.engine import ReadTransaction
from couponry.store.rows import COUPON_COLUMNS, CUSTOMER_COLUMNS, LABEL_COLUMNS, ORG_COLUMNS

_IDENTIFIERS: Final = {
    "id": t.customer.c.id,
    "mobile": t.customer.c.mobile,
    "email": t.customer.c.email,
    "externalId": t.customer.c.external_id,
    "cardnumber": t.customer.c.card_number,
    "cardExternalId": t.customer.c.card_external_id,
}


@dataclass(frozen=True)
class Keyed:
    """A select and the list of keys that it is asked with."""

    read: Read
    keys: Keys

    def rows(self, tx: ReadTransaction, org_id: int, keys: Sequence[Row]) -> list[Row]:
        """The rows of one org for these keys; nothing is asked for none."""
        return tx.read(self.read, {"org": org_id, **self.keys.bound(keys)}) if keys else []


class Selects:
    """Every select of a load. The locking ones return rows in the order in which they lock them."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._customers: dict[tuple[str, ...], tuple[Read, tuple[Keys, ...]]] = {}
        self.org = dialect.read(select(*ORG_COLUMNS).where(t.org.c.id == org_parameter()))
        self.labels = dialect.read(select(*LABEL_COLUMNS).where(t.status_label.c.org_id == org_parameter()))
        self.coupons_by_id = self._coupons_with_series(self._ids(), "id")
        codes = dialect.keys("codes", String(), BigInteger())
        self.coupons_by_code = self._coupons_with_series(codes, "code_key", "holder_id", index="uq_coupon_code")
        self.locked_coupons = self._locked_coupons()
        self.terms = self._terms()
        self.standings = self._standings(is_locking=False)
        self.locked_standings = self._standings(is_locking=True)
        self.uses = self._uses()
        self.counters = self._counters(is_locking=False)
        self.locked_counters = self._counters(is_locking=True)
        self.members = self._members()
        self.answers = self._answers()
        self.reversed_ids = self._reversed_ids()

    def customers(self, tx: ReadTransaction, org_id: int, wanted: dict[str, set[str]]) -> list[Row]:
        """(kind, value, customer...) for the customers whom identifiers of several kinds mean, in one statement."""
        kinds = tuple(sorted(wanted))
        if kinds not in self._customers:
            self._customers[kinds] = self._customers_by(kinds)
        read, keys = self._customers[kinds]
        parameters: dict[str, Any] = {"org": org_id}
        for kind, listed in zip(kinds, keys, strict=True):
            parameters |= listed.bound([(int(value) if kind == "id" else value,) for value in sorted(wanted[kind])])
        return tx.read(read, parameters)

    def _customers_by(self, kinds: tuple[str, ...]) -> tuple[Read, tuple[Keys, ...]]:
        keys = tuple(self._dialect.keys(f"k_{kind}", _IDENTIFIERS[kind].type) for kind in kinds)
        arms = []
        for kind, listed in zip(kinds, keys, strict=True):
            column = _IDENTIFIERS[kind]
            source = listed.probing(t.customer, column.name, index="" if kind == "id" else f"uq_customer_{column.name}")
            arms.append(select(literal(kind, String), cast(column, String), *CUSTOMER_COLUMNS).select_from(source))
        return self._dialect.read(union_all(*arms)), keys

    def _coupons_with_series(self, keys: Keys, *names: str, index: str = "") -> Keyed:
        """Coupons with what decides about their series outside its terms: its version, and its campaign."""
        same_series = (t.series.c.org_id == t.coupon.c.org_id) & (t.series.c.id == t.coupon.c.series_id)
        same_campaign = (t.campaign.c.org_id == t.series.c.org_id) & (t.campaign.c.id == t.series.c.campaign_id)
        source = keys.probing(t.coupon, *names, index=index).join(t.series, same_series).outerjoin(t.campaign, same_campaign)
        found = select(*COUPON_COLUMNS, t.series.c.version, t.campaign.c.state, t.campaign.c.ends_ms)
        return self._keyed(found.select_from(source), keys)

    def _locked_coupons(self) -> Keyed:
        keys = self._ids()
        found = select(*COUPON_COLUMNS).select_from(keys.probing(t.coupon, "id")).order_by(t.coupon.c.id)
        return self._keyed(self._dialect.locked(found, t.coupon), keys)

    def _terms(self) -> Keyed:
        keys, version = self._dialect.keys("versions", BigInteger(), Integer()), t.series_version.c
        source = keys.probing(t.series_version, "series_id", "version")
        return self._keyed(select(version.series_id, version.version, version.terms).select_from(source), keys)

    def _standings(self, *, is_locking: bool) -> Keyed:
        keys, standing = self._pairs(), t.customer_series.c
        found = (
            select(standing.customer_id, standing.series_id, standing.redeemed, standing.uses, standing.last_redeemed_ms)
            .select_from(keys.probing(t.customer_series, "customer_id", "series_id"))
            .order_by(standing.customer_id, standing.series_id)
        )
        return self._keyed(self._dialect.locked(found, t.customer_series) if is_locking else found, keys)

    def _uses(self) -> Keyed:
        """Active redemptions per coupon and customer, by the customer's index: a public code has too many of its own."""
        keys, redemption = self._dialect.keys("triples", BigInteger(), BigInteger(), BigInteger()), t.redemption.c
        source = keys.probing(t.redemption, "customer_id", "series_id", "coupon_id", index="uq_redemption_customer_use")
        of_whom = (redemption.coupon_id, redemption.customer_id)
        found = select(*of_whom, func.count()).select_from(source).where(redemption.reversed_ms.is_(None)).group_by(*of_whom)
        return self._keyed(found, keys)

    def _counters(self, *, is_locking: bool) -> Keyed:
        keys, counter = self._ids(), t.series_counter.c
        found = (
            select(counter.series_id, counter.redeemed + counter.redeemed_elsewhere)
            .select_from(keys.probing(t.series_counter, "series_id"))
            .where(counter.stripe == t.CAPPED_STRIPE)
            .order_by(counter.series_id)
        )
        return self._keyed(self._dialect.locked(found, t.series_counter) if is_locking else found, keys)

    def _members(self) -> Keyed:
        keys, member = self._pairs(), t.series_audience.c
        source = keys.probing(t.series_audience, "series_id", "customer_id")
        return self._keyed(select(member.series_id, member.customer_id).select_from(source), keys)

    def _answers(self) -> Keyed:
        keys, kept = self._dialect.keys("digests", String()), t.idempotency.c
        found = select(kept.digest, kept.fingerprint, kept.created_ms, kept.answer)
        return self._keyed(found.select_from(keys.probing(t.idempotency, "digest")), keys)

    def _reversed_ids(self) -> Keyed:
        keys, redemption = self._ids(), t.redemption.c
        found = select(redemption.id).select_from(keys.probing(t.redemption, "id")).where(redemption.reversed_ms.is_not(None))
        return self._keyed(found, keys)

    def _ids(self) -> Keys:
        return self._dialect.keys("ids", BigInteger())

    def _pairs(self) -> Keys:
        return self._dialect.keys("pairs", BigInteger(), BigInteger())

    def _keyed(self, found: Select[Any] | SelectBase, keys: Keys) -> Keyed:
        return Keyed(self._dialect.read(found), keys)
