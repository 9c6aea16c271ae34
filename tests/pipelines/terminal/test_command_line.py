"""Commands as they are typed, and the folders that they name."""

import os
from pathlib import Path

import pytest

from beam_talonone.pipelines.terminal.command_line import command_line, free_folder


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["check", "--orders", "a b"], "beam-talonone check --orders 'a b'"),
        (["backfill", "--", "--db_password=x y"], "beam-talonone backfill -- --db_password=..."),
        (["backfill", "--orders", "--token=x"], "beam-talonone backfill --orders --token=x"),
    ],
)
def test_a_command_is_quoted_and_has_no_secrets_of_beam(words: list[str], line: str) -> None:
    assert command_line(words) == line


def test_a_folder_is_named_that_does_not_exist(tmp_path: Path) -> None:
    assert free_folder(tmp_path / "out", "replay") == tmp_path / "out-replay"
    (tmp_path / "out-replay").mkdir()
    (tmp_path / "out-replay-2").mkdir()
    assert free_folder(tmp_path / "out", "replay") == tmp_path / "out-replay-3"


@pytest.mark.parametrize(
    ("output", "free"),
    [("out", "out-replay"), ("jobs/out", "jobs/out-replay"), (".", "{}/job-replay"), ("..", "{}/../above-replay")],
)
def test_a_folder_stands_beside_the_output_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, free: str
) -> None:
    job = tmp_path / "above" / "job"
    job.mkdir(parents=True)
    monkeypatch.chdir(job)
    assert free_folder(Path(output), "replay") == Path(os.path.normpath(free.format(tmp_path / "above")))
