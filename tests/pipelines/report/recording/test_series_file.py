"""The file of a series: continued by the next run, and read by others while it is written."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from beam_talonone.pipelines.report.recording.series import Bucket
from beam_talonone.pipelines.report.recording.series_file import Recorded, SeriesWriter, read_series


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "series.sqlite"


def busy(requests: int) -> Bucket:
    """A quarter of a second with requests."""
    bucket = Bucket(0.25, requests, outcomes={"applied": requests})
    bucket.latencies.add(12.0)
    return bucket


def test_a_file_is_read_while_it_is_written(path: Path) -> None:
    with closing(SeriesWriter(path, 1000.0, {"--rate": 50.0})) as writer:
        writer.add(0.0, busy(5))
        writer.save(0.25)
        writer.add(0.5, busy(7))  # not saved yet
        recorded = read_series(path)
        assert recorded.series.buckets == {0: busy(5)}
        assert [(run.began, run.seconds, run.settings, run.ended) for run in recorded.runs] == [
            (1000.0, 0.25, {"--rate": 50.0}, None)
        ]


def test_a_resumed_job_goes_on_where_it_was(path: Path) -> None:
    with closing(SeriesWriter(path, 1000.0, {})) as writer:
        writer.add(0.0, busy(5))
        writer.save(0.75)  # and a kill
    with closing(SeriesWriter(path, 90000.0, {})) as writer:
        assert writer.at == 0.75
        writer.add(0.1, busy(6))
        writer.add(0.3, busy(7))
        writer.save(0.5, "")
    recorded = read_series(path)
    assert {number: bucket.requests for number, bucket in recorded.series.buckets.items()} == {0: 11, 1: 7}
    assert [(run.at, run.seconds, run.ended) for run in recorded.runs] == [(0.0, 0.75, None), (0.75, 0.5, "")]


def test_wider_buckets_replace_the_narrow_ones(path: Path) -> None:
    with closing(SeriesWriter(path, 1000.0, {})) as writer:
        for second in range(700):
            writer.add(float(second), busy(1))
            writer.save(float(second))
    series = read_series(path).series
    assert series.width == 2.0
    assert len(series.buckets) == 350
    assert sum(bucket.requests for bucket in series.buckets.values()) == 700


def test_a_damaged_file_is_replaced(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)
    assert read_series(path) == Recorded()
    with closing(SeriesWriter(path, 1000.0, {})) as writer:
        writer.add(0.0, busy(5))
        writer.save(0.25)
    assert len(read_series(path).runs) == 1


def test_a_file_whose_content_is_not_ours_is_replaced(path: Path) -> None:
    with closing(SeriesWriter(path, 1000.0, {})) as writer:
        writer.save(1.0)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO buckets VALUES (1, 'not JSON')")
        connection.commit()
    assert read_series(path) == Recorded()
    with closing(SeriesWriter(path, 1000.0, {})) as writer:
        assert writer.at == 0.0


def test_a_missing_file_holds_nothing(path: Path) -> None:
    assert read_series(path) == Recorded()
    assert not path.exists()


@pytest.mark.parametrize(("began", "settings"), [(0.0, None), ("x", b"{}"), (b"", b"{}"), (0.0, b"[]"), (0.0, b"{")])
def test_a_damaged_run_counts_as_no_recording(tmp_path: Path, began: object, settings: bytes | None) -> None:
    path = tmp_path / "series.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE meta (name TEXT PRIMARY KEY, value REAL); CREATE TABLE buckets (number, value);"
            "CREATE TABLE runs (number INTEGER PRIMARY KEY, began, at, seconds, settings, ended)"
        )
        connection.execute("INSERT INTO runs VALUES (1, ?, 0.0, 1.0, ?, NULL)", (began, settings))
        connection.commit()
    assert read_series(path) == Recorded()
    writer = SeriesWriter(path, 1.0, {})
    writer.close()
    assert [run.began for run in read_series(path).runs] == [1.0]
