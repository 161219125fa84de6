"""Who is alive: a worker whose session ends is there again soon, and one that has died is missed."""

from contextlib import closing

import pytest
from sqlalchemy import text

from couponry.store.engine import Database
from couponry.store.presence import OneIsThere, Presence

KILL_ALL = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_many(database: Database) -> None:
    with closing(Database(database.url)) as one_there, closing(Database(database.url)) as other_there:
        one, other = Presence(one_there, "one"), Presence(other_there, "other")
        one.hold()
        other.hold()
        assert one.gone({"one", "other", "third"}) == {"third"}
        with database.writing() as tx:
            tx.connection.execute(KILL_ALL)
        assert one.gone({"one"}) == other.gone({"other"}) == set(), "each notices that its session has ended"
        one.gone({"one"})
        assert one.gone({"other"}) == {"other"}, "it has not been back yet"
        other.gone(set())
        assert one.gone({"other"}) == other.gone({"one"}) == set()
        other.leave()
        assert one.gone({"one", "other"}) == {"other"}
        one.leave()


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_one(database: Database) -> None:
    one = Presence(database, "one")
    one.hold()
    assert one.gone({"other"}) == set()
    with pytest.raises(OneIsThere):
        Presence(database, "other").hold()
