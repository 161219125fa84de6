"""What it costs to ask for a job: the same few statements, each by key, whatever is named."""

from typing import Any, Final

import pytest
from sqlalchemy import event, insert

from couponry.core.audience import Audience, Segment
from couponry.core.exporting import ExportRequest, What
from couponry.core.job_requests import IssueRequest
from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.store import registry
from couponry.store import schema as t
from couponry.store.engine import Database
from couponry.store.ordering import UNKNOWN, Order, export_problem, judge
from tests.core.world import NOW, ORG, series
from tests.ledger.rows import open_shop
from tests.store.test_statements import is_walk

FEW, MANY = 1, 300
FIRST: Final = 600
PINNED: Final = 4
"""The series, then the stores, the series and the labels of a segment."""


@pytest.fixture
def org(database: Database) -> Org:
    open_shop(database)
    labels = [{"label": f"L{number}", "blocks_issue": False, "blocks_redemption": False} for number in range(MANY)]
    place = {"external_id": None, "zone_id": None, "concept_id": None, "time_zone": None, "is_active": True}
    stores = [{"id": FIRST + number, "code": f"C{number}", "name": "", **place} for number in range(MANY)]
    others = [{"id": FIRST + number, "code_key": f"K{number}", "version": 1, "created_ms": NOW} for number in range(MANY)]
    with database.writing() as tx:
        for table, rows in ((t.status_label, labels), (t.store, stores), (t.series, others)):
            tx.connection.execute(insert(table), [{"org_id": ORG, **row} for row in rows])
        found = registry.read_org(tx, ORG)
    assert isinstance(found, Org)
    return found


def segment(many: int, **more: Any) -> Segment:
    ids = tuple(range(FIRST, FIRST + many))
    named = {"store_ids": ids, "redeemed_series_ids": ids, "status_labels": tuple(f"L{number}" for number in range(many))}
    return Segment(**{**named, **more})


def test_statements_are_as_many_whatever_is_named(database: Database, org: Org) -> None:
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    for many in (FEW, MANY):
        order = Order(series().id, IssueRequest(Audience(segment=segment(many)), 1, send=False))
        with database.reading() as tx:
            statements.clear()
            assert judge(tx, org, order, NOW) == order.request
        assert len([one for one in statements if not one.startswith("BEGIN")]) == PINNED
    if database.is_sqlite:
        with database.reading() as tx:
            for one in statements[-PINNED:]:
                plan = tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {one}", _bound(one)).all()
                assert not [row.detail for row in plan if is_walk(row.detail)], one


def test_what_is_not_the_orgs_is_named(database: Database, org: Org) -> None:
    for wrong in ({"store_ids": (FIRST, 4711)}, {"not_redeemed_series_ids": (4711,)}, {"status_labels": ("4711",)}):
        order = Order(series().id, IssueRequest(Audience(segment=segment(FEW, **wrong)), 1, send=False))
        with database.reading() as tx:
            refused = judge(tx, org, order, NOW)
        assert isinstance(refused, Problem)
        assert (refused.code, refused.message[-4:]) == (UNKNOWN, "4711")
    with database.reading() as tx:
        assert export_problem(tx, org.id, ExportRequest(what=What.COUPONS, series_id=series().id)) is None
        assert export_problem(tx, org.id, ExportRequest(what=What.COUPONS, campaign_id=4711)) is not None


def _bound(statement: str) -> tuple[object, ...]:
    """Something for each parameter."""
    return ("[[1]]",) * statement.count("?")
