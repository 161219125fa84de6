"""A worker in a process of its own beside the one that started it: a bulk job must not share a till's interpreter.

It hangs on its standard input, whose other end only the parent holds, so that it never outlives it. One that dies is started
again, ever more slowly if it does so at once; where there is another, its place is taken as soon as that one ends.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import structlog

log = structlog.get_logger()

_AGAIN_S: Final = 2.0
_AGAIN_S_MAX: Final = 60.0
_WELL_S: Final = 60.0
_TAKEN_S: Final = 5.0
_STOP_S_MAX: Final = 15
COMMAND: Final = (sys.executable, "-m", "couponry", "worker", "--with-parent")
ONE_IS_THERE: Final = 3
"""What a worker exits with when the database has its worker already."""


@contextmanager
def beside(environ: Mapping[str, str]) -> Iterator[None]:
    """A worker for as long as the block lasts, with these variables beside those of this process."""
    stop = threading.Event()
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        command, variables = COMMAND, {**os.environ, **environ}
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, env=variables, start_new_session=True))  # noqa: S603 - ourselves
        return started[-1]

    def keep(process: subprocess.Popen[bytes]) -> None:
        again_s = _AGAIN_S
        while True:
            began_s = time.monotonic()
            code = process.wait()
            is_taken = code == ONE_IS_THERE
            if is_taken or time.monotonic() - began_s > _WELL_S:
                again_s = _AGAIN_S
            if stop.wait(_TAKEN_S if is_taken else again_s):
                return
            if not is_taken:
                log.warning("worker_died", status=code)
                again_s = min(2 * again_s, _AGAIN_S_MAX)
            process = start()

    # The first is started here: a server forks meanwhile, and its child would hold open the pipe that starting one waits for.
    keeper = threading.Thread(target=keep, args=(start(),), name="worker-keeper", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        stop.set()
        for process in started[-1:]:
            assert process.stdin, "it was asked for"
            process.stdin.close()
            try:
                process.wait(_STOP_S_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
