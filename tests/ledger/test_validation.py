"""Validation codes and missed calls as rows: used once whoever races, burnt by wrong tries, told apart by customer (rules 10)."""

from collections import Counter
from typing import Any, Final

import pytest
from sqlalchemy import insert

from couponry.core.commands import Item, Redeem
from couponry.core.status import Code
from couponry.core.validation import COUPON, Vault
from couponry.store import schema as t
from couponry.store.engine import Database
from tests.core.world import NOW, ORG, check, coupon, customer, redeem, series
from tests.ledger.desk import Desk, in_one_batch
from tests.ledger.rows import count_issued, open_shop, rows, run_sql, wrongs
from tests.ledger.stranger import holding

VAULT: Final = Vault(b"only for this test")
RIGHT: Final = VAULT.mac(ORG, "123456")
WRONG: Final = VAULT.mac(ORG, "654321")
COUPONS: Final = 24
OTP: Final = {
    "customer_id": 1,
    "scope": COUPON,
    "entity_type": "mobile",
    "entity_value": "919812300001",
    "mac": RIGHT,
    "message": "{}",
    "created_ms": NOW,
    "expires_ms": NOW + 1,
}


def send_codes(database: Database, *codes: dict[str, Any], org_id: int = ORG) -> None:
    """Codes that customers were sent, numbered from 1; Mira's unless said otherwise."""
    listed = [
        {"org_id": org_id, "id": serial, **OTP, "sealed": VAULT.seal(org_id, serial, "123456"), **code}
        for serial, code in enumerate(codes, 1)
    ]
    with database.writing() as tx:
        for row in listed:
            tx.connection.execute(insert(t.otp).values(row))


def call(database: Database, *called_ms: int) -> None:
    with database.writing() as tx:
        for serial, at_ms in enumerate(called_ms, 1):
            row = {"org_id": ORG, "id": serial, "customer_id": 1, "mobile": "919812300001", "called_ms": at_ms}
            tx.connection.execute(insert(t.missed_call).values(row))


def asked(number: int, mac: str = RIGHT, *, by_missed_call: bool = False, **fields: Any) -> Redeem:
    """A redeem of one coupon, on a bill of its own."""
    item = Item(code=f"V{number}", validation_mac=mac, by_missed_call=by_missed_call)
    return redeem(items=(item,), **{"transaction_number": f"B{number}", **fields})


@pytest.fixture
def strict(database: Database) -> Database:
    """Mira's coupons of a series that requires validation: V1, V2, ..."""
    coupons = [coupon(100 + serial, f"V{serial}") for serial in range(1, COUPONS + 1)]
    open_shop(database, series(is_validation_required=True), *coupons, customer(3))
    count_issued(database)
    return database


def used(database: Database, table: Any = t.otp) -> list[int | None]:
    return [row["used_ms"] for row in rows(database, table)]


def test_code_is_used_once(strict: Database) -> None:
    send_codes(strict, {})
    with Desk(strict.url) as desk:
        assert desk.check_answer(check(items=asked(1).items)).status is Code.REDEEMABLE
        assert used(strict) == [None]
        assert desk.answer(asked(1)).status is Code.PROCESSED
        assert used(strict) == [NOW]
        assert desk.answer(asked(2)).status is Code.INVALID_VALIDATION_CODE
        assert desk.outcomes(asked(1))[0].replayed == "derived"
    assert wrongs(strict) == []


def test_call_is_used_once(strict: Database) -> None:
    call(strict, NOW - 15 * 60_000, NOW - 1)
    with Desk(strict.url) as desk:
        by_call = [asked(number, "", by_missed_call=True) for number in (1, 2)]
        assert desk.check_answer(check(items=by_call[0].items)).status is Code.REDEEMABLE
        assert [desk.answer(one).status for one in by_call] == [Code.PROCESSED, Code.NO_MISSED_CALL]
    assert used(strict, t.missed_call) == [None, NOW]


@pytest.mark.parametrize(
    "code",
    [
        {"customer_id": 2},
        {"scope": "POINTS"},
        {"expires_ms": NOW},
        {"used_ms": NOW - 1},
        {"wrong_tries": 5},
        {"mac": WRONG},
    ],
)
def test_codes_that_do_not_count(strict: Database, code: dict[str, Any]) -> None:
    send_codes(strict, code)
    before = rows(strict, t.otp)
    with Desk(strict.url) as desk:
        assert desk.answer(asked(1)).status is Code.INVALID_VALIDATION_CODE
        assert desk.check_answer(check(items=asked(1).items)).status is Code.INVALID_VALIDATION_CODE
    tried = 1 if code == {"mac": WRONG} else 0
    assert rows(strict, t.otp) == [{**before[0], "wrong_tries": before[0]["wrong_tries"] + tried}]


def test_wrong_tries_are_written_although_refused(strict: Database) -> None:
    send_codes(strict, {}, {"mac": VAULT.mac(ORG, "111111")}, {"customer_id": 3})
    with Desk(strict.url) as desk:
        assert desk.answer(asked(1, WRONG)).status is Code.INVALID_VALIDATION_CODE
        assert desk.check_answer(check(items=asked(1, WRONG).items)).status is Code.INVALID_VALIDATION_CODE
        assert [row["wrong_tries"] for row in rows(strict, t.otp)] == [1, 1, 0]
        for _ in range(4):
            desk.answer(asked(1, WRONG))
        assert desk.answer(asked(1)).status is Code.INVALID_VALIDATION_CODE
    assert [row["wrong_tries"] for row in rows(strict, t.otp)] == [5, 5, 0]
    assert used(strict) == [None] * 3


def test_tries_and_use_in_one_batch(strict: Database) -> None:
    """Wrong, right, and again: one row is written once, with all that happened to it."""
    send_codes(strict, {})
    told = in_one_batch(strict, asked(1, WRONG), asked(2), asked(3))
    refused = Code.INVALID_VALIDATION_CODE
    assert [outcome.answer.status for outcome in told] == [refused, Code.PROCESSED, refused]
    (row,) = rows(strict, t.otp)
    assert (row["used_ms"], row["wrong_tries"]) == (NOW, 1)
    assert wrongs(strict) == []


def test_without_a_need_nothing_is_asked(database: Database) -> None:
    """A code for a series that needs none: the codes' table may be away."""
    open_shop(database, series())
    run_sql(database, "ALTER TABLE otp RENAME TO away", "ALTER TABLE missed_call RENAME TO gone")
    with Desk(database.url) as desk:
        answer = desk.answer(redeem(items=(Item(code="H4TQ9ZKM", validation_mac=RIGHT),)))
    assert (answer.status, answer.items[0].warnings) == (Code.PROCESSED, (Code.VALIDATION_NOT_REQUIRED,))


@pytest.mark.parametrize("table", ["otp", "missed_call"])
def test_store_that_is_away(strict: Database, table: str) -> None:
    run_sql(strict, f"ALTER TABLE {table} RENAME TO away")
    with Desk(strict.url) as desk:
        command = asked(1, by_missed_call=table == "missed_call")
        assert desk.answer(command).status is Code.VALIDATION_UNAVAILABLE
        assert desk.check_answer(check(items=command.items)).status is Code.VALIDATION_UNAVAILABLE
    assert rows(strict, t.redemption) == []


def test_racing_desks_use_a_code_once(strict: Database) -> None:
    """Every coupon is another, so that only the code joins them."""
    send_codes(strict, {})
    call(strict, NOW)
    with Desk(strict.url) as one, Desk(strict.url) as other:
        by_code = [asked(number) for number in range(1, 1 + COUPONS // 2)]
        by_call = [asked(number, "", by_missed_call=True) for number in range(1 + COUPONS // 2, 1 + COUPONS)]
        futures = [future for at, command in enumerate([*by_code, *by_call]) for future in (one, other)[at % 2].submit(command)]
        told = Counter(future.result(30).answer.status for future in futures)
    losers = COUPONS // 2 - 1
    assert told == {Code.PROCESSED: 2, Code.INVALID_VALIDATION_CODE: losers, Code.NO_MISSED_CALL: losers}
    assert len(rows(strict, t.redemption)) == 2
    assert (used(strict), used(strict, t.missed_call)) == ([NOW], [NOW])
    assert wrongs(strict) == []


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_code_that_somebody_holds_on_to_is_waited_for(strict: Database) -> None:
    """A lock is no refusal: 787, and the code is as good as before."""
    send_codes(strict, {})
    with Desk(strict.url) as desk:
        with holding(strict.url, "SELECT id FROM otp FOR UPDATE"):
            assert desk.answer(asked(1)).status is Code.TIMED_OUT
        assert desk.answer(asked(1)).status is Code.PROCESSED
