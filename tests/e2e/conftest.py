"""A simulator for each file of end-to-end tests, reset for each test.

A file that needs other settings defines `shared` itself.
"""

from collections.abc import Iterator

import pytest

from .harness import Simulator, simulator


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    with simulator() as sim:
        yield sim


@pytest.fixture
def sim(shared: Simulator) -> Simulator:
    shared.reset()
    return shared
