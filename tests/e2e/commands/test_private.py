"""Who may read what a run leaves, and what becomes of a run whose reader goes away."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

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
