"""`python -m bench.codes`: how many codes one core makes a second. The table goes to stderr, one JSON object to stdout.

Measured is what an issue asks for: the finished list of strings, affixes and all. Processor time of the one thread is what counts
(the machine may be busy with other things); the time on the wall stands beside it.
"""

import json
import platform
import sys
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from statistics import median
from typing import Final

from bench.machine import machine
from couponry.core.generation import ALPHANUMERIC, DIGITS, UNAMBIGUOUS, CodeMaker, CodeShape

PER_SECOND_MIN: Final = 1_000_000
ALPHABETS: Final = {"alphanumeric": ALPHANUMERIC, "unambiguous": UNAMBIGUOUS, "digits": DIGITS}
LENGTHS: Final = (8, 10, 12, 16, 24, 40)
WITH_GOAL: Final = (8, 10, 12, 16)
CODES: Final = 1_000_000
# As many as one transaction of bulk issue takes at once.
BLOCK: Final = 10_000
RUNS: Final = 5


@dataclass(frozen=True)
class Rate:
    alphabet: str
    length: int
    per_cpu_second: int
    per_wall_second: int


def measured(alphabet: str, length: int) -> Rate:
    """The median over some runs."""
    shape = CodeShape(ALPHABETS[alphabet], length)
    maker = CodeMaker(bytes(32), 5001, shape)
    cpu, wall = [], []
    for run in range(RUNS):
        first = run * CODES % (shape.capacity - CODES)
        started_cpu, started = time.thread_time(), time.perf_counter()
        for start in range(first, first + CODES, BLOCK):
            maker.codes(start, BLOCK)
        cpu.append(time.thread_time() - started_cpu)
        wall.append(time.perf_counter() - started)
    return Rate(alphabet, length, round(CODES / median(cpu)), round(CODES / median(wall)))


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Fails when the goal is missed."""
    say(f"| alphabet | length | codes per second of processor time | per second on the wall |\n|{'---|' * 4}")
    rates = []
    for alphabet in ALPHABETS:
        for length in LENGTHS:
            rate = measured(alphabet, length)
            say(f"| {alphabet} | {length} | {rate.per_cpu_second:,} | {rate.per_wall_second:,} |")
            rates.append(rate)
    is_met = all(rate.per_cpu_second >= PER_SECOND_MIN for rate in rates if rate.length in WITH_GOAL)
    here = machine()
    about = {
        "processor": here["processor"],
        "system": here["system"],
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "cryptography")},
    }
    goal = {"per_second_min": PER_SECOND_MIN, "lengths": WITH_GOAL, "is_met": is_met}
    print(json.dumps({"about": about, "goal": goal, "block": BLOCK, "rates": [asdict(rate) for rate in rates]}, indent=1))
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
