"""The folder of `check`: private, and removed at the end."""

import sqlite3
import tempfile
from pathlib import Path

import pytest

from beam_talonone.pipelines.check.temporary_folder import temporary_folder
from beam_talonone.talonone.errors import StopRun


@pytest.fixture(autouse=True)
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_is_private_and_removed(parent: Path) -> None:
    with temporary_folder() as folder:
        assert folder.parent == parent
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "spool.sqlite").write_bytes(b"orders")
    assert not list(parent.iterdir())


def test_a_full_disk_names_the_folder(parent: Path) -> None:
    with (
        pytest.raises(
            StopRun, match=rf"temporary files, {parent}, cannot be written: .* full; make room, or set TMPDIR"
        ),
        temporary_folder(),
    ):
        raise sqlite3.OperationalError("database or disk is full [while running 'Read orders']")
    assert not list(parent.iterdir())
