"""What a person at the terminal sees of a run: notices, progress, and the report at its end. All on stderr."""

import shlex
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from beam_talonone.pipelines.backfill.options import BackfillOptions
from beam_talonone.pipelines.backfill.report import summary_lines
from beam_talonone.pipelines.backfill.sending.slices import Tally
from beam_talonone.pipelines.terminal.logs import notice
from beam_talonone.pipelines.terminal.stderr import stderr_console

LINE_EVERY = 10.0

Options = TypeVar("Options", bound=BackfillOptions)


class Run(Protocol):
    """A run whose progress can be shown while it goes on."""

    tally: Tally
    doing: str
    """The activity, for the progress bar: "sending"."""
    done: str
    """The things that `tally` counts, for the progress line: "records sent"."""

    def run(self) -> dict[str, Any]:
        """Run the job to its end, and return its report (report.json)."""
        ...


def run_with_progress(
    make: Callable[[Options, Callable[[str], None]], Run],
    options: Options,
    *,
    replayable: bool = False,
    mapping: str | None = None,
) -> int:
    """Run a job with its progress shown; returns the exit code: 3 when there are dead letters, else 0.

    With `replayable` the end names the command that sends the dead letters again, with the `mapping` that they need.
    """
    console = stderr_console()
    report = run_shown(console, make, options, summary_lines)
    if exit_code(report):
        console.print(f"records not applied, with reasons: {options.output / 'dead-letters'}", soft_wrap=True)
        if replayable:
            glob = shlex.quote(f"{options.output / 'dead-letters'}/*.jsonl")
            mapped = "" if mapping is None else f" --mapping {shlex.quote(mapping)}"
            command = f"beam-talonone replay {glob} --output NEW_FOLDER{mapped}"
            console.print(f"to send them again, corrected: {command}", soft_wrap=True)
    return exit_code(report)


def run_shown(
    console: Console,
    make: Callable[[Options, Callable[[str], None]], Run],
    options: Options,
    lines_of: Callable[[dict[str, Any]], Iterable[str]],
) -> dict[str, Any]:
    """Run a job with its progress on `console`, then print `lines_of` its report; returns the report."""
    work = make(options, _notices_on(console))
    with ProgressShown(console, work):
        report = work.run()
    for line in lines_of(report):
        console.print(line, soft_wrap=True)
    console.print(f"the full report: {options.output / 'report.json'}", soft_wrap=True)
    return report


def notices() -> Callable[[str], None]:
    """Tells lines to the person at the terminal."""
    return _notices_on(stderr_console())


def _notices_on(console: Console) -> Callable[[str], None]:
    return lambda text: console.print(f"beam-talonone: {text}", soft_wrap=True)


def exit_code(report: dict[str, Any]) -> int:
    """3 if the report counts a dead letter of any kind, else 0."""
    return 3 if any(counts["dead_lettered"] for counts in report["kinds"].values()) else 0


class ProgressShown(AbstractContextManager["ProgressShown"]):
    """Shows progress from a thread of its own, as Beam keeps the main one: a bar, or a line now and then in logs."""

    def __init__(self, console: Console, run: Run) -> None:
        self._console = console
        self._run = run
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._show, daemon=True)

    def __enter__(self) -> "ProgressShown":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _show(self) -> None:
        if self._console.is_terminal:
            self._bar()
        else:
            self._lines()

    def _bar(self) -> None:
        columns = (TextColumn(self._run.doing), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[speed]}"))
        with Progress(*columns, TimeRemainingColumn(), console=self._console, transient=True) as bar:
            task = bar.add_task(self._run.doing, total=None, speed="")
            began: float | None = None
            while not self._ended.wait(0.2):
                ended = self._run.tally.ended
                if ended and began is None:
                    began = time.monotonic()
                seconds = time.monotonic() - began if began else 0.0
                speed = f"{ended / seconds:,.0f}/s" if seconds > 1 else ""
                bar.update(
                    task, total=self._run.tally.total or None, completed=self._run.tally.already + ended, speed=speed
                )

    def _lines(self) -> None:
        while not self._ended.wait(LINE_EVERY):
            if self._run.tally.total:
                done = self._run.tally.already + self._run.tally.ended
                notice(
                    f"{done:,} of {self._run.tally.total:,} {self._run.done}, {self._run.tally.dead:,} dead letters"
                )
