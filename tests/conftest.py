"""Options of the whole test run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nlmdissect import loops


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all-damage", action="store_true", help="test_damage.py: every damage of every recording, not a sample"
    )
    parser.addoption("--whole-fleet", action="store_true", help="audit/test_fleet.py: 1,000 captures, not a few")


@pytest.fixture(autouse=True)
def plain() -> Iterator[None]:
    """Compiled code that a test has loaded is not there for the next one, which may be about the plain code."""
    yield
    loops.ready.clear()
