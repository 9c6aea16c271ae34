"""Processes that compute ahead: everything arrives once, in bounded memory, and no process stays behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from beam_talonone.pipelines.backfill.reading_ahead.processes import PIPE, POSSIBLE, computed
from beam_talonone.talonone.errors import StopRun
from beam_talonone.transforms.formats.errors import CannotReadNow

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="processes are forked on Linux only")


def _nothing() -> None:
    pass


def _numbers(name: str, count: int, size: int = 1) -> Iterator[bytes]:
    for number in range(count):
        yield f"{name}{number}".encode() * size


def _gone(pid: int) -> bool:
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_each_task_in_its_order_and_all_of_them_once() -> None:
    tasks = [partial(_numbers, name, 200, 3000) for name in "abcde"]
    parts = list(computed(tasks, 2, _nothing))
    for name in "abcde":
        assert [part for part in parts if part.startswith(name.encode())] == list(_numbers(name, 200, 3000))


def test_no_task_and_tasks_without_a_result() -> None:
    assert list(computed([], 2, _nothing)) == []
    assert list(computed([partial(_numbers, "a", 0)] * 3, 2, _nothing)) == []


def test_a_byte_string_larger_than_the_pipe() -> None:
    assert [len(part) for part in computed([partial(_numbers, "a", 2, PIPE * 3)], 1, _nothing)] == [PIPE * 6] * 2


def test_a_process_waits_for_its_reader(tmp_path: Path) -> None:
    progress = tmp_path / "progress"

    def task() -> Iterator[bytes]:
        for number in range(100):
            progress.write_text(str(number))
            yield b"x" * PIPE

    reader = computed([task], 1, _nothing)
    next(reader)
    deadline = time.monotonic() + 10
    while int(progress.read_text() or 0) < 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert int(progress.read_text()) <= 4
    reader.close()


def test_a_task_that_cannot_read_now() -> None:
    def task() -> Iterator[bytes]:
        yield b"first"
        raise CannotReadNow("no answer from the disk")

    reader = computed([task], 1, _nothing)
    assert next(reader) == b"first"
    with pytest.raises(CannotReadNow, match="no answer from the disk"):
        next(reader)


def test_a_defect_shows_where_it_happened() -> None:
    def task() -> Iterator[bytes]:
        raise ZeroDivisionError("in a task")
        yield b""

    with pytest.raises(RuntimeError, match=r"(?s)Traceback.*in task.*ZeroDivisionError: in a task"):
        list(computed([task], 1, _nothing))


def test_a_killed_process_stops_the_run() -> None:
    def task() -> Iterator[bytes]:
        yield b"first"
        os.kill(os.getpid(), signal.SIGKILL)

    reader = computed([task], 1, _nothing)
    assert next(reader) == b"first"
    with pytest.raises(StopRun, match="killed"):
        next(reader)


def test_what_looks_ends_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    pids: list[int] = []
    fork = os.fork

    def noted() -> int:
        pids.append(fork())
        return pids[-1]

    monkeypatch.setattr(os, "fork", noted)

    def task() -> Iterator[bytes]:
        yield b"first"
        time.sleep(600)

    looks = iter([None, None])

    def look() -> None:
        if next(looks, "stop") == "stop":
            raise StopRun("a signal")

    with pytest.raises(StopRun, match="a signal"):
        list(computed([task], 1, look))
    with pytest.raises(ChildProcessError):  # it has been waited for
        os.waitpid(pids[0], os.WNOHANG)


def test_signals_of_the_group_do_not_end_a_process() -> None:
    def task() -> Iterator[bytes]:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(os.getpid(), number)
        yield b"alive"

    assert list(computed([task], 1, _nothing)) == [b"alive"]


def test_a_killed_reader_leaves_no_process_behind() -> None:
    code = """
import os, time
from beam_talonone.pipelines.backfill.reading_ahead.processes import computed
def task():
    yield str(os.getpid()).encode()
    time.sleep(600)
parts = computed([task], 1, lambda: None)
print(next(parts).decode(), flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as reader:
        try:
            assert reader.stdout is not None
            child = int(reader.stdout.readline())
            assert not _gone(child)
        finally:
            reader.kill()
    deadline = time.monotonic() + 10
    while not _gone(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert _gone(child)
