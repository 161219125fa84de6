"""Where the server's time goes: py-spy samples of all its threads, as a file for speedscope and as a list of functions."""

import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Final, Self

SAMPLES_PER_SECOND: Final = 200
FUNCTIONS_SHOWN: Final = 18
LEAST_SHARE: Final = 0.02
# The way to the work, not the work: below nearly every sample of a thread.
SCAFFOLDING: Final = re.compile(
    r"granian/server/|multiprocessing/|threading\.py|typer/|click/|couponry/(cli|main\.py|api/server\.py)|<module>"
)


class Recording:
    """A py-spy that watches a server and its children for some seconds of the block."""

    def __init__(self, pid: int, out: Path, seconds: float, *, only_gil: bool) -> None:
        self.out = out
        self.functions = ""
        command = [str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(pid), "--subprocesses", "--threads"]
        command += ["--format", "raw", "--rate", str(SAMPLES_PER_SECOND), "--duration", str(max(1, round(seconds)))]
        self._command = [*command, "--nonblocking", "--output", str(out), *(["--gil"] if only_gil else [])]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.out.unlink(missing_ok=True)
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for its end, and list the functions that took the most, by thread, as Markdown."""
        assert self._process is not None
        errors = self._process.communicate()[1]
        is_done = self.out.exists()
        self.functions = top_functions(self.out.read_text()) if is_done else f"py-spy failed: {errors.decode()[-500:]}"


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
        for frame in {_function(frame) for frame in frames[1:] if not SCAFFOLDING.search(frame)}:
            total[thread][frame] += int(count)
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
        lines += ["", "| total | function |", "|---|---|"]
        lines += [f"| {count / everything:.1%} | {function} |" for function, count in total[thread].most_common(FUNCTIONS_SHOWN)]
        lines.append("")
    return "\n".join(lines)


def _function(frame: str) -> str:
    """`name (path/file.py:12)` without the line and without the way to the file."""
    name, _, place = frame.partition(" (")
    return f"{name} ({'/'.join(place.rpartition(':')[0].split('/')[-2:])})" if place else name
