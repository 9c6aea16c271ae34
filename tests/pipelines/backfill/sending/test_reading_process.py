"""Records of slices read in a process of its own: the same records and the same errors, whatever becomes of it."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.staged_job import APPLIED, IdleEngine, ends, event, profile, returned, staged_job

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.sending import reading_process, slices
from beam_talonone.pipelines.backfill.sending.active_job import ActiveJob
from beam_talonone.pipelines.backfill.sending.reading_process import ReadingProcess, reading_beside, work_rows
from beam_talonone.pipelines.backfill.sending.send_slices import Finish, SliceSteps, send_slices
from beam_talonone.pipelines.backfill.sending.slices import Item, SliceRun, read_slice

RECORDS = 500
KINDS = {
    "events": [event(number, customer=f"ü{number}") for number in range(1, RECORDS - 1)],
    "profiles": [profile("c", 3)],
    "returns": [returned("r1", "o1", 2)],
}
NUMBERS = list(range(1, RECORDS + 1))

pytestmark = pytest.mark.skipif(not reading_process.POSSIBLE, reason="no process can be waited for here")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A staging database with RECORDS records to send."""
    with staged_job(tmp_path, KINDS) as job:
        return job.folder.staging


@pytest.fixture
def process() -> Iterator[ReadingProcess]:
    started = ReadingProcess()
    yield started
    started.close()


def ready(process: ReadingProcess) -> ReadingProcess:
    """The process, once it answers."""
    assert select.select([process._pipes[1]], [], [], 60)[0]
    return process


def numbers(rows: Iterator[reading_process.WorkRow]) -> list[int]:
    return [row[0] for row in rows]


def test_the_process_starts_without_the_models_of_records() -> None:
    """It starts when the sending does, and takes the processor that this needs."""
    code = f"import sys, {reading_process.__name__}; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"pydantic", "apache_beam", "asyncio"}.isdisjoint(ended.stdout.split())


@pytest.mark.parametrize(("first", "last"), [(1, RECORDS), (7, 7), (200, 401), (5, 4)])
def test_the_rows_are_those_of_this_process(path: Path, process: ReadingProcess, first: int, last: int) -> None:
    expected = list(work_rows(path, first, last))
    assert list(process.rows(path, first, last)) == expected  # it may still be starting
    ready(process)
    for _ in range(2):
        assert list(process.rows(path, first, last)) == expected
    assert not process._failed


def test_a_process_that_is_ready_late_reads_the_rest(
    path: Path, process: ReadingProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_process, "BEFORE_IT_IS_READY", 7)
    rows = process.rows(path, 1, RECORDS)
    first = next(rows)
    ready(process)
    assert [first[0], *numbers(rows)] == NUMBERS
    assert (process._ready, process._failed) == (True, False)


def test_long_records_travel_in_small_messages(process: ReadingProcess, tmp_path: Path) -> None:
    long = [event(number, attributes={"text": "x" * 100_000}) for number in range(1, 21)]
    with staged_job(tmp_path, {"events": long}) as job:
        expected = list(work_rows(job.folder.staging, 1, 20))
        assert list(ready(process).rows(job.folder.staging, 1, 20)) == expected
        messages = list(reading_process._messages(reading_process.slice_rows(job.folder.staging, 1, 20)))
    assert len(messages) == 8
    assert messages[-1] == b""


def test_rows_of_a_process_that_was_killed_come_from_this_one(path: Path, process: ReadingProcess) -> None:
    os.kill(ready(process).pid, signal.SIGKILL)
    for _ in range(2):
        assert numbers(process.rows(path, 1, RECORDS)) == NUMBERS


def test_rows_after_those_of_a_process_that_was_killed_come_from_this_one(
    tmp_path: Path, process: ReadingProcess
) -> None:
    """It is killed in the middle of an answer that it cannot write, as the pipe is full."""
    long = [event(number, attributes={"text": "x" * 100_000}) for number in range(1, 61)]
    with staged_job(tmp_path, {"events": long}) as job:
        rows = ready(process).rows(job.folder.staging, 1, 60)
        seen = [next(rows)[0]]
        os.kill(process.pid, signal.SIGKILL)
        assert seen + numbers(rows) == list(range(1, 61))
        assert numbers(process.rows(job.folder.staging, 1, 60)) == list(range(1, 61))


def test_rows_of_a_process_that_stands_still_come_from_this_one(
    path: Path, process: ReadingProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.kill(ready(process).pid, signal.SIGSTOP)
    assert process._usable()
    monkeypatch.setattr(reading_process, "PATIENCE", 0.01)
    assert numbers(process.rows(path, 1, RECORDS)) == NUMBERS
    assert not exists(process.pid)


def test_a_process_that_cannot_start_is_not_missed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for executable in ("/bin/false", "/nowhere/python"):
        monkeypatch.setattr(sys, "executable", executable)
        with reading_beside(reading_process.WORTH, None) as rows:
            assert numbers(rows(path, 1, RECORDS)) == NUMBERS


def test_an_answer_that_was_left_half_read_is_not_taken_for_the_next(path: Path, process: ReadingProcess) -> None:
    rows = ready(process).rows(path, 1, RECORDS)
    next(rows)
    assert numbers(process.rows(path, 2, 4)) == [2, 3, 4]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE records SET work = x'c1' WHERE id = 'e300'",
        "UPDATE records SET work = x'00', work_check = NULL WHERE id = 'e300'",
        "DELETE FROM queue WHERE number = 300",
        "UPDATE queue SET rec = rec - 1 WHERE number = 300",
        "DROP TABLE queue",
    ],
)
def test_damage_is_told_in_the_same_words(path: Path, process: ReadingProcess, damage: str) -> None:
    with contextlib.closing(staging.reopen(path)) as connection:
        connection.execute(damage)

    def outcome(rows: Iterator[reading_process.WorkRow]) -> tuple[list[int], str]:
        seen: list[int] = []
        try:
            for row in rows:
                seen.append(row[0])
        except Exception as error:
            return seen, f"{type(error)}: {error}"
        return seen, ""

    expected = outcome(work_rows(path, 1, RECORDS))
    assert expected[1]
    assert outcome(ready(process).rows(path, 1, RECORDS)) == expected


def test_signals_that_stop_a_job_do_not_end_the_process(path: Path, process: ReadingProcess) -> None:
    """They may go to all processes of a service."""
    ready(process)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(process.pid, number)
    assert numbers(process.rows(path, 1, RECORDS)) == NUMBERS
    assert not process._failed
    assert os.getsid(process.pid) != os.getsid(0), "Ctrl-C at a terminal reaches it while it starts"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux lists the files of a process")
def test_the_process_holds_neither_files_of_the_job_nor_the_key(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALONONE_API_KEY", "very-secret")
    with open(path, "rb") as held:
        os.set_inheritable(held.fileno(), True)
        process = ready(ReadingProcess("TALONONE_API_KEY"))
        try:
            assert numbers(process.rows(path, 1, RECORDS)) == NUMBERS
            about = Path(f"/proc/{process.pid}")
            targets = [os.readlink(entry) for entry in (about / "fd").iterdir()]
            assert [target for target in targets if str(path.parent) in target] == []
            assert b"very-secret" not in (about / "environ").read_bytes() + (about / "cmdline").read_bytes()
        finally:
            process.close()


LIVES = """
import sys, time
from pathlib import Path
from beam_talonone.pipelines.backfill.sending.reading_process import ReadingProcess
process = ReadingProcess()
while not process._usable():
    time.sleep(0.01)
rows = process.rows(Path(sys.argv[1]), 1, int(sys.argv[2]))
next(rows)
print(process.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("records", [1, 60])
def test_the_process_ends_with_its_parent_however_that_ends(tmp_path: Path, records: int) -> None:
    """Also where it cannot write, as the pipe is full."""
    long = [event(number, attributes={"text": "x" * 100_000}) for number in range(1, records + 1)]
    with staged_job(tmp_path, {"events": long}) as job:
        arguments = [sys.executable, "-c", LIVES, str(job.folder.staging), str(records)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE) as parent:
            assert parent.stdout is not None
            pid = int(parent.stdout.readline())
            assert exists(pid)
            parent.kill()
        while exists(pid):  # the time limit of the test ends this
            time.sleep(0.01)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text() if Path("/proc/self").exists() else True


@pytest.mark.parametrize(
    ("worth", "processors", "asked"), [(RECORDS, 2, True), (RECORDS + 1, 2, False), (1, 1, False)]
)
def test_a_large_job_reads_its_slices_in_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worth: int, processors: int, asked: bool
) -> None:
    """As does a job that goes on. Customers that were found just before are there."""
    ranges: list[tuple[int, int]] = []

    class Noted(ReadingProcess):
        def __init__(self, secret: str | None = None) -> None:
            super().__init__(secret)
            ready(self)

        def rows(self, path: Path, first: int, last: int) -> Iterator[reading_process.WorkRow]:
            ranges.append((first, last))
            yield from super().rows(path, first, last)
            assert not self._failed

    customers: list[str] = []

    def begin(job: ActiveJob, run: SliceRun) -> Finish:
        for item in read_slice(run, job.rows):
            assert isinstance(item, Item)
            run.journal.on_start([(item.number, 0)], 0, 100.0)
            run.journal.on_end(item.number, APPLIED)
            customers.extend(item.work.profiles)
        return lambda: None

    monkeypatch.setattr(reading_process, "ReadingProcess", Noted)
    monkeypatch.setattr(reading_process, "WORTH", worth)
    monkeypatch.setattr(reading_process, "_processors", lambda: processors)
    monkeypatch.setattr(slices, "SLICE", 200)
    with staged_job(tmp_path, KINDS, engine=IdleEngine({"o1": "c of o1"})) as job:
        send_slices(job, SliceSteps(begin=begin))
        assert list(ends(job).values()) == ["applied"] * RECORDS
        assert "c of o1" in customers
        assert ranges == ([(1, 200), (201, 400), (401, RECORDS)] if asked else [])
