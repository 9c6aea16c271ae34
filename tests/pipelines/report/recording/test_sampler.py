"""The sampler: what it observes of an engine, and that it never stops a job."""

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from beam_talonone.pipelines.report.recording.sampler import Sampler
from beam_talonone.pipelines.report.recording.series_file import read_series
from beam_talonone.talonone.telemetry.redact import keep_secret
from beam_talonone.talonone.telemetry.stats import Stats


@dataclass
class Engine:
    """Counts that a test sets."""

    stats: Stats = field(default_factory=Stats)
    in_flight: int = 0
    pace: float = 100.0


class Clock:
    """A clock that a test sets; the sampler's own thread sees it stand still."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def test_samples_become_a_series(tmp_path: Path) -> None:
    engine, clock, outcomes = Engine(), Clock(), {"applied": 7}
    engine.stats.tried("track_event_v2", 200, 10.0, retry=False)  # by an earlier job of the process
    with Sampler(tmp_path / "s", engine, outcomes, {"--rate": 100.0}, clock) as sampler:
        for in_flight in (4, 8):
            engine.stats.tried("track_event_v2", 200, 10.0, retry=False)
            engine.in_flight, clock.now = in_flight, clock.now + 0.25
            sampler.sample()
        outcomes["applied"] += 2
        engine.pace, engine.in_flight, clock.now = 40.0, 0, clock.now + 0.5
        sampler.sample()
        assert read_series(tmp_path / "s").runs[0].seconds == 1.0  # a second has passed: it is on disk
    recorded = read_series(tmp_path / "s")
    (bucket,) = recorded.series.buckets.values()
    assert (bucket.seconds, bucket.requests, bucket.outcomes) == (1.0, 2, {"applied": 2})
    assert (bucket.in_flight, bucket.most_in_flight, bucket.granted) == (3.0, 8, 70.0)
    assert recorded.runs[0].ended == ""


def test_the_end_says_why_without_the_key(tmp_path: Path) -> None:
    key = keep_secret("sampler-key-1234567")
    with pytest.raises(RuntimeError), Sampler(tmp_path / "s", Engine(), {}, {}, Clock()):
        raise RuntimeError(f"refused {key}")
    assert read_series(tmp_path / "s").runs[0].ended == "refused [key]"


def test_a_file_that_cannot_be_written_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Sampler(tmp_path / "missing" / "s", Engine(), {}, {}, Clock()) as sampler:
        sampler.sample()
    assert "report.html will lack the charts" in caplog.text


def test_an_error_while_writing_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    with Sampler(tmp_path / "s", Engine(), {}, {}, clock):
        connection = sqlite3.connect(tmp_path / "s")
        connection.execute("DROP TABLE meta")
        connection.close()
        clock.now += 2
    assert "report.html will lack the charts" in caplog.text
