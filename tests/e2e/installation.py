"""An installation as an operator has it: a database, the commands, and a server of real processes that ends with its test."""

import csv
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from fnmatch import fnmatchcase
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psycopg
from typer.testing import CliRunner

from couponry.cli import app
from tests.e2e.wire import Request, is_ready

WAIT_S: Final = 40
SECRET: Final = "a secret for nothing but these tests"
# Ends a whole process group once whoever holds its input open is gone.
GUARD: Final = 'read -r _; kill -KILL -- "-$1"'
REDEMPTIONS: Final = """
    SELECT r.id, c.code, r.customer_id, r.transaction_number
    FROM redemption r JOIN coupon c ON c.org_id = r.org_id AND c.id = r.coupon_id
    WHERE r.reversed_ms IS NULL
"""


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    """Wait for something that other processes bring about."""
    deadline_s = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline_s, f"never: {what}"
        time.sleep(0.02)


class Installation:
    """One database, and what is run on it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.port = _free_port()
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


class Server:
    """`couponry serve` in a process group of its own. Should the test die, a guard ends the group."""

    def __init__(self, installation: Installation, workers: int, environment: Mapping[str, str]) -> None:
        self.installation = installation
        self.port = installation.port
        command = _couponry("serve", "--host", "127.0.0.1", "--port", str(self.port), "--workers", str(workers))
        with installation.log.open("ab") as log:
            self._main = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.pid = self._main.pid
        self._guard = subprocess.Popen(
            ["sh", "-c", GUARD, "sh", str(self.pid)], stdin=subprocess.PIPE, start_new_session=True, cwd="/"
        )
        try:
            self._await_ready(workers)
        except BaseException:
            self.kill()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()

    @property
    def processes(self) -> set[int]:
        """Every process of the group that is alive."""
        return _group(self.pid)

    @property
    def workers(self) -> set[int]:
        """The processes that answer: what the main process has forked."""
        return self.processes - {self.pid}

    def answers(self, request: Request) -> Any:
        """The reply to one request."""
        return request.ask(self.port)

    def terminate(self) -> int:
        """SIGTERM to the main process, as a service manager sends it; its exit code once all are gone."""
        self._main.send_signal(signal.SIGTERM)
        code = self._main.wait(WAIT_S)
        self.await_end()
        return code

    def kill(self) -> None:
        """SIGKILL to all at once."""
        if self.processes:
            os.killpg(self.pid, signal.SIGKILL)
        self.await_end()

    def kill_main(self) -> None:
        """SIGKILL to the main process alone; its workers have to notice."""
        os.kill(self.pid, signal.SIGKILL)

    def await_end(self) -> None:
        """Wait until no process of the group is left."""
        self._main.wait(WAIT_S)
        wait_until(lambda: not self.processes, "the end of all server processes")
        if self._guard.poll() is None:
            self._guard.kill()
            self._guard.communicate()

    def _await_ready(self, workers: int) -> None:
        """Every worker runs, and one of them answers; then all of them listen within moments."""
        wait_until(lambda: self._main.poll() is not None or is_ready(self.port), "a server that answers")
        assert self._main.poll() is None, self.installation.log.read_text()
        wait_until(lambda: len(_listeners(self.port)) >= workers, "a listening socket for each worker")


def _couponry(*words: str) -> list[str]:
    return [sys.executable, "-m", "couponry", *words]


def _group(pgid: int) -> set[int]:
    """The processes of a group, from /proc; those that only wait to be reaped are gone."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(group) == pgid and state != "Z":
            found.add(int(stat.parent.name))
    return found


def _listeners(port: int) -> list[str]:
    """The listening sockets of a port on this machine; with SO_REUSEPORT each worker has its own."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [line[9] for line in lines if line[1].endswith(f":{port:04X}") and line[3] == "0A"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
