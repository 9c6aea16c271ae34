"""The staging database and the files of a job, damaged: a job goes on with all of it, or calls it damaged."""

import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path

from fuzz.damage import changed, damaged, flipped, json_text, odd_values
from fuzz.endings import check_line
from fuzz.fuzzed import fuzzed
from hypothesis import strategies as st
from support.staged_job import event, order, profile, returned, staged_job

from beam_talonone.pipelines.backfill.damage import DAMAGE_ERRORS, cause_of, check_staging
from beam_talonone.pipelines.backfill.output_folder import started_with
from beam_talonone.pipelines.backfill.sending.send_order import slice_rows
from beam_talonone.pipelines.report.recording.series import Bucket
from beam_talonone.pipelines.report.recording.series_file import SeriesWriter, read_series
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.state.sealed_lines import Damaged

_FOLDER = tempfile.TemporaryDirectory(prefix="fuzz-")
FOLDER = Path(_FOLDER.name)
COUNT = "SELECT COUNT(*) FROM queue"
RECORDS = {
    "orders": [order(f"o{number}", number) for number in range(30)],
    "returns": [returned(f"r{number}", f"o{number}", 40 + number) for number in range(10)],
    "profiles": [profile(f"c{number}", number, attributes={"Name": "é" * 50}) for number in range(20)],
    "events": [event(number) for number in range(20)] + [{"event_id": "bad"}],
}


def staged() -> bytes:
    """The bytes of the database of a job that has read its input."""
    with staged_job(FOLDER, RECORDS) as job:
        path = job.folder.staging
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.read_bytes()


WHOLE = staged()
PATH = FOLDER / "spool.sqlite"
TOTAL = b"80"


def found(data: bytes) -> list[tuple[object, ...]] | None:
    """The rows that a job sends that goes on with these bytes; None where they are called damaged."""
    for path in FOLDER.glob("spool.sqlite*"):
        path.unlink()
    PATH.write_bytes(data)
    try:
        check_staging(PATH, TOTAL, COUNT)
        return list(slice_rows(PATH, 1, 80))
    except Damaged as error:
        check_line(error, PATH.name)
    except DAMAGE_ERRORS as error:  # as `_failures_explained` of a job has it
        cause = cause_of(PATH, error)
        if not isinstance(cause, Damaged):
            raise
        check_line(cause, PATH)
    return None


EXPECTED = found(WHOLE)


@fuzzed(examples=15, data=flipped(WHOLE, most=2))
def test_flipped_bytes_send_nothing_else(data: bytes) -> None:
    rows = found(data)
    if rows is not None and EXPECTED is not None:
        assert [row[1] for row in rows] == [row[1] for row in EXPECTED]


@fuzzed(examples=15, data=damaged([WHOLE]))
def test_damage_of_any_kind_is_one_line(data: bytes) -> None:
    rows = found(data)
    assert rows is None or len(rows) == int(TOTAL)


@fuzzed(examples=20, data=st.data())
def test_a_damaged_manifest_is_one_line(data: st.DataObject) -> None:
    value = {"job": "j", "started": 1.0, "command": "backfill", "options": {"rate": 100}, "files": {"a": [1, 2]}}
    whole = data.draw(damaged([json_text(value)]) | changed(value).map(json_text) | odd_values.map(json_text))
    try:
        started_with(whole, FOLDER)
    except ConfigurationError as error:
        check_line(error, FOLDER)


def recorded() -> bytes:
    """The bytes of a file of charts with two runs."""
    path = FOLDER / "series.sqlite"
    for run in range(2):
        writer = SeriesWriter(path, float(run), {"--rate": 100})
        writer.add(1.0, Bucket())
        writer.save(2.0, "")
        writer.close()
    return path.read_bytes()


SERIES = recorded()


@fuzzed(examples=30, data=st.binary(max_size=300) | damaged([SERIES]) | flipped(SERIES))
def test_a_damaged_record_of_the_rate_is_none_or_another(data: bytes) -> None:
    for path in FOLDER.glob("series.sqlite*"):
        path.unlink()
    path = FOLDER / "series.sqlite"
    path.write_bytes(data)
    read_series(path)
    with suppress(sqlite3.Error):  # the job goes on, and its page lacks the charts
        writer = SeriesWriter(path, 3.0, {})
        try:
            writer.add(1.0, Bucket())
            writer.save(2.0)
        finally:
            writer.close()
    read_series(path)


FIRST_PAGE = WHOLE[:8192]
"""It lists the tables."""


@fuzzed(examples=30, page=flipped(FIRST_PAGE, most=2))
def test_a_damaged_list_of_tables_sends_nothing_else(page: bytes) -> None:
    rows = found(page + WHOLE[len(page) :])
    if rows is not None and EXPECTED is not None:
        assert [row[1] for row in rows] == [row[1] for row in EXPECTED]
