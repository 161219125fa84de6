"""What may be committed, and what `make lint` must hold."""

import re
import subprocess
from typing import Final

import pytest

from tests.house.sources import ROOT, committed_files

# In two parts each, so that this file does not name them.
REGISTRY_HOSTS: Final = tuple(
    name + "." + domain
    for name, domain in [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("yarnpkg", "com"),
        ("crates", "io"),
        ("ghcr", "io"),
        ("docker", "io"),
        ("quay", "io"),
        ("rubygems", "org"),
    ]
)
INDEX_OPTION: Final = re.compile(r"^\s*(-i|-f|--index-url|--extra-index-url|--find-links|--trusted-host)\b", re.MULTILINE)


def test_no_registry_host_is_committed() -> None:
    """Prevents an installation that works only where somebody else's package registry can be reached."""
    found = [
        f"{path.relative_to(ROOT)}: {host}"
        for path in committed_files()
        for host in REGISTRY_HOSTS
        if host.encode() in path.read_bytes()
    ]
    assert not found


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_lock_names_hashes_and_no_index(name: str) -> None:
    """Prevents a lock that binds a version and not the bytes, or that binds the machine it was made on."""
    text = (ROOT / name).read_text()
    assert not INDEX_OPTION.search(text)
    assert "://" not in text
    packages = [block for block in re.split(r"\n(?=\S)", text) if block.strip()]
    assert packages
    assert not [block.splitlines()[0] for block in packages if "==" not in block or "--hash=sha256:" not in block]


def test_runtime_lock_is_part_of_the_development_lock() -> None:
    """Prevents tests against versions that nobody runs."""
    runtime, development = ((ROOT / name).read_text() for name in ("requirements.lock", "requirements-dev.lock"))
    pins = re.compile(r"^\S+==\S+", re.MULTILINE)
    assert set(pins.findall(runtime)) <= set(pins.findall(development))


def test_lint_checks_style_types_and_layers() -> None:
    """Prevents a contract of imports that no build reads."""
    recipe = subprocess.run(["make", "--dry-run", "lint"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for check in ("ruff check .", "ruff format --check .", "mypy src tests", "lint-imports"):
        assert check in recipe


def test_ci_runs_the_tests() -> None:
    """Prevents a CI that is green because it does something else."""
    run = ROOT / ".ci" / "run"
    assert run.stat().st_mode & 0o111
    assert "exec make test" in run.read_text()
