"""A rate limit service for a test, where this machine has one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from streams.harness.tools import find_rate_service, find_redis, needed

from .service import RateService, running_rate_service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RateService]:
    """One that grants 200 requests a second for the simulators, and runs."""
    needed(find_rate_service)
    needed(find_redis)
    with running_rate_service(tmp_path / "service") as running:
        yield running
