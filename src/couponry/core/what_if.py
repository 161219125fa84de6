"""What if: redemptions of the past judged again, in order, under other terms.

The guards are those of a redeem. Counts start as they were at the window's beginning and grow only by what passes. A reversed
redemption counts until it was reversed. What was not recorded cannot be judged again: a redemption time that the till sent, a
validation, the hook's answer, the other coupons of the request, a customer, audience or place as it was then. So a guard that
would refuse also under the very terms that the redemption was decided under tells only of what is not recorded: it is passed
over, and the redemption is counted in `not_replayed`.
"""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from heapq import heappop, heappush
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from couponry.core import expiry
from couponry.core.commands import Item, Redeem
from couponry.core.limits import WHAT_IF_EXAMPLES_MAX
from couponry.core.model import Coupon, Customer, Org, Place, Standing
from couponry.core.problem import Problem
from couponry.core.rules import redeem as rules
from couponry.core.rules.series import OWNER_FIELDS, WIRE_NAMES, changed_terms
from couponry.core.series import Series, series_from_terms
from couponry.core.status import Code

# Asked when it happened, and not again: the setting of today says nothing of it, and no code or answer was kept.
NOT_REPLAYED: Final = frozenset({rules.transaction_number_given, rules.validated, rules.hook_accepted})
REPLAYED: Final = tuple(guard for guard in rules.COUPON_GUARDS if guard not in NOT_REPLAYED)


class Past(Struct, frozen=True, gc=False):
    """A recorded redemption. `series` has the terms that it was decided under, None when they cannot be used."""

    id: int
    coupon: Coupon
    customer: Customer
    place: Place
    redeemed_ms: int
    reversed_ms: int | None
    amount: Decimal | None
    is_in_audience: bool
    series: Series | None


class Before(Struct, frozen=True, gc=False):
    """Redemptions from before the window that counted at its beginning: how many, the last one, and when they were reversed."""

    count: int
    last_ms: int
    reversed_ms: int | None


class Tally:
    """Active redemptions as time goes on: those for good, and those until they are reversed."""

    __slots__ = ("_last_ms", "_lasting", "_until")

    def __init__(self) -> None:
        self._lasting = 0
        self._last_ms: int | None = None
        self._until: list[tuple[int, int]] = []

    def add(self, redeemed_ms: int, reversed_ms: int | None, count: int = 1) -> None:
        """Count redemptions, the last of them made at `redeemed_ms`."""
        if reversed_ms is None:
            self._lasting += count
            self._last_ms = redeemed_ms if self._last_ms is None else max(self._last_ms, redeemed_ms)
            return
        for _ in range(count):
            heappush(self._until, (reversed_ms, redeemed_ms))

    def active(self, at_ms: int) -> int:
        """How many count at an instant; instants never go back."""
        while self._until and self._until[0][0] <= at_ms:
            heappop(self._until)
        return self._lasting + len(self._until)

    def last_ms(self) -> int | None:
        """The last one that counts, at the instant last asked about."""
        lasts = [redeemed_ms for _, redeemed_ms in self._until]
        return max(lasts if self._last_ms is None else [*lasts, self._last_ms], default=None)


class Replay:
    """Judges the redemptions of one series since `starts_ms`. `changed` is None to judge each under its own terms."""

    def __init__(self, org: Org, changed: Series | None, starts_ms: int, redeemed_before: int, *, is_redated: bool) -> None:
        self.redemptions = 0
        self.not_replayed = 0
        self.refused: Counter[Code] = Counter()
        self.examples: dict[Code, list[int]] = {}
        self._org = org
        self._changed = changed
        self._starts_ms = starts_ms
        self._is_redated = is_redated
        self._born: set[int] = set()
        self._of_coupon: dict[int, Tally] = {}
        self._of_customer: dict[int, Tally] = {}
        self._of_use: dict[tuple[int, int], Tally] = {}
        self._of_series = Tally()
        self._of_series.add(0, None, redeemed_before)

    def unseen_coupons(self, ids: set[int]) -> set[int]:
        """Those whose counts at the beginning are still to be told."""
        return ids - self._of_coupon.keys()

    def unseen_customers(self, ids: set[int]) -> set[int]:
        """The same of customers."""
        return ids - self._of_customer.keys()

    def coupon_before(self, coupon_id: int, *counts: Before) -> None:
        """What counted for a coupon when the window began."""
        _add(self._of_coupon.setdefault(coupon_id, Tally()), counts)

    def customer_before(self, customer_id: int, counts: Mapping[int, list[Before]]) -> None:
        """What counted for a customer when the window began, by coupon."""
        standing = self._of_customer.setdefault(customer_id, Tally())
        for coupon_id, of_coupon in counts.items():
            _add(standing, of_coupon)
            _add(self._of_use.setdefault((coupon_id, customer_id), Tally()), of_coupon)

    def series_reversed(self, count: int) -> None:
        """So many of the series' redemptions from before the window were reversed by the next one that is judged."""
        self._of_series.add(0, None, -count)

    def judge(self, past: Past) -> None:
        """Ask the guards about one redemption, later than all before."""
        self.redemptions += 1
        series = self._changed or past.series
        refused, is_replayed = self._refusal(past, series) if series else (None, False)
        self.not_replayed += not is_replayed
        if refused:
            self.refused[refused] += 1
            examples = self.examples.setdefault(refused, [])
            if len(examples) < WHAT_IF_EXAMPLES_MAX:
                examples.append(past.id)
            return
        self._born.add(past.coupon.id)
        if past.reversed_ms is None or past.reversed_ms > past.redeemed_ms:
            use = self._of_use.setdefault((past.coupon.id, past.customer.id), Tally())
            for tally in (self._of_coupon[past.coupon.id], self._of_customer[past.customer.id], use, self._of_series):
                tally.add(past.redeemed_ms, past.reversed_ms)

    def _refusal(self, past: Past, series: Series) -> tuple[Code | None, bool]:
        """The first guard's code that tells of the terms, and whether every guard could be replayed."""
        attempt, is_replayed = self._attempt(past, series), True
        for guard in REPLAYED:
            code = guard(attempt)
            if code is None:
                continue
            if past.series is not None and guard(self._attempt(past, past.series)) is None:
                return code, is_replayed
            is_replayed = False
        return None, is_replayed

    def _attempt(self, past: Past, series: Series) -> rules.Attempt:
        at_ms = past.redeemed_ms
        use, standing = self._of_use.get((past.coupon.id, past.customer.id)), self._of_customer[past.customer.id]
        item = Item(coupon_id=past.coupon.id)
        claim = Redeem(self._org.id, past.place, (), (item,), past.amount, at_ms=at_ms)
        redeemed = standing.active(at_ms)
        return rules.Attempt(
            claim=claim,
            item=item,
            org=self._org,
            customer=past.customer,
            coupon=self._coupon(past, series),
            series=series,
            is_halted=False,
            is_in_audience=past.is_in_audience,
            standing=Standing(redeemed, redeemed, standing.last_ms()),
            uses_by_customer=use.active(at_ms) if use else 0,
            series_redeemed=self._of_series.active(at_ms),
            now_ms=at_ms,
            at_ms=at_ms,
        )

    def _coupon(self, past: Past, series: Series) -> Coupon:
        """The coupon as it was when redeemed: not yet revoked, and only in those hands that it had come into by then."""
        coupon, at_ms = past.coupon, past.redeemed_ms
        redeemed = self._of_coupon[coupon.id].active(at_ms)
        coupon = replace(coupon, is_revoked=False, redeemed=redeemed)
        if coupon.issued_ms is None:
            return coupon
        if coupon.issued_by_redemption and coupon.issued_ms >= self._starts_ms and coupon.id not in self._born:
            return replace(coupon, holder_id=0, customer_id=None, issued_ms=None, expires_local=None)
        if coupon.issued_ms > at_ms and not coupon.issued_by_redemption:
            return replace(coupon, customer_id=None, issued_ms=None)
        if self._is_redated and series is self._changed:
            issued_on = expiry.local_time(coupon.issued_ms // 1000, self._org.zone).date()
            expires = expiry.coupon_expiry_local(series.terms, issued_on, series.expires_local)
            return replace(coupon, expires_local=expires.isoformat() if expires else None)
        return coupon


def _add(tally: Tally, counts: "tuple[Before, ...] | list[Before]") -> None:
    for before in counts:
        tally.add(before.last_ms, before.reversed_ms, before.count)


def changed_series(series: Series, fields: Mapping[str, Any], now_ms: int) -> Series | Problem | None:
    """The series with these fields of its current terms as sent, by the rules of an update; None when none is sent."""
    if not fields:
        return None
    unknown = sorted(fields.keys() - (WIRE_NAMES - OWNER_FIELDS))
    if unknown:
        return Problem(744, "Couldn't save coupon series fields", f"{unknown[0]} is no field that can be changed here")
    terms = changed_terms(series.terms, fields, now_ms, series_id=series.id)
    return terms if isinstance(terms, Problem) else series_from_terms(series.id, series.version, terms)
