"""What to do next with a job, with the commands for it."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from beam_talonone.pipelines.report.model import State, Step
from beam_talonone.pipelines.report.recording.run_settings import COMMAND_LINE
from beam_talonone.pipelines.terminal.next_commands import (
    REPLAYABLE,
    dead_letters_command,
    preset_commands,
    replay_commands,
    report_command,
    verify_command,
)
from beam_talonone.pipelines.terminal.resume_command import command_again, resume_command
from beam_talonone.pipelines.terminal.words import counted

ANY_SHELL: Mapping[str, str] = {}
"""The environment of a reader: a page is read later, and elsewhere, so its commands name the deployment."""


def next_steps(
    folder: Path, command: str, settings: Mapping[str, Any], state: State, report: Mapping[str, Any]
) -> tuple[Step, ...]:
    """The steps for the job in `folder`, the most urgent first."""
    return tuple(_steps(folder, command, settings, state, report))


def _steps(
    folder: Path, command: str, settings: Mapping[str, Any], state: State, report: Mapping[str, Any]
) -> Iterator[Step]:
    kinds = report["kinds"].values()
    dead = sum(counts.get("dead_lettered", 0) for counts in kinds)
    if state.progress == "running":
        yield Step("The job is running. Make this page again to see where it is:", report_command(folder))
        return
    if state.progress == "stopped":
        again = resume_command(_typed(settings)) or ""
        yield _step("The job was killed or ended early.", "Continue it", again, "with --resume")
    if state.progress == "limited":
        left = f"{counted(report['remaining'], 'record')} left because of --limit."
        what, again = "Read" if command == "lookup" else "Send", resume_command(_typed(settings), rest=True) or ""
        yield _step(left, f"{what} the rest", again, "with --resume and without --limit")
    if dead:
        yield Step("Look at all dead letters by reason, field and file:", dead_letters_command(folder))
    if dead and command == "backfill" and not settings.get("--mapping"):
        for what, again in preset_commands(folder, _typed(settings)):
            yield Step(f"The {what}:" if again else f"The {what}.", again)
    if dead and command in REPLAYABLE and state.progress != "stopped" and not settings.get("--dry"):
        for which, again in replay_commands(folder, settings, ANY_SHELL):
            what = (
                f"Correct the records of the dead letters, or the settings in Talon.One. Then send {which or 'them'}"
            )
            yield Step(f"{what} again:", again)
    if state.progress == "finished":
        yield from _after_the_end(folder, command, settings, report)


def _after_the_end(
    folder: Path, command: str, settings: Mapping[str, Any], report: Mapping[str, Any]
) -> Iterator[Step]:
    if not any(counts.get("read") for counts in report["kinds"].values()):
        yield Step("The input holds no records. Check the files and their patterns.")
    if (verify := verify_command(folder, command, settings, report, ANY_SHELL)) is not None:
        yield Step("Read the results back from Talon.One, and compare them with the files:", verify)
    if command == "backfill" and settings.get("--dry"):
        yield _step(
            "This was a dry run: nothing changed.",
            "Send for real, to another folder,",
            command_again(_typed(settings), "sent", without=("--dry",)) or "",
            "without --dry",
        )


def _step(why: str, what: str, command: str, change: str) -> Step:
    """A step with a command; in words alone, with the `change` of the command that began the job, where it is not
    known."""
    return Step(f"{why} {what} with:", command) if command else Step(f"{why} {what} with the same command {change}.")


def _typed(settings: Mapping[str, Any]) -> list[str]:
    """The words of the command line of the job; none where they are not known."""
    line = settings.get(COMMAND_LINE)
    return shlex.split(line)[1:] if isinstance(line, str) else []
