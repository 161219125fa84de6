"""What the benchmark's figures stand on: a load generator that counts exactly, and data that redeems. No timings."""

import asyncio
import contextlib
import json
import re
import socket
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest

from bench.data import CODE_PRIME, CODE_STEP, CUSTOMER_STEP, Coupons, Size, mobile, redeem_requests
from bench.load import LoadCounts, LoadResult, compiled, http_request, run_load, write_requests
from bench.machine import CpuUse
from bench.pgbench import SCRIPT
from bench.scenarios import SPREAD, Run

REQUESTS: Final = 500

# Answers one request; returns whether the connection goes on.
Responder = Callable[[int, bytes, asyncio.StreamWriter], Awaitable[bool]]


class Server:
    """HTTP as far as the generator speaks it. Keeps what it was sent."""

    def __init__(self, respond: Responder) -> None:
        self.respond = respond
        self.bodies: list[bytes] = []
        self.connections = 0
        self.open: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.open.add(task)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"Content-Length: (\d+)", head)
                body = await reader.readexactly(int(length[1])) if length else b""
                self.bodies.append(body)
                if not await self.respond(len(self.bodies) - 1, body, writer):
                    break
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the generator has gone
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("load"))


async def loaded(
    program: Path, folder: Path, server: Server, connections: int, *options: str, count: int = REQUESTS
) -> LoadResult:
    """Run the generator against the server; each request's body is its number."""
    requests = folder / "requests"
    write_requests(requests, (http_request("POST", "/x", {}, b"%d" % number) for number in range(count)))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        result = await asyncio.to_thread(run_load, program, port, requests, connections, *options)
        await asyncio.gather(*server.open)
        return result


def run(
    program: Path, folder: Path, respond: Responder, connections: int, *options: str, count: int = REQUESTS
) -> tuple[LoadResult, Server]:
    server = Server(respond)
    return asyncio.run(loaded(program, folder, server, connections, *options, count=count)), server


def answer(body: bytes, status: str = "200 OK", headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-length: %d\r\n%s\r\n%s" % (status.encode(), len(body), headers, body)


def chunked_answer(*chunks: bytes) -> bytes:
    joined = b"".join(b"%x;extension=1\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + joined + b"0\r\nTrailer: 1\r\n\r\n"


async def piecemeal(writer: asyncio.StreamWriter, data: bytes, size: int) -> None:
    """Send so that the other side reads in pieces."""
    for at in range(0, len(data), size):
        writer.write(data[at : at + size])
        await writer.drain()
        await asyncio.sleep(0)


def no_faults(result: LoadResult) -> bool:
    return result.closed == result.timed_out == result.malformed == result.connect_failures == result.unanswered == 0


@pytest.mark.parametrize("connections", [1, 7, 64])
def test_each_request_is_sent_once_and_counted_once(program: Path, tmp_path: Path, connections: int) -> None:
    """Prevents figures from requests that were sent twice, lost or counted twice."""

    async def respond(number: int, _body: bytes, writer: asyncio.StreamWriter) -> bool:
        status, code = ("400 Bad Request", 701) if number % 5 == 0 else ("200 OK", 711 if number % 5 == 1 else 700)
        writer.write(answer(b'{"code":"C-12","item":{"code":%d},"code":999}' % code, status))
        return True

    result, server = run(program, tmp_path, respond, connections)
    assert sorted(map(int, server.bodies)) == list(range(REQUESTS))
    assert server.connections == connections
    assert result.all.answers == result.sent == REQUESTS
    assert result.all.statuses == {200: 400, 400: 100}
    assert result.all.numbers == {700: 300, 701: 100, 711: 100}
    assert result.all.unnumbered == 0
    assert result.window == result.all
    assert result.ran_out
    assert no_faults(result)
    assert 0 < result.p50_ms <= result.p90_ms <= result.p99_ms <= result.max_ms


@pytest.mark.parametrize("size", [1, 3, 17, 4000])
def test_an_answer_may_come_in_pieces(program: Path, tmp_path: Path, size: int) -> None:
    """Prevents miscounting of what the network cuts, in heads, in sizes of chunks, in bodies."""
    filler = b"x" * (3 * size)

    async def respond(number: int, _body: bytes, writer: asyncio.StreamWriter) -> bool:
        whole = answer(filler + b'"code": 700')
        chunked = chunked_answer(filler, b'"co', b'de":7', b"11")
        await piecemeal(writer, chunked if number % 2 else whole, size)
        return True

    result, _ = run(program, tmp_path, respond, 3, count=40)
    assert result.all.numbers == {700: 20, 711: 20}
    assert no_faults(result)


def test_bodies_larger_than_the_buffer_are_read_whole(program: Path, tmp_path: Path) -> None:
    """Prevents a buffer that does not grow."""

    async def respond(number: int, _body: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(chunked_answer(b"x" * 99_999, b'"code":700') if number % 2 else answer(b"x" * 99_999 + b'"code":711'))
        return True

    result, _ = run(program, tmp_path, respond, 2, count=20)
    assert result.all.numbers == {700: 10, 711: 10}
    assert no_faults(result)


def test_answers_without_a_body_or_a_length(program: Path, tmp_path: Path) -> None:
    """Prevents waiting for a body that never comes, or taking the next answer for one."""

    async def respond(number: int, _body: bytes, writer: asyncio.StreamWriter) -> bool:
        if number % 2:
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            return True
        writer.write(b'HTTP/1.1 200 OK\r\n\r\n{"code":700}')
        return False

    result, server = run(program, tmp_path, respond, 2, count=20)
    assert result.all.statuses == {200: 10, 204: 10}
    assert result.all.numbers == {700: 10}
    assert result.all.unnumbered == 10
    assert server.connections >= 10
    assert no_faults(result)


def test_a_connection_that_the_server_closes_is_opened_again(program: Path, tmp_path: Path) -> None:
    """Prevents a run that ends early, and an answer lost, because a server limits requests per connection."""

    async def respond(number: int, _body: bytes, writer: asyncio.StreamWriter) -> bool:
        is_last = number % 10 == 9
        writer.write(answer(b'{"code":700}', headers=b"Connection: close\r\n" if is_last else b""))
        return not is_last

    result, server = run(program, tmp_path, respond, 1, count=100)
    assert result.all.numbers == {700: 100}
    assert server.connections == 10
    assert no_faults(result)


def test_a_request_without_an_answer_is_a_fault_and_never_sent_again(program: Path, tmp_path: Path) -> None:
    """Prevents a retry that redeems twice and makes the database look wrong."""

    async def respond(number: int, _body: bytes, writer: asyncio.StreamWriter) -> bool:
        if number % 4 == 0:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\ncut")
            return False
        if number % 4 == 1:
            writer.write(b"SSH-2.0-surprise\r\n\r\n")
            return True
        writer.write(answer(b'{"code":700}'))
        return True

    result, server = run(program, tmp_path, respond, 1, count=40)
    assert sorted(map(int, server.bodies)) == list(range(40))
    assert (result.sent, result.all.answers, result.closed, result.malformed) == (40, 20, 10, 10)
    assert result.unanswered == 20


def test_a_late_answer_is_given_up(program: Path, tmp_path: Path) -> None:
    """Prevents a benchmark that hangs with its server."""

    async def respond(number: int, _body: bytes, writer: asyncio.StreamWriter) -> bool:
        if number == 1:
            return True
        writer.write(answer(b'{"code":700}'))
        return True

    result, _ = run(program, tmp_path, respond, 1, "--timeout-ms", "200", count=5)
    assert (result.sent, result.all.answers, result.timed_out) == (5, 4, 1)


def test_requests_start_anew_when_told_to(program: Path, tmp_path: Path) -> None:
    """Prevents a run that is shorter than it was asked to be; answers before and after the window count only in `all`."""

    async def respond(_number: int, _body: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(answer(b'{"code":700}'))
        return True

    result, server = run(program, tmp_path, respond, 2, "--wrap", "--warmup", "0.1", "--seconds", "0.2", count=3)
    assert result.sent == result.all.answers == len(server.bodies) > 3
    assert 0 < result.window.answers < result.all.answers
    assert not result.ran_out
    assert no_faults(result)


@pytest.mark.parametrize("contents", [b"", b"\x05\0\0\0GET", b"\0\0\0\0", b"\x01\0"])
def test_a_broken_request_file_is_refused(program: Path, tmp_path: Path, contents: bytes) -> None:
    """Prevents sending what lies behind the end of the file."""
    requests = tmp_path / "requests"
    requests.write_bytes(contents)

    with socket.create_server(("127.0.0.1", 0)) as listening, pytest.raises(subprocess.CalledProcessError):
        run_load(program, listening.getsockname()[1], requests, 1)


def test_nobody_listening_ends_the_run(program: Path, tmp_path: Path) -> None:
    """Prevents a generator that knocks for ever."""
    requests = tmp_path / "requests"
    write_requests(requests, [http_request("GET", "/", {})])
    result = run_load(program, 1, requests, 2)  # nothing listens on port 1
    assert (result.sent, result.all.answers) == (0, 0)
    assert result.connect_failures > 0


def test_no_coupon_is_used_twice_and_each_is_shown_by_its_owner() -> None:
    """Prevents refusals that the benchmark itself makes."""
    size = Size(customers=500, series=20, coupons=0)
    for coupons in (Coupons("RA", 3000, size), Coupons("RB", 3000, size, together=100)):
        requests = [json.loads(request.partition(b"\r\n\r\n")[2]) for request in redeem_requests(coupons)]
        codes = [item["code"] for body in requests for item in body["redemptionRequestList"]]
        owner = {coupons.code(serial): mobile(coupons.customer(serial)) for serial in range(coupons.count)}
        assert len(codes) == len(set(codes)) == coupons.count
        assert all(owner[item["code"]] == body["user"]["mobile"] for body in requests for item in body["redemptionRequestList"])
        assert len({body["transactionNumber"] for body in requests}) == len(requests)


def test_customers_come_back_with_another_series() -> None:
    """Prevents a spread load that meets in a few counter rows."""
    coupons = Coupons("RA", 5000, Size(customers=500, series=20, coupons=0))
    assert len({coupons.customer(serial) for serial in range(500)}) == 500
    assert len({(coupons.customer(serial), coupons.series(serial)) for serial in range(5000)}) == 5000


def test_pgbench_finds_the_same_coupons_and_customers() -> None:
    """Prevents a yardstick that is fast because it finds nothing."""
    script = SCRIPT.read_text()
    assert f"\\set code_number mod((:serial + 1) * {CODE_STEP}, {CODE_PRIME})" in script
    assert f"\\set mobile :first_mobile + mod(:serial * {CUSTOMER_STEP}, :customers)" in script


@pytest.mark.parametrize(
    ("told", "redeemed", "sent", "answers", "is_true"),
    [
        (5, 5, 5, 5, True),
        (5, 4, 5, 5, False),  # lost
        (5, 6, 5, 5, False),  # double
        (5, 6, 6, 5, True),  # the answer was lost, the redemption may be there
        (5, 7, 6, 5, False),
    ],
)
def test_a_lie_is_found_out(told: int, redeemed: int, sent: int, answers: int, is_true: bool) -> None:
    """Prevents figures of redemptions that never were."""
    counts = LoadCounts(answers=answers, statuses={200: answers}, numbers={700: told}, unnumbered=0)
    load = LoadResult(
        all=counts,
        window=counts,
        sent=sent,
        closed=sent - answers,
        timed_out=0,
        malformed=0,
        connect_failures=0,
        ran_out=False,
        seconds=1,
        per_second=answers,
        p50_ms=1,
        p90_ms=1,
        p99_ms=1,
        max_ms=1,
    )
    assert Run(SPREAD, 5, load, CpuUse(), redeemed, told).is_true is is_true
