"""What tests of whole streams share."""

from collections.abc import Iterator

import pytest
from support.process.left_open import engine_threads


@pytest.fixture
def no_engine_is_left() -> Iterator[None]:
    """Fail the test if an engine that it started is still running at its end."""
    before = engine_threads()
    yield
    assert engine_threads() <= before
