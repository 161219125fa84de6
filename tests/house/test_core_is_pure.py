"""The core: plain data in, plain data out. import-linter follows chains; this allows only what is listed, also of the stdlib."""

import ast
from collections.abc import Iterator
from typing import Final

import pytest

from tests.house.sources import PACKAGE, modules

# Values and arithmetic. `zoneinfo` reads zone rules, but the same ones everywhere: the tzdata wheel is locked. `numpy` and
# `cryptography` compute codes, `segno` draws them.
ALLOWED: Final = frozenset(
    {
        "__future__",
        "abc",
        "base64",
        "bisect",
        "calendar",
        "collections",
        "contextlib",
        "copy",
        "couponry.core",
        "cryptography",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "fractions",
        "functools",
        "hashlib",
        "heapq",
        "hmac",
        "ipaddress",
        "itertools",
        "json",
        "math",
        "msgspec",
        "numpy",
        "operator",
        "re",
        "segno",
        "string",
        "struct",
        "types",
        "typing",
        "unicodedata",
        "zlib",
        "zoneinfo",
    }
)
# Names that let in a clock, chance or the outside, through an allowed import or without one.
FORBIDDEN_CALLS: Final = frozenset({"now", "utcnow", "today", "urandom", "open", "input", "print", "exec", "eval", "__import__"})
FORBIDDEN_ATTRIBUTES: Final = frozenset({"random"})  # numpy.random


def impurities(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (f"imports {name.name}" for name in names if not allowed(name.name))
            case ast.ImportFrom(module=module, level=level, names=names):
                if level or module is None:
                    yield "imports relatively"
                elif module == "couponry":
                    yield from (f"imports couponry.{name.name}" for name in names if not allowed(f"couponry.{name.name}"))
                elif not allowed(module):
                    yield f"imports {module}"
            case ast.Call(func=ast.Attribute(attr="open")):
                pass  # a `Vault` is opened; whatever else can be is not imported
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in FORBIDDEN_CALLS:
                yield f"calls {name}"
            case ast.Attribute(attr=name) if name in FORBIDDEN_ATTRIBUTES:
                yield f"uses .{name}"
            case ast.AsyncFunctionDef(name=name):
                yield f"defines async {name}"
            case ast.Global(names=changed):
                yield f"changes the global {', '.join(changed)}"
            case _:
                pass


def allowed(module: str) -> bool:
    parts = module.split(".")
    return any(".".join(parts[:depth]) in ALLOWED for depth in range(1, len(parts) + 1)) and module != "numpy.random"


def test_core_is_pure() -> None:
    """Prevents the outage in which a rule asks the clock or the database itself: then a decision can't be replayed, two runs of
    one batch differ, and a property test proves nothing."""
    found = [f"{path}: {impurity}" for path, tree in modules(PACKAGE / "core") for impurity in impurities(tree)]
    assert not found


@pytest.mark.parametrize(
    ("code", "impurity"),
    [
        ("import time", "imports time"),
        ("import os.path", "imports os.path"),
        ("from couponry.store import load", "imports couponry.store"),
        ("from couponry import store", "imports couponry.store"),
        ("from . import model", "imports relatively"),
        ("import numpy.random", "imports numpy.random"),
        ("np.random.default_rng()", "uses .random"),
        ("datetime.now(UTC)", "calls now"),
        ("open('x')", "calls open"),
        ("async def f(): pass", "defines async f"),
        ("def f():\n  global x", "changes the global x"),
        ("from couponry.core.model import Coupon", None),
        ("from couponry.core import model", None),
        ("from couponry import core", None),
        ("from datetime import datetime", None),
        ("from collections.abc import Mapping", None),
    ],
)
def test_guard_sees(code: str, impurity: str | None) -> None:
    """Prevents a guard that lets everything pass."""
    assert list(impurities(ast.parse(code))) == ([] if impurity is None else [impurity])
