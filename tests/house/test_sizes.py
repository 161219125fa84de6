"""The size ratchet. `size_exceptions.json` holds what is over a limit today; a number there may only go down, or go away."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

import pytest

from tests.house.sources import PACKAGE, ROOT, modules

LIMITS: Final = {"functions": 60, "modules": 400, "handlers": 20}
EXCEPTIONS: Final = ROOT / "tests" / "house" / "size_exceptions.json"
HANDLER: Final = re.compile(r"on_(get|post|put|delete|patch)(_\w+)?")  # Falcon appends a route's suffix


def functions(tree: ast.Module | ast.stmt, prefix: str) -> Iterator[tuple[str, str, int]]:
    """Every function: its place, its bare name and its number of lines, decorators apart."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield f"{prefix}{node.name}", node.name, node.end_lineno - node.lineno + 1
        if isinstance(node, ast.stmt):
            inner = f"{prefix}{node.name}." if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else prefix
            yield from functions(node, inner)


def measured() -> dict[str, dict[str, int]]:
    """The size of everything that has a limit."""
    sizes: dict[str, dict[str, int]] = {kind: {} for kind in LIMITS}
    for path, tree in modules():
        sizes["modules"][path] = len((ROOT / path).read_text().splitlines())
        for place, name, lines in functions(tree, f"{path}::"):
            sizes["functions"][place] = lines
            if path.startswith("src/couponry/api/") and HANDLER.fullmatch(name):
                sizes["handlers"][place] = lines
    return sizes


def complaints(kind: str, sizes: Mapping[str, int], exceptions: Mapping[str, int]) -> Iterator[str]:
    limit = LIMITS[kind]
    for place, lines in sizes.items():
        allowed = exceptions.get(place, limit)
        if lines > allowed:
            yield f"{place} has {lines} lines; {kind} have at most {allowed}. Cut it along what it does."
    for place, allowed in exceptions.items():
        lines = sizes.get(place, 0)
        if lines <= limit:
            yield f"{place} needs no exception any more ({lines} lines, limit {limit}): remove it from {EXCEPTIONS.name}."
        elif lines < allowed:
            yield f"{place} shrank to {lines} lines: write {lines} instead of {allowed} in {EXCEPTIONS.name}."


@pytest.mark.parametrize("kind", LIMITS)
def test_nothing_is_over_its_limit(kind: str) -> None:
    """Prevents the service of 4,000 lines, which nobody decided to write and nobody dares to change."""
    exceptions = json.loads(EXCEPTIONS.read_text())
    assert exceptions.keys() == LIMITS.keys()
    assert not list(complaints(kind, measured()[kind], exceptions[kind]))


@pytest.mark.parametrize(
    ("lines", "exceptions", "complaint"),
    [
        (60, {}, None),
        (61, {}, "has 61 lines; functions have at most 60"),
        (70, {"f": 70}, None),
        (71, {"f": 70}, "has 71 lines; functions have at most 70"),
        (69, {"f": 70}, "write 69 instead of 70"),
        (60, {"f": 70}, "needs no exception any more"),
        (60, {"gone": 70}, "gone needs no exception any more"),
    ],
)
def test_ratchet_turns_one_way(lines: int, exceptions: dict[str, int], complaint: str | None) -> None:
    """Prevents a ratchet that lets sizes grow."""
    said = list(complaints("functions", {"f": lines}, exceptions))
    if complaint is None:
        assert not said
    else:
        assert len(said) == 1
        assert complaint in said[0]


def test_functions_in_classes_and_functions_are_measured() -> None:
    """Prevents a long method from hiding in a class, a branch or a closure."""
    code = "class A:\n  def m(self):\n    def inner():\n      pass\nif True:\n  async def f():\n    pass\n"
    found = [(place, lines) for place, _, lines in functions(ast.parse(code), "")]
    assert found == [("A.m", 3), ("A.m.inner", 2), ("f", 2)]
    assert PACKAGE.is_dir()
