"""What to do next, with commands that can be typed as they stand."""

from pathlib import Path
from typing import Any

import pytest

from beam_talonone.pipelines.report.model import State
from beam_talonone.pipelines.report.next_steps import next_steps

SETTINGS = {"--orders": ["o-*.jsonl", "p.jsonl"], "--base-url": "https://x.example", "--dry": False}
LINE = "beam-talonone backfill --orders 'o-*.jsonl' --output out"


def commands(
    state: State, dead: int = 0, command: str = "backfill", remaining: int = 0, **settings: Any
) -> list[str]:
    """The commands of the steps of a job in the folder `out`."""
    report = {"kinds": {"orders": {"dead_lettered": dead}}, "remaining": remaining}
    options = {**SETTINGS, **{name.replace("_", " "): value for name, value in settings.items()}}
    return [step.command for step in next_steps(Path("out"), command, options, state, report)]


def test_a_finished_job_is_verified() -> None:
    assert commands(State("finished")) == [
        "beam-talonone verify --orders 'o-*.jsonl' --orders p.jsonl --output out-verify"
    ]


def test_dead_letters_are_looked_at_and_replayed_as_the_job_read_them() -> None:
    options = {"--assume-timezone": "Europe/Berlin", "--mapping": "shopify"}
    report = {"kinds": {"orders": {"dead_lettered": 3}}, "remaining": 0}
    steps = next_steps(Path("my out"), "replay", {**SETTINGS, **options}, State("finished"), report)
    assert [step.command for step in steps] == [
        "beam-talonone dead-letters 'my out'",
        "beam-talonone replay 'my out/dead-letters/*.jsonl' --assume-timezone Europe/Berlin --mapping shopify"
        " --output 'my out-replay'",
    ]


@pytest.mark.parametrize("line", [LINE, f"{LINE} --resume"])
def test_a_stopped_job_is_resumed_by_its_own_command_line(line: str) -> None:
    assert commands(State("stopped", 4, 10), command_line=line) == [f"{LINE} --resume"]


def test_resume_stands_before_the_options_of_beam() -> None:
    line = f"{LINE} -- --runner=DirectRunner"
    assert commands(State("limited", 4, 10), command_line=line) == [f"{LINE} --resume -- --runner=DirectRunner"]


def test_without_a_command_line_the_step_has_words_alone() -> None:
    assert commands(State("stopped", 4, 10)) == [""]


def test_a_running_job_is_looked_at_again() -> None:
    assert commands(State("running", 4, 10), dead=2) == ["beam-talonone report out"]


@pytest.mark.parametrize("command", ["verify", "lookup"])
def test_reads_are_not_replayed(command: str) -> None:
    assert commands(State("finished"), dead=1, command=command) == ["beam-talonone dead-letters out"]


def test_a_dry_run_is_followed_by_a_real_one() -> None:
    report = {"kinds": {"orders": {"dead_lettered": 0}}, "remaining": 0}
    (step,) = next_steps(Path("out"), "backfill", {**SETTINGS, "--dry": True}, State("finished"), report)
    assert step.text.startswith("This was a dry run.")


def test_joined_files_are_named_as_they_are_typed() -> None:
    report = {"kinds": {}, "remaining": 0}
    settings = {"--orders": "o.csv", "--mapping": "m.yaml", "--join items": "items.csv"}
    (step,) = next_steps(Path("out"), "backfill", settings, State("finished"), report)
    assert step.command == (
        "beam-talonone verify --orders o.csv --mapping m.yaml --join items=items.csv --output out-verify"
    )
