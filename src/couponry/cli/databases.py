"""The database itself: bring it up to date, look whether it is, spread it, and check its counters."""

from contextlib import closing
from typing import Final

import typer

from couponry.cli.answers import Refused, answer, opened, read_settings
from couponry.core.problem import Problem
from couponry.store import doctor as counters
from couponry.store import migrate
from couponry.store.engine import Database
from couponry.store.migrate import SchemaState

db: Final = typer.Typer(help="Set up and look after the database.")


@db.command()
def upgrade() -> None:
    """Bring the database up to date, or leave it as it is."""
    with closing(Database(read_settings().database_url, connections=1)) as database:
        before = migrate.state(database)
        migrate.upgrade(database)
    answer({"upgraded": before is not SchemaState.CURRENT})


@db.command()
def check() -> None:
    """Look whether the database is up to date."""
    with opened():
        answer({"upToDate": True})


@db.command()
def distribute() -> None:
    """Spread the orgs over the machines of a Citus cluster."""
    with opened() as database:
        if not migrate.has_citus(database):
            raise Refused(Problem("citus", "the database is no PostgreSQL with the Citus extension"))
        raise Refused(Problem("citus", "this version cannot distribute tables yet"))


def doctor() -> None:
    """Recompute every counter from the rows that it counts; exit 1 when one differs."""
    with opened() as database:
        report = counters.check(database)
    answer(report)
    if report.differences:
        raise typer.Exit(1)
