"""What Member Care's pages cost in statements, whatever there is, and how SQLite looks rows up for them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from sqlalchemy import Connection, event

from couponry.core import ids, timeline
from couponry.core.searching import sought
from couponry.store import care, searching
from couponry.store import timeline as lines
from couponry.store.customers import any_customer
from couponry.store.engine import Database, ReadTransaction
from tests.api.shop import NOW_MS, Front, Shop
from tests.console.test_care import MIRA_ID, coupon_id
from tests.store.test_statements import is_walk

SUBQUERIES: Final = {"SCAN coded", "SCAN named", "SCAN numbered", "SCAN newest"}
"""Of rows that were found by their keys."""
Work = Callable[[ReadTransaction], object]

PINNED: Final = {
    "search": 3,
    "customer": 1,
    "coupons": 3,
    "coupons after": 4,
    "redemptions": 1,
    "redemptions after": 2,
    "messages": 2,
    "limits": 2,
    "coupon": 6,
    "timeline": 5,
    "goodwill": 2,
    "till": 1,
}


@contextmanager
def statements(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """Those that run meanwhile."""
    seen: list[tuple[str, Any]] = []
    execute = database.dialect.execute

    def keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _is_many: bool) -> None:
        seen.append((statement, parameters))

    def keep_and_execute(connection: Connection, sql: str, parameters: Any, *, is_many: bool = False) -> Any:
        seen.append((sql, parameters))
        return execute(connection, sql, parameters, is_many=is_many)

    event.listen(database.engine, "before_cursor_execute", keep)
    database.dialect.execute = keep_and_execute  # type: ignore[method-assign] # to see what runs straight on the driver
    try:
        yield seen
    finally:
        event.remove(database.engine, "before_cursor_execute", keep)
        database.dialect.execute = execute  # type: ignore[method-assign] # as it was


def pages(shop: Shop, number: int) -> dict[str, Work]:
    """What each page reads."""
    org = shop.org_id
    what = sought("90001", shop.org())
    with shop.database.reading() as tx:
        held = care.coupons_of(tx, org, MIRA_ID, NOW_MS).rows
        used = care.uses_of(tx, org, MIRA_ID).rows
    last, done = held[-1].coupon.id if held else 0, used[-1].id if used else 0
    return {
        "search": lambda tx: searching.find(tx, org, what),
        "customer": lambda tx: any_customer(tx, org, "id", str(MIRA_ID)),
        "coupons": lambda tx: care.coupons_of(tx, org, MIRA_ID, NOW_MS),
        "coupons after": lambda tx: care.coupons_of(tx, org, MIRA_ID, NOW_MS, state="live", before_id=last),
        "redemptions": lambda tx: care.uses_of(tx, org, MIRA_ID),
        "redemptions after": lambda tx: care.uses_of(tx, org, MIRA_ID, before_id=done),
        "messages": lambda tx: care.messages_of(tx, org, MIRA_ID),
        "limits": lambda tx: care.shares_of(tx, org, MIRA_ID, NOW_MS, before_id=10**9),
        "coupon": lambda tx: care.coupon_file(tx, org, number, NOW_MS),
        "timeline": lambda tx: lines.units(tx, org, number, timeline.cursor_of("d9.f9.u9.a9.x9.t9"), "INR"),
        "goodwill": lambda tx: care.goodwill_series(tx, org, NOW_MS),
        "till": lambda tx: searching.tills_named(tx, org, "till"),
    }


def costs(shop: Shop, number: int) -> dict[str, int]:
    found = {}
    for name, work in pages(shop, number).items():
        with shop.database.reading() as tx, statements(shop.database) as seen:
            work(tx)
        found[name] = len(seen)
    return found


def test_statements_of_a_page_do_not_depend_on_what_there_is(shop: Shop, front: Front) -> None:
    number = coupon_id(shop, shop.coupon("H4TQ9ZKM"))
    assert costs(shop, number) == PINNED
    for at in range(5):
        shop.series(seriesCode=f"MORE{at}", seriesType="GOODWILL", isMultipleUseAllowed="true", sameUserMultipleRedeem="true")
        for code in (shop.coupon(series=f"MORE{at}") for _ in range(20)):
            front.redeem(code, transactionNumber=code)
            front.redeem(code, transactionNumber="", billAmount="x")
    assert costs(shop, number) == PINNED


def test_what_is_another_orgs_costs_what_nobodys_does(shop: Shop) -> None:
    """Prevents telling by the work that an id exists elsewhere."""
    elsewhere, unknown = (ids.first_id(ids.COUPON, shop.org_id + at, 77) for at in (1, 0))
    counted = []
    for number in (elsewhere, unknown):
        with shop.database.reading() as tx, statements(shop.database) as seen:
            assert care.coupon_file(tx, shop.org_id, number, NOW_MS) is None
            assert searching.find(tx, shop.org_id, sought(str(number), shop.org())).paths == []
        counted.append([statement for statement, _ in seen])
    assert counted[0] == counted[1]


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_sqlite_looks_every_row_up_by_its_key(shop: Shop, front: Front) -> None:
    """Prevents a plan that walks through an org's coupons or redemptions."""
    code = shop.coupon("H4TQ9ZKM")
    front.redeem(code, transactionNumber="90001")
    walks: dict[tuple[str, str], str] = {}
    for name, work in pages(shop, coupon_id(shop, code)).items():
        if name in {"goodwill", "till"}:  # which look through an org's series, and its tills, on purpose
            continue
        with shop.database.reading() as tx, statements(shop.database) as seen:
            work(tx)
        for statement, parameters in list(seen):
            with shop.database.reading() as tx:
                found = tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                steps = [row.detail for row in found if row.detail not in SUBQUERIES]
                walks |= {(name, step): statement for step in steps if is_walk(step)}
    assert not walks, sorted(walks)
