"""A dry WriteToTalonOne sends nothing of what cannot be dry."""

from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from beam_talonone import WriteToTalonOne
from e2e.harness import KEY, profile, simulator

CALLS: list[Any] = [
    {"call_id": "erase", "operation": "delete_customer_data", "path": {"integrationId": "c"},
     "event_time": "2026-05-01T12:00:00Z"},
]  # fmt: skip


@pytest.mark.parametrize(("kind", "records"), [("profiles", [profile("c", 1, {"n": 1})]), ("calls", CALLS)])
def test_a_dry_write_changes_nothing(kind: str, records: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALONONE_API_KEY", KEY)
    with simulator() as sim:
        with beam.Pipeline(runner=FnApiRunner()) as pipeline:
            _ = pipeline | beam.Create(records) | WriteToTalonOne(kind, base_url=sim.url, dry=True)
        assert [row["operation"] for row in sim.rows("requests")] == []
