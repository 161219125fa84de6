"""A wire to PostgreSQL that can be cut at the worst moment: around a commit."""

import socket
import time
from collections import deque
from contextlib import suppress
from threading import Thread
from types import TracebackType
from typing import Literal, Self

from sqlalchemy.engine import make_url

COMMIT = b"COMMIT\0"
Cut = Literal["before", "after", "late"]
"""Whether the server never learns of the commit, learns of it at once, or while the client already asks again."""


class Wire:
    """Listens on a port of its own and passes everything on, except for those commits that `cut` says to cut off.

    With `goes_down` it takes no new connections after a cut, until `is_down` is taken back.
    """

    def __init__(self, url: str, late_s: float = 0.1) -> None:
        self._target = make_url(url)
        self._late_s = late_s
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = self._target.set(port=self._listener.getsockname()[1]).render_as_string(hide_password=False)
        self.cut: deque[Cut] = deque()
        self.cuts = 0
        self.is_down = False
        self.goes_down = False
        Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.is_down:
                    client.close()
                    continue
                server = socket.create_connection((self._target.host or "", self._target.port or 0))
                Thread(target=self._to_server, args=(client, server), daemon=True).start()
                Thread(target=_to_client, args=(client, server), daemon=True).start()

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError), client, server:
            while sent := client.recv(65536):
                if COMMIT in sent and self.cut:
                    self._cut_off(self.cut.popleft(), sent, client, server)
                    return
                server.sendall(sent)

    def _cut_off(self, how: Cut, sent: bytes, client: socket.socket, server: socket.socket) -> None:
        self.is_down = self.goes_down
        self.cuts += 1
        client.shutdown(socket.SHUT_RDWR)
        if how == "late":
            time.sleep(self._late_s)
        if how != "before":
            server.sendall(sent)
            time.sleep(self._late_s)  # for the server to read it before it sees the end
        server.shutdown(socket.SHUT_RDWR)


def _to_client(client: socket.socket, server: socket.socket) -> None:
    with suppress(OSError):
        while answered := server.recv(65536):
            client.sendall(answered)
    with suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
