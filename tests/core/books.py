"""A naive auditor: it keeps the rows that plans ask to write, recounts everything from them each time, and trusts no counter."""

from collections import Counter
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

from msgspec.structs import replace

from couponry.core import ids
from couponry.core.codes import code_key
from couponry.core.commands import Command, Redeem
from couponry.core.decide import decide
from couponry.core.idempotency import request_digest
from couponry.core.model import Coupon, Customer, Org, Redemption, Standing
from couponry.core.plan import Outcome, Plan
from couponry.core.series import Series
from couponry.core.state import State, StoredAnswer
from tests.core.world import NOW, ORG, coupon_id, identifiers, org


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
    reversed_ids: set[int] = field(default_factory=set)
    answers: dict[str, StoredAnswer] = field(default_factory=dict)
    now_ms: int = NOW
    redemption_ids: Serials = field(default_factory=lambda: Serials(ids.first_id(ids.REDEMPTION, ORG, 1)))
    new_coupon_ids: Serials = field(default_factory=lambda: Serials(coupon_id(1_000_000)))

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
        return [each for each in self.redemptions if each.id not in self.reversed_ids]

    def state(self, commands: Sequence[Command]) -> State:
        """The state of these rows."""
        known = {identifier: person for person in self.customers for identifier in identifiers(person)}
        uses = Counter(each.coupon_id for each in self.redemptions)
        redeemed = Counter(each.coupon_id for each in self.active())
        state = State(
            now_ms=self.now_ms,
            org=self.org,
            redemption_ids=self.redemption_ids,
            new_coupon_ids=self.new_coupon_ids,
            customers=known,
            coupons={each.id: replace(each, redeemed=redeemed[each.id], uses=uses[each.id]) for each in self.coupons.values()},
            coupon_ids={(code_key(each.code), each.holder_id): each.id for each in self.coupons.values()},
            series={each.id: each for each in self.series},
            standings=self.standings(),
            uses=dict(Counter((each.coupon_id, each.customer_id) for each in self.active())),
            series_redeemed=dict(Counter(each.series_id for each in self.active())),
            answers=dict(self.answers),
            reversed_ids=set(self.reversed_ids),
        )
        for place, command in enumerate(commands):
            person = next((known[identifier] for identifier in command.customer if identifier in known), None)
            digest = request_digest(command, person.id if person else None, self.org) if isinstance(command, Redeem) else None
            if digest:
                state.digests[place] = digest
        return state

    def standings(self) -> dict[tuple[int, int], Standing]:
        found: dict[tuple[int, int], Standing] = {}
        for each in self.redemptions:
            of = (each.customer_id, each.series_id)
            so_far = found.get(of, Standing(is_stored=True))
            is_active = each.id not in self.reversed_ids
            last_ms = max(so_far.last_redeemed_ms or 0, each.redeemed_ms) if is_active else so_far.last_redeemed_ms
            found[of] = replace(so_far, redeemed=so_far.redeemed + is_active, uses=so_far.uses + 1, last_redeemed_ms=last_ms)
        return found

    def write(self, plan: Plan) -> None:
        """Keep the rows of a plan; a row that is there already is a bug of the plan."""
        for new in (given.coupon for given in plan.new_coupons):
            assert new.id not in self.coupons
            assert (new.code, new.holder_id) not in {(each.code, each.holder_id) for each in self.coupons.values()}
            self.coupons[new.id] = new
        for bound in (given.coupon for given in plan.given_coupons):
            assert self.coupons[bound.id].customer_id is None
            self.coupons[bound.id] = replace(self.coupons[bound.id], customer_id=bound.customer_id, issued_ms=bound.issued_ms)
        self.redemptions += plan.redemptions
        for digest, kept in {each.digest: each for each in plan.kept}.items():
            assert kept.replaces is (digest in self.answers)
            self.answers[digest] = StoredAnswer(kept.fingerprint, plan.now_ms, kept.answer, is_stored=True)

    def reverse(self, chance: int) -> None:
        """Reverse one active redemption, if there is any."""
        active = self.active()
        if active:
            self.reversed_ids.add(active[chance % len(active)].id)

    def audit(self) -> None:
        """L1-L5 recounted, ownership, and the numbers that redemptions carry."""
        by_coupon = Counter(each.coupon_id for each in self.active())
        by_use = Counter((each.coupon_id, each.customer_id) for each in self.active())
        by_customer = Counter((each.series_id, each.customer_id) for each in self.active())
        by_series = Counter(each.series_id for each in self.active())
        for series in self.series:
            terms = series.terms
            of_series = [each.id for each in self.coupons.values() if each.series_id == series.id]
            assert terms.is_multiple_use_allowed or all(by_coupon[each] <= 1 for each in of_series)
            limit = terms.redemption_per_coupon_max_limit
            assert limit <= 0 or all(by_coupon[each] <= limit for each in of_series)
            assert terms.same_user_multiple_redeem or all(times <= 1 for (each, _), times in by_use.items() if each in of_series)
            limit = terms.max_redemptions_in_series_per_user
            assert limit < 0 or all(times <= limit for (each, _), times in by_customer.items() if each == series.id)
            assert terms.max_redeem < 0 or by_series[series.id] <= terms.max_redeem
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
