"""Whether reads slow down as coupons pile up: a coupon by code, a customer's coupons, a series by id.

The customers who are read hold as many coupons at the end as at the beginning; it is everybody else's that pile up.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median
from typing import Final
from urllib.parse import urlencode

from bench.data import authorization, external_id, series_code, write_rows
from bench.installation import Installation
from bench.load import LoadResult, compiled, http_request, run_load, write_requests
from bench.machine import cpu_used
from bench.scenarios import Pace, Run, Scenario

CONNECTIONS: Final = 16
READERS: Final = 1_000
COUPONS_EACH: Final = 20
FIRST_READER: Final = 1_000_000_000


@dataclass(frozen=True)
class Read:
    """One kind of read. `label` stands before a number that an answer has only when something was found."""

    scenario: Scenario
    label: str
    targets: Callable[["Readers"], Iterable[str]]


class Readers:
    """Customers with coupons of their own, beside those of the installation."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        people, coupons = installation.folder / "readers.csv", installation.folder / "readers-coupons.csv"
        write_rows(people, ("firstName", "externalId"), (("Mira", self.customer(n)) for n in range(READERS)))
        installation._import("customers", people, READERS)
        size = installation.size
        rows = (
            (series_code(n % size.series), self.code(n), self.customer(n % READERS), "ISSUED")
            for n in range(READERS * COUPONS_EACH)
        )
        write_rows(coupons, ("seriesCode", "code", "customerExternalId", "state"), rows)
        installation._import("coupons", coupons, READERS * COUPONS_EACH)

    @staticmethod
    def customer(reader: int) -> str:
        return external_id(FIRST_READER + reader)

    @staticmethod
    def code(serial: int) -> str:
        return f"READ-{serial * 7919 % (READERS * COUPONS_EACH)}"

    def by_code(self) -> Iterable[str]:
        return (f"/v2/coupon?{urlencode({'couponCodes': self.code(n)})}" for n in range(READERS * COUPONS_EACH))

    def of_customer(self) -> Iterable[str]:
        return (f"/v2/customers/coupons?{urlencode({'externalId': self.customer(n)})}" for n in range(READERS))

    def of_series(self) -> Iterable[str]:
        """Series have ids in a row."""
        couponry, size = self.installation.couponry, self.installation.size
        first = int(couponry._scalar("SELECT min(id) FROM series WHERE org_id = {}", self.installation.org_id))
        return (f"/v2/coupon/series?ids={first + n}" for n in range(size.series))


READS: Final = (
    Read(Scenario("read-coupon-16", "read", CONNECTIONS, 0), '"seriesId":', Readers.by_code),
    Read(Scenario("read-customer-16", "read", CONNECTIONS, 0), '"total":', Readers.of_customer),
    Read(Scenario("read-series-16", "read", CONNECTIONS, 0), '"orgId":', Readers.of_series),
)


def measured(readers: Readers, pace: Pace, database_pid: int | None) -> list[Run]:
    """Each kind of read as often as everything that is compared, in turn."""
    readers.installation.couponry.settle()
    return [_run(readers, read, pace, database_pid) for _ in range(pace.pairs) for read in READS]


def _run(readers: Readers, read: Read, pace: Pace, database_pid: int | None) -> Run:
    installation = readers.installation
    path = installation.folder / "requests"
    write_requests(path, (http_request("GET", target, authorization()) for target in read.targets(readers)))
    options = ("--wrap", "--label", read.label, "--warmup", str(pace.warmup_s), "--seconds", str(pace.seconds))
    with cpu_used(installation.couponry.pid, database_pid) as cpu:
        load = run_load(compiled(), installation.couponry.port, path, read.scenario.connections, *options)
    path.unlink()
    found = load.window.answers - load.window.unnumbered
    run = Run(read.scenario, found / load.seconds if load.seconds else 0.0, load, cpu)
    run.complaints.extend(_complaints(load))
    return run


def _complaints(load: LoadResult) -> Iterable[str]:
    if load.all.unnumbered or set(load.all.statuses) != {200} or load.unanswered:
        yield f"{load.all.unnumbered} found nothing, {load.unanswered} without an answer; statuses {load.all.statuses}"


def slowdowns(few: list[Run], many: list[Run]) -> Iterable[tuple[str, float]]:
    """How many times as long everything takes with many coupons stored as with few."""
    for scenario in dict.fromkeys(run.scenario for run in few):
        before, after = (median(run.per_second for run in runs if run.scenario == scenario) for runs in (few, many))
        yield scenario.name, before / after if after else float("inf")
