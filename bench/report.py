"""The result: a table per database with the goals of the design, as Markdown and as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Final

from bench.machine import CpuUse
from bench.pgbench import CLIENTS, PgbenchResult
from bench.reads import slowdowns
from bench.scenarios import ALONE, CHECK, HOT, HUNDRED, ISSUE, ISSUE_SEVERAL, SPREAD, V11_JSON, V11_XML, Run, Scenario

REDEEM_TO_PGBENCH_MIN: Final = {"sqlite": 1.5, "postgresql": 1.0}
COUPONS_PER_SECOND_MIN: Final = 30_000
CHECKS_PER_SECOND_MIN: Final = 10_000
ALONE_P50_MS_MAX: Final = 2.0
ALONE_P99_MS_MAX: Final = 8.0
HOT_TO_SPREAD_MIN: Final = 0.8
ISSUE_TO_REDEEM_MIN: Final = 0.8
ISSUED_PER_SECOND_MIN: Final = 20_000
V11_TO_REDEEM_MIN: Final = {V11_JSON: 0.8, V11_XML: 0.5}
GROWTH_MAX: Final = 1.2


@dataclass
class DatabaseResult:
    """All runs on one database. `pgbench` has the runs that alternated with those of `SPREAD`."""

    kind: str
    runs: list[Run] = field(default_factory=list)
    pgbench: list[PgbenchResult] = field(default_factory=list)
    growth: dict[int, list[Run]] = field(default_factory=dict)
    profile: str = ""
    differences: str = ""

    @property
    def is_true(self) -> bool:
        """Whether the database is as clients were told, and its counters as its redemptions are."""
        return not self.differences and all(run.is_true for run in self.runs)

    def of(self, scenario: Scenario) -> list[Run]:
        return [run for run in self.runs if run.scenario == scenario]

    def per_second(self, scenario: Scenario) -> float | None:
        """The median over the runs of a scenario; None when it was not run."""
        runs = self.of(scenario)
        return median(run.per_second for run in runs) if runs else None

    @property
    def pgbench_per_second(self) -> float | None:
        return median(run.per_second for run in self.pgbench) if self.pgbench else None


@dataclass(frozen=True)
class Goal:
    """A number of the design's section 5 and what was reached."""

    what: str
    goal: str
    reached: str
    is_met: bool


def goals(result: DatabaseResult) -> Iterator[Goal]:
    """Rows 1-7 of the design's section 5, as far as they were measured."""
    spread, yardstick, hot = result.per_second(SPREAD), result.pgbench_per_second, result.per_second(HOT)
    if spread and yardstick:
        least = REDEEM_TO_PGBENCH_MIN[result.kind]
        ratio = spread / yardstick
        what = f"single redeem, 64 connections, against pgbench with {CLIENTS} clients"
        yield Goal(what, f">= {least} x", f"{ratio:.2f} x ({spread:,.0f} / {yardstick:,.0f})", ratio >= least)
    if coupons := result.per_second(HUNDRED):
        is_met = coupons >= COUPONS_PER_SECOND_MIN
        yield Goal("100 coupons per request", f">= {COUPONS_PER_SECOND_MIN:,} coupons/s", f"{coupons:,.0f}", is_met)
    if checks := result.per_second(CHECK):
        yield Goal("check, 64 connections", f">= {CHECKS_PER_SECOND_MIN:,}/s", f"{checks:,.0f}", checks >= CHECKS_PER_SECOND_MIN)
    if alone := result.of(ALONE):
        p50, p99 = median(run.load.p50_ms for run in alone), median(run.load.p99_ms for run in alone)
        is_met = p50 <= ALONE_P50_MS_MAX and p99 <= ALONE_P99_MS_MAX
        wanted = f"p50 <= {ALONE_P50_MS_MAX:g} ms, p99 <= {ALONE_P99_MS_MAX:g} ms"
        yield Goal("single redeem, one client", wanted, f"{p50:.2f} ms, {p99:.2f} ms", is_met)
    if hot and spread:
        reached = f"{hot / spread:.2f} x ({hot:,.0f} / {spread:,.0f})"
        yield Goal("one shared code under a cap", f">= {HOT_TO_SPREAD_MIN} x spread", reached, hot / spread >= HOT_TO_SPREAD_MIN)
    if (issue := result.per_second(ISSUE)) and spread:
        reached = f"{issue / spread:.2f} x ({issue:,.0f} / {spread:,.0f})"
        is_met = issue / spread >= ISSUE_TO_REDEEM_MIN
        yield Goal("single issue, 64 connections", f">= {ISSUE_TO_REDEEM_MIN} x redeem", reached, is_met)
    if issued := result.per_second(ISSUE_SEVERAL):
        is_met = issued >= ISSUED_PER_SECOND_MIN
        yield Goal("issue of 500 per request", f">= {ISSUED_PER_SECOND_MIN:,} coupons/s", f"{issued:,.0f}", is_met)
    for scenario, least in V11_TO_REDEEM_MIN.items():
        if (redeems := result.per_second(scenario)) and spread:
            reached = f"{redeems / spread:.2f} x ({redeems:,.0f} / {spread:,.0f})"
            yield Goal(f"single redeem in {scenario.wire}", f">= {least} x V2", reached, redeems / spread >= least)
    if len(result.growth) > 1:
        few, many = min(result.growth), max(result.growth)
        for name, growth in slowdowns(result.growth[few], result.growth[many]):
            what = f"{name}: {many:,} coupons stored against {few:,}"
            yield Goal(what, f"<= {GROWTH_MAX} x the time", f"{growth:.2f} x", growth <= GROWTH_MAX)


def markdown(about: dict[str, dict[str, str]], command: str, data: str, results: Sequence[DatabaseResult]) -> str:
    """The page that is committed."""
    lines = [f"# {about['run']['date']}: {about['run']['title']}", ""]
    lines += [f"`{command}`", ""]
    lines += [f"- {name}: {value}" for part in ("machine", "versions") for name, value in about[part].items()]
    lines += [f"- data: {data}", ""]
    for result in results:
        lines += [f"## {result.kind}", "", *_goals_table(result), *_runs_table(result), *_complaints(result)]
        lines += ["### Where the time goes", "", *_time_table(result), result.profile or "(to be written)", ""]
    return "\n".join(lines)


def _goals_table(result: DatabaseResult) -> list[str]:
    rows = [f"| {goal.what} | {goal.goal} | {goal.reached} | {'met' if goal.is_met else 'NOT met'} |" for goal in goals(result)]
    return ["| goal | wanted | reached | |", "|---|---|---|---|", *rows, ""] if rows else []


def _runs_table(result: DatabaseResult) -> list[str]:
    lines = ["| scenario | per second | p50 ms | p99 ms | max ms | of pgbench |", "|---|---|---|---|---|---|"]
    yardstick = result.pgbench_per_second
    for run in result.runs:
        ratio = f"{run.per_second / yardstick:.2f} x" if yardstick and run.scenario.kind != "check" else ""
        times = f"{run.load.p50_ms:.2f} | {run.load.p99_ms:.2f} | {run.load.max_ms:.1f}"
        lines.append(f"| {run.scenario.name} | {run.per_second:,.0f} | {times} | {ratio} |")
    lines += [f"| pgbench, {CLIENTS} clients | {run.per_second:,.0f} | mean {run.mean_ms:.2f} | | | |" for run in result.pgbench]
    for count, runs in sorted(result.growth.items()):
        for run in runs:
            times = f"{run.load.p50_ms:.2f} | {run.load.p99_ms:.2f} | {run.load.max_ms:.1f}"
            lines.append(f"| {run.scenario.name} with {count:,} coupons stored | {run.per_second:,.0f} | {times} | |")
    return [*lines, ""]


def _complaints(result: DatabaseResult) -> list[str]:
    runs = [*result.runs, *(run for runs in result.growth.values() for run in runs)]
    stored = sum(run.stored for run in runs)
    found = [f"- {run.scenario.name}: {complaint}" for run in runs for complaint in run.complaints]
    told = sum(run.told for run in runs)
    counters = "WRONG" if result.differences else "right"
    holds = f"the database holds {stored:,}; its counters are {counters} (doctor)"
    summary = f"Clients were told of {told:,} redemptions and issued coupons; {holds}."
    return [summary, "", *found, *([""] if found else [])]


def _time_table(result: DatabaseResult) -> list[str]:
    lines = ["Processor seconds per second; `others` is whatever else ran on the machine and so was missing here.", ""]
    lines += ["| scenario | server | database | load | others | server + database, us each | busiest threads of the server |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for run in result.runs:
        threads = ", ".join(f"{name.split(' (')[0]} {used:.2f}" for name, used in list(run.cpu.threads.items())[:4])
        lines.append(f"| {run.scenario.name} | {_cpu_cells(run.cpu, run.per_second)} | {threads} |")
    lines += [f"| pgbench | {_cpu_cells(run.cpu, run.per_second)} | |" for run in result.pgbench]
    return [*lines, ""]


def _cpu_cells(cpu: CpuUse, per_second: float) -> str:
    each_us = (cpu.server + cpu.database) / per_second * 1e6 if per_second else 0
    return f"{cpu.server:.2f} | {cpu.database:.2f} | {cpu.load:.2f} | {cpu.others:.2f} | {each_us:.0f}"


def as_builtins(results: Sequence[DatabaseResult]) -> list[dict[str, Any]]:
    """Everything measured, for programs."""
    return [
        {
            "database": result.kind,
            "goals": [asdict(goal) for goal in goals(result)],
            "pgbench": [asdict(run) for run in result.pgbench],
            "runs": [run_as_builtins(run) for run in result.runs],
            "growth": {str(count): [run_as_builtins(run) for run in runs] for count, runs in result.growth.items()},
        }
        for result in results
    ]


def run_as_builtins(run: Run) -> dict[str, Any]:
    load = run.load
    return {
        "scenario": run.scenario.name,
        "connections": run.scenario.connections,
        "couponsPerRequest": run.scenario.together,
        "perSecond": round(run.per_second, 1),
        "requests": load.window.answers,
        "seconds": round(load.seconds, 3),
        "p50Ms": load.p50_ms,
        "p90Ms": load.p90_ms,
        "p99Ms": load.p99_ms,
        "maxMs": load.max_ms,
        "statuses": load.all.statuses,
        "codes": load.all.numbers,
        "unanswered": load.unanswered,
        "told": run.told,
        "stored": run.stored,
        "cpu": asdict(run.cpu),
        "complaints": run.complaints,
    }
