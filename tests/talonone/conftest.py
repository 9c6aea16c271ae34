"""What tests of streams share."""

import pytest


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state"
