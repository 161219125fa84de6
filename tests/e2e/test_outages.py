"""What a server cannot do for a while it says so with its own code, does nothing, and does again by itself (status-codes 5)."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.databases import PostgresServer, fresh_postgresql
from tests.e2e.books import books_hold, only, reconcile
from tests.e2e.installation import Installation, Server
from tests.e2e.stock import bill, bills, code, stock
from tests.e2e.wire import ENOUGH_S, Connection, Load, Reply, asking, at_once, check, redeem, until
from tests.ledger.stranger import holding

CONNECTIONS = 32
QUEUE = 256
"""The smallest queue that can be set: one batch."""
on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, ENOUGH_S))


def is_failure(reply: Reply, number: int, http: int = 500) -> bool:
    return (reply.code, reply.http, reply.headers.get("retry-after")) == (number, http, "1")


@pytest.mark.parametrize("immediate", [False, True], ids=["in order", "at once"])
def test_database_stopped_and_started(own_postgres_server: PostgresServer, tmp_path: Path, *, immediate: bool) -> None:
    """786 while it is down; then redemptions again, without anybody's help."""
    installation = Installation(fresh_postgresql(own_postgres_server), tmp_path)
    stock(installation)
    load = Load(installation.port, bills())

    async def outage() -> None:
        running = asyncio.create_task(load.run(CONNECTIONS))
        await until(lambda: load.count(700) >= 200)
        await asyncio.to_thread(own_postgres_server.stop, immediate=immediate)
        await until(lambda: load.count(786) >= 100)
        redeemed = load.count(700)
        await asyncio.to_thread(own_postgres_server.start)
        await until(lambda: load.count(700) >= redeemed + 200)
        load.is_over = True
        await running

    with installation.serve(2) as server:
        workers = server.children
        run(outage())
        assert server.children == workers, "nobody restarted anything"
        assert load.in_doubt == []
        assert all(is_failure(reply, 786) for reply in load.told.values() if reply.code != 700)
        reconcile(server, load)


@on_postgresql
def test_locked_rows(installation: Installation) -> None:
    """787 for a coupon that somebody holds on to, 521 for a customer's counters; meanwhile others are served."""
    held_coupon, held_customer, other = bill(1), bill(2), bill(3)
    with installation.serve() as server:
        assert only(bill(2 + 60).ask(server.port))
        a_coupon = f"SELECT 1 FROM coupon WHERE code = '{code('OPEN', 1)}' FOR UPDATE"
        a_standing = "SELECT 1 FROM customer_series FOR UPDATE"

        async def stuck() -> None:
            waiting = asyncio.create_task(asking(server.port, [held_coupon, held_customer]))
            for _ in range(20):
                (reply,) = await asking(server.port, [check(code("OPEN", 1), customer=1)])
                assert reply.code == 700
            (reply,) = await asking(server.port, [other])
            assert reply.code == 700
            of_coupon, of_customer = await waiting
            assert is_failure(of_coupon, 787)
            assert is_failure(of_customer, 521, http=521)

        with holding(installation.url, a_coupon), holding(installation.url, a_standing):
            run(stuck())
        assert [reply.code for reply in at_once(server.port, [held_coupon, held_customer])] == [700, 700]
        assert len(installation.redemptions()) == 4
        installation.check_books()


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_locked_file(installation: Installation) -> None:
    """787 while another process writes; checks go on."""
    with installation.serve() as server:
        with holding(installation.url):
            assert is_failure(bill(1).ask(server.port), 787)
            assert check(code("OPEN", 1), customer=1).ask(server.port).code == 700
        assert bill(1).ask(server.port).code == 700
        installation.check_books()


def test_full_queue(installation: Installation) -> None:
    """789 at once for whoever is over the bound; who was let in is served once what held them up is gone."""
    crowd = [bill(number) for number in range(QUEUE + 64)]
    replies: list[Reply] = []

    async def overload() -> None:
        connections = [await Connection.open(installation.port) for _ in crowd]

        async def ask(connection: Connection, number: int) -> None:
            replies.append(await connection.ask(crowd[number]))

        with holding(installation.url, "LOCK TABLE coupon IN EXCLUSIVE MODE"):
            waiting = [asyncio.create_task(ask(connection, number)) for number, connection in enumerate(connections)]
            await until(lambda: len(replies) >= 64)
            assert all(is_failure(reply, 789) for reply in replies)
        await asyncio.gather(*waiting)
        for connection in connections:
            await connection.close()

    with installation.serve(queue_commands_max=QUEUE) as server:
        at_once(server.port, [check("NOSUCH")])  # so that the till's password is known
        run(overload())
        assert Counter(reply.code for reply in replies) == {700: QUEUE, 789: 64}
        told = {only(reply) for reply in replies if reply.code == 700}
        assert {reply.code for reply in at_once(server.port, [redeem(code("ONCE", 0))])} == {700}
        books_hold(installation, told, "OPEN-*")


@pytest.mark.parametrize("workers", [1, 3])
def test_drain_under_load(installation: Installation, workers: int) -> None:
    """SIGTERM: what is in flight is finished and told, new work is refused (790), and the server exits 0 and starts again."""
    load = Load(installation.port, bills())

    async def drain(server: Server) -> None:
        running = asyncio.create_task(load.run(CONNECTIONS))
        await until(lambda: len(load.told) >= 300)
        assert await asyncio.to_thread(server.terminate) == 0
        await running

    with installation.serve(workers) as server:
        run(drain(server))
    assert {reply.code for reply in load.told.values()} == {700, 790}
    refused = [reply for reply in load.told.values() if reply.code != 700]
    assert all(is_failure(reply, 790) and reply.headers["connection"] == "close" for reply in refused)
    told = [only(reply) for reply in load.told.values() if reply.code == 700]
    assert [row[:3] for row in installation.redemptions()] == sorted(told), "redeemed means told, and told means redeemed"
    with installation.serve(workers) as server:
        reconcile(server, load)
