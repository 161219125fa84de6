"""A naive auditor: lists of coupons and facts, counted anew for every question. It knows the contract's rules, none of our code.

Status numbers, not the table's names, so that nothing here is borrowed from what it audits.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from tests.model.facts import DAY_MS, Coupon, Fact, Given, Remembered, Told, date_of, end_of

HALF_A_YEAR_DAYS = 183


@dataclass
class Auditor:
    """`terms` by series, as the contract names limits; every coupon that there is, in the order of their ids."""

    terms: dict[int, dict[str, Any]]
    coupons: list[Coupon]
    halted: set[int] = field(default_factory=set)
    merged: set[int] = field(default_factory=set)
    facts: list[Fact] = field(default_factory=list)
    memory: dict[object, Remembered] = field(default_factory=dict)

    # Redeem.

    def redeem(self, request: dict[str, Any], now_ms: int) -> tuple[Told, str]:
        """The answer that is due, and how it is marked as a repeat."""
        key = self._key(request)
        past = self.memory.get(key) if key else None
        if past and now_ms - past.at_ms <= DAY_MS:
            if request["key"]:
                if past.what != request["body"]:
                    return Told(629), ""
                return past.told, "true"
            if past.what == request["amount"] and not any(fact.is_undone for fact in past.told.facts):
                return past.told, "derived"
        told = self._judge(request, now_ms, is_check=False)
        self.facts += told.facts
        for fact in told.facts:
            self._hand_over(fact, now_ms)
        if key and (request["key"] or told.status == 700):
            self.memory[key] = Remembered(request["body"] if request["key"] else request["amount"], now_ms, told)
        return told, ""

    def check(self, request: dict[str, Any], now_ms: int) -> Told:
        return self._judge(request, now_ms, is_check=True)

    def used(self, code: str, customer: int) -> int:
        """How often the customer has redeemed the coupon."""
        coupon = self.found(code, customer)
        return sum(fact.coupon is coupon and fact.customer == customer for fact in self._active())

    def left(self, coupon: Coupon, customer: int | None) -> int:
        """How often the customer may still redeem the coupon: the least of all that is limited, -1 when nothing is."""
        terms = self.terms[coupon.series]
        of_coupon = [fact for fact in self._active() if fact.coupon is coupon]
        of_both = [fact for fact in of_coupon if fact.customer == customer]
        of_customer = [fact for fact in self._active() if (fact.customer, fact.series) == (customer, coupon.series)]
        room = []
        if not terms["multiple_use"]:
            room.append(1 - len(of_coupon))
        if not terms["same_user"]:
            room.append(1 - len(of_both))
        if terms["per_code"] > 0:
            room.append(terms["per_code"] - len(of_coupon))
        if terms["per_customer"] >= 0:
            room.append(terms["per_customer"] - len(of_customer))
        return max(0, min(room)) if room else -1

    def found(self, code: str, customer: int | None) -> Coupon | None:
        """The customer's own record of a shared code before the code itself; of several the live one, or the last."""
        named = [coupon for coupon in self.coupons if coupon.code.upper() == code.upper()]
        own = [coupon for coupon in named if coupon.record and coupon.record == customer]
        return max(
            own or [coupon for coupon in named if not coupon.record], key=lambda coupon: not coupon.is_revoked, default=None
        )

    def _key(self, request: dict[str, Any]) -> object:
        if request["key"]:
            return "key", request["key"]
        if request["number"] and request["customer"]:
            return "bill", request["number"], request["customer"], *sorted(code.upper() for code in request["codes"])
        return None

    def _nobody(self, customer: int | None) -> int:
        """Why this customer is nobody: merged away, or unknown."""
        return 721 if customer in self.merged else 0 if customer else 701

    def _judge(self, request: dict[str, Any], now_ms: int, *, is_check: bool) -> Told:
        codes = [code.upper() for code in request["codes"]]
        customer, nobody = request["customer"], self._nobody(request["customer"])
        twice = [codes.count(code) > 1 for code in codes]
        if nobody and not any(twice):
            return Told(nobody)
        new: list[Fact] = []
        items = []
        for code, is_twice in zip(codes, twice, strict=True):
            if is_twice:
                items.append(747)
            elif nobody:
                items.append(749)
            else:
                items.append(self._item(code, customer, now_ms, new, is_check=is_check))
        if all(number == 700 for number in items):
            return Told(700, items, new)
        if len(items) == 1:
            return Told(items[0], items)
        items = [749 if number == 700 else number for number in items]
        if 749 not in items:
            return Told(500, items)
        return Told(749 if is_check else 759, items)

    def _item(self, code: str, customer: int, now_ms: int, new: list[Fact], *, is_check: bool) -> int:
        """The first rule that fails, with the request's earlier items counted; 700 adds a fact to `new`."""
        coupon = self.found(code, customer)
        if coupon is None:
            return 780 if is_check else 719
        series, terms = coupon.series, self.terms[coupon.series]
        facts = self._active() + new
        of_coupon = [fact for fact in facts if fact.coupon is coupon]
        of_customer = [fact for fact in facts if (fact.customer, fact.series) == (customer, series)]
        refused = self._circulates(coupon, now_ms) or self._ownership(coupon, customer)
        if refused:
            return refused
        if not terms["multiple_use"] and of_coupon:
            return 711
        if not terms["same_user"] and any(fact.customer == customer for fact in of_coupon):
            return 716
        if 0 < terms["per_code"] <= len(of_coupon):
            return 736
        if 0 <= terms["per_customer"] <= len(of_customer):
            return 728
        if terms["multiple_use"] and terms["gap_days"] > 0 and of_customer:
            last = max(fact.at_ms for fact in of_customer)
            if (date_of(now_ms) - date_of(last)).days < terms["gap_days"]:
                return 738
        if 0 <= terms["cap"] <= sum(fact.series == series for fact in facts):
            return 714
        record = customer if terms["kind"] == "shared" else 0
        new.append(Fact(coupon.code, record, customer, series, now_ms, coupon=coupon))
        return 700

    def _circulates(self, coupon: Coupon, now_ms: int) -> int:
        if coupon.is_revoked:
            return 660
        if coupon.series in self.halted:
            return 712
        return 713 if coupon.last_ms is not None and now_ms > coupon.last_ms else 0

    def _ownership(self, coupon: Coupon, customer: int) -> int:
        terms = self.terms[coupon.series]
        if terms["any_user"] or coupon.owner == customer:
            return 0
        if coupon.owner is not None:
            return 703
        return 0 if terms["kind"] == "external" else 723

    def _hand_over(self, fact: Fact, now_ms: int) -> None:
        """Whoever redeems a shared code gets a record of it; an external one belongs to the first who does (rules 3)."""
        kind, coupon = self.terms[fact.series]["kind"], fact.coupon
        if kind == "shared" and not coupon.record:
            last_ms = self._last_ms(fact.series, now_ms)
            own = Coupon(coupon.code, fact.series, fact.customer, fact.customer, now_ms, by_issue=False, last_ms=last_ms)
            self.coupons.append(own)
            fact.coupon = own
        elif kind == "external" and coupon.owner is None:
            coupon.owner, coupon.issued_ms, coupon.by_issue = fact.customer, now_ms, False
            coupon.last_ms = coupon.last_ms or self._last_ms(fact.series, now_ms)

    # Issue.

    def issue(self, form: str, numbers: Sequence[int], count: int, customer: int | None, now_ms: int) -> int | list[Given]:
        """What is due for each series, or why the request as a whole is refused."""
        nobody = self._nobody(customer)
        if form == "each" and nobody:
            return nobody
        return [self._issue(form, number, count, customer, now_ms) for number in numbers]

    def _issue(self, form: str, number: int, count: int, customer: int | None, now_ms: int) -> Given:
        if number not in self.terms:
            return Given(707)
        terms = self.terms[number]
        if terms["kind"] == "external":
            return Given(777)
        if number in self.halted:
            return Given(713 if form == "several" else 712)
        nobody = self._nobody(customer)
        if nobody or customer is None:
            return Given(nobody)
        given: list[Coupon] = []
        why = ""
        while len(given) < count and not why:
            why = self._why_not(number, customer, now_ms)
            if not why:
                given.append(self._give(number, customer, now_ms))
        if given:
            cut = {"holds": 5004, "enough": 5002, "cap": 5001, "none": 5005}
            return Given(700, given, cut.get(why, 5006) if why else None)
        if why == "holds" and terms["sends_again"] and form != "several":
            again = [one for one in self._live(number, customer, now_ms)[-1:] if self._is_usable(one, now_ms)]
            return Given(700, again, is_sent_again=True) if again else Given(709)
        if why == "enough" and form == "several":
            return Given(5002)
        return Given({"cap": 714, "none": 722}.get(why, 709))

    def _why_not(self, number: int, customer: int, now_ms: int) -> str:
        terms = self.terms[number]
        others = set(terms["excludes"]) - {number}
        received = [one.issued_ms for one in self._of(customer, *others) if not one.is_revoked and one.issued_ms]
        if received and (date_of(now_ms) - date_of(max(received))).days <= HALF_A_YEAR_DAYS:
            return "excluded"
        issued = [one for one in self._of(customer, number) if one.by_issue]
        if (not terms["many"] or terms["kind"] == "shared") and self._live(number, customer, now_ms):
            return "holds"
        if 0 <= terms["per_user"] <= sum(not one.is_revoked for one in issued):
            return "enough"
        last = [one.issued_ms for one in issued if one.issued_ms]
        if last and terms["issue_gap"] > 0 and (date_of(now_ms) - date_of(max(last))).days < terms["issue_gap"]:
            return "gap"
        if 0 <= terms["issue_cap"] <= self.issued(number):
            return "cap"
        return "none" if terms["kind"] == "pool" and not self._pool(number, now_ms) else ""

    def issued(self, number: int) -> int:
        """How many coupons of the series were ever issued."""
        return sum(one.series == number and one.by_issue and one.issued_ms is not None for one in self.coupons)

    def _give(self, number: int, customer: int, now_ms: int) -> Coupon:
        kind, last_ms = self.terms[number]["kind"], self._last_ms(number, now_ms)
        if kind == "pool":
            coupon = self._pool(number, now_ms)[0]
            coupon.owner, coupon.issued_ms, coupon.last_ms = customer, now_ms, coupon.last_ms or last_ms
            return coupon
        public = next((one.code for one in self.coupons if one.series == number and not one.record), "")
        is_shared = kind == "shared"
        coupon = Coupon(public if is_shared else "", number, customer if is_shared else 0, customer, now_ms, last_ms=last_ms)
        self.coupons.append(coupon)
        return coupon

    def _of(self, customer: int, *numbers: int) -> list[Coupon]:
        return [one for one in self.coupons if one.owner == customer and one.series in numbers]

    def _pool(self, number: int, now_ms: int) -> list[Coupon]:
        free = (one for one in self.coupons if one.series == number and one.issued_ms is None and not one.is_revoked)
        return [one for one in free if self._is_usable(one, now_ms)]

    def _live(self, number: int, customer: int, now_ms: int) -> list[Coupon]:
        held = [one for one in self._of(customer, number) if not one.is_revoked]
        return [one for one in held if one.record or self._is_usable(one, now_ms)]

    def _is_usable(self, coupon: Coupon, now_ms: int) -> bool:
        return not self._times(coupon) and (coupon.last_ms is None or now_ms <= coupon.last_ms)

    def _last_ms(self, number: int, now_ms: int) -> int | None:
        days = self.terms[number]["days"]
        return None if days is None else end_of(date_of(now_ms) + timedelta(days=days))

    # What may happen to a coupon beside these.

    def reverse(self, places: Iterable[int], reason: str, now_ms: int) -> int:
        """Redemptions by their places in the list of facts; -1 is none of them."""
        wanted = [self.facts[place] if place >= 0 else None for place in dict.fromkeys(places)]
        facts = [fact for fact in wanted if fact and not fact.is_undone]
        if len(facts) < len(wanted):
            return 510
        if any(fact.coupon.is_revoked for fact in facts):
            return 660
        for fact in facts:
            if reason == "CHARGEBACK":
                fact.is_consumed = True
                continue
            fact.is_reversed = True
            if reason == "RETURNED" and fact.coupon.last_ms is not None:  # three fresh days
                fact.coupon.last_ms = max(fact.coupon.last_ms, end_of(date_of(now_ms) + timedelta(days=3)))
        return 700

    def revoke(self, number: int, codes: Sequence[str], customer: int | None) -> int | list[int]:
        """Each code's number; without codes all that the customer holds unredeemed, by how many those are."""
        refused = self._scope(number, codes, customer, shared_alone=108)
        if refused:
            return refused
        if not codes and customer:
            held = [one for one in self._of(customer, number) if not one.is_revoked and not self._times(one)]
            for one in held:
                one.is_revoked = True
            return [700] * len(held)
        return [self._revoke(self._named(number, code, customer)) for code in codes]

    def _revoke(self, coupon: Coupon | None) -> int:
        if coupon is None:
            return 682
        if coupon.is_revoked:
            return 660
        if self._times(coupon) and not self.left(coupon, coupon.owner):
            return 405
        coupon.is_revoked = True
        return 700

    def redate(self, number: int, codes: Sequence[str], customer: int | None, at_ms: int, now_ms: int) -> int | list[int]:
        refused = self._scope(number, codes, customer, shared_alone=695)
        return refused or [self._redate(self._named(number, code, customer), at_ms, now_ms) for code in codes]

    def _redate(self, coupon: Coupon | None, at_ms: int, now_ms: int) -> int:
        last_ms = at_ms // 1000 * 1000 + 999
        if coupon is None:
            return 633
        if coupon.is_revoked:
            return 660
        if last_ms < max(now_ms, coupon.issued_ms or 0):
            return 690
        if last_ms > end_of(date(2099, 1, 1)):
            return 691
        coupon.last_ms = last_ms
        return 700

    def _scope(self, number: int, codes: Sequence[str], customer: int | None, *, shared_alone: int) -> int:
        if number not in self.terms:
            return 755
        if number in self.halted:
            return 712
        if codes and customer is None:
            return shared_alone if self.terms[number]["kind"] == "shared" else 0
        return self._nobody(customer)

    def _named(self, number: int, code: str, customer: int | None) -> Coupon | None:
        is_own = self.terms[number]["kind"] == "shared"
        coupon = self.found(code, customer if is_own else None)
        if coupon is None or coupon.series != number or (is_own and not coupon.record):
            return None
        return coupon if customer is None or coupon.owner == customer else None

    def merge(self, victim: int, survivor: int) -> None:
        """All that was the victim's is the survivor's; of a shared code that both have a record of, the survivor's stays."""
        doubles = []
        for was in (one for one in self.coupons if one.record == victim and not one.is_revoked):
            own = [one for one in self.coupons if (one.code, one.record) == (was.code, survivor) and not one.is_revoked]
            doubles += [(was, own[0])] if own else []
        for was, own_record in doubles:
            was.is_revoked = True
            for fact in self.facts:
                if fact.coupon is was:
                    fact.coupon = own_record
        for one in self.coupons:
            one.owner = survivor if one.owner == victim else one.owner
            one.record = survivor if one.record == victim else one.record
        for fact in self.facts:
            fact.customer = survivor if fact.customer == victim else fact.customer
            fact.record = survivor if fact.record == victim else fact.record
        self.merged.add(victim)

    def _times(self, coupon: Coupon) -> int:
        return sum(fact.coupon is coupon for fact in self._active())

    def _active(self) -> list[Fact]:
        return [fact for fact in self.facts if not fact.is_reversed]
