"""The API's description: complete, without loose ends, and small enough to be made at a start (design 4)."""

import json
import re
from collections.abc import Iterator
from time import process_time
from typing import Any

import falcon.inspect
import pytest

from couponry.api import docs, openapi
from couponry.core.status import Code
from tests.api.shop import Front
from tests.house.sources import ROOT

Described = tuple[str, str, dict[str, Any]]
# They say all that there is to say with their path.
BARE = ("/delete", "/pause", "/resume", "/end", "/cancel", "/rotateSecret", "/ping", "}/replay")
# v1.1 has a page of the contract, and no types that a description could be made of.
UNDESCRIBED = ("/v1.1/", "/v1/")
ONLY_V11 = {Code.SOME_FAILED, Code.CODE_LIMIT_REACHED_V11, Code.USED_BY_ASKER}
OPEN = ("/v3/oauth/token/generate", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(openapi.rendered())
    return made


@pytest.fixture
def operations(document: dict[str, Any]) -> list[Described]:
    return [(path, method, one) for path, methods in document["paths"].items() for method, one in methods.items()]


def test_served_and_committed(front: Front) -> None:
    """Run `python -c "from couponry.api import openapi; print(openapi.rendered().decode(), end='')" > docs/openapi.json`."""
    assert (ROOT / "docs" / "openapi.json").read_bytes() == openapi.rendered()
    response = front.ask("GET", "/openapi.json", auth=None)
    assert response.content == openapi.rendered()
    assert response.json()["openapi"] == "3.1.0"


def test_every_route_is_described_and_nothing_else(front: Front, operations: list[Described]) -> None:
    routes = falcon.inspect.inspect_app(front.app).routes
    routed = {
        (route.path, method.method.lower())
        for route in routes
        for method in route.methods
        if not method.internal and method.method != "WEBSOCKET" and not route.path.startswith(UNDESCRIBED)
    }
    assert {(path, method) for path, method, _ in operations} == routed


def test_names_are_unique_and_plain(operations: list[Described]) -> None:
    names = [one["operationId"] for _, _, one in operations]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z]+[A-Za-z0-9]+", name) for name in names)
    assert all(one["summary"] for _, _, one in operations)


def test_parameters(operations: list[Described]) -> None:
    for path, method, one in operations:
        parameters = one.get("parameters", [])
        keys = [(parameter["name"].lower(), parameter["in"]) for parameter in parameters]
        assert len(set(keys)) == len(keys), (path, method)
        in_path = {parameter["name"]: parameter for parameter in parameters if parameter["in"] == "path"}
        assert in_path.keys() == set(re.findall("{(.*?)}", path)), (path, method)
        kind = "string" if path.endswith("/{name}") or path.startswith("/v3/") else "integer"
        assert all(parameter["required"] and parameter["schema"]["type"] == kind for parameter in in_path.values())
        assert all(parameter["description"] and parameter["schema"]["type"] for parameter in parameters)
        assert all(parameter["in"] in {"path", "query", "header"} for parameter in parameters)


def test_bodies(operations: list[Described]) -> None:
    for path, method, one in operations:
        has_body = method in {"post", "put", "patch"} and not path.endswith(BARE)
        assert ("requestBody" in one) == has_body, (path, method)
        assert not has_body or one["requestBody"]["required"]


def test_security(operations: list[Described]) -> None:
    for path, _, one in operations:
        schemes = {name for scheme in one["security"] for name in scheme}
        if path in OPEN:
            assert not schemes
        else:
            assert schemes == {"bearer", "token"} | (set() if path.startswith("/admin/") else {"basic"})


def test_answers(operations: list[Described]) -> None:
    """Each says in words what it means, and admin failures are problem details."""
    for path, method, one in operations:
        for status, answer in one["responses"].items():
            (media_type,) = answer["content"]
            is_problem = path.startswith("/admin/") and not status.startswith("2")
            assert (media_type == "application/problem+json") == is_problem, (path, method, status)
            assert answer["description"]
            assert "X-Cap-Requestid" in answer["headers"]
        if one["security"]:
            assert {"400", "401", "403", "429", "500"} <= one["responses"].keys()
            assert [status[0] for status in one["responses"]].count("2") == 1


@pytest.mark.parametrize(
    ("path", "method", "letter"), [("/v2/coupon/redeem", "post", "R"), ("/v2/coupon/is_redeemable", "get", "Q")]
)
def test_every_code_is_named(document: dict[str, Any], path: str, method: str, letter: str) -> None:
    text = json.dumps(document["paths"][path][method]["responses"])
    missing = [
        code for code in Code if letter in code.on.split() and not code.topic and f"{code.number} {code.message}" not in text
    ]
    assert set(missing) <= ONLY_V11


def test_references_lead_somewhere(document: dict[str, Any]) -> None:
    named = set(_references(document))
    known = {f"#/components/{kind}/{name}" for kind in ("schemas", "headers") for name in document["components"][kind]}
    assert named <= known
    assert all(re.fullmatch("[A-Za-z0-9._-]+", name.rpartition("/")[2]) for name in known)


def test_making_it_is_cheap() -> None:
    """Every process makes both when first asked; 0.1 s each when this was written."""
    started = process_time()
    assert len(openapi.rendered()) < 2_000_000
    assert len(docs.rendered()) < 2_000_000
    assert process_time() - started < 3


def test_docs_load_nothing(front: Front) -> None:
    response = front.ask("GET", "/docs", auth=None)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["content-security-policy"].startswith("default-src 'none'")
    assert "://" not in response.text
    assert "<script" not in response.text
    for path in json.loads(openapi.rendered())["paths"]:
        assert f"<code>{path}</code>" in response.text


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    for one in node if isinstance(node, list) else ():
        yield from _references(one)
