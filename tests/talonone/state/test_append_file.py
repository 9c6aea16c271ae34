"""Lines that outlive the process that appended them."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from beam_talonone.talonone.state import append_file
from beam_talonone.talonone.state.append_file import AppendFile


def test_the_file_grows_by_steps_and_ends_with_its_last_line(tmp_path):
    path = tmp_path / "lines"
    lines = [b"x" * length + b"\n" for length in (0, 3, 200, 5, 64, 63, 1)]
    file = AppendFile(path, step=64)
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
        "from beam_talonone.talonone.state.append_file import AppendFile\n"
        "file = AppendFile(Path(sys.argv[1]))\n"
        "for number in range(1000): file.append(b'%d\\n' % number)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -signal.SIGKILL
    assert path.read_bytes().rstrip(b"\0").split() == [b"%d" % number for number in range(1000)]


def test_a_full_disk_is_an_error_and_spoils_nothing(tmp_path, monkeypatch):
    path = tmp_path / "lines"
    file = AppendFile(path, step=64)
    file.append(b"before\n")
    write = os.pwrite

    def full(descriptor, data, at):
        if at >= 128:
            raise OSError(errno.ENOSPC, "no space left")
        return write(descriptor, data, at)

    monkeypatch.setattr(append_file.os, "pwrite", full)
    with pytest.raises(OSError, match="no space"):
        file.append(b"y" * 200)
    file.append(b"z" * 50 + b"\n")
    monkeypatch.undo()
    file.append(b"y" * 200)
    file.close()
    assert path.read_bytes() == b"before\n" + b"z" * 50 + b"\n" + b"y" * 200
