"""What is due, what came of it, and what people may do about it."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest
from msgspec.structs import replace
from sqlalchemy import insert

from couponry.core.deliveries import Channel, Delivery, DeliveryState, Due, Outcome
from couponry.core.limits import DELIVERY_CHUNK_ROWS, PROBLEM_CHARS_MAX
from couponry.core.problem import Problem
from couponry.store import deliveries
from couponry.store import delivery_log as log
from couponry.store import schema as t
from couponry.store.deliveries import START, Deliveries, abandon, overdue, targets
from couponry.store.engine import Database, ReadTransaction, WriteTransaction
from couponry.store.sequencing import Sequencer
from tests.core.world import NOW, ORG, coupon_id
from tests.ledger.rows import open_shop, rows, run_sql
from tests.store.outboxes import add_webhook, cause, fan_out, happen, statements
from tests.store.test_statements import is_walk

HOOK: Final = 5
OTHER: Final = 6


def delivery(serial: int, **columns: Any) -> dict[str, Any]:
    """Delivery 1, 2, ... of a webhook, waiting since then, about customer 1."""
    times = {"next_ms": NOW + serial, "created_ms": NOW + serial, "since_ms": NOW + serial}
    row = {"org_id": ORG, "id": serial, "outbox_id": serial, "event": "CouponIssue", "target_id": HOOK, "customer_id": 1}
    over = {"is_repeat": False, "expires_ms": None, "body_chars": 2, "done_ms": None, "http_status": None, "took_ms": None}
    told = {"body": f"b{serial}", "problem": "", "request_id": f"r{serial}", "ref_id": f"f{serial}"}
    return {**row, **times, **told, "coupon_id": None, "address": None, "state": "waiting", "attempts": 0, **over, **columns}


def put(database: Database, *rows: dict[str, Any]) -> None:
    with database.writing() as tx:
        tx.connection.execute(insert(t.delivery), list(rows))


def due(database: Database, now_ms: int = NOW + 10_000, most: int = 100, target_id: int = HOOK, **left_out: Any) -> list[Due]:
    with database.reading() as tx:
        return Deliveries(database.dialect).due(tx, ORG, target_id, now_ms, most, **left_out)


def ids_due(database: Database, *args: Any, **left_out: Any) -> list[int]:
    return [each.id for each in due(database, *args, **left_out)]


def came(of: Due, *, again_ms: int | None = None, is_delivered: bool = False, problem: str = "") -> Outcome:
    at: dict[str, Any] = {"begun_ms": NOW + 70, "done_ms": NOW + 90}
    return Outcome(due=of, is_delivered=is_delivered, again_ms=again_ms, http_status=503, problem=problem, **at)


def record(database: Database, *outcomes: Outcome) -> None:
    with database.writing() as tx:
        Deliveries(database.dialect).record(tx, ORG, outcomes)


def stored(database: Database, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows(database, t.delivery)]


def test_what_is_due_comes_in_order(database: Database) -> None:
    put(
        database,
        *(delivery(serial, customer_id=serial % 3 or None) for serial in range(1, 10)),
        delivery(10, state="delivered"),
        delivery(11, target_id=OTHER),
        delivery(12, org_id=2),
        delivery(13, next_ms=NOW + 10_001),
    )
    assert ids_due(database) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert ids_due(database, NOW + 4) == [1, 2, 3, 4]
    assert ids_due(database, most=2) == [1, 2]
    assert ids_due(database, most=2, without=[1, 4]) == [2, 3]
    assert ids_due(database, without=[3], busy=[1]) == [2, 5, 6, 8, 9]
    (third,) = due(database, NOW + 3, without=[1, 2])
    told: dict[str, Any] = {
        "created_ms": NOW + 3,
        "since_ms": NOW + 3,
        "event": "CouponIssue",
        "target_id": HOOK,
        "customer_id": 0,
        "address": None,
        "body": "b3",
        "attempts": 0,
    }
    assert third == Due(id=3, outbox_id=3, **told)


def test_outcomes(database: Database) -> None:
    put(database, *(delivery(serial, customer_id=serial) for serial in range(1, 5)))
    delivered, failed, later, _ = due(database)
    nasty = "\0\ud800" + "x" * 1000
    record(database, came(later, again_ms=NOW + 5_000), came(failed, problem=nasty), came(delivered, is_delivered=True))
    assert stored(database, "state", "attempts", "next_ms", "done_ms", "http_status", "took_ms") == [
        ("delivered", 1, NOW + 90, NOW + 90, 503, 20),
        ("failed", 1, NOW + 90, NOW + 90, 503, 20),
        ("waiting", 1, NOW + 5_000, None, 503, 20),
        ("waiting", 0, NOW + 4, None, None, None),
    ]
    problems = [problem for (problem,) in stored(database, "problem")]
    assert problems[1].startswith("\N{REPLACEMENT CHARACTER}?x")
    assert len(problems[1]) <= PROBLEM_CHARS_MAX
    assert ids_due(database, NOW + 4_000) == [4]


def test_a_failure_holds_back_its_chain_alone(database: Database) -> None:
    put(
        database,
        *(delivery(serial) for serial in (1, 2, 3)),
        delivery(4, next_ms=NOW + 9_000),
        delivery(5, target_id=OTHER),
        delivery(6, customer_id=2),
        delivery(7, customer_id=None),
        delivery(8, customer_id=None),
        delivery(9, org_id=2),
    )
    first, nobodys = (each for each in due(database) if each.id in {1, 7})
    record(database, came(first, again_ms=NOW + 5_000), came(nobodys, again_ms=NOW + 6_000))
    put_off = {1: NOW + 5_000, 2: NOW + 5_000, 3: NOW + 5_000, 7: NOW + 6_000}
    as_it_was = {4: NOW + 9_000, 5: NOW + 5, 6: NOW + 6, 8: NOW + 8}
    assert dict(stored(database, "id", "next_ms")) == put_off | as_it_was
    assert ids_due(database, NOW + 5_000) == [6, 8, 1, 2, 3]


def test_what_is_put_off_was_not_tried(database: Database) -> None:
    """Whoever it is about; what came of earlier attempts stays, and what is put off later still."""
    tried = {"attempts": 2, "http_status": 503, "problem": "HTTP 503"}
    put(database, delivery(1, **tried), delivery(2), delivery(3, next_ms=NOW + 9_000), delivery(4, customer_id=None, **tried))
    first, _, nobodys = due(database, NOW + 10)
    put_off = [replace(came(each, again_ms=NOW + 5_000), is_put_off=True) for each in (first, nobodys)]
    record(database, *put_off)
    assert stored(database, "next_ms", "attempts", "http_status", "problem", "done_ms") == [
        (NOW + 5_000, 2, 503, "HTTP 503", None),
        (NOW + 5_000, 0, None, "", None),
        (NOW + 9_000, 0, None, "", None),
        (NOW + 5_000, 2, 503, "HTTP 503", None),
    ]


def test_what_came_too_late_changes_nothing(database: Database) -> None:
    """The worker that lost its org tells that it failed, when the next one has delivered."""
    put(database, delivery(1), delivery(2, customer_id=2))
    first, second = due(database)
    record(database, came(first, is_delivered=True))
    run_sql(database, "DELETE FROM delivery WHERE id = 2")
    record(database, came(first, again_ms=NOW + 5_000), came(second))
    assert stored(database, "id", "state", "attempts") == [(1, "delivered", 1)]


def test_targets_that_something_waits_for(database: Database) -> None:
    assert read(database, targets) == {}
    put(
        database,
        *(delivery(serial, target_id=serial % 4 - 2, next_ms=NOW - serial) for serial in range(1, 9)),
        delivery(9, target_id=77, state="failed"),
        delivery(10, target_id=78, org_id=2),
    )
    assert read(database, targets) == {-2: NOW - 8, -1: NOW - 5, 0: NOW - 6, 1: NOW - 7}


def test_what_waits_for_a_target_that_is_gone(database: Database) -> None:
    put(database, *(delivery(serial) for serial in range(1, 5)), delivery(5, target_id=OTHER))
    with database.writing() as tx:
        assert abandon(tx, ORG, HOOK, "the webhook was deleted", now_ms=NOW, most=3) == 3
    assert [state for (state,) in stored(database, "state")] == ["failed", "failed", "failed", "waiting", "waiting"]


def read(database: Database, work: Callable[..., Any], *args: Any, **asked: Any) -> Any:
    with database.reading() as tx:
        return work(tx, ORG, *args, **asked)


def write(database: Database, work: Callable[..., Any], *args: Any, **asked: Any) -> Any:
    with database.writing() as tx:
        return work(tx, ORG, *args, **asked)


def ids_of(found: Sequence[Delivery]) -> list[int]:
    return [each.id for each in found]


def test_the_log(database: Database) -> None:
    happen(database, cause(1, at_ms=NOW - 50))
    (outbox_id,) = (row["id"] for row in rows(database, t.outbox))
    put(
        database,
        delivery(1, outbox_id=outbox_id, request_id="same", state="delivered", done_ms=NOW, http_status=200, took_ms=4),
        delivery(2, request_id="same", ref_id="ref", target_id=Channel.SMS, coupon_id=coupon_id(1), address="919812300001"),
        delivery(3, ref_id="ref", target_id=Channel.EMAIL, coupon_id=coupon_id(1)),
        delivery(4, request_id="same", ref_id="ref", org_id=2),
    )
    (first,) = read(database, log.of_cause, outbox_id)
    assert (first.state, first.happened_ms, first.created_ms, first.http_status) == (
        DeliveryState.DELIVERED,
        NOW - 50,
        NOW + 1,
        200,
    )
    assert ids_of(read(database, log.of_request, "same")) == [1, 2]
    assert ids_of(read(database, log.of_ref, "ref")) == [2, 3]
    assert ids_of(read(database, log.of_coupon, coupon_id(1), limit=9)) == [3, 2]
    assert ids_of(read(database, log.of_coupon, coupon_id(1), limit=9, before_id=3)) == [2]
    assert ids_of(read(database, log.messages_sent, limit=1)) == [3]
    assert ids_of(read(database, log.messages_sent, limit=9, before_id=3)) == [2]
    assert read(database, log.read_delivery, 2).address == "919812300001"
    assert read(database, log.read_delivery, 4) is None


def test_dead_letters_are_tried_again(database: Database) -> None:
    dead = {"state": "failed", "attempts": 178, "done_ms": NOW, "problem": "503"}
    put(
        database, delivery(1, **dead), delivery(2, **dead), delivery(3, **dead, target_id=OTHER), delivery(4), delivery(5, **dead)
    )
    assert ids_of(read(database, log.dead_letters, limit=2)) == [5, 3]
    assert ids_of(read(database, log.dead_letters, limit=9, before_id=3)) == [2, 1]
    assert ids_of(read(database, log.dead_letters, limit=9, target_id=HOOK)) == [5, 2, 1]
    now_ms = NOW + 10**9
    assert write(database, log.replay, 2, now_ms) is None
    for wrong in (4, 404):
        assert isinstance(write(database, log.replay, wrong, now_ms), Problem)
    (new, letter) = due(database, now_ms)
    assert (letter.id, letter.attempts, letter.since_ms, letter.body, letter.is_repeat) == (2, 0, now_ms, "b2", True)
    assert (new.id, new.is_repeat) == (4, False)
    assert write(database, log.replay_all, HOOK, now_ms) == (2, None)
    assert ids_due(database, now_ms) == [4, 1, 2, 5]
    assert ids_of(read(database, log.dead_letters, limit=9)) == [3]


def test_repeats_keep_their_order_whichever_is_replayed_first(database: Database) -> None:
    """Prevents the second letter that is told while the first, replayed before it, is put off; and the other way around."""
    put(database, *(delivery(serial, state="failed") for serial in (1, 2, 3)), delivery(4, customer_id=2, state="failed"))
    assert write(database, log.replay, 1, NOW) is None
    record(database, came(*due(database, NOW), again_ms=NOW + 5_000))
    for letter in (3, 2, 4):
        assert write(database, log.replay, letter, NOW + letter) is None
    assert ids_due(database, NOW + 4_999) == [4]
    assert ids_due(database, NOW + 5_000) == [4, 1, 2, 3]
    (first, *_) = (each for each in due(database, NOW + 5_000) if each.id == 1)
    record(database, came(first, again_ms=NOW + 20_000))
    put(database, delivery(5, next_ms=NOW))
    assert ids_due(database, NOW + 19_999) == [5, 4]


def test_what_is_replayed_later_waits_for_nothing_that_was_due_before_it(database: Database) -> None:
    put(database, *(delivery(serial, state="failed") for serial in (1, 2)))
    assert write(database, log.replay, 2, NOW + 10) is None
    assert write(database, log.replay, 1, NOW + 20) is None
    assert ids_due(database, NOW + 19) == []
    assert ids_due(database, NOW + 20) == [1, 2]


def test_what_is_sent_again_only_has_its_part(database: Database) -> None:
    """Prevents the new event that waits behind a million old ones; which, alone, are sent as fast."""
    old = [delivery(serial, customer_id=serial, state="delivered") for serial in range(1, 41)]
    put(database, *old)
    assert write(database, log.send_again, HOOK, 0, NOW + 41, NOW + 41) == (40, None)
    put(database, *(delivery(serial, customer_id=serial) for serial in range(101, 141)))
    ids = ids_due(database, NOW + 200, 20)
    assert ids == [*range(101, 121), *range(1, 6)]
    run_sql(database, "DELETE FROM delivery WHERE id > 100")
    assert ids_due(database, NOW + 200, 20) == [*range(1, 6)]
    assert ids_due(database, NOW + 200, 1) == [1]


def test_no_more_text_is_fetched_than_asked_for(database: Database) -> None:
    """Prevents gigabytes in hand: what is about five hundred coupons is long. One is always fetched."""
    put(database, *(delivery(serial, body_chars=100) for serial in range(1, 10)), delivery(10, is_repeat=True, body_chars=900))
    assert ids_due(database, chars=400) == [1, 2, 3, 4, 10]
    assert ids_due(database, chars=50, without=[10]) == [1]


def test_what_waits_for_too_long_is_found_from_the_start_on(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "DELIVERY_CHUNK_ROWS", 3)
    old = {"since_ms": NOW - 10, "problem": "HTTP 503"}
    put(
        database,
        delivery(1, next_ms=NOW, **old),
        delivery(2, next_ms=NOW + 5, **old),
        delivery(3, next_ms=NOW + 2),
        delivery(4, next_ms=NOW + 9, expires_ms=NOW + 50),
        delivery(5, next_ms=NOW + 8, since_ms=NOW),
        delivery(6, is_repeat=True, since_ms=NOW - 10),
        delivery(7, target_id=OTHER, **old),
        delivery(8, state="delivered", **old),
    )
    asked = (HOOK, NOW, NOW + 60)
    first = read(database, overdue, *asked, START)
    assert first == ([(1, "HTTP 503"), (2, "HTTP 503")], (False, NOW + 5, 2))
    assert first.place
    second = read(database, overdue, *asked, first.place)
    assert second.letters == [(4, "it waited for too long"), (6, "it waited for too long")]
    assert second.place
    assert read(database, overdue, *asked, second.place) == ([], None)
    with database.writing() as tx:
        Deliveries(database.dialect).give_up(tx, ORG, [*first.letters, (8, "never")], NOW + 60)
    states = stored(database, "id", "state", "problem", "attempts", "done_ms")
    assert [row for row in states if row[1] == "failed"] == [(n, "failed", "HTTP 503", 0, NOW + 60) for n in (1, 2)]


def test_all_dead_letters_are_replayed_in_chunks(database: Database) -> None:
    put(database, *(delivery(serial, state="failed") for serial in range(1, DELIVERY_CHUNK_ROWS + 3)))
    done, after_id = write(database, log.replay_all, HOOK, NOW)
    assert (done, after_id) == (DELIVERY_CHUNK_ROWS, DELIVERY_CHUNK_ROWS)
    assert write(database, log.replay_all, HOOK, NOW, after_id=after_id) == (2, None)


def test_what_nothing_could_be_made_of_is_made_anew(database: Database) -> None:
    open_shop(database)
    hook = add_webhook(database, "CouponIssue")
    happen(database, cause(1))

    def broken(*_: object) -> Any:
        raise KeyError

    Sequencer(database, broken, lambda: NOW).step(ORG)
    (letter,) = read(database, log.dead_letters, limit=9)
    assert letter.target_id == Channel.UNTOLD
    assert write(database, log.replay, letter.id, NOW) is None
    assert Sequencer(database, fan_out, lambda: NOW).step(ORG).causes == 1
    assert stored(database, "target_id", "state") == [(hook.id, "waiting")]


def test_sending_again_what_was_made_between_two_times(database: Database) -> None:
    made = [delivery(serial, state="delivered", created_ms=NOW + serial * 60_000) for serial in range(1, 60, 2)]
    made[5]["target_id"], made[6]["state"], made[7]["state"] = OTHER, "skipped", "failed"
    put(database, *made)
    asked = (HOOK, NOW + 9 * 60_000, NOW + 19 * 60_000, NOW + 10**8)
    assert write(database, log.send_again, *asked) == (3, None)
    assert ids_due(database, NOW + 10**8) == [9, 15, 17]
    assert write(database, log.send_again, *asked) == (0, None)
    assert write(database, log.send_again, HOOK, 0, NOW, NOW) == (0, None)
    run_sql(database, "DELETE FROM delivery")
    assert write(database, log.send_again, *asked) == (0, None)


def test_sending_again_goes_on_where_it_was(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "DELIVERY_WALKED_MAX", 4)
    put(database, *(delivery(serial, state="delivered") for serial in range(1, 11)))
    after_id: int | None = 0
    done: list[int] = []
    while after_id is not None:
        count, after_id = write(database, log.send_again, HOOK, NOW + 2, NOW + 9, NOW, after_id=after_id)
        done.append(count)
    assert sum(done) == 7
    assert len(done) > 1


def test_counts(database: Database) -> None:
    put(database, delivery(2), delivery(3), delivery(4, state="failed"), delivery(5, target_id=OTHER, state="delivered"))
    counts = read(database, log.target_counts, [HOOK, OTHER, Channel.SMS])
    assert [(each.target_id, each.waiting, each.oldest_ms, each.failed) for each in counts] == [
        (HOOK, 2, NOW + 2, 1),
        (OTHER, 0, None, 0),
        (Channel.SMS, 0, None, 0),
    ]


def test_statements(database: Database) -> None:
    """The same number for one and for a hundred, and on SQLite each by an index of its own."""
    put(database, *(delivery(serial, customer_id=serial % 50 + 1) for serial in range(1, 301)))
    hot = Deliveries(database.dialect)
    counts, seen_all = set(), []
    for most in (1, 100):
        with statements(database) as seen:
            with database.reading() as tx:
                found = hot.due(tx, ORG, HOOK, NOW + 10_000, most)
            firsts = list({each.customer_id: each for each in reversed(found)}.values())
            with database.writing() as tx:
                hot.record(tx, ORG, [came(each, again_ms=NOW + 11_000) for each in firsts])
        counts.add(sum(not statement.startswith("SET LOCAL") for statement, _ in seen))
        seen_all += seen
    assert counts == {4 if database.is_sqlite else 5}
    if not database.is_sqlite:
        return
    asked: list[Callable[[ReadTransaction], object]] = [
        lambda tx: targets(tx, ORG),
        lambda tx: overdue(tx, ORG, HOOK, NOW, NOW, START),
        lambda tx: log.of_cause(tx, ORG, 1),
        lambda tx: log.of_request(tx, ORG, "r1"),
        lambda tx: log.of_ref(tx, ORG, "f1"),
        lambda tx: log.of_coupon(tx, ORG, 1, limit=5),
        lambda tx: log.dead_letters(tx, ORG, limit=5, target_id=HOOK),
        lambda tx: log.target_counts(tx, ORG, [HOOK]),
    ]
    with statements(database) as seen, database.reading() as tx:
        for work in asked:
            work(tx)
    with database.writing() as tx, statements(database) as done:
        written: list[Callable[[WriteTransaction], object]] = [
            lambda tx: abandon(tx, ORG, HOOK, "", now_ms=NOW, most=5),
            lambda tx: log.replay(tx, ORG, 300, NOW),
            lambda tx: hot.give_up(tx, ORG, [(1, "")], NOW),
            lambda tx: log.replay_all(tx, ORG, HOOK, NOW),
        ]
        for act in written:
            act(tx)
    plans = {}
    with database.reading() as tx:
        for statement, parameters in (*seen_all, *seen, *done):
            plans[statement] = [
                row.detail for row in tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            ]
    first_alone = {"SEARCH delivery USING INDEX ix_delivery_due (org_id=?)", "SCAN target", "SCAN times"}
    first_alone |= {"SCAN some_most", "SCAN some_repeats"}  # what either found
    walks = {statement: walked for statement, steps in plans.items() if (walked := set(filter(is_walk, steps)) - first_alone)}
    assert not walks
    steps = " ".join(step for listed in plans.values() for step in listed)
    assert all(f"ix_delivery_{name} " in steps for name in ("due", "chain", "failed_at", "outbox", "request", "ref", "coupon"))
