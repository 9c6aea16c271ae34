"""Who may read what a run leaves, and what becomes of a run whose reader goes away."""

import os
import re
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from beam_talonone.simulator.server.serve import READY
from e2e.harness import (
    COMMAND,
    DEAD_LETTERS,
    FINISHED,
    KEY,
    USAGE,
    Simulator,
    assert_balanced,
    backfill,
    cli,
    order,
    replay,
    simulator,
    start,
    wait_until,
    write,
)


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with simulator() as made:
        yield made


def _open_to_others(folder: Path) -> list[str]:
    return [str(path) for path in [folder, *folder.rglob("*")] if path.stat().st_mode & 0o077]


def test_nobody_else_may_read_what_a_run_leaves(sim: Simulator, tmp_path: Path) -> None:
    source = write(tmp_path / "orders.jsonl", [order("o", "c"), "{"])
    old = os.umask(0o022)
    try:
        assert cli(*backfill(sim.url, {"orders": source}, tmp_path / "out", "--results")).code == DEAD_LETTERS
        assert cli(*replay(sim.url, tmp_path / "out", tmp_path / "again")).code == DEAD_LETTERS
        verify = ["verify", "--orders", source, "--output", tmp_path / "read", "--base-url", sim.url]
        assert cli(*verify).code == DEAD_LETTERS
        (tmp_path / "mine").mkdir(mode=0o755)
        assert cli(*backfill(sim.url, {"orders": source}, tmp_path / "mine")).code == DEAD_LETTERS
    finally:
        os.umask(old)
    assert [_open_to_others(tmp_path / name) for name in ("out", "again", "read")] == [[], [], []]
    assert _open_to_others(tmp_path / "mine") == [str(tmp_path / "mine")], "it is the user's own"


def without_core_limit() -> tuple[str, ...]:
    """A wrapper for a command: a shell that allows core files, and executes the command."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    return ("sh", "-c", 'ulimit -S -c "$0"; exec "$@"', "unlimited" if hard < 0 else str(hard))


def leaves_no_core_file(pid: int) -> bool:
    """Whether a process has no core files allowed."""
    return re.search(r"Max core file size +0 +0 ", Path(f"/proc/{pid}/limits").read_text()) is not None


def test_the_simulator_listens_on_this_machine_alone_and_leaves_no_core_file() -> None:
    """A command that runs until it is stopped."""
    process = subprocess.Popen(
        [*without_core_limit(), *COMMAND, "simulate", "--port", "0"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        url = next(line for line in process.stderr if line.startswith(READY)).removeprefix(READY)
        no_core_file = leaves_no_core_file(process.pid)
        port = int(url.rpartition(":")[2])
        addresses = listening_addresses(port)
        words = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()
    assert no_core_file
    assert addresses == ["0100007F"], "127.0.0.1, in the order of bytes of /proc"
    assert b"simulate" in words, "it was the process itself, and no shell in front of it"


def test_a_backfill_and_its_processes_leave_no_core_file(sim: Simulator, tmp_path: Path) -> None:
    sim.reset()
    source = write(tmp_path / "orders.jsonl", [order(f"o{n}", f"c{n}") for n in range(200)])
    words = backfill(sim.url, {"orders": source}, tmp_path / "out", "--rate", 20)
    running = start(*words, installed=True, wrapper=without_core_limit())
    try:
        wait_until(lambda: len(sim.rows("requests")) > 3, "it sends", timeout=60)
        own = running.process.pid
        children = subprocess.run(["pgrep", "-P", str(own)], capture_output=True, text=True, check=False).stdout
        limited = {pid: leaves_no_core_file(pid) for pid in (own, *map(int, children.split()))}
        words_of_it = Path(f"/proc/{own}/cmdline").read_bytes()
    finally:
        running.process.kill()
        running.process.wait()
    assert all(limited.values()), limited
    assert b"backfill" in words_of_it


def listening_addresses(port: int) -> list[str]:
    """The addresses on which a process of this machine listens to `port`, as in /proc/net/tcp."""
    rows = [row.split() for name in ("tcp", "tcp6") for row in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    places = [row[1].split(":") for row in rows if row[3] == "0A"]
    return [address for address, at in places if int(at, 16) == port]


def test_a_reader_that_goes_away_fails_nothing(sim: Simulator, tmp_path: Path) -> None:
    source = write(tmp_path / "orders.jsonl", [order(f"o{n}", f"c{n}") for n in range(300)])
    for name, words in {
        "out": [str(word) for word in backfill(sim.url, {"orders": source}, tmp_path / "out")],
        "check": ["check", "--orders", str(source), "--show", "300"],
    }.items():
        reading, writing = os.pipe()
        os.close(reading)
        surroundings = {**os.environ, "TALONONE_API_KEY": KEY}
        ended = subprocess.run(
            [*COMMAND, *words],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            env=surroundings,
            check=False,
        )
        os.close(writing)
        assert ended.returncode == FINISHED, name
    assert assert_balanced(tmp_path / "out")["kinds"]["orders"]["applied"] == 300


@pytest.mark.parametrize(
    ("option", "typed", "expected"),
    [
        ("--rate", "fast", "such as 100, 100/s or 6000/min"),
        ("--concurrency", "x", "a whole number from 1 up"),
        ("--limit", "0", "a whole number from 1 up"),
        ("--give-up-after", "soon", "such as 300"),
        ("--since", "2026-04-01", "write 2026-04-01T00:00:00Z"),
    ],
)
def test_what_is_no_number(sim: Simulator, tmp_path: Path, option: str, typed: str, expected: str) -> None:
    source = write(tmp_path / "orders.jsonl", [order("o", "c")])
    cli(*backfill(sim.url, {"orders": source}, tmp_path / "out"), option, typed).says(USAGE, option, expected)
