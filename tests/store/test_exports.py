"""Pages of an export against plain SQL, whatever their size and whatever is asked for; what they cost, and how rows are found."""

from collections.abc import Iterator
from contextlib import closing
from itertools import product
from typing import Any, Final

import pytest
from sqlalchemy import Connection, event, insert

from couponry.core.exporting import COLUMNS, ExportRequest, What
from couponry.core.limits import EXPORT_KEYS_PER_ROW
from couponry.store import schema as t
from couponry.store.engine import Database
from couponry.store.exports import Exports, Place
from couponry.store.ordering import export_problem
from tests.core.world import NOW, ORG, coupon, coupon_id, redemption_id, series
from tests.ledger.rows import open_shop, run_sql, write_org
from tests.store.test_statements import is_walk

OTHER: Final = 2
CAMPAIGN: Final = 7001
COUPONS: Final = 23
SERIES: Final = (1, 2, 3)
WINDOW: Final = (NOW + 5, NOW + 15)
POOLED: Final[dict[str, Any]] = {"customer_id": None, "issued_ms": None}
TIMES: Final = {
    What.COUPONS: ("coupon", "id", "created_ms", "TRUE"),
    What.ISSUES: ("coupon", "id", "issued_ms", "issued_ms IS NOT NULL AND NOT issued_by_redemption"),
    What.REDEMPTIONS: ("redemption", "id", "redeemed_ms", "TRUE"),
    What.REFUSALS: ("refusal", "id", "refused_ms", "TRUE"),
}
IDS: Final = {
    What.COUPONS: "couponId",
    What.ISSUES: "couponId",
    What.REDEMPTIONS: "redemptionId",
    What.REFUSALS: "refusalId",
}
FILTERS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"series_id": 2},
    {"campaign_id": CAMPAIGN},
    {"from_ms": WINDOW[0]},
    {"to_ms": WINDOW[1]},
    {"series_id": 1, "from_ms": WINDOW[0], "to_ms": WINDOW[1]},
    {"campaign_id": CAMPAIGN, "from_ms": WINDOW[0], "to_ms": WINDOW[1]},
    {"series_id": 2, "from_ms": NOW + 1_000_000},
    {"from_ms": 0, "to_ms": 1},
)


@pytest.fixture
def keyed(database: Database) -> Iterator[Database]:
    """Coupons of three series, two of them of a campaign, with everything that can happen to them; and another org's."""
    held = [
        coupon(
            n, f"C{n}", series_id=SERIES[n % 3], customer_id=1 + n % 2 if n % 4 else None, issued_ms=NOW + n if n % 4 else None
        )
        for n in range(1, COUPONS + 1)
    ]
    open_shop(database, *(series(one) for one in SERIES), *held)
    write_org(database, OTHER)
    run_sql(
        database,
        f"UPDATE coupon SET created_ms = {NOW} + id - id / 20 * 20",
        "UPDATE coupon SET issued_by_redemption = TRUE WHERE issued_ms IS NOT NULL AND id - id / 7 * 7 = 0",
        f"INSERT INTO campaign (org_id, id, name, description, state, created_ms) VALUES (1, {CAMPAIGN}, '', '', 'ACTIVE', 0)",
        f"UPDATE series SET campaign_id = {CAMPAIGN} WHERE org_id = 1 AND id IN (1, 3)",
        "INSERT INTO store (org_id, id, code, name, is_active) VALUES (1, 21, 'blr01', 'Bengaluru 1', TRUE)",
        "INSERT INTO till (org_id, id, code, name, store_id, password_hash, is_active) VALUES (1, 11, 'till1', '', 21, '', TRUE)",
        "UPDATE coupon SET issued_till_id = 11 WHERE issued_ms IS NOT NULL",
    )
    with database.writing() as tx:
        # Several at one instant, as an import has them.
        done = {"use_number": 1, "series_version": 1, "till_id": 11, "store_id": 21, "request_id": "", "transaction_number": "B1"}
        made = [
            {
                **done,
                "org_id": ORG,
                "id": redemption_id(n),
                "coupon_id": coupon_id(n),
                "series_id": SERIES[n % 3],
                "customer_id": 1,
                "customer_use_number": n,
                "redeemed_ms": NOW + 20 - n // 4 * 4,
                "amount": 1000 * n,
            }
            for n in range(1, COUPONS + 1)
        ]
        tx.connection.execute(insert(t.redemption), made)
        refused = {"org_id": ORG, "till_id": 11, "transaction_number": "", "request_id": "r", "code_sent": "=C"}
        tx.connection.execute(
            insert(t.refusal),
            [
                {**refused, "id": n, "status": "ALREADY_USED", "series_id": (None, *SERIES)[n % 4], "refused_ms": NOW + n}
                for n in range(1, COUPONS + 1)
            ],
        )
    with closing(Database(database.url, is_keyed=True)) as opened:
        yield opened


def ids_of(database: Database, request: ExportRequest, rows_max: int) -> list[int]:
    exports, found = Exports(database.dialect), list[int]()
    place: Place | None = Place()
    while place is not None:
        with database.reading() as tx:
            page = exports.page(tx, ORG, request, place, rows_max)
        assert page.rows <= rows_max
        assert set(page.columns) == set(COLUMNS[request.what])
        assert {len(column) for column in page.columns.values()} == {page.rows}
        found += page.columns[IDS[request.what]]
        place = page.next
    return found


def wanted(database: Database, request: ExportRequest) -> list[int]:
    table, key, at, condition = TIMES[request.what]
    said = [f"org_id = {ORG}", condition]
    said += [f"series_id = {request.series_id}"] if request.series_id else []
    said += ["series_id IN (1, 3)"] if request.campaign_id else []
    said += [f"{at} >= {request.from_ms}"] if request.from_ms is not None else []
    said += [f"{at} < {request.to_ms}"] if request.to_ms is not None else []
    with database.reading() as tx:
        found = tx.connection.exec_driver_sql(f"SELECT {key} FROM {table} WHERE {' AND '.join(said)} ORDER BY {key}")
        return [row[0] for row in found]


@pytest.mark.parametrize("what", What)
def test_each_row_comes_once_whatever_the_page(keyed: Database, what: What) -> None:
    sizes = []
    for filters in FILTERS:
        request = ExportRequest(what=what, **filters)
        truth = wanted(keyed, request)
        sizes.append(len(truth))
        for rows_max in (1, 2, 3, 1000):
            assert sorted(ids_of(keyed, request, rows_max)) == truth, (filters, rows_max)
    assert max(sizes) > 2 * EXPORT_KEYS_PER_ROW
    assert 0 in sizes


def test_what_a_row_says(keyed: Database) -> None:
    exports = Exports(keyed.dialect)
    firsts = {}
    with keyed.reading() as tx:
        for what in What:
            columns = exports.page(tx, ORG, ExportRequest(what=what, series_id=2), Place(), 1).columns
            firsts[what] = {name: values[0] for name, values in columns.items()}
    site = {"storeCode": "blr01", "storeName": "Bengaluru 1", "tillCode": "till1"}
    assert firsts[What.COUPONS].items() >= ({"state": "ISSUED", "customerMobile": "919812300002", "code": "C1"} | site).items()
    assert firsts[What.COUPONS]["validTillDateTime"] == series(2).expires_ms
    assert firsts[What.REDEMPTIONS].items() >= ({"code": "C22", "billAmount": 22_000, "reversedOn": None} | site).items()
    refusal = {"errorCode": 711, "errorMessage": "Coupon is already used", "code": "=C", "seriesId": 2, "customerId": None}
    assert firsts[What.REFUSALS].items() >= (refusal | site).items()
    assert firsts[What.ISSUES] == firsts[What.COUPONS]


def test_who_has_not_the_series_cannot_export_it(keyed: Database) -> None:
    with keyed.reading() as tx:
        assert export_problem(tx, ORG, ExportRequest(what=What.COUPONS, series_id=1)) is None
        for org_id, named in product((ORG, OTHER), ("series_id", "campaign_id")):
            there = {"series_id": 1, "campaign_id": CAMPAIGN}[named] if org_id == OTHER else 999
            filters: dict[str, Any] = {named: there}
            refused = export_problem(tx, org_id, ExportRequest(what=What.COUPONS, **filters))
            assert refused is not None
            assert refused.code == "unknown"
        both = export_problem(tx, ORG, ExportRequest(what=What.COUPONS, series_id=1, campaign_id=CAMPAIGN))
        backwards = export_problem(tx, ORG, ExportRequest(what=What.COUPONS, from_ms=5, to_ms=5))
        assert [each and each.code for each in (both, backwards)] == [629, 629]


class Seen:
    """The statements of a page."""

    def __init__(self, database: Database) -> None:
        self.statements: list[tuple[str, Any]] = []
        self._execute = database.dialect.execute
        event.listen(database.engine, "before_cursor_execute", self._keep)
        database.dialect.execute = self._keep_and_execute  # type: ignore[method-assign] # to see what runs straight on the driver

    def _keep(self, _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _is_many: bool) -> None:
        if not statement.startswith(("BEGIN", "DISCARD")):
            self.statements.append((statement, parameters))

    def _keep_and_execute(self, connection: Connection, sql: str, parameters: Any, *, is_many: bool = False) -> Any:
        self.statements.append((sql, parameters))
        return self._execute(connection, sql, parameters, is_many=is_many)


def test_a_page_takes_as_many_statements_whatever_its_size(keyed: Database) -> None:
    """The end of the keys, the rows, their series, tills and stores; in a campaign the series; terms when first met."""
    seen, exports = Seen(keyed), Exports(keyed.dialect)
    with keyed.reading() as tx:
        for what in What:  # the terms are met
            exports.page(tx, ORG, ExportRequest(what=what), Place(), 1000)
        counts: dict[int, set[int]] = {}
        for what, filters, rows_max in product(What, FILTERS, (1, 1000)):
            seen.statements.clear()
            exports.page(tx, ORG, ExportRequest(what=what, **filters), Place(), rows_max)
            is_by_series = "campaign_id" in filters and what is not What.REFUSALS
            counts.setdefault(len(seen.statements) - is_by_series, set()).add(rows_max)
    assert counts == {5: {1, 1000}}


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_sqlite_walks_by_keys(keyed: Database) -> None:
    """Prevents a plan that walks through an org's rows, or sorts them."""
    seen, exports, plans = Seen(keyed), Exports(keyed.dialect), {}
    with keyed.reading() as tx:
        for what, filters in product(What, FILTERS):
            exports.page(tx, ORG, ExportRequest(what=what, **filters), Place(), 1000)
        for statement, parameters in {sql: (sql, parameters) for sql, parameters in seen.statements}.values():
            plan = tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans[statement] = [row.detail for row in plan]
    steps = [step for each in plans.values() for step in each]
    assert any("ix_redemption_series (org_id=? AND series_id=? AND" in step for step in steps)
    assert any("ix_coupon_series (org_id=? AND series_id=? AND id>?" in step for step in steps)
    assert not [step for step in steps if is_walk(step) or ("TEMP B-TREE" in step)]
