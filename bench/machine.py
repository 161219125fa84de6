"""What the figures were measured on, and who used the processors meanwhile."""

import os
import platform
import re
import resource
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
ROOT: Final = Path(__file__).parents[1]


@dataclass
class CpuUse:
    """Processor seconds per second of a run: 1.0 is one core. `others` is whatever is not ours: the run was disturbed by that."""

    server: float = 0
    database: float = 0
    load: float = 0
    others: float = 0
    threads: dict[str, float] = field(default_factory=dict)


def machine() -> dict[str, str]:
    """Processor, memory and disk."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return {
        "processor": model[1] if model else platform.processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{int(memory[1]) / 2**20:.0f} GiB" if memory else "unknown",
        "disk": f"{fsyncs_per_second():.0f} fdatasync/s of 8 KiB each, one at a time",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
    }


def short_name() -> str:
    """A few letters for a file name."""
    here = machine_words()
    return f"{here}-{os.cpu_count()}c"


def machine_words() -> str:
    """The processor's model as a word."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    words = re.findall(r"[a-z0-9]+", (model[1] if model else platform.machine()).lower())
    return "-".join(words[:3])


def fsyncs_per_second(seconds: float = 1.0) -> float:
    """How often the disk makes 8 KiB durable, one after the other: the most commits per second without group commit."""
    with tempfile.NamedTemporaryFile() as scratch:
        os.write(scratch.fileno(), bytes(2**22))
        os.fsync(scratch.fileno())
        count, start = 0, time.perf_counter()
        while (taken := time.perf_counter() - start) < seconds:
            os.pwrite(scratch.fileno(), b"\1" * 8192, count % 512 * 8192)
            os.fdatasync(scratch.fileno())
            count += 1
    return count / taken


def versions(postgres: Path) -> dict[str, str]:
    """Of everything that takes part."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, check=True, capture_output=True, text=True)
    postgresql = subprocess.run([str(postgres), "--version"], check=True, capture_output=True, text=True)
    return {
        "couponry": commit.stdout.strip(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "postgresql": postgresql.stdout.split()[-1],
    }


@contextmanager
def cpu_used(server_pid: int | None, database_pid: int | None) -> Iterator[CpuUse]:
    """Who uses the processors while the block runs; the load generator is the block's own child."""
    use = CpuUse()
    start, before = time.perf_counter(), _Ticks(server_pid, database_pid)
    yield use
    after, seconds = _Ticks(server_pid, database_pid), time.perf_counter() - start
    use.server = (after.server - before.server) / seconds
    use.database = (after.database - before.database) / seconds
    use.load = (after.load - before.load) / seconds
    busy = (after.busy - before.busy) / seconds
    use.others = max(0.0, busy - use.server - use.database - use.load)
    spent = {name: (ticks - before.threads.get(name, 0)) / seconds for name, ticks in after.threads.items()}
    use.threads = {name: used for name, used in sorted(spent.items(), key=lambda item: -item[1]) if used >= 0.01}


class _Ticks:
    """Processor seconds used so far."""

    def __init__(self, server_pid: int | None, database_pid: int | None) -> None:
        children = _children()
        self.threads = dict(_threads(_tree(server_pid, children))) if server_pid else {}
        self.server = sum(self.threads.values())
        self.database = sum(_process_seconds(pid) for pid in _tree(database_pid, children)) if database_pid else 0.0
        own = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        self.load = sum(use.ru_utime + use.ru_stime for use in own)
        # Without interrupts, which are ours too and in nobody's account.
        self.busy = sum(map(int, Path("/proc/stat").read_text().split(maxsplit=4)[1:4])) / TICKS_PER_SECOND


def processes_below(pid: int, word: str) -> list[int]:
    """Those that a process has started, and those have, with this word in their command line."""
    words = {found: Path(f"/proc/{found}/cmdline").read_bytes().split(b"\0") for found in _tree(pid, _children())}
    return [found for found, said in words.items() if word.encode() in said]


def _children() -> dict[int, list[int]]:
    """Every process by its parent."""
    found: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        if fields := _stat(path):
            found.setdefault(int(fields[1]), []).append(int(path.parent.name))
    return found


def _tree(pid: int, children: dict[int, list[int]]) -> Iterator[int]:
    yield pid
    for child in children.get(pid, ()):
        yield from _tree(child, children)


def _threads(pids: Iterator[int]) -> Iterator[tuple[str, float]]:
    """Each thread of some processes with its own processor seconds."""
    for at, pid in enumerate(pids):
        for path in Path(f"/proc/{pid}/task").glob("*/stat"):
            if fields := _stat(path):
                name = (path.parent / "comm").read_text().strip()
                yield f"{name} ({at}.{path.parent.name})", (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def _process_seconds(pid: int) -> float:
    """Of a process and of those of its children that have ended."""
    fields = _stat(Path(f"/proc/{pid}/stat"))
    return sum(map(int, fields[11:15])) / TICKS_PER_SECOND if fields else 0.0


def _stat(path: Path) -> list[str]:
    """The fields of a stat file from the third on (the second is a name in brackets); none when the process has gone."""
    try:
        return path.read_text().rpartition(")")[2].split()
    except OSError:
        return []
