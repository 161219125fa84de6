"""The yardstick: pgbench with the same reads, locks and writes, one transaction at a time per client (`pgbench_redeem.sql`)."""

import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Final

from bench.data import FIRST_MOBILE, Coupons
from bench.installation import Installation
from bench.machine import CpuUse, cpu_used
from tests.databases import postgresql_binary

SCRIPT: Final = Path(__file__).with_name("pgbench_redeem.sql")
CLIENTS: Final = 32
THREADS: Final = 2
# Beyond all ids that the installation itself hands out for redemptions.
FIRST_REDEMPTION: Final = (1 << 52) + (1 << 50)
# Left out of the figure, as the server's first second is: caches fill and plans are made.
WARMUP_S: Final = 1


@dataclass(frozen=True)
class PgbenchResult:
    """Committed transactions per second, each one redemption, and how long one took on average."""

    transactions: int
    per_second: float
    mean_ms: float
    cpu: CpuUse


def run_pgbench(installation: Installation, coupons: Coupons, first: int, seconds: float, database_pid: int) -> PgbenchResult:
    """Redeem the coupons of a batch for some seconds after the warm-up. `first`: redemptions that earlier runs may have made."""
    variables = {
        "org": installation.org_id,
        "till": installation.till_id,
        "store": installation.store_id,
        "batch": coupons.name,
        "size": coupons.count,
        "customers": coupons.size.customers,
        "first_mobile": FIRST_MOBILE,
        "first_redemption": FIRST_REDEMPTION + first,
        "at": int(time.time() * 1000),
        "n": 0,
    }
    command = [str(postgresql_binary("pgbench")), "--no-vacuum", "--protocol=prepared", f"--file={SCRIPT}"]
    command += [f"--client={CLIENTS}", f"--jobs={THREADS}", f"--time={WARMUP_S + max(1, round(seconds))}"]
    command += ["--progress=1"]
    command += [f"--define={name}={value}" for name, value in variables.items()]
    with cpu_used(None, database_pid) as cpu:
        done = subprocess.run([*command, installation.couponry.database_url], check=False, capture_output=True, text=True)
    if done.returncode != 0 or (failed := _number(done.stdout, r"failed transactions: (\d+)")):
        raise RuntimeError(f"pgbench failed ({failed if done.returncode == 0 else done.returncode}):\n{done.stderr[:2000]}")
    rates = re.findall(r"^progress: .*?, ([\d.]+) tps", done.stderr, re.MULTILINE)
    return PgbenchResult(
        transactions=int(_number(done.stdout, r"actually processed: (\d+)")),
        per_second=fmean(float(rate) for rate in rates[WARMUP_S:]),
        mean_ms=_number(done.stdout, r"latency average = ([\d.]+) ms"),
        cpu=cpu,
    )


def _number(text: str, pattern: str) -> float:
    found = re.search(pattern, text)
    assert found, f"pgbench says nothing like {pattern}:\n{text}"
    return float(found[1])
