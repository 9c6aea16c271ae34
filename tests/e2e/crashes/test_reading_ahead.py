"""A backfill that ends while others read its input: no process stays, and the next start reads it again."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from beam_talonone.pipelines.backfill.reading_ahead.processes import POSSIBLE
from beam_talonone.pipelines.backfill.reading_ahead.shard_stager import FORK_FROM
from e2e.harness import (
    FINISHED,
    RESUME_IF_BEGUN,
    Running,
    assert_balanced,
    backfill,
    cli,
    profile,
    simulator,
    start,
    wait_until,
    write,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not POSSIBLE or len(os.sched_getaffinity(0)) < 2,
        reason="files are read in one process: it needs Linux and two cores",
    ),
]


def children(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        yield from map(int, task.read_text().split())


def lives(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def readers(running: Running) -> list[int]:
    try:
        return list(children(running.process.pid))
    except (FileNotFoundError, ProcessLookupError):
        return []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=["kill", "term", "int"])
def test_it_ends_and_starts_again(tmp_path: Path, number: signal.Signals) -> None:
    people = 40_000
    records = [profile(f"c-{n}", attributes={"note": "x" * 60}) for n in range(people)]
    for part in (0, 1):
        write(tmp_path / f"profiles-{part}.jsonl", records[part::2])
    files = tmp_path / "profiles-*.jsonl"
    assert sum(path.stat().st_size for path in tmp_path.glob(files.name)) > FORK_FROM
    with simulator() as sim:
        words = backfill(sim.url, {"profiles": files}, tmp_path / "out", "--rate", 500, RESUME_IF_BEGUN)
        running = start(*words)
        wait_until(lambda: len(readers(running)) == 2, "two processes read", running)
        reading = readers(running)
        running.signal(number)
        running.process.wait(30)
        wait_until(lambda: not any(map(lives, reading)), "none of them is left")
        assert sim.summary()["acted"] == 0, "nothing is sent before all is read"
        ended = cli(*words)
        assert ended.code == FINISHED, ended.err
        report = assert_balanced(tmp_path / "out")
        assert report["kinds"]["profiles"]["applied"] == people
        assert sim.summary()["acted"] == people // 1000
