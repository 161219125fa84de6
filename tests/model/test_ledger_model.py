"""The ledger on a real database against a naive auditor: random histories, compared answer by answer and row by row.

A failure prints the steps that lead to it. Every history plays in an org of its own.
"""

from datetime import date, datetime
from decimal import Decimal
from itertools import count
from typing import Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from couponry.core.commands import Check, Command, Redeem
from couponry.core.model import AfterReversal, Coupon, ExpiryStrategy
from couponry.core.plan import CheckAnswer
from couponry.core.series import Series, series_from_terms
from couponry.store import caps, doctor
from couponry.store import schema as t
from couponry.store.engine import Database
from couponry.store.merge import merge
from tests.core import world
from tests.core.world import DAY_MS, NOW
from tests.ledger.desk import Clock, Desk
from tests.ledger.orders import amend, issue, redate, reverse, revoke
from tests.ledger.rows import count_issued, rows, run_sql, write, write_org, wrongs
from tests.model import facts
from tests.model.auditor import Auditor
from tests.model.choices import COUPONS, HANDLING, ISSUE, KINDS, LIMIT, LIMITS, MOST, ORDER, REQUEST, SERIES, WHOM, pick
from tests.model.comparison import compare
from tests.model.facts import ZONE, Fact


class LedgerMachine(RuleBasedStateMachine):
    """One org's history. `database`, `desk` and `orgs` are given by the test, and shared by its histories."""

    database: Database
    desk: Desk
    orgs: "count[int]"

    @initialize(terms=st.lists(LIMITS, min_size=5, max_size=5), most=st.lists(st.tuples(LIMIT, MOST), min_size=5, max_size=5))
    def open(self, terms: list[dict[str, Any]], most: list[tuple[int, int]]) -> None:
        self.org_id = next(self.orgs)
        self.set_time(NOW)
        kinds = {
            number: {**fields, "cap": cap, "issue_cap": issue_cap, "kind": KINDS[number]}
            for number, fields, (cap, issue_cap) in zip(SERIES, terms, most, strict=True)
        }
        kinds[4]["any_user"] = False
        held = [
            facts.Coupon(code, number, owner=owner, issued_ms=None if owner is None else NOW - 10 * DAY_MS)
            for code, number, owner in COUPONS
        ]
        self.auditor = Auditor(kinds, held)
        self.versions = dict.fromkeys(SERIES, 1)
        self.sent: list[dict[str, Any]] = []
        write_org(self.database, self.org_id)
        coupons = [self.coupon(serial, *parts) for serial, parts in enumerate(COUPONS, 1)]
        all_series = [self.series(number) for number in SERIES]
        write(self.database, *(world.customer(serial) for serial in (1, 2, 3)), *all_series, *coupons, org_id=self.org_id)
        count_issued(self.database, self.org_id)
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
        terms = world.terms(
            client_handling_type=HANDLING[ours["kind"]],
            external_issual=ours["kind"] == "external",
            generic_code="S" if ours["kind"] == "shared" else None,
            is_multiple_vouchers_per_user_allowed=ours["many"],
            do_not_resend_existing_voucher=not ours["sends_again"],
            max_vouchers_per_user=ours["per_user"],
            min_days_between_vouchers=ours["issue_gap"],
            mutual_exclusive_series_ids=str(list(ours["excludes"])),
            max_create=ours["issue_cap"],
            expiry_strategy_type=ExpiryStrategy.SERIES_EXPIRY if ours["days"] is None else ExpiryStrategy.DAYS,
            expiry_strategy_value=ours["days"] or 0,
            reversal_policy={"CHARGEBACK": AfterReversal("consumed"), "RETURNED": AfterReversal("returns", 3)},
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
        self.redeem_all([{**self.resolved(request), "key": "", "body": None} for request in requests])

    @rule(requests=st.lists(REQUEST, min_size=3, max_size=9))
    def redeem_many(self, requests: list[dict[str, Any]]) -> None:
        self.redeem(requests)

    @rule(request=REQUEST, key=pick(["k1", "k2", "k3"]))
    def redeem_with_key(self, request: dict[str, Any], key: str) -> None:
        self.redeem_all([{**self.resolved(request), "key": key, "body": str(sorted(request.items()))}])

    @precondition(lambda self: self.sent)
    @rule(chance=st.integers(0, 10**6))
    def repeat(self, chance: int) -> None:
        """The same again, or for another amount."""
        past = self.sent[chance % len(self.sent)]
        self.redeem_all([{**past, "amount": 100} if chance % 7 == 0 else past])

    def redeem_all(self, requests: list[dict[str, Any]]) -> None:
        expected = [self.auditor.redeem(request, self.now_ms) for request in requests]
        outcomes = self.desk.outcomes(*(self.command(request) for request in requests))
        for outcome, due in zip(outcomes, expected, strict=True):
            compare(outcome, due)
        done = [request for request, (told, _) in zip(requests, expected, strict=True) if request["key"] or told.status == 700]
        self.sent = [*self.sent, *done][-5:]

    @rule(request=REQUEST)
    def check(self, request: dict[str, Any]) -> None:
        request = self.resolved(request)
        told = self.auditor.check(request, self.now_ms)
        command: Check = world.check(*request["codes"], **self.fields(request))
        (outcome,) = self.desk.outcomes(command)
        assert isinstance(outcome.answer, CheckAnswer)
        items = outcome.answer.items
        assert (outcome.answer.status.number, [item.outcome.status.number for item in items]) == (told.status, told.items)
        code = request["codes"][0].upper()
        if len(items) == 1 and request["customer"] and (coupon := self.auditor.found(code, request["customer"])):
            assert items[0].redemptions_left == self.auditor.left(coupon, request["customer"])
            assert items[0].redeemed_by_customer == self.auditor.used(code, request["customer"])
        event(f"check {told.status}")

    @rule(orders=st.lists(ORDER, min_size=1, max_size=5))
    def order(self, orders: list[tuple[Any, ...]]) -> None:
        """All that a ledger can be asked, in one batch or a few: each sees what those before it did."""
        ids = [row["id"] for row in rows(self.database, t.redemption, self.org_id)]  # ids rise with time
        asked = [getattr(self, f"ask_to_{what}")(ids, *parts) for what, *parts in orders]
        outcomes = self.desk.outcomes(*(command for command, _ in asked))
        for outcome, (_, due) in zip(outcomes, asked, strict=True):
            compare(outcome, due)

    @rule(orders=st.lists(ORDER, min_size=3, max_size=8))
    def order_much(self, orders: list[tuple[Any, ...]]) -> None:
        self.order(orders)

    @rule(requests=st.lists(st.tuples(ISSUE, WHOM), min_size=1, max_size=4))
    def issue(self, requests: list[tuple[Any, Any]]) -> None:
        self.order([("issue", *request) for request in requests])

    def ask_to_issue(self, _ids: list[int], what: tuple[Any, ...], customer: int | None) -> tuple[Command, object]:
        form, numbers, count_ = what
        command = issue(*numbers, form=form, count=count_, org_id=self.org_id, customer=self.who(customer))
        return command, self.auditor.issue(form, numbers, count_, customer, self.now_ms)

    def ask_to_redeem(self, _ids: list[int], request: dict[str, Any]) -> tuple[Command, object]:
        asked = {**self.resolved(request), "key": "", "body": None}
        return self.command(asked), self.auditor.redeem(asked, self.now_ms)

    def ask_to_reverse(self, ids: list[int], places: list[int], reason: str) -> tuple[Command, object]:
        places = [place % len(ids) if place >= 0 and ids else -1 for place in places]
        command = reverse(*(ids[place] if place >= 0 else 7 for place in places), reason=reason, org_id=self.org_id)
        return command, self.auditor.reverse(places, reason, self.now_ms)

    def ask_to_amend(self, ids: list[int], places: list[int]) -> tuple[Command, object]:
        known = [bool(place >= 0 and ids) for place in places]
        named = (ids[place % len(ids)] if is_known else 7 for place, is_known in zip(places, known, strict=True))
        return amend(*named, org_id=self.org_id, bill_id=1), [761 if is_known else 510 for is_known in known]

    def ask_to_revoke(self, _ids: list[int], number: int, codes: list[str], customer: int | None) -> tuple[Command, object]:
        codes = [self.code(code) for code in codes]
        customer = customer if codes else customer or 1
        who = None if customer is None else self.who(customer)
        return revoke(*codes, series_id=number, customer=who, org_id=self.org_id), self.auditor.revoke(number, codes, customer)

    def ask_to_redate(
        self, _ids: list[int], number: int, codes: list[str], customer: int | None, hours: int
    ) -> tuple[Command, object]:
        codes, at_ms = [self.code(code) for code in codes], self.now_ms + hours * 3_600_000
        who = None if customer is None else self.who(customer)
        command = redate(at_ms, *codes, series_id=number, customer=who, org_id=self.org_id)
        return command, self.auditor.redate(number, codes, customer, at_ms, self.now_ms)

    def who(self, customer: int | None) -> tuple[tuple[str, str], ...]:
        return (("id", str(customer)) if customer else world.NOBODY,)

    def code(self, code: str) -> str:
        """What a star and a number stand for."""
        late = [one for one in self.auditor.coupons[len(COUPONS) :] if one.code]
        return code if code[0] != "*" else late[-1 - int(code[1:])].code if int(code[1:]) < len(late) else "A"

    def resolved(self, request: dict[str, Any]) -> dict[str, Any]:
        codes = [self.code(code) for code in request["codes"]]
        if request["customer"] != -1:
            return {**request, "codes": codes}
        owners = [one.owner for one in self.auditor.coupons if one.code == codes[0] and one.owner]
        return {**request, "codes": codes, "customer": owners[-1] if owners else 1}

    @precondition(lambda self: not self.auditor.merged)
    @rule(pair=pick([(2, 1), (3, 1), (1, 2), (3, 2)]), is_wanted=pick([True, False, False]))
    def merge_customers(self, pair: tuple[int, int], is_wanted: bool) -> None:
        if is_wanted:
            victim, survivor = pair
            with self.database.writing() as tx:
                assert merge(tx, self.org_id, victim, survivor, self.now_ms) is None
            self.auditor.merge(victim, survivor)
            event("merged")

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

    @rule(number=pick(SERIES), limits=LIMITS, room=pick([None, 0, 1, 2]), issue_room=pick([None, None, 0, 1, 3]))
    def change_terms(self, number: int, limits: dict[str, Any], room: int | None, issue_room: int | None) -> None:
        """A new version. A cap is set with so much room above what has been counted: below it none can be."""
        ours = self.auditor.terms[number]
        redeemed = sum(fact.series == number and not fact.is_reversed for fact in self.auditor.facts)
        ours |= {**limits, "any_user": limits["any_user"] and ours["kind"] != "external"}
        ours["cap"] = -1 if room is None else redeemed + room
        ours["issue_cap"] = -1 if issue_room is None else self.auditor.issued(number) + issue_room
        self.versions[number] += 1
        terms = msgspec.json.encode(self.series(number).terms).decode().replace("'", "''")
        run_sql(
            self.database,
            f"INSERT INTO series_version (org_id, series_id, version, terms, created_ms) "
            f"VALUES ({self.org_id}, {number}, {self.versions[number]}, '{terms}', 0)",
            f"UPDATE series SET version = {self.versions[number]} WHERE org_id = {self.org_id} AND id = {number}",
        )
        with self.database.writing() as tx:
            counts = caps.lock_counts(tx, self.org_id, number)
            caps.set_cap(tx, self.org_id, number, "redeemed", ours["cap"], counts["redeemed"])
            caps.set_cap(tx, self.org_id, number, "issued", ours["issue_cap"], counts["issued"])

    @invariant()
    def counters_are_what_rows_add_up_to(self) -> None:
        assert wrongs(self.database, self.org_id, asks_doctor=False) == []

    @invariant()
    def redemptions_are_the_facts(self) -> None:
        codes = {row["id"]: (row["code"], row["holder_id"]) for row in rows(self.database, t.coupon, self.org_id)}
        kept = [
            Fact(
                *codes[row["coupon_id"]],
                row["customer_id"],
                row["series_id"],
                row["redeemed_ms"],
                row["reversed_ms"] is not None,
                row["reversed_ms"] is None and row["reversal_reason"] is not None,
                coupon=self.auditor.coupons[0],
            )
            for row in rows(self.database, t.redemption, self.org_id)
        ]
        assert kept == self.auditor.facts

    @invariant()
    def coupons_are_the_auditors(self) -> None:
        kept = [
            (
                row["code"],
                *(row["series_id"], row["holder_id"], row["customer_id"], row["issued_ms"], not row["issued_by_redemption"]),
                *(last_ms(row["expires_local"]), row["revoked_ms"] is not None),
            )
            for row in rows(self.database, t.coupon, self.org_id)
        ]
        assert kept == [tuple(vars(one).values()) for one in self.auditor.coupons]

    @invariant()
    def no_cap_is_exceeded(self) -> None:
        for number, terms in self.auditor.terms.items():
            redeemed = sum(fact.series == number and not fact.is_reversed for fact in self.auditor.facts)
            assert terms["cap"] < 0 or redeemed <= terms["cap"]
            assert terms["issue_cap"] < 0 or self.auditor.issued(number) <= terms["issue_cap"]


def last_ms(expires_local: str | None) -> int | None:
    return expires_local and round(datetime.fromisoformat(expires_local).replace(tzinfo=ZONE).timestamp()) * 1000 + 999  # type: ignore[return-value] # never empty


def play(database: Database, how: settings) -> None:
    with Desk(database.url) as desk:
        machine = type("Machine", (LedgerMachine,), {"database": database, "desk": desk, "orgs": count(1)})
        run_state_machine_as_test(machine, settings=how)
    assert doctor.check(database).differences == []


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
    play(database, settings(SHORT, max_examples=80 if database.is_sqlite else 32))


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_ledger_agrees_with_the_auditor_for_long(database: Database) -> None:
    play(database, LONG)
