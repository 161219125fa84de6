"""Requests of every shape that the API's description allows, and of many that it does not: answered as it says, and never a 5xx.

Schemathesis makes the requests. Each is sent as it was made and a few times more with values that exist, or on top of a body that
would succeed, so that it gets past the first guard. The credential is always right: that others are refused has its own tests.
"""

import json
import os
from collections.abc import Iterator, Sequence
from datetime import timedelta
from random import Random
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation.feedback import NO_FEEDBACK
from schemathesis.openapi import from_dict
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from couponry.api import openapi
from tests.api.shop import Raw
from tests.fuzz.stock import Stock

SEED: Final = 20_310_310
FILLINGS: Final = 3
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
BASE: Final = "http://shop.test"
FORM: Final = "multipart/form-data"
# With them most requests would end at the gate.
ATTRIBUTION: Final = "x-cap-api-attribution"


class Wire(NamedTuple):
    """A request as Schemathesis would send it, before values are filled in."""

    case: Case[Any]
    name: str
    path: str
    path_parameters: dict[str, Any]
    query: dict[str, Any]
    headers: dict[str, str]
    body: Any
    has_body: bool


def schema() -> schemathesis.BaseSchema:
    return from_dict(openapi.document())


def test_description_is_valid() -> None:
    """Against the metaschema of OpenAPI 3.1."""
    schema().validate()


@pytest.fixture(scope="module")
def wires() -> list[Wire]:
    """A few requests for each operation; making them takes longer than sending them, so both databases get the same."""
    return [wire for operation in operations() for wire in made(operation, 8, 3, SEED)]


@pytest.mark.timeout(300)
def test_answers_are_as_described(stock: Stock, wires: list[Wire]) -> None:
    """Also: each operation succeeds at times, or the requests would say little about it. A new one needs a body in the stock."""
    assert len(wires) > 300
    random = Random(SEED)
    reached = {wire.name for wire in wires if {200, 201, 202} & set(exchanged(stock, wire, random))}
    assert reached == {wire.name for wire in wires}


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_answers_are_as_described_for_long(stock: Stock) -> None:
    """FUZZ_SEED repeats a run; the seed stands in the output of one that fails."""
    first = int(os.environ.get("FUZZ_SEED") or Random().randrange(2**32))
    print(f"FUZZ_SEED={first}")  # noqa: T201 - pytest shows it when the test fails
    random = Random(first)
    for round_seed in range(first, first + 5):
        for operation in operations():
            for wire in made(operation, 40, 20, round_seed):
                list(exchanged(stock, wire, random))


def operations() -> list[APIOperation[Any, Any, Any, Any]]:
    return [found.ok() for found in schema().get_all_operations() if isinstance(found, Ok)]


def made(operation: APIOperation[Any, Any, Any, Any], sound: int, unsound: int, start: int) -> list[Wire]:
    """So many requests as described, and so many that break the description in one place."""
    if not (operation.query or operation.path_parameters or operation.headers or operation.body):
        sound, unsound = 1, 0
    found: list[Wire] = []
    for mode, count in ((GenerationMode.POSITIVE, sound), (GenerationMode.NEGATIVE, unsound)):
        if not count:
            continue

        @seed(start)
        @settings(
            max_examples=count, database=None, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate]
        )
        @given(case=operation.as_strategy(mode, feedback=NO_FEEDBACK))
        def keep(case: Case[Any]) -> None:
            found.append(_wire(case))

        keep()
    return found


def _wire(case: Case[Any]) -> Wire:
    sent = case.as_transport_kwargs(BASE)
    is_form = case.media_type == FORM and isinstance(case.body, dict)
    return Wire(
        case=case,
        name=case.operation.definition.raw["operationId"],
        path=case.path,
        path_parameters=case.path_parameters,
        query=sent.get("params") or {},
        headers={name.lower(): str(value) for name, value in (case.headers or {}).items()},
        body=case.body if is_form else sent.get("json", sent.get("data")),
        has_body="json" in sent or "data" in sent,
    )


def exchanged(stock: Stock, wire: Wire, random: Random) -> Iterator[int]:
    """The HTTP statuses of the request as it is, of the same with known values, and of one that has all that it takes."""
    for filling in range(FILLINGS + 1):
        sent = wire if filling == 0 else _filled(stock, wire, random, is_whole=filling == FILLINGS)
        request = _prepared(sent)
        typed = {name: request.headers[name] for name in ("content-type",) if name in request.headers}
        answer = stock.send(wire.case.method, str(request.url), request.read(), {**sent.headers, **typed})
        _check(wire, request, answer)
        yield answer.status


def _filled(stock: Stock, wire: Wire, random: Random, *, is_whole: bool) -> Wire:
    template, body = stock.templates().get(wire.name), wire.body
    if template is not None and (is_whole or random.random() < 0.7):
        body = _merged(template, body, random, 0 if is_whole else random.choice((0, 0.1, 0.3)))
    query = {name: value for name, value in wire.query.items() if not is_whole and random.random() < 0.5}
    if is_whole or random.random() < 0.7:
        query |= stock.queries().get(wire.name, {})
    return wire._replace(
        path_parameters=stock.filled(random, wire.path_parameters, 1 if is_whole else 0.5),
        query=stock.filled(random, query),
        headers={name: value for name, value in wire.headers.items() if not name.startswith(ATTRIBUTION)},
        body=stock.filled(random, body, 0.2 if is_whole else 0.5),
    )


def _merged(template: Any, made_up: Any, random: Random, keep: float) -> Any:
    """The template with some of the fields that were made up."""
    if not (isinstance(template, dict) and isinstance(made_up, dict)):
        return template
    kept = {name: value for name, value in made_up.items() if name not in template and random.random() < keep}
    return {**kept, **{name: _merged(value, made_up.get(name), random, keep) for name, value in template.items()}}


def _prepared(wire: Wire) -> httpx.Request:
    path = wire.path
    for name, value in wire.path_parameters.items():
        path = path.replace(f"{{{name}}}", quote(str(value), safe="%"))
    url = requests.Request("GET", BASE + path, params=wire.query).prepare().url
    assert url
    if wire.has_body and wire.case.media_type == FORM and isinstance(wire.body, dict):
        return httpx.Request(wire.case.method, url, files=[(str(name), _part(value)) for name, value in wire.body.items()])
    return httpx.Request(wire.case.method, url, content=_bytes(wire.body) if wire.has_body else b"")


def _part(value: Any) -> tuple[str | None, bytes]:
    text = value if isinstance(value, str) else json.dumps(value)
    return None, text.encode("utf-8", "replace")


def _bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def _check(wire: Wire, request: httpx.Request, answer: Raw) -> None:
    headers = [(name, value) for name, value in answer.headers if name != b"content-length"]
    response = httpx.Response(answer.status, headers=headers, content=answer.body, request=request)
    response.elapsed = timedelta()
    said = f"{request.method} {request.url} {request.content[:2000]!r} -> {answer.status} {answer.body[:500]!r}"
    try:
        wire.case.validate_response(response, checks=CHECKS)
    except BaseException as error:
        error.add_note(said)
        raise
    described = wire.case.operation.definition.raw["responses"][str(answer.status)]["description"].split("; ")
    numbers = [line.split(" ", 1)[0] for line in described]
    assert all(str(code) in numbers for code in _codes(answer)), said


def _codes(answer: Raw) -> Sequence[int]:
    """The numbers of what a request was refused for as a whole; words of ours are for people."""
    if answer.status < 400 or not answer.body.startswith(b"{"):
        return ()
    body = json.loads(answer.body)
    codes = [body["code"]] if "code" in body else [error["code"] for error in body.get("errors", ())]
    return [code for code in codes if isinstance(code, int)]
