"""What-if over histories that the ledger itself made: unchanged terms refuse nothing, and each limit refuses what it should."""

from collections import Counter, defaultdict
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from sqlalchemy import event

from couponry.core.limits import REPLAY_CHUNK_ROWS
from couponry.core.problem import Problem
from couponry.store import schema as t
from couponry.store.engine import Database
from couponry.store.replay import Replayed, Supposed, replayed
from tests.core.world import DAY_MS
from tests.ledger.desk import Desk
from tests.ledger.rows import rows
from tests.store.played import SERIES, History

STEPS = 150
PER_CHUNK = 11
SEEDS = range(3)


def what_if(history: History, series_id: int, days: int, bounds: dict[str, int] | None = None, **fields: Any) -> Replayed:
    with history.database.reading() as tx:
        found = replayed(tx, Supposed(history.org(), series_id, fields, days, history.now_ms), **(bounds or {}))
    assert isinstance(found, Replayed), found
    return found


@pytest.fixture(params=SEEDS)
def history(request: pytest.FixtureRequest, database: Database) -> History:
    with Desk(database.url) as desk:
        made = History(database, desk, Random(request.param))
        made.open()
        made.play(STEPS)
    return made


def made_since(history: History, series_id: int, days: int) -> list[dict[str, Any]]:
    found = [
        row
        for row in rows(history.database, t.redemption)
        if row["series_id"] == series_id and row["redeemed_ms"] >= history.now_ms - days * DAY_MS
    ]
    return sorted(found, key=lambda row: (row["redeemed_ms"], row["id"]))


def test_unchanged_terms_refuse_nothing(history: History) -> None:
    """Whatever versions came after each other, wherever the window begins, and however it is cut into chunks."""
    replayed_in_all = 0
    for chunk_rows in (REPLAY_CHUNK_ROWS, 2):
        for series_id in SERIES:
            for days in (1, 3, 8, 366):
                found = what_if(history, series_id, days, {"chunk_rows": chunk_rows})
                assert (found.replay.refused, found.replay.not_replayed) == ({}, 0)
                assert found.replay.redemptions == len(made_since(history, series_id, days))
                replayed_in_all += found.replay.redemptions
    assert replayed_in_all > 100


Key = Callable[[dict[str, Any]], object]
LIMITS: list[tuple[dict[str, Any], int, Key, int]] = [
    ({"maxRedemptionsInSeriesPerUser": 1}, 728, lambda row: row["customer_id"], 1),
    ({"maxRedemptionsInSeriesPerUser": 0}, 728, lambda row: row["customer_id"], 0),
    ({"maxRedeem": 2}, 714, lambda _row: None, 2),
    ({"isMultipleUseAllowed": False}, 711, lambda row: row["coupon_id"], 1),
    ({"sameUserMultipleRedeem": False}, 716, lambda row: (row["coupon_id"], row["customer_id"]), 1),
]
OPEN = {
    "isMultipleUseAllowed": True,
    "sameUserMultipleRedeem": True,
    "maxRedemptionsInSeriesPerUser": -1,
    "maxRedeem": -1,
    "minDaysBetweenRedemption": -1,
    "minBillAmount": 0,
    "redeemAtStore": "[-1]",
    "redemptionRange": '{"hours":[-1]}',
}


def test_a_limit_refuses_what_goes_beyond_it(history: History) -> None:
    """Against a naive count over all rows: what was active when each was made, without what would have been refused."""
    refused_in_all: Counter[int] = Counter()
    for terms, number, key, most in LIMITS:
        for series_id in SERIES:
            for days in (3, 366):
                refused = naively_refused(history, series_id, days, key, most)
                found = what_if(history, series_id, days, **{**OPEN, **terms}).replay
                told = {code.number: count for code, count in found.refused.items()}
                assert told == ({number: len(refused)} if refused else {}), (series_id, days)
                assert [one for ids in found.examples.values() for one in ids] == refused[:5]
                assert found.not_replayed == 0
                refused_in_all[number] += len(refused)
    assert all(refused_in_all[number] for _, number, _, _ in LIMITS)


def naively_refused(history: History, series_id: int, days: int, key: Key, most: int) -> list[int]:
    starts_ms = history.now_ms - days * DAY_MS
    passed: dict[object, list[dict[str, Any]]] = defaultdict(list)
    refused = []
    for row in made_since(history, series_id, 366):
        at_ms = row["redeemed_ms"]
        active = [one for one in passed[key(row)] if one["reversed_ms"] is None or one["reversed_ms"] > at_ms]
        if at_ms >= starts_ms and len(active) >= most:
            refused.append(row["id"])
        else:
            passed[key(row)].append(row)
    return refused


@pytest.mark.parametrize("history", [0], indirect=True)
def test_an_unknown_series(history: History) -> None:
    with history.database.reading() as tx:
        assert replayed(tx, Supposed(history.org(), 99, {}, 1, history.now_ms)) == Problem(755, "invalid coupon series id")


@pytest.mark.parametrize("history", [0], indirect=True)
def test_too_many_are_cut(history: History) -> None:
    """The first are replayed, and it says until when."""
    series_id, made = busiest(history)
    for most in (2, 3, len(made) - 1, len(made)):
        found = what_if(history, series_id, 366, {"chunk_rows": 2, "redemptions_max": most})
        assert (found.replay.redemptions, found.is_cut) == (most, most < len(made))
        assert found.ends_ms == made[most - 1]["redeemed_ms"]


def busiest(history: History) -> tuple[int, list[dict[str, Any]]]:
    """The series that was redeemed most, and its redemptions."""
    series_id = max(SERIES, key=lambda one: len(made_since(history, one, 366)))
    return series_id, made_since(history, series_id, 366)


@pytest.mark.parametrize("history", [0], indirect=True)
def test_statements_per_chunk_are_constant(history: History) -> None:
    statements: list[str] = []
    event.listen(history.database.engine, "before_cursor_execute", lambda _c, _u, statement, *_: statements.append(statement))
    series_id, made = busiest(history)

    def cost(chunk_rows: int) -> int:
        org = history.org()
        statements.clear()
        with history.database.reading() as tx:
            replayed(tx, Supposed(org, series_id, {}, 366, history.now_ms), chunk_rows=chunk_rows)
        return len([statement for statement in statements if not statement.startswith("BEGIN")])

    at_once, two_by_two = cost(len(made)), cost(2)
    chunks = -(-len(made) // 2)
    assert chunks > 3
    assert (two_by_two - at_once) / (chunks - 1) == PER_CHUNK
