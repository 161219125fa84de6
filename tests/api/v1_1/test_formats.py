"""JSON and XML: which is chosen, and that both say the same."""

from types import SimpleNamespace
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponry.api.v1_1 import formats
from couponry.api.v1_1.tree import Entries, Listed, StatusNumber, Tree
from tests.api.v1_1.plain import from_json, from_xml, single

JSON: Final = b"application/json"
XML: Final = b"application/xml"


def call(query: dict[str, Any] | None = None, **headers: bytes) -> Any:
    """What of a request the choice depends on."""
    return SimpleNamespace(
        query_string="x" if query else "",
        params=query or {},
        raw_header=lambda name: headers.get(name.decode().replace("-", "_")),
    )


@pytest.mark.parametrize(
    ("suffix", "request_", "chosen"),
    [
        ("", call(), "json"),
        (".xml", call({"format": "json"}, accept=JSON, content_type=JSON), "xml"),
        (".json", call({"format": "xml"}, accept=XML, content_type=XML), "json"),
        ("", call({"format": "xml"}, accept=JSON, content_type=JSON), "xml"),
        ("", call({"format": "XML"}), "xml"),
        ("", call({"format": ["xml", "json"]}), "xml"),
        ("", call({"format": "csv"}, accept=XML), "xml"),
        ("", call({"format": ""}, content_type=XML), "xml"),
        ("", call(accept=XML, content_type=JSON), "xml"),
        ("", call(accept=b"text/xml"), "xml"),
        ("", call(accept=JSON, content_type=XML), "json"),
        ("", call(accept=b"*/*", content_type=XML), "xml"),
        ("", call(accept=b"text/html, application/*;q=0.5", content_type=b"Text/XML; charset=utf-8"), "xml"),
        ("", call(accept=b"application/json;q=0.2, application/xml;q=0.9"), "xml"),
        ("", call(accept=b"application/xml, application/json"), "xml"),
        ("", call(accept=b"application/xml;q=0, application/json;q=0.1"), "json"),
        ("", call(accept=b"application/xml;q=x"), "json"),
        ("", call(accept=b"application/xml;q=nan"), "json"),
        ("", call(accept=b"text/csv;" + b"x" * 500 + b", application/xml"), "xml"),
        ("", call(content_type=b"text/plain"), "json"),
        ("", call(accept=b"\xff\xfe"), "json"),
    ],
)
def test_choice(suffix: str, request_: Any, chosen: str) -> None:
    """README 3: path suffix, `format=`, Accept, Content-Type, else JSON."""
    assert formats.format_of(request_, suffix) == chosen


TEXTS: Final = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=8)
NAMES: Final = st.sampled_from(["code", "customer", "status", "transaction", "side"])
SCALARS: Final = TEXTS | st.integers(-(10**9), 10**9) | st.booleans() | st.none() | st.builds(StatusNumber, st.integers(200, 999))


def objects(inner: Any) -> Any:
    """Objects, also the plural ones that hold a singular key."""
    listed = st.lists(inner, max_size=3)
    plural = st.builds(lambda items, kept: {"entry": Entries(items, is_always_list=kept)}, listed, st.booleans())
    bare = st.builds(Listed, st.lists(inner, max_size=3))
    return st.dictionaries(NAMES, inner | plural | bare, max_size=4)


@given(st.dictionaries(NAMES, st.recursive(SCALARS, objects, max_leaves=12), max_size=4))
def test_both_formats_say_the_same(payload: dict[str, Any]) -> None:
    """Prevents the field that one format forgot: whatever tree an endpoint makes, both hold the same data (README 3)."""
    encoders = formats.encoders(code_as_string=False)
    tree = {"response": payload}
    as_json = single(from_json(msgspec.json.decode(encoders["json"](tree))))
    as_xml = single(from_xml(encoders["xml"](tree)))
    assert as_json == as_xml


def test_codes_as_texts() -> None:
    """README 3: the switch for old strict clients turns codes into texts, and nothing else."""
    encode = formats.encoders(code_as_string=True)["json"]
    assert encode({"code": StatusNumber(700), "id": 5}) == b'{"code":"700","id":5}'


def test_list_quirk() -> None:
    encode = formats.encoders(code_as_string=False)["json"]
    assert encode({"a": Entries([{"b": 1}])}) == b'{"a":{"b":1}}'
    assert encode({"a": Entries([1, 2])}) == b'{"a":[1,2]}'
    assert encode({"a": Entries([1], is_always_list=True), "c": Entries([])}) == b'{"a":[1],"c":[]}'
    assert encode({"stores": Listed([310], as_text=True), "none": Listed([])}) == b'{"stores":"[310]","none":[]}'


def test_xml_forms() -> None:
    """The mapping of README 3, case by case; characters that XML cannot hold do not break the document."""
    write = formats.encoders(code_as_string=False)["xml"]
    tree: Tree = {
        "r": {"a": Entries([{"b": "x"}, {"b": ""}]), "n": None, "t": True, "l": Listed([1, 2]), "e": Listed([]), "z": {}}
    }
    assert write(tree) == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<r><a><b>x</b></a><a><b/></a><n null="true"/><t>true</t>'
        b"<l><element>1</element><element>2</element></l><e/><z/></r>"
    )
    assert from_xml(write({"r": "<&>\"'\r\n\x00\ud800\ufffe"})) == {"r": "<&>\"'\r\n\ufffd\ufffd\ufffd"}
