"""How long each page of the console takes at the server, with millions of coupons and half as many redemptions stored."""

import datetime as dt
import json
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Final
from urllib.parse import urlencode

from bench.data import Size, mobile
from bench.fill import fill, fill_redemptions
from bench.installation import Installation, installed
from bench.machine import machine, short_name, versions
from couponry.core import ids
from tests.databases import PostgresServer, fresh_sqlite, postgresql_binary

GOAL_MS: Final = 150.0
KEPT_COUPONS_MIN: Final = 10_000_000
SIZE: Final = Size(customers=50_000, series=10, coupons=10_000)
"""Few series, so that each has as many coupons as one may well have."""
_PASSWORD = "nothing but a benchmark"
_WELL: Final = (200, 303)
_TIMES: Final = 15
_WARMUPS: Final = 2
_PAGES: Final = (
    *(
        "/",
        "/?period=90",
        "/?period=7&show=discount",
        "/redemptions",
        "/redemptions?series={series}",
        "/redemptions?store={store}",
    ),
    *("/refusals", "/refusals?series={series}", "/refusals?status=COUPON_EXPIRED", "/issued", "/issued?series={series}"),
    *("/csv/days", "/csv/series", "/csv/stores?period=90", "/campaigns", "/campaigns/drafts", "/calendar", "/series"),
    *("/series?text=BENCH", "/series/{series}", "/series/{series}?days=365", "/series/{series}/coupons"),
    *("/series/{series}/coupons?show=issued", "/series/{series}/coupons?show=redeemed", "/series/{series}/coupons?show=pool"),
    *("/series/{series}/redemptions", "/series/{series}/redemptions?store={store}", "/series/{series}/bulk"),
    *("/series/{series}/export", "/series/{series}/terms", "/series/{series}/upload", "/series/{series}/versions"),
    *("/series/{series}/what-if", "/care", "/care?q={code}", "/care?q={mobile}", "/care?q={customer}", "/care?q={bill}"),
    *("/care?q=nothing-of-this-name", "/care/customers/{customer}", "/care/customers/{customer}/goodwill"),
    *("/care/coupons/{coupon}", "/care/explain", "/stores", "/credentials", "/webhooks", "/jobs", "/dead-letters", "/messages"),
    *("/settings", "/people", "/audit", "/approvals", "/account"),
)


@dataclass(frozen=True)
class Timed:
    """One page, asked for a number of times, one after the other."""

    page: str
    database: str
    status: int
    median_ms: float
    worst_ms: float
    kib: float

    @property
    def line(self) -> str:
        """A row of the table."""
        middle = f"{self.median_ms:.1f}{' **slow**' if self.median_ms > GOAL_MS else ''}"
        return f"| `{self.page}` | {self.database} | {self.status} | {middle} | {self.worst_ms:.1f} | {self.kib:.0f} |"


class Person:
    """Somebody signed in, by one connection."""

    def __init__(self, port: int, email: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=60)
        self._cookie = ""
        form = urlencode({"email": email, "password": _PASSWORD, "next": "/"})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        self._connection.request("POST", "/console/sign-in", form, headers)
        answer = self._connection.getresponse()
        answer.read()
        self._cookie = "; ".join(cookie.partition(";")[0] for cookie in answer.headers.get_all("set-cookie") or ())
        if "couponry-session" not in self._cookie:
            raise RuntimeError(f"nobody could sign in: {answer.status}")

    def timed(self, page: str, path: str, database: str) -> Timed:
        """Ask for a page again and again."""
        spent, status, size = [], 0, 0
        for _ in range(_WARMUPS + _TIMES):
            start = time.perf_counter()
            self._connection.request("GET", f"/console{path}", headers={"Cookie": self._cookie})
            answer = self._connection.getresponse()
            size, status = len(answer.read()), answer.status
            spent.append((time.perf_counter() - start) * 1000)
        return Timed(page, database, status, median(spent[_WARMUPS:]), max(spent[_WARMUPS:]), size / 1024)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def measured(count: int, database: str, url: str, folder: Path) -> Iterator[Timed]:
    """Every page, with so many coupons and half as many redemptions."""
    print(f"loading {count:,} coupons and {count // 2:,} redemptions on {database}", flush=True)
    installation = installed(url, folder, SIZE)
    couponry, org_id = installation.couponry, installation.org_id
    now_ms = time.time_ns() // 1_000_000
    fill(couponry, org_id, SIZE, count - SIZE.coupons, now_ms)
    fill_redemptions(couponry, org_id, SIZE, count // 2, now_ms, installation.till_id)
    couponry.settle()
    if differences := couponry.differences():
        raise RuntimeError(differences)
    known = _known(installation)
    emails = {page: f"bench{number}@example.com" for number, page in enumerate(_PAGES) if _is_counted(page) or not number}
    for email in emails.values():
        couponry.run("user", "create", "--org", str(org_id), "--email", email, "--password", _PASSWORD, "--role", "admin")
    with couponry.serving():
        for page in _PAGES:
            with closing(Person(couponry.port, emails.get(page, emails[_PAGES[0]]))) as person:
                one = person.timed(page, page.format(**known), database)
            print(one.line, flush=True)
            yield one


def _is_counted(page: str) -> bool:
    """Whether one person may ask for it only so many times a minute."""
    return page.startswith("/care")


def _known(installation: Installation) -> dict[str, object]:
    """What pages are about."""
    couponry, org_id = installation.couponry, installation.org_id
    return {
        "series": couponry.series_id(org_id, "BENCH3"),
        "store": 1_000_007,
        "coupon": ids.first_id(ids.COUPON, org_id, SIZE.coupons + 1000),
        "customer": couponry.first_customer_id(org_id),
        "code": couponry.some_code(org_id),
        "mobile": mobile(7),
        "bill": "F77",
    }


def run(count: int, kinds: tuple[str, ...], folder: Path, server: PostgresServer, results: Path) -> int:
    """Measure, print, and keep what was measured with enough; 1 if a page is slow or broken."""
    found = []
    for kind in kinds:
        url = fresh_sqlite(folder, "console") if kind == "sqlite" else server.create_database("console")
        found += list(measured(count, kind, url, folder))
    about = {**machine(), **versions(postgresql_binary("postgres"))}
    command = shlex.join(["python", "-m", "bench", *sys.argv[1:]])
    data = f"{count:,} coupons and {count // 2:,} redemptions in {SIZE.series} series"
    how = f"each page asked for {_TIMES} times over one connection, one after the other. The goal is {GOAL_MS:g} ms."
    page = "\n".join(
        (
            "# Pages of the console",
            "",
            f"`{command}`: {data}; {how}",
            "",
            *(f"- {name}: {value}" for name, value in about.items()),
            "",
            "| page | database | status | median ms | worst ms | KiB |",
            "|---|---|---|---|---|---|",
            *(one.line for one in found),
            "",
        )
    )
    if count >= KEPT_COUPONS_MIN:
        name = f"{dt.datetime.now(tz=dt.UTC).date().isoformat()}-{short_name()}-console"
        (results / f"{name}.md").write_text(page)
        whole = {"about": about, "command": command, "pages": [asdict(one) for one in found]}
        (results / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n")
    print(page)
    return 0 if all(one.median_ms <= GOAL_MS and one.status in _WELL for one in found) else 1
