"""Single customers in the store: who is meant, in how many statements, by which index."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from couponry.core.deliveries import Channel
from couponry.core.model import Customer
from couponry.core.registration import Registration
from couponry.core.status import Code
from couponry.store import schema as t
from couponry.store.customers import change, delete, find_customer, read_customer, register, set_status, set_subscriptions
from couponry.store.engine import Database, WriteTransaction
from couponry.store.transactions import record
from tests.api.shop import NOW_MS, Shop
from tests.store.test_merge import counting

MIRA, ARUN = 90001, 90002
OF_MIRA = (("mobile", "919812300001"), ("email", "mira@example.com"), ("externalId", "CRM-77"), ("id", str(MIRA)))


@pytest.fixture
def shop(database: Database) -> Shop:
    return Shop(database).open()


@pytest.mark.parametrize(
    ("identifiers", "expected"),
    [
        (OF_MIRA, MIRA),
        *(((one,), MIRA) for one in OF_MIRA),
        ((), Code.INVALID_CUSTOMER),
        ((OF_MIRA[0], ("externalId", "CRM-78")), Code.INVALID_CUSTOMER),
        ((OF_MIRA[0], ("email", "no@example.com")), Code.CUSTOMER_NOT_FOUND),
        ((("id", "0"),), Code.CUSTOMER_NOT_FOUND),
        ((("mobile", "919812300003"),), Code.INVALID_CUSTOMER),
        ((("mobile", "919812300004"),), Code.INVALID_CUSTOMER),
    ],
)
def test_whom_a_customer_block_means(shop: Shop, identifiers: Any, expected: int | Code) -> None:
    shop.change(t.customer, 90003, merged_into_id=MIRA)
    shop.change(t.customer, 90004, deleted_ms=NOW_MS)
    with shop.database.reading() as tx:
        found = find_customer(tx, shop.org_id, identifiers)
    assert (found.id if isinstance(found, Customer) else found) == expected


NEW = Registration(
    identifiers={"mobile": "919812300101", "email": "n@example.com", "externalId": "N", "cardnumber": "4", "cardExternalId": "5"},
    fields={"a": "1"},
)
ACTS: dict[str, tuple[int, Callable[[WriteTransaction, int], Any]]] = {
    "find": (1, lambda tx, org_id: find_customer(tx, org_id, (*OF_MIRA, ("cardnumber", "1"), ("cardExternalId", "1")))),
    "read": (1, lambda tx, org_id: read_customer(tx, org_id, "email", "mira@example.com")),
    "register": (3, lambda tx, org_id: register(tx, org_id, NEW, 301, NOW_MS)),
    "change": (3, lambda tx, org_id: change(tx, org_id, MIRA, NEW, 301, NOW_MS)),
    "set_status": (3, lambda tx, org_id: set_status(tx, org_id, MIRA, NOW_MS, label="ACTIVE", fraud_status="NONE")),
    "delete": (9, lambda tx, org_id: delete(tx, org_id, MIRA, NOW_MS)),
    "unsubscribe": (3, lambda tx, org_id: set_subscriptions(tx, org_id, MIRA, NOW_MS, wanted={Channel.SMS: False})),
    "record": (3, lambda tx, org_id: record(tx, org_id, OF_MIRA[0], {1, 2, 3}, "B-1")),
}


@pytest.mark.parametrize("name", ACTS)
def test_statements(shop: Shop, name: str) -> None:
    """Prevents a statement per identifier or redemption; and on SQLite, one that walks through an org's rows."""
    expected, act = ACTS[name]
    seen: list[tuple[str, Any]] = []
    with shop.database.writing() as tx, counting(shop.database, seen, with_parameters=True):
        act(tx, shop.org_id)
    assert len(seen) == expected
    if shop.database.is_sqlite:
        with shop.database.reading() as tx:
            for statement, parameters in seen:
                for row in tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
                    assert not re.match(r"SCAN (customer|redemption|till|delivery|otp)\b", row.detail), statement
                    assert not row.detail.endswith("(org_id=?)") or "status_label" in row.detail, statement
