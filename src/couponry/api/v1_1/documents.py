"""XML in and out (README 3).

What comes in is hostile: its size, depth and number of elements are bounded, and whatever is more than elements and text is
refused: DTDs and with them every entity, processing instructions, namespaces, encodings but the three below.

pyexpat speaks for itself here rather than through a library: decision 18 has the figures.
"""

import re
from typing import Any, Final
from xml.parsers import expat

from couponry.api.v1_1.tree import Entries, Listed, Node, StatusNumber, Tree
from couponry.core.limits import XML_DEPTH_MAX, XML_ELEMENTS_MAX

_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
_DECLARED: Final = re.compile(rb"""\s*<\?xml\s[^>]*?encoding\s*=\s*["']([^"'>]*)["']""")
_DECLARED_BYTES_MAX: Final = 200
_ENCODINGS: Final = frozenset({"utf-8", "us-ascii", "iso-8859-1"})
_BOM: Final = b"\xef\xbb\xbf"
_SEPARATOR: Final = " "
# What must be escaped, and what XML 1.0 has no way to write: controls, surrogates, and two that are not characters.
_SPECIAL: Final = re.compile("[&<>\r]|[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}


class XmlRefused(Exception):
    """What was sent is no XML, or more than we read; the request is a 400."""


def read(body: bytes, charset: str = "") -> dict[str, Any]:
    """A document as `{root name: value}`: an element is a dict of its children, or its text, perhaps empty; None
    with `null="true"`.

    Children of one name become a list. `charset` is what the Content-Type header claims. Raises XmlRefused.
    """
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = parser.ProcessingInstructionHandler = reader.refuse
    try:
        parser.Parse(_decoded(body, charset), True)
    except (expat.ExpatError, UnicodeError) as error:
        raise XmlRefused(str(error)) from error
    return reader.document


def _decoded(body: bytes, charset: str) -> str:
    """The text, by the encoding that header and declaration agree on; UTF-8 unless one of them says otherwise."""
    is_marked = body.startswith(_BOM)
    found = _DECLARED.match(body, len(_BOM) if is_marked else 0, _DECLARED_BYTES_MAX)
    claims = {charset.lower(), found[1].decode("ascii", "replace").lower() if found else "", "utf-8" if is_marked else ""} - {""}
    if len(claims) > 1 or not claims <= _ENCODINGS:
        raise XmlRefused("an encoding that is not read, or two of them")
    return body.decode("utf-8-sig" if is_marked else claims.pop() if claims else "utf-8")


class _Reader:
    """Builds plain values while the parser walks; a list of open elements instead of recursion."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = {}
        self._open: list[tuple[dict[str, Any], list[str], bool]] = [(self.document, [], False)]
        self._elements = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if len(self._open) > XML_DEPTH_MAX or self._elements > XML_ELEMENTS_MAX:
            raise XmlRefused("too deep, or too many elements")
        if _SEPARATOR in name:
            raise XmlRefused("a name in a namespace")
        self._open.append(({}, [], attributes.get("null") == "true"))

    def end(self, name: str) -> None:
        children, texts, is_null = self._open.pop()
        text = "".join(texts)
        if not text.strip():
            text = ""
        elif children:
            raise XmlRefused("text between elements")
        _put(self._open[-1][0], name, None if is_null else children or text)

    def text(self, text: str) -> None:
        self._open[-1][1].append(text)

    def refuse(self, *_: object) -> None:
        raise XmlRefused("a DTD or a processing instruction")


def _put(children: dict[str, Any], name: str, value: object) -> None:
    if name not in children:
        children[name] = value
    elif isinstance(children[name], list):
        children[name].append(value)
    else:
        children[name] = [children[name], value]


def written(tree: Tree) -> bytes:
    """A tree as a document. Characters that XML cannot hold become U+FFFD."""
    out = [_DECLARATION]
    for name, node in tree.items():
        _write(out, name, node)
    return "".join(out).encode()


def _write(out: list[str], name: str, node: Node) -> None:
    if type(node) is str:
        out.append(f"<{name}>{_escaped(node)}</{name}>" if node else f"<{name}/>")
    elif isinstance(node, dict):
        at = len(out)
        out.append(f"<{name}>")
        for child, value in node.items():
            _write(out, child, value)
        if len(out) == at + 1:
            out[at] = f"<{name}/>"
        else:
            out.append(f"</{name}>")
    elif isinstance(node, Entries):
        for entry in node.items:
            _write(out, name, entry)
    elif isinstance(node, Listed):
        _write(out, name, {node.each: Entries(node.items)})
    elif isinstance(node, StatusNumber):
        out.append(f"<{name}>{node.number}</{name}>")
    elif node is None:
        out.append(f'<{name} null="true"/>')
    elif isinstance(node, bool):
        out.append(f"<{name}>{'true' if node else 'false'}</{name}>")
    else:
        out.append(f"<{name}>{node}</{name}>")


def _escaped(text: str) -> str:
    return _SPECIAL.sub(_escape, text) if _SPECIAL.search(text) else text


def _escape(found: re.Match[str]) -> str:
    return _ESCAPES.get(found[0], "\N{REPLACEMENT CHARACTER}")
