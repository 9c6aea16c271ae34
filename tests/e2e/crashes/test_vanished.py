"""Files of a job that somebody removes or cuts while it runs: one clear line, exit 1, and never "finished"."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from e2e.harness import FINISHED, STOPPED, USAGE, Simulator, backfill, cli, order, simulator, start, wait_until, write

COUNT = 400


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    with simulator() as made:
        yield made


def _spoiled(sim: Simulator, folder: Path, spoil: Callable[[Path], Any]) -> list[object]:
    """The words of a backfill in whose midst `spoil` was called with its folder; it ends with 1 soon, in one line."""
    source = write(folder / "orders.jsonl", [*(order(f"o{n}", f"c{n}") for n in range(COUNT)), "{"])
    words = backfill(sim.url, {"orders": source}, folder / "out", "--rate", 100)
    running = start(*words)
    wait_until(lambda: sim.summary()["acted"] >= 20, "some were sent", running)
    spoil(folder / "out")
    ended = running.end(30)
    assert (ended.code, "while the job ran, so the job stopped" in ended.err) == (STOPPED, True), ended.err
    assert sim.summary()["acted"] < COUNT, "it ended long before it was through"
    assert not (folder / "out" / "report.json").exists()
    return words


def test_the_folder_is_removed(sim: Simulator, tmp_path: Path) -> None:
    words = _spoiled(sim, tmp_path, rmtree)
    assert not (tmp_path / "out").exists(), "nothing of it is made again"
    cli(*words, "--resume").says(USAGE, "no job")


@pytest.mark.parametrize(
    ("what", "spoil"),
    [
        ("state/journal-slice-000001.jsonl", Path.unlink),
        ("state/journal-slice-000001.jsonl", lambda path: os.truncate(path, 0)),
        ("state/spool.sqlite", Path.unlink),
        ("dead-letters/input.jsonl", Path.unlink),
        ("job.json", Path.unlink),
    ],
)
def test_a_file_is_removed_or_cut(sim: Simulator, tmp_path: Path, what: str, spoil: Callable[[Path], Any]) -> None:
    kept: dict[str, bytes] = {}

    def spoil_it(out: Path) -> None:
        kept[what] = (out / what).read_bytes()
        spoil(out / what)

    words = _spoiled(sim, tmp_path, spoil_it)
    if what.startswith("dead-letters"):
        ended = cli(*words, "--resume")
        assert ended.code == 3, ended.err
        assert (tmp_path / "out" / what).read_bytes() == kept[what], "it is written again"
        assert sim.summary()["acted"] == COUNT
    elif what == "job.json":
        (tmp_path / "out" / what).write_bytes(kept[what])
        assert cli(*words, "--resume").code == 3
    else:
        again = cli(*words, "--resume")
        assert again.code in (STOPPED, USAGE) or sim.summary()["acted"] == COUNT, again.err


def test_finished_is_only_what_adds_up(sim: Simulator, tmp_path: Path) -> None:
    source = write(tmp_path / "orders.jsonl", [order(f"o{n}", f"c{n}") for n in range(5)])
    assert cli(*backfill(sim.url, {"orders": source}, tmp_path / "out")).code == FINISHED
