"""What is measured, and one run of it: requests prepared, load sent, and what clients were told compared with the database."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from bench.data import Coupons, check_requests, hot_requests, issue_requests, redeem_requests
from bench.installation import Installation
from bench.load import NORMAL_CODE, LoadResult, compiled, run_load, write_requests
from bench.machine import CpuUse, cpu_used

Kind = Literal["redeem", "hot", "check", "issue", "read"]


@dataclass(frozen=True)
class Scenario:
    """`per_second_max` is how many requests per second are prepared for: a redeem's coupon can't be used again.

    `label` stands before the number that tells what an answer says.
    """

    name: str
    kind: Kind
    connections: int
    per_second_max: int
    together: int = 1
    label: str = '"code":'
    wire: Literal["v2", "v1.1 json", "v1.1 xml"] = "v2"

    @property
    def success(self) -> int:
        """The number that a success has after the label."""
        return NORMAL_CODE if self.kind != "issue" else 0 if self.together == 1 else self.together


SPREAD: Final = Scenario("redeem-64", "redeem", 64, 14_000)
HOT: Final = Scenario("hot-64", "hot", 64, 20_000)
ALONE: Final = Scenario("redeem-1", "redeem", 1, 2_500)
HUNDRED: Final = Scenario("redeem-100-together", "redeem", 16, 700, together=100)
CHECK: Final = Scenario("check-64", "check", 64, 0)
V11_JSON: Final = Scenario(
    "v1.1-json-64", "redeem", 64, 14_000, label='"item_status":{"success":"true","code":', wire="v1.1 json"
)
V11_XML: Final = Scenario(
    "v1.1-xml-64", "redeem", 64, 14_000, label="<item_status><success>true</success><code>", wire="v1.1 xml"
)
ISSUE: Final = Scenario("issue-64", "issue", 64, 0, label='"redemptionCount":')
ISSUE_SEVERAL: Final = Scenario("issue-500-together", "issue", 8, 0, together=500, label='"successCount":')
SCENARIOS: Final = (
    ALONE,
    Scenario("redeem-16", "redeem", 16, 10_000),
    SPREAD,
    HOT,
    Scenario("redeem-256", "redeem", 256, 16_000),
    HUNDRED,
    V11_JSON,
    V11_XML,
    Scenario("check-1", "check", 1, 0),
    Scenario("check-16", "check", 16, 0),
    CHECK,
    Scenario("check-256", "check", 256, 0),
    ISSUE,
    ISSUE_SEVERAL,
)


@dataclass(frozen=True)
class Pace:
    """How long a run warms up and is measured, and how often the yardstick is laid beside it."""

    warmup_s: float
    seconds: float
    pairs: int


@dataclass(frozen=True)
class Run:
    """`per_second` counts coupons that were redeemed, found redeemable or issued, nothing else; latencies are of requests.

    `stored` is by how many redemptions, or issued coupons, the database grew.
    """

    scenario: Scenario
    per_second: float
    load: LoadResult
    cpu: CpuUse
    stored: int = 0
    told: int = 0
    complaints: list[str] = field(default_factory=list)

    @property
    def is_true(self) -> bool:
        """Whether the database holds what clients were told, and nothing that nobody asked for."""
        return self.told <= self.stored <= self.told + self.load.unanswered * self.scenario.together


class Runner:
    """Runs scenarios against the running server of one installation. Every redeem run has coupons of its own."""

    def __init__(self, installation: Installation, pace: Pace, database_pid: int | None) -> None:
        self.installation = installation
        self.pace = pace
        self.database_pid = database_pid
        self._batches = _names()

    def run(self, scenario: Scenario, watch: AbstractContextManager[object] | None = None) -> Run:
        """One run. What clients were told is compared with the database, and differences are complained about.

        `watch` is entered while load is sent.
        """
        requests = self._prepared(scenario)
        couponry, org_id = self.installation.couponry, self.installation.org_id
        couponry.settle()
        count = couponry.issued if scenario.kind == "issue" else couponry.redemptions
        before = count(org_id)
        parts = ["--warmup", str(self.pace.warmup_s), "--seconds", str(self.pace.seconds), "--label", scenario.label]
        if scenario.kind in {"check", "issue"}:
            parts.append("--wrap")
        with cpu_used(couponry.pid, self.database_pid) as cpu, watch or nullcontext():
            load = run_load(compiled(), couponry.port, requests, scenario.connections, *parts)
        requests.unlink()
        stored = count(org_id) - before
        told = 0 if scenario.kind == "check" else load.all.numbers.get(scenario.success, 0) * scenario.together
        good = load.window.numbers.get(scenario.success, 0) * scenario.together
        per_second = good / load.seconds if load.seconds else 0.0
        run = Run(scenario, per_second, load, cpu, stored, told)
        run.complaints.extend(_complaints(run))
        return run

    def _prepared(self, scenario: Scenario) -> Path:
        path = self.installation.folder / "requests"
        size = self.installation.size
        if scenario.kind == "check":
            write_requests(path, check_requests(Coupons("BASE", size.coupons, size)))
            return path
        if scenario.kind == "issue":
            write_requests(path, issue_requests(self.installation.issue_series_id, size, scenario.together))
            return path
        count = round(scenario.per_second_max * (self.pace.warmup_s + self.pace.seconds)) * scenario.together
        name = next(self._batches)
        if scenario.kind == "hot":
            write_requests(path, hot_requests(name, count, size))
        else:
            coupons = self.installation.add(Coupons(name, count, size, scenario.together))
            write_requests(path, redeem_requests(coupons, scenario.wire))
        return path


def _names() -> Iterator[str]:
    """RA, RB, ... RZ, RAA, ...: they end in a letter, so that a batch's name and number are never another's."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return (f"R{first}{second}" for first in ["", *alphabet] for second in alphabet)


def _complaints(run: Run) -> Iterator[str]:
    load = run.load
    if not run.is_true:
        what = "issued coupons" if run.scenario.kind == "issue" else "redemptions"
        yield f"clients were told of {run.told:,} {what}, the database holds {run.stored:,}"
    if load.unanswered or load.connect_failures:
        yield (
            f"{load.unanswered} requests without an answer: {load.closed} cut off, {load.timed_out} late, "
            f"{load.malformed} malformed; {load.connect_failures} connections refused"
        )
    if refused := load.all.answers - load.all.numbers.get(run.scenario.success, 0):
        yield f"{refused} refused: codes {load.all.numbers}, statuses {load.all.statuses}"
    if load.ran_out:
        yield f"the prepared requests ran out after {load.seconds:.1f} s"
