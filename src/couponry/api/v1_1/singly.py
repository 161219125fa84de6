"""The items of one v1.1 request, each a command of its own: judged in the request's order, committed independently.

They are queued together, so most of them share a batch; of two that name the same coupon the second sees what the first did.
Under an explicit idempotency key the first item has the key itself, and each later one a key made from it. It goes ahead of the
others: when it says that the key came with another body before, or is at work just now, none of them is asked (README 10).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import chain, count
from types import MappingProxyType
from typing import Final, TypeVar

from msgspec.structs import replace

from couponry.api.envelopes import headers_of
from couponry.api.hooks.redeeming import Redeemed
from couponry.api.v1_1 import statuses
from couponry.core import idempotency
from couponry.core.commands import Check, IdempotencyKey, Issue, Redeem
from couponry.core.plan import Outcome
from couponry.core.status import Code

C = TypeVar("C", Redeem, Issue, Check)
K = TypeVar("K", Redeem, Issue)
R = TypeVar("R", Redeemed, Outcome)

_REPLAYED: Final = MappingProxyType({word: MappingProxyType({"Idempotency-Replayed": word}) for word in ("true", "derived")})
_NO_HEADERS: Final = MappingProxyType[str, str]({})
_OF_THE_KEY: Final = frozenset({Code.INVALID_INPUT, Code.KEY_IN_PROGRESS})


def keyed(commands: Sequence[K | Code], key: IdempotencyKey | None) -> list[K | Code]:
    """The commands, each with a key of its own if the request has one."""
    if key is None:
        return list(commands)
    later = (replace(key, digest=idempotency.explicit_digest(key.digest, str(number))) for number in count(1))
    keys = chain((key,), later)
    return [command if isinstance(command, Code) else replace(command, key=next(keys)) for command in commands]


async def submit(commands: Sequence[C | Code], send: Callable[[C], Awaitable[R]]) -> list[R | Code] | Code:
    """What became of each; a Code among the commands is an item that was refused already. A Code alone refuses the request."""
    wanted = [command for command in commands if not isinstance(command, Code)]
    has_key = bool(wanted) and not isinstance(wanted[0], Check) and wanted[0].key is not None
    ahead = 1 if has_key or len(wanted) == 1 else 0
    results: list[R] = []
    for command in wanted[:ahead]:
        results.append(await send(command))
        if has_key and len(results) == 1 and _outcome(results[0]).answer.status in _OF_THE_KEY:
            return _outcome(results[0]).answer.status
    if rest := wanted[ahead:]:
        results += await asyncio.gather(*(_sent(send, command) for command in rest))
    answered = iter(results)
    return [command if isinstance(command, Code) else next(answered) for command in commands]


async def _sent(send: Callable[[C], Awaitable[R]], command: C) -> R:
    """A coroutine, of which `gather` makes a task: tasks start, and so commands queue up, in their order."""
    return await send(command)


def _outcome(result: Redeemed | Outcome) -> Outcome:
    return result.outcome if isinstance(result, Redeemed) else result


def headers_for(results: Sequence[Redeemed | Outcome | Code], codes: Sequence[Code]) -> Mapping[str, str]:
    """That all of it had been answered before; or, where nothing succeeded, that it may a moment later."""
    replays = {"" if isinstance(result, Code) else _outcome(result).replayed for result in results}
    if "" not in replays:
        return _REPLAYED["true" if "true" in replays else "derived"]
    is_in_vain = not any(code in statuses.SUCCESSES for code in codes)
    return next((headers_of(code) for code in codes if is_in_vain and code.is_retryable), _NO_HEADERS)
