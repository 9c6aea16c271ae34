"""Shows a run while it goes on, from a thread of its own, as Beam keeps the main one."""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Literal, Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from beam_talonone.pipelines.backfill.sending.tally import Tally
from beam_talonone.pipelines.terminal.logs import as_json, notice
from beam_talonone.pipelines.terminal.progress import lines
from beam_talonone.pipelines.terminal.progress.reporter import JSON_EVERY, PLAIN_EVERY, Reporter
from beam_talonone.pipelines.terminal.progress.snapshot import (
    LEFT_OVER,
    KindCount,
    Reading,
    RunSnapshot,
    snapshot,
)
from beam_talonone.talonone.engine.engine import Engine

Progress = Literal["auto", "none", "plain", "bar", "json"]
"""How a run is shown: the values of --progress."""

LOOK_EVERY = 0.2
"""Seconds between two readings, and between two frames of the bar."""

STYLES = {"head": "", "bar": "cyan", "api": "green"}
TROUBLE = "bold yellow"


class Shown(Protocol):
    """A run that can be shown while it goes on."""

    tally: Tally
    things: str
    """The things that `tally` counts: "records"."""
    engine: Engine | None
    """None before the first request may leave."""


def way_of(progress: Progress) -> Progress:
    """How a run is shown on this stderr: never "auto", and a bar only on a terminal that can move its cursor."""
    can_draw = sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")
    if progress == "auto":
        return "bar" if can_draw and not as_json() else "plain"
    return "plain" if progress == "bar" and not can_draw else progress


def read(tally: Tally, things: str, at: float, engine: Engine | None = None) -> Reading:
    """What a run does `at` a time, in monotonic seconds. `tally` counts its `things`."""
    return Reading(
        at, tally.phase, things, tally.goal, tally.already, tally.ended, tally.read,
        tally.dead_before + tally.dead,
        tuple(KindCount(kind, count.done, count.total) for kind, count in tally.kinds.items()),
        None if engine is None else engine.status(),
    )  # fmt: skip


class ProgressShown(AbstractContextManager["ProgressShown"]):
    """Shows the progress of `run` on `console`, inside the block. `way` is never "auto"."""

    def __init__(self, console: Console, run: Shown, way: Progress, drawing: Any = None) -> None:
        """`drawing` is held while a frame is drawn: hold it to print a line, or the line may end up in a frame."""
        self._run, self._way = run, way
        self._started = time.monotonic()
        self._readings: deque[Reading] = deque()
        self._reporter = Reporter(JSON_EVERY if way == "json" else PLAIN_EVERY)
        self._frame = Frame(console) if way == "bar" else None
        self._drawing = drawing or threading.RLock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._show, name="progress", daemon=True)

    def __enter__(self) -> "ProgressShown":
        if self._way != "none":
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._frame is not None:
            self._look(ended_well=error is None)  # the last frame stays on the screen
            self._frame.close(keep=self._run.tally.phase != "starting")
        elif self._way != "none":
            self._tell_starts()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Show nothing inside the block, so that a question can be asked. The last frame stays above it."""
        with self._drawing:
            if self._frame is not None:
                self._frame.close()
            yield

    def _show(self) -> None:
        while not self._ended.wait(LOOK_EVERY):
            with self._drawing:
                self._look()

    def _look(self, *, ended_well: bool = False) -> None:
        now = time.monotonic()
        reading = read(self._run.tally, self._run.things, now, self._run.engine)
        if ended_well and reading.engine is not None:
            reading = replace(reading, engine=replace(reading.engine, ending=None, in_flight=0))
        self._readings.append(reading)
        while self._readings[0].at < now - LEFT_OVER:
            self._readings.popleft()
        shown = snapshot(self._readings, self._started)
        if self._frame is not None:
            self._frame.draw(shown)
            return
        self._tell_starts()
        for line in self._reporter.look(shown, now):
            notice(line.text, "WARNING" if line.bad else "INFO", progress=lines.as_json(shown))

    def _tell_starts(self) -> None:
        """Log the phases that have begun, as they began: this thread may have come late, or the run was short."""
        starts = self._run.tally.starts
        while starts:
            at, tally = starts.popleft()
            shown = snapshot([read(tally, self._run.things, at)], self._started)
            for line in self._reporter.start(shown, at):
                notice(line.text, progress=lines.as_json(shown))


class Frame:
    """The lines at the bottom of a terminal that show a run. Other lines on stderr go above them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._text = Text()

    def draw(self, shown: RunSnapshot) -> None:
        """Draw the lines again, for the width that the terminal has now."""
        text = styled(shown, self._console.width, ascii_only=self._console.options.ascii_only)
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, redirect_stdout=False)
            self._live.start()
        elif text == self._text:
            return  # nothing to see, and the recording of a terminal stays small
        self._text = text
        self._live.update(text)
        self._live.refresh()

    def close(self, *, keep: bool = True) -> None:
        """Give the terminal back. The last lines stay where they are, or go if they are not to `keep`."""
        if self._live is not None:
            self._live.transient = not keep
            self._live.stop()
            self._live = None


def styled(shown: RunSnapshot, width: int, *, ascii_only: bool) -> Text:
    """The lines of a screen with their colours."""
    text = Text(no_wrap=True, overflow="crop", end="")
    # the last column stays free: some terminals wrap a line that fills it
    for number, line in enumerate(lines.screen(shown, max(1, width - 1), ascii_only=ascii_only)):
        style = STYLES[line.role] if line.role != "api" or shown.api.is_well else TROUBLE
        text.append("\n" if number else "")
        text.append(line.text[: line.filled] if line.role == "bar" else line.text, style)
        text.append(line.text[line.filled :] if line.role == "bar" else "", "dim")
    return text
