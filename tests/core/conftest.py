"""How hard properties are tried: a bounded, repeatable number of examples in `make test`, new ones for long in `make soak`."""

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, database=None, deadline=None, max_examples=100)
settings.register_profile("soak", deadline=None, max_examples=20_000, print_blob=True)


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("soak" if config.getoption("markexpr") == "soak" else "repeatable")
