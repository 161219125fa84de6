"""Where the server's time goes: py-spy samples of all its threads, as a file for speedscope and as a list of functions."""

import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Final

SAMPLES_PER_SECOND: Final = 200
FUNCTIONS_SHOWN: Final = 18
LEAST_SHARE: Final = 0.02


class Recording:
    """A py-spy that watches a server and its children, from `start` for some seconds."""

    def __init__(self, pid: int, out: Path, seconds: float, *, only_gil: bool) -> None:
        self.out = out
        command = [str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(pid), "--subprocesses", "--threads"]
        command += ["--format", "raw", "--rate", str(SAMPLES_PER_SECOND), "--duration", str(max(1, round(seconds)))]
        command += ["--nonblocking", "--output", str(out), *(["--gil"] if only_gil else [])]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def finish(self) -> str:
        """Wait for its end; the functions that took the most, by thread, as Markdown."""
        _, errors = self._process.communicate()
        if not self.out.exists():
            return f"py-spy failed: {errors.decode()[-500:]}"
        return top_functions(self.out.read_text())


def top_functions(raw: str) -> str:
    """Per thread: the functions that ran, alone (self) and with what they called (total), in parts of all samples."""
    own: dict[str, Counter[str]] = defaultdict(Counter)
    total: dict[str, Counter[str]] = defaultdict(Counter)
    samples: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [frame for frame in stack.split(";") if not frame.startswith("process ")]
        thread, functions = frames[0], [_function(frame) for frame in frames[1:]]
        if not functions:
            continue
        samples[thread] += int(count)
        own[thread][functions[-1]] += int(count)
        for function in set(functions):
            total[thread][function] += int(count)
    everything = sum(samples.values()) or 1
    lines: list[str] = []
    for thread, seen in samples.most_common():
        if seen / everything < LEAST_SHARE:
            continue
        lines += [f"{thread}: {seen / everything:.0%} of all samples", "", "| self | total | function |", "|---|---|---|"]
        lines += [
            f"| {count / everything:.1%} | {total[thread][function] / everything:.1%} | {function} |"
            for function, count in own[thread].most_common(FUNCTIONS_SHOWN)
        ]
        lines += ["", "By total:", "", "| total | function |", "|---|---|"]
        lines += [
            f"| {count / everything:.1%} | {function} |" for function, count in total[thread].most_common(FUNCTIONS_SHOWN * 2)
        ]
        lines.append("")
    return "\n".join(lines)


def _function(frame: str) -> str:
    """`name (path/file.py:12)` without the line and without the way to the file."""
    name, _, place = frame.partition(" (")
    return f"{name} ({'/'.join(place.rpartition(':')[0].split('/')[-2:])})" if place else name
