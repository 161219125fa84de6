"""The items of one v1.1 request, each a command of its own: judged in the request's order, committed independently.

They are queued together, so most of them share a batch; of two that name the same coupon the second sees what the first did.
Under an explicit idempotency key the first item has the key itself, and each later one a key made from it. It goes ahead of the
others: when it says that the key came with another body before, or is at work just now, none of them is asked (README 10).
"""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import chain, count
from types import MappingProxyType
from typing import Final, TypeVar

from msgspec.structs import replace

from couponry.api.envelopes import headers_of
from couponry.api.v1_1 import statuses
from couponry.core import idempotency
from couponry.core.commands import Check, IdempotencyKey, Issue, Redeem
from couponry.core.plan import Outcome
from couponry.core.status import Code
from couponry.ledger import Ledger

C = TypeVar("C", Redeem, Issue)

_REPLAYED: Final = MappingProxyType({word: MappingProxyType({"Idempotency-Replayed": word}) for word in ("true", "derived")})
_NO_HEADERS: Final = MappingProxyType[str, str]({})
_OF_THE_KEY: Final = frozenset({Code.INVALID_INPUT, Code.KEY_IN_PROGRESS})


def keyed(commands: Sequence[C | Code], key: IdempotencyKey | None) -> list[C | Code]:
    """The commands, each with a key of its own if the request has one."""
    if key is None:
        return list(commands)
    later = (replace(key, digest=idempotency.explicit_digest(key.digest, str(number))) for number in count(1))
    keys = chain((key,), later)
    return [command if isinstance(command, Code) else replace(command, key=next(keys)) for command in commands]


async def submit(ledger: Ledger, commands: Sequence[Redeem | Issue | Check | Code]) -> list[Outcome | Code] | Code:
    """What became of each; a Code among the commands is an item that was refused already. A Code alone refuses the request."""
    wanted = [command for command in commands if not isinstance(command, Code)]
    is_keyed = bool(wanted) and not isinstance(wanted[0], Check) and wanted[0].key is not None
    ahead = wanted[:1] if is_keyed or len(wanted) == 1 else []
    outcomes = [await ledger.submit(command) for command in ahead]
    if is_keyed and outcomes[0].answer.status in _OF_THE_KEY:
        return outcomes[0].answer.status
    if rest := wanted[len(ahead) :]:
        outcomes += await asyncio.gather(*map(ledger.submit, rest))  # tasks start, and so commands queue up, in this order
    answered = iter(outcomes)
    return [command if isinstance(command, Code) else next(answered) for command in commands]


def headers_for(results: Sequence[Outcome | Code], codes: Sequence[Code]) -> Mapping[str, str]:
    """That all of it had been answered before; or, where nothing succeeded, that it may a moment later."""
    replays = {"" if isinstance(result, Code) else result.replayed for result in results}
    if "" not in replays:
        return _REPLAYED["true" if "true" in replays else "derived"]
    is_in_vain = not any(code in statuses.SUCCESSES for code in codes)
    return next((headers_of(code) for code in codes if is_in_vain and code.is_retryable), _NO_HEADERS)
