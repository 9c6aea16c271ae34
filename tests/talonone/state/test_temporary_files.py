"""Where SQLite keeps the files of a sort."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from beam_talonone.talonone.state.temporary_files import temporary_files_in


def files_of_a_sort(database: Path) -> list[str]:
    """The open files of this process without a name, while SQLite sorts more than fits in its cache."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA cache_size = 1")
        numbers = (
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
            " SELECT i, hex(zeroblob(50)) FROM n ORDER BY i * 7919 % 20011"
        )
        next(rows := connection.execute(numbers))
        links = [os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if _is_link(name)]
        del rows
    return [link for link in links if "etilqs_" in link]


def _is_link(name: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{name}")


def test_a_sort_is_in_the_folder_of_the_block_and_elsewhere_after_it(tmp_path: Path) -> None:
    folder = tmp_path / "Kim's folder"
    folder.mkdir()
    with temporary_files_in(folder):
        inside = files_of_a_sort(tmp_path / "db")
    assert inside
    assert {Path(name).parent for name in inside} == {folder}
    after = files_of_a_sort(tmp_path / "db")
    assert after
    assert folder not in {Path(name).parent for name in after}


def test_a_folder_whose_name_is_not_utf_8_leaves_the_default(tmp_path: Path) -> None:
    with temporary_files_in(tmp_path / os.fsdecode(b"\xe4")):
        assert files_of_a_sort(tmp_path / "db")
