"""What to do next with a job, with the commands for it."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from beam_talonone.pipelines.report.model import State, Step
from beam_talonone.pipelines.report.recording.run_settings import COMMAND_LINE
from beam_talonone.pipelines.terminal.command_line import command_line, free_folder
from beam_talonone.pipelines.terminal.resume_command import resume_command

REPLAYABLE = ("backfill", "replay")

READ_BACK = (
    "--orders", "--returns", "--profiles", "--format", "--mapping", "--since", "--until", "--assume-timezone",
    "--ambiguous-time", "--max-future", "--unknown-fields",
)  # fmt: skip
"""The options that a verification has in common with the backfill that it checks."""

AS_IN_THE_JOB = ("--assume-timezone", "--ambiguous-time", "--max-future", "--unknown-fields", "--mapping")
"""The options with which the records of a replay must be read as those of its job."""


def next_steps(
    folder: Path, command: str, settings: Mapping[str, Any], state: State, report: Mapping[str, Any]
) -> tuple[Step, ...]:
    """The steps for the job in `folder`, the most urgent first."""
    return tuple(_steps(folder, command, settings, state, report))


def _steps(
    folder: Path, command: str, settings: Mapping[str, Any], state: State, report: Mapping[str, Any]
) -> Iterator[Step]:
    dead = sum(counts.get("dead_lettered", 0) for counts in report["kinds"].values())
    if state.progress == "running":
        again = command_line(["report", str(folder)])
        yield Step("The job is running. Make this page again to see where it is:", again)
        return
    if state.progress == "stopped":
        yield Step("The job was killed or ended early. Continue it with:", _resume(settings))
    if state.progress == "limited":
        yield Step(
            f"{report['remaining']:,} records remain because of --limit. Continue, without --limit for all of them:",
            _resume(settings),
        )
    if dead:
        yield Step("Look at all dead letters by reason, field and file:", command_line(["dead-letters", str(folder)]))
    if dead and command in REPLAYABLE and state.progress != "stopped" and not settings.get("--dry"):
        yield Step(
            "Correct the records of the dead letters, or the settings in Talon.One. Then send them again:",
            command_line(
                ["replay", f"{folder / 'dead-letters'}/*.jsonl", *_options(settings, AS_IN_THE_JOB),
                 "--output", str(free_folder(folder, "replay"))]
            ),
        )  # fmt: skip
    if command == "backfill" and state.progress == "finished" and not settings.get("--dry"):
        options = [*_options(settings, READ_BACK), *_joins(settings)]
        if {"--orders", "--returns", "--profiles"} & set(options):
            yield Step(
                "Read the results back from Talon.One, and compare them with the files:",
                command_line(["verify", *options, "--output", str(free_folder(folder, "verify"))]),
            )
    if command == "backfill" and state.progress == "finished" and settings.get("--dry"):
        yield Step("This was a dry run. Send for real with the same command without --dry, to another folder.")


def _resume(settings: Mapping[str, Any]) -> str:
    line = settings.get(COMMAND_LINE)
    return (resume_command(shlex.split(line)[1:]) or "") if isinstance(line, str) else ""


def _options(settings: Mapping[str, Any], names: tuple[str, ...]) -> list[str]:
    """The options of the job among `names`, as words of a command line."""
    return [word for name in names for value in _values(settings.get(name)) for word in (name, value)]


def _joins(settings: Mapping[str, Any]) -> list[str]:
    joins = [(name.partition(" ")[2], value) for name, value in settings.items() if name.startswith("--join ")]
    return [word for name, files in joins for pattern in _values(files) for word in ("--join", f"{name}={pattern}")]


def _values(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(each) for each in value] if isinstance(value, list | tuple) else [str(value)]
