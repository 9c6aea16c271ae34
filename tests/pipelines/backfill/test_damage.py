"""Damage of the files from which a job goes on: it is found and named, and nothing else is taken for it."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.staged_job import event, staged_job

from beam_talonone.pipelines.backfill import damage, staging
from beam_talonone.pipelines.backfill.damage import cause_of, check_report, check_staging, mark_report
from beam_talonone.pipelines.backfill.sending.send_order import slice_rows
from beam_talonone.pipelines.backfill.sending.slices import SLICE
from beam_talonone.talonone.state.sealed_lines import Damaged

COUNT = "SELECT COUNT(*) FROM queue"
RECORDS = 5


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The staging database of a job with RECORDS records, which nobody has open."""
    with staged_job(tmp_path, {"events": [event(number) for number in range(1, RECORDS + 1)]}) as job:
        return job.folder.staging


def spoil_records(path: Path) -> None:
    """Overwrite the page where the table `records` begins; the send order can still be read."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'records'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


def note_next(path: Path, value: str) -> None:
    with closing(staging.reopen(path)) as connection:
        staging.set_meta(connection, "next", value)


def test_a_whole_database_returns_how_much_there_is_to_do(database: Path) -> None:
    assert check_staging(database, b"5", COUNT) == RECORDS
    assert check_staging(database, b"1", "SELECT 1") == 1


def test_a_missing_database_is_damage(database: Path) -> None:
    database.unlink()
    with pytest.raises(Damaged, match=r"spool\.sqlite is damaged: the file is missing"):
        check_staging(database, b"5", COUNT)
    assert not database.exists(), "an empty one in its place would say that nothing is to do"


def test_a_damaged_page_is_named_before_anything_is_sent(database: Path) -> None:
    spoil_records(database)
    with pytest.raises(Damaged, match=r"spool\.sqlite is damaged \(.+\)"):
        check_staging(database, b"5", COUNT)


def test_a_list_of_tables_that_is_no_text_is_damage(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = database.read_bytes()
    database.write_bytes(data.replace(b"CREATE TABLE queue", b"CREATE TABLE qu\xffue"))
    with pytest.raises(Damaged, match=r"spool\.sqlite is damaged"):
        check_staging(database, b"5", COUNT)
    database.write_bytes(data.replace(b"CREATE TABLE queue", b"CREATE TABLE q\n\n'ue"))
    with pytest.raises(Damaged) as raised:
        check_staging(database, b"5", COUNT)
    assert "\n" not in str(raised.value)
    assert isinstance(cause_of(database, ValueError("x")), Damaged)


@pytest.mark.parametrize(("place", "value"), [(18, 9), (19, 9), (47, 9), (59, 2)])
def test_a_format_that_is_not_ours_is_damage(database: Path, place: int, value: int) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(database.read_bytes())
    data[place] = value
    database.write_bytes(data)
    with pytest.raises(Damaged, match=r"spool\.sqlite is damaged \(.+\)"):
        check_staging(database, b"5", COUNT)


@pytest.mark.parametrize("name", [b"event_us", b"TABLE fates", b"letter BLOB", b"work_check INTEGER"])
def test_a_damaged_name_in_the_list_of_tables_is_damage(database: Path, name: bytes) -> None:
    """An empty table, or one without a column, would take its place."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = database.read_bytes()
    database.write_bytes(data.replace(name, name[:1] + b"_" + name[2:], 1))
    with pytest.raises(Damaged, match=r"spool\.sqlite is damaged"):
        check_staging(database, b"5", COUNT)
    with pytest.raises(Damaged, match=r"spool\.sqlite is damaged"):
        list(slice_rows(database, 1, RECORDS))
    assert isinstance(cause_of(database, sqlite3.OperationalError("no such column: work")), Damaged)


def test_a_large_database_is_not_read_through(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil_records(database)
    monkeypatch.setattr(damage, "LARGEST", database.stat().st_size - 1)
    assert check_staging(database, b"5", COUNT) == RECORDS


def test_a_file_that_is_not_a_database_is_damage(database: Path) -> None:
    database.write_bytes(b"no database" * 1000)
    with pytest.raises(Damaged, match=r"spool\.sqlite is damaged \(file is not a database\)"):
        check_staging(database, b"5", COUNT)


@pytest.mark.parametrize("marked", [b"", b"4", b"05", b"many"])
def test_another_number_than_was_read_is_damage_of_the_mark(database: Path, marked: bytes) -> None:
    with pytest.raises(Damaged, match=r"state/read is damaged: it holds b'.*', but spool\.sqlite has 5 things to do"):
        check_staging(database, marked, COUNT)


@pytest.mark.parametrize("next_record", ["1", str(RECORDS + 1), str(SLICE + 1)])
def test_a_job_goes_on_at_a_slice_or_at_the_end(database: Path, next_record: str) -> None:
    note_next(database, next_record)
    assert check_staging(database, b"5", COUNT) == RECORDS


@pytest.mark.parametrize("next_record", ["3", "0", "-1", "", "first", str(SLICE)])
def test_a_job_that_goes_on_elsewhere_is_damaged(database: Path, next_record: str) -> None:
    note_next(database, next_record or "x")
    with pytest.raises(Damaged, match=r"spool\.sqlite is damaged \(its next record is '.+'\)"):
        check_staging(database, b"5", COUNT)


@pytest.mark.parametrize("error", [ValueError("odd"), KeyError("x"), sqlite3.OperationalError("disk I/O error")])
def test_the_error_of_a_whole_database_stays(database: Path, error: Exception) -> None:
    assert cause_of(database, error) is error


def test_the_error_of_a_damaged_database_becomes_damage(database: Path) -> None:
    spoil_records(database)
    cause = cause_of(database, ValueError("odd"))
    assert isinstance(cause, Damaged)
    assert str(database) in str(cause)


def test_what_damage_does_not_raise_is_never_taken_for_it(database: Path) -> None:
    spoil_records(database)
    for error in (RuntimeError("a step failed"), OSError(28, "No space left on device")):
        assert cause_of(database, error) is error
    database.unlink()
    gone = ValueError("odd")
    assert cause_of(database, gone) is gone


def test_a_file_that_is_not_a_database_is_the_cause(database: Path) -> None:
    database.write_bytes(b"no database" * 1000)
    assert "file is not a database" in str(cause_of(database, sqlite3.DatabaseError("x")))


def test_a_report_is_checked_against_its_mark(tmp_path: Path) -> None:
    report, mark = tmp_path / "report.json", tmp_path / "reported"
    report.write_bytes(b"{}\n")
    check_report(report, mark)  # version 0.1 wrote no mark
    mark_report(mark, b"{}\n")
    check_report(report, mark)
    report.write_bytes(b"{ }\n")
    with pytest.raises(Damaged, match=r"report\.json is damaged"):
        check_report(report, mark)
    mark_report(mark, None)
    assert not mark.exists()
    mark_report(mark, None)  # it may be gone already


def assert_it_stays(database: Path, error: sqlite3.OperationalError, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that an error of opening the database is raised as it is."""

    def reopen(path: Path) -> sqlite3.Connection:
        raise error

    monkeypatch.setattr(staging, "reopen", reopen)
    assert cause_of(database, error) is error
    with pytest.raises(sqlite3.OperationalError, match=str(error)):
        check_staging(database, b"5", COUNT)
    with pytest.raises(sqlite3.OperationalError, match=str(error)):
        list(slice_rows(database, 1, RECORDS))


def sqlite_error(text: str, code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    "error",
    [
        sqlite_error("database or disk is full", sqlite3.SQLITE_FULL),
        sqlite_error("database is locked", sqlite3.SQLITE_BUSY),
        sqlite_error("database table is locked", sqlite3.SQLITE_LOCKED_SHAREDCACHE),
    ],
    ids=str,
)
def test_a_full_disk_or_another_process_is_not_taken_for_damage(
    database: Path, monkeypatch: pytest.MonkeyPatch, error: sqlite3.OperationalError
) -> None:
    """Reading makes files beside the database, and there is no room for them."""
    assert_it_stays(database, error, monkeypatch)


@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_READONLY, sqlite3.SQLITE_READONLY_DIRECTORY, sqlite3.SQLITE_CANTOPEN]
)
def test_a_database_that_must_not_be_written_is_not_taken_for_damage(
    database: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    error = sqlite_error("attempt to write a readonly database", code)
    monkeypatch.setattr(os, "access", lambda path, mode: path != database)
    assert_it_stays(database, error, monkeypatch)
    monkeypatch.setattr(os, "access", lambda path, mode: True)
    assert isinstance(cause_of(database, error), Damaged), "its header says so"
