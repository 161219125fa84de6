"""Power cuts and other sudden ends: what a till was told is kept, what it was not told it may ask again, and gets it once
(design 1.2, 1.4).
"""

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any

from tests.e2e.books import only, reconcile
from tests.e2e.installation import Installation, Server
from tests.e2e.stock import bills
from tests.e2e.wire import ENOUGH_S, Load, until

CONNECTIONS = 32


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, ENOUGH_S))


def test_kill_under_load(installation: Installation) -> None:
    """Kill -9 of everything at once, twice on the same database."""
    load = Load(installation.port, bills())

    async def crash(server: Server, told: int) -> None:
        running = asyncio.create_task(load.run(CONNECTIONS))
        await until(lambda: len(load.told) >= told)
        await asyncio.to_thread(server.kill)
        await running

    for told in (300, 600):
        with installation.serve(2) as server:
            run(crash(server, told))
    assert load.in_doubt, "nothing was under way when the server died"
    assert load.failed == []
    with installation.serve(2) as server:
        reconcile(server, load)


def test_main_process_killed(installation: Installation) -> None:
    """Kill -9 of the main process alone: the workers finish and tell what they have begun, and none of them is left behind."""
    load = Load(installation.port, bills())

    async def orphan(server: Server) -> None:
        running = asyncio.create_task(load.run(CONNECTIONS))
        await until(lambda: len(load.told) >= 200)
        server.main.kill()
        await running
        await asyncio.to_thread(server.await_end)

    with installation.serve(2) as server:
        run(orphan(server))
    told = [only(reply) for reply in load.told.values() if reply.code == 700]
    assert [row[:3] for row in installation.redemptions()] == sorted(told)
    with installation.serve() as server:
        reconcile(server, load)


def test_worker_killed(installation: Installation) -> None:
    """Kill -9 of one worker: the others go on, and another takes its place."""
    load = Load(installation.port, bills())

    async def lose_one(server: Server) -> None:
        running = asyncio.create_task(load.run(CONNECTIONS))
        await until(lambda: len(load.told) >= 200)
        before = server.children
        os.kill(min(before), signal.SIGKILL)
        await until(lambda: len(server.children) == len(before) and server.children != before)
        told = len(load.told)
        await until(lambda: len(load.told) >= told + 200)
        load.is_over = True
        await running

    with installation.serve(2) as server:
        run(lose_one(server))
        reconcile(server, load)
