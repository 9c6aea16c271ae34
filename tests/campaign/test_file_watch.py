"""The watch that stops a command at its file events, on a process that does what a job does with its files."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from campaign.file_watch import FOLDING, REPORTING, SENDING, Moment, setting
from campaign.plans.moments import no_proc

JOB = """
import os, sys
from pathlib import Path
from campaign.file_watch import watch_files
watch_files()
out = Path(sys.argv[1])
def folded():
    (out / "dead-letters/slice-1.half").write_bytes(b"")
    (out / "dead-letters/slice-1.half").replace(out / "dead-letters/slice-1.jsonl")
folded()
journal = os.open(out / "state/journal-1.jsonl", os.O_WRONLY | os.O_CREAT)
for _ in range(5):
    os.write(journal, b"line ")
folded()
(out / "state/reported").unlink(missing_ok=True)
"""


@pytest.mark.skipif(no_proc() is not None, reason=str(no_proc()))
def test_a_process_stops_just_before_each_moment(tmp_path: Path) -> None:
    for name in ("dead-letters", "state"):
        (tmp_path / name).mkdir()
    moments = (
        Moment(SENDING, "write", "*/journal-*.jsonl", 3),
        Moment(FOLDING, "os.rename", "*/slice-*.jsonl"),
        Moment(REPORTING, "os.remove", "*/reported"),
    )
    path = {"PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, "-c", JOB, tmp_path], env={**path, **setting(str(tmp_path / "log"), moments)}
    )
    try:
        written, logged = [], []
        for _ in moments:
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status)
            written.append((tmp_path / "state/journal-1.jsonl").stat().st_size)
            logged.append((tmp_path / "log").read_text().splitlines()[-2:])
            process.send_signal(signal.SIGCONT)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait(10)
    assert written == [10, 25, 25]
    assert logged == [[moment.phase, f"stop {' '.join(map(str, moment))}"] for moment in moments]


def test_a_process_without_the_setting_goes_on(tmp_path: Path) -> None:
    for name in ("dead-letters", "state"):
        (tmp_path / name).mkdir()
    env = {"PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "-c", JOB, tmp_path], env=env, timeout=60, check=True)
