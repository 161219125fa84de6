"""Whether redeems and reads slow down as coupons pile up."""

import time
from contextlib import ExitStack
from typing import Final

from bench import reads
from bench.fill import fill
from bench.installation import Installation
from bench.scenarios import SPREAD, Pace, Run, Runner

FEW_COUPONS: Final = 100_000


def grown(installation: Installation, many: int) -> Installation:
    """The same with so many coupons."""
    couponry, size = installation.couponry, installation.size
    fill(couponry, installation.org_id, size, many - size.coupons, time.time_ns() // 1_000_000)
    couponry.settle()
    return installation


def measured(installations: dict[int, Installation], pace: Pace, database_pid: int | None) -> dict[int, list[Run]]:
    """Runs of a single redeem, and of each read, by the number of coupons stored; in turn, so that all have the same weather."""
    found: dict[int, list[Run]] = {count: [] for count in installations}
    with ExitStack() as serving:
        prepared = []
        for count, installation in installations.items():
            serving.enter_context(installation.couponry.serving())
            prepared.append((count, Runner(installation, pace, database_pid), reads.Readers(installation)))
        for _ in range(pace.pairs):
            for count, runner, readers in prepared:
                found[count].append(runner.run(SPREAD))
                found[count] += reads.measured(readers, Pace(pace.warmup_s, pace.seconds, 1), database_pid)
    return found
