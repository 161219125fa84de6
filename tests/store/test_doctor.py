"""The doctor finds every counter that is off, and nothing else."""

import pytest
from sqlalchemy import text

from couponry.core.model import Org
from couponry.store import doctor, registry, schema
from couponry.store.bulk import import_rows
from couponry.store.bulk.coupons import Coupons
from couponry.store.bulk.customers import Customers
from couponry.store.bulk.series import SeriesRows
from couponry.store.engine import Database
from tests.ledger.rows import count_days

NOW_MS = 1_900_000_000_000
REDEMPTION = (
    *("id", "coupon_id", "use_number", "series_id", "series_version", "customer_id", "customer_use_number", "till_id"),
    *("store_id", "redeemed_ms", "transaction_number", "request_id", "reversed_ms"),
)


# Everything happened on one day.
DAYS_WITHOUT_TOTAL = [
    *(("daily_figure.issued", 0, 3), ("daily_figure.redeemed", 0, 2), ("daily_figure.reversed", 0, 1)),
    ("daily_figure.revoked", 0, 1),
]


@pytest.fixture
def shop(database: Database) -> Database:
    """One redeemed coupon, one redeemed and reversed, one revoked, one of a pool; counted by two stripes."""
    with database.writing() as tx:
        org_id = registry.create_org(tx, name="Shop", time_zone="Asia/Kolkata", currency="INR", country_code="91", now_ms=NOW_MS)
        assert isinstance(org_id, int)
        org = registry.read_org(tx, org_id)
    assert isinstance(org, Org)
    terms = {"description": "x", "discountType": "ABS", "discountValue": "1", "clientHandlingType": "DISC_CODE"}
    pool = {**terms, "clientHandlingType": "DISC_CODE_PIN"}
    coupons = [
        {"seriesCode": "S", "code": "USED", "customerExternalId": "c0"},
        {"seriesCode": "S", "code": "BACK", "customerExternalId": "c0"},
        {"seriesCode": "S", "code": "GONE", "customerExternalId": "c0", "state": "REVOKED"},
        {"seriesCode": "S", "code": "POOL"},
        {"seriesCode": "P", "code": "P1"},
        {"seriesCode": "P", "code": "P2", "state": "REVOKED"},
    ]
    assert import_rows(database, Customers(org, frozenset({"ACTIVE"}), NOW_MS), [{"externalId": "c0"}]) == []
    assert import_rows(database, SeriesRows(org, NOW_MS, str), [{**terms, "seriesCode": "S", "maxRedeem": "5"}]) == []
    assert import_rows(database, SeriesRows(org, NOW_MS, str), [{**pool, "seriesCode": "P"}]) == []
    assert import_rows(database, Coupons(org, NOW_MS), coupons) == []
    with database.writing() as tx:
        used, back = (row.id for row in tx.rows(text("SELECT id FROM coupon WHERE code IN ('USED', 'BACK') ORDER BY id"), {}))
        one = (5001, 1, 90001)
        rows = [(1, used, 1, *one, 1, 7, 8, NOW_MS, "", "r", None), (2, back, 1, *one, 2, 7, 8, NOW_MS + 1, "", "r", NOW_MS + 2)]
        tx.write(tx.dialect.insert(schema.redemption, REDEMPTION), org_id, rows)
        for statement in (
            f"UPDATE coupon SET redeemed = 1, uses = 1 WHERE id = {used}",
            f"UPDATE coupon SET uses = 1 WHERE id = {back}",
            f"UPDATE customer_series SET redeemed = 1, uses = 2, last_redeemed_ms = {NOW_MS}",
            "UPDATE series_counter SET redeemed_elsewhere = 1 WHERE series_id = 5001",
            "INSERT INTO series_counter (org_id, series_id, stripe, redeemed) VALUES (1001, 5001, 3, 1)",
        ):
            tx.connection.execute(text(statement))
    count_days(database, org_id)
    return database


def test_healthy_counters(shop: Database) -> None:
    assert doctor.check(shop) == doctor.Report(6 + 1 + 3, [])


@pytest.mark.parametrize(
    ("harm", "counters"),
    [
        ("UPDATE coupon SET redeemed = 0 WHERE code = 'USED'", [("coupon.redeemed", 0, 1)]),
        ("UPDATE coupon SET uses = 2 WHERE code = 'POOL'", [("coupon.uses", 2, 0)]),
        ("UPDATE customer_series SET issued = 3", [("customer_series.issued", 3, 2)]),
        ("UPDATE customer_series SET uses = 1", [("customer_series.uses", 1, 2)]),
        (
            "UPDATE customer_series SET redeemed = 0",
            [("customer_series.redeemed", 0, 1), ("customer_series.last_redeemed_ms", 0, NOW_MS)],
        ),
        ("UPDATE customer_series SET last_redeemed_ms = 1", [("customer_series.last_redeemed_ms", 1, NOW_MS)]),
        ("UPDATE series_counter SET issued = 9 WHERE stripe = 0 AND series_id = 5001", [("series_counter.issued", 9, 3)]),
        (
            "UPDATE series_counter SET redeemed = 2 WHERE stripe = 3",
            [("series_counter.redeemed", 2, 1), ("series_counter.redeemed_elsewhere", 1, 2)],
        ),
        ("DELETE FROM series_counter", [("series_counter", 0, 4), ("series_counter", 0, 2)]),
        ("UPDATE series_counter SET uploaded = 1 WHERE uploaded = 2", [("series_counter.uploaded", 1, 2)]),
        (
            "DELETE FROM coupon WHERE code = 'BACK'",
            [
                *(("coupon", 0, 1), ("customer_series.issued", 2, 1), ("series_counter.issued", 3, 2)),
                *(("daily_figure.issued", 3, 2), ("daily_figure.issued", 3, 2)),
            ],
        ),
        ("UPDATE daily_figure SET redeemed = 5 WHERE store_id = 8 AND day > 0", [("daily_figure.redeemed", 5, 2)]),
        ("UPDATE daily_figure SET reversed = 0 WHERE day = 0", [("daily_figure.reversed", 0, 1)]),
        ("UPDATE daily_figure SET revoked = 0 WHERE series_id = 5001", [("daily_figure.revoked", 0, 1)]),
        ("DELETE FROM daily_figure WHERE store_id = 0 AND series_id = 0", DAYS_WITHOUT_TOTAL),
    ],
)
def test_each_wrong_counter_is_found(shop: Database, harm: str, counters: list[tuple[str, int, int]]) -> None:
    """Prevents a doctor that finds everybody healthy."""
    with shop.writing() as tx:
        tx.connection.execute(text(harm))
    found = doctor.check(shop).differences
    assert [(one.counter, one.stored, one.actual) for one in found] == counters
    assert {one.org_id for one in found} == {1001}


def test_no_org_is_healthy(database: Database) -> None:
    assert doctor.check(database) == doctor.Report(0, [])
