"""An installation as an operator has it: a database, the commands, and a server of real processes that ends with its test."""

import csv
import json
import os
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import psycopg
from typer.testing import CliRunner

from couponry.cli import app
from tests.e2e.processes import ProcessGroup, free_port, wait_until
from tests.e2e.wire import is_ready

SECRET: Final = "a secret for nothing but these tests"
_LISTENING: Final = "0A"
REDEMPTIONS: Final = """
    SELECT r.id, c.code, r.customer_id, r.transaction_number
    FROM redemption r JOIN coupon c ON c.org_id = r.org_id AND c.id = r.coupon_id
    WHERE r.reversed_ms IS NULL
"""


class Installation:
    """One database, and what is run on it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.port = free_port()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COUPONRY_")}
        self.environment = {**kept, "COUPONRY_DATABASE_URL": url, "COUPONRY_SECRET_KEY": SECRET}

    @property
    def log(self) -> Path:
        return self.folder / f"server-{self.port}.log"

    def run(self, *words: str) -> Any:
        """What a command prints; it must succeed. In this process, because starting one takes a second each time."""
        done = CliRunner().invoke(app, words, env=self.environment, catch_exceptions=False)
        assert done.exit_code == 0, f"couponry {' '.join(words)} exits {done.exit_code}: {done.output}"
        return json.loads(done.stdout)

    def load(self, kind: str, org_id: int, rows: Sequence[Mapping[str, object]]) -> None:
        """Import rows through a file."""
        path = self.folder / f"{kind}.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, sorted({name for row in rows for name in row}))
            writer.writeheader()
            writer.writerows(rows)
        said = self.run("import", kind, str(path), "--org", str(org_id))
        assert said == {"rows": len(rows), "imported": len(rows), "failed": 0, "errorFile": None}

    def serve(self, workers: int = 1, **settings: object) -> "Server":
        """The server, running; `settings` are variables without their prefix, in lower case."""
        variables = {f"COUPONRY_{name.upper()}": str(value) for name, value in settings.items()}
        return Server(self, workers, {**self.environment, **variables})

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows as the database holds them, read around the product."""
        if self.url.startswith("sqlite:///"):
            with closing(sqlite3.connect(self.url.removeprefix("sqlite:///"), timeout=10)) as file:
                return file.execute(sql).fetchall()
        with psycopg.connect(self.url) as connection:
            return connection.execute(sql.encode()).fetchall()

    def redemptions(self, codes: str = "*") -> list[tuple[int, str, int, str]]:
        """(id, code, customer, transaction number) of every active redemption of codes that look like this."""
        return sorted((row[0], row[1], row[2], row[3]) for row in self.query(REDEMPTIONS) if fnmatchcase(row[1], codes))

    def check_books(self) -> None:
        """The doctor finds nothing, and every redemption has its one event."""
        said = self.run("doctor")
        assert said["differences"] == []
        assert said["checked"] > 0
        redeemed = self.query("SELECT id FROM redemption ORDER BY id")
        assert self.query("SELECT subject_id FROM outbox WHERE event = 'CouponRedeem' ORDER BY subject_id") == redeemed


class Server(ProcessGroup):
    """`couponry serve`, which answers from the start to the end of the block."""

    def __init__(self, installation: Installation, workers: int, environment: Mapping[str, str]) -> None:
        self.installation = installation
        self.port = installation.port
        command = [sys.executable, "-m", "couponry", "serve", "--host", "127.0.0.1", "--port", str(self.port)]
        super().__init__([*command, "--workers", str(workers)], environment, installation.log)
        try:
            self._await_ready(workers)
        except BaseException:
            self.kill()
            raise

    def _await_ready(self, workers: int) -> None:
        """One worker answers, and all of them listen."""
        wait_until(lambda: self.main.poll() is not None or is_ready(self.port), "a server that answers")
        assert self.main.poll() is None, self.installation.log.read_text()
        wait_until(lambda: _listeners(self.port) >= workers, "a listening socket for each worker")


def _listeners(port: int) -> int:
    """How many sockets listen at a port; with SO_REUSEPORT each worker has its own."""
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(fields[1].endswith(f":{port:04X}") and fields[3] == _LISTENING for fields in sockets)
