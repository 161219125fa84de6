"""What is measured, and one run of it: requests prepared, load sent, and what clients were told compared with the database."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from bench.data import Coupons, check_requests, hot_requests, redeem_requests
from bench.installation import Installation
from bench.load import NORMAL_CODE, LoadResult, compiled, run_load, write_requests
from bench.machine import CpuUse, cpu_used

Kind = Literal["redeem", "hot", "check", "read"]


@dataclass(frozen=True)
class Scenario:
    """`per_second_max` is how many requests per second are prepared for: a redeem's coupon can't be used again."""

    name: str
    kind: Kind
    connections: int
    per_second_max: int
    together: int = 1


SPREAD: Final = Scenario("redeem-64", "redeem", 64, 14_000)
HOT: Final = Scenario("hot-64", "hot", 64, 20_000)
ALONE: Final = Scenario("redeem-1", "redeem", 1, 2_500)
HUNDRED: Final = Scenario("redeem-100-together", "redeem", 16, 700, together=100)
CHECK: Final = Scenario("check-64", "check", 64, 0)
SCENARIOS: Final = (
    ALONE,
    Scenario("redeem-16", "redeem", 16, 10_000),
    SPREAD,
    HOT,
    Scenario("redeem-256", "redeem", 256, 16_000),
    HUNDRED,
    Scenario("check-1", "check", 1, 0),
    Scenario("check-16", "check", 16, 0),
    CHECK,
    Scenario("check-256", "check", 256, 0),
)


@dataclass(frozen=True)
class Pace:
    """How long a run warms up and is measured, and how often the yardstick is laid beside it."""

    warmup_s: float
    seconds: float
    pairs: int


@dataclass(frozen=True)
class Run:
    """`per_second` counts coupons that were redeemed or found redeemable (700), nothing else; latencies are of requests."""

    scenario: Scenario
    per_second: float
    load: LoadResult
    cpu: CpuUse
    redeemed: int = 0
    told: int = 0
    complaints: list[str] = field(default_factory=list)

    @property
    def is_true(self) -> bool:
        """Whether the database holds what clients were told, and nothing that nobody asked for."""
        return self.told <= self.redeemed <= self.told + self.load.unanswered * self.scenario.together


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
        before = couponry.redemptions(org_id)
        options = [f"--warmup={self.pace.warmup_s}", f"--seconds={self.pace.seconds}"]
        parts = [part for option in options for part in option.split("=")]
        if scenario.kind == "check":
            parts.append("--wrap")
        with cpu_used(couponry.pid, self.database_pid) as cpu, watch or nullcontext():
            load = run_load(compiled(), couponry.port, requests, scenario.connections, *parts)
        requests.unlink()
        redeemed = couponry.redemptions(org_id) - before
        told = 0 if scenario.kind == "check" else load.all.numbers.get(NORMAL_CODE, 0) * scenario.together
        good = load.window.numbers.get(NORMAL_CODE, 0) * scenario.together
        per_second = good / load.seconds if load.seconds else 0.0
        run = Run(scenario, per_second, load, cpu, redeemed, told)
        run.complaints.extend(_complaints(run))
        return run

    def _prepared(self, scenario: Scenario) -> Path:
        path = self.installation.folder / "requests"
        size = self.installation.size
        if scenario.kind == "check":
            write_requests(path, check_requests(Coupons("BASE", size.coupons, size)))
            return path
        count = round(scenario.per_second_max * (self.pace.warmup_s + self.pace.seconds)) * scenario.together
        name = next(self._batches)
        if scenario.kind == "hot":
            write_requests(path, hot_requests(name, count, size))
        else:
            write_requests(path, redeem_requests(self.installation.add(Coupons(name, count, size, scenario.together))))
        return path


def _names() -> Iterator[str]:
    """RA, RB, ... RZ, RAA, ...: they end in a letter, so that a batch's name and number are never another's."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return (f"R{first}{second}" for first in ["", *alphabet] for second in alphabet)


def _complaints(run: Run) -> Iterator[str]:
    load = run.load
    if not run.is_true:
        yield f"clients were told of {run.told:,} redemptions, the database holds {run.redeemed:,}"
    if load.unanswered or load.connect_failures:
        yield (
            f"{load.unanswered} requests without an answer: {load.closed} cut off, {load.timed_out} late, "
            f"{load.malformed} malformed; {load.connect_failures} connections refused"
        )
    if refused := load.all.answers - load.all.numbers.get(NORMAL_CODE, 0):
        yield f"{refused} refused: codes {load.all.numbers}, statuses {load.all.statuses}"
    if load.ran_out:
        yield f"the prepared requests ran out after {load.seconds:.1f} s"
