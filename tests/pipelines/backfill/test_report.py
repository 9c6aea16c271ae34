"""What a report says, for machines and for a person."""

from contextlib import closing
from typing import Any

import pytest

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.report import make_report


@pytest.fixture
def made(tmp_path):
    """Makes the report of a job without records."""

    def make(rate: float = 200.0, rate_service: str | None = None) -> dict[str, Any]:
        with closing(staging.connect(tmp_path / "spool.sqlite")) as connection:
            return make_report(connection, "job", rate, 0.0, 1.0, rate_service)

    return make


def test_the_rate_is_what_was_allowed(made):
    report = made()
    assert report["rate"] == 200.0
    assert "rate_service" not in report


def test_a_rate_that_was_shared_is_told_as_such(made):
    report = made(rate_service="rates:8081")
    assert (report["rate"], report["rate_service"]) == (200.0, "rates:8081")
