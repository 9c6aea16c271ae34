"""State that is damaged between two runs: the job ends right, or the file is named."""

import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.harness import (
    FINISHED,
    STOPPED,
    USAGE,
    Simulator,
    assert_balanced,
    backfill,
    cli,
    order,
    simulator,
    start,
    wait_until,
    write,
)

COUNT, IN_FLIGHT = 300, 64
STATE = ("job.json", "state/spool.sqlite", "state/read", "state/journal-slice-000001.jsonl")
EVERYTHING = {f"o{number}" for number in range(COUNT)}


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with simulator() as made:
        yield made


@pytest.fixture(scope="module")
def killed(sim: Simulator, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[object], set[str]]:
    """The folder of a job that was killed in its midst, the words that go on with it, and what it has applied."""
    folder = tmp_path_factory.mktemp("killed")
    source = write(folder / "orders.jsonl", [order(f"o{n}", f"c{n % 100}", hour=n) for n in range(COUNT)])
    words = backfill(sim.url, {"orders": source}, folder / "out", "--rate", 200)
    running = start(*words)
    wait_until(lambda: sim.summary()["acted"] > 100, "some were sent", running)
    running.kill()
    shutil.copytree(folder / "out", folder / "kept")
    return folder, [*words, "--rate", 3000, "--resume"], {row["session"] for row in sim.acted()}


def _spoil(path: Path, rng: random.Random) -> None:
    """Flip, cut out or cut off some bytes."""
    data = bytearray(path.read_bytes())
    at, how = rng.randrange(len(data)), rng.randrange(3)
    if how == 0:
        data[at] ^= 1 << rng.randrange(8)
    elif how == 1:
        del data[at : at + rng.randrange(1, 40)]
    else:
        del data[at:]
    path.write_bytes(data)


def _goes_on(sim: Simulator, killed: tuple[Path, list[object], set[str]], what: str) -> None:
    folder, words, before = killed
    sim.reset()
    ended = cli(*words)
    last = ended.err.strip().splitlines()[-1]
    if ended.code in (STOPPED, USAGE):
        assert last.startswith("beam-talonone: "), ended.err
        assert "(--debug shows more)" not in last, last
        assert str(folder / "out") in last, last
        assert not (folder / "out" / "report.json").exists()
        return
    assert ended.code == FINISHED, ended.err
    acted = Counter(row["session"] for row in sim.acted())
    assert before | set(acted) == EVERYTHING, what
    assert set(acted.values()) <= {1}
    assert assert_balanced(folder / "out")["kinds"]["orders"]["applied"] == COUNT


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", STATE)
def test_spoiled_bytes(sim: Simulator, killed: tuple[Path, list[object], set[str]], name: str, seed: int) -> None:
    folder = killed[0]
    shutil.rmtree(folder / "out")
    shutil.copytree(folder / "kept", folder / "out")
    _spoil(folder / "out" / name, random.Random(f"{name} {seed}"))
    _goes_on(sim, killed, f"{name} {seed}")


@pytest.mark.parametrize("name", STATE)
def test_a_file_that_is_gone_is_named(sim: Simulator, killed: tuple[Path, list[object], set[str]], name: str) -> None:
    folder, words, _ = killed
    shutil.rmtree(folder / "out")
    shutil.copytree(folder / "kept", folder / "out")
    os.unlink(folder / "out" / name)
    sim.reset()
    cli(*words).says(
        USAGE, str(folder / "out"), "no job" if name == "job.json" else f"{name} is damaged: the file is missing"
    )
    assert sim.summary()["requests"] == 0


def test_a_finished_job_with_a_damaged_report(sim: Simulator, tmp_path: Path) -> None:
    source = write(tmp_path / "orders.jsonl", [order("o", "c")])
    words = backfill(sim.url, {"orders": source}, tmp_path / "out")
    assert cli(*words).code == FINISHED
    path = tmp_path / "out" / "report.json"
    path.write_bytes(path.read_bytes().replace(b'"applied": 1', b'"applied": 7'))
    cli(*words, "--resume").says(USAGE, f"{path} is damaged")
