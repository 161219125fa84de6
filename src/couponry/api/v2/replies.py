"""From a response to a reply: HTTP status, bytes, and the header that says that it had been given before."""

from functools import cache
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec import Struct

from couponry.api.call import Reply
from couponry.api.envelopes import E, headers_of, http_status
from couponry.core.plan import Outcome
from couponry.core.status import Code

# Codes of the request gate that endpoints find out: they keep the gate's form where an endpoint's own lacks something of it.
GATE: Final = frozenset({Code.BODY_TOO_LARGE, Code.MALFORMED, Code.LOOKUP_TYPE_MISSING, Code.UNKNOWN_ATTRIBUTION})
_SUCCESSES: Final = frozenset(
    {Code.PROCESSED, Code.REDEEMABLE, Code.RESENT, Code.UPDATED, Code.PARTLY_UPDATED, Code.SERIES_FIELDS_SAVED}
)
_REPLAYED: Final = MappingProxyType(
    {replayed: MappingProxyType({"Idempotency-Replayed": replayed}) for replayed in ("true", "derived")}
)
_ENCODE: Final = msgspec.json.Encoder().encode


def answered(response: Struct, outcome: Outcome | None = None) -> Reply:
    """An answer that rules decided, for or against: HTTP 200."""
    return again(Reply(200, _ENCODE(response)), outcome)


def failed(code: Code, response: Struct) -> Reply:
    """A request refused, or failed, as a whole."""
    return Reply(http_status(code), _ENCODE(response), headers_of(code))


def again(reply: Reply, outcome: Outcome | None) -> Reply:
    """Say so when the answer had been given before (README 10)."""
    if outcome is None or not outcome.replayed:
        return reply
    return Reply(reply.status, reply.body, {**(reply.headers or {}), **_REPLAYED[outcome.replayed]})


@cache
def status_of(code: Code) -> E:
    """What a code says of something that was done, or was not: 700, 745, 761 and 762 are of success, whoever carries them."""
    return E(status=code in _SUCCESSES, code=code.number, message=code.message)
