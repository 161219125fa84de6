"""Every committed cause has its position and its deliveries exactly once, whoever makes them, and whatever goes wrong."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert

from couponry.core.deliveries import Channel, DeliveryState, NewDelivery, Outcome, Webhook
from couponry.core.limits import COUPON_TOLD_CHARS, COUPONS_TOLD_AT_ONCE, EVENT_TOLD_CHARS, SIDE_EFFECTS_LEFT_MS
from couponry.core.model import Org
from couponry.core.telling import Cause, Facts, Rank
from couponry.core.validation import Channel as Address
from couponry.core.validation import Message
from couponry.store import schema as t
from couponry.store import sequencing
from couponry.store.deliveries import Deliveries
from couponry.store.engine import Database, StoreError
from couponry.store.neighbours import WORKER
from couponry.store.presence import Ownership
from couponry.store.sequencing import REQUEST_CAUSES_MAX, Sequencer
from tests.core.world import NOW, ORG, coupon, coupon_id, customer, redemption_id, series
from tests.ledger.rows import open_shop, rows, run_sql, write_org
from tests.store.outboxes import VAULT, add_webhook, cause, fan_out, happen, statements
from tests.store.test_statements import is_walk


def sequencer(database: Database, now_ms: int = NOW) -> Sequencer:
    return Sequencer(database, fan_out, lambda: now_ms)


def placed(database: Database) -> list[tuple[int, str]]:
    """What has a position, in that order, by request."""
    told = [(row["position"], row["request_id"]) for row in rows(database, t.outbox) if row["position"] is not None]
    return sorted(told)


def made(database: Database) -> list[tuple[int, str]]:
    """Deliveries in their order: target and request."""
    return [(row["target_id"], row["request_id"]) for row in rows(database, t.delivery)]


def test_causes_are_told_in_the_order_of_their_times(database: Database) -> None:
    open_shop(database)
    issues, both, asleep = (
        add_webhook(database, "CouponIssue", name="a"),
        add_webhook(database, "CouponIssue", "CouponRevoke", name="b"),
        add_webhook(database, "CouponIssue", name="c", is_active=False),
    )
    happen(
        database,
        cause(9, at_ms=NOW - 2),
        cause(1, "CouponRevoke", at_ms=NOW - 1),
        cause(2, "IssueMessage", at_ms=NOW - 1),
        cause(3, "CouponReactivate"),
    )
    done = sequencer(database).step(ORG)
    assert (done.causes, done.is_all, done.target_ids) == (4, True, frozenset({issues.id, both.id, Channel.SMS}))
    assert placed(database) == [(1, "r9"), (2, "r1"), (3, "r2"), (4, "r3")]
    assert made(database) == [(issues.id, "r9"), (both.id, "r9"), (both.id, "r1"), (Channel.SMS, "r2")]
    assert asleep.id not in {target for target, _ in made(database)}
    (first, *_) = rows(database, t.delivery)
    assert (first["body"], first["state"], first["next_ms"], first["since_ms"]) == ("H4TQ9ZKM", "waiting", NOW, NOW)
    assert sequencer(database).step(ORG).causes == 0
    happen(database, cause(10))
    sequencer(database).step(ORG)
    assert placed(database)[-1] == (5, "r10")


def test_what_the_hook_is_just_told_of_is_left_alone(database: Database) -> None:
    open_shop(database)
    about = {"subject_id": redemption_id(1)}
    happen(
        database,
        cause(1, "SideEffects", at_ms=NOW - SIDE_EFFECTS_LEFT_MS, **about),
        cause(2, "SideEffects", at_ms=NOW - SIDE_EFFECTS_LEFT_MS + 1, **about),
        cause(3, "CouponRedeem", **about),
    )
    assert sequencer(database).step(ORG)[:3] == (2, frozenset(), True)
    assert placed(database) == [(1, "r1"), (2, "r3")]


def test_one_org_at_a_time(database: Database) -> None:
    open_shop(database)
    write_org(database, 2)
    add_webhook(database, "CouponIssue")
    happen(database, cause(1), cause(2, org_id=2))
    sequencer(database).step(2)
    assert [row["position"] for row in rows(database, t.outbox, 2)] == [1]
    assert not placed(database)
    assert not made(database)


def test_facts_are_all_that_there_is_to_tell(database: Database) -> None:
    open_shop(database, series(), coupon(), customer(3, email="noor@example.org"))
    place_till(database)
    made_at = {"coupon_id": coupon_id(1), "use_number": 1, "series_id": 1, "series_version": 1, "customer_id": 3}
    where = {"customer_use_number": 1, "till_id": 11, "store_id": 21, "redeemed_ms": NOW - 5, "amount": 1_800_500}
    bill = {"transaction_number": "INV-1", "bill_id": 7, "request_id": "r1"}
    message = Message((Address("mobile", "919812300001"),))
    with database.writing() as tx:
        tx.connection.execute(insert(t.redemption).values(org_id=ORG, id=redemption_id(1), **made_at, **where, **bill))
        text = {"message": msgspec.json.encode(message).decode(), "mac": "", "scope": "COUPON"}
        of_whom = {"customer_id": 2, "entity_type": "mobile", "entity_value": ""}
        times = {"created_ms": NOW, "expires_ms": NOW + 9}
        tx.connection.execute(
            insert(t.otp).values(org_id=ORG, id=4, sealed=VAULT.seal(ORG, 4, "123456"), **text, **of_whom, **times)
        )
    seen: list[Facts] = []

    def look(org: Org, causes: Sequence[Cause], facts: Facts, webhooks: Sequence[Webhook]) -> Sequence[NewDelivery]:
        assert not webhooks
        seen.append(facts)
        return []

    happen(
        database,
        cause(1, "CouponRedeem", subject_id=redemption_id(1), customer_id=None),
        cause(2, "OtpMessage", subject_id=4, customer_id=2),
        cause(3, "CouponIssueLimit", subject_id=1, customer_id=None),
        cause(4, "CouponRevoke", subject_id=coupon_id(404)),
    )
    Sequencer(database, look, lambda: NOW).step(ORG)
    (facts,) = seen
    redeemed = facts.redemptions[redemption_id(1)]
    assert (redeemed.amount, redeemed.transaction_number, redeemed.bill_id, redeemed.reversed_ms) == (
        Decimal("1800.5"),
        "INV-1",
        7,
        None,
    )
    assert [one.code for one in facts.coupons.values()] == ["H4TQ9ZKM"]
    assert set(facts.customers) == {1, 2, 3}
    assert facts.customers[3].customer.email == "noor@example.org"
    assert (facts.tills[11].code, facts.tills[11].store_code, facts.tills[11].external_id_2) == ("t11", "s21", "X2")
    assert facts.series[1].terms.description
    assert (facts.otps[4].message, VAULT.open(ORG, 4, facts.otps[4].sealed)) == (message, "123456")
    assert len(placed(database)) == 4


def place_till(database: Database) -> None:
    with database.writing() as tx:
        store = {"code": "s21", "name": "S", "is_active": True, "external_id_2": "X2"}
        tx.connection.execute(insert(t.store).values(org_id=ORG, id=21, **store))
        till = {"code": "t11", "name": "T", "store_id": 21, "password_hash": "", "is_active": True}
        tx.connection.execute(insert(t.till).values(org_id=ORG, id=11, **till))


def test_many_coupons_make_a_short_batch(database: Database) -> None:
    open_shop(database)
    half = tuple(coupon_id(serial) for serial in range(1, COUPONS_TOLD_AT_ONCE // 2 + 1))
    happen(database, *(cause(serial, coupon_ids=half) for serial in range(1, 4)), cause(4))
    assert [sequencer(database).step(ORG).is_all for _ in range(2)] == [False, True]
    assert [request for _, request in placed(database)] == ["r1", "r2", "r3", "r4"]


def test_a_request_is_told_as_a_whole(database: Database) -> None:
    """The redemptions of a job are as many as there are."""
    open_shop(database)
    bills = (*((1, "a"), (2, "b"), (3, "b"), (4, "b")), *((serial, "job") for serial in range(10, 10 + REQUEST_CAUSES_MAX + 20)))
    happen(database, *(cause(n, "CouponRedeem", request_id=bill, subject_id=redemption_id(n)) for n, bill in bills))
    mine = sequencer(database)
    steps = (3, 3, REQUEST_CAUSES_MAX + 10, REQUEST_CAUSES_MAX)
    assert [mine.step(ORG, most=most).causes for most in steps] == [1, 3, REQUEST_CAUSES_MAX + 10, 10]


def test_a_request_is_told_as_a_whole_however_many_are_told_of_it(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    open_shop(database)
    add_webhook(database, "CouponRedeem", "CouponIssue")
    monkeypatch.setattr(sequencing, "TOLD_CHARS_AT_ONCE", 2 * (EVENT_TOLD_CHARS + COUPON_TOLD_CHARS))
    happen(database, *(cause(n, "CouponRedeem", request_id="bill", subject_id=redemption_id(n)) for n in range(1, 6)))
    happen(database, *(cause(n, request_id="other") for n in range(6, 11)))
    mine = sequencer(database)
    assert [mine.step(ORG).causes for _ in range(4)] == [5, 2, 2, 1]


def test_the_more_are_told_the_less_at_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    open_shop(database)
    for name in "ab":
        add_webhook(database, "CouponIssue", name=name)
    monkeypatch.setattr(sequencing, "TOLD_CHARS_AT_ONCE", 8 * (EVENT_TOLD_CHARS + COUPON_TOLD_CHARS))
    happen(database, *(cause(n) for n in range(1, 11)), *(cause(n, "CouponRevoke") for n in range(11, 21)))
    mine = sequencer(database)
    assert [mine.step(ORG).causes for _ in range(4)] == [4, 4, 6, 6]  # two of an issue, nothing of a revocation


def test_whether_others_write_is_known_while_there_is_more(database: Database) -> None:
    """What one worker's jobs write is none of others'."""
    open_shop(database)
    happen(database, *(cause(n) for n in range(1, 8)))
    with closing(Database(database.url, is_keyed=True, name=WORKER, has_one_writer=True)) as own:
        mine = sequencer(own)
        assert not mine.step(ORG, most=2).others_write
        with own.writing() as tx:
            tx.connection.execute(insert(t.outbox), [cause(8)])
        assert not mine.step(ORG, most=2).others_write
        with database.writing() as tx:
            tx.connection.execute(insert(t.outbox), [cause(9)])
            if database.is_sqlite:
                tx.connection.commit()
            assert mine.step(ORG, most=2).others_write
        last = mine.step(ORG)
        assert (last.others_write, last.is_all) == (False, True)


def test_codes_are_told_first_and_bulk_last(database: Database) -> None:
    """Prevents the code that waits behind a million messages; what tills do keeps its order."""
    open_shop(database)
    happen(
        database,
        *(cause(n, "IssueMessage", at_ms=NOW - 9, rank=Rank.LATER, customer_id=n % 5) for n in range(1, 6)),
        cause(6, "CouponRevoke", at_ms=NOW - 8),
        cause(7, at_ms=NOW - 8),
        cause(8, "OtpMessage", rank=Rank.AT_ONCE, subject_id=4, customer_id=2),
        cause(9, at_ms=NOW - 9),
    )
    mine = sequencer(database)
    assert [mine.step(ORG, most=most).is_all for most in (1, 4, 9)] == [False, False, True]
    assert [request for _, request in placed(database)] == ["r8", "r9", "r6", "r7", "r1", "r2", "r3", "r4", "r5"]


def test_what_is_new_waits_behind_what_is_put_off(database: Database) -> None:
    open_shop(database)
    hook = add_webhook(database, "CouponIssue")
    happen(database, cause(1), cause(2), cause(3, customer_id=2), cause(4, customer_id=None))
    sequencer(database).step(ORG)
    run_sql(database, f"UPDATE delivery SET next_ms = {NOW + 900} WHERE customer_id = 1 OR customer_id IS NULL")
    happen(database, *(cause(serial, customer_id=who) for serial, who in ((5, 1), (6, 2), (7, None), (8, 1))))
    sequencer(database, NOW + 5).step(ORG)
    due = {row["request_id"]: row["next_ms"] for row in rows(database, t.delivery)}
    put_off = dict.fromkeys(("r1", "r2", "r4", "r5", "r8"), NOW + 900)
    assert due == {**put_off, "r3": NOW, "r6": NOW + 5, "r7": NOW + 5}
    assert {target for target, _ in made(database)} == {hook.id}


def test_a_message_for_the_morning_holds_up_those_after_it(database: Database) -> None:
    open_shop(database)

    def in_the_morning(org: Org, causes: Sequence[Cause], facts: Facts, webhooks: Sequence[Webhook]) -> list[NewDelivery]:
        usual = {"target_id": Channel.SMS, "body": "", "ref_id": "", "event": "IssueMessage"}
        at = {"r1": NOW + 500, "r2": 0, "r3": NOW + 900, "r4": 0}
        return [
            NewDelivery(outbox_id=one.id, customer_id=1, request_id=one.request_id, next_ms=at[one.request_id], **usual)  # type: ignore[arg-type] # as each is named
            for one in reversed(causes)
        ]

    happen(database, *(cause(serial) for serial in range(1, 5)))
    Sequencer(database, in_the_morning, lambda: NOW).step(ORG)
    assert [row["next_ms"] for row in rows(database, t.delivery)] == [NOW + 500, NOW + 500, NOW + 900, NOW + 900]


def test_a_cause_that_nothing_can_be_made_of_stops_no_other(database: Database) -> None:
    open_shop(database)
    add_webhook(database, "CouponIssue")

    def stumble(org: Org, causes: Sequence[Cause], facts: Facts, webhooks: Sequence[Webhook]) -> list[NewDelivery]:
        assert all(one.request_id != "r2" for one in causes)
        return fan_out(org, causes, facts, webhooks)

    happen(database, cause(1), cause(2), cause(3))
    assert Sequencer(database, stumble, lambda: NOW).step(ORG).causes == 3
    left = [(row["request_id"], row["target_id"], row["state"], row["problem"]) for row in rows(database, t.delivery)]
    problem = "nothing could be made of it: AssertionError"
    assert left[1] == ("r2", Channel.UNTOLD, DeliveryState.FAILED, problem)
    assert [each[2] for each in left] == ["waiting", "failed", "waiting"]


def test_a_failure_while_writing_leaves_nothing(database: Database) -> None:
    open_shop(database)
    add_webhook(database, "CouponIssue")
    happen(database, *(cause(serial) for serial in range(1, 6)))
    run_sql(database, *no_delivery_of(database, "r4"))
    with pytest.raises(StoreError):
        sequencer(database).step(ORG)
    assert not placed(database)
    assert not made(database)
    run_sql(database, "DROP TRIGGER no_delivery" if database.is_sqlite else "ALTER TABLE delivery DROP CONSTRAINT no_delivery")
    sequencer(database).step(ORG)
    assert [position for position, _ in placed(database)] == [1, 2, 3, 4, 5]
    assert [request for _, request in made(database)] == ["r1", "r2", "r3", "r4", "r5"]


def no_delivery_of(database: Database, request: str) -> list[str]:
    if database.is_sqlite:
        refused = f"WHEN NEW.request_id = '{request}' BEGIN SELECT RAISE(ABORT, 'no'); END"
        return [f"CREATE TRIGGER no_delivery BEFORE INSERT ON delivery {refused}"]
    return [f"ALTER TABLE delivery ADD CONSTRAINT no_delivery CHECK (request_id <> '{request}')"]


def test_who_comes_second_writes_nothing(database: Database) -> None:
    """Another worker, or the same one before a crash, tells the same causes while we make their bodies."""
    open_shop(database)
    add_webhook(database, "CouponIssue")
    happen(database, cause(1), cause(2))

    def late(org: Org, causes: Sequence[Cause], facts: Facts, webhooks: Sequence[Webhook]) -> list[NewDelivery]:
        sequencer(database).step(ORG, most=1)
        return fan_out(org, causes, facts, webhooks)

    with pytest.raises(StoreError):
        Sequencer(database, late, lambda: NOW).step(ORG)
    assert placed(database) == [(1, "r1")]
    sequencer(database).step(ORG)
    assert placed(database) == [(1, "r1"), (2, "r2")]
    assert [request for _, request in made(database)] == ["r1", "r2"]


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_workers_side_by_side(database: Database) -> None:
    open_shop(database, series(), coupon(), *(customer(serial) for serial in range(3, 13)))
    add_webhook(database, "CouponIssue")
    count = 300
    happen(database, *(cause(serial, at_ms=NOW + serial, customer_id=1 + serial % 12) for serial in range(1, count + 1)))

    def work(_: int) -> int:
        mine = sequencer(database)
        told, fails = 0, 0
        while True:
            try:
                done = mine.step(ORG, most=17)
            except StoreError:
                fails += 1
                assert fails < 200
                continue
            told += done.causes
            if not done.causes:
                return told

    with ThreadPoolExecutor(3) as threads:
        assert sum(threads.map(work, range(3))) == count
    assert placed(database) == [(number, f"r{number}") for number in range(1, count + 1)]
    assert [request for _, request in made(database)] == [f"r{number}" for number in range(1, count + 1)]
    of_each: dict[int, list[int]] = {}
    for row in rows(database, t.delivery):
        of_each.setdefault(row["customer_id"], []).append(row["next_ms"])
    assert all(one <= after for due in of_each.values() for one, after in pairwise(due))


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_what_is_new_waits_for_what_is_just_being_put_off(database: Database) -> None:
    """Prevents the new delivery that is due at once because it did not see that the one before it has failed."""
    open_shop(database)
    hook = add_webhook(database, "CouponIssue")
    happen(database, cause(1))
    sequencer(database).step(ORG)
    happen(database, cause(2))
    lane = Deliveries(database.dialect)
    with ThreadPoolExecutor(1) as threads, database.writing() as tx:
        (due,) = lane.due(tx, ORG, hook.id, NOW, 9)
        lane.record(tx, ORG, [Outcome(due=due, is_delivered=False, begun_ms=NOW, done_ms=NOW, again_ms=NOW + 900)])
        step = threads.submit(sequencer(database).step, ORG)
        with pytest.raises(TimeoutError):
            step.result(0.2)
        tx.connection.commit()
        assert step.result(5).causes == 1
    assert [row["next_ms"] for row in rows(database, t.delivery)] == [NOW + 900, NOW + 900]


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_an_org_is_one_workers(database: Database) -> None:
    with closing(Database(database.url)) as other:
        first, second = Ownership(database), Ownership(other)
        assert first.take([1, 2]) == {1, 2}
        assert second.take([1, 2, 3]) == {3}
        assert first.take([1, 2, 3]) == {1, 2}
        run_sql(other, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1")
        assert first.take([1]) == frozenset()
        ends_s = time.monotonic() + 10
        while second.take([1, 2, 3]) != {1, 2, 3}:
            assert time.monotonic() < ends_s, "what is terminated takes a moment to be gone"
        assert first.take([1]) == frozenset()
        second.release()
        assert first.take([1, 3]) == {1, 3}
        first.release()


PINNED = {"sqlite": 15, "postgresql": 15}  # and on PostgreSQL a COPY, which is not seen here


def test_statements_do_not_depend_on_the_number_of_causes(database: Database, database_kind: str) -> None:
    people = [customer(serial) for serial in range(3, 103)]
    held = [coupon(serial, f"C{serial}", customer_id=serial) for serial in range(3, 103)]
    open_shop(database, series(), coupon(), *people, *held)
    place_till(database)
    add_webhook(database, "CouponIssue", "CouponRedeem")
    at: dict[str, Any] = {
        "use_number": 1,
        "series_id": 1,
        "series_version": 1,
        "customer_use_number": 1,
        "till_id": 11,
        "store_id": 21,
    }
    made_at = {**at, "redeemed_ms": NOW, "transaction_number": "", "request_id": ""}
    with database.writing() as tx:
        redeemed = [
            {"org_id": ORG, "id": redemption_id(n), "coupon_id": coupon_id(n), "customer_id": n, **made_at} for n in range(3, 103)
        ]
        tx.connection.execute(insert(t.redemption), redeemed)
    mine, counts, plans = sequencer(database), set(), {}
    mine.step(ORG)
    happen(database, cause(1, customer_id=None))
    mine.step(ORG)  # has met the terms
    serial = 1000
    for number in (1, 10, 100):
        causes = []
        for customer_id in range(3, 3 + number):
            serial += 2
            causes.append(cause(serial, subject_id=coupon_id(customer_id), customer_id=customer_id))
            about = {"subject_id": redemption_id(customer_id), "customer_id": customer_id}
            causes.append(cause(serial + 1, "CouponRedeem", **about))
        happen(database, *causes)
        with statements(database) as seen:
            assert mine.step(ORG).causes == 2 * number
        counts.add(len(seen))
        if database.is_sqlite:
            with database.reading() as tx:
                for statement, parameters in seen:
                    found = tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                    plans[statement] = [row.detail for row in found]
    assert counts == {PINNED[database_kind]}
    if database.is_sqlite:
        new = "SEARCH outbox USING INDEX ix_outbox_new (org_id=?)"  # all that has no position, in its order
        hooks = "SEARCH webhook USING PRIMARY KEY (org_id=?)"  # an org has a hundred at most
        labels = "SEARCH status_label USING PRIMARY KEY (org_id=?)"
        steps = {step for steps in plans.values() for step in steps}
        assert new in steps
        assert not {step for step in steps - {new, hooks, labels} if is_walk(step)}
