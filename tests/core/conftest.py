"""How hard properties are tried: a bounded, repeatable number of examples in `make test`, new ones for long in `make soak`."""

from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

HERE: Final = Path(__file__).parent

# A machine shared with other tests is slow now and then; that is no fault of a property.
PATIENT: Final = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", PATIENT, derandomize=True, database=None, max_examples=100)
settings.register_profile("soak", PATIENT, max_examples=20_000, print_blob=True)


def is_soaking(config: pytest.Config) -> bool:
    return bool(config.getoption("markexpr") == "soak")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("soak" if is_soaking(config) else "repeatable")


@pytest.hookimpl(tryfirst=True)  # before those without the mark are dropped
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Every property here can soak."""
    if is_soaking(config):
        for item in items:
            if HERE in item.path.parents and is_hypothesis_test(getattr(item, "obj", None)):
                item.add_marker(pytest.mark.soak)
                item.add_marker(pytest.mark.timeout(0))
