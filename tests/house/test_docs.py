"""What the pages say is so: modules, tests, constraints, links and dependencies that they name exist, and none is left out."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import text

from couponry.core.model import Terms
from couponry.store.engine import Database
from couponry.store.schema import metadata
from tests.house.sources import PACKAGE, ROOT, modules

DOCS: Final = ROOT / "docs"
ARCHITECTURE: Final = DOCS / "ARCHITECTURE.md"
GLOSSARY: Final = DOCS / "GLOSSARY.md"
DECISIONS: Final = tuple(sorted((DOCS / "decisions").glob("*.md")))
PAGES: Final = (*sorted(ROOT.glob("*.md")), *sorted(DOCS.glob("*.md")), *DECISIONS)
INVARIANTS: Final = 8
SHARED_TABLES: Final = {"org", "login"}  # whose rows belong to no single org

MAP_ROW: Final = re.compile(r"^\| \**`([\w/.]+)`\** \|", re.MULTILINE)
LINK: Final = re.compile(r"\]\(([^)#\s]+)(?:#[\w-]+)?\)")
TEST_WITH_PATH: Final = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
TEST_ALONE: Final = re.compile(r"`(test_\w+)`")
CONSTRAINT: Final = re.compile(r"`((?:ck|fk|ix|pk|uq)_\w+)`")
FILE: Final = re.compile(r"`((?:\w[\w.-]*/)+[\w.-]+\.(?:py|md|json|lock|sql))`")
INVARIANT: Final = re.compile(r"^### (\d)\. .+?(?=^##)", re.MULTILINE | re.DOTALL)
FORBIDDEN: Final = re.compile(r"`(\w+)`")
WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
PACKAGE_NAME: Final = re.compile(r"^\| `([\w-]+)` \|", re.MULTILINE)
REQUIREMENT: Final = re.compile(r"^[\w-]+")


def pages(pattern: re.Pattern[str]) -> Iterator[tuple[Path, re.Match[str]]]:
    """Every match of a pattern in any page."""
    for page in PAGES:
        yield from ((page, found) for found in pattern.finditer(page.read_text()))


@cache
def named_in(path: Path) -> frozenset[str]:
    """The names of a file's tests, those in classes too."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return frozenset(
        node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def test_map_is_the_tree() -> None:
    """Prevents a map of last year's modules."""
    tree = set()
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE)
        if name.parts[:2] == ("store", "migrations"):
            tree.add("store/migrations/")  # a revision is not a module to know
        elif name.name == "__init__.py" and name.parent.parts:
            tree.add(f"{name.parent.as_posix()}/")
        else:
            tree.add(name.as_posix())
    listed = MAP_ROW.findall(ARCHITECTURE.read_text())
    assert len(listed) == len(set(listed))
    assert set(listed) == tree


def test_every_invariant_names_its_tests_and_what_the_database_does() -> None:
    """Prevents an invariant that nothing would notice the end of."""
    sections = {int(found[1]): found[0] for found in INVARIANT.finditer(ARCHITECTURE.read_text())}
    assert set(sections) == set(range(1, INVARIANTS + 1))
    for number, section in sections.items():
        assert TEST_WITH_PATH.search(section), number
        assert "\n- Database: " in section, number


def test_named_tests_exist() -> None:
    """Prevents a guarantee whose test was renamed, and then forgotten."""
    for page, found in pages(TEST_WITH_PATH):
        path = ROOT / found[1]
        assert path.is_file(), f"{page.name}: {found[1]}"
        assert found[2] in named_in(path), f"{page.name}: {found[0]}"
    everywhere = {name for path in (ROOT / "tests").rglob("*.py") for name in named_in(path)}
    missing = [f"{page.name}: {found[1]}" for page, found in pages(TEST_ALONE) if found[1] not in everywhere]
    assert not missing


def test_named_constraints_exist() -> None:
    """Prevents a last line of defence that stands on paper only."""
    there = {
        str(part.name) for table in metadata.tables.values() for parts in (table.constraints, table.indexes) for part in parts
    }
    missing = [f"{page.name}: {found[1]}" for page, found in pages(CONSTRAINT) if found[1] not in there]
    assert not missing


def test_links_and_files_lead_somewhere() -> None:
    """Prevents pages that send their readers nowhere."""
    missing = [
        f"{page.name}: {found[1]}"
        for page, found in pages(LINK)
        if "://" not in found[1] and not (page.parent / found[1]).exists()
    ]
    missing += [
        f"{page.name}: {found[1]}"
        for page, found in pages(FILE)
        if not any((folder / found[1]).exists() for folder in (ROOT, PACKAGE, DOCS))
    ]
    assert not missing


def test_decisions_have_one_form() -> None:
    """Prevents two decisions of one number, and a decision without its reasons or its price."""
    numbers = [int(path.name[:4]) for path in DECISIONS]
    assert numbers == list(range(1, len(numbers) + 1))
    for number, path in zip(numbers, DECISIONS, strict=True):
        lines = path.read_text().splitlines()
        assert lines[0].startswith(f"# {number}. "), path.name
        assert re.match(r"(Accepted|Superseded by \[ADR \d+\]\(.+\))\.", lines[2]), path.name
        headings = [line.removeprefix("## ") for line in lines if line.startswith("## ")]
        assert headings[:3] == ["Context", "Decision", "Consequences"], path.name


def test_dependencies_have_a_reason() -> None:
    """Prevents a dependency that nobody decided for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = (project["project"]["dependencies"], *project["dependency-groups"].values())
    required = {found[0] for group in groups for entry in group if isinstance(entry, str) and (found := REQUIREMENT.match(entry))}
    (page,) = (path for path in DECISIONS if path.stem.endswith("dependencies"))
    listed = PACKAGE_NAME.findall(page.read_text())
    assert len(listed) == len(set(listed))
    assert set(listed) == required


def test_keys_start_with_the_org() -> None:
    """Prevents the table that one tenant shares with the next, and that no cluster could spread (design 6)."""
    for table in metadata.tables.values():
        if table.name in SHARED_TABLES:
            continue
        assert next(iter(table.primary_key.columns)).name == "org_id", table.name
        for index in table.indexes:
            assert next(iter(index.columns)).name == "org_id", index.name
        for constraint in table.foreign_key_constraints:
            assert constraint.column_keys[0] == "org_id", constraint.name


def test_commits_are_durable(database: Database) -> None:
    """Prevents an answer of success that a power cut takes back."""
    asked, durable = ("PRAGMA synchronous", 2) if database.is_sqlite else ("SHOW synchronous_commit", "on")
    with database.writing() as tx:
        assert tx.connection.execute(text(asked)).scalar_one() == durable


def forbidden_words() -> dict[str, str]:
    """The words that the glossary keeps out of names, each with the word that is meant instead."""
    found: dict[str, str] = {}
    for line in GLOSSARY.read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 5:
            found |= dict.fromkeys(FORBIDDEN.findall(cells[3]), cells[1])
    return found


def names(tree: ast.Module) -> Iterator[str]:
    """Every name that a module makes."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case _:
                pass


OF_CONTRACT: Final = frozenset({*Terms.__struct_fields__, *Terms.__struct_encode_fields__})


def misnamed(tree: ast.Module, forbidden: dict[str, str]) -> list[str]:
    """Names that hold a forbidden word, alone or within. The contract's field names are not ours to choose."""
    found = []
    for name in names(tree):
        words = "_".join(word.lower() for word in WORD.findall(name))
        if name not in OF_CONTRACT:
            found += [f"{name}: say {meant}" for word, meant in forbidden.items() if re.search(rf"(?:^|_){word}s?(?:_|$)", words)]
    return found


def test_one_word_per_idea() -> None:
    """Prevents two names for one thing, which the next reader takes for two things."""
    forbidden = forbidden_words()
    assert len(forbidden) > 20
    assert not [f"{path}: {each}" for path, tree in modules() for each in misnamed(tree, forbidden)]


@pytest.mark.parametrize(
    ("code", "is_misnamed"),
    [
        ("def consume(): ...", True),
        ("class RejectedCoupon: ...", False),  # the word itself is `reject`; its forms are left to readers
        ("class CouponReject: ...", True),
        ("vouchers = ()", True),
        ("max_vouchers_per_user: int = 0", False),
        ("self.tenant = 1", True),
        ("def f(tenant_id): ...", True),
        ("def redeem(): ...", False),
    ],
)
def test_guard_sees(code: str, is_misnamed: bool) -> None:
    """Prevents a glossary that nobody is held to."""
    assert bool(misnamed(ast.parse(code), forbidden_words())) is is_misnamed
