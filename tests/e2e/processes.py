"""Processes that tests start, and that never outlive them."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

WAIT_S: Final = 40
# Ends a whole process group once whoever holds its input open is gone.
GUARD: Final = 'read -r _; kill -KILL -- "-$1"'


def wait_until(is_so: Callable[[], bool], what: str, seconds: float = WAIT_S) -> None:
    """Wait for something that other processes bring about."""
    deadline_s = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline_s, f"never: {what}"
        time.sleep(0.02)


class ProcessGroup:
    """A command and all that it starts. The block's end kills what is left of it; should the test die, a guard does."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path | None = None) -> None:
        with log.open("ab") as out:
            self.main = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=folder, start_new_session=True
            )
        self.id = self.main.pid
        guard = ["sh", "-c", GUARD, "sh", str(self.id)]
        self._guard = subprocess.Popen(guard, stdin=subprocess.PIPE, start_new_session=True, cwd="/")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()

    @property
    def processes(self) -> set[int]:
        """Those alive, from /proc; one that only waits to be reaped is not."""
        found = set()
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(group) == self.id and state != "Z":
                found.add(int(stat.parent.name))
        return found

    @property
    def children(self) -> set[int]:
        """Those that the command has started."""
        return self.processes - {self.id}

    def terminate(self) -> int:
        """SIGTERM to the command alone, as a service manager sends it; its exit code once all are gone."""
        self.main.send_signal(signal.SIGTERM)
        code = self.main.wait(WAIT_S)
        self.await_end()
        return code

    def kill(self) -> None:
        """SIGKILL to all at once."""
        if self.processes:
            os.killpg(self.id, signal.SIGKILL)
        self.await_end()

    def await_end(self) -> None:
        """Wait until no process is left."""
        self.main.wait(WAIT_S)
        wait_until(lambda: not self.processes, f"the end of all processes of group {self.id}")
        if self._guard.poll() is None:
            self._guard.kill()
            self._guard.communicate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
