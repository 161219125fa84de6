"""What a module may be called, what it may hold, and who may speak to a database."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.house.sources import modules

MEANINGLESS: Final = frozenset({"utils", "util", "helpers", "helper", "manager", "managers", "base", "common", "misc"})
DATABASE: Final = frozenset({"sqlalchemy", "alembic", "psycopg", "sqlite3"})
MUTABLE_LITERALS: Final = ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp
MUTABLE_TYPES: Final = frozenset({"list", "dict", "set", "bytearray", "defaultdict", "deque", "OrderedDict", "Counter"})


def mutable_state(tree: ast.Module) -> Iterator[str]:
    """Module-level names bound to something mutable that are neither `Final` nor written as a constant."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=targets, value=value) if mutable(value):
                names = [target.id for target in targets if isinstance(target, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value) if mutable(value):
                names = [] if "Final" in ast.unparse(annotation) else [name]
            case _:
                continue
        yield from (name for name in names if not name.isupper() and not name.startswith("__"))


def mutable(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call):
        name = value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")
        return name in MUTABLE_TYPES
    return isinstance(value, MUTABLE_LITERALS)


def test_modules_are_named_after_what_they_hold() -> None:
    """Prevents the module named after nothing, which everything ends up in and everything imports."""
    found = [path for path, _ in modules() if not MEANINGLESS.isdisjoint((*Path(path).parent.parts, Path(path).stem))]
    assert not found


def test_no_module_holds_mutable_state() -> None:
    """Prevents the cache in a module: shared by all tests of a process and all lanes of a server, and seen by no signature."""
    found = [f"{path}: {name}" for path, tree in modules() for name in mutable_state(tree)]
    assert not found


def imported(tree: ast.Module) -> Iterator[str]:
    """The top-level packages that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module.partition(".")[0]


def test_only_the_store_speaks_to_a_database() -> None:
    """Prevents the statement outside the store that nobody finds when the schema changes, and that names no org."""
    outside = [(path, tree) for path, tree in modules() if not path.startswith("src/couponry/store/")]
    found = [f"{path}: {package}" for path, tree in outside for package in imported(tree) if package in DATABASE]
    assert not found


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("cache = {}", ["cache"]),
        ("seen: set[str] = set()", ["seen"]),
        ("_waiting = collections.deque()", ["_waiting"]),
        ("names = [n for n in x]", ["names"]),
        ("NAMES = ['a']", []),
        ("names: Final = ['a']", []),
        ("__all__ = ['a']", []),
        ("names = ('a',)", []),
        ("def f():\n  names = []", []),
    ],
)
def test_guard_sees(code: str, found: list[str]) -> None:
    """Prevents a guard that lets everything pass."""
    assert list(mutable_state(ast.parse(code))) == found
