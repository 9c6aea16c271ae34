"""Lines that outlive the process that appended them."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from beam_talonone.talonone.state import append_log
from beam_talonone.talonone.state.append_log import AppendLog, MappedAppendLog, whole_lines
from beam_talonone.talonone.state.sealed_lines import Damaged


def test_the_file_grows_by_steps_and_ends_with_its_last_line(tmp_path):
    path = tmp_path / "lines"
    lines = [b"x" * length + b"\n" for length in (0, 3, 200, 5, 64, 63, 1)]
    file = MappedAppendLog(path, step=64)
    for line in lines:
        file.append(line)
        assert path.read_bytes()[: file.size].endswith(line)
        assert path.stat().st_size % 64 == 0
    assert path.read_bytes().rstrip(b"\0") == b"".join(lines)
    file.sync()
    file.close()
    assert path.read_bytes() == b"".join(lines)


def test_what_a_killed_process_appended_is_there(tmp_path):
    path = tmp_path / "lines"
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from beam_talonone.talonone.state.append_log import MappedAppendLog\n"
        "file = MappedAppendLog(Path(sys.argv[1]))\n"
        "for number in range(1000): file.append(b'%d\\n' % number)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -signal.SIGKILL
    assert path.read_bytes().rstrip(b"\0").split() == [b"%d" % number for number in range(1000)]


def test_a_full_disk_is_an_error_and_spoils_nothing(tmp_path, monkeypatch):
    path = tmp_path / "lines"
    file = MappedAppendLog(path, step=64)
    file.append(b"before\n")
    write = os.pwrite

    def full(descriptor, data, at):
        if at >= 128:
            raise OSError(errno.ENOSPC, "no space left")
        return write(descriptor, data, at)

    monkeypatch.setattr(append_log.os, "pwrite", full)
    with pytest.raises(OSError, match="no space"):
        file.append(b"y" * 200)
    file.append(b"z" * 50 + b"\n")
    monkeypatch.undo()
    file.append(b"y" * 200)
    file.close()
    assert path.read_bytes() == b"before\n" + b"z" * 50 + b"\n" + b"y" * 200


@pytest.mark.parametrize("failing", ["write", "fsync"])
def test_a_line_for_which_there_is_no_room_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = tmp_path / "lines"
    log = AppendLog(path)
    log.append(b"before\n")
    write = os.write

    def half(descriptor: int, data: bytes) -> int:
        if len(data) <= 4:
            raise OSError(errno.ENOSPC, "no space left")
        return write(descriptor, data[:4])

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(append_log.os, failing, half if failing == "write" else full)
    with pytest.raises(OSError, match="no space"):
        log.append(b"torn line\n", sync=True)
    monkeypatch.undo()
    assert (log.size, path.read_bytes()) == (7, b"before\n")
    log.append(b"after\n", sync=True)
    log.close()
    assert path.read_bytes() == b"before\nafter\n"


@pytest.mark.parametrize("keep", [0, 4, 6])
def test_a_file_of_which_the_length_is_told_keeps_no_more(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntwo\nthree")
    log = AppendLog(path, keep=keep)
    log.append(b"next\n")
    assert log.size == path.stat().st_size == keep + 5
    log.cut(keep)
    log.append(b"other\n")
    log.close()
    assert path.read_bytes() == b"one\ntwo\nthree"[:keep] + b"other\n"


def test_a_log_of_another_process_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"one\n")
    with pytest.raises(FileExistsError):
        AppendLog(path, exclusive=True)
    assert path.read_bytes() == b"one\n"


@pytest.mark.parametrize("exclusive", [False, True])
def test_only_the_owner_may_read_a_new_log(tmp_path: Path, exclusive: bool) -> None:
    before = os.umask(0o022)
    try:
        AppendLog(tmp_path / "lines", exclusive=exclusive).close()
    finally:
        os.umask(before)
    assert (tmp_path / "lines").stat().st_mode & 0o777 == 0o600


def test_a_log_that_was_replaced_is_still_the_open_one(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    log = AppendLog(path)
    opened = path.stat()
    path.rename(tmp_path / "moved")
    path.write_bytes(b"another\n")
    assert os.path.samestat(log.stat(), opened)
    assert not os.path.samestat(log.stat(), path.stat())
    log.close()


@pytest.mark.parametrize(
    ("content", "left"),
    [(b"", b""), (b"torn", b""), (b"a\n", b"a\n"), (b"a\nb\nto", b"a\nb\n"), (b"a\n" + b"x" * 200_000, b"a\n")],
)
def test_a_torn_line_is_cut_off(tmp_path: Path, content: bytes, left: bytes) -> None:
    path = tmp_path / "lines"
    path.write_bytes(content)
    read = [line + b"\n" for _, _, line in whole_lines(path)]
    log = AppendLog(path)
    assert (log.size, path.read_bytes()) == (len(left), left)
    assert left == b"".join(read)
    log.append(b"next\n")
    log.close()
    assert path.read_bytes() == left + b"next\n"


def test_places_are_numbers_and_offsets(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntwo\n\nlast")
    assert list(whole_lines(path)) == [(1, 0, b"one"), (2, 4, b"two"), (3, 8, b"")]


@pytest.mark.parametrize("kind", [AppendLog, MappedAppendLog])
def test_a_late_line_reaches_no_other_file(tmp_path, kind):
    log = kind(tmp_path / "lines")
    log.append(b"one\n")
    log.close()
    with (tmp_path / "other").open("wb", buffering=0) as other:  # the system gives it the number of the closed file
        other.write(b"other\n")
        with pytest.raises((OSError, ValueError)):
            log.append(b"late\n")
    assert (tmp_path / "other").read_bytes() == b"other\n"


def test_a_line_without_an_end_is_damage_and_not_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(append_log, "LONGEST_LINE", 10)
    path = tmp_path / "log"
    path.write_bytes(b"12345678\n" + b"x" * 9)
    assert [line for _, _, line in whole_lines(path)] == [b"12345678"], "torn"
    for rest in (b"x" * 10, b"x" * 100 + b"\n"):
        path.write_bytes(b"12345678\n" + rest)
        with pytest.raises(Damaged, match=r"log is damaged \(line 2, from byte 9, has no end\)"):
            list(whole_lines(path))
