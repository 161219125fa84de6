"""Merging customers: everything moves once, every counter stays right, and whatever runs at the same time fits in."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

import pytest
from sqlalchemy import event

from couponry.core.commands import Command, Issue
from couponry.core.decide import decide
from couponry.core.model import Handling
from couponry.core.problem import Problem
from couponry.core.status import Code
from couponry.ledger.serials import Serials
from couponry.store import doctor
from couponry.store import schema as t
from couponry.store.apply import Applier
from couponry.store.dialect import Trouble
from couponry.store.engine import Database, StoreError, WriteTransaction
from couponry.store.load import Loader
from couponry.store.merge import merge
from tests.core.world import DAY_MS, NOW, ORG, coupon, customer, place, pool_coupon, redeem, series
from tests.ledger.desk import Desk
from tests.ledger.rows import count_days, open_shop, rows, run_sql, write

VICTIM, SURVIVOR = 1, 2
V = {"customer": (("mobile", "919812300001"),)}
S = {"customer": (("mobile", "919812300002"),)}
AGAIN = {"is_multiple_use_allowed": True, "same_user_multiple_redeem": True, "any_user": True}
SHARED, OPEN, OWN = 2, 3, 4
"""Series: of a shared code, of codes that anybody may use again, and of coupons of one's own."""


@pytest.fixture
def shop(database: Database) -> Database:
    """Both have a record of the shared code and a coupon of their own; one code is for anybody."""
    open_shop(
        database,
        series(1),
        series(SHARED, client_handling_type=Handling.SHARED, **{**AGAIN, "any_user": False}),
        series(OPEN, **AGAIN),
        series(OWN, max_redemptions_in_series_per_user=3, **{**AGAIN, "any_user": False}),
        pool_coupon(1, "SHARED", series_id=SHARED),
        coupon(2, "SHARED", series_id=SHARED, customer_id=VICTIM, holder_id=VICTIM),
        coupon(3, "SHARED", series_id=SHARED, customer_id=SURVIVOR, holder_id=SURVIVOR),
        coupon(4, "OPEN", series_id=OPEN, customer_id=3),
        coupon(5, "VICTIMS", series_id=OWN, customer_id=VICTIM),
        coupon(6, "SURVIVORS", series_id=OWN, customer_id=SURVIVOR),
        customer(3),
    )
    issued = (
        "INSERT INTO customer_series (org_id, customer_id, series_id, issued) SELECT org_id, customer_id, series_id, COUNT(*)"
    )
    counted = "UPDATE series_counter SET issued = (SELECT COUNT(*) FROM coupon WHERE {} AND customer_id IS NOT NULL)"
    same_series = "coupon.org_id = series_counter.org_id AND coupon.series_id = series_counter.series_id"
    run_sql(
        database,
        f"{issued} FROM coupon WHERE customer_id IS NOT NULL GROUP BY org_id, customer_id, series_id",
        counted.format(same_series),
        f"INSERT INTO series_audience (org_id, series_id, customer_id) VALUES ({ORG}, 1, 1), ({ORG}, 1, 2), ({ORG}, 3, 1)",
        "UPDATE customer SET transaction_count = id * 10",
    )
    count_days(database)
    assert sound(database)
    return database


def sound(database: Database) -> bool:
    report = doctor.check(database)
    assert not report.differences
    return report.checked > 0


def merged(database: Database, victim: int = VICTIM, survivor: int = SURVIVOR) -> Problem | None:
    with database.writing() as tx:
        return merge(tx, ORG, victim, survivor, NOW)


def by_id(database: Database, table: Any) -> dict[int, dict[str, Any]]:
    return {row["id"]: row for row in rows(database, table)}


def test_all_that_was_the_victims_is_the_survivors(shop: Database) -> None:
    bills = count(1)
    with Desk(shop.url) as desk:
        redeemed = [
            *((code, V) for code in ("VICTIMS", "VICTIMS", "OPEN", "SHARED")),
            *((code, S) for code in ("SURVIVORS", "OPEN", "OPEN", "SHARED", "SHARED")),
        ]
        for code, who in redeemed:
            assert desk.statuses(redeem(code, transaction_number=f"B{next(bills)}", **who)) == [Code.PROCESSED]
        assert merged(shop) is None
        assert sound(shop)
        assert desk.statuses(redeem("VICTIMS", transaction_number="", **V)) == [Code.INVALID_CUSTOMER]
        # Two of three uses were the victim's, one was the survivor's: none is left.
        assert desk.statuses(redeem("SURVIVORS", transaction_number="", **S)) == [Code.CUSTOMER_LIMIT_REACHED]
        assert desk.statuses(redeem("OPEN", transaction_number="", **S)) == [Code.PROCESSED]
    assert sound(shop)
    kept = rows(shop, t.redemption)
    assert {row["customer_id"] for row in kept} == {SURVIVOR}
    own = [row["id"] for row in rows(shop, t.coupon) if row["code"] == "SHARED" and row["revision"] == 0 and row["holder_id"]]
    (own_id,) = own
    of_shared = sorted(row["use_number"] for row in kept if row["coupon_id"] == own_id)
    assert of_shared == [1, 2, 3], "the uses of both records of the shared code"
    whose = {row["code"]: row["customer_id"] for row in rows(shop, t.coupon)}
    assert whose["VICTIMS"] == whose["SURVIVORS"] == SURVIVOR
    assert {row["customer_id"] for row in rows(shop, t.customer_series)} == {SURVIVOR, 3}
    assert [(row["series_id"], row["customer_id"]) for row in rows(shop, t.series_audience)] == [(1, SURVIVOR), (3, SURVIVOR)]
    people = by_id(shop, t.customer)
    assert people[SURVIVOR]["transaction_count"] == 30
    assert (people[VICTIM]["merged_into_id"], people[VICTIM]["mobile"]) == (SURVIVOR, "919812300001")


def test_the_record_of_a_shared_code_that_only_the_victim_has_moves(shop: Database) -> None:
    run_sql(shop, "DELETE FROM coupon WHERE holder_id = 2", "DELETE FROM customer_series WHERE customer_id = 2 AND series_id = 2")
    run_sql(shop, f"UPDATE series_counter SET issued = issued - 1 WHERE series_id = {SHARED}")
    count_days(shop)
    assert merged(shop) is None
    assert sound(shop)
    with Desk(shop.url) as desk:
        assert desk.statuses(redeem("SHARED", **S)) == [Code.PROCESSED]


def test_single_use_of_a_shared_code_counts_whoever_of_both_used_it(shop: Database) -> None:
    write(
        shop,
        series(7, client_handling_type=Handling.SHARED),
        pool_coupon(71, "ONCE", series_id=7),
        *(coupon(71 + who, "ONCE", series_id=7, customer_id=who, holder_id=who) for who in (VICTIM, SURVIVOR)),
    )
    run_sql(shop, f"UPDATE coupon SET issued_by_redemption = {'1' if shop.is_sqlite else 'true'} WHERE series_id = 7")
    with Desk(shop.url) as desk:
        assert desk.statuses(redeem("ONCE", **V)) == [Code.PROCESSED]
        assert merged(shop) is None
        assert desk.statuses(redeem("ONCE", transaction_number="", **S)) == [Code.ALREADY_USED]
    assert sound(shop)


def test_only_active_redemptions_set_the_last_one(shop: Database) -> None:
    """Prevents a gap that is counted from a redemption which was reversed."""
    with Desk(shop.url) as desk:
        assert desk.statuses(redeem("OPEN", transaction_number="1", **S)) == [Code.PROCESSED]
        desk.clock.now_ms += DAY_MS  # type: ignore[attr-defined] # the desk's own clock
        assert desk.statuses(redeem("OPEN", transaction_number="2", **V)) == [Code.PROCESSED]
    run_sql(
        shop,
        "UPDATE redemption SET reversed_ms = redeemed_ms WHERE customer_id = 1",
        "UPDATE customer_series SET redeemed = 0 WHERE customer_id = 1 AND series_id = 3",
        "UPDATE coupon SET redeemed = 1 WHERE code = 'OPEN'",
    )
    run_sql(shop, f"UPDATE series_counter SET redeemed = redeemed - 1 WHERE series_id = {OPEN} AND redeemed = 2")
    count_days(shop)
    assert merged(shop) is None
    assert sound(shop)
    (standing,) = [row for row in rows(shop, t.customer_series) if (row["customer_id"], row["series_id"]) == (SURVIVOR, OPEN)]
    assert (standing["redeemed"], standing["uses"], standing["last_redeemed_ms"]) == (1, 2, NOW)


def test_chains_and_circles(shop: Database) -> None:
    assert merged(shop, 1, 2) is None
    for victim, survivor, code in ((1, 2, "gone"), (2, 1, "gone"), (3, 1, "gone"), (2, 2, "invalid"), (2, 99, "unknown")):
        refused = merged(shop, victim, survivor)
        assert refused is not None
        assert refused.code == code
    assert merged(shop, 2, 3) is None
    assert sound(shop)
    assert {row["customer_id"] for row in rows(shop, t.coupon)} == {None, 3}
    assert by_id(shop, t.customer)[3]["transaction_count"] == 60


def test_statements_do_not_depend_on_what_there_is_to_move(shop: Database) -> None:
    run_sql(shop, "UPDATE customer SET transaction_count = 0")
    seen: list[str] = []
    write(
        shop,
        customer(4),
        customer(5),
        *(coupon(100 + number, f"MORE{number}", series_id=OWN, customer_id=4) for number in range(40)),
        coupon(98, "SHARED", series_id=SHARED, customer_id=4, holder_id=4),
        coupon(99, "SHARED", series_id=SHARED, customer_id=5, holder_id=5),
    )
    run_sql(
        shop,
        f"INSERT INTO customer_series (org_id, customer_id, series_id, issued) VALUES ({ORG}, 4, 4, 40), ({ORG}, 4, 2, 1)",
        f"INSERT INTO customer_series (org_id, customer_id, series_id, issued) VALUES ({ORG}, 5, 2, 1)",
        f"INSERT INTO series_audience (org_id, series_id, customer_id) VALUES ({ORG}, 2, 4), ({ORG}, 4, 4)",
        f"UPDATE series_counter SET issued = issued + 40 WHERE series_id = {OWN}",
        f"UPDATE series_counter SET issued = issued + 2 WHERE series_id = {SHARED}",
    )
    count_days(shop)
    costs = []
    for pair in ((1, 2), (4, 5)):
        seen.clear()
        with counting(shop, seen):
            assert merged(shop, *pair) is None
        costs.append(len(seen))
    # One more where the survivor has counters to add to and others to begin.
    assert costs == ([20, 21] if shop.is_sqlite else [22, 23])
    assert sound(shop)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_every_row_is_found_by_a_key(shop: Database) -> None:
    seen: list[tuple[str, Any]] = []
    with counting(shop, seen, with_parameters=True):
        assert merged(shop) is None
    walks = []
    with shop.reading() as tx:
        for statement, parameters in seen:
            steps = [row.detail for row in tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            walks += [
                step
                for step in steps
                if re.match(r"SCAN (redemption|coupon|was|own|customer|customer_series|member|delivery)\b", step)
            ]
            walks += [step for step in steps if step.endswith("(org_id=?)") and "series_audience" not in step]
    assert not walks


@contextmanager
def counting(database: Database, seen: list[Any], *, with_parameters: bool = False) -> Iterator[None]:
    """Keep the statements that are executed."""

    def keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _is_many: bool) -> None:
        if not statement.startswith("BEGIN"):
            seen.append((statement, parameters) if with_parameters else statement)

    execute = database.dialect.execute

    def keep_and_execute(connection: Any, sql: str, parameters: Any, *, is_many: bool = False) -> Any:
        seen.append((sql, parameters[0] if is_many else parameters) if with_parameters else sql)
        return execute(connection, sql, parameters, is_many=is_many)

    event.listen(database.engine, "before_cursor_execute", keep)
    database.dialect.execute = keep_and_execute  # type: ignore[method-assign] # to see what runs straight on the driver
    try:
        yield
    finally:
        event.remove(database.engine, "before_cursor_execute", keep)
        database.dialect.execute = execute  # type: ignore[method-assign]


class InSteps:
    """One batch that loads, waits, and applies, as a slow process would."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.loader = Loader(database.dialect)
        self.applier = Applier(database.dialect, stripe=1)
        self.serials = Serials(database)

    def settle(self, command: Command, between: Callable[[WriteTransaction], object], after: Callable[[], object]) -> Code:
        """Load, do something, decide and apply, do something else, commit."""
        ids = self.serials.for_batch(ORG, 8)
        with self.database.writing() as tx:
            state = self.loader.load(tx, ORG, [command], now_ms=NOW, redemption_ids=ids.redemptions, coupon_ids=ids.coupons)
            between(tx)
            plan = decide(state, [command])
            self.applier.apply(tx, ORG, state, plan, ids)
            after()
        return plan.outcomes[0].answer.status


def nothing(*_: object) -> None:
    """Go on."""


def refused_to_wait(database: Database) -> None:
    with pytest.raises(StoreError) as raised:
        merged(database)
    assert raised.value.trouble is Trouble.LOCKED


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
class TestOneAfterTheOther:
    """The orders in which a merge and a redemption of the victim can meet, on the database where they run side by side."""

    def test_merged_after_the_load_of_somebody_new_to_the_series(self, shop: Database) -> None:
        with pytest.raises(StoreError) as raised:
            InSteps(shop).settle(redeem("OPEN", **V), lambda _: merged(shop), nothing)
        assert raised.value.trouble is Trouble.CONFLICT, "so that it is decided again"
        assert InSteps(shop).settle(redeem("OPEN", **V), nothing, nothing) is Code.INVALID_CUSTOMER
        assert sound(shop)

    def test_merged_after_the_load_of_an_issue(self, shop: Database) -> None:
        write(shop, series(9, client_handling_type=Handling.UPLOADED), pool_coupon(91, "POOL1", series_id=9))
        run_sql(shop, "UPDATE series_counter SET uploaded = 1 WHERE series_id = 9")
        asked = Issue(ORG, place(), V["customer"], (9,))
        with pytest.raises(StoreError) as raised:
            InSteps(shop).settle(asked, lambda _: merged(shop), nothing)
        assert raised.value.trouble is Trouble.CONFLICT
        assert InSteps(shop).settle(asked, nothing, nothing) is Code.INVALID_CUSTOMER
        assert sound(shop)

    def test_merged_while_the_victim_s_counter_is_held(self, shop: Database) -> None:
        held = lambda _: refused_to_wait(shop)  # noqa: E731 - it is a step of the test
        assert InSteps(shop).settle(redeem("VICTIMS", **V), held, lambda: refused_to_wait(shop)) is Code.PROCESSED
        assert merged(shop) is None
        assert sound(shop)
        (kept,) = rows(shop, t.redemption)
        assert kept["customer_id"] == SURVIVOR

    def test_merged_after_a_first_count_is_written(self, shop: Database) -> None:
        assert InSteps(shop).settle(redeem("OPEN", **V), nothing, lambda: refused_to_wait(shop)) is Code.PROCESSED
        assert merged(shop) is None
        assert sound(shop)

    def test_merged_with_a_survivor_who_is_new_to_the_series(self, shop: Database) -> None:
        """The survivor's first count collides with the one that the merge brought, and is decided again."""
        with Desk(shop.url) as desk:
            assert desk.statuses(redeem("OPEN", transaction_number="1", **V)) == [Code.PROCESSED]
        with pytest.raises(StoreError) as raised:
            InSteps(shop).settle(redeem("OPEN", transaction_number="2", **S), lambda _: merged(shop), nothing)
        assert raised.value.trouble is Trouble.CONFLICT
        assert InSteps(shop).settle(redeem("OPEN", transaction_number="2", **S), nothing, nothing) is Code.PROCESSED
        assert sound(shop)


def test_merge_beside_running_redemptions(shop: Database) -> None:
    """Whatever the order, each use is counted once, the victim is 721 in the end, and nothing is left behind."""
    write(shop, *(coupon(200 + number, f"V{number}", series_id=1, customer_id=VICTIM) for number in range(60)))
    run_sql(
        shop,
        f"INSERT INTO customer_series (org_id, customer_id, series_id, issued) VALUES ({ORG}, 1, 1, 60)",
        "UPDATE series_counter SET issued = 60 WHERE series_id = 1",
    )
    count_days(shop)
    with Desk(shop.url) as desk, ThreadPoolExecutor(1) as threads:
        some = [redeem(f"V{number}", transaction_number=f"V{number}", **V) for number in range(60)]
        more = [redeem("OPEN", transaction_number=f"O{number}", **(V if number % 2 else S)) for number in range(60)]
        shared = [redeem("SHARED", transaction_number=f"S{number}", **(V if number % 2 else S)) for number in range(60)]
        mixed = [command for three in zip(some, more, shared, strict=True) for command in three]
        first = desk.submit(*mixed[:30])
        merging = threads.submit(persistent, shop)
        rest = []
        for command in mixed[30:]:
            rest += desk.submit(command)
        statuses = [future.result(30).answer.status for future in (*first, *rest)]
        assert merging.result(30) is None
    done = statuses.count(Code.PROCESSED)
    assert set(statuses) <= {Code.PROCESSED, Code.INVALID_CUSTOMER, Code.NOT_ISSUED_TO_CUSTOMER, Code.NOT_ISSUED}
    kept = rows(shop, t.redemption)
    assert len(kept) == done
    assert {row["customer_id"] for row in kept} <= {SURVIVOR}
    assert not [row for row in rows(shop, t.customer_series) if row["customer_id"] == VICTIM]
    assert not [row for row in rows(shop, t.coupon) if row["customer_id"] == VICTIM]
    assert sound(shop)


def persistent(database: Database) -> Problem | None:
    """As the admin API does it: until nothing is in the way."""
    while True:
        with suppress(StoreError):
            return merged(database)
