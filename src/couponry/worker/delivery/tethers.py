"""What Apprise does on a thread of ours, held by its connections: judged as they are made, and cut when it lasts too long.

Apprise takes hosts, not sockets, and a thread cannot be stopped. All its HTTP goes through one function of urllib3, which is ours
as long as this lives; other threads get what they always got.
"""

import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from ipaddress import ip_address
from typing import Any, TypeVar

from urllib3.util import connection

from couponry.core.limits import HOOK_ADDRESSES_TRIED_MAX
from couponry.outbound.addresses import Network, may_reach

T = TypeVar("T")


class Tether:
    """One call's connections."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        self._held: list[socket.socket] = []
        self._cut = threading.Event()

    def connect(self, make: Callable[..., socket.socket], host: str, port: int, args: Any, more: Any) -> socket.socket:  # noqa: ANN401 - urllib3's
        """Connect to the first address that may be reached and answers, and to no other."""
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        permitted = [where[0] for *_, where in found if may_reach(ip_address(str(where[0])), self._allowed)]
        failed = OSError("not an address that may be reached")
        for address in permitted[:HOOK_ADDRESSES_TRIED_MAX]:
            if self._cut.is_set():
                break
            try:
                made = make((address, port), *args, **more)
            except OSError as error:
                failed = error
            else:
                self._held.append(made.dup())  # TLS takes the descriptor of the one that is given away
                if self._cut.is_set():
                    self.cut()
                return made
        raise failed

    def cut(self) -> None:
        """End what is under way, from another thread: it sees its server hang up."""
        self._cut.set()
        for held in list(self._held):
            with suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of connections that are over."""
        for held in self._held:
            held.close()


class Tethers:
    """Holds the calls of some threads, between its making and its closing."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        self._of_thread = threading.local()
        self._make = connection.create_connection
        self._ours = self._connect
        connection.create_connection = self._ours

    def tether(self) -> Tether:
        """A new one, for one call."""
        return Tether(self._allowed)

    def run(self, tether: Tether, work: Callable[[], T]) -> T:
        """Do it on this thread, tethered."""
        self._of_thread.tether = tether
        with ExitStack() as ends:
            ends.callback(tether.close)
            ends.callback(setattr, self._of_thread, "tether", None)
            return work()

    def close(self) -> None:
        """Give urllib3 its own back."""
        if connection.create_connection is self._ours:
            connection.create_connection = self._make

    def _connect(self, address: tuple[str, int], *args: Any, **more: Any) -> socket.socket:  # noqa: ANN401 - urllib3's
        tether: Tether | None = getattr(self._of_thread, "tether", None)
        return tether.connect(self._make, *address, args, more) if tether else self._make(address, *args, **more)
