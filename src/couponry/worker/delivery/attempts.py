"""What came of one attempt, before anybody knows whether to try again."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from couponry.core.deliveries import Due


class Attempt(Struct, frozen=True, gc=False, kw_only=True):
    """`is_passing`: another try may end otherwise. `wished_ms` is how long the receiver wishes to be left alone.

    `put_off_to_ms`: nothing was tried, since it must not go before this instant; the customer's others at the target wait for it.
    `is_unwanted`: nothing was tried, since it is not to be sent any more; `problem` says why.
    """

    is_delivered: bool
    is_passing: bool = False
    http_status: int | None = None
    problem: str = ""
    wished_ms: int = 0
    put_off_to_ms: int | None = None
    is_unwanted: bool = False

    @property
    def is_try(self) -> bool:
        """Whether the target was asked at all."""
        return self.put_off_to_ms is None and not self.is_unwanted


DELIVERED = Attempt(is_delivered=True)


class Target(Protocol):
    """Where a lane's deliveries go. `connections` is how many at a time, `kept_ms` for how long a delivery is tried."""

    connections: int
    kept_ms: int

    async def prepare(self, dues: Sequence[Due]) -> None:
        """Look at what a lane has fetched, before it sends any of it. Raises StoreError."""

    async def send(self, due: Due) -> Attempt:
        """One attempt, within its own deadline."""

    async def told(self, dues: Sequence[Due]) -> None:
        """These are recorded as delivered."""

    def close(self) -> None:
        """Let go of what only this lane has."""
