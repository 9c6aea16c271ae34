"""What a run that ended early leaves to the person at the terminal."""

import shlex
from pathlib import Path

import pytest

from beam_talonone.pipelines.backfill.sending.tally import Tally
from beam_talonone.pipelines.terminal.resume_command import output_of, progress_so_far, resume_command
from beam_talonone.talonone.telemetry.redact import keep_secret

WORDS = ["backfill", "--orders", "my orders/*.jsonl", "--output", "out", "--since", "2026-01-01T00:00:00Z", "--yes"]


def test_all_options_are_there_quoted_and_resume():
    command = resume_command(WORDS)
    assert command is not None
    assert "'my orders/*.jsonl'" in command
    assert shlex.split(command) == ["beam-talonone", *WORDS, "--resume"]


def test_options_of_beam_stay_behind_ours():
    words = [*WORDS, "--", "--runner=DirectRunner"]
    assert shlex.split(resume_command(words) or "")[-3:] == ["--resume", "--", "--runner=DirectRunner"]


def test_a_resumed_run_is_resumed_as_it_was():
    words = ["--debug", "verify", "--resume", "--orders", "o", "--output=out"]
    assert shlex.split(resume_command(words) or "") == ["beam-talonone", *words]


@pytest.mark.parametrize("words", [[], ["--help"], ["check", "--orders", "o"], ["stream"], ["demo"]])
def test_what_cannot_be_resumed(words):
    assert resume_command(words) is None


def test_no_secret():
    keep_secret("a-very-secret-key-0815")
    words = [
        *WORDS,
        "--base-url",
        "https://a-very-secret-key-0815",
        "--",
        "--kafka_password=hunter2",
        "--API-TOKEN=abc",
    ]
    command = resume_command(words) or ""
    assert "0815" not in command
    assert shlex.split(command)[-2:] == ["--kafka_password=...", "--API-TOKEN=..."]


@pytest.mark.parametrize(
    ("words", "output"),
    [
        (["backfill", "--output", "a b"], "a b"),
        (["backfill", "--output=out"], "out"),
        (["backfill"], None),
        (["x", "--output"], None),
    ],
)
def test_the_folder_of_the_job(words, output):
    assert output_of(words) == (None if output is None else Path(output))


def test_before_the_sending():
    assert progress_so_far(Tally("starting"), "records") is None
    assert progress_so_far(Tally("reading", read=1), "records") == "read so far: 1 record; nothing was sent"


def test_what_is_done_and_what_is_left():
    tally = Tally("sending", total=2500, already=1000, ended=204)
    assert progress_so_far(tally, "records") == "done so far: 1,204 of 2,500 records; left: 1,296"
    tally.dead, tally.dead_before = 1, 2
    assert progress_so_far(tally, "records") == "done so far: 1,204 of 2,500 records, 3 dead letters; left: 1,296"
