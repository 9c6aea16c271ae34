"""What tests of whole streams and engines share: one simulator a file, and a new start on it for each test."""

import pytest
from e2e.harness import simulator


@pytest.fixture(scope="module")
def server():
    with simulator(unknown_attributes=("bad",)) as running:
        yield running


@pytest.fixture
def api(server):
    server.reset()
    return server


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state"
