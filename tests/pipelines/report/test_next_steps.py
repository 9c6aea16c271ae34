"""What to do next, with commands that can be typed as they stand."""

from pathlib import Path
from typing import Any

import pytest

from beam_talonone.pipelines.report.model import State
from beam_talonone.pipelines.report.next_steps import next_steps

SETTINGS = {"--orders": ["o-*.jsonl", "p.jsonl"], "--base-url": "https://x.example", "--dry": False}
API = "--base-url https://x.example"
LINE = "beam-talonone backfill --orders 'o-*.jsonl' --output out"


def commands(
    state: State, dead: int = 0, command: str = "backfill", remaining: int = 0, **settings: Any
) -> list[str]:
    """The commands of the steps of a job in the folder `out`."""
    report = {"kinds": {"orders": {"read": 9, "applied": 9 - dead, "dead_lettered": dead}}, "remaining": remaining}
    options = {**SETTINGS, **{name.replace("_", " "): value for name, value in settings.items()}}
    return [step.command for step in next_steps(Path("out"), command, options, state, report)]


def test_a_finished_job_is_verified() -> None:
    assert commands(State("finished")) == [
        f"beam-talonone verify --orders 'o-*.jsonl' --orders p.jsonl --output out-verify {API}"
    ]


def test_dead_letters_are_looked_at_and_replayed_as_the_job_read_them() -> None:
    options = {
        "--assume-timezone": "Europe/Berlin", "--mapping": "shopify", "--profile-mode": "bulk", "--events-api": "v3",
        "--allow-unknown-api-fields": True, "--api-key-secret": "projects/p/secrets/s",
    }  # fmt: skip
    report = {"kinds": {"orders": {"read": 9, "dead_lettered": 3}}, "remaining": 0}
    steps = next_steps(Path("my out"), "replay", {**SETTINGS, **options}, State("finished"), report)
    assert [step.command for step in steps] == [
        "beam-talonone dead-letters 'my out'",
        f"beam-talonone replay 'my out/dead-letters/*.jsonl' --output 'my out-replay' {API} --api-key-secret"
        " projects/p/secrets/s --assume-timezone Europe/Berlin --mapping shopify --allow-unknown-api-fields"
        " --events-api v3",
    ]


@pytest.mark.parametrize("line", [LINE, f"{LINE} --resume"])
def test_a_stopped_job_is_resumed_by_its_own_command_line(line: str) -> None:
    assert commands(State("stopped", 4, 10), command_line=line) == [f"{LINE} --resume"]


def test_resume_stands_before_the_options_of_beam() -> None:
    line = f"{LINE} --limit 4 -- --runner=DirectRunner"
    assert commands(State("limited", 4, 10), command_line=line) == [f"{LINE} --resume -- --runner=DirectRunner"]


def test_without_a_command_line_the_step_has_words_alone() -> None:
    report = {"kinds": {"orders": {"read": 1}}, "remaining": 1}
    steps = [next_steps(Path("out"), "backfill", {}, State(end), report)[0] for end in ("stopped", "limited")]
    assert [(step.text.partition(". ")[2], step.command) for step in steps] == [
        ("Continue it with the same command with --resume.", ""),
        ("Send the rest with the same command with --resume and without --limit.", ""),
    ]


def test_a_running_job_is_looked_at_again() -> None:
    assert commands(State("running", 4, 10), dead=2) == ["beam-talonone report out"]


@pytest.mark.parametrize("command", ["verify", "lookup"])
def test_reads_are_not_replayed(command: str) -> None:
    assert commands(State("finished"), dead=1, command=command) == ["beam-talonone dead-letters out"]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (f"{LINE} --dry --yes", "beam-talonone backfill --orders 'o-*.jsonl' --output out-sent"),
        ("beam-talonone backfill --dry --output=out --resume", "beam-talonone backfill --output out-sent"),
        (None, ""),
    ],
    ids=["words", "equals", "unknown"],
)
def test_a_dry_run_is_followed_by_a_real_one_to_another_folder(line: str | None, command: str) -> None:
    settings = {"--dry": True} if line is None else {"--dry": True, "command_line": line}
    assert commands(State("finished"), **settings) == [command]


def test_after_an_input_without_records_the_files_are_checked() -> None:
    report = {"kinds": {"orders": {"read": 0, "applied": 0, "dead_lettered": 0}}, "remaining": 0}
    (step,) = next_steps(Path("out"), "backfill", SETTINGS, State("finished"), report)
    assert (step.text, step.command) == ("The input holds no records. Check the files and their patterns.", "")


def test_what_was_sent_with_a_list_of_attributes_is_compared_with_it() -> None:
    assert commands(State("finished"), **{"--attributes": "a.txt", "--unknown-attributes": "fail"}) == [
        "beam-talonone verify --orders 'o-*.jsonl' --orders p.jsonl --attributes a.txt --output out-verify"
        " --base-url https://x.example"
    ]


def test_joined_files_are_named_as_they_are_typed() -> None:
    report = {"kinds": {"orders": {"read": 1, "applied": 1}}, "remaining": 0}
    settings = {"--orders": "o.csv", "--mapping": "m.yaml", "--join items": "items.csv"}
    (step,) = next_steps(Path("out"), "backfill", settings, State("finished"), report)
    assert step.command == (
        "beam-talonone verify --orders o.csv --mapping m.yaml --join items=items.csv --output out-verify"
    )
