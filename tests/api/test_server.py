"""The server as processes: it says when it answers, drains before it goes, and leaves nobody behind (api/server.py)."""

import http.client
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from couponry.store.engine import Database
from tests.api.shop import MIRA, SECRET, TILL, Shop
from tests.databases import fresh_sqlite

SERVE: Final = """
import sys
from couponry.main import serve
from couponry.settings import Settings
url, port, workers, demo = sys.argv[1:]
key = None if demo == "demo" else "only for this test"
serve(Settings(database_url=url, secret_key=key), host="127.0.0.1", port=int(port), workers=int(workers), demo=demo == "demo")
"""
START_S: Final = 30
STOP_S: Final = 16
HEADERS: Final = {
    "Authorization": "Basic " + b64encode(f"{TILL}:{SECRET}".encode()).decode(),
    "Content-Type": "application/json",
}


class Server:
    """A server process with its output read along."""

    def __init__(self, url: str, workers: int = 1, demo: str = "", port: int = 0) -> None:
        command = [sys.executable, "-c", SERVE, url, str(port), str(workers), demo]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self.err: list[str] = []
        self.listening = threading.Event()
        self.port = 0
        self.connections: list[http.client.HTTPConnection] = []
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.err.append(line)
            if '"listening"' in line:
                self.port = int(json.loads(line)["url"].rpartition(":")[2])
                self.listening.set()
        self.listening.set()

    def started(self) -> "Server":
        assert self.listening.wait(START_S)
        assert self.port, "".join(self.err)
        return self

    def connection(self) -> http.client.HTTPConnection:
        self.connections.append(http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_S))
        return self.connections[-1]

    def workers(self) -> list[int]:
        """The processes that answer; not the one for background work."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children if b"--with-parent" not in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def end(self) -> None:
        for connection in self.connections:
            connection.close()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream
            stream.close()


@contextmanager
def serving(url: str, **options: Any) -> Iterator[Server]:
    server = Server(url, **options)
    try:
        yield server
    finally:
        server.end()


def redeem(connection: http.client.HTTPConnection, code: str) -> tuple[int, dict[str, Any]]:
    send(connection, code)
    return answer(connection)


def send(connection: http.client.HTTPConnection, code: str) -> None:
    body = {"redemptionRequestList": [{"code": code}], "user": MIRA, "transactionNumber": "", "billAmount": 1}
    connection.request("POST", "/v2/coupon/redeem", json.dumps(body), HEADERS)


def answer(connection: http.client.HTTPConnection) -> tuple[int, dict[str, Any]]:
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def shop(database: Database) -> Shop:
    shop = Shop(database).opened()
    shop.clock.ms = time.time_ns() // 1_000_000
    return shop


def coupon(shop: Shop) -> str:
    return shop.coupon(issuedOn="2020-01-01")


def test_drain(shop: Shop) -> None:
    """What was begun is finished; who comes later is told so; then everybody is gone."""
    slow, late = coupon(shop), coupon(shop)
    with serving(shop.database.url) as server:
        first, second, third = (server.started().connection() for _ in range(3))
        assert redeem(first, "NOSUCH")[0] == redeem(second, "NOSUCH")[0] == 200
        with shop.database.writing() as tx:
            tx.connection.exec_driver_sql(f"UPDATE coupon SET revision = revision WHERE org_id = {shop.org_id}")
            send(first, slow)
            time.sleep(0.3)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            for connection in (second, third):
                status, body = redeem(connection, late)
                assert (status, body["errors"][0]["code"]) == (500, 790)
            ready = server.connection()
            ready.request("GET", "/readyz")
            assert answer(ready)[0] == 503
            server.process.send_signal(signal.SIGINT)
            time.sleep(0.5)
            assert server.process.poll() is None, "a request is still in flight"
        status, body = answer(first)
        assert (status, body["redemptionStatus"]["code"]) == (200, 700)
        assert server.process.wait(STOP_S) == 0
    with shop.database.reading() as tx:
        assert tx.connection.exec_driver_sql("SELECT COUNT(*) FROM redemption").scalar() == 1


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_signal_to_the_whole_group(shop: Shop, sent: signal.Signals) -> None:
    """As a terminal or a service manager does it: workers hear the signal before the main process tells them."""
    with serving(shop.database.url, workers=2) as server:
        workers = server.started().workers()
        assert len(workers) == 2
        began_s = time.monotonic()
        os.killpg(server.process.pid, sent)
        assert server.process.wait(STOP_S) == 0, "".join(server.err)
        assert time.monotonic() - began_s < 5
        assert not [pid for pid in workers if alive(pid)]


def test_killed_main_process_leaves_no_workers(shop: Shop) -> None:
    with serving(shop.database.url, workers=2) as server:
        workers = server.started().workers()
        assert redeem(server.connection(), "NOSUCH")[0] == 200
        server.process.kill()
        deadline_s = time.monotonic() + 5
        while any(map(alive, workers)) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert not [pid for pid in workers if alive(pid)]


def test_killed_worker_is_replaced(shop: Shop) -> None:
    with serving(shop.database.url) as server:
        (worker,) = server.started().workers()
        time.sleep(6)  # Granian takes two deaths within 5.5 s for a crash loop
        os.kill(worker, signal.SIGKILL)
        deadline_s = time.monotonic() + START_S
        while time.monotonic() < deadline_s:
            try:
                assert redeem(server.connection(), "NOSUCH")[0] == 200
                break
            except OSError:
                time.sleep(0.1)
        assert server.workers() != [worker]


def test_taken_port(tmp_path: Path) -> None:
    """Two servers on one port would share its connections; the second one says so and goes."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with serving(fresh_sqlite(tmp_path), port=port) as server:
            assert server.process.wait(START_S) == 1
            server.reader.join()
            assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in server.err[-1]
    assert not list(tmp_path.iterdir()), "nothing was made before the port was ours"


def test_secret_is_needed(tmp_path: Path) -> None:
    script = SERVE.replace('"only for this test"', "None")
    command = [sys.executable, "-c", script, fresh_sqlite(tmp_path), "0", "1", ""]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=START_S)
    assert ended.returncode == 1
    assert "COUPONRY_SECRET_KEY must be set" in ended.stderr


def test_demo(tmp_path: Path) -> None:
    """It prints commands that do what they say: check, redeem, be refused, issue; and where to sign in."""
    url = fresh_sqlite(tmp_path)
    for _ in range(2):  # the second time the shop is there already
        with serving(url, demo="demo") as server:
            server.started()
            assert server.process.stdout
            shown = "".join(server.process.stdout.readline() for _ in range(14))
            assert f"http://127.0.0.1:{server.port}" in shown
            sign_in = re.search(r"^Console: (\S+)\nSign in as (\S+) .*; password: (.+)$", shown, re.MULTILINE)
            assert sign_in
            form = {"email": sign_in[2], "password": sign_in[3]}
            assert httpx.post(f"{sign_in[1]}sign-in", data=form).headers["location"] == "/console/"
            *redeeming, issuing = re.findall(r"^curl .*$", shown, re.MULTILINE)
            assert [asked(server, command)["redemptionStatus"]["code"] for command in redeeming] == [700, 700, 711]
            assert asked(server, issuing)["description"] == "Ten off the next visit"
            server.process.terminate()
            assert server.process.wait(STOP_S) == 0
            assert server.process.stdout.read() == ""
            server.reader.join()
            assert all(json.loads(line)["event"] for line in server.err)


def asked(server: Server, command: str) -> Any:
    """Do what a curl command does; curl may not be installed."""
    words = shlex.split(command)
    url = next(word for word in words if word.startswith("http"))
    headers = {"Authorization": "Basic " + b64encode(words[words.index("-u") + 1].encode()).decode()}
    body = words[words.index("-d") + 1] if "-d" in words else None
    if body:
        headers["Content-Type"] = words[words.index("-H") + 1].partition(": ")[2]
    connection = server.connection()
    connection.request("POST" if body else "GET", url.partition(f":{server.port}")[2], body, headers)
    return answer(connection)[1]
