"""The ledger on a real database against a naive auditor: random histories, compared answer by answer and row by row.

A failure prints the steps that lead to it. Every history plays in an org of its own.
"""

from datetime import date
from decimal import Decimal
from itertools import count
from typing import Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from couponry.core.commands import Check, Redeem
from couponry.core.model import Coupon, Handling
from couponry.core.plan import Answer, CheckAnswer
from couponry.core.series import Series, series_from_terms
from couponry.store import schema as t
from couponry.store.engine import Database
from tests.core import world
from tests.core.world import DAY_MS, NOW
from tests.ledger.desk import Clock, Desk
from tests.ledger.rows import miscounts, rows, run_sql, write, write_org
from tests.model.auditor import Auditor, Fact, Told

# Code, series, owner. Series 1 and 2 are generated, 3 is shared, 4 external.
COUPONS: Final = (
    ("A", 1, 1),
    ("B", 1, 1),
    ("C", 1, 2),
    ("D", 1, None),
    ("E", 2, 1),
    ("F", 2, 2),
    ("S", 3, None),
    ("T", 3, None),
    ("X", 4, None),
    ("Y", 4, None),
)
SERIES: Final = (1, 2, 3, 4)
pick = st.sampled_from
MOSTLY: Final = pick([True, True, True, False])
LIMIT: Final = pick([-1, -1, 1, 2, 3])
LIMITS: Final = st.fixed_dictionaries(
    {
        "multiple_use": MOSTLY,
        "same_user": MOSTLY,
        "per_code": LIMIT,
        "per_customer": LIMIT,
        "gap_days": pick([-1, -1, -1, 1, 2]),
        "any_user": st.booleans(),
    }
)
# Most requests are sound: the fewer reasons there are to refuse them, the more the limits get to say.
SOUND: Final = pick(["A1", "A1", "B1", "C2", "E1", "F2", "S1", "S2", "T1", "X1", "Y2"])
ONE: Final = SOUND.map(lambda pair: {"codes": [pair[0]], "customer": int(pair[1])})
ANY: Final = st.fixed_dictionaries(
    {
        "codes": st.lists(pick([code for code, _, _ in COUPONS] + ["a", "s", "NOPE"]), min_size=1, max_size=4),
        "customer": pick([1, 1, 2, 3, None]),
    }
)
OWN: Final = st.fixed_dictionaries({"codes": st.lists(pick("ABEST"), min_size=2, max_size=3), "customer": st.just(1)})
BILL: Final = st.fixed_dictionaries({"amount": pick([100, 100, 250]), "number": pick(["", "", "T1", "T2"])})
REQUEST: Final = st.builds(lambda what, bill: {**what, **bill}, ONE | ONE | ONE | ONE | OWN | ANY, BILL)


class LedgerMachine(RuleBasedStateMachine):
    """One org's history. `database`, `desk` and `orgs` are given by the test, and shared by its histories."""

    database: Database
    desk: Desk
    orgs: "count[int]"

    @initialize(terms=st.lists(LIMITS, min_size=4, max_size=4), caps=st.lists(LIMIT, min_size=4, max_size=4))
    def open(self, terms: list[dict[str, Any]], caps: list[int]) -> None:
        self.org_id = next(self.orgs)
        self.set_time(NOW)
        kinds = {
            number: {**fields, "cap": cap, "is_shared": number == 3, "is_external": number == 4}
            for number, fields, cap in zip(SERIES, terms, caps, strict=True)
        }
        kinds[4]["any_user"] = False
        self.auditor = Auditor(kinds, {code: number for code, number, _ in COUPONS}, {code: owner for code, _, owner in COUPONS})
        self.versions = dict.fromkeys(SERIES, 1)
        self.sent: list[dict[str, Any]] = []
        write_org(self.database, self.org_id)
        coupons = [self.coupon(serial, *parts) for serial, parts in enumerate(COUPONS, 1)]
        all_series = [self.series(number) for number in SERIES]
        write(self.database, *(world.customer(serial) for serial in (1, 2, 3)), *all_series, *coupons, org_id=self.org_id)
        run_sql(
            self.database,
            f"INSERT INTO campaign (org_id, id, name, description, state, created_ms) "
            f"SELECT org_id, id, 'c', '', 'ACTIVE', 0 FROM series WHERE org_id = {self.org_id}",
            f"UPDATE series SET campaign_id = id WHERE org_id = {self.org_id}",
        )

    def coupon(self, serial: int, code: str, series_id: int, owner: int | None) -> Coupon:
        issued_ms = None if owner is None else NOW - 10 * DAY_MS
        return Coupon(world.coupon_id(serial, self.org_id), series_id, code, customer_id=owner, issued_ms=issued_ms)

    def series(self, number: int) -> Series:
        ours = self.auditor.terms[number]
        handling = Handling.SHARED if ours["is_shared"] else Handling.UPLOADED if ours["is_external"] else Handling.GENERATED
        terms = world.terms(
            client_handling_type=handling,
            external_issual=ours["is_external"],
            any_user=ours["any_user"],
            is_multiple_use_allowed=ours["multiple_use"],
            same_user_multiple_redeem=ours["same_user"],
            redemption_per_coupon_max_limit=ours["per_code"],
            max_redemptions_in_series_per_user=ours["per_customer"],
            min_days_between_redemption=ours["gap_days"],
            max_redeem=ours["cap"],
            valid_till_date=date(2099, 1, 1),
        )
        return series_from_terms(number, self.versions[number], terms)

    def set_time(self, now_ms: int) -> None:
        assert isinstance(self.desk.clock, Clock)
        self.desk.clock.now_ms = self.now_ms = now_ms

    def fields(self, request: dict[str, Any]) -> dict[str, Any]:
        identifier = ("id", str(request["customer"])) if request["customer"] else world.NOBODY
        return {
            "org_id": self.org_id,
            "customer": (identifier,),
            "amount": Decimal(request["amount"]),
            "transaction_number": request["number"],
        }

    def command(self, request: dict[str, Any]) -> Redeem:
        key = world.key(f"{self.org_id}-{request['key']}", request["body"]) if request["key"] else None
        return world.redeem(*request["codes"], key=key, **self.fields(request))

    @rule(requests=st.lists(REQUEST, min_size=1, max_size=6))
    def redeem(self, requests: list[dict[str, Any]]) -> None:
        """Several at once: one batch, or a few."""
        self.redeem_all([{**request, "key": "", "body": None} for request in requests])

    @rule(requests=st.lists(REQUEST, min_size=3, max_size=9))
    def redeem_many(self, requests: list[dict[str, Any]]) -> None:
        self.redeem(requests)

    @rule(request=REQUEST, key=pick(["k1", "k2", "k3"]))
    def redeem_with_key(self, request: dict[str, Any], key: str) -> None:
        self.redeem_all([{**request, "key": key, "body": str(sorted(request.items()))}])

    @precondition(lambda self: self.sent)
    @rule(chance=st.integers(0, 10**6))
    def repeat(self, chance: int) -> None:
        """The same again, or for another amount."""
        past = self.sent[chance % len(self.sent)]
        self.redeem_all([{**past, "amount": 100} if chance % 7 == 0 else past])

    def redeem_all(self, requests: list[dict[str, Any]]) -> None:
        expected = [self.auditor.redeem(request, self.now_ms) for request in requests]
        outcomes = self.desk.outcomes(*(self.command(request) for request in requests))
        for request, outcome, (told, replayed) in zip(requests, outcomes, expected, strict=True):
            assert isinstance(outcome.answer, Answer)
            got = Told(outcome.answer.status.number, [item.status.number for item in outcome.answer.items])
            assert (got.status, got.items, outcome.replayed) == (told.status, told.items, replayed), request
            event(f"redeem {got.status} {replayed}")
        done = [request for request, (told, _) in zip(requests, expected, strict=True) if request["key"] or told.status == 700]
        self.sent = [*self.sent, *done][-5:]

    @rule(request=REQUEST)
    def check(self, request: dict[str, Any]) -> None:
        told = self.auditor.check(request, self.now_ms)
        command: Check = world.check(*request["codes"], **self.fields(request))
        (outcome,) = self.desk.outcomes(command)
        assert isinstance(outcome.answer, CheckAnswer)
        items = outcome.answer.items
        assert (outcome.answer.status.number, [item.outcome.status.number for item in items]) == (told.status, told.items)
        code = request["codes"][0].upper()
        if len(items) == 1 and request["customer"] and code in self.auditor.series_of:
            assert items[0].redemptions_left == self.auditor.left(code, request["customer"])
            assert items[0].redeemed_by_customer == self.auditor.used(code, request["customer"])
        event(f"check {told.status}")

    @rule(hours=pick([1, 6, 12, 23, 24, 25, 48]), ms=pick([0, 0, 1]))
    def pass_time(self, hours: int, ms: int) -> None:
        self.set_time(self.now_ms + hours * 3_600_000 + ms)

    @rule(number=pick(SERIES), state=pick(["PAUSED", "ENDED", "OVER"]))
    def halt_campaign(self, number: int, state: str) -> None:
        self.set_campaign(number, state)

    def set_campaign(self, number: int, state: str) -> None:
        ends_ms, stored = (self.now_ms - 1, "ACTIVE") if state == "OVER" else ("NULL", state)
        where = f"WHERE org_id = {self.org_id} AND id = {number}"
        run_sql(self.database, f"UPDATE campaign SET state = '{stored}', ends_ms = {ends_ms} {where}")
        if state == "ACTIVE":
            self.auditor.halted.discard(number)
        else:
            self.auditor.halted.add(number)

    @precondition(lambda self: self.auditor.halted)
    @rule()
    def resume_campaigns(self) -> None:
        for number in sorted(self.auditor.halted):
            self.set_campaign(number, "ACTIVE")

    @rule(number=pick(SERIES), limits=LIMITS, room=pick([None, 0, 1, 2]))
    def change_terms(self, number: int, limits: dict[str, Any], room: int | None) -> None:
        """A new version. A cap is set with so much room above what has been redeemed: below it none can be."""
        ours = self.auditor.terms[number]
        redeemed = sum(fact.series == number and not fact.is_reversed for fact in self.auditor.facts)
        ours |= {**limits, "any_user": limits["any_user"] and not ours["is_external"]}
        ours["cap"] = -1 if room is None else redeemed + room
        self.versions[number] += 1
        terms = msgspec.json.encode(self.series(number).terms).decode().replace("'", "''")
        here = f"org_id = {self.org_id} AND series_id = {number}"
        run_sql(
            self.database,
            f"INSERT INTO series_version (org_id, series_id, version, terms, created_ms) "
            f"VALUES ({self.org_id}, {number}, {self.versions[number]}, '{terms}', 0)",
            f"UPDATE series SET version = {self.versions[number]} WHERE org_id = {self.org_id} AND id = {number}",
            f"UPDATE series_counter SET redeemed_max = {ours['cap']}, redeemed_elsewhere = "
            f"(SELECT COALESCE(SUM(redeemed), 0) FROM series_counter WHERE {here} AND stripe > 0) WHERE {here} AND stripe = 0",
        )

    @precondition(lambda self: any(not fact.is_reversed for fact in self.auditor.facts))
    @rule(chance=st.integers(0, 10**6))
    def reverse(self, chance: int) -> None:
        """A redemption is taken back, as the rules say (rules 9): every counter goes down, and the last time back."""
        at = [place for place, fact in enumerate(self.auditor.facts) if not fact.is_reversed]
        place = at[chance % len(at)]
        fact = self.auditor.facts[place]
        fact.is_reversed = True
        row = rows(self.database, t.redemption, self.org_id)[place]  # ids rise with time
        assert (row["customer_id"], row["series_id"], row["redeemed_ms"]) == (fact.customer, fact.series, fact.at_ms)
        lasts = [
            each.at_ms
            for each in self.auditor.facts
            if not each.is_reversed and each.series == fact.series and each.customer == fact.customer
        ]
        of_series = f"WHERE org_id = {self.org_id} AND series_id = {fact.series}"
        run_sql(
            self.database,
            f"UPDATE redemption SET reversed_ms = {self.now_ms} WHERE org_id = {self.org_id} AND id = {row['id']}",
            f"UPDATE coupon SET redeemed = redeemed - 1 WHERE org_id = {self.org_id} AND id = {row['coupon_id']}",
            f"UPDATE customer_series SET redeemed = redeemed - 1, last_redeemed_ms = {max(lasts, default='NULL')} "
            f"{of_series} AND customer_id = {fact.customer}",
            f"UPDATE series_counter SET redeemed = redeemed - 1 {of_series} AND stripe = "
            f"(SELECT MAX(stripe) FROM series_counter {of_series} AND redeemed > 0)",
            f"UPDATE series_counter SET redeemed_elsewhere = (SELECT COALESCE(SUM(redeemed), 0) FROM series_counter {of_series} "
            f"AND stripe > 0) {of_series} AND stripe = 0",
        )

    @invariant()
    def counters_are_what_rows_add_up_to(self) -> None:
        assert miscounts(self.database, self.org_id) == []

    @invariant()
    def redemptions_are_the_facts(self) -> None:
        codes = {row["id"]: (row["code"], row["holder_id"]) for row in rows(self.database, t.coupon, self.org_id)}
        kept = []
        for row in rows(self.database, t.redemption, self.org_id):
            code, record = codes[row["coupon_id"]]
            is_reversed = row["reversed_ms"] is not None
            kept.append(Fact(code, record, row["customer_id"], row["series_id"], row["redeemed_ms"], is_reversed))
        assert kept == self.auditor.facts

    @invariant()
    def no_cap_is_exceeded(self) -> None:
        for number, terms in self.auditor.terms.items():
            redeemed = sum(fact.series == number and not fact.is_reversed for fact in self.auditor.facts)
            assert terms["cap"] < 0 or redeemed <= terms["cap"]


def play(database: Database, how: settings) -> None:
    with Desk(database.url) as desk:
        machine = type("Machine", (LedgerMachine,), {"database": database, "desk": desk, "orgs": count(1)})
        run_state_machine_as_test(machine, settings=how)


SHORT: Final = settings(
    stateful_step_count=20,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),  # shrinking a history would outlast the test's time; the soak does it
    suppress_health_check=list(HealthCheck),
)
LONG: Final = settings(SHORT, max_examples=3000, stateful_step_count=60, derandomize=False, print_blob=True, phases=tuple(Phase))


def test_ledger_agrees_with_the_auditor(database: Database) -> None:
    play(database, settings(SHORT, max_examples=110 if database.is_sqlite else 45))


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_ledger_agrees_with_the_auditor_for_long(database: Database) -> None:
    play(database, LONG)
