"""Deliveries by a worker of its own to local receivers: events to a webhook, SMS to an HTTP gateway, e-mails to an SMTP server.

They wait already when the worker starts; what is measured is from the first to the last that is recorded as delivered.
"""

import asyncio
import datetime as dt
import json
import multiprocessing
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import uvloop
from aiosmtpd.smtp import SMTP
from sqlalchemy import func, insert, select

from bench.data import Size
from bench.installation import Installation, installed
from bench.machine import machine, short_name, versions
from bench.server import STOP_SECONDS_MAX, Couponry
from couponry.core import emails
from couponry.core.deliveries import Channel, Webhook
from couponry.core.validation import Vault
from couponry.core.webhook_drafts import Draft
from couponry.store import schema as t
from couponry.store.engine import Database
from couponry.store.webhooks import Names, create_webhook
from tests.databases import PostgresServer, fresh_sqlite, postgresql_binary

SIZE: Final = Size(customers=1_000, series=5, coupons=1_000)
KEPT_DELIVERIES_MIN: Final = 10_000
POLL_S: Final = 0.1
SECONDS_MAX: Final = 600
EVENT: Final = json.dumps({"eventName": "CouponIssue", "data": "x" * 700})
Body = Callable[[int], str]
"""What the delivery of a serial number says."""
TEXT: Final = "Hello Mira, your voucher H4TQ9ZKM is valid until 31-03-2031. Show it at any till."


@dataclass(frozen=True)
class Measured:
    database: str
    kind: str
    deliveries: int
    seconds: float

    @property
    def line(self) -> str:
        rate = self.deliveries / self.seconds
        return f"| {self.database} | {self.kind} | {self.deliveries:,} | {self.seconds:.1f} | {rate:,.0f} |"


class _Http(asyncio.Protocol):
    """Answers 204 to whatever has a length."""

    def connection_made(self, transport: Any) -> None:
        self.transport, self.read = transport, b""

    def data_received(self, data: bytes) -> None:
        self.read += data
        while (end := self.read.find(b"\r\n\r\n")) >= 0:
            head = self.read[:end].lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            if len(self.read) < end + 4 + length:
                return
            self.read = self.read[end + 4 + length :]
            self.transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")


class _Mail:
    async def handle_DATA(self, *_: object) -> str:  # noqa: N802 - as aiosmtpd calls it
        return "250 OK"


def _serve(pipe: Connection) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        makers: Sequence[Callable[[], Any]] = (_Http, lambda: SMTP(_Mail(), hostname="localhost", loop=loop))
        servers = [await loop.create_server(make, "127.0.0.1", 0) for make in makers]
        pipe.send([server.sockets[0].getsockname()[1] for server in servers])
        await asyncio.Event().wait()

    uvloop.run(serve())


@contextmanager
def _receivers() -> Iterator[tuple[int, int]]:
    """Ports of an HTTP and an SMTP server, in a process of their own."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_serve, args=(there,), daemon=True)
    process.start()
    try:
        http, smtp = here.recv()
        yield http, smtp
    finally:
        process.terminate()
        process.join()


def run(count: int, kinds: Sequence[str], folder: Path, server: PostgresServer, results: Path) -> int:
    """Measure, print and keep; fails when something was not delivered."""
    measured: list[Measured] = []
    with _receivers() as (http, smtp):
        for kind in kinds:
            url = fresh_sqlite(folder, "deliveries") if kind == "sqlite" else server.create_database("deliveries")
            installation = installed(url, folder, SIZE)
            org = ("org", "set", "--org", str(installation.org_id))
            installation.couponry.run(*org, f"smsUrl=json://127.0.0.1:{http}/sms")
            installation.couponry.run(*org, f"emailUrl=mailto://127.0.0.1:{smtp}?from=shop@example.com")
            with closing(Database(url)) as database:
                webhook_id = _webhook(database, installation, f"http://127.0.0.1:{http}/hook")
                for name, target, address, body in (
                    ("webhook", webhook_id, None, lambda _: EVENT),
                    ("SMS over HTTP", Channel.SMS, "919812300001", lambda _: TEXT),
                    ("e-mail over SMTP", Channel.EMAIL, "mira@example.com", _plain),
                    ("e-mail with a QR code of its own", Channel.EMAIL, "mira@example.com", _with_code),
                ):
                    _put(database, installation.org_id, len(measured) * count, count, target, address, body)
                    installation.couponry.settle()
                    one = Measured(kind, name, count, _delivered(installation, database, count))
                    print(one.line, flush=True)
                    measured.append(one)
    _keep(count, measured, results)
    return 0


def _plain(_serial: int) -> str:
    return emails.plain("Your voucher", TEXT).body()


def _with_code(serial: int) -> str:
    return emails.about_coupons("Your voucher", TEXT, [f"H4{serial:06}"]).body()


def _webhook(database: Database, installation: Installation, url: str) -> int:
    draft = Draft(name="w", url=url, event_names=frozenset({"CouponIssue"}), headers={}, connections_max=10, sla_s=30)
    vault = Vault(installation.couponry.environment["COUPONRY_SECRET_KEY"].encode())
    with database.writing() as tx:
        made = create_webhook(tx, installation.org_id, draft, Names("w", "w"), vault, till_id=None, now_ms=_now_ms())
    assert isinstance(made, Webhook)
    return made.id


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _put(database: Database, org_id: int, first: int, count: int, target_id: int, address: str | None, body: Body) -> None:
    """So many that are due, about a thousand customers in turn."""
    now_ms = _now_ms()
    row = {"org_id": org_id, "event": "CouponIssue", "target_id": target_id, "address": address}
    row |= {"state": "waiting", "attempts": 0, "next_ms": now_ms, "created_ms": now_ms, "since_ms": now_ms}
    row |= {"problem": "", "request_id": "", "ref_id": ""}
    with database.writing() as tx:
        for start in range(first, first + count, 10_000):
            ids = range(start + 1, min(start + 10_000, first + count) + 1)
            rows = [
                {**row, "id": serial, "outbox_id": serial, "customer_id": serial % 1_000 + 1, "body": body(serial)}
                for serial in ids
            ]
            tx.connection.execute(insert(t.delivery), rows)


def _delivered(installation: Installation, database: Database, count: int) -> float:
    """How long it took from the first attempt to the last record."""
    row = t.delivery.c
    left = select(func.count()).where(row.org_id == installation.org_id, row.state == "waiting")
    failed = select(func.count()).where(row.org_id == installation.org_id, row.state == "failed")
    give_up_s = time.monotonic() + SECONDS_MAX
    with _working(installation.couponry):
        while _number(database, left):
            if time.monotonic() > give_up_s or _number(database, failed):
                raise RuntimeError(f"not delivered\n{installation.couponry.log.read_text()[-4000:]}")
            time.sleep(POLL_S)
    last = (
        select(row.begun_ms, row.done_ms).where(row.org_id == installation.org_id).order_by(row.id.desc()).limit(count).subquery()
    )
    with database.reading() as tx:
        ((began_ms, done_ms),) = tx.rows(select(func.min(last.c.begun_ms), func.max(last.c.done_ms)), {})
    return float(done_ms - began_ms) / 1000


def _number(database: Database, wanted: Any) -> int:
    with database.reading() as tx:
        return int(tx.connection.execute(wanted).scalar_one())


@contextmanager
def _working(couponry: Couponry) -> Iterator[None]:
    command = [str(Path(sys.executable).with_name("couponry")), "worker"]
    environment = {**couponry.environment, "COUPONRY_ALLOWED_PRIVATE_NETWORKS": "127.0.0.0/8"}
    with couponry.log.open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _keep(count: int, measured: Sequence[Measured], results: Path) -> None:
    about = {"machine": machine(), "versions": versions(postgresql_binary("postgres"))}
    command = shlex.join(["python", "-m", "bench", *sys.argv[1:]])
    page = "\n".join(
        (
            "# Deliveries",
            "",
            f"`{command}`: by one worker to receivers on the same machine, from the first attempt to the last record.",
            "",
            *(f"- {name}: {value}" for part in about.values() for name, value in part.items()),
            "",
            "| database | what | deliveries | seconds | per second |",
            "|---|---|---|---|---|",
            *(one.line for one in measured),
            "",
        )
    )
    print(page)
    if count < KEPT_DELIVERIES_MIN:
        return
    name = f"{dt.datetime.now(tz=dt.UTC).date().isoformat()}-{short_name()}-deliveries"
    (results / f"{name}.md").write_text(page)
    whole = {**about, "command": command, "deliveries": [asdict(one) for one in measured]}
    (results / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n")
