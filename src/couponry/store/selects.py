"""The selects of a load, compiled once per dialect. Each takes one org and one list of keys, whatever the batch's size."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    Select,
    SelectBase,
    String,
    cast,
    func,
    literal,
    select,
    union_all,
)

from couponry.core.limits import REVOKE_COUPONS_MAX
from couponry.core.series import Series
from couponry.core.validation import COUPON
from couponry.store import schema as t
from couponry.store.dialect import Dialect, Locking
from couponry.store.engine import ReadTransaction
from couponry.store.rows import (
    COUPON_COLUMNS,
    CUSTOMER_COLUMNS,
    LABEL_COLUMNS,
    ORG_COLUMNS,
    REDEMPTION_COLUMNS,
    is_halted,
    series_from_text,
)
from couponry.store.statements import Keys, Read, Row, org_parameter

IDENTIFIERS: Final = {
    "id": t.customer.c.id,
    "mobile": t.customer.c.mobile,
    "email": t.customer.c.email,
    "externalId": t.customer.c.external_id,
    "cardnumber": t.customer.c.card_number,
    "cardExternalId": t.customer.c.card_external_id,
}
"""What customers are named by, as a command names its kind."""

STANDING_COLUMNS: Final = (
    t.customer_series.c.customer_id,
    t.customer_series.c.series_id,
    t.customer_series.c.redeemed,
    t.customer_series.c.uses,
    t.customer_series.c.last_redeemed_ms,
    t.customer_series.c.issued,
    t.customer_series.c.last_issued_ms,
)
_HEAD_COLUMNS: Final = (t.series.c.version, t.campaign.c.state, t.campaign.c.ends_ms)


@dataclass(frozen=True)
class Keyed:
    """A select and the list of keys that it is asked with; compiled when it is first asked."""

    dialect: Dialect
    found: Select[Any] | SelectBase
    keys: Keys

    @cached_property
    def read(self) -> Read:
        """The select as its database has it."""
        return self.dialect.read(self.found)

    def rows(self, tx: ReadTransaction, org_id: int, keys: Sequence[Row]) -> list[Row]:
        """The rows of one org for these keys; nothing is asked for none."""
        return tx.read(self.read, {"org": org_id, **self.keys.bound(keys)}) if keys else []

    def first_rows(self, tx: ReadTransaction, org_id: int, keys: Sequence[Row]) -> list[Row]:
        """The same where each key ends with how many rows it asks for; there may be as many as any of them asks for."""
        most = max((key[-1] for key in keys), default=0)
        return tx.read(self.read, {"org": org_id, "most": most, **self.keys.bound(keys)}) if keys else []


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
        self.validation_codes = self._validation_codes(is_locking=False)
        self.locked_validation_codes = self._validation_codes(is_locking=True)
        self.missed_calls = self._missed_calls(is_locking=False)
        self.locked_missed_calls = self._missed_calls(is_locking=True)
        self.uses = self._uses()
        self.counters = self._counters(is_locking=False)
        self.locked_counters = self._counters(is_locking=True)
        self.members = self._members()
        self.answers = self._answers()
        self.undone_ids = self._undone_ids()
        self.heads = self._heads()
        self.live_coupons = self._live_coupons()
        self.locked_customers = self._locked_customers()
        self.received = self._received()
        self.free_pools = self._pools("skips")
        self.locked_pools = self._pools("waits")
        self.taken_codes = self._taken_codes()
        self.redemptions = self._redemptions()
        self.active_redemptions = self._active_redemptions()
        self.unredeemed = self._unredeemed()

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

    def series_now(self, tx: ReadTransaction, org_id: int, series_id: int, now_ms: int) -> tuple[Series | None, bool] | None:
        """A series by its current terms (None: unusable), and whether its campaign is over or paused; None without a series."""
        for _, version, campaign_state, campaign_ends_ms in self.heads.rows(tx, org_id, [(series_id,)]):
            ((*_, text),) = self.terms.rows(tx, org_id, [(series_id, version)])
            return series_from_text(series_id, version, text), is_halted(campaign_state, campaign_ends_ms, now_ms)
        return None

    def _customers_by(self, kinds: tuple[str, ...]) -> tuple[Read, tuple[Keys, ...]]:
        keys = tuple(self._dialect.keys(f"k_{kind}", IDENTIFIERS[kind].type) for kind in kinds)
        arms = []
        for kind, listed in zip(kinds, keys, strict=True):
            column = IDENTIFIERS[kind]
            source = listed.probing(t.customer, column.name, index="" if kind == "id" else f"uq_customer_{column.name}")
            arms.append(select(literal(kind, String), cast(column, String), *CUSTOMER_COLUMNS).select_from(source))
        return self._dialect.read(union_all(*arms)), keys

    def _coupons_with_series(self, keys: Keys, *names: str, index: str = "") -> Keyed:
        """Coupons with what decides about their series outside its terms: its version, and its campaign."""
        same_series = (t.series.c.org_id == t.coupon.c.org_id) & (t.series.c.id == t.coupon.c.series_id)
        same_campaign = (t.campaign.c.org_id == t.series.c.org_id) & (t.campaign.c.id == t.series.c.campaign_id)
        source = keys.probing(t.coupon, *names, index=index).join(t.series, same_series).outerjoin(t.campaign, same_campaign)
        found = select(*COUPON_COLUMNS, *_HEAD_COLUMNS)
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
            select(*STANDING_COLUMNS)
            .select_from(keys.probing(t.customer_series, "customer_id", "series_id"))
            .order_by(standing.customer_id, standing.series_id)
        )
        return self._keyed(self._dialect.locked(found, t.customer_series) if is_locking else found, keys)

    def _validation_codes(self, *, is_locking: bool) -> Keyed:
        """What customers were sent to redeem coupons with and have not used, still good at an instant."""
        keys, otp = self._pairs(), t.otp.c
        found = (
            select(otp.customer_id, otp.id, otp.mac, otp.expires_ms, otp.wrong_tries)
            .select_from(keys.probing(t.otp, "customer_id", index="ix_otp_customer"))
            .where(otp.expires_ms > keys.columns[1], otp.scope == COUPON, otp.used_ms.is_(None))
            .order_by(otp.id)
        )
        return self._keyed(self._dialect.locked(found, t.otp) if is_locking else found, keys)

    def _missed_calls(self, *, is_locking: bool) -> Keyed:
        """Calls of customers since an instant that stand for no redemption yet."""
        keys, call = self._pairs(), t.missed_call.c
        found = (
            select(call.customer_id, call.id, call.called_ms)
            .select_from(keys.probing(t.missed_call, "customer_id", index="ix_missed_call_customer"))
            .where(call.called_ms > keys.columns[1], call.used_ms.is_(None))
            .order_by(call.id)
        )
        return self._keyed(self._dialect.locked(found, t.missed_call) if is_locking else found, keys)

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
            select(counter.series_id, counter.redeemed + counter.redeemed_elsewhere, counter.issued + counter.issued_elsewhere)
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

    def _undone_ids(self) -> Keyed:
        """Those of the redemptions that were reversed, or returned without their use coming back."""
        keys, redemption = self._ids(), t.redemption.c
        found = select(redemption.id).select_from(keys.probing(t.redemption, "id"))
        return self._keyed(found.where(redemption.reversed_ms.is_not(None) | redemption.reversal_reason.is_not(None)), keys)

    def _heads(self) -> Keyed:
        """What decides about series outside their terms: version and campaign."""
        keys = self._ids()
        same_campaign = (t.campaign.c.org_id == t.series.c.org_id) & (t.campaign.c.id == t.series.c.campaign_id)
        source = keys.probing(t.series, "id").outerjoin(t.campaign, same_campaign)
        return self._keyed(select(t.series.c.id, *_HEAD_COLUMNS).select_from(source), keys)

    def _live_coupons(self) -> Keyed:
        """The last issued coupons of customers in series that are neither revoked, redeemed nor expired by the series' clock; own
        records of a shared code whatever became of them. Up to a number for each.
        """
        keys, coupon = self._dialect.keys("held", BigInteger(), BigInteger(), String(), Integer()), t.coupon.c
        customer_id, series_id, now_local, most = keys.columns
        is_unexpired = coupon.expires_local.is_(None) | (coupon.expires_local >= now_local)
        is_live = (coupon.holder_id != 0) | ((coupon.redeemed == 0) & is_unexpired)
        return self._last_issued(keys, COUPON_COLUMNS, _is_held(customer_id, series_id) & is_live, most)

    def _locked_customers(self) -> Keyed:
        keys, customer = self._ids(), t.customer.c
        found = select(customer.id).select_from(keys.probing(t.customer, "id")).order_by(customer.id)
        return self._keyed(self._dialect.locked(found, t.customer), keys)

    def _received(self) -> Keyed:
        """When customers last were issued a coupon of series, revoked ones apart."""
        keys, coupon = self._pairs(), t.coupon.c
        return self._last_issued(keys, (coupon.customer_id, coupon.series_id, coupon.issued_ms), _is_held(*keys.columns), 1)

    def _last_issued(
        self, keys: Keys, columns: Sequence[Column[Any]], condition: ColumnElement[bool], most: ColumnElement[int] | int
    ) -> Keyed:
        latest = (t.coupon.c.issued_ms.desc(), t.coupon.c.id.desc())
        found = self._dialect.first_of_each(keys, columns, condition, most, index="ix_coupon_customer", order=latest)
        return self._keyed(found, keys)

    def _pools(self, locking: Locking) -> Keyed:
        """The oldest codes of series that nobody has, no bearer has redeemed, and that have not expired by the series' clock; up
        to a number for each.
        """
        keys, coupon = self._dialect.keys("pools", BigInteger(), Integer(), String()), t.coupon.c
        series_id, most, now_local = keys.columns
        in_pool = (coupon.series_id == series_id) & coupon.issued_ms.is_(None) & coupon.revoked_ms.is_(None)
        is_usable = (coupon.redeemed == 0) & (coupon.expires_local.is_(None) | (coupon.expires_local >= now_local))
        is_free = (coupon.org_id == org_parameter()) & in_pool & is_usable
        return self._keyed(
            self._dialect.first_of_each(keys, COUPON_COLUMNS, is_free, most, index="ix_coupon_pool", locking=locking), keys
        )

    def _taken_codes(self) -> Keyed:
        """Those of the codes that some coupon has or had."""
        keys = self._dialect.keys("codes", String())
        source = keys.probing(t.coupon, "code_key", index="uq_coupon_code")
        return self._keyed(select(t.coupon.c.code_key).select_from(source), keys)

    def _redemptions(self) -> Keyed:
        keys = self._ids()
        found = select(*REDEMPTION_COLUMNS).select_from(keys.probing(t.redemption, "id")).order_by(t.redemption.c.id)
        return self._keyed(self._dialect.locked(found, t.redemption), keys)

    def _active_redemptions(self) -> Keyed:
        """The latest active redemptions of customers in series, up to a number for each. By their times: a merge numbers anew."""
        keys, redemption = self._dialect.keys("pairs", BigInteger(), BigInteger(), Integer()), t.redemption.c
        customer_id, series_id, most = keys.columns
        of_pair = (redemption.customer_id == customer_id) & (redemption.series_id == series_id)
        is_active = (redemption.org_id == org_parameter()) & of_pair & redemption.reversed_ms.is_(None)
        columns = (redemption.customer_id, redemption.series_id, redemption.id, redemption.redeemed_ms)
        latest, index = (redemption.redeemed_ms.desc(), redemption.id.desc()), "uq_redemption_customer_use"
        return self._keyed(self._dialect.first_of_each(keys, columns, is_active, most, index=index, order=latest), keys)

    def _unredeemed(self) -> Keyed:
        """The ids of what customers hold of series and have not redeemed, one more than may be revoked at once."""
        keys, coupon = self._pairs(), t.coupon.c
        is_free = _is_held(*keys.columns) & (coupon.redeemed == 0)
        named = (coupon.customer_id, coupon.series_id, coupon.id)
        return self._keyed(
            self._dialect.first_of_each(keys, named, is_free, REVOKE_COUPONS_MAX + 1, index="ix_coupon_customer"),
            keys,
        )

    def _ids(self) -> Keys:
        return self._dialect.keys("ids", BigInteger())

    def _pairs(self) -> Keys:
        return self._dialect.keys("pairs", BigInteger(), BigInteger())

    def _keyed(self, found: Select[Any] | SelectBase, keys: Keys) -> Keyed:
        return Keyed(self._dialect, found, keys)


def _is_held(customer_id: ColumnElement[int], series_id: ColumnElement[int]) -> ColumnElement[bool]:
    coupon = t.coupon.c
    is_theirs = (coupon.org_id == org_parameter()) & (coupon.customer_id == customer_id) & (coupon.series_id == series_id)
    return is_theirs & coupon.revoked_ms.is_(None)
