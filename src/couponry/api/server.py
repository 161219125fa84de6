"""Worker processes: how they start, how they stop, and that none is left behind.

Granian binds a socket per worker and runs our ASGI application on uvloop. What it does at SIGTERM or SIGINT alone would be hard
on clients: it stops accepting at once. So its workers run on `DrainingLoop`, which puts a drain between the signal and Granian:

1. The signal reaches the main process, which passes SIGTERM on to each worker (a terminal or a service manager may signal the
   workers itself; a second signal changes nothing).
2. The worker's loop runs the application's drain instead of Granian's handler. The ledger refuses new work, so every request that
   arrives from here on, over open keep-alive connections and new ones, is answered 790 with `Retry-After: 1` and
   `Connection: close`. Commands in flight are decided, committed and answered.
3. For at least `DRAIN_NOTICE_MS` the worker goes on answering 790, so that requests already under way to it find somebody, and a
   load balancer that asks `/readyz` hears of it.
4. Then Granian's own handler runs: it stops accepting, lets each open connection finish the request it is in, closes idle ones,
   and ends the ASGI lifespan. A connection accepted by the kernel in that very moment, and not yet by us, is reset; nobody can
   tell the kernel otherwise.
5. A worker that is not gone after `DRAIN_MS_MAX` is killed. Its transactions were over or are undone by the database.

Should the main process die without a word, each worker sees the end of a pipe that only the main process holds open for writing,
drains without notice, and exits.
"""

import asyncio
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVarTuple

import structlog
import uvloop
from granian import Granian, loops
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels

from couponry.core.limits import DRAIN_MS_MAX, DRAIN_NOTICE_MS, REQUEST_BODY_BYTES_MAX, REQUEST_READ_MS_MAX

_BIND_TRIES: Final = 20
_BIND_AGAIN_S: Final = 0.1
_ASK_AGAIN_S: Final = 0.02
_BACKLOG: Final = 2048
_HEADERS_BYTES_MAX: Final = 64 * 1024

Drain = Callable[[int], Awaitable[None]]
"""Refuses new work, finishes what was begun, and goes on refusing for at least so many milliseconds."""
Ts = TypeVarTuple("Ts")

log = structlog.get_logger()


class AddressTaken(Exception):
    """Somebody else listens there."""


class DrainingLoop(uvloop.Loop):
    """A loop that drains before it does what its signals are to do. The application sets `drain` when it starts.

    Signals come in through `told`, by a plain handler of the process: uvloop's own hears nothing while the loop is not running,
    and Granian runs it twice, once to start the application and once to serve.
    """

    drain: Drain | None = None
    _stop: Callable[[], object] | None = None
    _stopping: asyncio.Task[None] | None = None

    def __init__(self, told: list[int]) -> None:
        super().__init__()
        self._told = told

    def add_signal_handler(self, sig: int, callback: Callable[[*Ts], object], *args: *Ts) -> None:
        """Remember what to do at the end; it is the same for every signal."""
        self._stop = lambda: callback(*args)
        if self._told:
            self.call_soon(self.stop_gently, 0)

    def stop_gently(self, notice_ms: int) -> None:
        """Begin to stop; further calls change nothing."""
        self._stopping = self._stopping or self.create_task(self._drain_and_stop(notice_ms))

    async def _drain_and_stop(self, notice_ms: int) -> None:
        try:
            if self.drain:
                await asyncio.wait_for(self.drain(notice_ms), DRAIN_MS_MAX / 1000)
        except TimeoutError:
            log.warning("drain_unfinished")
        finally:
            if self._stop:
                self._stop()


class Signals:
    """SIGTERM and SIGINT of a worker process, from its first moment on."""

    def __init__(self) -> None:
        self._told: list[int] = []
        self._loop: DrainingLoop | None = None

    def listen(self) -> None:
        """Take over from the main process' handlers, which a forked worker starts with and which would swallow the signal."""
        for stop in (signal.SIGTERM, signal.SIGINT):
            signal.signal(stop, self._hear)

    def loop(self) -> DrainingLoop:
        """The worker's loop, which is told of every signal, also of those that came before it."""
        self._loop = DrainingLoop(self._told)
        return self._loop

    def _hear(self, heard: int, _frame: object) -> None:
        self._told.append(heard)
        if self._loop:
            self._loop.call_soon_threadsafe(self._loop.stop_gently, DRAIN_NOTICE_MS)


def claimed_port(host: str, port: int) -> int:
    """The port to listen on, 0 being any free one. Raises AddressTaken if somebody listens there already.

    Workers share a port (SO_REUSEPORT), and would share it with a stranger's too; so this looks first. A server that has just
    been killed may need a moment to let go.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    problem = ""
    for _attempt in range(_BIND_TRIES):
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                return int(probe.getsockname()[1])
            except OSError as error:
                problem = error.strerror or str(error)
        time.sleep(_BIND_AGAIN_S)
    raise AddressTaken(f"cannot listen on {host}:{port}: {problem}")


def serve(load: Callable[[], Any], *, host: str, port: int, workers: int, logging: dict[str, Any]) -> None:
    """Run worker processes until told to stop. `load` makes the ASGI application, in each worker. Exits 1 if a worker fails."""
    multiprocessing.set_start_method("fork", force=True)  # so that `load` need not be pickled
    lifeline, held_open = os.pipe()
    signals = Signals()

    def build_loop() -> asyncio.AbstractEventLoop:
        os.close(held_open)
        loop = signals.loop()
        loop.add_reader(lifeline, _orphaned, loop, lifeline)
        asyncio.set_event_loop(loop)
        return loop

    os.register_at_fork(after_in_child=signals.listen)
    loops.register("auto")(build_loop)  # Granian's way to bring one's own loop
    server = Granian(
        target="couponry",
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        loop=Loops.auto,
        workers=workers,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=REQUEST_READ_MS_MAX, max_buffer_size=_HEADERS_BYTES_MAX),
        websockets=False,
        backlog=_BACKLOG,
        backpressure=_BACKLOG,
        respawn_failed_workers=True,
        workers_kill_timeout=DRAIN_MS_MAX // 1000 + 1,
        log_dictconfig=logging,
        log_level=LogLevels.warning,
    )
    server.serve(target_loader=load, wrap_loader=False)


async def answering(host: str, port: int) -> None:
    """Wait until the server answers over the network."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what to ask when bound to all addresses
    while True:
        try:
            reader, writer = await asyncio.open_connection(address, port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            status = await reader.readline()
            writer.close()
            if b" 200 " in status:
                return
        except OSError:
            pass
        await asyncio.sleep(_ASK_AGAIN_S)


def _orphaned(loop: DrainingLoop, lifeline: int) -> None:
    """The main process is gone: finish what was begun, and go."""
    loop.remove_reader(lifeline)
    log.warning("main_process_gone")
    loop.call_later(DRAIN_MS_MAX / 1000, os._exit, 1)
    loop.stop_gently(notice_ms=0)


assert _HEADERS_BYTES_MAX < REQUEST_BODY_BYTES_MAX
