"""Coupons of one series for thousands of customers in one transaction: load, judge (`core.bulk_issue`), write.

It runs beside the ledger, and meets it where two issues meet: a customer's counter. One that is there is locked, in the ledger's
order; of two that are not there yet, one collides, and his chunk is decided again. A series' counter is touched last, so that
it is not locked while a chunk is written; whoever was faster at the cap makes this chunk collide.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import Select, bindparam, case, select

from couponry.core import expiry
from couponry.core import ids as id_kinds
from couponry.core.bulk_issue import Held, Person, Supply, judged
from couponry.core.codes import code_key
from couponry.core.figures import Tally
from couponry.core.limits import EVENT_COUPONS_MAX
from couponry.core.model import Coupon, Handling, Org, Standing
from couponry.core.rules import issue as rules
from couponry.core.series import Series
from couponry.core.status import Code
from couponry.core.telling import Rank
from couponry.store import schema as t
from couponry.store.bulk.inserts import insert_alike
from couponry.store.counting import Counting
from couponry.store.dialect import Dialect, Trouble
from couponry.store.engine import Database, ReadTransaction, Stage, StoreError, WriteTransaction
from couponry.store.neighbours import commit_lazily, hold_customers
from couponry.store.rows import coupon_from_row, org_from_rows
from couponry.store.selects import IDENTIFIERS, STANDING_COLUMNS, Selects
from couponry.store.serials import COUPON, OUTBOX, reserve
from couponry.store.statements import Row, org_parameter

PERSON_COLUMNS: Final = (
    t.customer.c.id,
    t.customer.c.is_loyalty,
    t.customer.c.fraud_status,
    t.customer.c.status_label,
    case((t.customer.c.merged_into_id.is_not(None) | t.customer.c.deleted_ms.is_not(None), 1), else_=0),
    case(
        (t.customer.c.mobile.is_not(None), case((t.customer.c.unsubscribed.like("%SMS%"), 0), else_=1)),
        (t.customer.c.email.is_not(None), case((t.customer.c.unsubscribed.like("%EMAIL%"), 0), else_=1)),
        else_=0,
    ),
)
_GAPS_MAX: Final = 4
_STRIPE: Final = t.STRIPES - 1
"""Where bulk issues count an uncapped series."""


class Wanted(NamedTuple):
    """One coupon for one person; `code` is a code of its own, which nobody may have yet. Either all have one, or none has."""

    person: Person
    code: str | None = None


class Ids(Struct, frozen=True):
    """The first of the ids that a chunk may use: as many coupons as are wanted, and two events for each."""

    coupon: int
    event: int


class Order(Struct, frozen=True, kw_only=True):
    """How coupons are issued: when, at which till if any, under which request; whether webhooks and customers are told."""

    now_ms: int
    till_id: int | None
    request_id: str
    is_told: bool
    is_sent: bool


class Offered(Struct, frozen=True):
    """A series as a chunk sees it."""

    org: Org
    series: Series


class Issuer:
    """The statements of one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._selects = Selects(dialect)
        key = ("customer_id", "series_id")
        self._standings = dialect.update(t.customer_series, key=key, added=("issued",), assigned=("last_issued_ms",))
        self._standings_between = dialect.read(dialect.locked(_standings_between(), t.customer_series))
        self._given = dialect.update(
            t.coupon, key=("id",), added=(), assigned=("customer_id", "issued_ms", "expires_local", "issued_till_id")
        )
        added, latest = ("issued", "uploaded"), ("last_issued_ms",)
        self._counter = dialect.insert_or_add(t.series_counter, ("series_id", "stripe"), added, latest)
        columns = ("id", "event", "subject_id", "subject_ids", "customer_id", "request_id", "created_ms", "rank")
        self._outbox = dialect.insert(t.outbox, columns)
        self._counting = Counting(dialect)

    def offered(self, tx: ReadTransaction, org_id: int, series_id: int, now_ms: int) -> Offered | Code:
        """The series by its current terms, or the first of J1-J3 that refuses all of it."""
        (row,) = tx.read(self._selects.org, {"org": org_id})
        org = org_from_rows(row, tx.read(self._selects.labels, {"org": org_id}))
        if org is None:
            return Code.ORG_MISCONFIGURED
        found = self._selects.series_now(tx, org_id, series_id, now_ms)
        if found is None:
            return Code.UNKNOWN_SERIES
        series, is_halted = found
        if series is None:
            return Code.SERIES_UNREADABLE
        return rules.series_refusal(rules.Offering(series, is_halted, now_ms)) or Offered(org, series)

    def people(self, tx: ReadTransaction, org_id: int, kind: str, values: Sequence[Any]) -> dict[Any, Person]:
        """Whom these values of one kind of identifier mean; `values` are as they are stored."""
        column = IDENTIFIERS[kind]
        keys = tx.dialect.keys("wanted", column.type)
        source = keys.probing(t.customer, column.name, index="" if kind == "id" else f"uq_customer_{column.name}")
        bound = {org_parameter().key: org_id, **keys.bound([(value,) for value in dict.fromkeys(values)])}
        return {value: Person._make(row) for value, *row in tx.rows(select(column, *PERSON_COLUMNS).select_from(source), bound)}

    def issue(
        self,
        tx: WriteTransaction,
        offered: Offered,
        wanted: Sequence[Wanted],
        codes: Sequence[str],
        ids: Ids,
        order: Order,
    ) -> list[Code | None]:
        """For each wanted coupon, in order, None once it is issued, else why it is not (J4-J11).

        `codes` are what a generated series may use; it takes the first ones. Raises StoreError (a conflict) when somebody else
        was faster somewhere; `is_code_taken` says that it was a code.
        """
        org, series = offered.org, offered.series
        tx.stage = Stage.COUPONS
        hold_customers(tx, org.id)
        pool = self._pool(tx, offered, len(wanted), order) if _takes_from_pool(series, wanted) else []
        held = self._held(tx, offered, sorted({each.person.customer_id for each in wanted}), order.now_ms)
        before = dict(held.standings)
        supply = Supply(self._room(tx, offered), _supplied(series, wanted, codes, pool))
        own = [code_key(each.code) for each in wanted if each.code is not None]
        refusals = judged(org, series, order.now_ms, [each.person for each in wanted], held, supply, own)
        issued = [each for each, refused in zip(wanted, refusals, strict=True) if refused is None]
        if issued:
            coupon_ids = self._write_coupons(tx, offered, issued, codes, pool, ids, order)
            tx.stage = Stage.COUNTERS
            self._write_counts(tx, offered, issued, before, held)
            tx.stage = Stage.OUTBOX
            self._write_events(tx, offered, issued, coupon_ids, ids, order)
            tally = Tally(org.zone)
            tally.count("issued", order.now_ms, series.id, None, len(issued))
            self._counting.add(tx, org.id, tally)
        return refusals

    def _pool(self, tx: WriteTransaction, offered: Offered, most: int, order: Order) -> list[Coupon]:
        """The oldest codes that nobody has; what others have locked is waited for only when it is needed."""
        series = offered.series
        now_local = expiry.local_time(order.now_ms // 1000, series.zone).replace(tzinfo=None).isoformat()
        key = [(series.id, most, now_local)]
        rows = self._selects.free_pools.read, self._selects.free_pools.keys
        parameters = {"org": offered.org.id, "most": most}
        found = tx.read(rows[0], parameters | rows[1].bound(key))
        if len(found) < most and tx.dialect.locks_rows:
            found = tx.read(self._selects.locked_pools.read, parameters | self._selects.locked_pools.keys.bound(key))
        return [coupon_from_row(row) for row in sorted(found)]

    def _held(self, tx: WriteTransaction, offered: Offered, customer_ids: Sequence[int], now_ms: int) -> Held:
        """What these customers have and had; those who stand for anything in the series are locked."""
        org_id, series, select_ = offered.org.id, offered.series, self._selects
        pairs = [(customer_id, series.id) for customer_id in customer_ids]
        held = Held()
        for customer_id, _, redeemed, uses, last_ms, issued, issued_ms in self._locked_standings(tx, org_id, pairs):
            held.standings[customer_id] = Standing(redeemed, uses, last_ms, True, issued, issued_ms)
        if not rules.may_hold_several(series):
            now_local = expiry.local_time(now_ms // 1000, series.zone).replace(tzinfo=None).isoformat()
            keys = [(customer_id, series.id, now_local, 1) for customer_id in sorted(held.standings)]
            held.holders = {row[4] for row in select_.live_coupons.first_rows(tx, org_id, keys)}
        if series.exclusions:
            if tx.dialect.locks_rows:  # of two series that exclude each other, two issues would not see each other's coupon
                select_.locked_customers.rows(tx, org_id, [(customer_id,) for customer_id in customer_ids])
            others = sorted((customer_id, other) for customer_id in customer_ids for other in series.exclusions)
            for customer_id, _, at_ms in select_.received.rows(tx, org_id, others):
                held.excluded_ms[customer_id] = max(at_ms or 0, held.excluded_ms.get(customer_id, 0))
        if series.terms.has_audience:
            members = select_.members.rows(tx, org_id, sorted((series.id, customer_id) for customer_id in customer_ids))
            held.members = frozenset(customer_id for _, customer_id in members)
        return held

    def _locked_standings(self, tx: WriteTransaction, org_id: int, pairs: Sequence[tuple[int, int]]) -> list[Row]:
        """By one walk over the customers where they follow one another, else each by its key."""
        if not pairs or pairs[-1][0] - pairs[0][0] >= _GAPS_MAX * len(pairs):
            return self._selects.locked_standings.rows(tx, org_id, pairs)
        window = {"series": pairs[0][1], "first": pairs[0][0], "last": pairs[-1][0]}
        return tx.read(self._standings_between, {"org": org_id, **window})

    def _room(self, tx: WriteTransaction, offered: Offered) -> int | None:
        cap = offered.series.terms.max_create
        if cap < 0:
            return None
        for _, _, issued in self._selects.counters.rows(tx, offered.org.id, [(offered.series.id,)]):
            return max(0, cap - int(issued))
        raise StoreError(Trouble.BROKEN, Stage.COUNTERS, "a capped series has no counter")

    def _write_coupons(
        self,
        tx: WriteTransaction,
        offered: Offered,
        issued: Sequence[Wanted],
        codes: Sequence[str],
        pool: Sequence[Coupon],
        ids: Ids,
        order: Order,
    ) -> list[int]:
        """The coupons, with their ids."""
        org, series, now_ms = offered.org, offered.series, order.now_ms
        today = expiry.local_time(now_ms // 1000, org.zone).date()
        expires = expiry.new_coupon_expiry(series.terms, today, series.expires_local)
        if pool:
            given = [(coupon, each.person.customer_id) for coupon, each in zip(pool, issued, strict=False)]
            rows = [(who, now_ms, coupon.expires_local or expires, order.till_id, coupon.id) for coupon, who in given]
            tx.write(self._given, org.id, rows)
            return [coupon.id for coupon, _ in given]
        people = [each.person.customer_id for each in issued]
        coupon_ids = range(ids.coupon, ids.coupon + len(issued))
        alike = {
            "org_id": org.id,
            "series_id": series.id,
            "issued_ms": now_ms,
            "expires_local": expires,
            "issued_till_id": order.till_id,
            "created_ms": now_ms,
        }
        if series.terms.client_handling_type is Handling.SHARED:
            code = series.terms.generic_code or ""
            shared = {"code": code, "code_key": code_key(code), **alike}
            records = sorted(zip(people, people, coupon_ids, strict=True))  # as the ledger: two who insert alike wait in line
            insert_alike(tx, t.coupon, ("holder_id", "customer_id", "id"), records, shared)
        else:
            own = [each.code for each in issued if each.code is not None]
            texts = own or codes[: len(issued)]
            rows_new = sorted(zip(map(code_key, texts), texts, people, coupon_ids, strict=True))
            insert_alike(tx, t.coupon, ("code_key", "code", "customer_id", "id"), rows_new, alike)
        return list(coupon_ids)

    def _write_counts(
        self,
        tx: WriteTransaction,
        offered: Offered,
        issued: Sequence[Wanted],
        before: Mapping[int, Standing],
        held: Held,
    ) -> None:
        org_id, series = offered.org.id, offered.series
        receivers = sorted({each.person.customer_id for each in issued})
        known = [customer_id for customer_id in receivers if customer_id in before]
        rows = []
        for customer_id in known:
            now = held.standings[customer_id]
            rows.append((now.issued - before[customer_id].issued, now.last_issued_ms, customer_id, series.id))
        tx.write(self._standings, org_id, rows)
        new = [customer_id for customer_id in receivers if customer_id not in before]
        stood = [
            (customer_id, held.standings[customer_id].issued, held.standings[customer_id].last_issued_ms) for customer_id in new
        ]
        columns = ("customer_id", "issued", "last_issued_ms")
        insert_alike(tx, t.customer_series, columns, stood, {"org_id": org_id, "series_id": series.id})
        uploaded = sum(each.code is not None for each in issued)
        stripe = t.CAPPED_STRIPE if series.terms.max_create >= 0 or uploaded else _STRIPE
        last_ms = max(held.standings[customer_id].last_issued_ms or 0 for customer_id in receivers)
        tx.write(self._counter, org_id, [(series.id, stripe, len(issued), uploaded, last_ms)])

    def _write_events(
        self,
        tx: WriteTransaction,
        offered: Offered,
        issued: Sequence[Wanted],
        coupon_ids: Sequence[int],
        ids: Ids,
        order: Order,
    ) -> None:
        """One event for hundreds of coupons, and one message for each customer who can be reached."""
        event_ids = count(ids.event)
        rows: list[Row] = []
        told = (order.request_id, order.now_ms, Rank.LATER.value)
        if order.is_told:
            for first in range(0, len(coupon_ids), EVENT_COUPONS_MAX):
                part = coupon_ids[first : first + EVENT_COUPONS_MAX]
                listed = msgspec.json.encode(part).decode() if len(part) > 1 else None
                only = issued[first].person.customer_id if len(part) == 1 else None
                rows.append((next(event_ids), "CouponIssue", part[0], listed, only, *told))
        if order.is_sent and not offered.series.terms.is_sms_disabled:
            received: dict[int, list[int]] = {}
            for each, coupon_id in zip(issued, coupon_ids, strict=True):
                if each.person.is_reachable:
                    received.setdefault(each.person.customer_id, []).append(coupon_id)
            for customer_id, theirs in received.items():
                listed = msgspec.json.encode(theirs).decode() if len(theirs) > 1 else None
                rows.append((next(event_ids), "IssueMessage", theirs[0], listed, customer_id, *told))
        tx.write(self._outbox, offered.org.id, rows)


def _standings_between() -> Select[Any]:
    standing = t.customer_series.c
    theirs = standing.customer_id.between(bindparam("first"), bindparam("last"))
    of_series = (standing.org_id == org_parameter(), theirs, standing.series_id == bindparam("series"))
    return select(*STANDING_COLUMNS).where(*of_series).order_by(standing.customer_id)


def ids_ahead(database: Database, org_id: int, coupons: int) -> Callable[[WriteTransaction], Ids]:
    """Ids for a chunk, which gets them in its transaction.

    On PostgreSQL they are reserved now: the row that hands them out must not stay locked meanwhile. It need not wait for the
    disk: whatever uses them is committed after it. SQLite has one lock, and would pay for a commit more.
    """
    if database.is_sqlite:
        return lambda tx: _reserved(tx, org_id, coupons)
    with database.writing() as tx:
        commit_lazily(tx)
        ids = _reserved(tx, org_id, coupons)
    return lambda _: ids


def _reserved(tx: WriteTransaction, org_id: int, coupons: int) -> Ids:
    coupon = id_kinds.first_id(id_kinds.COUPON, org_id, reserve(tx, org_id, COUPON, coupons))
    return Ids(coupon, id_kinds.first_id(id_kinds.REDEMPTION, org_id, reserve(tx, org_id, OUTBOX, 2 * coupons)))


def taken_codes(tx: ReadTransaction, org_id: int, codes: Sequence[str]) -> set[str]:
    """Those of these codes that some coupon has or had."""
    keys = {code_key(code): code for code in codes}
    rows = Selects(tx.dialect).taken_codes.rows(tx, org_id, [(key,) for key in sorted(keys)])
    return {keys[key] for (key,) in rows}


def _takes_from_pool(series: Series, wanted: Sequence[Wanted]) -> bool:
    return series.terms.client_handling_type is Handling.UPLOADED and any(each.code is None for each in wanted)


def _supplied(series: Series, wanted: Sequence[Wanted], codes: Sequence[str], pool: Sequence[Coupon]) -> int:
    match series.terms.client_handling_type:
        case Handling.GENERATED:
            return len(codes)
        case Handling.UPLOADED:
            return len(pool) if _takes_from_pool(series, wanted) else len(wanted)
        case Handling.SHARED:
            return len(wanted)
