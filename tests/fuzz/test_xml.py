"""XML as an enemy sends it: a clear refusal, in bounded memory and time, and never anything else (issue 4, part 2)."""

import time
import tracemalloc
from typing import Final
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponry.api.v1_1.documents import XmlRefused, read
from couponry.core.limits import REQUEST_BODY_BYTES_MAX, XML_DEPTH_MAX, XML_ELEMENTS_MAX

MILLION: Final = REQUEST_BODY_BYTES_MAX
GOOD: Final = b"<root><coupon><code>A</code></coupon></root>"
LOLS: Final = b"".join(b'<!ENTITY l%d "%s">' % (n + 1, b"&l%d;" % n * 10) for n in range(9))

REFUSED: Final = {
    "empty": b"",
    "blank": b" \n",
    "no XML": b"code=A",
    "JSON": b'{"root": {}}',
    "cut off": GOOD[:-3],
    "two roots": GOOD + GOOD,
    "text behind": GOOD + b"x",
    "crossed": b"<root><a><b></a></b></root>",
    "no attribute": b"<root a=b></root>",
    "attribute twice": b'<root a="1" a="2"/>',
    "DTD": b"<!DOCTYPE root>" + GOOD,
    "DTD elsewhere": b'<!DOCTYPE root SYSTEM "http://127.0.0.1/x.dtd">' + GOOD,
    "entity": b'<!DOCTYPE r [<!ENTITY e "A">]><root>&e;</root>',
    "undeclared entity": b"<root>&nbsp;</root>",
    "external entity": b'<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/passwd">]><root>&e;</root>',
    "parameter entity": b'<!DOCTYPE r [<!ENTITY % e SYSTEM "http://127.0.0.1/x"> %e;]><root/>',
    "billion laughs": b'<!DOCTYPE r [<!ENTITY l0 "lol">' + LOLS + b"]><root>&l9;</root>",
    "quadratic": b'<!DOCTYPE r [<!ENTITY e "' + b"A" * 50_000 + b'">]><root>' + b"&e;" * 50_000 + b"</root>",
    "default attributes": b'<!DOCTYPE r [<!ATTLIST root null CDATA "true">]><root/>',
    "instruction": b'<?php system("id") ?>' + GOOD,
    "style sheet": b'<?xml-stylesheet href="http://127.0.0.1/"?>' + GOOD,
    "namespace": b'<root xmlns="urn:x"><coupon/></root>',
    "prefix": b'<s:root xmlns:s="urn:x"><coupon/></s:root>',
    "unbound prefix": b"<s:root/>",
    "mixed": b"<root>text<coupon/>text</root>",
    "NUL": b"<root>\0</root>",
    "character 1": b"<root>&#1;</root>",
    "surrogate": b"<root>&#xD800;</root>",
    "huge reference": b"<root>&#999999999999;</root>",
    "latin without saying so": b"<root>\xe9</root>",
    "latin as UTF-8": b'<?xml version="1.0" encoding="UTF-8"?><root>\xe9</root>',
    "UTF-16": "<root/>".encode("utf-16"),
    "UTF-16 in name": b'<?xml version="1.0" encoding="UTF-16"?><root/>',
    "UTF-32": "<root/>".encode("utf-32"),
    "UTF-7": b'<?xml version="1.0" encoding="UTF-7"?><root>+ADw-a+AD4-</root>',
    "EBCDIC": b'<?xml version="1.0" encoding="cp037"?><root/>',
    "codec of Python": b'<?xml version="1.0" encoding="zlib_codec"?><root/>',
    "no encoding": b'<?xml version="1.0" encoding=""?><root/>',
    "marked, but latin": b'\xef\xbb\xbf<?xml version="1.0" encoding="ISO-8859-1"?><root/>',
    "deep": b"<a>" * (XML_DEPTH_MAX + 1) + b"</a>" * (XML_DEPTH_MAX + 1),
    "very deep": b"<a>" * (MILLION // 3),
    "many": b"<root>" + b"<a/>" * XML_ELEMENTS_MAX + b"</root>",
    "as many as fit": b"<root>" + b"<a/>" * (MILLION // 4) + b"</root>",
    "attributes": b"<root " + b" ".join(b'a%d="1"' % n for n in range(80_000)),
    "long name": b"<" + b"a" * MILLION,
    "endless comment": b"<root><!--" + b"-" * MILLION,
    "endless CDATA": b"<root><![CDATA[" + b"]" * MILLION,
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_refused(body: bytes) -> None:
    """Prevents a body of 1 MiB from costing more than reading it, and a DTD from reaching a file or a socket."""
    tracemalloc.start()
    began_s = time.monotonic()
    with pytest.raises(XmlRefused):
        read(body)
    seconds, (_, peak) = time.monotonic() - began_s, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 3
    assert peak < 32 * MILLION


@pytest.mark.parametrize(
    ("charset", "declared"),
    [("iso-8859-1", "UTF-8"), ("utf-8", "ISO-8859-1"), ("utf-16", ""), ("klingon", ""), ("utf-8", "UTF-16")],
)
def test_header_and_declaration_must_agree(charset: str, declared: str) -> None:
    declaration = f'<?xml version="1.0" encoding="{declared}"?>'.encode() if declared else b""
    with pytest.raises(XmlRefused):
        read(declaration + GOOD, charset)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"<root/>", ""),
        (b"<root></root>", ""),
        (b"<root>\n</root>", ""),
        (b'<root null="true">x</root>', None),
        (b"<root> x </root>", " x "),
        (b"<root><!-- nothing --><a>1</a><![CDATA[ ]]></root>", {"a": "1"}),
        (b"<root><a><![CDATA[<&>]]></a></root>", {"a": "<&>"}),
        (b"<root><a>1</a><b/><a>2</a><a/></root>", {"a": ["1", "2", ""], "b": ""}),
        (b"<root><a>&lt;&#233;&amp;</a></root>", {"a": "<\xe9&"}),
        (b'<root xmlns:xsi="urn:xsi" a="1"><a>1</a></root>', {"a": "1"}),
        (b"\xef\xbb\xbf<root>\xc3\xa9</root>", "\xe9"),
        (b'<?xml version="1.0" encoding="iso-8859-1"?><root>\xe9</root>', "\xe9"),
        (b'<?xml version="1.0" encoding=\'utf-8\' standalone="yes"?>\n<root>\xc3\xa9</root>', "\xe9"),
    ],
)
def test_read(body: bytes, value: object) -> None:
    assert read(body) == {"root": value}


def test_huge_text_is_text() -> None:
    """A body of one text is read, since its size is bounded already."""
    assert read(b"<root>" + b"x" * 1_000_000 + b"</root>") == {"root": "x" * 1_000_000}
    assert read(b"<root>" + b"&lt;" * 250_000 + b"</root>") == {"root": "<" * 250_000}


PIECES: Final = st.sampled_from(
    [
        *(b"<root>", b"</root>", b"<a>", b"</a>", b"<a/>", b"&lt;", b"&x;", b"<![CDATA[", b"]]>", b"<!--", b"-->", b"<?a ?>"),
        *(
            b"<!DOCTYPE a [",
            b"]>",
            b'<!ENTITY a "b">',
            b' null="true"',
            b"x",
            b"<?xml version='1.0' encoding='",
            b"utf-8",
            b"'?>",
        ),
        b"\xff",
    ]
)


@given(st.lists(PIECES | st.binary(max_size=6), max_size=30).map(b"".join), st.sampled_from(["", "utf-8", "utf-16", "\0"]))
def test_anything_is_read_or_refused(body: bytes, charset: str) -> None:
    """Prevents a 5xx: whatever comes is read as the standard library reads it, or refused."""
    try:
        document = read(body, charset)
    except XmlRefused:
        return
    (name,) = document
    assert ET.fromstring(body).tag == name  # noqa: S314 - a few bytes without a DTD
    assert b"<!DOCTYPE" not in body or b"CDATA" in body or b"<!--" in body
