"""Answers of either format as one plain form, so that they can be compared: texts, dicts, lists, None."""

import re
from typing import Any, Final
from xml.etree import ElementTree as ET

# What XML 1.0 has no way to write.
UNWRITABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def from_json(value: Any) -> Any:
    """Scalars become texts; what is empty is an empty text, as in XML, where nothing else can be told apart."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case dict():
            kept = {key: from_json(inner) for key, inner in value.items() if inner != []}
            kept |= {key: "" for key, inner in value.items() if inner == [] and not key_repeats(key)}
            return kept or ""
        case list():
            return [from_json(inner) for inner in value]
        case _:
            return UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", str(value))


def key_repeats(key: str) -> bool:
    """Whether an empty list under this key leaves nothing in XML: the singular of a plural."""
    return key in {"coupon", "warning", "redeemable", "entry", "field", "item"}


def from_xml(document: bytes) -> Any:
    root = ET.fromstring(document)  # noqa: S314 - our own answer
    return {root.tag: _value(root)}


def _value(element: ET.Element) -> Any:
    if element.get("null") == "true":
        return None
    children: dict[str, Any] = {}
    for child in element:
        children.setdefault(child.tag, []).append(_value(child))
    if not children:
        return element.text or ""
    if children.keys() == {"element"}:
        return children["element"]
    return {name: values[0] if len(values) == 1 else values for name, values in children.items()}


def single(value: Any) -> Any:
    """Lists of one become their entry: JSON may say which it is, XML cannot."""
    match value:
        case dict():
            return {key: single(inner) for key, inner in value.items()}
        case [one]:
            return single(one)
        case list():
            return [single(inner) for inner in value]
        case _:
            return value
