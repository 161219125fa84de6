"""The world as it was at an instant, for one coupon in one customer's hands at one till: what explain judges by.

Exact for any past instant are the terms, the coupon's issue and revocation, and every count, since versions are kept and
redemptions carry both their times. What is kept only as it is now (`AS_NOW`) is taken as it is now. The number of statements does
not depend on the data, and each finds its rows by key; a past count walks the redemptions of one coupon, or of one series since.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import BigInteger, ColumnElement, String, bindparam, case, func, literal, select, union_all

from couponry.core.codes import code_key, is_well_formed
from couponry.core.commands import Item
from couponry.core.explain import Asked, Found, as_it_was
from couponry.core.ids import is_coupon_id
from couponry.core.model import Coupon, Customer, Identifier, Org, Place, Standing
from couponry.core.problem import Problem
from couponry.core.series import Series
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store.engine import ReadTransaction
from couponry.store.places import sites
from couponry.store.registry import read_org
from couponry.store.rows import COUPON_COLUMNS, CUSTOMER_COLUMNS, coupon_from_row, customer_from_row, is_halted, series_from_text
from couponry.store.selects import IDENTIFIERS
from couponry.store.statements import org_parameter

AS_NOW: Final = "customers, audiences, tills and org settings, a campaign's pause, and a coupon's expiry are as they are now"
_ID_DIGITS_MAX: Final = 16
_COUPON_COLUMNS: Final = (*COUPON_COLUMNS, t.coupon.c.created_ms)
_DELETED_AT: Final = CUSTOMER_COLUMNS.index(t.customer.c.deleted_ms)
_ALWAYS_MS: Final = 2**62
"""Later than everything: counts at the present instant are over all rows."""


class Question(Struct, frozen=True):
    """What is to be explained, as it was asked. `name` is a code or a coupon id, `customer` what may be meant, likeliest first.

    The org needs no more than its id: it is read again. `now_ms` is the instant asked about, `at_ms` the redemption time sent
    then, `asked_ms` the present.
    """

    org: Org
    name: str
    customer: tuple[Identifier, ...]
    till_code: str
    asked_ms: int
    now_ms: int
    at_ms: int
    amount: Decimal | None = None
    transaction_number: str = ""


class Look(Struct, frozen=True):
    """What was found of a question."""

    asked: Asked
    world: Found


def look(tx: ReadTransaction, question: Question) -> Look | Code:
    """Read the world at the question's instant; 795 when the org cannot be used."""
    org = read_org(tx, question.org.id)
    return Code.ORG_MISCONFIGURED if isinstance(org, Problem) else _Look(tx, replace(question, org=org)).done()


class _Terms(NamedTuple):
    """A series as of the instant, and whether its campaign halted it."""

    series: Series | None
    is_halted: bool


class _Look:
    """One reading, in the order in which one thing leads to the next."""

    def __init__(self, tx: ReadTransaction, question: Question) -> None:
        self.tx = tx
        self.question = question
        self.is_past = question.now_ms < question.asked_ms
        self.until_ms = question.now_ms if self.is_past else _ALWAYS_MS
        self.made_ms: int | None = None

    def done(self) -> Look:
        question = self.question
        identifier, customer = self._customer()
        place, is_active = self._till()
        item, coupon, terms = self._coupon(customer.id if customer else 0)
        asked = Asked(
            question.org,
            item,
            (identifier,) if identifier else (),
            question.till_code,
            question.now_ms,
            question.at_ms,
            question.amount,
            question.transaction_number,
        )
        if coupon is None or terms is None:
            return Look(asked, Found(customer, place, is_active, made_ms=self.made_ms))
        standing, uses_by_customer = self._standing(coupon, customer)
        series_redeemed = self._series_redeemed(coupon.series_id)
        is_uncounted = terms.series is not None and terms.series.terms.max_redeem >= 0 and series_redeemed is None
        return Look(
            asked,
            Found(
                customer,
                place,
                is_active,
                coupon,
                None,
                None if is_uncounted else terms.series,
                terms.is_halted,
                self._is_in_audience(coupon.series_id, customer),
                standing,
                uses_by_customer,
                series_redeemed or 0,
            ),
        )

    def _rows(self, found: Any, **parameters: object) -> list[Any]:  # noqa: ANN401 - any select
        return self.tx.rows(found, {"org": self.question.org.id, **parameters})

    def _customer(self) -> tuple[Identifier | None, Customer | None]:
        """Whom the question means; a customer not yet deleted is not gone."""
        wanted = self.question.customer
        found = customer_meant(self.tx, self.question.org.id, wanted)
        if found is None:
            return (wanted[0] if wanted else None), None
        identifier, row = found
        if row[_DELETED_AT] is not None and row[_DELETED_AT] > self.until_ms:
            row[_DELETED_AT] = None
        return identifier, customer_from_row(row)

    def _till(self) -> tuple[Place | None, bool]:
        till, store = t.till.c, t.store.c
        in_store = (store.org_id == till.org_id) & (store.id == till.store_id)
        found = select(till.id, till.store_id, (till.is_active & store.is_active).label("is_active")).join_from(
            t.till, t.store, in_store
        )
        rows = self._rows(
            found.where(till.org_id == org_parameter(), till.code == bindparam("code")), code=self.question.till_code
        )
        if not rows:
            return None, False
        (row,) = rows
        return sites(self.tx, self.question.org, [row.store_id])[row.store_id].place(row.id), bool(row.is_active)

    def _coupon(self, customer_id: int) -> tuple[Item, Coupon | None, _Terms | None]:
        """By code, else by id; found as a redeem finds it. Its own count is that of the instant."""
        name = self.question.name
        rows = self._coded(code_key(name), customer_id) if is_well_formed(name) else []
        number = int(name) if name.isascii() and name.isdigit() and len(name) <= _ID_DIGITS_MAX else 0
        item = Item(code=name)
        if not rows and is_coupon_id(number):
            item = Item(coupon_id=number)
            found = select(*_COUPON_COLUMNS).where(t.coupon.c.org_id == org_parameter(), t.coupon.c.id == bindparam("id"))
            rows = self._rows(found, id=number)
            rows += self._coded(code_key(rows[0].code), customer_id) if rows else []
        there = self._there(rows)
        all_terms = self._terms({coupon.series_id for coupon in there})
        coupon = _found(item, there, customer_id, all_terms)
        if coupon is None:
            return item, None, None
        if self.is_past:
            coupon = replace(coupon, redeemed=self._redeemed(coupon.id))
        return item, coupon, all_terms[coupon.series_id]

    def _coded(self, key: str, customer_id: int) -> list[Any]:
        """All that have, or had, this code: its own rows, and the customer's own records."""
        return coupons_coded(self.tx, self.question.org.id, key, customer_id)

    def _there(self, rows: list[Any]) -> list[Coupon]:
        """Those that existed, as they were; of several with one code the live one last, before it the one revoked last."""
        question = self.question
        there = []
        for row in rows:
            if row.created_ms > self.until_ms:
                self.made_ms = min(self.made_ms or row.created_ms, row.created_ms)
                continue
            coupon = coupon_from_row(row)
            there.append(as_it_was(coupon, question.now_ms, question.asked_ms, row.revoked_ms) if self.is_past else coupon)
        return sorted(there, key=lambda coupon: (not coupon.is_revoked, coupon.id))

    def _terms(self, series_ids: set[int]) -> dict[int, _Terms]:
        """The terms in force at the instant: the latest version made by then; before the first, the first."""
        keys = self.tx.dialect.keys("ids", BigInteger())
        series, version, campaign = t.series.c, t.series_version.c, t.campaign.c
        earlier = t.series_version.alias("earlier").c
        made_by_then = (
            select(func.max(earlier.version))
            .where(
                earlier.org_id == org_parameter(),
                earlier.series_id == series.id,
                earlier.created_ms <= bindparam("until_ms"),
            )
            .scalar_subquery()
        )
        in_force: ColumnElement[int] = func.coalesce(made_by_then, 1) if self.is_past else series.version
        joined = (
            keys.probing(t.series, "id")
            .join(
                t.series_version,
                (version.org_id == series.org_id) & (version.series_id == series.id) & (version.version == in_force),
            )
            .outerjoin(t.campaign, (campaign.org_id == series.org_id) & (campaign.id == series.campaign_id))
        )
        found = select(series.id, version.version, version.terms, campaign.state, campaign.ends_ms).select_from(joined)
        wanted = keys.bound([(series_id,) for series_id in sorted(series_ids)])
        until = {"until_ms": self.until_ms} if self.is_past else {}
        return {
            row.id: _Terms(series_from_text(row.id, row.version, row.terms), self._is_halted(row.state, row.ends_ms))
            for row in self._rows(found, **wanted, **until)
        }

    def _is_halted(self, state: str | None, ends_ms: int | None) -> bool:
        """As a load says it; but a campaign that has ended since was not yet over."""
        now_ms = self.question.now_ms
        if self.is_past and state == "ENDED" and ends_ms is not None:
            return ends_ms < now_ms
        return is_halted(state, ends_ms, now_ms)

    def _is_in_audience(self, series_id: int, customer: Customer | None) -> bool:
        member = t.series_audience.c
        found = select(member.customer_id).where(
            member.org_id == org_parameter(), member.series_id == bindparam("series"), member.customer_id == bindparam("customer")
        )
        return customer is not None and bool(self._rows(found, series=series_id, customer=customer.id))

    def _standing(self, coupon: Coupon, customer: Customer | None) -> tuple[Standing, int]:
        """What the customer had done in the series by then, and how often with this coupon."""
        redemption = t.redemption.c
        found = select(
            func.count().label("redeemed"),
            func.max(redemption.redeemed_ms).label("last_ms"),
            func.sum(case((redemption.coupon_id == bindparam("coupon"), 1), else_=0)).label("by_coupon"),
        ).where(
            redemption.org_id == org_parameter(),
            redemption.customer_id == bindparam("customer"),
            redemption.series_id == bindparam("series"),
            _is_active_at(bindparam("until_ms")),
        )
        if customer is None:
            return Standing(), 0
        wanted = {"customer": customer.id, "series": coupon.series_id, "coupon": coupon.id, "until_ms": self.until_ms}
        (row,) = self._rows(found, **wanted)
        return Standing(row.redeemed, row.redeemed, row.last_ms), int(row.by_coupon or 0)

    def _redeemed(self, coupon_id: int) -> int:
        """The coupon's active redemptions at the instant."""
        keys = self.tx.dialect.keys("ids", BigInteger())
        source = keys.probing(t.redemption, "coupon_id", index="uq_redemption_use")
        found = select(func.count()).select_from(source).where(_is_active_at(bindparam("until_ms")))
        return int(self._rows(found, until_ms=self.until_ms, **keys.bound([(coupon_id,)]))[0][0])

    def _series_redeemed(self, series_id: int) -> int | None:
        """The series' active redemptions at the instant; None for a series without the counter that a cap needs (788)."""
        redeemed = redeemed_at(self.tx, self.question.org.id, series_id, self.until_ms)
        counter = t.series_counter.c
        capped = select(counter.stripe).where(
            counter.org_id == org_parameter(),
            counter.series_id == bindparam("series"),
            counter.stripe == t.CAPPED_STRIPE,
        )
        return redeemed if self._rows(capped, series=series_id) else None


def customer_meant(tx: ReadTransaction, org_id: int, wanted: Sequence[Identifier]) -> tuple[Identifier, list[Any]] | None:
    """The first of these identifiers that means somebody, and whom, by `CUSTOMER_COLUMNS`."""
    if not wanted:
        return None
    arms = [
        select(literal(at).label("at"), *CUSTOMER_COLUMNS).where(
            t.customer.c.org_id == org_parameter(), IDENTIFIERS[kind] == (int(value) if kind == "id" else value)
        )
        for at, (kind, value) in enumerate(wanted)
    ]
    rows = tx.rows(union_all(*arms), {"org": org_id})
    if not rows:
        return None
    at, *row = min(rows, key=lambda row: int(row[0]))
    return wanted[at], row


def coupons_coded(tx: ReadTransaction, org_id: int, key: str, customer_id: int) -> list[Any]:
    """The coupons that have, or had, this code: its own rows, and the customer's own records."""
    keys = tx.dialect.keys("codes", String(), BigInteger())
    found = select(*_COUPON_COLUMNS).select_from(keys.probing(t.coupon, "code_key", "holder_id", index="uq_coupon_code"))
    return tx.rows(found, {"org": org_id, **keys.bound(sorted({(key, 0), (key, customer_id)}))})


def redeemed_at(tx: ReadTransaction, org_id: int, series_id: int, until_ms: int) -> int:
    """A series' active redemptions at an instant: those of now, without those made since, with those reversed since.

    Counted from now backwards, in two ranges of an index, so that a long history costs nothing.
    """
    counter, redemption = t.series_counter.c, t.redemption.c
    of_series = (redemption.org_id == org_parameter()) & (redemption.series_id == bindparam("series"))
    now = select(func.coalesce(func.sum(counter.redeemed), 0)).where(
        counter.org_id == org_parameter(), counter.series_id == bindparam("series")
    )
    made = select(func.count()).where(of_series, redemption.redeemed_ms > bindparam("until_ms"))
    reversed_ = select(func.count()).where(
        of_series, redemption.reversed_ms.is_not(None), redemption.reversed_ms > bindparam("until_ms")
    )
    found = select(now.scalar_subquery(), made.scalar_subquery(), reversed_.scalar_subquery())
    ((redeemed, since, undone),) = tx.rows(found, {"org": org_id, "series": series_id, "until_ms": until_ms})
    return int(redeemed) - int(since) + int(undone)


def _is_active_at(until_ms: ColumnElement[int]) -> ColumnElement[bool]:
    redemption = t.redemption.c
    return (redemption.redeemed_ms <= until_ms) & (redemption.reversed_ms.is_(None) | (redemption.reversed_ms > until_ms))


def _found(item: Item, there: Sequence[Coupon], customer_id: int, all_terms: dict[int, _Terms]) -> Coupon | None:
    """As a redeem finds it: what names a shared code means the customer's own record of it, if there is one.

    The id of somebody else's record of a code open to any user names the code; otherwise it is somebody else's coupon (C9).
    """
    by_holder = {coupon.holder_id: coupon for coupon in there}
    by_id = next((coupon for coupon in there if coupon.id == item.coupon_id), None) if item.code is None else None
    if by_id and by_id.holder_id:
        series = all_terms[by_id.series_id].series
        if series is None or not series.terms.any_user:
            return by_id
    if customer_id and customer_id in by_holder:
        return by_holder[customer_id]
    is_named_by_code = item.code is not None or (by_id is not None and by_id.holder_id)
    return (by_holder.get(0) if is_named_by_code else None) or by_id
