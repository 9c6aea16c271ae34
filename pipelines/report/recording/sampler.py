"""Observes a job while it sends, from a thread of its own: the sending itself counts nothing more for it."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from beam_talonone.pipelines.report.recording.series import Totals, totals
from beam_talonone.pipelines.report.recording.series_file import SeriesWriter
from beam_talonone.talonone.telemetry.error_text import error_line
from beam_talonone.talonone.telemetry.logs import say
from beam_talonone.talonone.telemetry.redact import without_keys
from beam_talonone.talonone.telemetry.stats import Stats

log = logging.getLogger(__name__)

EVERY = 0.25
"""Seconds between two observations."""

SAVE_EVERY = 1.0
"""Seconds between two writes: a kill loses what happened since the last one."""


class Observed(Protocol):
    """What a sampler needs of an engine."""

    stats: Stats

    @property
    def in_flight(self) -> int:
        """Requests under way."""

    @property
    def pace(self) -> float:
        """Requests a second that may leave now."""


class Sampler:
    """Writes the series of a job while its block runs. A file that cannot be written never stops the job."""

    def __init__(
        self,
        path: Path,
        engine: Observed,
        outcomes: dict[str, int],
        settings: dict[str, Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`outcomes` counts the records that end, by outcome; `settings` are those of the run, without secrets."""
        self._path, self._engine, self._outcomes, self._settings = path, engine, outcomes, settings
        self._clock = clock
        self._ended, self._sampling = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._loop, name="talonone-series", daemon=True)
        self._writer: SeriesWriter | None = None

    def __enter__(self) -> "Sampler":
        self._began = self._sampled = self._saved = self._clock()
        self._before = self._totals()
        self._guarded(self._open)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._guarded(self.sample)
        self._guarded(lambda: self._save("" if error is None else without_keys(str(error) or type(error).__name__)))
        if self._writer is not None:
            self._writer.close()

    def sample(self) -> None:
        """Observe what has happened since the last sample, and write it when a second has passed."""
        with self._sampling:
            now = self._clock()
            if self._writer is not None and now > self._sampled:
                self._sample(self._writer, now)

    def _sample(self, writer: SeriesWriter, now: float) -> None:
        current, in_flight = self._totals(), self._engine.in_flight
        observed, seconds = current.since(self._before), now - self._sampled
        observed.seconds, observed.in_flight, observed.most_in_flight = seconds, in_flight * seconds, in_flight
        observed.granted = self._engine.pace * seconds
        writer.add(self._sampled - self._began, observed)
        self._before, self._sampled = current, now
        if now - self._saved >= SAVE_EVERY:
            self._save()
            self._saved = now

    def _open(self) -> None:
        self._writer = SeriesWriter(self._path, time.time(), self._settings)

    def _save(self, ended: str | None = None) -> None:
        if self._writer is not None:
            self._writer.save(self._clock() - self._began, ended)

    def _loop(self) -> None:
        while not self._ended.wait(EVERY):
            self._guarded(self.sample)

    def _totals(self) -> Totals:
        return totals(self._engine.stats, self._outcomes)

    def _guarded(self, action: Callable[[], None]) -> None:
        try:
            action()
        except (sqlite3.Error, OSError) as error:
            say(log, logging.WARNING, f"report.html will lack the charts: {self._path}: {error_line(error)}")
            if self._writer is not None:
                self._writer.close()
            self._writer = None
