"""How v1.1 reads write instants, stores and properties: texts without offsets, by the server zone's clock (README 6)."""

from collections.abc import Mapping
from typing import Final
from zoneinfo import ZoneInfo

from couponry.api import times
from couponry.api.call import Call
from couponry.api.v1_1.tree import Entries, Node
from couponry.api.v2 import claims
from couponry.core.expiry import local_time
from couponry.core.status import Code

_DIGITS_MAX: Final = 18
_EVER: Final = (0, 2**62)


def instant(at_ms: int, zone: ZoneInfo) -> str:
    """`2031-03-10 12:50:00`."""
    return f"{local_time(at_ms // 1000, zone):%Y-%m-%d %H:%M:%S}"


def zulu(at_ms: int, zone: ZoneInfo) -> str:
    """`2031-03-10T12:50:00.000Z`, by the server zone's clock all the same."""
    return f"{local_time(at_ms // 1000, zone):%Y-%m-%dT%H:%M:%S}.000Z"


def place(code: str, name: str) -> Node:
    """A store or a till."""
    return {"code": code, "name": name}


def properties(named: Mapping[str, str]) -> Node:
    """Custom properties, always a list."""
    return {"custom_property": Entries([{"name": name, "value": value} for name, value in named.items()], is_always_list=True)}


def flag(call: Call, name: str) -> bool:
    """A boolean of the query; whatever is not true is false, as old clients expect."""
    return (claims.one(call, name) or "").strip().lower() in {"true", "1"}


def words(call: Call, name: str) -> list[str]:
    """The entries of a comma list that are not blank."""
    return [word.strip() for word in claims.listed(call, name) if word.strip()]


def word(call: Call, name: str) -> str:
    """A query parameter in lower case and without blanks, empty when absent."""
    return (claims.one(call, name) or "").strip().lower()


def number(call: Call, name: str, default: int, least: int, most: int) -> int | None:
    """A whole number within bounds, the default when absent; None for anything else."""
    text = word(call, name)
    if not text:
        return default
    found = int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX else -1
    return found if least <= found <= most else None


def between(call: Call, zone: ZoneInfo) -> tuple[int, int] | Code | None:
    """`start_date` and `end_date` as the first instant and the one after the last; None without either, 400 for what is none."""
    sent = word(call, "start_date").upper(), word(call, "end_date").upper()
    if not any(sent):
        return None
    first_ms, end_ms = (times.local_ms(text, zone) if text else bound for text, bound in zip(sent, _EVER, strict=True))
    return Code.MALFORMED if first_ms is None or end_ms is None else (first_ms, end_ms)
