"""What issue needs beside the series it names: what the customers hold, and the codes that nobody has."""

from collections import Counter
from typing import Protocol

from couponry.core import expiry
from couponry.core.codes import code_key
from couponry.core.commands import Issue
from couponry.core.model import Coupon, Handling, Org
from couponry.core.rules.issue import may_hold_several
from couponry.core.series import Series
from couponry.store.batch import Batch
from couponry.store.rows import coupon_from_row
from couponry.store.selects import Keyed


class CodesShort(Exception):
    """Series for which more codes must be made before the batch can be settled, and how many."""

    def __init__(self, org: Org, wanted: list[tuple[Series, int]]) -> None:
        super().__init__(f"{len(wanted)} series need codes")
        self.org = org
        self.wanted = wanted


class Codes(Protocol):
    """Where codes that nobody knows yet come from."""

    def draw(self, org: Org, series: Series, count: int) -> list[str] | None:
        """Codes for this many coupons and some to spare; fewer when the series has no more; None when they must be made first."""

    def put_back(self, org: Org, series: Series, codes: list[str]) -> None:
        """Codes that were drawn and not used."""

    def have_clashed(self, org: Org, series: Series) -> bool:
        """Whether a code of the series was ever found taken, so that others must be looked up before they are used."""

    def proved_dense(self, org: Org, series: Series, count: int) -> bool:
        """Too many of the codes drawn for this many coupons were taken. Whether more of them can be had than this time."""


def held(batch: Batch) -> None:
    """The live coupons of customers who may hold one only, and when they last received one that excludes others."""
    state = batch.state
    pairs = {pair: series for pair in batch.issues if (series := state.series.get(pair[1]))}
    now_local = {series.id: _now_local(batch, series) for series in pairs.values() if not may_hold_several(series)}
    # The last one, and behind it one for each that the batch itself may redeem or revoke before.
    most = 1 + sum(len(items) for items, _ in batch.named) + sum(map(len, state.unredeemed.values()))
    keys = sorted(
        (customer_id, series_id, now_local[series_id], most) for customer_id, series_id in pairs if series_id in now_local
    )
    for row in batch.selects.live_coupons.first_rows(batch.tx, batch.org_id, keys):
        coupon = coupon_from_row(row)
        assert coupon.customer_id is not None, "they were found by their customers"
        state.coupons[coupon.id] = coupon
        key = coupon.customer_id, coupon.series_id
        state.live[key] = (*state.live.get(key, ()), coupon.id)
    excluded = {(customer_id, other) for (customer_id, _), series in pairs.items() for other in series.exclusions}
    if batch.tx.dialect.locks_rows:
        # Of two series that exclude each other, two issues lock different counters, and neither would see the other's coupon.
        batch.selects.locked_customers.rows(batch.tx, batch.org_id, sorted({(customer_id,) for customer_id, _ in excluded}))
    for customer_id, series_id, at_ms in batch.selects.received.rows(batch.tx, batch.org_id, sorted(excluded)):
        state.received[customer_id, series_id] = at_ms


def pools(batch: Batch) -> None:
    """The oldest codes of uploaded series, as many as the batch may give out.

    What other batches have locked is passed over while there is enough beside it. Otherwise it is waited for: they may leave some
    of it, and a lock is no reason to tell anybody that there is no code left.
    """
    state = batch.state
    named = Counter(coupon.series_id for coupon in state.coupons.values() if coupon.issued_ms is None)
    wanted = sorted(
        (series.id, count + named[series.id], _now_local(batch, series)) for series, count in _wanted(batch, Handling.UPLOADED)
    )
    found = _of_pools(batch, batch.selects.free_pools, wanted)
    if batch.tx.dialect.locks_rows:
        short = [key for key in wanted if len(found.get(key[0], ())) < key[1]]
        found |= _of_pools(batch, batch.selects.locked_pools, short)
    for series_id, coupons in found.items():
        state.pools[series_id] = [coupon.id for coupon in coupons]
        for coupon in coupons:
            state.coupons.setdefault(coupon.id, coupon)


def _of_pools(batch: Batch, select: Keyed, wanted: list[tuple[int, int, str]]) -> dict[int, list[Coupon]]:
    """By series, oldest first."""
    found: dict[int, list[Coupon]] = {}
    if wanted:
        parameters = {"org": batch.org_id, "most": max(count for _, count, _ in wanted), **select.keys.bound(wanted)}
        for coupon in map(coupon_from_row, sorted(batch.tx.read(select.read, parameters))):
            found.setdefault(coupon.series_id, []).append(coupon)
    return found


def _now_local(batch: Batch, series: Series) -> str:
    """The series' wall clock as coupons' expiries are kept."""
    return expiry.local_time(batch.state.now_ms // 1000, series.zone).replace(tzinfo=None).isoformat()


def fresh_codes(batch: Batch, org: Org, codes: Codes) -> None:
    """Codes for generated series, which no coupon has or had. Raises CodesShort when some must be made first.

    A code that others uploaded is as rare as a good guess: codes are looked up only once one has collided with the unique index.
    """
    wanted = _wanted(batch, Handling.GENERATED)
    drawn = [(series, count, codes.draw(org, series, count)) for series, count in wanted]
    short = [(series, count) for series, count, candidates in drawn if candidates is None]
    if short:
        for series, _, candidates in drawn:
            codes.put_back(org, series, candidates or [])
        raise CodesShort(org, short)
    doubtful = [candidates or [] for series, _, candidates in drawn if codes.have_clashed(org, series)]
    keys = sorted((code_key(code),) for candidates in doubtful for code in candidates)
    taken = {key for (key,) in batch.selects.taken_codes.rows(batch.tx, batch.org_id, keys)}
    state = batch.state
    for series, _, candidates in drawn:
        state.fresh_codes[series.id] = free = [code for code in candidates or () if code_key(code) not in taken]
        if len(drawn) > 1:  # two series may have the same code
            taken.update(map(code_key, free))
    dense = [
        (series, count)
        for series, count, _ in drawn
        if len(state.fresh_codes[series.id]) < count and codes.proved_dense(org, series, count)
    ]
    if dense:
        for series, _, _ in drawn:
            codes.put_back(org, series, state.fresh_codes[series.id])
        raise CodesShort(org, dense)


def _wanted(batch: Batch, handling: Handling) -> list[tuple[Series, int]]:
    """Series of one kind with the most coupons that the batch may issue of each."""
    counts: Counter[int] = Counter()
    for command, customer_id in batch.asked:
        if isinstance(command, Issue) and customer_id:
            counts.update(dict.fromkeys(command.series_ids, 0))
            for series_id in command.series_ids:
                counts[series_id] += command.count
    found = ((batch.state.series.get(series_id), count) for series_id, count in sorted(counts.items()))
    return [
        (series, count)
        for series, count in found
        if series and series.terms.client_handling_type is handling and not series.terms.external_issual
    ]
