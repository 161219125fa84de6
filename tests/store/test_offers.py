"""What series cost: as many statements for a million coupons as for ten, and each finds its rows by key."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event

from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.store import campaigns, offering, offers, registry
from couponry.store.engine import Database, WriteTransaction
from tests.store.test_doctor import NOW_MS
from tests.store.test_statements import is_walk

LEAST = {"description": "Ten off", "discountType": "ABS", "discountValue": 10, "clientHandlingType": "DISC_CODE"}
AUTHOR = offering.Author(NOW_MS)


@pytest.fixture
def org(database: Database) -> Org:
    with database.writing() as tx:
        org_id = registry.create_org(tx, name="Shop", time_zone="Asia/Kolkata", currency="INR", country_code="91", now_ms=NOW_MS)
        assert isinstance(org_id, int)
        found = registry.read_org(tx, org_id)
    assert isinstance(found, Org)
    return found


def seen(database: Database, work: Callable[[WriteTransaction], Any]) -> list[tuple[str, Any]]:
    """The statements of a piece of work, with their parameters."""
    told: list[tuple[str, Any]] = []

    def keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _is_many: bool) -> None:
        if not statement.startswith("BEGIN"):
            told.append((statement, parameters))

    execute = database.dialect.execute

    def keep_and_execute(connection: Any, sql: str, parameters: Any, *, is_many: bool = False) -> Any:
        told.append((sql, parameters[0] if is_many else parameters))
        return execute(connection, sql, parameters, is_many=is_many)

    event.listen(database.engine, "before_cursor_execute", keep)
    database.dialect.execute = keep_and_execute  # type: ignore[method-assign] # to see what runs straight on the driver
    with database.writing() as tx:
        assert not isinstance(work(tx), Problem)
    event.remove(database.engine, "before_cursor_execute", keep)
    database.dialect.execute = execute  # type: ignore[method-assign] # as it was
    return told


def made(tx: WriteTransaction, org: Org, count: int, **fields: Any) -> list[int]:
    drafts = [offering.drafted({**LEAST, **fields}, org, NOW_MS, f"S{count}-{number}") for number in range(count)]
    series = offering.create_series(tx, org.id, drafts, AUTHOR, set())
    return [one for one in series if isinstance(one, int)]


def places(count: int, kind: str = "STORE") -> list[dict[str, Any]]:
    return [{"redemptionOrgEntityType": kind, "orgEntityId": number} for number in range(1, count + 1)]


def test_statements_do_not_depend_on_the_data(database: Database, org: Org) -> None:
    """Prevents the statement per series, per place and per coupon."""

    def cost(work: Callable[[WriteTransaction], Any]) -> int:
        return len(seen(database, work))

    def listed(tx: WriteTransaction, count: int) -> object:
        place = offers.Place("STORE", list(range(count)))
        found = offers.list_series(tx, org.id, ids=None, place=place, limit=500, offset=0)
        assert found
        return found

    def changed(tx: WriteTransaction, count: int) -> object:
        kind = {2: "TILL", 20: "ZONE", 100: "TILL"}[count]  # all of them others than before
        fields = {"redemptionOrgEntityDetails": places(count, kind), "maxRedeem": count}
        return offering.update_series(tx, org, 5001, fields, AUTHOR)

    def grouped(tx: WriteTransaction, count: int) -> object:
        first = {2: 5001, 20: 5003, 100: 5023}[count]
        draft = campaigns.Draft(name="C", series_ids=range(first, first + count))
        return campaigns.create_campaign(tx, org.id, draft, NOW_MS)

    acts: dict[str, Callable[..., object]] = {
        "create": lambda tx, count: made(tx, org, count, redemptionOrgEntityDetails=places(count)),
        "list": listed,
        "change": changed,
        "group": grouped,
        "campaigns": lambda tx, count: campaigns.list_campaigns(
            tx, org.id, state="ACTIVE", before_id=None, limit=count, now_ms=NOW_MS
        ),
    }
    costs = {name: {cost(partial(act, count=count)) for count in (2, 20, 100)} for name, act in acts.items()}
    assert {name: len(each) for name, each in costs.items()} == dict.fromkeys(acts, 1), costs
    assert costs["list"] == {3}


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_sqlite_looks_every_series_up_by_its_key(database: Database, org: Org) -> None:
    """A read of some series walks neither the org's series nor anybody's coupons."""
    with database.writing() as tx:
        ids = made(tx, org, 3, redemptionOrgEntityDetails=places(2))
    statements = seen(database, lambda tx: offers.read_series(tx, org.id, ids))
    statements += seen(
        database,
        lambda tx: offers.list_series(tx, org.id, ids=ids, place=offers.Place("STORE", [1]), limit=9, offset=0),
    )
    statements += seen(database, lambda tx: offering.update_series(tx, org, ids[0], {"maxCreate": 5, "seriesCode": "N"}, AUTHOR))
    with database.reading() as view:
        for statement, parameters in statements:
            plan = [row.detail for row in view.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            assert not [step for step in plan if is_walk(step)], (statement, plan)
