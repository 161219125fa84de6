"""What a batch leaves in the database: all of each request or nothing, counters that add up, a trace of every refusal."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from couponry.core import ids
from couponry.core.commands import Command
from couponry.core.model import Handling
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store.engine import Database
from tests.core.world import (
    CODE,
    DAY_MS,
    MIRA,
    NOBODY,
    NOOR,
    NOW,
    check,
    coupon,
    coupon_id,
    pool_coupon,
    redeem,
    series,
)
from tests.ledger.desk import Desk
from tests.ledger.rows import NEW_COUPON_SERIAL, miscounts, open_shop, rows, run_sql

REUSABLE = {"is_multiple_use_allowed": True, "same_user_multiple_redeem": True}
OTHER_ORG = 2


def test_redeem_leaves_its_rows(desk: Desk, database: Database) -> None:
    open_shop(database)
    answer = desk.answer(redeem(request_id="req-1", amount=Decimal("1800.505")))
    (item,) = answer.items
    assert (answer.status, item.status) == (Code.PROCESSED, Code.PROCESSED)
    assert (item.coupon_id, item.code_shown) == (coupon_id(1), CODE)
    assert ids.org_of(item.redemption_id) == 1
    (row,) = rows(database, t.redemption)
    expected = {
        "id": item.redemption_id,
        "coupon_id": coupon_id(1),
        "use_number": 1,
        "customer_use_number": 1,
        "series_id": 1,
        "series_version": 1,
        "customer_id": 1,
        "till_id": 11,
        "store_id": 21,
        "redeemed_ms": NOW,
        "amount": 1_800_505,
        "transaction_number": "INV-5510",
        "request_id": "req-1",
        "reversed_ms": None,
    }
    assert {name: row[name] for name in expected} == expected
    (event,) = rows(database, t.outbox)
    told = (event["event"], event["subject_id"], event["customer_id"], event["request_id"], event["created_ms"])
    assert told == ("CouponRedeem", item.redemption_id, 1, "req-1", NOW)
    (standing,) = rows(database, t.customer_series)
    assert (standing["redeemed"], standing["uses"], standing["last_redeemed_ms"]) == (1, 1, NOW)
    assert rows(database, t.refusal) == []
    assert miscounts(database) == []


def test_outcomes_come_in_order(desk: Desk, database: Database) -> None:
    """One coupon that can be used three times, asked for by five: the first three get it, in the order of asking."""
    open_shop(database, series(1, redemption_per_coupon_max_limit=3, **REUSABLE), coupon())
    asked = [redeem(transaction_number=f"T{number}") for number in range(5)]
    assert desk.statuses(*asked) == [Code.PROCESSED] * 3 + [Code.CODE_LIMIT_REACHED] * 2
    assert [row["transaction_number"] for row in rows(database, t.redemption)] == ["T0", "T1", "T2"]
    assert [row["use_number"] for row in rows(database, t.redemption)] == [1, 2, 3]
    assert [row["customer_use_number"] for row in rows(database, t.redemption)] == [1, 2, 3]
    assert miscounts(database) == []


def test_request_is_all_or_nothing(desk: Desk, database: Database) -> None:
    """Three coupons, of which one is another's: nothing of the request stays but the trace of the one that failed."""
    open_shop(database, coupon(1, "A"), coupon(2, "B", customer_id=2), coupon(3, "C"))
    answer = desk.answer(redeem("A", "B", "C"))
    assert answer.status is Code.BATCH_REFUSED
    assert [item.status for item in answer.items] == [
        Code.OTHER_COUPON_FAILED,
        Code.NOT_ISSUED_TO_CUSTOMER,
        Code.OTHER_COUPON_FAILED,
    ]
    for table in (t.redemption, t.customer_series, t.outbox, t.idempotency):
        assert rows(database, table) == []
    assert [row["redeemed"] for row in rows(database, t.coupon)] == [0, 0, 0]
    (refusal,) = rows(database, t.refusal)
    assert (refusal["status"], refusal["coupon_id"], refusal["customer_id"]) == ("NOT_ISSUED_TO_CUSTOMER", coupon_id(2), 1)
    assert desk.answer(redeem("A", "C")).status is Code.PROCESSED
    assert miscounts(database) == []


def test_refused_request_takes_nothing_from_its_neighbours(desk: Desk, database: Database) -> None:
    """In one batch, a refused request of two around a limit of one does not use the limit up."""
    open_shop(database, series(1, max_redeem=1), coupon(1, "A"), coupon(2, "B"), coupon(3, "C"))
    commands: list[Command] = [redeem("A", "B", transaction_number="T1"), redeem("C", transaction_number="T2")]
    assert desk.statuses(*commands) == [Code.BATCH_REFUSED, Code.PROCESSED]
    (counted,) = rows(database, t.series_counter)
    assert (counted["redeemed"], counted["redeemed_max"]) == (1, 1)
    assert miscounts(database) == []


def test_refusals_are_recorded(desk: Desk, database: Database) -> None:
    open_shop(database, coupon(1, "MINE"), coupon(2, "OTHERS", customer_id=2))
    refused = [
        redeem("NOSUCH", transaction_number="T1", request_id="r1", amount=Decimal(20)),
        redeem("OTHERS", transaction_number="T2", request_id="r2", at_ms=NOW + 5000),
        redeem("MINE", customer=(NOBODY,), transaction_number="T3", request_id="r3"),
        redeem("NO", "SUCH", transaction_number="T4", request_id="r4"),
    ]
    assert desk.statuses(*refused) == [
        Code.UNKNOWN_COUPON,
        Code.NOT_ISSUED_TO_CUSTOMER,
        Code.CUSTOMER_NOT_FOUND,
        Code.ALL_FAILED,
    ]
    shown = ("status", "code_sent", "coupon_id", "series_id", "customer_id", "transaction_number", "evaluated_ms", "request_id")
    assert [tuple(row[name] for name in shown) for row in rows(database, t.refusal)] == [
        ("UNKNOWN_COUPON", "NOSUCH", None, None, 1, "T1", None, "r1"),
        ("NOT_ISSUED_TO_CUSTOMER", "OTHERS", coupon_id(2), 1, 1, "T2", NOW + 5000, "r2"),
        ("CUSTOMER_NOT_FOUND", "MINE", None, None, None, "T3", None, "r3"),
        ("UNKNOWN_COUPON", "NO", None, None, 1, "T4", None, "r4"),
        ("UNKNOWN_COUPON", "SUCH", None, None, 1, "T4", None, "r4"),
    ]
    assert [row["amount"] for row in rows(database, t.refusal)][:2] == [20_000, 1_800_000]


@pytest.mark.parametrize("code", ["", " ", "a b", "x" * 41, "nul\0byte", "naïve", "🎟"])
def test_any_text_may_be_sent_as_a_code(desk: Desk, database: Database, code: str) -> None:
    """Prevents a code that the database cannot hold from failing at the trace of its refusal (730)."""
    open_shop(database)
    assert desk.statuses(redeem(code), check(code)) == [Code.INVALID_CODE] * 2
    assert len(rows(database, t.refusal)) == 1


def test_check_leaves_nothing(desk: Desk, database: Database) -> None:
    shared = series(2, client_handling_type=Handling.SHARED, any_user=True)
    open_shop(database, series(1), shared, coupon(1, "MINE"), pool_coupon(2, "SHARED", series_id=2))
    before = {table.name: rows(database, table) for table in t.metadata.sorted_tables if "org_id" in table.c}
    asked = [check("MINE", "SHARED"), check("NOSUCH"), check("MINE", customer=(NOOR,)), check("MINE")]
    assert desk.statuses(*asked) == [
        Code.REDEEMABLE,
        Code.UNKNOWN_COUPON_CHECKED,
        Code.NOT_ISSUED_TO_CUSTOMER,
        Code.REDEEMABLE,
    ]
    assert {table.name: rows(database, table) for table in t.metadata.sorted_tables if "org_id" in table.c} == before


def test_shared_code_gives_each_redeemer_a_record(desk: Desk, database: Database) -> None:
    shared = series(1, client_handling_type=Handling.SHARED, any_user=True, max_redemptions_in_series_per_user=2, **REUSABLE)
    open_shop(database, shared, pool_coupon(1, "SHARED"))
    asked = [
        redeem("shared", customer=(who,), transaction_number=f"T{number}") for number, who in enumerate((MIRA, NOOR, MIRA, MIRA))
    ]
    assert desk.statuses(*asked[:2]) == [Code.PROCESSED] * 2
    assert desk.statuses(*asked[2:]) == [Code.PROCESSED, Code.CUSTOMER_LIMIT_REACHED]
    public, *own = rows(database, t.coupon)
    assert (public["holder_id"], public["uses"]) == (0, 0)
    assert [(row["holder_id"], row["customer_id"], row["redeemed"], row["issued_by_redemption"]) for row in own] == [
        (1, 1, 2, True),
        (2, 2, 1, True),
    ]
    assert [row["id"] for row in own] == [coupon_id(NEW_COUPON_SERIAL), coupon_id(NEW_COUPON_SERIAL + 1)]
    assert miscounts(database) == []


def test_external_code_belongs_to_its_first_redeemer(desk: Desk, database: Database) -> None:
    open_shop(database, series(1, external_issual=True, **REUSABLE), pool_coupon(1, "EXT"))
    asked = [redeem("EXT", customer=(who,), transaction_number=f"T{n}") for n, who in enumerate((NOOR, MIRA, NOOR))]
    assert desk.statuses(*asked) == [Code.PROCESSED, Code.NOT_ISSUED_TO_CUSTOMER, Code.PROCESSED]
    (row,) = rows(database, t.coupon)
    assert (row["customer_id"], row["issued_ms"], row["issued_by_redemption"], row["redeemed"]) == (2, NOW, True, 2)
    assert miscounts(database) == []


def test_orgs_never_mix(desk: Desk, database: Database) -> None:
    """Two orgs with the same customers and codes, asked at once: each redeems its own, and an id of the other is 715."""
    open_shop(database, coupon(1, "SAME"), coupon(2, "ONLYONE"))
    theirs = coupon_id(1, OTHER_ORG)
    open_shop(database, replace(coupon(1, "SAME"), id=theirs), org_id=OTHER_ORG)
    asked: list[Command] = [
        redeem("SAME"),
        redeem("SAME", org_id=OTHER_ORG),
        redeem("ONLYONE", org_id=OTHER_ORG, transaction_number="T2"),
        redeem(theirs, transaction_number="T3"),
        check(theirs),
        redeem(coupon_id(99), transaction_number="T4"),
        redeem(theirs, org_id=OTHER_ORG, transaction_number="T5"),
    ]
    outcomes = desk.outcomes(*asked)
    assert [outcome.answer.status for outcome in outcomes] == [
        Code.PROCESSED,
        Code.PROCESSED,
        Code.UNKNOWN_COUPON,
        Code.INVALID_ORGANIZATION,
        Code.INVALID_ORGANIZATION,
        Code.UNKNOWN_COUPON,
        Code.ALREADY_USED,
    ]
    assert not any(outcome.replayed for outcome in outcomes)
    for org_id in (1, OTHER_ORG):
        (row,) = rows(database, t.redemption, org_id)
        assert (ids.org_of(row["id"]), ids.org_of(row["coupon_id"])) == (org_id, org_id)
        assert miscounts(database, org_id) == []


def test_uncapped_series_are_counted_too(desk: Desk, database: Database) -> None:
    open_shop(database, series(1), series(2, max_redeem=5), coupon(1, "A"), coupon(2, "B", series_id=2))
    assert desk.statuses(redeem("A", "B")) == [Code.PROCESSED]
    counted = {(row["series_id"], row["stripe"] == t.CAPPED_STRIPE): row for row in rows(database, t.series_counter)}
    assert counted[1, False]["redeemed"] == 1
    assert counted[2, True]["redeemed"] == 1
    assert [row["last_redeemed_ms"] for row in counted.values() if row["redeemed"]] == [NOW, NOW]


def test_what_other_stripes_counted_is_part_of_the_cap(desk: Desk, database: Database) -> None:
    """A cap set later counts what was redeemed before it."""
    open_shop(database, series(1, max_redeem=10), coupon())
    run_sql(database, "UPDATE series_counter SET redeemed_elsewhere = 10")
    assert desk.statuses(redeem()) == [Code.SERIES_LIMIT_REACHED]


def test_new_terms_count_from_the_next_batch_on(desk: Desk, database: Database) -> None:
    """Terms are kept in memory by their version: prevents the old ones from ruling on."""
    open_shop(database)
    assert desk.statuses(check()) == [Code.REDEEMABLE]
    run_sql(
        database,
        """INSERT INTO series_version (org_id, series_id, version, terms, created_ms)
           SELECT org_id, series_id, 2, REPLACE(terms, '"description"', '"seriesType":"TEST","description"'), 0
           FROM series_version""",
        "UPDATE series SET version = 2",
    )
    assert desk.statuses(check(), redeem()) == [Code.TEST_COUPON] * 2


def test_new_org_settings_count_from_the_next_batch_on(desk: Desk, database: Database) -> None:
    open_shop(database, series(1, **REUSABLE), coupon())
    assert desk.statuses(redeem(transaction_number="")) == [Code.PROCESSED]
    run_sql(database, """UPDATE org SET version = 2, settings = '{"transactionNumberRequired":true}'""")
    assert desk.statuses(redeem(transaction_number="")) == [Code.TRANSACTION_NUMBER_NEEDED]


def test_paused_campaign_stops_its_series(desk: Desk, database: Database) -> None:
    open_shop(database)
    run_sql(
        database,
        "INSERT INTO campaign (org_id, id, name, description, state, created_ms) VALUES (1, 7, 'c', '', 'ACTIVE', 0)",
        "UPDATE series SET campaign_id = 7",
    )
    assert desk.statuses(check()) == [Code.REDEEMABLE]
    for change, expected in (
        ("state = 'PAUSED'", Code.SERIES_EXPIRED),
        (f"state = 'ACTIVE', ends_ms = {NOW + DAY_MS}", Code.REDEEMABLE),
        (f"ends_ms = {NOW - 1}", Code.SERIES_EXPIRED),
        ("state = 'ENDED', ends_ms = NULL", Code.SERIES_EXPIRED),
    ):
        run_sql(database, f"UPDATE campaign SET {change}")
        assert desk.statuses(check()) == [expected]
    assert desk.statuses(redeem()) == [Code.SERIES_EXPIRED]


def test_reversed_redemption_frees_every_limit(desk: Desk, database: Database) -> None:
    """What was taken back counts for no limit, but its numbers are not given out again."""
    limits = {"redemption_per_coupon_max_limit": 1, "max_redemptions_in_series_per_user": 1, "max_redeem": 1}
    open_shop(database, series(1, is_multiple_use_allowed=True, **limits), coupon())
    bills = [redeem(transaction_number=f"T{number}") for number in range(3)]
    assert desk.statuses(*bills[:2]) == [Code.PROCESSED, Code.ALREADY_USED_BY_CUSTOMER]
    run_sql(
        database,
        "UPDATE redemption SET reversed_ms = 1",
        "UPDATE coupon SET redeemed = 0",
        "UPDATE customer_series SET redeemed = 0, last_redeemed_ms = NULL",
        "UPDATE series_counter SET redeemed = 0",
    )
    assert desk.statuses(check()) == [Code.REDEEMABLE]
    assert desk.statuses(*bills[1:]) == [Code.PROCESSED, Code.ALREADY_USED_BY_CUSTOMER]
    assert [(row["use_number"], row["customer_use_number"]) for row in rows(database, t.redemption)] == [(1, 1), (2, 2)]
    assert miscounts(database) == []
