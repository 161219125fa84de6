"""A server on a loopback port that does with a request whatever it was told to, and remembers what it was sent."""

from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Event, Thread
from types import TracebackType
from typing import Any, Final, Self

import msgspec

LOOPBACK: Final = "127.0.0.0/8"


@dataclass(frozen=True)
class Sent:
    """One request as it arrived; header names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> Any:
        return msgspec.json.decode(self.body)


Behave = Callable[["Exchange"], None]


class Exchange(BaseHTTPRequestHandler):
    """One connection. What it does is the receiver's business."""

    protocol_version = "HTTP/1.1"
    server: "Receiver"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.note(Sent(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.server.behave(self)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def hang_up(self) -> None:
        """Close without a word."""
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the handler's own signature
        """Nothing on standard error."""


class Receiver(ThreadingHTTPServer):
    """A running server. `released` lets those go on who `hang` on it."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, behave: Behave | None = None, address: str = "127.0.0.1") -> None:
        self.sent: list[Sent] = []
        self.behave: Behave = behave or answering(204)
        self.released = Event()
        self._arrival = Condition()
        super().__init__((address, 0), Exchange)
        self._thread = Thread(target=self.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?of=us"

    def note(self, sent: Sent) -> None:
        with self._arrival:
            self.sent.append(sent)
            self._arrival.notify_all()

    def await_arrivals(self, number: int) -> None:
        """Block until so many requests have come in all."""
        with self._arrival:
            assert self._arrival.wait_for(lambda: len(self.sent) >= number, 60)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.released.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who hangs up on us is part of the test."""


def answering(status: int, body: bytes = b"", **headers: str) -> Behave:
    return lambda exchange: exchange.answer(status, body, **headers)


def hanging(exchange: Exchange) -> None:
    """Say nothing until the receiver closes."""
    exchange.server.released.wait(60)
    exchange.hang_up()


def hanging_up(exchange: Exchange) -> None:
    exchange.hang_up()


def flooding(exchange: Exchange) -> None:
    """200, and then far too much."""
    exchange.answer(200, b'{"status": "' + b"x" * 5_000_000 + b'"}')


def babbling(exchange: Exchange) -> None:
    """Something that is not HTTP."""
    exchange.wfile.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
    exchange.hang_up()
