"""What somebody wants of a webhook, and what cannot be (events 3). Which addresses it may have is `outbound.targets`' to say."""

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from couponry.core.deliveries import EVENT_NAMES
from couponry.core.events import ISSUE_LIMIT
from couponry.core.limits import (
    WEBHOOK_CONNECTIONS_MAX,
    WEBHOOK_HEADER_CHARS_MAX,
    WEBHOOK_HEADERS_MAX,
    WEBHOOK_NAME_CHARS_MAX,
    WEBHOOK_SLA_S_MAX,
)

NAMES: Final = (*EVENT_NAMES, ISSUE_LIMIT)
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VALUE: Final = re.compile("[\t\x20-\x7e\xa0-\xff]*")
# What belongs to the transport, and what says who sent it.
_OURS: Final = re.compile(
    "host|connection|keep-alive|upgrade|te|trailer|expect|content-length|content-encoding|transfer-encoding|proxy-.*|webhook-.*"
)


class Draft(Struct, frozen=True, kw_only=True):
    """What somebody wants of a webhook. The headers are as they are sent."""

    name: str
    url: str
    event_names: frozenset[str]
    headers: Mapping[str, str]
    connections_max: int
    sla_s: int
    enrichments: frozenset[str] = frozenset()
    is_active: bool = True


def draft_problem(draft: Draft) -> str:
    """The first thing that is wrong, by its name in the contract; empty when nothing is."""
    if draft.event_names - {*NAMES}:
        return f"eventNames may be {', '.join(NAMES)}"
    if not 0 < len(draft.name) <= WEBHOOK_NAME_CHARS_MAX or not draft.name.isprintable():
        return f"name has 1 to {WEBHOOK_NAME_CHARS_MAX} printable characters"
    if not 0 < draft.connections_max <= WEBHOOK_CONNECTIONS_MAX:
        return f"maxAllowedConnections is from 1 to {WEBHOOK_CONNECTIONS_MAX}"
    if not 0 < draft.sla_s <= WEBHOOK_SLA_S_MAX:
        return f"slaInSeconds is from 1 to {WEBHOOK_SLA_S_MAX}"
    return ""


def headers_problem(headers: Mapping[str, str]) -> str:
    """What is wrong with headers; empty if they can be sent as they are."""
    if len(headers) > WEBHOOK_HEADERS_MAX:
        return f"at most {WEBHOOK_HEADERS_MAX} webHookHeaders"
    if len({name.lower() for name in headers}) < len(headers):
        return "webHookHeaders name one twice"
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            return "a name of webHookHeaders is none that HTTP knows"
        if _OURS.fullmatch(name.lower()):
            return f"webHookHeaders cannot set {name}"
        if len(value) > WEBHOOK_HEADER_CHARS_MAX or not _VALUE.fullmatch(value):
            return f"the value of {name} cannot be sent as a header of at most {WEBHOOK_HEADER_CHARS_MAX} characters"
    return ""
