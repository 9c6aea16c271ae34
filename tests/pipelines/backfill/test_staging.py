"""The staging database: opened ready for use, or closed again."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.process.left_open import open_files

from beam_talonone.pipelines.backfill import staging, staging_schema
from beam_talonone.talonone.state.sqlite_damage import is_damage, open_schema


@pytest.mark.parametrize("opens", [staging.connect, staging.reopen], ids=["connect", "reopen"])
def test_a_file_that_is_no_database_is_closed_again(tmp_path: Path, opens: object) -> None:
    path = tmp_path / "spool.sqlite"
    path.write_bytes(b"this is no database, and longer than its header is " * 20)
    assert callable(opens)
    with pytest.raises(sqlite3.DatabaseError) as raised:
        opens(path)
    assert raised.value.sqlite_errorcode == sqlite3.SQLITE_NOTADB
    assert open_files(tmp_path) == set()


@pytest.mark.parametrize("opens", [staging.connect, staging.reopen], ids=["connect", "reopen"])
@pytest.mark.parametrize(
    ("before", "after"),
    [(b"TABLE fates", b"TABLE fatez"), (b"TABLE meta", b"TABLE mett"), (b"letter BLOB", b"lettes BLOB"),
     (b"work_check", b"work_chedk")],
)  # fmt: skip
def test_a_schema_that_is_not_ours_is_damage(tmp_path: Path, opens: object, before: bytes, after: bytes) -> None:
    """An empty table in the place of another would send all records again."""
    path = whole(tmp_path)
    data = path.read_bytes()
    assert before in data
    path.write_bytes(data.replace(before, after))
    assert callable(opens)
    with pytest.raises(sqlite3.DatabaseError) as raised:
        opens(path)
    assert is_damage(raised.value)
    assert path.read_bytes() == data.replace(before, after), "as it was, for a person to look at"
    assert open_files(tmp_path) == set()


def test_a_table_that_is_gone_is_damage(tmp_path: Path) -> None:
    path = whole(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE fates")
    with pytest.raises(sqlite3.DatabaseError, match="its table 'fates' is gone"):
        staging.reopen(path)


@pytest.mark.parametrize("script", [*staging_schema.FORMS, staging_schema.TARGETS + staging_schema.TARGET_INDEXES])
def test_a_database_of_each_kind_of_job_opens(tmp_path: Path, script: str) -> None:
    path = tmp_path / "spool.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        if script in staging_schema.FORMS:
            connection.executescript(script)
        else:
            connection.executescript(staging_schema.FORMS[2] + staging_schema.CHECKSUMS + script)
    for _ in range(2):
        with closing(staging.reopen(path)) as connection:
            connection.execute("SELECT work_check FROM records")
            connection.execute("SELECT * FROM counts")


def test_a_database_of_version_0_1_may_be_opened_by_two_processes_at_once(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"

    class Late(sqlite3.Connection):
        def executescript(self, script: str, /) -> sqlite3.Cursor:
            staging.reopen(path).close()
            return super().executescript(script)

    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(staging_schema.FORMS[2])
    with closing(sqlite3.connect(path, isolation_level=None, factory=Late)) as late:
        open_schema(late, staging_schema.SCHEMA, *staging_schema.FORMS, before=staging_schema.CHECKSUMS)
        assert not late.in_transaction
        late.execute("SELECT work_check FROM records")


def whole(folder: Path) -> Path:
    path = folder / "spool.sqlite"
    with closing(staging.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path
