"""The server under measurement: one fresh process per database, its command line, and what its database holds."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

import psycopg

START_SECONDS_MAX: Final = 60
STOP_SECONDS_MAX: Final = 30


class Couponry:
    """An installation: a database, and the commands and the server that work on it."""

    def __init__(self, database_url: str, log: Path) -> None:
        self.database_url = database_url
        self.log = log
        self.port = _free_port()
        self.pid: int | None = None
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COUPONRY_")}
        self.environment = {
            **kept,
            "COUPONRY_DATABASE_URL": database_url,
            "COUPONRY_SECRET_KEY": "a key for nothing but the benchmark",
            "COUPONRY_LOG_LEVEL": "warning",
        }

    def run(self, *command: str) -> dict[str, Any]:
        """A command of the command line; what it prints."""
        with self.log.open("ab") as log:
            done = subprocess.run(_command(*command), env=self.environment, check=False, stdout=subprocess.PIPE, stderr=log)
        if done.returncode != 0:
            raise RuntimeError(f"couponry {' '.join(command)} failed:\n{self.log.read_text()[-4000:]}")
        printed: dict[str, Any] = json.loads(done.stdout)
        return printed

    @contextmanager
    def serving(self) -> Iterator[None]:
        """The server, from ready to stopped in order."""
        command = _command("serve", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1")
        with self.log.open("ab") as log:
            process = subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self._await_ready(process)
            self.pid = process.pid
            yield
        finally:
            self.pid = None
            stop(process)

    def differences(self) -> str:
        """What `couponry doctor` finds wrong with the counters; nothing, hopefully."""
        try:
            self.run("doctor")
        except RuntimeError as error:
            return str(error)
        return ""

    def redemptions(self, org_id: int) -> int:
        """How many redemptions the database holds."""
        return int(self._scalar("SELECT count(*) FROM redemption WHERE org_id = {} AND reversed_ms IS NULL", org_id))

    def issued(self, org_id: int) -> int:
        """How many coupons tills have issued."""
        return int(self._scalar("SELECT count(*) FROM coupon WHERE org_id = {} AND issued_till_id IS NOT NULL", org_id))

    def coupons(self, org_id: int, series_id: int, *, are_issued: bool) -> int:
        """How many coupons of a series somebody has, each somebody else; or nobody."""
        counted = "count(DISTINCT customer_id)" if are_issued else "count(*)"
        owned = "IS NOT NULL" if are_issued else "IS NULL"
        where = f"series_id = {series_id} AND customer_id {owned}"
        return int(self._scalar(f"SELECT {counted} FROM coupon WHERE org_id = {{}} AND {where}", org_id))

    def series_id(self, org_id: int, code: str) -> int:
        """The series of that code, which must need no quoting."""
        return int(self._scalar(f"SELECT id FROM series WHERE org_id = {{}} AND code_key = '{code}'", org_id))

    def first_customer_id(self, org_id: int) -> int:
        """The customer whom the org had first."""
        return int(self._scalar("SELECT min(id) FROM customer WHERE org_id = {}", org_id))

    def some_code(self, org_id: int) -> str:
        """The code of a redeemed coupon."""
        redeemed = "SELECT code FROM coupon WHERE org_id = {} AND redeemed = 1 LIMIT 1"
        return str(self._scalar(redeemed, org_id))

    def _scalar(self, statement: str, org_id: int) -> Any:
        if self.database_url.startswith("sqlite:///"):
            with closing(sqlite3.connect(self.database_url.removeprefix("sqlite:///"))) as file:
                return file.execute(statement.format("?"), (org_id,)).fetchone()[0]
        with psycopg.connect(self.database_url) as connection:
            row = connection.execute(statement.format("%s").encode(), (org_id,)).fetchone()
            assert row is not None
            return row[0]

    def settle(self) -> None:
        """PostgreSQL: statistics over what was loaded, and its rows seen once, so that a run pays for itself alone."""
        if not self.database_url.startswith("sqlite:///"):
            with psycopg.connect(self.database_url, autocommit=True) as connection:
                connection.execute("VACUUM (ANALYZE)")

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not _is_ready(self.port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.05)


def stop(process: subprocess.Popen[bytes]) -> None:
    """In order, or by force if it takes too long."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _command(*parts: str) -> list[str]:
    return [str(Path(sys.executable).with_name("couponry")), *parts]


def _is_ready(port: int) -> bool:
    with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
