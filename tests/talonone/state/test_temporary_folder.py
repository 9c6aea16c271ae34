"""Folders for temporary files: private, and removed once their process has ended, whatever ended it."""

import errno
import fcntl
import os
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from beam_talonone.talonone.state.temporary_files import TemporaryFolder

PREFIX = "beam-talonone-test-"


def test_it_is_private_and_removed(tmp_path: Path) -> None:
    with closing(TemporaryFolder(PREFIX, tmp_path)) as folder:
        assert list(tmp_path.iterdir()) == [folder.path]
        assert folder.path.name.startswith(PREFIX)
        assert folder.path.stat().st_mode & 0o777 == 0o700
        (folder.path / "records.sqlite").write_bytes(b"orders")
    assert not list(tmp_path.iterdir())


def test_it_is_in_the_folder_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with closing(TemporaryFolder(PREFIX)) as folder:
        assert folder.path.parent == tmp_path


def test_what_a_killed_process_left_is_removed_and_what_is_in_use_is_not(tmp_path: Path) -> None:
    left, other = tmp_path / f"{PREFIX}left", tmp_path / "another"
    for folder in (left, other):
        folder.mkdir()
        (folder / "records.sqlite").write_bytes(b"orders")
    (left / "link").symlink_to(other)
    (tmp_path / f"{PREFIX}a-file").touch()
    (tmp_path / f"{PREFIX}link").symlink_to(other)
    with closing(TemporaryFolder(PREFIX, tmp_path)) as first, closing(TemporaryFolder(PREFIX, tmp_path)) as second:
        assert first.path != second.path
        assert first.path.exists()
        assert not left.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"another", f"{PREFIX}link", f"{PREFIX}a-file"}
    assert (other / "records.sqlite").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a folder of another user")
def test_a_folder_of_another_user_is_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / f"{PREFIX}theirs"
    theirs.mkdir()
    os.chown(theirs, 1234, 1234)
    TemporaryFolder(PREFIX, tmp_path).close()
    assert list(tmp_path.iterdir()) == [theirs]


def test_closing_twice_removes_nothing_of_another(tmp_path: Path) -> None:
    folder = TemporaryFolder(PREFIX, tmp_path)
    folder.close()
    folder.path.mkdir()
    folder.close()
    assert folder.path.exists()


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.ENOSYS, errno.EBADF])
def test_a_file_system_without_locks_has_folders_that_nobody_else_removes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def flock(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(fcntl, "flock", flock)
    with closing(TemporaryFolder(PREFIX, tmp_path)) as first, closing(TemporaryFolder(PREFIX, tmp_path)) as second:
        assert first.path.exists()
        assert second.path.exists()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_the_server_gives_another_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4321)
    with closing(TemporaryFolder(PREFIX, tmp_path)) as folder:
        assert folder.path.exists()
    assert not list(tmp_path.iterdir())
