"""Whether redeems and reads slow down as coupons pile up."""

from contextlib import ExitStack
from typing import Final

from bench import reads
from bench.data import Coupons
from bench.installation import Installation
from bench.scenarios import SPREAD, Pace, Run, Runner

FEW_COUPONS: Final = 100_000
# Imported in files of this many rows.
FILE_ROWS: Final = 1_000_000


def grown(installation: Installation, many: int) -> Installation:
    """The same with so many coupons."""
    missing = many - installation.size.coupons
    for at in range(0, missing, FILE_ROWS):
        installation.add(Coupons(f"G{_letters(at // FILE_ROWS)}", min(FILE_ROWS, missing - at), installation.size))
    installation.couponry.settle()
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


def _letters(number: int) -> str:
    return "".join(chr(ord("A") + int(digit)) for digit in str(number))
