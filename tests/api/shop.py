"""A shop over a real database, and a front to ask it over HTTP: the ASGI application on a loop of its own, no socket between."""

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import httpx
import msgspec
from argon2 import PasswordHasher
from sqlalchemy import Table, insert, select, update

from couponry.core.model import Org
from couponry.core.problem import Problem
from couponry.main import Site, worker
from couponry.settings import Settings
from couponry.store import registry
from couponry.store import schema as t
from couponry.store.bulk import import_rows
from couponry.store.bulk.coupons import Coupons
from couponry.store.bulk.customers import Customers
from couponry.store.bulk.series import SeriesRows
from couponry.store.directory import Directory
from couponry.store.engine import Database

# 2031-03-10T12:50:00Z, the contract's own day: 18:20 in Kolkata.
NOW_MS: Final = 1_930_913_400_000
TILL: Final = "till1"
SECRET: Final = "202cb962ac59075b964b07152d234b70"
BASIC: Final = (TILL, SECRET)
MIRA: Final = {"mobile": "919812300001"}
ADDRESS: Final = "203.0.113.7"

T = TypeVar("T")


def cheaply_hashed(secret: str) -> str:
    """A hash that is checked in no time; its cost stands in the hash. tests/store/test_registry.py looks at the real one."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(secret)


class Clock:
    """A clock that stands still until told to go on."""

    def __init__(self) -> None:
        self.ms = NOW_MS

    def __call__(self) -> int:
        return self.ms


@dataclass
class Shop:
    """One org with a till, two customers and a series of single-use coupons."""

    database: Database
    clock: Clock = field(default_factory=Clock)
    numbers: "count[int]" = field(default_factory=lambda: count(1))
    org_id: int = 0
    till_id: int = 0
    store_id: int = 0

    def open(self) -> Self:
        with self.database.writing() as tx:
            made = registry.create_org(
                tx, name="Shop", time_zone="Asia/Kolkata", currency="INR", country_code="91", now_ms=NOW_MS
            )
            assert isinstance(made, int)
            self.org_id = made
        place = self.till(TILL, store="blr01", zone="south", concept="food")
        self.till_id, self.store_id = place.till_id, place.store_id
        self.customers(
            {
                "firstName": "Mira",
                "lastName": "Rao",
                "mobile": "919812300001",
                "email": "mira@example.com",
                "externalId": "CRM-77",
            },
            {"firstName": "Arun", "mobile": "919812300002", "externalId": "CRM-78"},
            {"firstName": "Leena", "mobile": "919812300003", "fraudStatus": "CONFIRMED"},
            {"firstName": "Dev", "mobile": "919812300004", "statusLabel": "SUSPENDED"},
        )
        self.series(seriesCode="MON")
        return self

    def opened(self) -> Self:
        """The same on a database that it was opened on before."""
        till = select(t.till.c.org_id, t.till.c.id, t.till.c.store_id).where(t.till.c.code == TILL)
        with self.database.reading() as tx:
            ((self.org_id, self.till_id, self.store_id),) = tx.rows(till, {})
        next(self.numbers)  # which the series took
        return self

    def org(self) -> Org:
        with self.database.reading() as tx:
            org = registry.read_org(tx, self.org_id)
        assert isinstance(org, Org)
        return org

    def till(self, code: str, password_md5: str = SECRET, **places: str) -> registry.TillPlace:
        with self.database.writing() as tx:
            place = registry.create_till(tx, self.org_id, code=code, password_hash=cheaply_hashed(password_md5), **places)
        assert not isinstance(place, Problem)
        return place

    def client(self, key: str = "Qk7f", secret: str = "pLz8", **more: Any) -> int:  # noqa: S107 - nobody's
        with self.database.writing() as tx:
            made = registry.create_client(
                tx, self.org_id, name="web", key=key, secret_hash=cheaply_hashed(secret), **{"till": TILL, **more}
            )
        assert isinstance(made, int)
        return made

    def access_group(self, data: str, config: str = "NONE") -> int:
        with self.database.writing() as tx:
            return registry.create_access_group(tx, self.org_id, name=f"{data} {config}", data_access=data, config_access=config)

    def set(self, **settings: str) -> None:
        with self.database.writing() as tx:
            assert not isinstance(registry.change_settings(tx, self.org_id, settings), Problem)

    def change(self, table: Table, row_id: int, **values: Any) -> None:
        """Set columns of one row."""
        with self.database.writing() as tx:
            same_row = (table.c.id == row_id) if table.name == "org" else (table.c.org_id == self.org_id) & (table.c.id == row_id)
            tx.connection.execute(update(table).where(same_row).values(values))

    def add(self, table: Table, **values: Any) -> None:
        with self.database.writing() as tx:
            tx.connection.execute(insert(table).values(org_id=self.org_id, **values))

    def customers(self, *rows: Mapping[str, Any]) -> None:
        with self.database.reading() as tx:
            labels = registry.status_labels(tx, self.org_id)
        assert not import_rows(self.database, Customers(self.org(), labels, NOW_MS), rows)

    def series(self, **fields: Any) -> None:
        usual = {
            "description": "Monsoon 15",
            "discountCode": "MON15",
            "discountType": "PERC",
            "discountValue": "15",
            "discountUpto": "200",
            "clientHandlingType": "DISC_CODE",
            "info": "15 percent, up to 200",
            "validTillDate": "2031-04-30",
            "smsTemplate": "{{voucher_code}}",
        }
        new_code = f"S{next(self.numbers)}"
        assert not import_rows(self.database, SeriesRows(self.org(), NOW_MS, lambda: new_code), ({**usual, **fields},))

    def coupon(self, code: str = "", series: str = "MON", mobile: str = "919812300001", **fields: Any) -> str:
        """A coupon issued to Mira a day ago; its code."""
        code = code or f"H4TQ{next(self.numbers):04}"
        issued = {"customerMobile": mobile, "state": "ISSUED", "issuedOn": "2031-03-09 10:00:00"} if mobile else {}
        row = {"seriesCode": series, "code": code, **issued, **fields}
        assert not import_rows(self.database, Coupons(self.org(), NOW_MS), (row,))
        return code

    def front(self, **settings: Any) -> "Front":
        options = Settings(database_url=self.database.url, secret_key="only for this test", **settings)
        return Front(worker(options, clock=self.clock))

    def directory(self) -> Directory:
        return Directory(self.database)


class Front:
    """The application while it runs. Requests go through the ASGI protocol, headers and bodies as bytes."""

    def __init__(self, site: Site) -> None:
        self.site, self.app = site, site.api
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.lifespan: Future[None] | None = None

    def __enter__(self) -> Self:
        self.thread.start()
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.3"}, "state": {}}
        self.lifespan = asyncio.run_coroutine_threadsafe(self.site(scope, self.events.get, self.said.put), self.loop)
        assert self._lifespan("startup") == "lifespan.startup.complete"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._lifespan("shutdown") == "lifespan.shutdown.complete"
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine where the application runs."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def ask(self, method: str, path: str, *, address: str = ADDRESS, **more: Any) -> httpx.Response:
        """One request as the till, unless told otherwise."""
        return self.run(self.asking(method, path, address=address, **more))

    async def asking(self, method: str, path: str, *, address: str = ADDRESS, **more: Any) -> httpx.Response:
        site: Any = self.site  # httpx and Falcon name the same protocol differently
        transport = httpx.ASGITransport(site, client=(address, 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
            return await client.request(method, path, **{"auth": BASIC, **more})

    def redeem(self, *codes: str, path: str = "/v2/coupon/redeem", **more: Any) -> httpx.Response:
        """Redeem codes for Mira with a bill of 1800 and no number; `more` are other fields of the body, or `headers`."""
        headers = more.pop("headers", {})
        items = [{"code": code} for code in codes]
        body = {"redemptionRequestList": items, "user": MIRA, "transactionNumber": "", "billAmount": "1800", **more}
        return self.ask("POST", path, json=body, headers=headers)

    def check(self, **query: Any) -> httpx.Response:
        """Ask whether codes are redeemable for Mira."""
        return self.ask("GET", "/v2/coupon/is_redeemable", params={**MIRA, **query})

    def raw(self, method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes, query: bytes = b"") -> "Raw":
        """A request as no client library would send it."""
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "root_path": "",
            "headers": headers,
            "client": (ADDRESS, 4711),
            "server": ("shop.test", 80),
            "state": {},
        }
        return self.run(_exchange(self.site, scope, body))

    def _lifespan(self, what: str) -> str:
        assert self.lifespan
        self.run(self.events.put({"type": f"lifespan.{what}"}))
        said: str = self.run(self.said.get())["type"]
        return said


@dataclass(frozen=True)
class Raw:
    """A response to a raw request."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def code(self) -> int:
        return code_of(msgspec.json.decode(self.body))


async def _exchange(site: Site, scope: dict[str, Any], body: bytes) -> Raw:
    sent: list[dict[str, Any]] = []
    asked = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Mapping[str, Any]:
        return next(asked, {"type": "http.disconnect"})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await site(scope, receive, send)
    return Raw(sent[0]["status"], sent[0]["headers"], b"".join(message.get("body", b"") for message in sent[1:]))


def code_of(body: Any) -> int:
    """The code that a V2 or v3 body answers with as a whole."""
    first: int
    if "redemptionStatus" in body:
        first = body["redemptionStatus"]["code"]
    elif body.get("errors"):
        first = body["errors"][0]["code"]
    else:
        first = body["response"][0]["result"]["redemptionStatus"]["code"]
    return first
