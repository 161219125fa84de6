"""Whether redeems and reads slow down as coupons pile up."""

from typing import Final

from bench import reads
from bench.data import Coupons
from bench.installation import Installation
from bench.scenarios import SPREAD, Pace, Run, Runner

FEW_COUPONS: Final = 100_000
# Imported in files of this many rows.
FILE_ROWS: Final = 1_000_000


def measured(installation: Installation, pace: Pace, database_pid: int | None, many: int) -> dict[int, list[Run]]:
    """Runs of a single redeem, and of each read, by the number of coupons stored: few, then many."""
    with installation.couponry.serving():
        runner, readers = Runner(installation, pace, database_pid), reads.Readers(installation)

        def runs() -> list[Run]:
            return [runner.run(SPREAD) for _ in range(pace.pairs)] + reads.measured(readers, pace, database_pid)

        found = {FEW_COUPONS: runs()}
        missing = many - FEW_COUPONS
        for at in range(0, missing, FILE_ROWS):
            installation.add(Coupons(f"G{_letters(at // FILE_ROWS)}", min(FILE_ROWS, missing - at), installation.size))
        found[many] = runs()
    return found


def _letters(number: int) -> str:
    return "".join(chr(ord("A") + int(digit)) for digit in str(number))
