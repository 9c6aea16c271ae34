"""The staging database: opened ready for use, or closed again."""

import sqlite3
from pathlib import Path

import pytest
from support.process.left_open import open_files

from beam_talonone.pipelines.backfill import staging


@pytest.mark.parametrize("opens", [staging.connect, staging.reopen], ids=["connect", "reopen"])
def test_a_file_that_is_no_database_is_closed_again(tmp_path: Path, opens: object) -> None:
    path = tmp_path / "spool.sqlite"
    path.write_bytes(b"this is no database, and longer than its header is " * 20)
    assert callable(opens)
    with pytest.raises(sqlite3.DatabaseError) as raised:
        opens(path)
    assert raised.value.sqlite_errorcode == sqlite3.SQLITE_NOTADB
    assert open_files(tmp_path) == set()
