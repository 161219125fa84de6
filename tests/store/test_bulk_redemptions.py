"""What recording redemptions costs in statements, and that it never takes what a till has taken at the same moment."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from typing import Any, Final

import msgspec
import pytest

from couponry.core.commands import Item
from couponry.core.model import Handling
from couponry.core.problem import Problem
from couponry.core.redeemed_rows import Told
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store.bulk.redemptions import Recorder
from couponry.store.dialect import Trouble
from couponry.store.doctor import check
from couponry.store.engine import Database, StoreError
from tests.core.world import DAY_MS, NOW, ORG, coupon, customer, pool_coupon, redeem, series
from tests.ledger.rows import count_issued, open_shop, rows, run_sql, write_org
from tests.store.test_statements import Counter as Counting

TILL: Final = 11
MANY: Final[dict[str, Any]] = {"is_multiple_use_allowed": True, "any_user": True, "same_user_multiple_redeem": True}
# Per chunk, without begin, commit and COPY: first uses, a second one refused, first ones of a shared code, unknown codes, and
# more uses of a code that has some.
PINNED: Final = {"sqlite": (11, 7, 12, 4, 11), "postgresql": (11, 8, 11, 4, 11)}
PEOPLE: Final = range(3, 33)


def told(code: str, serial: int, at: int = 0) -> Told:
    """The customer of a serial used a code, `at` milliseconds after a day before."""
    return Told(("id", str(serial)), Item(code), NOW - DAY_MS + at, TILL, Decimal(5))


def add_till(database: Database, org_id: int, till_id: int) -> None:
    run_sql(
        database,
        f"INSERT INTO store (org_id, id, code, name, is_active) VALUES ({org_id}, 21, 'blr01', 'blr01', true)",
        "INSERT INTO till (org_id, id, code, name, store_id, password_hash, is_active) "
        f"VALUES ({org_id}, {till_id}, 'till1', 'till1', 21, '', true)",
    )


@pytest.fixture
def shop(database: Database) -> Database:
    held = [coupon(number, f"C{number}", customer_id=number) for number in PEOPLE]
    shared: dict[str, Any] = {"client_handling_type": Handling.SHARED, "generic_code": "SHARED"}
    open_shop(
        database,
        series(1, max_redeem=1000, **MANY | {"same_user_multiple_redeem": False}),
        series(2, **shared, **MANY),
        series(3, max_redeem=100, redemption_per_coupon_max_limit=40, max_redemptions_in_series_per_user=30, **MANY),
        pool_coupon(1, "SHARED", series_id=2),
        pool_coupon(2, "HOT", series_id=3),
        *(customer(number) for number in PEOPLE),
        *held,
    )
    count_issued(database)
    add_till(database, ORG, TILL)
    return database


def recorded(database: Database, recorder: Recorder, *one_by_one: Told) -> list[int | str | None]:
    with database.writing() as tx:
        problems = recorder.record(tx, ORG, one_by_one, NOW, request_id="job-1")
    return [problem.code if isinstance(problem, Problem) else None for problem in problems]


@pytest.fixture
def counting(shop: Database) -> Iterator[Counting]:
    made = Counting(shop)
    yield made
    made.loop.close()


@pytest.mark.parametrize("count", [1, 30])
def test_statements_do_not_depend_on_rows(shop: Database, counting: Counting, database_kind: str, count: int) -> None:
    recorder = Recorder(shop.dialect)
    recorded(shop, recorder, told("HOT", 3), told("C3", 3), told("SHARED", 3, -1))
    costs = []
    for code, at, expected in (("C{}", 0, None), ("C{}", 1, 716), ("SHARED", 0, None), ("NONE", 0, 719)):
        counting.statements.clear()
        given = [told(code.format(number), number, at) for number in PEOPLE[1 : 1 + count]]
        assert set(recorded(shop, recorder, *given)) == {expected}
        costs.append(len(counting.statements))
    given = [told("HOT", number) for number in PEOPLE[1 : 1 + count]]
    counting.statements.clear()
    assert set(recorded(shop, recorder, *given)) == {None}
    costs.append(len(counting.statements))
    assert tuple(costs) == PINNED[database_kind]
    assert check(shop).differences == []


def test_tills_of_other_orgs_are_unknown(shop: Database) -> None:
    write_org(shop, ORG + 1)
    add_till(shop, ORG + 1, TILL + 1)
    there = msgspec.structs.replace(told("C3", 3), till=TILL + 1)
    assert recorded(shop, Recorder(shop.dialect), there, told("C3", 3)) == [629, None]


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_race_with_tills(shop: Database) -> None:
    """Files and tills redeem one capped code at once: it is used up, and never over."""
    counting = Counting(shop)
    redeemed: Counter[object] = Counter()

    def upload(first: int) -> None:
        with closing(Database(shop.url, is_keyed=True)) as database:
            recorder, at = Recorder(database.dialect), 0
            while at < 20:
                given = [told("HOT", PEOPLE[(first + at + each) % len(PEOPLE)], first * 1000 + at + each) for each in range(4)]
                try:
                    codes = recorded(database, recorder, *given)
                except StoreError as error:
                    if error.trouble not in {Trouble.CONFLICT, Trouble.LOCKED}:
                        raise
                    continue  # as the runner does
                at += 4
                redeemed.update(codes)

    def sell() -> None:
        for number in PEOPLE:
            codes = counting.settle([redeem("HOT", customer=(("id", str(number)),), transaction_number="")])
            redeemed.update(code.number if code is not Code.PROCESSED else None for code in codes)

    with ThreadPoolExecutor(3) as pool:
        for work in (pool.submit(upload, 0), pool.submit(sell), pool.submit(upload, 1)):
            work.result(60)
    counting.loop.close()
    assert redeemed == {None: 40, 736: 30}
    assert [row["redeemed"] for row in rows(shop, t.coupon) if row["code"] == "HOT"] == [40]
    assert check(shop).differences == []
