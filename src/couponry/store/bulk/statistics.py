"""Statistics for PostgreSQL's planner while tables grow faster than it looks at them.

It takes a table that it has not looked at for small, walks the whole of it, and looks through a chunk's keys for each row.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Table, text

from couponry.store.engine import Database

FEW_ROWS: Final = 20_000
"""Once so many rows are known of, keys are looked up by index."""
_SMALL: Final = text("SELECT relname FROM pg_class WHERE oid = CAST(:name AS regclass) AND reltuples < :few")


def count_rows(database: Database, tables: Sequence[Table], *, only_small: bool = False) -> None:
    """Tell the planner how large these tables are by now; or only those that it takes for small."""
    if database.is_sqlite:
        return
    with database.writing() as tx:
        names = [table.name for table in tables]
        if only_small:
            names = [name for name in names if tx.rows(_SMALL, {"name": name, "few": FEW_ROWS})]
        if names:
            tx.connection.execute(text("SET LOCAL statement_timeout = 0"))
            tx.connection.execute(text(f"ANALYZE {', '.join(names)}"))
