"""Redemptions made elsewhere, recorded in bulk: loaded and locked as the ledger does, and judged by its guards.

What a redeem reads is read by the ledger's own steps (`store.batch`), so that an import and a till can never both take what a
limit leaves to one of them.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, String, select

from couponry.core import ids, redeeming
from couponry.core.codes import code_key
from couponry.core.commands import Redeem
from couponry.core.fold import Fold
from couponry.core.model import Handling, Org, Place
from couponry.core.plan import NewCoupon
from couponry.core.problem import Problem
from couponry.core.redeemed_rows import Recording, Told, Use, told_by_import
from couponry.core.state import State
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store import serials
from couponry.store.batch import Batch, Versions
from couponry.store.bulk import Cells
from couponry.store.bulk.inserts import insert_many
from couponry.store.counting import Counting, tallied
from couponry.store.dialect import Dialect
from couponry.store.engine import Stage, WriteTransaction
from couponry.store.rows import REDEMPTION_MADE, redemption_row
from couponry.store.selects import Keyed, Selects
from couponry.store.statements import Row

_ANY_MS: Final = 2**63 - 1
_UTC: Final = ZoneInfo("UTC")
_IN_HAND: Final = ("customer_id", "issued_ms", "expires_local", "issued_by_redemption", "issued_till_id")
_UNKNOWN_TILL: Final = Problem(Code.INVALID_INPUT.number, Code.INVALID_INPUT.message, "the org has no such till")
_MISCONFIGURED: Final = Problem(Code.ORG_MISCONFIGURED.number, Code.ORG_MISCONFIGURED.message)


@dataclass(slots=True)
class Look:
    """What chunks of a dry run have taken so far: the rows as they would be then, and what would be recorded."""

    taken: tuple[State, set[Use]] | None = None


class Recorder:
    """Records what is told of redemptions, in a number of statements that does not depend on how many they are."""

    def __init__(self, dialect: Dialect) -> None:
        self._selects = Selects(dialect)
        self._versions = Versions()
        self._made_with_coupon = _made(dialect, "uq_redemption_use", "coupon_id", "customer_id")
        self._made_by_customer = _made(dialect, "uq_redemption_customer_use", "customer_id", "series_id", "coupon_id")
        self._new_coupons = dialect.insert(
            t.coupon,
            ("id", "series_id", "code", "code_key", "holder_id", *_IN_HAND, "redeemed", "uses", "created_ms"),
        )
        self._given_coupons = dialect.update(t.coupon, key=("id",), added=(), assigned=_IN_HAND)
        self._coupon_uses = dialect.update(t.coupon, key=("id",), added=("redeemed", "uses"), assigned=())
        key, added = ("customer_id", "series_id"), ("redeemed", "uses")
        self._standings = dialect.update(t.customer_series, key=key, added=added, assigned=("last_redeemed_ms",))
        self._new_standings = dialect.insert_about_customers(t.customer_series, (*added, "last_redeemed_ms", *key))
        self._counters = dialect.insert_or_add(
            t.series_counter, key=("series_id", "stripe"), added=("redeemed",), latest=("last_redeemed_ms",)
        )
        self._counting = Counting(dialect)

    def record(
        self,
        tx: WriteTransaction,
        org_id: int,
        told: Sequence[Told],
        now_ms: int,
        *,
        request_id: str,
        series_id: int | None = None,
        look: Look | None = None,
    ) -> list[Problem | None]:
        """Record each that may be, in this order, and say of the others why not. Of a series alone, if one is given.

        A `look` keeps what is taken, which may be undone. Where it kept something before, that counts, and nothing is written.
        Raises StoreError when somebody was in the way.
        """
        places = _places(tx, org_id, {each.till for each in told})
        claims = [each.claim(org_id, places[each.till], request_id) if each.till in places else None for each in told]
        sound = [(each, claim) for each, claim in zip(told, claims, strict=True) if claim]
        batch, org = self._loaded(tx, org_id, [claim for _, claim in sound], now_ms)
        if org is None:
            return [_MISCONFIGURED for _ in told]
        state, made = batch.state, self._recorded_before(batch, [each for each, _ in sound])
        goes_on = look is not None and look.taken is not None
        if look and look.taken:
            state, made = _joined(look.taken, state, made)
        else:
            self._reserve_ids(tx, org_id, state, len(sound))
        if look:
            look.taken = state, made
        recording = Recording(state, org, made, series_id)
        problems = [recording.take(each, claim) if claim else _UNKNOWN_TILL for each, claim in zip(told, claims, strict=True)]
        if not goes_on:
            self._write(tx, org_id, state, recording)
        return problems

    def _loaded(self, tx: WriteTransaction, org_id: int, claims: Sequence[Redeem], now_ms: int) -> tuple[Batch, Org | None]:
        """What a batch of redeems would read and lock, in the ledger's order (`store.load`)."""
        batch = Batch(self._selects, self._versions, tx, org_id, claims)
        org = batch.org()
        batch.state = State(now_ms, org, iter(()), iter(()))
        if org:
            tx.stage = Stage.CUSTOMERS
            batch.customers()
            tx.stage = Stage.COUPONS
            batch.coupons(())
            tx.stage = Stage.COUNTERS
            batch.standings()
            self._lock_counters(batch)
            tx.stage = Stage.COUPONS
        return batch, org

    def _lock_counters(self, batch: Batch) -> None:
        """Of all series, capped or not: each is counted on the same stripe afterwards, and locks are taken in one order."""
        state = batch.state
        wanted = sorted({coupon.series_id for coupon, _ in batch.shown})
        rows = self._selects.locked_counters.rows(batch.tx, batch.org_id, [(each,) for each in wanted])
        state.series_redeemed = {series_id: redeemed for series_id, redeemed, _ in rows}
        for series_id in wanted:
            series = state.series[series_id]
            if series and series.terms.max_redeem >= 0 and series_id not in state.series_redeemed:
                state.series[series_id] = None

    def _recorded_before(self, batch: Batch, claimed: Sequence[Told]) -> set[Use]:
        """Which of these are recorded already; and how often customers have used coupons, into the state, where that counts.

        Asked with the coupon or with the customer, whichever has fewer redemptions: a public code may have millions, and so may
        the customer who stands for everybody unknown.
        """
        state, fold = batch.state, Fold(batch.state)
        if not any(coupon.uses for coupon in state.coupons.values()):
            return set()
        spans: dict[tuple[int, int, int], tuple[int, int]] = {}
        for told in claimed:
            customer = state.customers.get(told.customer) if told.customer else None
            coupon = redeeming.find(fold, told.item, customer)
            series = state.series[coupon.series_id] if coupon else None
            if customer is None or coupon is None or series is None or not coupon.uses:
                continue
            is_once_each = series.terms.is_multiple_use_allowed and not series.terms.same_user_multiple_redeem
            key = coupon.id, customer.id, coupon.series_id
            since, until = spans.get(key, (told.redeemed_ms, told.redeemed_ms))
            spans[key] = (0, _ANY_MS) if is_once_each else (min(since, told.redeemed_ms), max(until, told.redeemed_ms))
        with_coupon, by_customer = [], []
        for (coupon_id, customer_id, series_id), span in sorted(spans.items()):
            standing = state.standings.get((customer_id, series_id))
            if standing and state.coupons[coupon_id].uses <= standing.uses:
                with_coupon.append((coupon_id, customer_id, *span))
            elif standing:
                by_customer.append((customer_id, series_id, coupon_id, *span))
        rows = self._made_with_coupon.rows(batch.tx, batch.org_id, with_coupon)
        rows += self._made_by_customer.rows(batch.tx, batch.org_id, by_customer)
        state.uses = Counter((coupon_id, customer_id) for coupon_id, customer_id, _, is_undone in rows if is_undone is None)
        return {(coupon_id, customer_id, redeemed_ms) for coupon_id, customer_id, redeemed_ms, _ in rows}

    def _reserve_ids(self, tx: WriteTransaction, org_id: int, state: State, count: int) -> None:
        """Last of all that is locked, and only where it can be needed: every lane waits for the rows that hand out ids."""
        if not count:
            return
        first = ids.first_id(ids.REDEMPTION, org_id, serials.reserve(tx, org_id, serials.REDEMPTION, count))
        state.redemption_ids = iter(range(first, first + count))
        if any(series and series.terms.client_handling_type is Handling.SHARED for series in state.series.values()):
            first = ids.first_id(ids.COUPON, org_id, serials.reserve(tx, org_id, serials.COUPON, count))
            state.new_coupon_ids = iter(range(first, first + count))

    def _write(self, tx: WriteTransaction, org_id: int, state: State, recording: Recording) -> None:
        """The plan's rows, in the order in which the ledger writes them (`store.apply`)."""
        plan, bills = recording.plan, recording.bill_ids
        uses = Counter(redemption.coupon_id for redemption in plan.redemptions)
        new: list[Row] = []
        for given in sorted(plan.new_coupons, key=lambda given: (given.coupon.code, given.coupon.holder_id)):
            coupon = given.coupon
            key = (coupon.id, coupon.series_id, coupon.code, code_key(coupon.code), coupon.holder_id)
            new.append((*key, *_in_hand(given), uses[coupon.id], uses.pop(coupon.id), plan.now_ms))
        tx.write(self._new_coupons, org_id, new)
        tx.write(self._given_coupons, org_id, [(*_in_hand(given), given.coupon.id) for given in plan.given_coupons])
        tx.write(self._coupon_uses, org_id, [(times, times, coupon_id) for coupon_id, times in sorted(uses.items())])
        tx.stage = Stage.COUNTERS
        counts = Counter((redemption.customer_id, redemption.series_id) for redemption in plan.redemptions)
        standings: list[Row] = []
        new_standings: list[Row] = []
        for whose, times in sorted(counts.items()):
            standing = state.standings[whose]
            (standings if standing.is_stored else new_standings).append((times, times, standing.last_redeemed_ms, *whose))
        tx.write(self._standings, org_id, standings)
        tx.write(self._new_standings, org_id, new_standings)
        tx.stage = Stage.COUPONS
        made = [(*redemption_row(each), bills.get(each.id)) for each in plan.redemptions]
        insert_many(tx, t.redemption, (*REDEMPTION_MADE, "bill_id"), org_id, made)
        instants: dict[int, list[int]] = {}
        for redemption in plan.redemptions:
            instants.setdefault(redemption.series_id, []).append(redemption.redeemed_ms)
        counted = [(series_id, t.CAPPED_STRIPE, len(when), max(when)) for series_id, when in sorted(instants.items())]
        tx.write(self._counters, org_id, counted)
        if state.org:
            self._counting.add(tx, org_id, tallied(plan, state.org.zone))


class Redemptions:
    """`code, customerExternalId` (or `customerMobile`)`, redeemedOn, tillCode, billNumber, billAmount`, of any series."""

    columns = frozenset({"code", "customerExternalId", "customerMobile", "redeemedOn", "tillCode", "billNumber", "billAmount"})
    required = frozenset({"code", "redeemedOn", "tillCode"})
    tables = (t.redemption, t.coupon, t.customer_series)

    def __init__(self, org: Org, now_ms: int) -> None:
        self.org, self.now_ms = org, now_ms
        self._recorder: Recorder | None = None
        self._look = Look()

    def write(self, tx: WriteTransaction, rows: list[Cells], seen: set[Hashable]) -> list[Problem | None]:
        """Record each redemption that the limits allow. `seen` holds nothing but that a chunk went before, of a dry run."""
        told = [told_by_import(row, self.org, self.now_ms) for row in rows]
        sound = [each for each in told if not isinstance(each, Problem)]
        if not seen:
            self._look = Look()
        self._recorder = recorder = self._recorder or Recorder(tx.dialect)
        recorded = iter(recorder.record(tx, self.org.id, sound, self.now_ms, request_id="import", look=self._look))
        seen.add(t.redemption.name)
        return [each if isinstance(each, Problem) else next(recorded) for each in told]


def _made(dialect: Dialect, index: str, *names: str) -> Keyed:
    """Redemptions of coupons by customers, of an instant or between two, by one of the indexes that lead there."""
    keys, redemption = dialect.keys("made", *(BigInteger() for _ in range(len(names) + 2))), t.redemption.c
    since, until = keys.columns[-2:]
    columns = (redemption.coupon_id, redemption.customer_id, redemption.redeemed_ms, redemption.reversed_ms)
    found = select(*columns).select_from(keys.probing(t.redemption, *names, index=index))
    return Keyed(dialect, found.where(redemption.redeemed_ms >= since, redemption.redeemed_ms <= until), keys)


def _places(tx: WriteTransaction, org_id: int, tills: set[int | str]) -> dict[int | str, Place]:
    """The org's tills among these, by id or by code, each with its store; one statement for either."""
    places: dict[int | str, Place] = {}
    by_id, by_code = [each for each in tills if isinstance(each, int)], [each for each in tills if isinstance(each, str)]
    for wanted, keys, name, index in (
        (by_id, tx.dialect.keys("tills", BigInteger()), "id", ""),
        (by_code, tx.dialect.keys("tills", String()), "code", "uq_till_code"),
    ):
        if wanted:
            found = select(t.till.c[name], t.till.c.id, t.till.c.store_id).select_from(keys.probing(t.till, name, index=index))
            for till, till_id, store_id in tx.rows(found, {"org": org_id, **keys.bound([(each,) for each in wanted])}):
                places[till] = Place(till_id, store_id, frozenset(), frozenset(), _UTC)
    return places


def _joined(before: tuple[State, set[Use]], state: State, made: set[Use]) -> tuple[State, set[Use]]:
    """What a dry run has taken so far, with what it knows of by now; what it has changed stays as it left it."""
    taken, uses = before
    for name in ("customers", "coupons", "coupon_ids", "series", "standings", "uses", "series_redeemed"):
        table = getattr(taken, name)
        for key, value in getattr(state, name).items():
            table.setdefault(key, value)
    uses |= made
    # Ids that no row has: of those that were reserved before, nobody knows any more whose they are by now.
    taken.redemption_ids = count(1)
    taken.new_coupon_ids = count(1 + len(taken.coupons))
    return taken, uses


def _in_hand(given: NewCoupon) -> Row:
    coupon = given.coupon
    return (coupon.customer_id, coupon.issued_ms, coupon.expires_local, coupon.issued_by_redemption, given.till_id)
