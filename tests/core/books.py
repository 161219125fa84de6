"""A naive auditor: it keeps the rows that plans ask to write, recounts everything from them each time, and trusts no counter."""

from collections import Counter
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from couponry.core import ids
from couponry.core.codes import code_key
from couponry.core.commands import Command, Issue, Redeem
from couponry.core.decide import decide
from couponry.core.idempotency import request_digest
from couponry.core.limits import REVOKE_COUPONS_MAX
from couponry.core.model import Coupon, Customer, Org, Redemption, Standing, StoredRedemption
from couponry.core.plan import Outcome, Plan, Reversal
from couponry.core.series import Series
from couponry.core.state import State, StoredAnswer
from tests.core.world import NOW, ORG, coupon_id, identifiers, org, reverse

CODES_OF_A_SERIES: Final = 6
"""How many codes a series can ever generate here, so that it runs out of them now and then."""


@dataclass
class Serials(Iterator[int]):
    """Numbers from here on, which a copy hands out once more."""

    next_one: int

    def __next__(self) -> int:
        self.next_one += 1
        return self.next_one - 1


@dataclass
class Books:
    """All rows of one org. Nothing in here is a counter; `now_ms` only moves forward."""

    series: list[Series]
    customers: list[Customer]
    coupons: dict[int, Coupon]
    org: Org = field(default_factory=org)
    redemptions: list[Redemption] = field(default_factory=list)
    reversals: dict[int, Reversal] = field(default_factory=dict)
    bills: dict[int, StoredRedemption] = field(default_factory=dict)
    answers: dict[str, StoredAnswer] = field(default_factory=dict)
    now_ms: int = NOW
    redemption_ids: Serials = field(default_factory=lambda: Serials(ids.first_id(ids.REDEMPTION, ORG, 1)))
    new_coupon_ids: Serials = field(default_factory=lambda: Serials(coupon_id(1_000_000)))

    def __post_init__(self) -> None:
        """Remember how many coupons were out before anything was asked for."""
        self.first_issued = Counter(each.series_id for each in self.issued())
        self.first_held = self.held()

    def copy(self) -> "Books":
        """Books of their own that will hand out the same ids."""
        return deepcopy(self)

    def batch(self, commands: Sequence[Command]) -> Plan:
        """Load, decide, write; the outcomes are in the plan."""
        plan = decide(self.state(commands), commands)
        self.write(plan)
        return plan

    def outcomes(self, commands: Sequence[Command]) -> list[Outcome]:
        return self.batch(commands).outcomes

    def active(self) -> list[Redemption]:
        """Redemptions that count: a reversal whose use is consumed frees nothing."""
        undone = {each.redemption_id for each in self.reversals.values() if not each.is_consumed}
        return [each for each in self.redemptions if each.id not in undone]

    def issued(self) -> list[Coupon]:
        """Coupons that count as issued for their series: neither in a pool nor made or bound by redeeming."""
        return [each for each in self.coupons.values() if each.customer_id and not each.issued_by_redemption]

    def state(self, commands: Sequence[Command]) -> State:
        """The state of these rows: all there are, whatever the commands name."""
        known = {identifier: person for person in self.customers for identifier in identifiers(person)}
        uses = Counter(each.coupon_id for each in self.redemptions)
        redeemed = Counter(each.coupon_id for each in self.active())
        coupons = {each.id: replace(each, redeemed=redeemed[each.id], uses=uses[each.id]) for each in self.coupons.values()}
        state = State(
            now_ms=self.now_ms,
            org=self.org,
            redemption_ids=self.redemption_ids,
            new_coupon_ids=self.new_coupon_ids,
            customers=known,
            coupons=coupons,
            coupon_ids=self.named(),
            series={each.id: each for each in self.series},
            standings=self.standings(),
            uses=dict(Counter((each.coupon_id, each.customer_id) for each in self.active())),
            series_redeemed=dict(Counter(each.series_id for each in self.active())),
            series_issued=dict(Counter(each.series_id for each in self.issued())),
            redemptions={each.id: self.recorded(each) for each in self.redemptions},
            answers=dict(self.answers),
            reversed_ids=set(self.reversals),
        )
        self._load_holdings(state)
        for place, command in enumerate(commands):
            person = next((known[identifier] for identifier in command.customer or () if identifier in known), None)
            if isinstance(command, Redeem | Issue):
                digest = request_digest(command, person.id if person else None, self.org)
                if digest:
                    state.digests[place] = digest
        return state

    def _load_holdings(self, state: State) -> None:
        """What customers hold, what pools hold, and the codes that were never used."""
        for each in sorted(state.coupons.values(), key=lambda coupon: coupon.id):
            if each.is_revoked:
                continue
            of = (each.customer_id or 0, each.series_id)
            if not each.customer_id:
                if each.issued_ms is None and not each.redeemed:
                    state.pools.setdefault(each.series_id, []).append(each.id)
                continue
            if each.holder_id or (not each.redeemed and self.is_unexpired(each)):
                state.live[of] = (*state.live.get(of, ()), each.id)
            state.received[of] = max(state.received.get(of, 0), each.issued_ms or 0)
            if not each.redeemed and len(state.unredeemed.setdefault(of, [])) <= REVOKE_COUPONS_MAX:
                state.unredeemed[of].append(each.id)
        used = {each.code for each in self.coupons.values()}
        for series in self.series:
            codes = [f"S{series.id}-{number}" for number in range(CODES_OF_A_SERIES)]
            state.fresh_codes[series.id] = [code for code in codes if code not in used]
        for person in self.customers:
            for series in self.series:
                state.active[person.id, series.id] = {}
        for redemption in self.active():
            state.active[redemption.customer_id, redemption.series_id][redemption.id] = redemption.redeemed_ms

    def named(self) -> dict[tuple[str, int], int]:
        """What each code means: the live row of it, else the one revoked last."""
        rows = sorted(self.coupons.values(), key=lambda each: (not each.is_revoked, each.id))
        return {(code_key(each.code), each.holder_id): each.id for each in rows}

    def is_unexpired(self, coupon: Coupon) -> bool:
        """By its own expiry, told from the text: what is local here needs no zone, which all series share with the org."""
        return coupon.expires_local is None or coupon.expires_local >= self.local_now()

    def local_now(self) -> str:
        return datetime.fromtimestamp(self.now_ms // 1000, self.org.zone).replace(tzinfo=None).isoformat()

    def recorded(self, made: Redemption) -> StoredRedemption:
        """A redemption as it is recorded now."""
        if made.id in self.bills:
            return replace(self.bills[made.id], is_undone=made.id in self.reversals)
        whose = (made.id, made.coupon_id, made.series_id, made.customer_id, made.redeemed_ms)
        fields = dict(made.custom_fields)
        return StoredRedemption(*whose, made.id in self.reversals, made.amount, made.transaction_number, None, fields)

    def standings(self) -> dict[tuple[int, int], Standing]:
        found: dict[tuple[int, int], Standing] = {}
        active = {each.id for each in self.active()}
        for each in self.redemptions:
            of = (each.customer_id, each.series_id)
            so_far = found.get(of, Standing(is_stored=True))
            last_ms = max(so_far.last_redeemed_ms or 0, each.redeemed_ms) if each.id in active else so_far.last_redeemed_ms
            counted = so_far.redeemed + (each.id in active)
            found[of] = replace(so_far, redeemed=counted, uses=so_far.uses + 1, last_redeemed_ms=last_ms)
        for given in self.issued():
            of = (given.customer_id or 0, given.series_id)
            so_far = found.get(of, Standing(is_stored=True))
            last_ms = max(so_far.last_issued_ms or 0, given.issued_ms or 0)
            found[of] = replace(so_far, issued=so_far.issued + (not given.is_revoked), last_issued_ms=last_ms)
        return found

    def write(self, plan: Plan) -> None:
        """Keep the rows of a plan; a row that is there already is a bug of the plan."""
        self._audit_pools(plan)
        live = {(code_key(each.code), each.holder_id) for each in self.coupons.values() if not each.is_revoked}
        for new in (given.coupon for given in plan.new_coupons):
            assert new.id not in self.coupons
            assert (code_key(new.code), new.holder_id) not in live
            live.add((code_key(new.code), new.holder_id))
            self.coupons[new.id] = replace(new, redeemed=0, uses=0)
        for bound in (given.coupon for given in plan.given_coupons):
            assert self.coupons[bound.id].customer_id is None
            self.coupons[bound.id] = replace(bound, redeemed=0, uses=0)
        for each_id, expires_local in plan.redated:
            self.coupons[each_id] = replace(self.coupons[each_id], expires_local=expires_local)
        for each in plan.revoked:
            assert not self.coupons[each.id].is_revoked
            self.coupons[each.id] = replace(self.coupons[each.id], is_revoked=True)
        self.redemptions += plan.redemptions
        for undone in plan.reversals:
            assert undone.redemption_id not in self.reversals
            self.reversals[undone.redemption_id] = undone
        self.bills |= {each.id: each for each in plan.amended}
        for digest, kept in {each.digest: each for each in plan.kept}.items():
            assert kept.replaces is (digest in self.answers)
            self.answers[digest] = StoredAnswer(kept.fingerprint, plan.now_ms, kept.answer, is_stored=True)

    def reverse(self, chance: int) -> None:
        """Have one redemption reversed, if there is any."""
        if self.redemptions:
            self.batch([reverse(self.redemptions[chance % len(self.redemptions)].id)])

    def audit(self) -> None:
        """L1-L5, J8 and J10 recounted, ownership, codes, pools, and the numbers that redemptions carry."""
        for series in self.series:
            self._audit_redemptions(series)
            self._audit_issues(series)
        terms_of = {series.id: series.terms for series in self.series}
        for each in self.redemptions:
            coupon = self.coupons[each.coupon_id]
            assert coupon.series_id == each.series_id
            assert terms_of[each.series_id].any_user or coupon.customer_id == each.customer_id
            assert not coupon.holder_id or terms_of[each.series_id].any_user or coupon.holder_id == each.customer_id
        assert len({each.id for each in self.redemptions}) == len(self.redemptions)
        assert len({(each.coupon_id, each.use_number) for each in self.redemptions}) == len(self.redemptions)
        numbered = {(each.customer_id, each.series_id, each.customer_use_number) for each in self.redemptions}
        assert len(numbered) == len(self.redemptions)
        assert self.reversals.keys() <= {each.id for each in self.redemptions}

    def _audit_redemptions(self, series: Series) -> None:
        terms, active = series.terms, [each for each in self.active() if each.series_id == series.id]
        by_coupon = Counter(each.coupon_id for each in active)
        limit = 1 if not terms.is_multiple_use_allowed else terms.redemption_per_coupon_max_limit
        assert limit <= 0 or max(by_coupon.values(), default=0) <= limit
        by_use = Counter((each.coupon_id, each.customer_id) for each in active)
        assert terms.same_user_multiple_redeem or max(by_use.values(), default=0) <= 1
        by_customer = Counter(each.customer_id for each in active)
        limit = terms.max_redemptions_in_series_per_user
        assert limit < 0 or max(by_customer.values(), default=0) <= limit
        assert terms.max_redeem < 0 or len(active) <= terms.max_redeem

    def _audit_issues(self, series: Series) -> None:
        """What was there before the first batch may be more than the limits allow; then there is never more."""
        terms = series.terms
        count = sum(each.series_id == series.id for each in self.issued())
        assert terms.max_create < 0 or count <= max(terms.max_create, self.first_issued[series.id])
        for person in self.customers:
            of = (person.id, series.id)
            held = self.held()[of]
            assert terms.max_vouchers_per_user < 0 or held <= max(terms.max_vouchers_per_user, self.first_held[of])

    def held(self) -> Counter[tuple[int, int]]:
        """How many coupons each customer was issued that are not revoked (J8)."""
        return Counter((each.customer_id or 0, each.series_id) for each in self.issued() if not each.is_revoked)

    def _audit_pools(self, plan: Plan) -> None:
        """The oldest codes go first: none older stays behind that nobody had, redeemed or revoked."""
        gone = {each.coupon_id for each in (*self.active(), *plan.redemptions)} | {each.id for each in plan.revoked}
        given = {each.coupon.id for each in plan.given_coupons}
        for taken in (each.coupon for each in plan.given_coupons if not each.coupon.issued_by_redemption):
            pool = [each for each in self.coupons.values() if each.series_id == taken.series_id and each.issued_ms is None]
            older = {each.id for each in pool if each.id < taken.id and not each.is_revoked}
            assert older <= gone | given
