"""A worker in a process of its own beside the one that started it: a bulk job must not share a till's interpreter.

It hangs on its standard input, whose other end only the parent holds, so that it never outlives it. One that dies is started
again.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import structlog

log = structlog.get_logger()

_AGAIN_S: Final = 2.0
_STOP_S_MAX: Final = 15
COMMAND: Final = (sys.executable, "-m", "couponry", "worker", "--with-parent")
ONE_IS_THERE: Final = 3
"""What a worker exits with when the database has its worker already."""


@contextmanager
def beside(environ: Mapping[str, str]) -> Iterator[None]:
    """A worker for as long as the block lasts, with these variables beside those of this process."""
    stop = threading.Event()
    started: list[subprocess.Popen[bytes]] = []

    def keep() -> None:
        while not stop.is_set():
            process = subprocess.Popen(  # noqa: S603 - ourselves
                COMMAND, stdin=subprocess.PIPE, env={**os.environ, **environ}, start_new_session=True
            )
            started.append(process)
            code = process.wait()
            if code == ONE_IS_THERE or stop.wait(_AGAIN_S):
                return
            log.warning("worker_died", status=code)

    keeper = threading.Thread(target=keep, name="worker-keeper", daemon=True)
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
