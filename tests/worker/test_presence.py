"""Who is alive: a worker whose session ends is there again soon, and one that has died is missed."""

import time
from contextlib import ExitStack, closing

import pytest
from sqlalchemy import text

from couponry.store.engine import Database
from couponry.store.presence import OneIsThere, Presence

KILL_ALL = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


def missing(one: Presence, name: str) -> bool:
    """Whether one finds the other gone; a session that has ended lets go of its lock a moment later."""
    deadline_s = time.monotonic() + 5
    while one.gone({one.name, name}) != {name}:
        if time.monotonic() > deadline_s:
            return False
    return True


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_many(database: Database) -> None:
    with closing(Database(database.url)) as one_there, closing(Database(database.url)) as other_there, ExitStack() as leaving:
        one, other = Presence(one_there, "one"), Presence(other_there, "other")
        for each in (one, other):
            leaving.callback(each.leave)
            each.hold()
        assert one.gone({"one", "other", "third"}) == {"third"}
        with database.writing() as tx:
            tx.connection.execute(KILL_ALL)
        assert missing(one, "other"), "it has not been back yet"
        while other.gone({"one"}) or one.gone({"other"}):
            pass
        assert one.gone({"other"}) == other.gone({"one"}) == set(), "each noticed that its session had ended"
        other.leave()
        assert missing(one, "other")


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_one(database: Database) -> None:
    one = Presence(database, "one")
    one.hold()
    assert one.gone({"other"}) == set()
    with pytest.raises(OneIsThere):
        Presence(database, "other").hold()
