"""Telling an org's hook of redemptions that it could not be told of at once (v1.1-coupon 3, 687)."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final

import msgspec

from couponry.core.deliveries import Due
from couponry.core.limits import HOOK_CONNECTIONS_PER_TARGET_MAX, WEBHOOK_KEPT_MS
from couponry.outbound import Sender, Unreached
from couponry.store import side_effects
from couponry.worker.delivery.attempts import DELIVERED, Attempt

_GONE: Final = Attempt(is_delivered=False, problem="there is no hook any more")

Forget = Callable[[int, Collection[int]], Awaitable[None]]
"""Takes away the rows about an org's redemptions that the hook has been told of."""


class HookTarget:
    """The side-effects hook of an org; an empty URL is none."""

    connections = HOOK_CONNECTIONS_PER_TARGET_MAX // 2  # the rest is for who is told at once
    kept_ms = WEBHOOK_KEPT_MS

    def __init__(self, org_id: int, url: str, sender: Sender, forget: Forget) -> None:
        self._org_id = org_id
        self._url = url
        self._sender = sender
        self._forget = forget

    async def prepare(self, dues: Sequence[Due]) -> None:
        """Nothing."""

    async def send(self, due: Due) -> Attempt:
        """Under the message id that the hook knows from the first time."""
        if not self._url:
            return _GONE
        message_id = side_effects.message_id(self._org_id, _redemption_id(due))
        answer = await self._sender.send(self._org_id, self._url, message_id, due.body.encode())
        if isinstance(answer, Unreached):
            return Attempt(is_delivered=False, is_passing=answer.is_passing, problem=answer.reason)
        if answer.is_accepted:
            return DELIVERED
        problem = f"HTTP {answer.status}"
        return Attempt(is_delivered=False, is_passing=answer.is_passing, http_status=answer.status, problem=problem)

    async def told(self, dues: Sequence[Due]) -> None:
        """What the hook has heard need not be kept for it."""
        if dues:
            await self._forget(self._org_id, [_redemption_id(due) for due in dues])

    def close(self) -> None:
        """Nothing: the sender is shared."""


def _redemption_id(due: Due) -> int:
    body: Any = msgspec.json.decode(due.body)
    return int(body["redemptionId"])
