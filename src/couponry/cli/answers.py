"""What every command has in common: how it answers, how it refuses, and which database it works on."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import NoReturn, TypeVar

import msgspec
import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from couponry.core.problem import Problem
from couponry.settings import SettingInvalid, Settings
from couponry.store import migrate
from couponry.store.bulk.rows import FileUnusable
from couponry.store.dialect import Trouble
from couponry.store.engine import Database, StoreError
from couponry.store.migrate import SchemaState, SchemaUnknown

T = TypeVar("T")


class Refused(Exception):
    """Carries a Problem out of a command."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


class Commands(TyperGroup):
    """The root of all commands: turns what went wrong into the one form that scripts can read."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]  # Typer's context is click's
        """Run the command, and say why not if it refuses."""
        try:
            return super().invoke(ctx)
        except Refused as refused:
            _refuse(refused.problem)
        except TyperException as error:
            _refuse(Problem("usage", error.format_message()))
        except SettingInvalid as error:
            _refuse(Problem("setting", str(error)))
        except SchemaUnknown as error:
            _refuse(Problem("schema", str(error)))
        except FileUnusable as error:
            _refuse(Problem("file", str(error)))
        except OSError as error:
            _refuse(Problem("file", f"{error.strerror}: {error.filename}" if error.filename else str(error)))
        except StoreError as error:
            _refuse(_of_database(error))


def _refuse(problem: Problem) -> NoReturn:
    said = {"error": {"code": problem.code, "message": problem.text}}
    sys.stderr.write(msgspec.json.encode(said).decode() + "\n")
    raise typer.Exit(1)


def _of_database(error: StoreError) -> Problem:
    match error.trouble:
        case Trouble.UNREACHABLE:
            return Problem("database", "the database cannot be reached")
        case Trouble.LOCKED | Trouble.SLOW:
            return Problem("database", "the database is busy; try again")
        case Trouble.CONFLICT:
            return Problem("database", "somebody else changed the same; try again")
        case Trouble.BROKEN:
            return Problem("database", f"the database refused: {error.__cause__ or error}".splitlines()[0])


def answer(value: object) -> None:
    """The command's one JSON value on standard output."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def read_settings() -> Settings:
    """The settings of this process."""
    return Settings.from_environ(os.environ)


def now_ms() -> int:
    """The clock of the command line, in epoch milliseconds."""
    return time.time_ns() // 1_000_000


@contextmanager
def opened(*, upgrade_fresh: bool = False) -> Iterator[Database]:
    """The database of the settings, up to date. A fresh one is set up only for who may come first."""
    with closing(Database(read_settings().database_url, connections=1)) as database:
        state = migrate.state(database)
        if state is SchemaState.FRESH and upgrade_fresh:
            migrate.upgrade(database)
        elif state is not SchemaState.CURRENT:
            raise Refused(Problem("schema", "the database is not up to date; run: couponry db upgrade"))
        yield database


def or_refuse(found: T | Problem) -> T:
    """The value, unless there is a problem instead."""
    if isinstance(found, Problem):
        raise Refused(found)
    return found
