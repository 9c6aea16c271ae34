"""What a person at the terminal sees of a run: notices, progress, and the report at its end. All on stderr."""

import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from rich.console import Console

from beam_talonone.pipelines.backfill.options import BackfillOptions
from beam_talonone.pipelines.cli.command_table import COMMANDS
from beam_talonone.pipelines.dead_letters.examples import first_examples
from beam_talonone.pipelines.terminal.confirm import ask
from beam_talonone.pipelines.terminal.exit_codes import DEAD_LETTERS, FINISHED
from beam_talonone.pipelines.terminal.logs import as_json, switch_to_json
from beam_talonone.pipelines.terminal.next_commands import next_commands
from beam_talonone.pipelines.terminal.progress.show import Progress, ProgressShown, Shown, way_of
from beam_talonone.pipelines.terminal.resume_command import progress_so_far
from beam_talonone.pipelines.terminal.stderr import stderr_console
from beam_talonone.pipelines.terminal.summary import WIDTH, Examples, summary_lines
from beam_talonone.pipelines.terminal.words import wrapped
from beam_talonone.talonone.errors import StopRun
from beam_talonone.talonone.telemetry.logs import printable_line

Options = TypeVar("Options", bound=BackfillOptions)


class Run(Shown, Protocol):
    """A job that can be run, and shown meanwhile."""

    confirm: Callable[[str], None] | None

    def run(self) -> dict[str, Any]:
        """Run the job to its end, and return its report (report.json)."""
        ...


def run_with_progress(
    make: Callable[[Options, Callable[[str], None]], Run],
    options: Options,
    *,
    progress: Progress = "auto",
    asks: bool = False,
    replayable: bool = False,
) -> int:
    """Run a job with its progress shown as `progress` says. Returns 3 when there are dead letters, else 0.

    With `asks` the person at the terminal is asked before the first request. Raises Declined for a no.
    With `replayable` the end names the commands that send the dead letters again.
    """
    console = console_for(progress)
    report = run_shown(console, make, options, summary_lines, progress, asks=asks)
    if exit_code(report):
        print_line(console, f"records not applied, with reasons: {options.output / 'dead-letters'}")
    for line in next_commands(options, report, COMMANDS, replayable=replayable, typed=sys.argv[1:]):
        print_line(console, line)
    return exit_code(report)


def console_for(progress: Progress) -> Console:
    """stderr for a run that is shown as `progress` says: with "json", all lines are JSON from here on."""
    if progress == "json":
        switch_to_json()
    return stderr_console()


def run_shown(
    console: Console,
    make: Callable[[Options, Callable[[str], None]], Run],
    options: Options,
    lines_of: Callable[[dict[str, Any], Examples, int], Iterable[str]],
    progress: Progress = "auto",
    *,
    asks: bool = False,
) -> dict[str, Any]:
    """Run a job with its progress on `console`, then print `lines_of` its report; returns the report.

    `lines_of` also gets the first dead letter of each reason, and the width of the terminal.

    With `asks` the person at the terminal is asked before the first request. Raises Declined for a no.
    """
    drawing = threading.RLock()
    work = make(options, _notices_on(console, drawing))
    try:
        with ProgressShown(console, work, way_of(progress), drawing) as shown:
            work.confirm = partial(_ask, shown) if asks else None
            report = work.run()
    except StopRun:
        if (line := progress_so_far(work.tally, work.things)) is not None:
            print_line(console, line)
        raise
    width = console.width if console.is_terminal else WIDTH
    for line in lines_of(report, _examples(options.output, report), width):
        text = printable_line(line)
        console.print(wrapped(text, width) if console.is_terminal else text, soft_wrap=True)
    print_line(console, f"the full report: {options.output / 'report.json'}")
    if (page := options.output / "report.html").exists():
        print_line(console, f"the report as a page: {page}")
    return report


def _examples(output: Path, report: dict[str, Any]) -> Examples:
    """The first dead letters, for a person with their details. A log does not get these: they may quote a record."""
    examples = first_examples(output, report)
    return {key: replace(shown, detail="") for key, shown in examples.items()} if as_json() else examples


def _ask(shown: ProgressShown, question: str) -> None:
    with shown.paused():
        ask(question)


def notices() -> Callable[[str], None]:
    """Tells lines to the person at the terminal."""
    return _notices_on(stderr_console())


def _notices_on(console: Console, drawing: AbstractContextManager[Any] | None = None) -> Callable[[str], None]:
    """Prints lines on `console`, never while a frame is drawn there: see ProgressShown."""

    def notice(text: str) -> None:
        with drawing or nullcontext():
            print_line(console, f"beam-talonone: {text}")

    return notice


def print_line(console: Console, line: str) -> None:
    """Print one line, whatever it quotes: a name of a file may contain line ends."""
    console.print(printable_line(line), soft_wrap=True)


def exit_code(report: dict[str, Any]) -> int:
    """3 if the report counts a dead letter of any kind, else 0."""
    return DEAD_LETTERS if any(counts["dead_lettered"] for counts in report["kinds"].values()) else FINISHED
