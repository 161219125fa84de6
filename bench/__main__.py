"""`python -m bench`: measure on SQLite and PostgreSQL, print the table, and keep it under `bench/results/`."""

import argparse
import datetime as dt
import json
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench import console, deliveries, exports, growth, issues, jobs, report, uploads
from bench.data import Coupons, Size
from bench.installation import Installation, installed
from bench.load import BUILD, compiled
from bench.machine import CpuUse, machine, short_name, versions
from bench.pgbench import WARMUP_S, run_pgbench
from bench.profiling import Recording
from bench.scenarios import SCENARIOS, SPREAD, Pace, Run, Runner
from tests.databases import DURABLE, PostgresServer, fresh_sqlite, postgresql_binary

RESULTS: Final = Path(__file__).with_name("results")
PGBENCH_PER_SECOND_MAX: Final = 12_000
KINDS: Final = ("sqlite", "postgresql")
# Durable as by default; with memory for the data; and without a checkpoint in the seconds of a run: the whole pages that
# PostgreSQL logs after one are shared by many more redemptions in a day than in a run.
SERVER: Final = {**DURABLE, "shared_buffers": "1GB", "max_wal_size": "16GB", "checkpoint_timeout": "1h"}

SETTINGS: Final = ", ".join(f"{name}={value}" for name, value in SERVER.items()) + "; fsync and all else by default"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less data and shorter runs, to try it; keeps no result")
    parser.add_argument("--only", choices=KINDS, help="one database")
    parser.add_argument("--scenario", action="append", choices=[scenario.name for scenario in SCENARIOS], help="some of them")
    parser.add_argument("--no-pgbench", action="store_true", help="without the yardstick")
    parser.add_argument("--profile", action="store_true", help="another run of redeem-64 under py-spy")
    parser.add_argument("--growth", type=int, default=0, metavar="COUPONS", help="redeem with 100,000 and then so many stored")
    parser.add_argument("--issue", type=int, default=0, metavar="CUSTOMERS", help="only issue a coupon to each of so many")
    parser.add_argument("--upload", type=int, default=0, metavar="ROWS", help="only upload so many codes, then tagged ones")
    parser.add_argument("--export", type=int, default=0, metavar="COUPONS", help="only export so many, as CSV and as Parquet")
    parser.add_argument("--deliver", type=int, default=0, metavar="N", help="only deliver so many events, SMS and e-mails")
    parser.add_argument(
        "--console",
        type=int,
        nargs="?",
        const=10_000_000,
        default=0,
        metavar="COUPONS",
        help="only time the pages of the console",
    )
    parser.add_argument("--seconds", type=float, help="length of each run")
    parser.add_argument("--title", default="redeem and check over HTTP", help="what the page of results is called")
    return parser.parse_args()


def pace_of(options: argparse.Namespace) -> Pace:
    pace = Pace(0.5, 2, 1) if options.quick else Pace(1, 6, 3)
    return Pace(pace.warmup_s, options.seconds or pace.seconds, pace.pairs)


def say(text: str) -> None:
    print(text, flush=True)


def _cpu(cpu: CpuUse) -> str:
    return f"CPU server {cpu.server:.2f} database {cpu.database:.2f} load {cpu.load:.2f} others {cpu.others:.2f}"


class Bench:
    """Everything measured in one go, beside one PostgreSQL server that holds the yardstick's database."""

    def __init__(self, options: argparse.Namespace, folder: Path, server: PostgresServer) -> None:
        self.options = options
        self.folder = folder
        self.server = server
        self.pace = pace_of(options)
        self.size = Size(5_000, 20, 20_000) if options.quick else Size()
        self.scenarios = [scenario for scenario in SCENARIOS if not options.scenario or scenario.name in options.scenario]
        self.yardstick: Installation | None = None
        self.yardstick_runs = 0

    def measured(self, kind: str) -> report.DatabaseResult:
        """One database from nothing, served by one fresh process."""
        result = report.DatabaseResult(kind)
        is_beside_pgbench = SPREAD in self.scenarios and not self.options.no_pgbench
        if is_beside_pgbench and self.yardstick is None:
            say("loading the data for pgbench")
            self.yardstick = installed(self.server.create_database("yardstick"), self.folder, self.size)
        say(f"loading the data on {kind}")
        installation = installed(self._database(kind, "bench"), self.folder, self.size)
        with installation.couponry.serving():
            runner = Runner(installation, self.pace, self.server.pid)
            for scenario in self.scenarios:
                for _ in range(self.pace.pairs if scenario == SPREAD else 1):
                    result.runs.append(self._said(runner.run(scenario)))
                    if scenario == SPREAD and is_beside_pgbench:
                        self._lay_yardstick(result)
            if self.options.profile:
                result.profile = self._profiled(runner, kind)
            result.differences = installation.couponry.differences()
            if result.differences:
                say(result.differences)
        if self.options.growth:
            say(f"growing {kind}")
            small = Size(self.size.customers, self.size.series, growth.FEW_COUPONS)
            few = installed(self._database(kind, "few"), self._folder("few"), small)
            many = growth.grown(installed(self._database(kind, "many"), self._folder("many"), small), self.options.growth)
            result.growth = growth.measured({growth.FEW_COUPONS: few, self.options.growth: many}, self.pace, self.server.pid)
            for runs in result.growth.values():
                for run in runs:
                    self._said(run)
        return result

    def _folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def _database(self, kind: str, name: str) -> str:
        return fresh_sqlite(self.folder, name) if kind == "sqlite" else self.server.create_database(name)

    def _lay_yardstick(self, result: report.DatabaseResult) -> None:
        """A run of pgbench with coupons of its own."""
        assert self.yardstick is not None
        count = round(PGBENCH_PER_SECOND_MAX * (WARMUP_S + max(1, self.pace.seconds)))
        coupons = self.yardstick.add(Coupons(f"P{chr(ord('A') + self.yardstick_runs)}", count, self.size))
        self.yardstick.couponry.settle()
        bench = run_pgbench(self.yardstick, coupons, self.yardstick_runs * count, self.pace.seconds, self.server.pid)
        self.yardstick_runs += 1
        result.pgbench.append(bench)
        say(f"  {'pgbench':<20}{bench.per_second:>9,.0f}/s  mean {bench.mean_ms:.2f} ms  {_cpu(bench.cpu)}")

    @staticmethod
    def _said(run: Run) -> Run:
        times = f"p50 {run.load.p50_ms:.2f} p99 {run.load.p99_ms:.2f} ms"
        say(f"  {run.scenario.name:<20}{run.per_second:>9,.0f}/s  {times}  {_cpu(run.cpu)}")
        for complaint in run.complaints:
            say(f"    ! {complaint}")
        return run

    def _profiled(self, runner: Runner, kind: str) -> str:
        """`SPREAD` twice more under py-spy, which slows it: what ran, and what held the interpreter's lock."""
        parts = []
        for title, only_gil in (("Running, waiting for the interpreter's lock included", False), ("Holding the lock", True)):
            out = BUILD / f"profile-{kind}{'-gil' if only_gil else ''}.txt"
            pid = runner.installation.couponry.pid
            assert pid is not None
            recording = Recording(pid, out, self.pace.warmup_s + self.pace.seconds, only_gil=only_gil)
            self._said(runner.run(SPREAD, recording))
            parts.append(f"#### {title}\n\n{recording.functions}")
        say("\n".join(parts))
        return "\n".join(parts)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder on the disk that is measured, gone afterwards; SIGTERM ends the run in order, so that nothing is left behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=BUILD) as folder:
        yield Path(folder)


def keep(options: argparse.Namespace, bench: Bench, results: list[report.DatabaseResult]) -> None:
    """Print the page, and write it where results are committed (a quick run: where they are not)."""
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    about = {
        "run": {"date": today, "title": options.title},
        "machine": machine(),
        "versions": {
            **versions(postgresql_binary("postgres")),
            "postgresql settings": SETTINGS,
        },
    }
    size, pace = bench.size, bench.pace
    data = (
        f"{size.coupons:,} coupons of {size.customers:,} customers in {size.series} series, and fresh coupons for each run; "
        f"runs of {pace.seconds:g} s after {pace.warmup_s:g} s; medians of {pace.pairs} for redeem-64 and pgbench, in turn"
    )
    command = shlex.join(["python", "-m", "bench", *sys.argv[1:]])
    page = report.markdown(about, command, data, results)
    folder = BUILD if options.quick or options.only or options.scenario else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{today}-{short_name()}"
    (folder / f"{name}.md").write_text(page)
    whole = {**about, "command": command, "data": data, "databases": report.as_builtins(results)}
    (folder / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n")
    say(page)
    say(f"written to {(folder / name).relative_to(BUILD.parents[1])}.md and .json")


def bulk(options: argparse.Namespace, folder: Path, server: PostgresServer) -> int:
    """Measure what jobs do, instead of requests."""
    measured: list[jobs.Measured] = []
    for name, count, scenario in (
        ("issue", options.issue, issues.measured),
        ("upload", options.upload, uploads.measured),
        ("export", options.export, exports.measured),
    ):
        for kind in [options.only] if options.only else KINDS:
            if count:
                url = fresh_sqlite(folder, name) if kind == "sqlite" else server.create_database(name)
                measured += scenario(count, kind, url, folder)
    return jobs.keep(measured, SETTINGS, RESULTS)


def main() -> int:
    """Measure and report. Fails only when the database is not as clients were told."""
    options = arguments()
    compiled()
    with scratch() as folder, PostgresServer(SERVER) as server:
        if options.issue or options.upload or options.export:
            return bulk(options, folder, server)
        if options.deliver:
            return deliveries.run(options.deliver, [options.only] if options.only else KINDS, folder, server, RESULTS)
        if options.console:
            return console.run(options.console, (options.only,) if options.only else KINDS, folder, server, RESULTS)
        bench = Bench(options, folder, server)
        results = [bench.measured(kind) for kind in ([options.only] if options.only else KINDS)]
        keep(options, bench, results)
    return 0 if all(result.is_true for result in results) else 1


sys.exit(main())
