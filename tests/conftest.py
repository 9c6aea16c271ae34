"""Settings of all tests, and the simulator that many share."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from e2e.harness import Simulator

# Two cores that others use as well: how long a property takes says nothing about it.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("shared")


@pytest.fixture(scope="module")
def server() -> "Iterator[Simulator]":
    """One simulator for a file: a start for each test would take longer than the test."""
    from e2e.harness import simulator  # brings the whole command line, which few tests need

    with simulator(unknown_attributes=("bad",)) as running:
        yield running


@pytest.fixture
def api(server: "Simulator") -> "Simulator":
    """That of the file, as if it had just been started. It does not know the attribute `bad`."""
    server.reset()
    return server
