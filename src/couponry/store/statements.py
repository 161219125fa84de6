"""The forms that statements have on either database: key lists, probes, compiled selects and bulk writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import BindParameter, ColumnElement, FromClause, Join, Table, and_, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal

Row = tuple[Any, ...]


class Probe(Join):
    """Keys joined to a table in that order, by that index: SQLite keeps no statistics and would scan the org instead."""

    _traverse_internals = [*Join._traverse_internals, ("index", InternalTraversal.dp_string)]  # noqa: RUF012, SLF001 - SQLAlchemy's way to extend a cache key
    inherit_cache = True
    index: str = ""
    is_alone: bool = False
    """Whether only the table is meant, by its index: SQLite would sort what it joins to anything, even to a constant."""


@compiles(Probe, "sqlite")
def _probe_on_sqlite(probe: Probe, compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own signature
    kw["asfrom"] = True
    left, right = compiler.process(probe.left, **kw), compiler.process(probe.right, **kw)
    del kw["asfrom"]
    assert probe.onclause is not None
    by_index = f" INDEXED BY {probe.index}" if probe.index else ""
    if probe.is_alone:
        return f"{right}{by_index}"
    return f"{left} CROSS JOIN {right}{by_index} ON {compiler.process(probe.onclause, **kw)}"


@dataclass(frozen=True)
class Keys:
    """A list of keys as a FROM clause: `columns` name its parts, `bound` turns the list into parameters."""

    source: FromClause
    columns: tuple[ColumnElement[Any], ...]
    parameters: tuple[str, ...]

    def bound(self, keys: Sequence[Row]) -> dict[str, object]:
        """The parameters for a list of keys, each a tuple with a value per column."""
        if len(self.parameters) == 1 and self.parameters[0].endswith("_json"):
            return {self.parameters[0]: msgspec.json.encode(keys).decode()}
        columns = zip(*keys, strict=True) if keys else [()] * len(self.parameters)
        return {name: list(column) for name, column in zip(self.parameters, columns, strict=True)}

    def probing(self, table: Table, *names: str, index: str = "") -> Probe:
        """Join to `table` within one org (parameter `org`): the key's columns equal the named ones; by its key or by an index."""
        same_org: ColumnElement[bool] = table.c.org_id == org_parameter()
        same_key = (table.c[name] == column for name, column in zip(names, self.columns[: len(names)], strict=True))
        probe = Probe(self.source, table, and_(same_org, *same_key))
        probe.index = index
        return probe


def org_parameter() -> BindParameter[int]:
    """The one org that a statement is about."""
    return bindparam("org")


@dataclass(frozen=True)
class Read:
    """A select compiled once: its text, and its parameters with their constants. Hot statements skip SQLAlchemy's execution."""

    sql: str
    names: tuple[str, ...]
    constants: dict[str, Any]


@dataclass(frozen=True)
class Write:
    """A bulk write of one table. A row is a tuple with a value per column, in this order."""

    sql: str
    columns: tuple[str, ...]
