"""JSON or XML: which one a request speaks, which one its answer does, and from bytes to plain values and back (README 3).

No other module knows that there are two.
"""

from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, Literal

import falcon
import msgspec

from couponry.api.call import Call
from couponry.api.v1_1 import documents
from couponry.api.v1_1.tree import Entries, Listed, StatusNumber, Tree
from couponry.core.status import Code

Format = Literal["json", "xml"]

MEDIA_TYPES: Final[dict[Format, str]] = {"json": "application/json; charset=utf-8", "xml": "application/xml; charset=utf-8"}
SUFFIXES: Final[dict[str, Format]] = {".json": "json", ".xml": "xml"}
_NAMES: Final[dict[str, Format]] = {"json": "json", "xml": "xml"}
_SPOKEN: Final[dict[str, Format]] = {"application/json": "json", "application/xml": "xml", "text/xml": "xml"}
_UTF_8: Final = frozenset({"", "utf-8", "us-ascii"})
_HEADER_CHARS_KEPT_MAX: Final = 200
# A float would change an amount.
_DECODE: Final = msgspec.json.Decoder(float_hook=Decimal).decode


def format_of(call: Call, suffix: str) -> Format:
    """The answer's format: path suffix, `format=`, Accept, Content-Type, else JSON; whatever names neither is passed over."""
    if suffix:
        return SUFFIXES[suffix]
    if call.query_string and (named := _named(call.params.get("format"))):
        return named
    accept = call.raw_header(b"accept")
    if accept and accept != b"*/*" and (accepted := _accepted(accept)):
        return accepted
    sent = call.raw_header(b"content-type")
    return (_SPOKEN.get(_media_type(sent)) if sent else None) or "json"


def _named(value: str | list[str] | None) -> Format | None:
    first = value[0] if isinstance(value, list) else value
    return _NAMES.get(first.strip().lower()) if first else None


def _accepted(accept: bytes) -> Format | None:
    text = accept.decode("latin-1")
    return _preferred(text) if len(text) <= _HEADER_CHARS_KEPT_MAX else _preferred.__wrapped__(text)


@lru_cache(maxsize=256)
def _preferred(accept: str) -> Format | None:
    """The one that is named with the greater weight, the first of two alike; wildcards name neither."""
    best: Format | None = None
    most = 0.0
    for part in accept.split(","):
        spoken = _SPOKEN.get(part.partition(";")[0].strip().lower())
        weight = _weight(part)
        if spoken and weight > most:
            best, most = spoken, weight
    return best


def _weight(part: str) -> float:
    _, _, given = part.replace(" ", "").partition(";q=")
    try:
        weight = float(given.partition(";")[0]) if given else 1.0
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0


def _media_type(content_type: bytes) -> str:
    return content_type.partition(b";")[0].strip().lower().decode("latin-1")


def is_read(call: Call) -> bool:
    """Whether the body, if there is one, claims to be something that v1.1 reads (415)."""
    content_type = call.raw_header(b"content-type")
    return not content_type or _media_type(content_type) in _SPOKEN


def decoded(call: Call, raw: bytes) -> dict[str, Any] | Code:
    """A body as plain values, by its Content-Type; without one, what begins with `<` is XML. 400 for neither."""
    content_type = call.raw_header(b"content-type")
    charset = _charset(content_type) if content_type else ""
    is_xml = _SPOKEN[_media_type(content_type)] == "xml" if content_type else raw.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    try:
        document = documents.read(raw, charset) if is_xml else _DECODE(raw) if charset in _UTF_8 else None
    except (documents.XmlRefused, msgspec.DecodeError, UnicodeError, ValueError, RecursionError):
        return Code.MALFORMED
    return document if isinstance(document, dict) else Code.MALFORMED


def _charset(content_type: bytes) -> str:
    if b"charset" not in content_type.lower():
        return ""
    _, options = falcon.parse_header(content_type.decode("latin-1"))
    return options.get("charset", "").strip().lower()


def encoders(*, code_as_string: bool) -> dict[Format, Callable[[Tree], bytes]]:
    """How trees are written in each format."""
    hook = _as_json_with_text_codes if code_as_string else _as_json
    return {"json": msgspec.json.Encoder(enc_hook=hook).encode, "xml": documents.written}


def _as_json(node: object) -> object:
    """What msgspec is to write for a node that is ours."""
    if isinstance(node, StatusNumber):
        return node.number
    if isinstance(node, Entries):
        return node.items if node.is_always_list or len(node.items) != 1 else node.items[0]
    assert isinstance(node, Listed), "a tree holds nothing else"
    return msgspec.json.encode(node.items, enc_hook=_as_json).decode() if node.as_text else node.items


def _as_json_with_text_codes(node: object) -> object:
    return str(node.number) if isinstance(node, StatusNumber) else _as_json(node)
