"""The revisions make exactly the tables that the code reads, once, whoever starts at the same time."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

from couponry.store import migrate
from couponry.store.engine import Database, StoreError
from couponry.store.migrate import SchemaState, SchemaUnknown
from couponry.store.schema import metadata


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    with closing(Database(database_url)) as opened:
        yield opened


def checks(connection: sa.Connection) -> set[tuple[str, str]]:
    """Alembic compares no CHECK constraints."""
    inspector = sa.inspect(connection)
    return {(table, str(check["name"])) for table in metadata.tables for check in inspector.get_check_constraints(table)}


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """The queue's tables (DBOS) stand beside ours on SQLite, and are none of our business."""
    return kind != "table" or name in metadata.tables


def test_migrated_schema_is_the_schema_in_the_code(database: Database) -> None:
    """Prevents the column or the constraint that every test has and no installation has."""
    with database.writing() as tx:
        opts = {"compare_server_default": True, "include_name": is_ours}
        context = MigrationContext.configure(tx.connection, opts=opts)
        assert compare_metadata(context, metadata) == []
        expected = {
            (table.name, str(constraint.name))
            for table in metadata.tables.values()
            for constraint in table.constraints
            if isinstance(constraint, sa.CheckConstraint)
        }
        assert checks(tx.connection) == expected


def test_tenant_tables_have_no_hidden_row_id(database: Database) -> None:
    if not database.is_sqlite:
        return
    clustered = {table.name for table in metadata.tables.values() if not table.dialect_options["sqlite"]["with_rowid"]}
    with database.reading() as tx:
        made = {name for name, is_clustered in tx.rows(sa.text("SELECT name, wr FROM pragma_table_list"), {}) if is_clustered}
    assert clustered <= made


def test_upgrading_twice_is_harmless(empty: Database) -> None:
    assert migrate.state(empty) is SchemaState.FRESH
    assert migrate.pending(empty)
    for _ in range(2):
        migrate.upgrade(empty)
        assert migrate.state(empty) is SchemaState.CURRENT
        assert not migrate.pending(empty)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("DROP TABLE alembic_version", "no record of migrations"),
        ("DELETE FROM alembic_version", "no record of migrations"),
        ("UPDATE alembic_version SET version_num = 'ffff'", "ffff"),
        ("DROP TABLE outbox", "outbox is missing"),
    ],
)
def test_half_migrated_database_is_refused(database: Database, harm: str, said: str) -> None:
    """Prevents revisions run over tables of unknown shape."""
    with database.writing() as tx:
        tx.connection.execute(sa.text(harm))
    for look in (migrate.pending, migrate.upgrade):
        with pytest.raises(SchemaUnknown, match=said):
            look(database)


def test_older_database_is_brought_up_to_date(empty: Database) -> None:
    with empty.writing() as tx:
        command.upgrade(revisions(tx.connection), "0001")
    assert migrate.state(empty) is SchemaState.BEHIND
    migrate.upgrade(empty)
    assert migrate.state(empty) is SchemaState.CURRENT


def revisions(connection: sa.Connection) -> Config:
    scripts = Config()
    scripts.set_main_option("script_location", "couponry.store:migrations")
    scripts.attributes["connection"] = connection
    return scripts


def test_what_is_there_is_counted_and_found(empty: Database) -> None:
    """0003: pools know what was uploaded to them, series are found by their places, and counters keep their values."""
    pool = '{"description":"x","seriesCode":"P","zone":"UTC","clientHandlingType":"DISC_CODE_PIN"}'
    details = '[{"redemptionOrgEntityType":"STORE","orgEntityId":310},{"redemptionOrgEntityType":"STORE","orgEntityId":310}]'
    placed = f'{{"description":"\\"clientHandlingType\\"","seriesCode":"Q","zone":"UTC","redemptionOrgEntityDetails":{details}}}'
    with empty.writing() as tx:
        command.upgrade(revisions(tx.connection), "0002")
        for series_id, terms in ((5001, pool), (5002, placed)):
            key = {"id": series_id, "code": f"S{series_id}", "terms": terms}
            for statement in (
                "INSERT INTO series (org_id, id, code_key, version, created_ms) VALUES (7, :id, :code, 1, 0)",
                "INSERT INTO series_version (org_id, series_id, version, terms, created_ms) VALUES (7, :id, 1, :terms, 0)",
                "INSERT INTO series_counter (org_id, series_id, stripe, redeemed, redeemed_max) VALUES (7, :id, 0, 3, 5)",
                "INSERT INTO series_counter (org_id, series_id, stripe, issued) VALUES (7, :id, 4, 2)",
                "INSERT INTO coupon (org_id, id, series_id, code, code_key, created_ms) VALUES (7, :id, :id, :code, :code, 0)",
            ):
                tx.connection.execute(sa.text(statement), {name: key[name] for name in key if f":{name}" in statement})
    migrate.upgrade(empty)
    with empty.reading() as tx:
        counters = (
            "SELECT series_id, stripe, issued, redeemed, redeemed_max, uploaded FROM series_counter ORDER BY series_id, stripe"
        )
        assert [tuple(row) for row in tx.rows(sa.text(counters), {})] == [
            (5001, 0, 0, 3, 5, 1),
            (5001, 4, 2, 0, -1, 0),
            (5002, 0, 0, 3, 5, 0),
            (5002, 4, 2, 0, -1, 0),
        ]
        entities = tx.rows(sa.text("SELECT * FROM series_entity"), {})
        assert [tuple(row) for row in entities] == [(7, "STORE", 310, 5002)]


def test_failed_revision_leaves_nothing(empty: Database) -> None:
    """Prevents a half-migrated database: the last table exists already, so the last revision fails."""
    with empty.writing() as tx:
        tx.connection.execute(sa.text("CREATE VIEW refusal AS SELECT 1 AS id"))
    with pytest.raises(StoreError):
        migrate.upgrade(empty)
    assert migrate.state(empty) is SchemaState.FRESH


def test_processes_that_start_together_migrate_once(database_url: str) -> None:
    code = (
        "import sys\nfrom couponry.store import migrate\nfrom couponry.store.engine import Database\n"
        "database = Database(sys.argv[1])\nsys.stdin.readline()\nmigrate.upgrade(database)\nprint(migrate.state(database).name)"
    )
    start = [sys.executable, "-c", code, database_url]
    started = [subprocess.Popen(start, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[0] for process in started] == ["CURRENT\n"] * 4
