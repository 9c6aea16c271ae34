"""The line about what replays have applied of a job."""

from contextlib import closing

import pytest

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.dead_letters.applied_since import applied_since


@pytest.mark.parametrize(
    ("count", "line"),
    [
        (0, None),
        (1, "1 record of this job has been applied by replays since; the dead letters stay here"),
        (2, "2 records of this job have been applied by replays since; the dead letters stay here"),
    ],
)
def test_the_records_that_replays_applied_are_counted(tmp_path, count, line):
    (tmp_path / "state").mkdir()
    with closing(staging.connect(tmp_path / "state" / "spool.sqlite")) as connection:
        for number in range(count):
            connection.execute(
                "INSERT INTO replayed VALUES ('events', ?, x'00', NULL, NULL, 0, 0, 0, x'00')", (bytes([number]),)
            )
    assert applied_since(str(tmp_path)) == line


def test_a_place_that_is_no_job_or_is_damaged_has_no_line(tmp_path):
    assert applied_since(str(tmp_path)) is None
    assert applied_since("gs://bucket/jobs/first") is None
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "spool.sqlite").write_bytes(b"no database")
    assert applied_since(str(tmp_path)) is None
