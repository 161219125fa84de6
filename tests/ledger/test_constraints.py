"""The database refuses by itself what the rules refuse: each rule that guards money or uniqueness stands there once more."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from couponry.core.status import Code
from couponry.store.engine import Database, StoreError
from tests.core.world import NOW, coupon, coupon_id, redeem, series
from tests.ledger.desk import Desk
from tests.ledger.rows import open_shop

_REDEMPTION = (
    "INSERT INTO redemption (org_id, id, coupon_id, use_number, series_id, series_version, customer_id, customer_use_number, "
    "till_id, store_id, redeemed_ms, amount, transaction_number, request_id) VALUES "
    "(1, {id}, {coupon}, {use}, 1, 1, 1, {own_use}, 11, 21, 0, {amount}, '', '')"
)
FIRST = coupon_id(1)


def redemption(serial: int = 9, coupon: int = FIRST, use: int = 2, own_use: int = 2, amount: int | str = "NULL") -> str:
    return _REDEMPTION.format(id=serial, coupon=coupon, use=use, own_use=own_use, amount=amount)


CASES = (
    ("uq_redemption_use", redemption(use=1)),
    ("uq_redemption_customer_use", redemption(own_use=1)),
    ("ck_redemption_amount", redemption(amount=-1)),
    ("ck_series_counter_redeemed_within_cap", "UPDATE series_counter SET redeemed = redeemed + 2"),
    ("ck_series_counter_redeemed_within_cap", "UPDATE series_counter SET redeemed_elsewhere = 2"),
    ("ck_series_counter_redeemed_within_cap", "UPDATE series_counter SET redeemed_max = 0"),
    ("ck_series_counter_issued_within_cap", "UPDATE series_counter SET issued_max = 3, issued = 4"),
    ("ck_coupon_redeemed", "UPDATE coupon SET redeemed = -1"),
    ("ck_coupon_redeemed", "UPDATE coupon SET redeemed = uses + 1"),
    ("ck_coupon_revision", f"UPDATE coupon SET revoked_ms = {NOW}"),
    ("ck_coupon_revision", "UPDATE coupon SET revision = id"),
    ("ck_coupon_holder", "UPDATE coupon SET holder_id = 2"),
    ("ck_coupon_issued", "UPDATE coupon SET issued_ms = NULL"),
    ("ck_customer_series_redeemed", "UPDATE customer_series SET redeemed = -1"),
    ("ck_customer_series_redeemed", "UPDATE customer_series SET redeemed = uses + 1"),
    ("uq_coupon_code", "INSERT INTO coupon (org_id, id, series_id, code, code_key, created_ms) VALUES (1, 9, 1, 'a', 'A', 0)"),
    ("ck_customer_fraud_status", "UPDATE customer SET fraud_status = 'MAYBE'"),
    ("uq_customer_mobile", "UPDATE customer SET mobile = '919812300001'"),
    ("uq_series_code", "INSERT INTO series (org_id, id, code_key, version, created_ms) VALUES (1, 9, 'S1', 1, 0)"),
)


def test_constraints_refuse(desk: Desk, database: Database) -> None:
    open_shop(database, series(1, max_redeem=2), coupon(1, "A"))
    assert desk.statuses(redeem("A")) == [Code.PROCESSED]
    for constraint, statement in CASES:
        with pytest.raises(StoreError) as refused, database.writing() as tx:
            tx.connection.execute(text(statement))
        cause = refused.value.__cause__
        assert isinstance(cause, IntegrityError)
        # SQLite names a unique index by its columns.
        said = str(cause.orig)
        assert constraint in said or (database.is_sqlite and constraint.startswith("uq_") and "UNIQUE" in said), (statement, said)


def test_same_rows_without_a_clash_are_taken(desk: Desk, database: Database) -> None:
    """So that the test above fails for its constraint and not for a slip in its statement."""
    open_shop(database, series(1, max_redeem=2), coupon(1, "A"))
    assert desk.statuses(redeem("A")) == [Code.PROCESSED]
    with database.writing() as tx:
        tx.connection.execute(text(redemption(amount=0)))
        tx.connection.execute(text("UPDATE series_counter SET redeemed = redeemed + 1 WHERE stripe = 0"))
