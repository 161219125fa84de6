"""Orgs, places and credentials, and the numbers handed out to them."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from couponry.core.org_settings import OrgSettings
from couponry.core.problem import Problem
from couponry.store import passwords, registry, schema, serials
from couponry.store.engine import Database, WriteTransaction
from couponry.store.registry import TillPlace

NOW_MS = 1_900_000_000_000


def new_org(tx: WriteTransaction, **other: str) -> int | Problem:
    given = {"name": "Shop", "time_zone": "Asia/Kolkata", "currency": "INR", "country_code": "91", **other}
    return registry.create_org(tx, now_ms=NOW_MS, **given)


@pytest.fixture
def org_id(database: Database) -> int:
    with database.writing() as tx:
        made = new_org(tx)
    assert made == 1001
    return made


def test_org_knows_its_status_labels(database: Database, org_id: int) -> None:
    with database.writing() as tx:
        assert new_org(tx) == 1002
        rows = tx.rows(select(schema.status_label).where(schema.status_label.c.org_id == org_id), {})
    assert sorted(tuple(row) for row in rows) == [(org_id, "ACTIVE", False, False), (org_id, "SUSPENDED", True, True)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": " "},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "../etc/passwd"},
        {"currency": "inr"},
        {"currency": "XXX"},
        {"country_code": "+91"},
        {"country_code": "0"},
    ],
)
def test_org_is_refused(database: Database, wrong: dict[str, str]) -> None:
    with database.writing() as tx:
        refused = new_org(tx, **wrong)
        assert isinstance(refused, Problem)
        assert refused.code == "invalid"
        assert tx.rows(select(schema.org), {}) == []


def test_till_makes_the_places_that_are_missing(database: Database, org_id: int) -> None:
    with database.writing() as tx:
        first = registry.create_till(tx, org_id, code="t1", password_hash="h", store="s", zone="north", concept="food")
        second = registry.create_till(tx, org_id, code="t2", password_hash="h", store="s")
        third = registry.create_till(tx, org_id, code="t3", password_hash="h", zone="north")
        fourth = registry.create_till(tx, org_id, code="t4", password_hash="h")
        moved = registry.create_till(tx, org_id, code="t5", password_hash="h", store="s", zone="south")
        unknown = registry.create_till(tx, 9, code="t6", password_hash="h")
        colon = registry.create_till(tx, org_id, code="a:b", password_hash="h")
    assert isinstance(first, TillPlace)
    assert isinstance(second, TillPlace)
    assert isinstance(third, TillPlace)
    assert isinstance(fourth, TillPlace)
    assert (second.store_id, second.zone_id, second.concept_id) == (first.store_id, first.zone_id, first.concept_id)
    assert (third.zone_id, third.concept_id) == (first.zone_id, None)
    assert len({first.store_id, third.store_id, fourth.store_id}) == 3
    assert [problem.code for problem in (moved, unknown, colon) if isinstance(problem, Problem)] == [
        "conflict",
        "unknown",
        "invalid",
    ]


def test_ids_of_places_never_meet(database: Database, org_id: int) -> None:
    """Prevents a list of store ids that opens a series at the till that happens to have the same number."""
    with database.writing() as tx:
        tills = [registry.create_till(tx, org_id, code=f"t{n}", password_hash="h", zone="z") for n in range(3)]
    ids = [part for till in tills if isinstance(till, TillPlace) for part in (till.till_id, till.store_id)]
    assert len(set(ids)) == 6


def test_login_is_taken_across_orgs(database: Database, org_id: int) -> None:
    with database.writing() as tx:
        other = new_org(tx)
        assert isinstance(other, int)
        for owner, taken in ((org_id, False), (other, True), (org_id, True)):
            results = [
                registry.create_till(tx, owner, code="till", password_hash="h"),
                registry.create_client(tx, owner, name="n", key="key", secret_hash="h", till="till" if owner == org_id else None),
                registry.create_user(tx, owner, email="A@b.example" if taken else "a@B.example", password_hash="h", role="admin"),
            ]
            assert [isinstance(one, Problem) and one.code == "taken" for one in results] == [taken] * 3
        assert registry.org_of_login(tx, "till", "till") == org_id
        assert registry.org_of_login(tx, "user", "a@b.example") == org_id
        assert registry.org_of_login(tx, "user", "till") is None


def test_client_and_user_are_refused(database: Database, org_id: int) -> None:
    with database.writing() as tx:
        refused = [
            registry.create_client(tx, org_id, name="n", key="k", secret_hash="h", till="nowhere"),
            registry.create_client(tx, 9, name="n", key="k", secret_hash="h"),
            registry.create_user(tx, org_id, email="nobody", password_hash="h", role="admin"),
            registry.create_user(tx, org_id, email="a@b.example", password_hash="h", role="king"),
        ]
        assert all(isinstance(one, Problem) for one in refused)
        assert tx.rows(select(schema.login), {}) == []


def test_settings_are_typed_bounded_and_versioned(database: Database, org_id: int) -> None:
    with database.writing() as tx:
        given = {
            "transactionNumberRequired": "true",
            "derivedIdempotencyHours": "0",
            "blockingFraudStatuses": "MARKED, CONFIRMED",
        }
        after = registry.change_settings(tx, org_id, given)
        assert isinstance(after, OrgSettings)
        assert (after.transaction_number_required, after.derived_idempotency_hours) == (True, 0)
        assert after.blocking_fraud_statuses == {"MARKED", "CONFIRMED"}
        assert registry.change_settings(tx, org_id, {"derivedIdempotencyHours": ""}) == registry.read_settings(tx, org_id)
        again = registry.read_settings(tx, org_id)
        assert isinstance(again, OrgSettings)
        assert (again.transaction_number_required, again.derived_idempotency_hours) == (True, 24)
        assert tx.rows(select(schema.org.c.version), {}) == [(3,)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"nonsense": "1"},
        {"nonsense": ""},
        {"derivedIdempotencyHours": "-1"},
        {"derivedIdempotencyHours": "many"},
        {"basicAuthEnabled": "perhaps"},
        {"blockingFraudStatuses": "EVIL"},
        {"minSmsHour": "9", "maxSmsHour": "8"},
        {"codePrefix": "a b"},
    ],
)
def test_settings_are_refused(database: Database, org_id: int, wrong: dict[str, str]) -> None:
    with database.writing() as tx:
        assert isinstance(registry.change_settings(tx, org_id, wrong), Problem)
        assert isinstance(registry.change_settings(tx, 9, {}), Problem)
        assert registry.read_settings(tx, org_id) == OrgSettings()
        assert tx.rows(select(schema.org.c.version), {}) == [(1,)]


def test_serials_are_handed_out_once(database: Database) -> None:
    """Prevents two processes that give two coupons one id."""

    def take(_: int) -> int:
        with database.writing() as tx:
            return serials.reserve(tx, 1001, serials.COUPON, 10)

    with ThreadPoolExecutor(8) as threads:
        firsts = sorted(threads.map(take, range(40)))
    assert firsts == list(range(1, 401, 10))
    with database.writing() as tx:
        assert serials.reserve(tx, 1002, serials.COUPON, 10) == 1
        assert serials.reserve(tx, 1001, serials.SERIES) == 5001
        assert serials.reserve(tx, 1001, serials.SERIES) == 5002


def test_passwords() -> None:
    assert passwords.till_secret("123") == "202cb962ac59075b964b07152d234b70"
    stored = passwords.hashed("secret")
    assert "secret" not in stored
    assert stored != passwords.hashed("secret")
    assert passwords.is_secret("secret", stored)
    assert not passwords.is_secret("Secret", stored)
    assert not passwords.is_secret("secret", "no hash at all")
