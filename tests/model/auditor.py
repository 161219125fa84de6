"""A naive auditor: a list of facts, counted anew for every question. It knows the contract's rules and none of our code.

Status numbers, not the table's names, so that nothing here is borrowed from what it audits.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Kolkata")
DAY_MS = 24 * 3600 * 1000


@dataclass
class Fact:
    """One redemption. `record` tells apart the customers' own records of a shared code."""

    code: str
    record: int
    customer: int
    series: int
    at_ms: int
    is_reversed: bool = False


@dataclass
class Told:
    """What a request was answered: the whole's number, each item's, and what it redeemed."""

    status: int
    items: list[int] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)


@dataclass
class Remembered:
    """An answer under an idempotency key: what it was for, and when."""

    what: object
    at_ms: int
    told: Told


@dataclass
class Auditor:
    """`terms` by series, as the contract names limits; `owners` by code, None for nobody; `series_of` by code."""

    terms: dict[int, dict[str, Any]]
    series_of: dict[str, int]
    owners: dict[str, int | None]
    halted: set[int] = field(default_factory=set)
    facts: list[Fact] = field(default_factory=list)
    memory: dict[object, Remembered] = field(default_factory=dict)

    def redeem(self, request: dict[str, Any], now_ms: int) -> tuple[Told, str]:
        """The answer that is due, and how it is marked as a repeat."""
        key = self._key(request)
        past = self.memory.get(key) if key else None
        if past and now_ms - past.at_ms <= DAY_MS:
            if request["key"]:
                if past.what != request["body"]:
                    return Told(629), ""
                return past.told, "true"
            if past.what == request["amount"] and not any(fact.is_reversed for fact in past.told.facts):
                return past.told, "derived"
        told = self._judge(request, now_ms, is_check=False)
        self.facts += told.facts
        if key and (request["key"] or told.status == 700):
            self.memory[key] = Remembered(request["body"] if request["key"] else request["amount"], now_ms, told)
        return told, ""

    def check(self, request: dict[str, Any], now_ms: int) -> Told:
        return self._judge(request, now_ms, is_check=True)

    def used(self, code: str, customer: int) -> int:
        """How often the customer has redeemed the coupon."""
        record = self._record(code, customer)
        return sum((fact.code, fact.record, fact.customer) == (code, record, customer) for fact in self._active())

    def left(self, code: str, customer: int) -> int:
        """How often the customer may still redeem the coupon: the least of all that is limited, -1 when nothing is."""
        series, record = self._series(code), self._record(code, customer)
        terms = self.terms[series]
        of_coupon = [fact for fact in self._active() if (fact.code, fact.record) == (code, record)]
        of_both = [fact for fact in of_coupon if fact.customer == customer]
        of_customer = [fact for fact in self._active() if (fact.customer, fact.series) == (customer, series)]
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

    def _key(self, request: dict[str, Any]) -> object:
        if request["key"]:
            return "key", request["key"]
        if request["number"] and request["customer"]:
            return "bill", request["number"], request["customer"], *sorted(code.upper() for code in request["codes"])
        return None

    def _judge(self, request: dict[str, Any], now_ms: int, *, is_check: bool) -> Told:
        codes = [code.upper() for code in request["codes"]]
        customer = request["customer"]
        twice = [codes.count(code) > 1 for code in codes]
        if not customer and not any(twice):
            return Told(701)
        new: list[Fact] = []
        items = []
        for code, is_twice in zip(codes, twice, strict=True):
            if is_twice:
                items.append(747)
            elif not customer:
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
        if code not in self.series_of:
            return 780 if is_check else 719
        series, record = self.series_of[code], self._record(code, customer)
        terms = self.terms[series]
        facts = self._active() + new
        of_coupon = [fact for fact in facts if (fact.code, fact.record) == (code, record)]
        of_customer = [fact for fact in facts if (fact.customer, fact.series) == (customer, series)]
        if series in self.halted:
            return 712
        refused = self._ownership(code, customer, new)
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
            if (_date(now_ms) - _date(last)).days < terms["gap_days"]:
                return 738
        if 0 <= terms["cap"] <= sum(fact.series == series for fact in facts):
            return 714
        new.append(Fact(code, record, customer, series, now_ms))
        return 700

    def _ownership(self, code: str, customer: int, new: list[Fact]) -> int:
        terms = self.terms[self.series_of[code]]
        if terms["any_user"]:
            return 0
        ever = [fact for fact in self.facts + new if fact.code == code]
        if terms["is_shared"]:  # a record is the customer's from the first redemption on, reversed or not
            return 0 if any(fact.customer == customer for fact in ever) else 723
        owner = self.owners[code]
        if terms["is_external"]:
            return 703 if ever and ever[0].customer != customer else 0
        if owner is None:
            return 723
        return 0 if owner == customer else 703

    def _series(self, code: str) -> int:
        return self.series_of[code]

    def _record(self, code: str, customer: int) -> int:
        return customer if code in self.series_of and self.terms[self.series_of[code]]["is_shared"] else 0

    def _active(self) -> list[Fact]:
        return [fact for fact in self.facts if not fact.is_reversed]


def _date(instant_ms: int) -> Any:
    return datetime.fromtimestamp(instant_ms / 1000, ZONE).date()
