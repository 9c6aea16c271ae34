"""What a job reads of its send order when the staging database is not as it was left."""

from pathlib import Path

import pytest
from support.staged_job import event, staged_job

from beam_talonone.pipelines.backfill.sending.send_order import slice_rows
from beam_talonone.talonone.state.sealed_lines import Damaged


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ("UPDATE queue SET rec = rec + 1024 WHERE number = 2", "order of the records from 1 on"),
        ("UPDATE queue SET number = 40 WHERE number = 2", "order of the records from 1 on"),
        ("DELETE FROM queue WHERE number = 3", "order of the records from 1 on"),
        ("UPDATE records SET rec = rec + 1024 WHERE id = 'e2'", "record 2"),
        ("UPDATE records SET work = NULL, work_check = NULL WHERE id = 'e2'", "row 2 of its records: "),
        ("UPDATE records SET customer = CAST(X'ff41' AS TEXT) WHERE id = 'e2'", "record 2: .*UTF-8"),
    ],
)
def test_a_record_that_is_not_where_it_was_is_damage(change: str, place: str, tmp_path: Path) -> None:
    with staged_job(tmp_path, {"events": [event(1), event(2), event(3)]}) as job:
        job.connection.execute(change)
        with pytest.raises(Damaged, match=rf"spool.sqlite is damaged \((the )?{place}"):
            list(slice_rows(job.folder.staging, 1, 3))


def test_two_records_in_each_others_place_are_damage(tmp_path: Path) -> None:
    with staged_job(tmp_path, {"events": [event(1), event(2), event(3)]}) as job:
        first, second = (rec for (rec,) in job.connection.execute("SELECT rec FROM queue WHERE number < 3"))
        job.connection.execute("DELETE FROM queue WHERE number < 3")
        job.connection.execute("INSERT INTO queue VALUES (1, ?), (2, ?)", (second, first))
        with pytest.raises(Damaged, match="the order of the records from 1 on"):
            list(slice_rows(job.folder.staging, 1, 3))


def test_the_order_of_a_database_of_version_0_1_is_taken_as_it_is(tmp_path: Path) -> None:
    with staged_job(tmp_path, {"events": [event(1), event(2)]}) as job:
        job.connection.execute("DELETE FROM meta WHERE name GLOB 'order *'")
        assert [number for number, *_ in slice_rows(job.folder.staging, 1, 2)] == [1, 2]


def test_no_records_are_read_of_an_empty_range(tmp_path: Path) -> None:
    with staged_job(tmp_path, {"events": [event(1), event(2)]}) as job:
        assert list(slice_rows(job.folder.staging, 2, 1)) == []
