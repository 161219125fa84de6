"""Every field, query parameter, header and path of every operation, with what no honest client sends: always an answer below 500.

Schemathesis mostly stays within JSON and within the types; these are the values that break decoders, databases and calendars.
"""

import copy
import json
import re
from collections.abc import Iterator
from random import Random
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import pytest

from couponry.api import openapi
from tests.api.shop import Raw
from tests.fuzz.stock import Stock

SEED: Final = 20_310_310
MARK: Final = "@here@"
PATH_PARAMETER: Final = re.compile("{.*?}")
DEPTH_MAX: Final = 5
# JSON texts, some of which are none.
NUMBERS: Final = (
    *("0", "-0", "-1", "1.5", "1e400", "-1e400", "1e-400", "1E+3", "NaN", "-Infinity", "01", "9007199254740993"),
    *(str(2**63 - 1), str(2**63), str(-(2**63) - 1), str(2**200), "9" * 5000, "0." + "3" * 500, "1e999999999"),
)
TEXTS: Final = (
    *('""', '" "', r'"\u0000"', r'"a\u0000b"', r'"\ud800"', r'"\udc00x"', r'"\ufffe"', r'"\u202e"', '"²"', '"१२३"', '"ß"', '"İ"'),
    *('"NaN"', '"1e999999999"', '"1_000"', '"0x10"', '"-0"', '"+1"', '"null"', '"true"', '" 5 "', f'"{2**63}"', f'"{2**64}"'),
    *(f'"{"9" * 5000}"', f'"{"x" * 100_000}"', f'"{"😀" * 300}"', f'"{"," * 300}"', '"\' OR 1=1 --"', '"%s%n{x}{{y}}"', '"\x01"'),
    *('"\xff"', '"\\', '"[1, 2]"', '"{}"', '"[[["', '"@"', '"a@b"', '"' + "a" * 300 + '@b.c"', '"+"', '"0000000"'),
)
DATES: Final = (
    *(
        '"0000-00-00"',
        '"0001-01-01T00:00:00+14:00"',
        '"9999-12-31T23:59:59-12:00"',
        '"9999-12-31"',
        '"0001-01-01"',
        '"2031-02-30"',
    ),
    *('"2031-04-30T24:00:00Z"', '"2031-03-10T12:00:60Z"', '"2031-04-30T12:00:00+99:99"', '"-271821-04-20"', '"10000-01-01"'),
    *('"2031-04-30T12:00:00.123456789Z"', '"31/12/2031"', '"20310430"', '"2031-W10-1"', '"2031-03-30T02:30:00"', f'"{10**17}"'),
    *(str(10**15), str(10**17), str(-(10**17)), "253402300799999", "253402300800000", "-62135596800001", '"-99999999999999"'),
)
SHAPES: Final = (
    *("null", "true", "false", "[]", "{}", "[null]", "[[]]", "[{}]", '{"a": {}}', '{"": null}', r'{"\u0000": 1}', "[" * 3000),
    *("[" * 600 + "]" * 600, '{"a": 1, "a": 2}', "[1, 1, 1]", "[" + ", ".join(["1"] * 2000) + "]", "", "nul", "'a'"),
)
VALUES: Final = (*NUMBERS, *TEXTS, *DATES, *SHAPES)
BODIES: Final = (
    *(
        b"",
        b" ",
        b"\0",
        b"[]",
        b"{}",
        b"null",
        b"1",
        b'"x"',
        b"\xff\xfe{\0}\0",
        b"\xef\xbb\xbf{}",
        b"{",
        b"{}{}",
        b'{"a": "\xff"}',
    ),
    *(
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"{" + b'"a": 1, ' * 1000 + b'"a": 1}',
        b" " * 1_048_577,
        b'{"a": "' + b"x" * 1_048_570 + b'"}',
    ),
)
QUERY_VALUES: Final = (
    *("", "%00", "a%00b", "%FF%FE", "%ED%A0%80", "%", "%zz", "+", ",", ",,,,", "-1", "0", "1.5", "1e9", "NaN", "true", "null"),
    *("%E0%A5%A7", str(2**63), str(-(2**63) - 1), "9" * 5000, "x" * 20_000, "1," * 300, "a,b", "[1]", "%7B%7D", "mobile%3A"),
    *("id%3A" + "9" * 40, "9999-12-31T23%3A59%3A59-12%3A00", "0001-01-01", "2031-02-30", str(10**17), "%F0%9F%98%80", "'--"),
)
PATH_VALUES: Final = (
    *(
        "0",
        "-1",
        "+1",
        "1.0",
        "1e3",
        str(2**63 - 1),
        str(2**63),
        "9" * 400,
        "a",
        "%00",
        "1%00",
        "%FF",
        "%20",
        "%2F",
        ".",
        "%2e%2e",
    ),
    *("%E0%A5%A7", "null", "0x1", "x" * 5000, "1;a=b", "%25", "{id}", "*", "~"),
)
HEADER_VALUES: Final = (
    *("", " ", "\0", "\xff", "x" * 300, "a,b", "TILL", "STORE_CODE", "MOBILE_TRIGGER", "till1", "-1", "9" * 30, "+91", "\t", "१"),
)
HEADERS: Final = (
    *("x-cap-request-id", "x-cap-api-attribution-entity-type", "x-cap-api-attribution-entity-code", "idempotency-key"),
    *("x-cap-api-attribution-till-code", "x-cap-api-attribution-lookup-type", "x-cap-api-attribution-lookup", "x-forwarded-for"),
    *(
        "x-cap-client-countrycode",
        "x-cap-idempotency-key",
        "accept",
        "content-type",
        "content-length",
        "expect",
        "range",
        "cookie",
    ),
)

Place = tuple[str | int, ...]


class Ask(NamedTuple):
    """One hostile request of an operation."""

    url: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class Operation(NamedTuple):
    """An operation as it is described."""

    method: str
    path: str
    described: dict[str, Any]

    @property
    def name(self) -> str:
        name: str = self.described["operationId"]
        return name

    @property
    def parameters(self) -> list[str]:
        return [one["name"] for one in self.described.get("parameters", ()) if one["in"] == "query"]


def test_nothing_breaks(stock: Stock) -> None:
    _ask_all(stock, 2)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_nothing_breaks_whatever_stands_where(stock: Stock) -> None:
    _ask_all(stock, None)


def _ask_all(stock: Stock, of_each: int | None) -> None:
    """With so many values for each place, or with all."""
    random = Random(SEED)
    document = openapi.document()
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            operation = Operation(method.upper(), path, described)
            for ask in _asks(stock, operation, document["components"]["schemas"], random, of_each):
                answer = stock.send(operation.method, ask.url, ask.body, dict(ask.headers))
                _check(operation, ask, answer)


def _check(operation: Operation, ask: Ask, answer: Raw) -> None:
    said = f"{operation.method} {ask.url[:300]} {ask.headers} {ask.body[:1500]!r} -> {answer.status} {answer.body[:300]!r}"
    assert answer.status < 500, said
    assert str(answer.status) in operation.described["responses"] or answer.status in {404, 405}, said
    if operation.path.startswith(("/v2/", "/v3/", "/coupon/", "/admin/")) and not _is_file(answer):
        json.loads(answer.body)


def _is_file(answer: Raw) -> bool:
    return any(name == b"content-disposition" for name, _ in answer.headers)


def _asks(stock: Stock, operation: Operation, schemas: dict[str, Any], random: Random, of_each: int | None) -> Iterator[Ask]:
    url, template = _url(stock, operation), stock.templates().get(operation.name)
    sound = json.dumps(template).encode() if template else b""
    for name in operation.parameters:
        usual = {key: value for key, value in stock.queries().get(operation.name, {}).items() if key != name}
        rest = urlencode(usual)
        for value in _some(QUERY_VALUES, random, of_each):
            yield Ask(f"{url}?{rest}&{name}={value}", sound)
        yield Ask(f"{url}?{rest}&{name}=1&{name}=2&{name}[]=3&&=&%00=1", sound)
    if "{" in operation.path:
        for value in _some(PATH_VALUES, random, of_each and of_each * 4):
            yield Ask(PATH_PARAMETER.sub(lambda _: value, operation.path), sound)  # noqa: B023 - called at once
    for header in HEADERS:
        for value in _some(HEADER_VALUES, random, of_each and 1):
            yield Ask(url, sound, ((header, value),))
    if "requestBody" in operation.described:
        for body in BODIES:
            yield Ask(url, body)
        forms = operation.described["requestBody"]["content"]  # a form's fields have tests/api/upload/test_forms.py
        schema = forms.get("application/json", {"schema": {}})["schema"]
        for place in dict.fromkeys(_places(schema, schemas)):
            text = json.dumps(_put(copy.deepcopy(template), place))
            for value in _some(VALUES, random, of_each):
                yield Ask(url, text.replace(f'"{MARK}"', value, 1).encode())


def _some(values: tuple[str, ...], random: Random, count: int | None) -> list[str]:
    return list(values) if count is None else random.sample(values, min(count, len(values)))


def _url(stock: Stock, operation: Operation) -> str:
    """The path with something that exists."""
    path = operation.path
    for one in operation.described.get("parameters", ()):
        if one["in"] == "path":
            path = path.replace(f"{{{one['name']}}}", str(stock.known[one["name"]][0]))
    return path


def _places(schema: dict[str, Any], schemas: dict[str, Any], above: Place = ()) -> Iterator[Place]:
    """Where a value may stand, the whole body left out; in a list only the first."""
    if len(above) > DEPTH_MAX:
        return
    if "$ref" in schema:
        yield from _places(schemas[schema["$ref"].rpartition("/")[2]], schemas, above)
    for one in schema.get("anyOf", ()):
        yield from _places(one, schemas, above)
    for name, inner in schema.get("properties", {}).items():
        yield (*above, name)
        yield from _places(inner, schemas, (*above, name))
    for name, inner in (("a", schema.get("additionalProperties")), (0, schema.get("items"))):
        if isinstance(inner, dict):
            yield (*above, name)
            yield from _places(inner, schemas, (*above, name))


def _put(body: Any, place: Place) -> Any:
    """The body with a mark at the place, and all that has to be around it."""
    if not place:
        return MARK
    name, *rest = place
    if isinstance(name, int):
        first = body[0] if isinstance(body, list) and body else None
        return [_put(first, tuple(rest))]
    kept = body if isinstance(body, dict) else {}
    return {**kept, name: _put(kept.get(name), tuple(rest))}
