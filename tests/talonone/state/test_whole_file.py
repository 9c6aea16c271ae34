"""Files that are written whole or not at all."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from beam_talonone.talonone.state import whole_file
from beam_talonone.talonone.state.whole_file import sync_folder, write_whole_file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("concurrent", [False, True])
@pytest.mark.parametrize("content", [b"new\nlines\n", [b"new\n", b"", b"lines\n"]])
def test_a_file_takes_the_place_of_the_old_one(
    tmp_path: Path, content: bytes | list[bytes], concurrent: bool
) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(b"old, and longer than the new one")
    write_whole_file(path, content if isinstance(content, bytes) else iter(content), concurrent=concurrent)
    assert path.read_bytes() == b"new\nlines\n"
    assert names(tmp_path) == ["file.json"]


@pytest.mark.parametrize("mask", [0o022, 0o000])
def test_only_the_owner_may_read_it(tmp_path: Path, mask: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o644)
    before = os.umask(mask)
    try:
        write_whole_file(path, b"new")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_temporary_file_of_a_killed_process_is_used_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from beam_talonone.talonone.state.whole_file import write_whole_file\n"
        "def content():\n"
        "    yield b'x' * 100_000\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_whole_file(Path(sys.argv[1]), content())"
    )
    path.write_bytes(b"old")
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -signal.SIGKILL
        assert path.read_bytes() == b"old"
        assert len(names(tmp_path)) == 2
    write_whole_file(path, b"new")
    assert (path.read_bytes(), names(tmp_path)) == (b"new", ["file"])


def test_a_full_disk_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(whole_file.os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_whole_file(path, b"new")
    assert (path.read_bytes(), names(tmp_path)) == (b"old", ["file"])


def test_content_that_fails_leaves_the_old_file_alone(tmp_path: Path) -> None:
    def content() -> Iterator[bytes]:
        yield b"new"
        raise ValueError("no more")

    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="no more"):
        write_whole_file(path, content())
    assert (path.read_bytes(), names(tmp_path)) == (b"old", ["file"])


def test_processes_that_write_one_file_at_a_time_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def content() -> Iterator[bytes]:
        yield b"first "
        write_whole_file(path, b"another", concurrent=True)
        assert path.read_bytes() == b"another"
        yield b"second"

    write_whole_file(path, content(), concurrent=True)
    assert (path.read_bytes(), names(tmp_path)) == (b"first second", ["file"])


def test_content_and_name_are_on_disk_in_this_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, steps = tmp_path / "file", []

    def fsync(descriptor: int) -> None:
        steps.append((Path(f"/proc/self/fd/{descriptor}").resolve().name, path.exists()))

    monkeypatch.setattr(whole_file.os, "fsync", fsync)
    write_whole_file(path, b"new")
    assert steps == [("file.half", False), (tmp_path.name, True)]


@pytest.mark.parametrize(("number", "raised"), [(errno.EINVAL, False), (errno.ENOTSUP, False), (errno.EIO, True)])
def test_a_file_system_without_fsync_of_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, raised: bool
) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(whole_file.os, "fsync", fsync)
    if raised:
        with pytest.raises(OSError, match="no"):
            sync_folder(tmp_path)
    else:
        sync_folder(tmp_path)


@pytest.mark.parametrize("what", ["link", "file"])
def test_what_stands_in_the_place_of_the_temporary_file_gets_nothing(tmp_path: Path, what: str) -> None:
    other, temporary = tmp_path / "other", tmp_path / f"file{whole_file.TEMPORARY}"
    other.write_bytes(b"of somebody else")
    temporary.symlink_to(other) if what == "link" else temporary.hardlink_to(other)
    other.chmod(0o644)
    write_whole_file(tmp_path / "file", b"personal")
    assert other.read_bytes() == b"of somebody else"
    assert (tmp_path / "file").read_bytes() == b"personal"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "file").is_symlink()
